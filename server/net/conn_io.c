/* SPDX-License-Identifier: BSD-2-Clause */
/* conn_io.c: bytes in and out of a connection (conn.h), straight to the kernel or through its transport. */
#include "net/conn_state.h"

#include <assert.h>
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    SLICES = 64,              /* of a chain, in one call */
    COPY_MOST = 16 * 1024,    /* of a file, through a transport: a TLS record's content */
    TURN_MOST = 256 * 1024,   /* written in one conn_write_chain; above, others have their turn first */
    FILE_MOST = TURN_MOST,    /* asked of one sendfile */
};

static size_t bytes_in_all(const struct iovec *iov, int count)
{
    size_t n = 0;
    for (int i = 0; i < count; i++)
        n += iov[i].iov_len;
    return n;
}

static bool transport_holds_bytes(const struct conn *conn)
{
    return conn->transport && conn->transport->pending && !conn->read_wants_write
           && conn->transport->pending(conn->transport_state) > 0;
}

bool conn_may_read(const struct conn *conn)
{
    if (conn->state != CONN_OPEN || conn->saw_eof || conn->read_broken)
        return false;
    return conn->can_read || transport_holds_bytes(conn);
}

static int64_t end_of_input(struct conn *conn)
{
    conn->can_read = false;
    if (conn->is_broken) { /* a reset that a write was told of looks like an orderly end to the next read */
        conn->read_broken = true;
        return CONN_BROKEN;
    }
    conn->saw_eof = true;
    return CONN_EOF;
}

static int64_t read_broken(struct conn *conn)
{
    conn->read_broken = true;
    conn->can_read = false;
    return CONN_BROKEN;
}

/* In a process with threads, libc makes each of these a point where a thread may be cancelled, at the price of two
 * locked instructions a call. Nobody cancels threads here, and these three are most of the calls there are. Sanitizers
 * want to see the buffers. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define receive(fd, p, n) recv(fd, p, n, 0)
#define transmit(fd, p, n, flags) send(fd, p, n, flags)
#define transmit_all(fd, message, flags) sendmsg(fd, message, flags)
#else
#define receive(fd, p, n) syscall(SYS_recvfrom, fd, p, n, 0, NULL, NULL)
#define transmit(fd, p, n, flags) syscall(SYS_sendto, fd, p, n, flags, NULL, 0)
#define transmit_all(fd, message, flags) syscall(SYS_sendmsg, fd, message, flags)
#endif

static int64_t read_plain(struct conn *conn, const struct iovec *iov, int count)
{
    ssize_t n;
    do {
        n = count == 1 ? receive(conn->io.fd, iov->iov_base, iov->iov_len) : readv(conn->io.fd, iov, count);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        /* Short: the socket is empty and the next bytes come with an edge; but none follows the peer's FIN. */
        if ((size_t)n < bytes_in_all(iov, count) && !conn->peer_closed) {
            conn->can_read = false;
            conn_recheck_later(conn);
        }
        return n;
    }
    if (n == 0)
        return end_of_input(conn);
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        conn->can_read = false;
        return CONN_AGAIN;
    }
    conn_break_errno(conn, errno);
    return read_broken(conn);
}

static void break_transport(struct conn *conn)
{
    weir_str why = conn->transport->why ? conn->transport->why(conn->transport_state) : (weir_str){ NULL, 0 };

    if (why.n && !conn->why)
        conn_set_why(conn, why);
    conn_break(conn, "transport failed");
}

static int64_t read_transport(struct conn *conn, const struct iovec *iov, int count)
{
    weir_span spans[SLICES];
    spans[0] = (weir_span){ NULL, 0 };
    if (count > SLICES)
        count = SLICES;
    for (int i = 0; i < count; i++)
        spans[i] = (weir_span){ iov[i].iov_base, iov[i].iov_len };
    int64_t n = conn->transport->readv(conn->transport_state, spans, (uint32_t)count);
    if (n > 0) {
        /* Short, and nothing held back: the transport has drained the socket. The peer's FIN brings no further edge. */
        if ((size_t)n < bytes_in_all(iov, count) && !conn->peer_closed && !transport_holds_bytes(conn)) {
            conn->can_read = false;
            conn_recheck_later(conn);
        }
        return n;
    }
    switch (n) {
    case WEIR_IO_EOF:
        return end_of_input(conn);
    case WEIR_IO_WANT_READ: /* part of a record may have been read on the way here */
        conn->can_read = false;
        conn_recheck_later(conn);
        return CONN_AGAIN;
    case WEIR_IO_WANT_WRITE:
        conn->can_read = conn->can_write = false;
        conn->read_wants_write = true;
        return CONN_AGAIN;
    default:
        break_transport(conn);
        return read_broken(conn);
    }
}

int64_t conn_readv(struct conn *conn, struct iovec *iov, int count)
{
    if (conn->read_broken || conn->state == CONN_CLOSED)
        return CONN_BROKEN;
    if (conn->saw_eof)
        return CONN_EOF;
    if (!conn_may_read(conn))
        return CONN_AGAIN;
    assert(count > 0 && bytes_in_all(iov, count) > 0); /* no room would look like the end */
    return conn->transport ? read_transport(conn, iov, count) : read_plain(conn, iov, count);
}

