# SPDX-License-Identifier: BSD-2-Clause
# One line a program, made from the .c file of the same name: UNIT_TESTS += tests/unit/base/test_thing
UNIT_TESTS += tests/unit/base/test_arena
UNIT_TESTS += tests/unit/base/test_block
UNIT_TESTS += tests/unit/base/test_chain
UNIT_TESTS += tests/unit/base/test_clock
UNIT_TESTS += tests/unit/base/test_diag
UNIT_TESTS += tests/unit/base/test_hash
UNIT_TESTS += tests/unit/base/test_list
UNIT_TESTS += tests/unit/base/test_log
UNIT_TESTS += tests/unit/base/test_machine
UNIT_TESTS += tests/unit/base/test_mem
UNIT_TESTS += tests/unit/base/test_out
UNIT_TESTS += tests/unit/base/test_small
UNIT_TESTS += tests/unit/base/test_str

EXTRA_DIST += tests/unit/base/failing.h
