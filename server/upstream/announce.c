/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/announce.h"

#include "pipeline/session.h"

void announce_ends(struct weir_req *r, struct proxy_ends *ends)
{
    struct weir_conn *c = r->conn;
    uint8_t address[16];
    uint16_t port;

    *ends = (struct proxy_ends){ .is_known = false };
    if (!c || !session_client(c, address, &port))
        return;
    ends->is_known = true;
    memcpy(ends->source, r->client, 16);
    ends->source_port = r->client_port;
    if (c->announced) {
        memcpy(ends->target, c->announced->target, 16);
        ends->target_port = c->announced->target_port;
        return;
    }
    session_local_address(c, ends->target);
    ends->target_port = c->local_port;
}

bool announce_send(struct conn *conn, int version, const struct proxy_ends *ends)
{
    char room[PROXY_HEADER_ROOM];
    size_t n = ends ? proxy_header_put(version, ends, room) : proxy_header_put_own(version, room);
    struct iovec iov = { room, n };

    return conn_write(conn, &iov, 1) == (int64_t)n; /* into an empty socket buffer it goes whole */
}
