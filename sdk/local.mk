# SPDX-License-Identifier: BSD-2-Clause
# What an author of a module gets: headers, pkg-config file, autoconf macro and the template of `weir module new`.

weirincludedir = $(includedir)/weir
weirinclude_HEADERS =

pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = sdk/weir-module.pc

aclocaldir = $(datadir)/aclocal
aclocal_DATA = sdk/weir.m4

templatedir = $(weirdatadir)/template
template_DATA =

EXTRA_DIST += sdk/weir.m4 $(template_DATA)
