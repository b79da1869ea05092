/* SPDX-License-Identifier: BSD-2-Clause */
/* conn.h: client connections and transports (what stands between the socket and HTTP, as TLS does).
 *
 * Thread:  every call comes on the worker that owns the connection, but prepare/release, which come where configuration
 *          is bound.
 * Owner:   the core closes the descriptor, after close(). */
#ifndef WEIR_CONN_H
#define WEIR_CONN_H

#include <weir/conf.h>

/* What transport calls answer besides a count of bytes. */
#define WEIR_IO_EOF 0            /* readv: the peer ended its side in order */
#define WEIR_IO_WANT_READ (-1)   /* call again when the socket can be read */
#define WEIR_IO_WANT_WRITE (-2)  /* call again when the socket can be written */
#define WEIR_IO_ERROR (-3)       /* broken; the reason output or why() says why */
#define WEIR_IO_SUSPEND (-4)     /* handshake only: weir_conn_resume() will follow */

/* What a client-role transport is asked for. Strings live as long as the snapshot. */
struct weir_transport_wish {
    weir_str server_name; /* sent as SNI and compared with the certificate; may be an IP address; empty: none */
    weir_str ca_file;     /* empty: the system's */
    weir_str certificate, key; /* files to show to the server; empty: none */
    weir_str alpn;        /* comma separated, as in "h2,http/1.1"; empty: none */
    bool verify;
};

struct weir_transport {
    uint32_t size; /* sizeof(struct weir_transport) */
    uint32_t reserved;
    const char *name; /* as in `listen 443 tls` */

    /* Server role: a new state for a connection on fd, or NULL (then the connection is closed). The configuration of a
     * site is asked for with weir_conn_site_conf() once its name is known. */
    void *(*accept)(weir_conn *conn, int fd);

    /* Client role. prepare: once per distinct wish and snapshot; NULL after weir_conf_error(). open: a connection made
     * from it; key is equal for connections to the same server, so that sessions can be resumed. */
    void *(*prepare)(weir_conf *conf, const struct weir_transport_wish *wish);
    void (*release)(void *prepared);
    void *(*open)(void *prepared, int fd);

    /* Both roles. 1 when done, or WEIR_IO_*. */
    int (*handshake)(void *state, weir_str *why);
    /* Bytes, or WEIR_IO_*. Fewer bytes than there was room for mean that the socket is drained, or pending() tells of
     * more. */
    int64_t (*readv)(void *state, const weir_span *to, uint32_t count);
    int64_t (*writev)(void *state, const weir_str *from, uint32_t count); /* bytes, or WEIR_IO_* */
    int (*shutdown)(void *state);  /* tells the peer that no more comes, the socket's follows: 1 or WEIR_IO_* */
    void (*close)(void *state);    /* frees it; no I/O */
    uint32_t (*pending)(void *state); /* decrypted bytes that readv would give without reading the socket */
    weir_str (*alpn)(void *state); /* the protocol agreed on, or empty */
    /* Asked when readv or writev answered WEIR_IO_ERROR: why, or empty. Valid until the next call. May be NULL. */
    weir_str (*why)(void *state);
};

#endif
