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
