# SPDX-License-Identifier: BSD-2-Clause
server_libweir_a_SOURCES += \
	server/config/args.c server/config/args.h \
	server/config/bind.c server/config/bind.h server/config/binding.h \
	server/config/check.c \
	server/config/cidr.c \
	server/config/dump.c \
	server/config/include.c \
	server/config/lexer.c server/config/lexer.h \
	server/config/manual.c \
	server/config/merge.c \
	server/config/parse.h \
	server/config/schema.c server/config/schema.h \
	server/config/template.c server/config/template.h \
	server/config/tree.c server/config/tree.h \
	server/config/usage.c server/config/usage.h \
	server/config/value.c server/config/value.h \
	server/config/variables.c
