/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/proxy_preface.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pipeline/overload.h"

#include <stdatomic.h>

enum { LINE_EVERY_MS = 60 * 1000 };

bool proxy_preface_is_due(const struct listen_point *point, const struct addr *peer)
{
    const struct snapshot *snapshot = snapshot_current();

    return snapshot && snapshot->sends_proxy_header && snapshot->sends_proxy_header(snapshot, point, peer);
}

/* A balancer that was set up wrongly says the same with each connection: one line a minute. */
static bool may_warn(void)
{
    static _Atomic uint64_t last_line;
    uint64_t now = clock_ms() + 1, last = atomic_load_explicit(&last_line, memory_order_relaxed);

    if (last && now - last < LINE_EVERY_MS)
        return false;
    return atomic_compare_exchange_strong_explicit(&last_line, &last, now, memory_order_relaxed, memory_order_relaxed);
}

static str peer_text(const struct weir_conn *c, char room[ADDR_TEXT])
{
    return c->is_unix ? S("unix:") : addr_ip_text(c->peer, room);
}

static bool refuse(struct weir_conn *c, const char *why)
{
    char room[ADDR_TEXT];
    str peer = peer_text(c, room), listen = c->point->key;

    if (may_warn())
        log_warn("listen %.*s: PROXY header of %.*s refused: %s; proxy_protocol= names this peer, so each of its "
                 "connections has to begin with one",
                 STR_ARG(listen), STR_ARG(peer), why);
    else
        log_debug("listen %.*s: PROXY header of %.*s refused: %s", STR_ARG(listen), STR_ARG(peer), why);
    session_close(c);
    return false;
}

void proxy_preface_late(struct weir_conn *c)
{
    char room[ADDR_TEXT];

    log_info("listen %.*s: no PROXY header from %.*s in time", STR_ARG(c->point->key),
             STR_ARG(peer_text(c, room)));
}

static bool wait_for_more(struct weir_conn *c, bool has_begun)
{
    if (!c->conn.peer_closed)
        return false;
    if (has_begun)
        return refuse(c, "it is cut short");
    session_close(c); /* a mere look whether the port is open */
    return false;
}

static bool take(struct weir_conn *c, const struct proxy_header *header)
{
    char bytes[PROXY_HEADER_MOST];

    if (conn_read(&c->conn, bytes, header->n) != (int64_t)header->n)
        return refuse(c, "connection broke");
    c->announced = mem_alloc(sizeof(*c->announced));
    if (!c->announced) {
        log_warn("client connection: no memory");
        session_close(c);
        return false;
    }
    *c->announced = header->ends;
    c->awaits_proxy_header = false;
    if (header->ends.is_known && !overload_enter_client(header->ends.source, &c->client_place)) {
        session_close(c);
        return false;
    }
    return true;
}

bool proxy_preface_read(struct weir_conn *c)
{
    char bytes[PROXY_HEADER_MOST];
    struct proxy_header header;
    const char *why = NULL;
    str in = { bytes, conn_peek(&c->conn, bytes, sizeof(bytes)) };

    switch (proxy_header_read(in, &header, &why)) {
    case PROXY_HEADER_MORE:
        return wait_for_more(c, in.n > 0);
    case PROXY_HEADER_REFUSED:
        return refuse(c, why);
    case PROXY_HEADER_WHOLE:
        break;
    }
    return take(c, &header);
}
