# SPDX-License-Identifier: BSD-2-Clause
server_libweir_a_SOURCES += \
	server/net/addr.c server/net/addr.h \
	server/net/conn.c server/net/conn.h server/net/conn_state.h \
	server/net/conn_io.c \
	server/net/listener.c server/net/listener.h \
	server/net/proxy_header.c server/net/proxy_header.h \
	server/net/reason.c server/net/reason.h
