# SPDX-License-Identifier: BSD-2-Clause
# Tests of the request engine in one process with its clients and origins: UNIT_TESTS += tests/unit/engine/test_thing
# The clock is the harness's (engine.c), hence the wrapping.

check_LIBRARIES += tests/unit/engine/libengine.a
tests_unit_engine_libengine_a_SOURCES = tests/unit/engine/engine.c tests/unit/engine/engine.h \
	tests/unit/engine/frames.h tests/unit/engine/modules.h tests/unit/engine/playing.h

ENGINE_LIBS = tests/unit/engine/libengine.a $(LDADD)
WRAP_CLOCK = -Wl,--wrap=clock_tick
PLAYED_EXCHANGES = tests/unit/engine/scripts.c tests/unit/engine/scripts.h

UNIT_TESTS += tests/unit/engine/test_http1
tests_unit_engine_test_http1_LDADD = $(ENGINE_LIBS)
tests_unit_engine_test_http1_LDFLAGS = $(AM_LDFLAGS) $(WRAP_CLOCK)

UNIT_TESTS += tests/unit/engine/test_bodies
tests_unit_engine_test_bodies_LDADD = $(ENGINE_LIBS)
tests_unit_engine_test_bodies_LDFLAGS = $(AM_LDFLAGS) $(WRAP_CLOCK)

UNIT_TESTS += tests/unit/engine/test_tunnel
tests_unit_engine_test_tunnel_LDADD = $(ENGINE_LIBS)
tests_unit_engine_test_tunnel_LDFLAGS = $(AM_LDFLAGS) $(WRAP_CLOCK)

UNIT_TESTS += tests/unit/engine/test_upstream
tests_unit_engine_test_upstream_LDADD = $(ENGINE_LIBS)
tests_unit_engine_test_upstream_LDFLAGS = $(AM_LDFLAGS) $(WRAP_CLOCK)

UNIT_TESTS += tests/unit/engine/test_hooks
tests_unit_engine_test_hooks_LDADD = $(ENGINE_LIBS)
tests_unit_engine_test_hooks_LDFLAGS = $(AM_LDFLAGS) $(WRAP_CLOCK)

UNIT_TESTS += tests/unit/engine/test_faults
tests_unit_engine_test_faults_SOURCES = tests/unit/engine/test_faults.c $(PLAYED_EXCHANGES)
tests_unit_engine_test_faults_LDADD = $(ENGINE_LIBS)
tests_unit_engine_test_faults_LDFLAGS = $(AM_LDFLAGS) $(WRAP_CLOCK)

UNIT_TESTS += tests/unit/engine/test_overload
tests_unit_engine_test_overload_LDADD = $(ENGINE_LIBS)
tests_unit_engine_test_overload_LDFLAGS = $(AM_LDFLAGS) $(WRAP_CLOCK)

UNIT_TESTS += tests/unit/engine/test_calls
tests_unit_engine_test_calls_SOURCES = tests/unit/engine/test_calls.c $(PLAYED_EXCHANGES) \
	tests/unit/engine/failing_calls.c tests/unit/engine/failing_calls.h
tests_unit_engine_test_calls_LDADD = $(ENGINE_LIBS)
tests_unit_engine_test_calls_LDFLAGS = $(AM_LDFLAGS) $(WRAP_CLOCK)

UNIT_TESTS += tests/unit/engine/test_http2
tests_unit_engine_test_http2_LDADD = $(ENGINE_LIBS)
tests_unit_engine_test_http2_LDFLAGS = $(AM_LDFLAGS) $(WRAP_CLOCK)

UNIT_TESTS += tests/unit/engine/test_upstream_http2
tests_unit_engine_test_upstream_http2_SOURCES = tests/unit/engine/test_upstream_http2.c \
	tests/unit/engine/failing_calls.c tests/unit/engine/failing_calls.h
tests_unit_engine_test_upstream_http2_LDADD = $(ENGINE_LIBS)
tests_unit_engine_test_upstream_http2_LDFLAGS = $(AM_LDFLAGS) $(WRAP_CLOCK)
