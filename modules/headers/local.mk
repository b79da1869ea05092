# SPDX-License-Identifier: BSD-2-Clause
if MODULE_HEADERS
module_LTLIBRARIES += modules/headers/headers.la
endif
modules_headers_headers_la_SOURCES = modules/headers/headers.c
modules_headers_headers_la_CPPFLAGS = $(MODULE_CPPFLAGS)
modules_headers_headers_la_CFLAGS = $(MODULE_CFLAGS)
modules_headers_headers_la_LDFLAGS = $(MODULE_LDFLAGS)

if MODULE_HEADERS
if HAVE_CMOCKA
if !WEIR_FUZZ
check_PROGRAMS += modules/headers/test_headers
TESTS += modules/headers/test_headers
endif
endif
endif
modules_headers_test_headers_SOURCES = modules/headers/test_headers.c
modules_headers_test_headers_CPPFLAGS = $(MODULE_TEST_CPPFLAGS)
modules_headers_test_headers_LDADD = $(MODULE_TEST_LDADD)

EXTRA_DIST += modules/headers/headers.md modules/headers/headers.conf
