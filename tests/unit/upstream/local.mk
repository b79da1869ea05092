# SPDX-License-Identifier: BSD-2-Clause
# One line a program, made from the .c file of the same name: UNIT_TESTS += tests/unit/upstream/test_thing
UNIT_TESTS += tests/unit/upstream/test_balancers
UNIT_TESTS += tests/unit/upstream/test_server_state
UNIT_TESTS += tests/unit/upstream/test_service
