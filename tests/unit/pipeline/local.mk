# SPDX-License-Identifier: BSD-2-Clause
# One line a program, made from the .c file of the same name: UNIT_TESTS += tests/unit/pipeline/test_thing
UNIT_TESTS += tests/unit/pipeline/test_api
UNIT_TESTS += tests/unit/pipeline/test_api_conf
UNIT_TESTS += tests/unit/pipeline/test_client_chain
UNIT_TESTS += tests/unit/pipeline/test_clients
UNIT_TESTS += tests/unit/pipeline/test_dict
UNIT_TESTS += tests/unit/pipeline/test_exposition
UNIT_TESTS += tests/unit/pipeline/test_intake
UNIT_TESTS += tests/unit/pipeline/test_module
UNIT_TESTS += tests/unit/pipeline/test_order
UNIT_TESTS += tests/unit/pipeline/test_plan
UNIT_TESTS += tests/unit/pipeline/test_sink
UNIT_TESTS += tests/unit/pipeline/test_snapshot
UNIT_TESTS += tests/unit/pipeline/test_suspension
UNIT_TESTS += tests/unit/pipeline/test_tally
UNIT_TESTS += tests/unit/pipeline/test_variables

EXTRA_DIST += tests/unit/pipeline/toy.h

# Deliveries are looked at, not carried out.
tests_unit_pipeline_test_suspension_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=request_resume -Wl,--wrap=session_resume
