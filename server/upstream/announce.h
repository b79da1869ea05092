/* SPDX-License-Identifier: BSD-2-Clause */
/* announce.h: the PROXY header towards origins (`proxy_protocol v1|v2;` in an upstream): first on each connection.
 *
 * Shape:   a header names one client and the address it came to, so a connection is used again only for requests of
 *          which it would say exactly the same: those of one client connection, in practice.
 * Thread:  the request's worker; of checks: the one that checks. */
#ifndef UPSTREAM_ANNOUNCE_H
#define UPSTREAM_ANNOUNCE_H

#include "net/conn.h"
#include "net/proxy_header.h"
#include "pipeline/request.h"

/* Whom a header names on behalf of this request: $client_addr, and where it came to. */
void announce_ends(struct weir_req *r, struct proxy_ends *ends);

/* On a connection that was just made, before TLS. False: it broke. ends NULL: the connection is our own. */
bool announce_send(struct conn *conn, int version, const struct proxy_ends *ends);

#endif
