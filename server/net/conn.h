/* SPDX-License-Identifier: BSD-2-Clause */
/* conn.h: one stream connection: a descriptor, perhaps a transport on it (TLS), and what its owner wants to hear.
 *
 * Shape:   readiness is remembered (edges come once); reads and writes go straight to the kernel or through the transport.
 *              owner --conn_read/conn_write--> [transport] --> fd          fd --edge--> conn --on_readable/on_writable--> owner
 * Owner:   embedded in its owner, who calls conn_close once; no callback comes after it.
 * Thread:  the worker it was opened on.
 * Errors:  CONN_* answers below; a broken connection stays broken. conn->why then says why (static text or the transport's). */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/chain.h"
#include "loop/io.h"
#include "net/addr.h"

#include <weir/conn.h>

struct conn;

struct conn_calls {
    void (*on_readable)(struct conn *conn); /* there is something to read, or the end, or an error */
    void (*on_writable)(struct conn *conn); /* after a write that said CONN_AGAIN (also: connected, with connect) */
    void (*on_ready)(struct conn *conn, bool ok); /* the connect and/or the handshake ended; conn->why when not ok */
};

enum { CONN_EOF = 0, CONN_AGAIN = -1, CONN_BROKEN = -2 };

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN };

struct conn {
    struct io io;
    const struct conn_calls *calls;
    const struct weir_transport *transport; /* NULL: plain */
    void *transport_state;
    enum conn_state state;
    bool can_read, can_write;   /* as the last edges and answers say */
    bool saw_eof, is_broken, peer_closed; /* peer_closed: an early hint (EPOLLRDHUP); data may still be waiting */
    bool write_shut;
    bool handshake_suspended;
    const char *why;
    char why_text[96];
    uint64_t bytes_in, bytes_out; /* on the socket's side of this object (content of the transport) */
};

/* A connected descriptor (nonblocking, close-on-exec), which is taken. False: it was closed. */
bool conn_open(struct conn *conn, int fd, const struct conn_calls *calls);
/* Starts connecting; on_ready tells the end. False: it failed at once (conn->why). */
bool conn_connect(struct conn *conn, const struct addr *to, const struct conn_calls *calls);
/* Puts a transport on an open connection; the handshake runs by itself, on_ready tells its end. */
bool conn_start_transport(struct conn *conn, const struct weir_transport *transport, void *state);
void conn_resume_handshake(struct conn *conn); /* after WEIR_IO_SUSPEND */

int64_t conn_read(struct conn *conn, void *p, size_t n);          /* bytes (> 0), CONN_EOF, CONN_AGAIN or CONN_BROKEN */
int64_t conn_readv(struct conn *conn, struct iovec *iov, int count);
int64_t conn_write(struct conn *conn, const struct iovec *iov, int count); /* bytes (> 0), CONN_AGAIN, CONN_BROKEN */
/* Writes as much of the chain as goes (memory by writev, file ranges by sendfile or read), eating it. 1: all went; else CONN_*. */
int conn_write_chain(struct conn *conn, struct chain *chain);
bool conn_may_read(const struct conn *conn); /* a read may give something: an edge came, or the transport holds bytes */
size_t conn_peek(struct conn *conn, void *p, size_t n); /* MSG_PEEK on a plain connection; 0 when nothing */
void conn_shutdown_write(struct conn *conn); /* transport's farewell, then FIN; best effort, once */
void conn_close(struct conn *conn);          /* fine when closed */
void conn_reset(struct conn *conn);          /* close with RST */
str conn_alpn(const struct conn *conn);
static inline int conn_fd(const struct conn *conn)
{
    return conn->io.fd;
}

#endif
