/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/hello.h"
#include "upstream/announce.h"

enum hello hello_step(struct conn *conn, const struct weir_upstream *u, const struct proxy_ends *ends,
                      const char **why)
{
    int version = (int)u->proxy_version;

    if (conn->transport) {
        if (u->protocol != PROTOCOL_H2 || str_equal(conn_alpn(conn), S("h2")))
            return HELLO_DONE;
        *why = "TLS: the server did not choose HTTP/2 (ALPN h2): `protocol http1;` is what it speaks";
        return HELLO_FAILED;
    }
    if (version && !announce_send(conn, version, ends)) {
        *why = "connection broke while sending the PROXY header";
        return HELLO_FAILED;
    }
    if (!u->tls)
        return HELLO_DONE;
    void *state = u->tls->open(u->tls_prepared, conn_fd(conn));
    if (state && conn_start_transport(conn, u->tls, state))
        return HELLO_WAITS;
    *why = "no memory for TLS";
    return HELLO_FAILED;
}
