# SPDX-License-Identifier: BSD-2-Clause
server_libweir_a_SOURCES += \
	server/base/arena.c server/base/arena.h \
	server/base/block.c server/base/block.h \
	server/base/chain.c server/base/chain.h \
	server/base/clock.c server/base/clock.h \
	server/base/diag.c server/base/diag.h server/base/diag_print.c server/base/nearest.c \
	server/base/hash.c server/base/hash.h server/base/strmap.c \
	server/base/latency.c server/base/latency.h \
	server/base/list.h \
	server/base/log.c server/base/log.h \
	server/base/machine.c server/base/machine.h \
	server/base/mem.c server/base/mem.h \
	server/base/out.c server/base/out.h \
	server/base/small.c server/base/small.h \
	server/base/str.c server/base/str.h
