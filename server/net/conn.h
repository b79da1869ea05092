/* SPDX-License-Identifier: BSD-2-Clause */
/* conn.h: one stream connection: a descriptor, perhaps a transport on it (TLS), and what its owner wants to hear.
 *
 * Shape:   readiness is remembered (edges come once); reads and writes go straight to the kernel or the transport.
 *              owner --conn_read/conn_write--> [transport] --> fd
 *              fd --edge--> conn --on_readable/on_writable--> owner
 * Owner:   embedded in its owner, who calls conn_close once; no callback comes after it, but the on_later that was
 *          asked for behind it. A callback may close the connection and free its owner. No callback comes from inside a
 *          conn_* call.
 *          There are many, and most do nothing most of the time: what its owner needs too (a deadline, a place at the
 *          end of the turn) is here once for both.
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
    void (*on_due)(struct conn *conn);   /* the time of conn_set_due has come */
    void (*on_later)(struct conn *conn); /* at the end of the turn, after conn_later */
};

enum { CONN_RECHECK = 500, CONN_WHY = 120 };
enum { CONN_EOF = 0, CONN_AGAIN = -1, CONN_BROKEN = -2 };

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN };

struct conn {
    struct io io;
    const struct conn_calls *calls;
    const struct weir_transport *transport; /* NULL: plain */
    void *transport_state;
    const char *why;
    enum conn_state state : 8;
    uint8_t handshake_want;       /* the edge the handshake waits for: enum io_ready, 0: none */
    bool can_read : 1, can_write : 1;   /* as the last edges and answers say */
    bool saw_eof : 1, is_broken : 1, peer_closed : 1; /* peer_closed: an early hint (EPOLLRDHUP); data may still wait */
    bool write_shut : 1;
    bool handshake_suspended : 1;
    bool wants_write : 1;         /* a write said CONN_AGAIN: on_writable is owed */
    bool read_wants_write : 1, write_wants_read : 1; /* a transport's crossed wants: the other edge allows a retry */
    bool read_broken : 1;         /* nothing can be read any more; is_broken alone may come from a write */
    bool is_shaking : 1, was_resumed : 1; /* inside transport->handshake(), and resumed from there */
    bool steps_later : 1;         /* what `later` is for: a step of its own that must not run inside the owner's call */
    bool owner_later : 1;         /* ... or the owner's */
    uint32_t recheck;             /* after a short read (see Note), in ms of clock_ms(), its low bits; 0: not set */
    struct deferred later;
    struct deadline deadline;     /* the earlier one of due and recheck */
    uint64_t due;                 /* the owner's, in ms of clock_ms(); 0: not set */
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
void conn_set_due(struct conn *conn, uint64_t ms_from_now); /* on_due then, unless it is set anew; closing ends it */
void conn_cancel_due(struct conn *conn);
static inline bool conn_has_due(const struct conn *conn)
{
    return conn->due != 0;
}
/* on_later once at the end of the present turn, however often it is asked for; conn_close takes it back, but it may be
 * asked for again behind that, to free the owner. */
void conn_later(struct conn *conn);
void conn_soon(struct conn *conn); /* the same, but behind the present callback of this or another connection */
void conn_close(struct conn *conn);          /* fine when closed, or zeroed */
void conn_reset(struct conn *conn);          /* close with RST */
str conn_alpn(const struct conn *conn);
static inline int conn_fd(const struct conn *conn)
{
    return conn->io.fd;
}

#endif
