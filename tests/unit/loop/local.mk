# SPDX-License-Identifier: BSD-2-Clause
# One line a program, made from the .c file of the same name: UNIT_TESTS += tests/unit/loop/test_thing
UNIT_TESTS += tests/unit/loop/test_wheel
UNIT_TESTS += tests/unit/loop/test_worker
UNIT_TESTS += tests/unit/loop/test_job
EXTRA_DIST += tests/unit/loop/turning.h
