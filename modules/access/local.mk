# SPDX-License-Identifier: BSD-2-Clause
if MODULE_ACCESS
module_LTLIBRARIES += modules/access/access.la
endif
modules_access_access_la_SOURCES = modules/access/access.c
modules_access_access_la_CPPFLAGS = $(MODULE_CPPFLAGS)
modules_access_access_la_CFLAGS = $(MODULE_CFLAGS)
modules_access_access_la_LDFLAGS = $(MODULE_LDFLAGS)
EXTRA_DIST += modules/access/access.md modules/access/access.conf
