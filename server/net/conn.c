/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/conn_state.h"
#include "base/clock.h"
#include "net/reason.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* Around every callback: it may close the connection, free it, or open it anew. */
struct guard {
    const struct conn *conn;
    bool is_gone;
    struct guard *outer;
};

static _Thread_local struct guard *guards; /* the innermost */

static void guard_begin(struct conn *conn, struct guard *guard)
{
    *guard = (struct guard){ .conn = conn, .outer = guards };
    guards = guard;
}

static bool guard_end(struct guard *guard) /* whether it lives; if not, conn must not be touched */
{
    guards = guard->outer;
    return !guard->is_gone;
}

static void guards_note_end(const struct conn *conn)
{
    for (struct guard *guard = guards; guard; guard = guard->outer)
        if (guard->conn == conn)
            guard->is_gone = true;
}

static bool call(struct conn *conn, void (*callback)(struct conn *))
{
    struct guard guard;
    guard_begin(conn, &guard);
    callback(conn);
    return guard_end(&guard);
}

static bool call_ready(struct conn *conn, bool ok)
{
    struct guard guard;
    guard_begin(conn, &guard);
    conn->calls->on_ready(conn, ok);
    return guard_end(&guard);
}

void conn_set_why(struct conn *conn, str why)
{
    conn->why = reason_keep(why);
}

void conn_break(struct conn *conn, const char *why)
{
    conn->is_broken = true;
    if (!conn->why)
        conn->why = why;
}

void conn_break_errno(struct conn *conn, int error)
{
    conn_break(conn, reason_of_errno(error));
}

/* on_writable, when it is owed and a write would go. */
static void pay_writable(struct conn *conn)
{
    if (conn->state != CONN_OPEN || !conn->wants_write || !conn->can_write)
        return;
    conn->wants_write = false;
    call(conn, conn->calls->on_writable);
}

static void fail(struct conn *conn)
{
    conn->read_broken = conn->is_broken = true;
    call_ready(conn, false);
}

/* Connected or shaken hands: tells so, and what had come in the meantime, for which there will be no other edge. */
static void become_open(struct conn *conn)
{
    conn->state = CONN_OPEN;
    if (!call_ready(conn, true))
        return;
    if (conn_may_read(conn) && !call(conn, conn->calls->on_readable))
        return;
    pay_writable(conn);
}

