# SPDX-License-Identifier: BSD-2-Clause
# What an author of a module gets: headers, pkg-config file, autoconf macro and the template of `weir module new`.

weirincludedir = $(includedir)/weir
weirinclude_HEADERS = sdk/include/weir/abi.h sdk/include/weir/api.h sdk/include/weir/bytes.h sdk/include/weir/conf.h \
	sdk/include/weir/conf_api.h sdk/include/weir/conn.h sdk/include/weir/conn_api.h sdk/include/weir/event.h \
	sdk/include/weir/http.h sdk/include/weir/log.h sdk/include/weir/module.h sdk/include/weir/share.h \
	sdk/include/weir/upstream.h sdk/include/weir/weir.h

pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = sdk/weir-module.pc

aclocaldir = $(datadir)/aclocal
aclocal_DATA = sdk/weir.m4

# A new module is a copy of these: module.c and module.conf take its name, @name@ in the text becomes it, @id@ too but
# with _ for - (names of directives).
templatedir = $(weirdatadir)/template
template_DATA = sdk/template/Makefile sdk/template/README.md sdk/template/module.c sdk/template/module.conf \
	sdk/template/test.sh

EXTRA_DIST += sdk/API-CHANGES.md sdk/weir.m4 $(template_DATA)

include sdk/harness/local.mk
