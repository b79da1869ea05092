# SPDX-License-Identifier: BSD-2-Clause
if MODULE_RATELIMIT
module_LTLIBRARIES += modules/ratelimit/ratelimit.la
endif
modules_ratelimit_ratelimit_la_SOURCES = modules/ratelimit/ratelimit.c modules/ratelimit/ratelimit.h \
	modules/ratelimit/ban_command.c modules/ratelimit/ban_file.c modules/ratelimit/ban_list.c \
	modules/ratelimit/bans.c modules/ratelimit/bans.h \
	modules/ratelimit/conns.c modules/ratelimit/rates.c modules/ratelimit/subject.c
modules_ratelimit_ratelimit_la_CPPFLAGS = $(MODULE_CPPFLAGS)
modules_ratelimit_ratelimit_la_CFLAGS = $(MODULE_CFLAGS)
modules_ratelimit_ratelimit_la_LDFLAGS = $(MODULE_LDFLAGS)

if MODULE_RATELIMIT
if HAVE_CMOCKA
if !WEIR_FUZZ
check_PROGRAMS += modules/ratelimit/test_ratelimit
TESTS += modules/ratelimit/test_ratelimit
endif
endif
endif
modules_ratelimit_test_ratelimit_SOURCES = modules/ratelimit/test_ratelimit.c
modules_ratelimit_test_ratelimit_CPPFLAGS = $(MODULE_TEST_CPPFLAGS)
modules_ratelimit_test_ratelimit_LDADD = $(MODULE_TEST_LDADD)

EXTRA_DIST += modules/ratelimit/ratelimit.md modules/ratelimit/ratelimit.conf
