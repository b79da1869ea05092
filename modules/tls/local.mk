# SPDX-License-Identifier: BSD-2-Clause
if MODULE_TLS
module_LTLIBRARIES += modules/tls/tls.la
endif
modules_tls_tls_la_SOURCES = modules/tls/tls.c modules/tls/tls.h modules/tls/tls_client.c modules/tls/tls_io.c \
	modules/tls/tls_local_ca.c modules/tls/tls_scope.c modules/tls/tls_server.c modules/tls/tls_tickets.c \
	modules/tls/tls_trust.c modules/tls/tls_variables.c
modules_tls_tls_la_CPPFLAGS = $(MODULE_CPPFLAGS) $(MODULE_TLS_CFLAGS)
modules_tls_tls_la_CFLAGS = $(MODULE_CFLAGS)
modules_tls_tls_la_LDFLAGS = $(MODULE_LDFLAGS)
modules_tls_tls_la_LIBADD = $(MODULE_TLS_LIBS)

# The tests drive the built module: they are linked with it (position independent, so that its descriptor stays where it
# is) and hand it a host of their own.
TLS_TESTS = modules/tls/test_tls_conf modules/tls/test_tls_handshake modules/tls/test_tls_io \
	modules/tls/test_tls_openssl
TLS_TEST_CFLAGS = $(MODULE_CFLAGS) -fPIC $(CMOCKA_CFLAGS)
TLS_TEST_LDADD = modules/tls/.libs/tls.so $(MODULE_TLS_LIBS) $(CMOCKA_LIBS)
TLS_TEST_LINKING = $(AM_LDFLAGS) -Wl,-rpath,$(abs_top_builddir)/modules/tls/.libs
if MODULE_TLS
if HAVE_CMOCKA
if !WEIR_FUZZ
check_PROGRAMS += $(TLS_TESTS)
TESTS += $(TLS_TESTS)
endif
endif
endif
modules_tls_test_tls_conf_SOURCES = modules/tls/test_tls_conf.c modules/tls/test_host.c modules/tls/test_host.h
modules_tls_test_tls_conf_CPPFLAGS = $(MODULE_CPPFLAGS) $(MODULE_TLS_CFLAGS)
modules_tls_test_tls_conf_CFLAGS = $(TLS_TEST_CFLAGS)
modules_tls_test_tls_conf_LDFLAGS = $(TLS_TEST_LINKING)
modules_tls_test_tls_conf_LDADD = $(TLS_TEST_LDADD)
modules_tls_test_tls_conf_DEPENDENCIES = modules/tls/tls.la
modules_tls_test_tls_handshake_SOURCES = modules/tls/test_tls_handshake.c modules/tls/test_host.c \
	modules/tls/test_host.h
modules_tls_test_tls_handshake_CPPFLAGS = $(MODULE_CPPFLAGS) $(MODULE_TLS_CFLAGS)
modules_tls_test_tls_handshake_CFLAGS = $(TLS_TEST_CFLAGS)
modules_tls_test_tls_handshake_LDFLAGS = $(TLS_TEST_LINKING)
modules_tls_test_tls_handshake_LDADD = $(TLS_TEST_LDADD)
modules_tls_test_tls_handshake_DEPENDENCIES = modules/tls/tls.la
modules_tls_test_tls_io_SOURCES = modules/tls/test_tls_io.c modules/tls/test_host.c modules/tls/test_host.h
modules_tls_test_tls_io_CPPFLAGS = $(MODULE_CPPFLAGS) $(MODULE_TLS_CFLAGS)
modules_tls_test_tls_io_CFLAGS = $(TLS_TEST_CFLAGS)
modules_tls_test_tls_io_LDFLAGS = $(TLS_TEST_LINKING)
modules_tls_test_tls_io_LDADD = $(TLS_TEST_LDADD)
modules_tls_test_tls_io_DEPENDENCIES = modules/tls/tls.la
modules_tls_test_tls_openssl_SOURCES = modules/tls/test_tls_openssl.c modules/tls/test_host.c \
	modules/tls/test_host.h
modules_tls_test_tls_openssl_CPPFLAGS = $(MODULE_CPPFLAGS) $(MODULE_TLS_CFLAGS)
modules_tls_test_tls_openssl_CFLAGS = $(TLS_TEST_CFLAGS)
modules_tls_test_tls_openssl_LDFLAGS = $(TLS_TEST_LINKING)
modules_tls_test_tls_openssl_LDADD = $(TLS_TEST_LDADD)
modules_tls_test_tls_openssl_DEPENDENCIES = modules/tls/tls.la

EXTRA_DIST += modules/tls/tls.md modules/tls/tls.conf
