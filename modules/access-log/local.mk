# SPDX-License-Identifier: BSD-2-Clause
if MODULE_ACCESS_LOG
module_LTLIBRARIES += modules/access-log/access-log.la
endif
modules_access_log_access_log_la_SOURCES = modules/access-log/access-log.c modules/access-log/line.c \
	modules/access-log/line.h
modules_access_log_access_log_la_CPPFLAGS = $(MODULE_CPPFLAGS)
modules_access_log_access_log_la_CFLAGS = $(MODULE_CFLAGS)
modules_access_log_access_log_la_LDFLAGS = $(MODULE_LDFLAGS)

if MODULE_ACCESS_LOG
if HAVE_CMOCKA
if !WEIR_FUZZ
check_PROGRAMS += modules/access-log/test_access-log
TESTS += modules/access-log/test_access-log
endif
endif
endif
modules_access_log_test_access_log_SOURCES = modules/access-log/test_access-log.c
modules_access_log_test_access_log_CPPFLAGS = $(MODULE_TEST_CPPFLAGS)
modules_access_log_test_access_log_LDADD = $(MODULE_TEST_LDADD)

EXTRA_DIST += modules/access-log/access-log.md modules/access-log/access-log.conf
