# SPDX-License-Identifier: BSD-2-Clause
# The command line.
server_libweir_a_SOURCES += \
	server/app/cli/cli.c server/app/cli/cli.h \
	server/app/cli/cli_configuration.c \
	server/app/cli/cli_explain.c \
	server/app/cli/cli_module_check.c \
	server/app/cli/cli_module_new.c \
	server/app/cli/cli_proxy.c \
	server/app/cli/cli_server.c \
	server/app/cli/cli_status.c server/app/cli/cli_status.h \
	server/app/cli/elf_symbols.c server/app/cli/elf_symbols.h
