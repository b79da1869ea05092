# SPDX-License-Identifier: BSD-2-Clause
# One line a program, made from the .c file of the same name: UNIT_TESTS += tests/unit/net/test_thing
UNIT_TESTS += tests/unit/net/test_addr
UNIT_TESTS += tests/unit/net/test_conn
UNIT_TESTS += tests/unit/net/test_transport
UNIT_TESTS += tests/unit/net/test_listener
UNIT_TESTS += tests/unit/net/test_proxy_header
EXTRA_DIST += tests/unit/net/ends.h
