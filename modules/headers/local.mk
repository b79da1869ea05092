# SPDX-License-Identifier: BSD-2-Clause
if MODULE_HEADERS
module_LTLIBRARIES += modules/headers/headers.la
endif
modules_headers_headers_la_SOURCES = modules/headers/headers.c
modules_headers_headers_la_CPPFLAGS = $(MODULE_CPPFLAGS)
modules_headers_headers_la_CFLAGS = $(MODULE_CFLAGS)
modules_headers_headers_la_LDFLAGS = $(MODULE_LDFLAGS)
EXTRA_DIST += modules/headers/headers.md modules/headers/headers.conf