int64_t conn_read(struct conn *conn, void *p, size_t n)
{
    struct iovec iov = { .iov_base = p, .iov_len = n };
    return conn_readv(conn, &iov, 1);
}

size_t conn_peek(struct conn *conn, void *p, size_t n)
{
    if (conn->transport || !conn_may_read(conn))
        return 0;
    ssize_t got;
    do {
        got = recv(conn->io.fd, p, n, MSG_PEEK);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        conn->can_read = false;
    return got > 0 ? (size_t)got : 0;
}

static int64_t write_blocked(struct conn *conn)
{
    conn->can_write = false;
    conn->wants_write = true;
    return CONN_AGAIN;
}

static int64_t write_failed(struct conn *conn)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return write_blocked(conn);
    conn_break_errno(conn, errno);
    return CONN_BROKEN;
}

static int64_t write_plain(struct conn *conn, const struct iovec *iov, int count, int flags)
{
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count };
    ssize_t n;
    flags |= MSG_NOSIGNAL;
    do {
        n = count == 1 ? transmit(conn->io.fd, iov->iov_base, iov->iov_len, flags)
                       : transmit_all(conn->io.fd, &message, flags);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return write_failed(conn);
    if ((size_t)n < bytes_in_all(iov, count))
        conn->can_write = false; /* full: there will be an edge */
    return n;
}

static int64_t write_transport(struct conn *conn, const struct iovec *iov, int count)
{
    weir_str slices[SLICES];
    if (count > SLICES)
        count = SLICES;
    for (int i = 0; i < count; i++)
        slices[i] = (weir_str){ iov[i].iov_base, iov[i].iov_len };
    int64_t n = conn->transport->writev(conn->transport_state, slices, (uint32_t)count);
    if (n > 0) {
        return n;
    }
    switch (n) {
    case WEIR_IO_WANT_READ:
        conn->can_read = false; /* it was tried */
        conn->write_wants_read = true;
        return write_blocked(conn);
    case WEIR_IO_WANT_WRITE:
        return write_blocked(conn);
    default:
        break_transport(conn);
        conn->read_broken = true; /* a session that broke one way is no good for the other */
        return CONN_BROKEN;
    }
}

/* CONN_BROKEN or CONN_AGAIN when nothing can be written now, else 0. */
static int refusal(struct conn *conn)
{
    if (conn->is_broken || conn->write_shut || conn->state == CONN_CLOSED)
        return CONN_BROKEN;
    if (conn->can_write && conn->state == CONN_OPEN)
        return 0;
    conn->wants_write = true;
    return CONN_AGAIN;
}

static int64_t write_iov(struct conn *conn, const struct iovec *iov, int count, int flags)
{
    return conn->transport ? write_transport(conn, iov, count) : write_plain(conn, iov, count, flags);
}

int64_t conn_write(struct conn *conn, const struct iovec *iov, int count)
{
    int refused = refusal(conn);
    if (refused)
        return refused;
    assert(count > 0 && bytes_in_all(iov, count) > 0); /* 0 bytes written would mean nothing */
    return write_iov(conn, iov, count, 0);
}

static int64_t file_cut_short(struct conn *conn)
{
    conn_break(conn, "file cut short or unreadable while it was sent");
    return CONN_BROKEN;
}

static int64_t send_file(struct conn *conn, const struct slice *slice)
{
    off_t offset = (off_t)slice->offset;
    size_t most = slice->n < FILE_MOST ? slice->n : FILE_MOST;
    ssize_t n;
    do {
        n = sendfile(conn->io.fd, slice->file->fd, &offset, most);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return file_cut_short(conn);
    if (n < 0)
        return errno == EIO || errno == EINVAL ? file_cut_short(conn) : write_failed(conn);
    return n; /* a short count may have several reasons: the next call tells */
}

static int64_t copy_file(struct conn *conn, const struct chain *chain)
{
    char room[COPY_MOST];
    struct iovec iov = { .iov_base = room, .iov_len = chain_copy_out(chain, room, sizeof(room)) };
    return iov.iov_len ? write_iov(conn, &iov, 1, 0) : file_cut_short(conn);
}

static int64_t write_head(struct conn *conn, const struct chain *chain)
{
    if (chain->head->file)
        return conn->transport ? copy_file(conn, chain) : send_file(conn, chain->head);
    struct iovec iov[SLICES];
    int count = chain_iovec(chain, iov, SLICES, SIZE_MAX);
    bool more = bytes_in_all(iov, count) < chain->n; /* a head before its file: one segment, not two */
    return write_iov(conn, iov, count, more ? MSG_MORE : 0);
}

int conn_write_chain(struct conn *conn, struct chain *chain)
{
    uint64_t written = 0;
    while (!chain_is_empty(chain)) {
        int refused = refusal(conn);
        if (refused)
            return refused;
        if (written >= TURN_MOST) { /* a fast reader of something large must not keep the worker for itself */
            conn->wants_write = true;
            conn_step_later(conn);
            return CONN_AGAIN;
        }
        int64_t n = write_head(conn, chain);
        if (n < 0)
            return (int)n;
        chain_eat(chain, (uint64_t)n);
        written += (uint64_t)n;
    }
    return 1;
}
