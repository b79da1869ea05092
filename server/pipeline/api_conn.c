/* SPDX-License-Identifier: BSD-2-Clause */
/* api_conn.c: what conn hooks and transports ask of a client connection. */
#include "pipeline/api.h"

#include "pipeline/session.h"

enum { PEEK_MOST = 8 * 1024 };

const void *api_conn_site_conf(weir_conn *c, weir_mod *mod, weir_str server_name)
{
    const struct snapshot *snapshot = c->setup ? c->setup : snapshot_current();
    const struct scope *scope = snapshot ? snapshot->tls_site(snapshot, c->point, server_name) : NULL;
    return scope && mod->index < scope->owner_count ? scope->confs[mod->index] : NULL;
}

weir_str api_conn_protocols(weir_conn *c, weir_str server_name)
{
    const struct snapshot *snapshot = c->setup ? c->setup : snapshot_current();
    const struct scope *scope = snapshot ? snapshot->tls_site(snapshot, c->point, server_name) : NULL;
    const struct core_conf *core = scope ? scope->confs[snapshot->core_index] : NULL;
    return core && core->http2 ? S("\x02h2\x08http/1.1") : S("\x08http/1.1");
}

void *api_conn_ctx(weir_conn *c, weir_mod *mod)
{
    return session_ctx(c, mod);
}

void *api_conn_transport(weir_conn *c, const struct weir_transport *transport)
{
    return c->conn.transport == transport ? c->conn.transport_state : NULL;
}

void api_conn_address(weir_conn *c, uint32_t which, uint8_t out[16], uint16_t *port)
{
    if (which == WEIR_ADDR_LOCAL) {
        session_local_address(c, out);
        *port = c->local_port;
        return;
    }
    if (which == WEIR_ADDR_CLIENT) {
        session_client(c, out, port);
        return;
    }
    memcpy(out, c->peer, 16);
    *port = c->peer_port;
}

weir_str api_conn_peek(weir_conn *c)
{
    static _Thread_local char room[PEEK_MOST]; /* valid while the hook runs, and no other one does meanwhile */
    return (weir_str){ room, conn_peek(&c->conn, room, sizeof(room)) };
}
