# SPDX-License-Identifier: BSD-2-Clause
# main.c is the program's own source (Makefile.am); everything else of this folder is in the archive.
server_libweir_a_SOURCES += \
	server/app/bound.c server/app/bound.h \
	server/app/channel.c server/app/channel.h \
	server/app/kept_files.c server/app/kept_files.h \
	server/app/listening.c server/app/listening.h \
	server/app/notify.c server/app/notify.h \
	server/app/privileges.c server/app/privileges.h \
	server/app/received_files.c server/app/received_files.h \
	server/app/rehearsal.c server/app/rehearsal.h \
	server/app/server.c server/app/server.h \
	server/app/supervisor.c server/app/supervisor.h
