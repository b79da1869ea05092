# SPDX-License-Identifier: BSD-2-Clause
if MODULE_RATELIMIT
module_LTLIBRARIES += modules/ratelimit/ratelimit.la
endif
modules_ratelimit_ratelimit_la_SOURCES = modules/ratelimit/ratelimit.c modules/ratelimit/ratelimit.h \
	modules/ratelimit/ban_command.c modules/ratelimit/ban_file.c modules/ratelimit/ban_list.c \
	modules/ratelimit/bans.c modules/ratelimit/bans.h modules/ratelimit/conns.c \
	modules/ratelimit/decisions.c modules/ratelimit/decisions.h modules/ratelimit/labels.c \
	modules/ratelimit/network.c modules/ratelimit/network.h modules/ratelimit/pull.c modules/ratelimit/pull.h \
	modules/ratelimit/pull_conf.c modules/ratelimit/pull_file.c modules/ratelimit/pulled.c \
	modules/ratelimit/pulled.h modules/ratelimit/rates.c \
	modules/ratelimit/state_file.c modules/ratelimit/state_file.h \
	modules/ratelimit/subject.c
modules_ratelimit_ratelimit_la_CPPFLAGS = $(MODULE_CPPFLAGS) $(MODULE_RATELIMIT_CFLAGS)
modules_ratelimit_ratelimit_la_CFLAGS = $(MODULE_CFLAGS)
modules_ratelimit_ratelimit_la_LDFLAGS = $(MODULE_LDFLAGS)
modules_ratelimit_ratelimit_la_LIBADD = $(MODULE_RATELIMIT_LIBS)

if MODULE_RATELIMIT
if HAVE_CMOCKA
if !WEIR_FUZZ
check_PROGRAMS += modules/ratelimit/test_ratelimit modules/ratelimit/test_decisions
TESTS += modules/ratelimit/test_ratelimit modules/ratelimit/test_decisions
endif
endif
endif
modules_ratelimit_test_ratelimit_SOURCES = modules/ratelimit/test_ratelimit.c
modules_ratelimit_test_ratelimit_CPPFLAGS = $(MODULE_TEST_CPPFLAGS)
modules_ratelimit_test_ratelimit_LDADD = $(MODULE_TEST_LDADD)
modules_ratelimit_test_decisions_SOURCES = modules/ratelimit/test_decisions.c modules/ratelimit/decisions.c \
	modules/ratelimit/decisions.h modules/ratelimit/labels.c modules/ratelimit/network.c \
	modules/ratelimit/network.h modules/ratelimit/pulled.c modules/ratelimit/pulled.h
modules_ratelimit_test_decisions_CPPFLAGS = $(MODULE_TEST_CPPFLAGS) $(MODULE_RATELIMIT_CFLAGS)
modules_ratelimit_test_decisions_LDADD = $(MODULE_TEST_LDADD) $(MODULE_RATELIMIT_LIBS)

EXTRA_DIST += modules/ratelimit/ratelimit.md modules/ratelimit/ratelimit.conf
