# SPDX-License-Identifier: BSD-2-Clause
# One line a program, made from the .c file of the same name: UNIT_TESTS += tests/unit/http/test_thing
UNIT_TESTS += tests/unit/http/test_field
UNIT_TESTS += tests/unit/http/test_h1_body
UNIT_TESTS += tests/unit/http/test_h1_request
UNIT_TESTS += tests/unit/http/test_h1_response
UNIT_TESTS += tests/unit/http/test_h1_write
UNIT_TESTS += tests/unit/http/test_h2_client
UNIT_TESTS += tests/unit/http/test_h2_guard
UNIT_TESTS += tests/unit/http/test_h2_head
UNIT_TESTS += tests/unit/http/test_media
UNIT_TESTS += tests/unit/http/test_media_type
UNIT_TESTS += tests/unit/http/test_precondition
UNIT_TESTS += tests/unit/http/test_range
UNIT_TESTS += tests/unit/http/test_uri
UNIT_TESTS += tests/unit/http/test_websocket
