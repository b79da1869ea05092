# SPDX-License-Identifier: BSD-2-Clause
if MODULE_GZIP
module_LTLIBRARIES += modules/gzip/gzip.la
endif
modules_gzip_gzip_la_SOURCES = modules/gzip/gzip.c modules/gzip/negotiate.c modules/gzip/negotiate.h \
	modules/gzip/stream.c modules/gzip/stream.h
modules_gzip_gzip_la_CPPFLAGS = $(MODULE_CPPFLAGS) $(MODULE_GZIP_CFLAGS)
modules_gzip_gzip_la_CFLAGS = $(MODULE_CFLAGS)
modules_gzip_gzip_la_LDFLAGS = $(MODULE_LDFLAGS)
modules_gzip_gzip_la_LIBADD = $(MODULE_GZIP_LIBS)

if MODULE_GZIP
if HAVE_CMOCKA
if !WEIR_FUZZ
check_PROGRAMS += modules/gzip/test_gzip
TESTS += modules/gzip/test_gzip
endif
endif
endif
modules_gzip_test_gzip_SOURCES = modules/gzip/test_gzip.c
modules_gzip_test_gzip_CPPFLAGS = $(MODULE_TEST_CPPFLAGS) $(MODULE_GZIP_CFLAGS)
modules_gzip_test_gzip_LDADD = $(MODULE_TEST_LDADD) $(MODULE_GZIP_LIBS)

EXTRA_DIST += modules/gzip/gzip.md modules/gzip/gzip.conf
