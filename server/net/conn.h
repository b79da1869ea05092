/* SPDX-License-Identifier: BSD-2-Clause */
/* conn.h: one stream connection: a descriptor, perhaps a transport on it (TLS), and what its owner wants to hear.
 *
 * Shape:   readiness is remembered (edges come once); reads and writes go straight to the kernel or the transport.
 *              owner --conn_read/conn_write--> [transport] --> fd
 *              fd --edge--> conn --on_readable/on_writable--> owner
 * Owner:   embedded in its owner, who calls conn_close once; no callback comes after it. A callback may close the
 *          connection and free its owner. No callback comes from inside a conn_* call.
 * Thread:  the worker it was opened on.
 * Errors:  CONN_* answers below; a broken connection stays broken. conn->why then says why (static text or the
 *          transport's). On a plain connection a failed write does not forbid reading what had come before, so that an
 *          early answer is still got.
 * Note:    after a short read no further one is tried before the next edge. An RST that came in one edge with the last
 *          data shows in no later one, so a connection that stays silent after a short read is asked once, after
 *          CONN_RECHECK ms, whether it still stands.
 *          TCP_NODELAY is set by conn_connect and, for accepted sockets, inherited from the listener. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/chain.h"
#include "loop/deadline.h"
#include "loop/io.h"
#include "loop/worker.h"
#include "net/addr.h"

#include <weir/conn.h>

struct conn;

struct conn_calls {
    void (*on_readable)(struct conn *conn); /* there is something to read, or the end, or an error */
    void (*on_writable)(struct conn *conn); /* after a write that said CONN_AGAIN (also one made before on_ready) */
    void (*on_ready)(struct conn *conn, bool ok); /* the connect and/or the handshake ended; conn->why when not ok */
};

enum { CONN_RECHECK = 500, CONN_WHY = 120 };
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
    bool wants_write;                        /* a write said CONN_AGAIN: on_writable is owed */
    bool read_wants_write, write_wants_read; /* a transport's crossed wants: the other edge allows a retry */
    bool read_broken;             /* nothing can be read any more; is_broken alone may come from a write */
    bool is_shaking, was_resumed; /* inside transport->handshake(), and resumed from there */
    uint8_t handshake_want;       /* the edge the handshake waits for: enum io_ready, 0: none */
    const char *why;
    struct deferred later;   /* the next step that must not run inside the owner's call */
    struct deadline recheck; /* after a short read: see Note */
    bool *gone;              /* set when closed from a callback */
    uint64_t bytes_in, bytes_out; /* on the socket's side of this object (content of the transport) */
};

/* A connected descriptor (nonblocking, close-on-exec), which is taken. False: it was closed. What can be read
 * already is told by on_readable, in the next turn. */
bool conn_open(struct conn *conn, int fd, const struct conn_calls *calls);
/* Starts connecting; on_ready tells the end (and conn_close is still due). False: it failed at once (conn->why), and is
 * closed. */
bool conn_connect(struct conn *conn, const struct addr *to, const struct conn_calls *calls);
/* Puts a transport on an open connection; the handshake runs by itself, on_ready tells its end. False: it is not open
 * (or has one), and state was not taken. */
bool conn_start_transport(struct conn *conn, const struct weir_transport *transport, void *state);
void conn_resume_handshake(struct conn *conn); /* after WEIR_IO_SUSPEND */

int64_t conn_read(struct conn *conn, void *p, size_t n);          /* bytes (> 0), CONN_EOF, CONN_AGAIN or CONN_BROKEN */
int64_t conn_readv(struct conn *conn, struct iovec *iov, int count);
int64_t conn_write(struct conn *conn, const struct iovec *iov, int count); /* bytes (> 0), CONN_AGAIN, CONN_BROKEN */
/* Writes as much of the chain as goes (memory by writev, file ranges by sendfile or read), eating it. 1: all went; else
 * CONN_*. */
int conn_write_chain(struct conn *conn, struct chain *chain);
bool conn_may_read(const struct conn *conn); /* a read may give something: an edge came, or the transport holds bytes */
size_t conn_peek(struct conn *conn, void *p, size_t n); /* MSG_PEEK on a plain connection; 0 when nothing */
void conn_shutdown_write(struct conn *conn); /* transport's farewell, then FIN; best effort, once */
void conn_set_why(struct conn *conn, str why); /* for whoever knows better, as a transport does; kept for ever, cut */
void conn_close(struct conn *conn);          /* fine when closed, or zeroed */
void conn_reset(struct conn *conn);          /* close with RST */
str conn_alpn(const struct conn *conn);
static inline int conn_fd(const struct conn *conn)
{
    return conn->io.fd;
}

#endif
