# SPDX-License-Identifier: BSD-2-Clause
# The processes: supervisor and server, what passes between them, and what is said when one dies.
server_libweir_a_SOURCES += \
	server/app/process/bound.c server/app/process/bound.h \
	server/app/process/changes.c \
	server/app/process/channel.c server/app/process/channel.h \
	server/app/process/child.c server/app/process/child.h \
	server/app/process/crash.c server/app/process/crash.h \
	server/app/process/crash_describe.c \
	server/app/process/kept_changes.c server/app/process/kept_changes.h \
	server/app/process/kept_files.c server/app/process/kept_files.h \
	server/app/process/listening.c server/app/process/listening.h \
	server/app/process/notify.c server/app/process/notify.h \
	server/app/process/privileges.c server/app/process/privileges.h \
	server/app/process/received_files.c server/app/process/received_files.h \
	server/app/process/rehearsal.c server/app/process/rehearsal.h \
	server/app/process/server.c server/app/process/server.h \
	server/app/process/strikes.c server/app/process/strikes.h \
	server/app/process/supervisor.c server/app/process/supervisor.h \
	server/app/process/supervisor_state.h \
	server/app/process/takeover.c server/app/process/takeover.h \
	server/app/process/watchdog.c server/app/process/watchdog.h
