# SPDX-License-Identifier: BSD-2-Clause
# One line a program, made from the .c file of the same name: UNIT_TESTS += tests/unit/app/test_thing
UNIT_TESTS += tests/unit/app/test_answers
UNIT_TESTS += tests/unit/app/test_cli
UNIT_TESTS += tests/unit/app/test_configuration
UNIT_TESTS += tests/unit/app/test_control
UNIT_TESTS += tests/unit/app/test_crash
UNIT_TESTS += tests/unit/app/test_elf_symbols
UNIT_TESTS += tests/unit/app/test_json
UNIT_TESTS += tests/unit/app/test_listens
UNIT_TESTS += tests/unit/app/test_loader
UNIT_TESTS += tests/unit/app/test_no_memory
UNIT_TESTS += tests/unit/app/test_open_beneath
UNIT_TESTS += tests/unit/app/test_routes
UNIT_TESTS += tests/unit/app/test_sites
UNIT_TESTS += tests/unit/app/test_strikes

EXTRA_DIST += tests/unit/app/from_text.h
