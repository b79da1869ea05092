/* SPDX-License-Identifier: BSD-2-Clause */
/* hello.h: what stands between a connection to a server and HTTP on it: the PROXY header, then TLS, which must choose
 * the upstream's version of HTTP.
 *
 * Shape:   asked when the connection is made and again when a handshake is over (conn_calls.on_ready).
 * Thread:  the connection's. */
#ifndef UPSTREAM_HELLO_H
#define UPSTREAM_HELLO_H

#include "net/conn.h"
#include "net/proxy_header.h"
#include "upstream/upstream.h"

enum hello { HELLO_DONE, HELLO_WAITS, HELLO_FAILED }; /* HELLO_WAITS: on_ready comes again */

/* ends: whom the PROXY header names, where there is one; NULL: the connection is our own. why: of a failure, static. */
enum hello hello_step(struct conn *conn, const struct weir_upstream *u, const struct proxy_ends *ends,
                      const char **why);

#endif
