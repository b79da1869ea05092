# SPDX-License-Identifier: BSD-2-Clause
# One line a program, made from the .c file of the same name: UNIT_TESTS += tests/unit/config/test_thing
UNIT_TESTS += tests/unit/config/test_bind
UNIT_TESTS += tests/unit/config/test_dump
UNIT_TESTS += tests/unit/config/test_lexer
UNIT_TESTS += tests/unit/config/test_messages
UNIT_TESTS += tests/unit/config/test_schema
UNIT_TESTS += tests/unit/config/test_template
UNIT_TESTS += tests/unit/config/test_tree
UNIT_TESTS += tests/unit/config/test_value

EXTRA_DIST += tests/unit/config/toy.h
