# SPDX-License-Identifier: BSD-2-Clause
# One line a target, made from the .c file of the same name: FUZZ_TARGETS += tests/fuzz/fuzz_thing
# With --enable-fuzz they are libFuzzer programs (make fuzz-targets); otherwise make check replays their corpora.

FUZZ_TARGETS =
FUZZ_TARGETS += tests/fuzz/fuzz_accept
FUZZ_TARGETS += tests/fuzz/fuzz_chunked
FUZZ_TARGETS += tests/fuzz/fuzz_conditions
FUZZ_TARGETS += tests/fuzz/fuzz_client_chain
FUZZ_TARGETS += tests/fuzz/fuzz_config
FUZZ_TARGETS += tests/fuzz/fuzz_engine
FUZZ_TARGETS += tests/fuzz/fuzz_h2_upstream
FUZZ_TARGETS += tests/fuzz/fuzz_head
FUZZ_TARGETS += tests/fuzz/fuzz_http2
FUZZ_TARGETS += tests/fuzz/fuzz_proxy_header
FUZZ_TARGETS += tests/fuzz/fuzz_response
FUZZ_TARGETS += tests/fuzz/fuzz_template
FUZZ_TARGETS += tests/fuzz/fuzz_uri
if MODULE_AUTH
FUZZ_TARGETS += tests/fuzz/fuzz_jws
endif
if MODULE_RATELIMIT
FUZZ_TARGETS += tests/fuzz/fuzz_decisions
endif

tests_fuzz_fuzz_decisions_SOURCES = tests/fuzz/fuzz_decisions.c modules/ratelimit/decisions.c \
	modules/ratelimit/decisions.h modules/ratelimit/labels.c modules/ratelimit/network.c \
	modules/ratelimit/network.h modules/ratelimit/pulled.c modules/ratelimit/pulled.h
tests_fuzz_fuzz_decisions_CPPFLAGS = $(AM_CPPFLAGS) $(MODULE_RATELIMIT_CFLAGS)
tests_fuzz_fuzz_decisions_LDADD = $(LDADD) $(MODULE_RATELIMIT_LIBS)
tests_fuzz_fuzz_jws_SOURCES = tests/fuzz/fuzz_jws.c modules/auth/claims.c modules/auth/claims.h modules/auth/jws.c \
	modules/auth/jws.h
tests_fuzz_fuzz_jws_CPPFLAGS = $(AM_CPPFLAGS) $(MODULE_AUTH_CFLAGS)
tests_fuzz_fuzz_jws_LDADD = $(LDADD) $(MODULE_AUTH_LIBS)
tests_fuzz_fuzz_accept_SOURCES = tests/fuzz/fuzz_accept.c modules/gzip/negotiate.c modules/gzip/negotiate.h

if WEIR_FUZZ
TEST_MAIN = $(WEIR_FUZZ_MAIN)
EXTRA_PROGRAMS = $(FUZZ_TARGETS)
else
TEST_MAIN = tests/fuzz/libreplay.a
check_LIBRARIES += tests/fuzz/libreplay.a
check_PROGRAMS += $(FUZZ_TARGETS)
TESTS += $(FUZZ_TARGETS)
endif
tests_fuzz_libreplay_a_SOURCES = tests/fuzz/replay.c

fuzz-targets: $(FUZZ_TARGETS)

list-fuzz:
	@for t in $(FUZZ_TARGETS); do echo $$t; done

EXTRA_DIST += tests/fuzz/corpus

.PHONY: fuzz-targets list-fuzz

# The engine's clock is the harness's (tests/unit/engine/).
tests_fuzz_fuzz_engine_SOURCES = tests/fuzz/fuzz_engine.c tests/fuzz/play.h
tests_fuzz_fuzz_engine_LDADD = tests/unit/engine/libengine.a $(LDADD)
tests_fuzz_fuzz_engine_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_tick
tests_fuzz_fuzz_http2_SOURCES = tests/fuzz/fuzz_http2.c tests/fuzz/play.h
tests_fuzz_fuzz_http2_LDADD = tests/unit/engine/libengine.a $(LDADD)
tests_fuzz_fuzz_http2_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_tick
tests_fuzz_fuzz_h2_upstream_SOURCES = tests/fuzz/fuzz_h2_upstream.c tests/fuzz/play.h
tests_fuzz_fuzz_h2_upstream_LDADD = tests/unit/engine/libengine.a $(LDADD)
tests_fuzz_fuzz_h2_upstream_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_tick
