# SPDX-License-Identifier: BSD-2-Clause
if MODULE_ACCESS_LOG
module_LTLIBRARIES += modules/access-log/access-log.la
endif
modules_access_log_access_log_la_SOURCES = modules/access-log/access-log.c modules/access-log/line.c \
	modules/access-log/line.h
modules_access_log_access_log_la_CPPFLAGS = $(MODULE_CPPFLAGS)
modules_access_log_access_log_la_CFLAGS = $(MODULE_CFLAGS)
modules_access_log_access_log_la_LDFLAGS = $(MODULE_LDFLAGS)
EXTRA_DIST += modules/access-log/access-log.md modules/access-log/access-log.conf
