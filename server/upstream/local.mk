# SPDX-License-Identifier: BSD-2-Clause
server_libweir_a_SOURCES += \
	server/upstream/exchange.c server/upstream/exchange.h \
	server/upstream/exchange_receive.c \
	server/upstream/exchange_send.c \
	server/upstream/forwarded.c server/upstream/forwarded.h \
	server/upstream/pool.c server/upstream/pool.h \
	server/upstream/proxy.c \
	server/upstream/round_robin.c \
	server/upstream/upstream.c server/upstream/upstream.h