static int socket_error(struct conn *conn)
{
    int error = 0;
    socklen_t n = sizeof(error);
    return getsockopt(conn->io.fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 ? error : errno;
}

static void finish_connect(struct conn *conn)
{
    int error = socket_error(conn);
    if (error == 0) {
        become_open(conn);
        return;
    }
    conn_break_errno(conn, error);
    fail(conn);
}

static int run_handshake(struct conn *conn, weir_str *why)
{
    conn->is_shaking = true;
    conn->was_resumed = false;
    conn->handshake_want = 0;
    int answer = conn->transport->handshake(conn->transport_state, why);
    conn->is_shaking = false;
    return answer;
}

static void shake(struct conn *conn)
{
    weir_str why = { NULL, 0 };
    switch (run_handshake(conn, &why)) {
    case 1:
        become_open(conn);
        return;
    case WEIR_IO_WANT_READ:
        conn->can_read = false;
        conn->handshake_want = IO_READ;
        return;
    case WEIR_IO_WANT_WRITE:
        conn->can_write = false;
        conn->handshake_want = IO_WRITE;
        return;
    case WEIR_IO_SUSPEND:
        if (conn->was_resumed)
            conn_step_later(conn);
        else
            conn->handshake_suspended = true;
        return;
    case WEIR_IO_EOF:
        conn_break(conn, "closed by peer during the handshake");
        break;
    default:
        if (why.n)
            conn_set_why(conn, why);
        conn_break(conn, "handshake failed");
        break;
    }
    fail(conn);
}

static void step(struct conn *conn)
{
    if (conn->state != CONN_OPEN && conn->is_broken)
        return; /* told already */
    switch (conn->state) {
    case CONN_CONNECTING: /* connect() was done at once */
        become_open(conn);
        break;
    case CONN_HANDSHAKE:
        if (!conn->handshake_suspended)
            shake(conn);
        break;
    case CONN_OPEN: /* a write stopped for fairness, not because it had to */
        pay_writable(conn);
        break;
    case CONN_CLOSED:
        break;
    }
}

static void run_later(struct deferred *deferred)
{
    struct conn *conn = list_entry(deferred, struct conn, later);
    bool steps = conn->steps_later, owner = conn->owner_later;
    struct guard guard;

    conn->steps_later = conn->owner_later = false;
    if (steps) {
        guard_begin(conn, &guard);
        step(conn);
        if (!guard_end(&guard))
            return; /* what was asked for since then comes by itself */
    }
    if (owner)
        call(conn, conn->calls->on_later);
}

void conn_step_later(struct conn *conn)
{
    conn->steps_later = true;
    worker_defer(&conn->later);
}

void conn_later(struct conn *conn)
{
    conn->owner_later = true;
    worker_defer(&conn->later);
}

void conn_soon(struct conn *conn)
{
    conn->owner_later = true;
    if (conn->state == CONN_CLOSED) /* whoever called its owner may still look at it */
        worker_defer(&conn->later);
    else
        worker_defer_soon(&conn->later);
}

void conn_resume_handshake(struct conn *conn)
{
    if (conn->state != CONN_HANDSHAKE)
        return;
    if (conn->is_shaking)
        conn->was_resumed = true;
    if (!conn->handshake_suspended)
        return;
    conn->handshake_suspended = false;
    conn_step_later(conn);
}

static bool has_error(struct conn *conn)
{
    int error = socket_error(conn);
    if (error)
        conn_break_errno(conn, error);
    return error != 0;
}

/* After the end nothing can be read, but a peer that then resets the connection is worth knowing of. */
static bool is_reset_after_eof(struct conn *conn)
{
    if (conn->read_broken || !has_error(conn))
        return false;
    conn->read_broken = true;
    return true;
}

/* libevent shows an error as mere readiness: one that came with the last data in one edge was taken for that data.
 * Answers whether the connection lives. */
static bool look_for_reset(struct conn *conn)
{
    if (conn->state != CONN_OPEN || conn->can_read || conn->saw_eof || conn->is_broken)
        return true;
    if (!has_error(conn))
        return true;
    conn->can_read = true; /* what may have come since is still read first */
    return call(conn, conn->calls->on_readable);
}

/* It is never far from now. */
static uint64_t recheck_time(const struct conn *conn)
{
    if (!conn->recheck)
        return 0;
    uint64_t now = clock_ms();
    return now + (uint64_t)(int64_t)(int32_t)(conn->recheck - (uint32_t)now);
}

static void arm(struct conn *conn)
{
    uint64_t recheck = recheck_time(conn);
    uint64_t at = !conn->due || (recheck && recheck < conn->due) ? recheck : conn->due;

    if (at)
        deadline_set_at(&conn->deadline, at);
    else
        deadline_cancel(&conn->deadline);
}

static void on_deadline(struct deadline *deadline)
{
    struct conn *conn = list_entry(deadline, struct conn, deadline);
    uint64_t now = clock_ms();

    if (conn->recheck && recheck_time(conn) <= now) {
        conn->recheck = 0;
        if (!look_for_reset(conn))
            return;
    }
    if (conn->due && conn->due <= now) {
        conn->due = 0;
        if (!call(conn, conn->calls->on_due))
            return;
    }
    arm(conn);
}

void conn_recheck_later(struct conn *conn)
{
    conn->recheck = (uint32_t)deadline_time(CONN_RECHECK);
    conn->recheck += conn->recheck == 0; /* that would say "not set" */
    arm(conn);
}

void conn_set_due(struct conn *conn, uint64_t ms_from_now)
{
    conn->due = deadline_time(ms_from_now);
    arm(conn);
}

void conn_cancel_due(struct conn *conn)
{
    conn->due = 0;
    arm(conn);
}

static void deliver(struct conn *conn, unsigned ready)
{
    bool readable = ready & (IO_READ | IO_CLOSED);
    if (conn->write_wants_read && readable) {
        conn->write_wants_read = false;
        conn->can_write = true;
    }
    if (conn->read_wants_write && ready & IO_WRITE) {
        conn->read_wants_write = false;
        conn->can_read = readable = true;
    }
    if (conn->read_wants_write)
        readable = false;
    if (conn->saw_eof && readable)
        readable = is_reset_after_eof(conn);
    if (readable && !call(conn, conn->calls->on_readable))
        return;
    pay_writable(conn);
}

static void on_edge(struct io *io, unsigned ready)
{
    struct conn *conn = list_entry(io, struct conn, io);
    if (ready & IO_CLOSED)
        conn->peer_closed = true;
    if (ready & (IO_READ | IO_CLOSED) && !conn->read_wants_write) /* crossed ones wait for the other edge */
        conn->can_read = true;
    if (ready & IO_WRITE && !conn->write_wants_read && conn->state != CONN_CONNECTING)
        conn->can_write = true;

    switch (conn->state) {
    case CONN_CONNECTING:
        if (ready & IO_WRITE && !conn->is_broken) {
            conn->can_write = true;
            finish_connect(conn);
        }
        break;
    case CONN_HANDSHAKE:
        if (ready & IO_CLOSED)
            ready |= IO_READ;
        if (!conn->handshake_suspended && conn->handshake_want & ready)
            shake(conn);
        break;
    case CONN_OPEN:
        deliver(conn, ready);
        break;
    case CONN_CLOSED:
        break;
    }
}

static void init(struct conn *conn, const struct conn_calls *calls)
{
    memset(conn, 0, sizeof(*conn));
    conn->io.fd = -1;
    conn->calls = calls;
    deferred_init(&conn->later, run_later);
    deadline_init(&conn->deadline, on_deadline);
}

bool conn_open(struct conn *conn, int fd, const struct conn_calls *calls)
{
    init(conn, calls);
    if (!io_add(&conn->io, fd, on_edge)) {
        close(fd);
        conn->io.fd = -1;
        conn_break(conn, "no memory or watches for another connection");
        return false;
    }
    conn->state = CONN_OPEN;
    conn->can_write = true;
    return true;
}

static int connect_socket(const struct addr *to, bool *is_connected)
{
    int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    static const int on = 1;
    if (!addr_is_unix(to))
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *is_connected = connect(fd, &to->any, to->n) == 0;
    if (*is_connected || errno == EINPROGRESS || errno == EINTR)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

bool conn_connect(struct conn *conn, const struct addr *to, const struct conn_calls *calls)
{
    init(conn, calls);
    bool is_connected;
    int fd = connect_socket(to, &is_connected);
    if (fd < 0) {
        if (errno == EAGAIN)
            conn_break(conn, addr_is_unix(to) ? "its queue is full" : "no free local port");
        else
            conn_break_errno(conn, errno);
        return false;
    }
    if (!io_add(&conn->io, fd, on_edge)) {
        close(fd);
        conn->io.fd = -1;
        conn_break(conn, "no memory or watches for another connection");
        return false;
    }
    conn->state = CONN_CONNECTING;
    if (is_connected) {
        conn->can_write = true;
        conn_step_later(conn);
    }
    return true;
}

bool conn_start_transport(struct conn *conn, const struct weir_transport *transport, void *state)
{
    if (conn->state != CONN_OPEN || conn->transport)
        return false;
    conn->transport = transport;
    conn->transport_state = state;
    conn->state = CONN_HANDSHAKE;
    conn->wants_write = false;
    conn_step_later(conn);
    return true;
}

str conn_alpn(const struct conn *conn)
{
    if (!conn->transport || !conn->transport->alpn || conn->state != CONN_OPEN)
        return STR_NONE;
    return conn->transport->alpn(conn->transport_state);
}

void conn_shutdown_write(struct conn *conn)
{
    if (conn->state == CONN_CLOSED || conn->write_shut)
        return;
    conn->write_shut = true;
    if (conn->state == CONN_OPEN && conn->transport && conn->transport->shutdown && !conn->is_broken)
        conn->transport->shutdown(conn->transport_state);
    shutdown(conn->io.fd, SHUT_WR);
}

void conn_close(struct conn *conn)
{
    if (conn->state == CONN_CLOSED)
        return;
    conn->state = CONN_CLOSED;
    guards_note_end(conn);
    list_remove(&conn->later.link);
    conn->steps_later = conn->owner_later = false;
    deadline_cancel(&conn->deadline);
    conn->due = 0;
    conn->recheck = 0;
    io_remove(&conn->io);
    if (conn->transport)
        conn->transport->close(conn->transport_state);
    conn->transport = NULL;
    conn->transport_state = NULL;
    close(conn->io.fd);
    conn->io.fd = -1;
}

void conn_reset(struct conn *conn)
{
    static const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    if (conn->state != CONN_CLOSED)
        setsockopt(conn->io.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    conn_close(conn);
}
