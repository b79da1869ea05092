# SPDX-License-Identifier: BSD-2-Clause
# The test library for module authors, installed as source; here an archive for the tests of our own modules.

harnessdir = $(weirdatadir)/harness
harness_DATA = sdk/harness/weir-harness.h sdk/harness/harness.h sdk/harness/harness.c sdk/harness/harness-conf.c \
	sdk/harness/harness-event.c sdk/harness/harness-fetch.c sdk/harness/harness-flow.c \
	sdk/harness/harness-http.c sdk/harness/harness-share.c sdk/harness/harness-template.c

if !WEIR_FUZZ
if HAVE_CMOCKA
check_LIBRARIES += sdk/harness/libharness.a
endif
endif
sdk_harness_libharness_a_SOURCES = $(harness_DATA)
sdk_harness_libharness_a_CPPFLAGS = -I$(top_srcdir)/sdk/include $(WEIR_CPPFLAGS)

# A module's test sees what an author outside would: the SDK, the harness, cmocka, and the built .so.
MODULE_TEST_CPPFLAGS = -I$(top_srcdir)/sdk/include -I$(top_srcdir)/sdk/harness $(WEIR_CPPFLAGS)
MODULE_TEST_LDADD = sdk/harness/libharness.a $(CMOCKA_LIBS)

EXTRA_DIST += $(harness_DATA)

if HAVE_CMOCKA
if !WEIR_FUZZ
check_PROGRAMS += sdk/harness/test_harness
TESTS += sdk/harness/test_harness
endif
endif
sdk_harness_test_harness_SOURCES = sdk/harness/test_harness.c
sdk_harness_test_harness_CPPFLAGS = $(MODULE_TEST_CPPFLAGS)
sdk_harness_test_harness_LDADD = $(MODULE_TEST_LDADD)
