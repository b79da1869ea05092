# SPDX-License-Identifier: BSD-2-Clause
# main.c is the program's own source (Makefile.am); everything else of this folder is in the archive.
server_libweir_a_SOURCES += \
	server/app/bound.c server/app/bound.h \
	server/app/changes.c \
	server/app/channel.c server/app/channel.h \
	server/app/child.c server/app/child.h \
	server/app/kept_files.c server/app/kept_files.h \
	server/app/listening.c server/app/listening.h \
	server/app/notify.c server/app/notify.h \
	server/app/privileges.c server/app/privileges.h \
	server/app/received_files.c server/app/received_files.h \
	server/app/rehearsal.c server/app/rehearsal.h \
	server/app/server.c server/app/server.h \
	server/app/strikes.c server/app/strikes.h \
	server/app/supervisor.c server/app/supervisor.h server/app/supervisor_state.h \
	server/app/takeover.c server/app/takeover.h
# What a configuration means: modules, settings, sites, routes, and the parts that answer by themselves.
server_libweir_a_SOURCES += \
	server/app/bindhost.c \
	server/app/builtin.h \
	server/app/configuration.c server/app/configuration.h \
	server/app/configuration_print.c \
	server/app/core_directives.c \
	server/app/house.c \
	server/app/listens.c server/app/listens.h \
	server/app/loader.c server/app/loader.h \
	server/app/loading.h \
	server/app/maintenance.c \
	server/app/module_build.c server/app/module_build.h \
	server/app/regex.c server/app/regex.h \
	server/app/routes.c server/app/routes.h \
	server/app/serve_health.c \
	server/app/serve_redirect.c \
	server/app/serve_respond.c \
	server/app/settings.c server/app/settings.h \
	server/app/sites.c server/app/sites.h
# The command line, the control socket, what is said about crashes.
server_libweir_a_SOURCES += \
	server/app/cli.c server/app/cli.h \
	server/app/cli_configuration.c \
	server/app/cli_module_check.c \
	server/app/cli_module_new.c \
	server/app/cli_server.c \
	server/app/cli_status.c server/app/cli_status.h \
	server/app/control.c server/app/control.h \
	server/app/control_answer.c server/app/control_answer.h \
	server/app/control_client.c server/app/control_client.h \
	server/app/crash.c server/app/crash.h server/app/crash_describe.c \
	server/app/elf_symbols.c server/app/elf_symbols.h \
	server/app/json.c server/app/json.h \
	server/app/watchdog.c server/app/watchdog.h
