# SPDX-License-Identifier: BSD-2-Clause
if MODULE_GEOIP
module_LTLIBRARIES += modules/geoip/geoip.la
endif
modules_geoip_geoip_la_SOURCES = modules/geoip/geoip.c modules/geoip/countries.c modules/geoip/countries.h \
	modules/geoip/database.c modules/geoip/database.h modules/geoip/place.c modules/geoip/place.h \
	modules/geoip/rules.c modules/geoip/rules.h
modules_geoip_geoip_la_CPPFLAGS = $(MODULE_CPPFLAGS) $(MODULE_GEOIP_CFLAGS)
modules_geoip_geoip_la_CFLAGS = $(MODULE_CFLAGS)
modules_geoip_geoip_la_LDFLAGS = $(MODULE_LDFLAGS)
modules_geoip_geoip_la_LIBADD = $(MODULE_GEOIP_LIBS)

if MODULE_GEOIP
if HAVE_CMOCKA
if !WEIR_FUZZ
check_PROGRAMS += modules/geoip/test_geoip
TESTS += modules/geoip/test_geoip
endif
endif
endif
modules_geoip_test_geoip_SOURCES = modules/geoip/test_geoip.c
modules_geoip_test_geoip_CPPFLAGS = $(MODULE_TEST_CPPFLAGS)
modules_geoip_test_geoip_LDADD = $(MODULE_TEST_LDADD)

EXTRA_DIST += modules/geoip/geoip.md modules/geoip/geoip.conf modules/geoip/fixtures
