# SPDX-License-Identifier: BSD-2-Clause
server_libweir_a_SOURCES += \
	server/upstream/announce.c server/upstream/announce.h \
	server/upstream/balancers.h \
	server/upstream/change_orders.c server/upstream/change_orders.h \
	server/upstream/changes.c server/upstream/changes.h \
	server/upstream/ewma.c \
	server/upstream/carrier_h1.c server/upstream/carrier_h1.h \
	server/upstream/carrier_h1_receive.c \
	server/upstream/carrier_h1_send.c \
	server/upstream/carrier_h2.c \
	server/upstream/check_h2.c server/upstream/check_h2.h \
	server/upstream/exchange.c server/upstream/exchange.h \
	server/upstream/exchange_choose.c \
	server/upstream/exchange_request.c \
	server/upstream/exchange_response.c \
	server/upstream/forwarded.c server/upstream/forwarded.h \
	server/upstream/hash.c \
	server/upstream/health_check.c server/upstream/health_check.h \
	server/upstream/hello.c server/upstream/hello.h \
	server/upstream/hop.c server/upstream/hop.h \
	server/upstream/least_conn.c \
	server/upstream/link.c server/upstream/link.h \
	server/upstream/link_places.c \
	server/upstream/pool.c server/upstream/pool.h \
	server/upstream/proxy.c \
	server/upstream/random.c \
	server/upstream/retry.c server/upstream/retry.h \
	server/upstream/round_robin.c \
	server/upstream/server_state.c server/upstream/server_state.h \
	server/upstream/service.c server/upstream/service.h \
	server/upstream/sticky.c server/upstream/sticky.h \
	server/upstream/upstream.c server/upstream/upstream.h \
	server/upstream/server_figures.c server/upstream/server_figures.h \
	server/upstream/upstream_directives.c \
	server/upstream/upstream_metrics.c server/upstream/upstream_metrics.h \
	server/upstream/version.c server/upstream/version.h
