/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/hello.h"
#include "upstream/announce.h"

enum hello hello_step(struct conn *conn, const struct weir_upstream *u, const struct proxy_ends *ends,
                      const char **why)
{
    int version = (int)u->proxy_version;

    if (conn->transport)
        return HELLO_DONE;
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
