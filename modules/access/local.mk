# SPDX-License-Identifier: BSD-2-Clause
if MODULE_ACCESS
module_LTLIBRARIES += modules/access/access.la
endif
modules_access_access_la_SOURCES = modules/access/access.c
modules_access_access_la_CPPFLAGS = $(MODULE_CPPFLAGS)
modules_access_access_la_CFLAGS = $(MODULE_CFLAGS)
modules_access_access_la_LDFLAGS = $(MODULE_LDFLAGS)

if MODULE_ACCESS
if HAVE_CMOCKA
if !WEIR_FUZZ
check_PROGRAMS += modules/access/test_access
TESTS += modules/access/test_access
endif
endif
endif
modules_access_test_access_SOURCES = modules/access/test_access.c
modules_access_test_access_CPPFLAGS = $(MODULE_TEST_CPPFLAGS)
modules_access_test_access_LDADD = $(MODULE_TEST_LDADD)

EXTRA_DIST += modules/access/access.md modules/access/access.conf
