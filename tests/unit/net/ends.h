/* SPDX-License-Identifier: BSD-2-Clause */
/* ends.h: a connection under test that notes what it is told, and the plain socket at its other end. */
#ifndef TESTS_NET_ENDS_H
#define TESTS_NET_ENDS_H

#include "../loop/turning.h"

#include "net/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum act { ACT_NOTE, ACT_READ, ACT_CLOSE, ACT_FREE };

struct end {
    struct conn conn;
    enum act on_readable, on_writable, on_ready, on_due, on_later;
    unsigned readable, writable, ready, due, later;
    bool ok;
    char got[256 * 1024];
    size_t n;
    int64_t last; /* what the last read answered */
};
static unsigned freed;

static inline void end_act(struct end *end, enum act act)
{
    switch (act) {
    case ACT_NOTE:
        break;
    case ACT_READ:
        while ((end->last = conn_read(&end->conn, end->got + end->n, sizeof(end->got) - end->n)) > 0)
            end->n += (size_t)end->last;
        break;
    case ACT_CLOSE:
        conn_close(&end->conn);
        break;
    case ACT_FREE:
        conn_close(&end->conn);
        free(end);
        freed++;
        break;
    }
}

static void end_readable(struct conn *conn)
{
    struct end *end = list_entry(conn, struct end, conn);
    end->readable++;
    end_act(end, end->on_readable);
}

static void end_writable(struct conn *conn)
{
    struct end *end = list_entry(conn, struct end, conn);
    end->writable++;
    end_act(end, end->on_writable);
}

static void end_ready(struct conn *conn, bool ok)
{
    struct end *end = list_entry(conn, struct end, conn);
    end->ready++;
    end->ok = ok;
    end_act(end, end->on_ready);
}

static void end_due(struct conn *conn)
{
    struct end *end = list_entry(conn, struct end, conn);
    end->due++;
    end_act(end, end->on_due);
}

static void end_later(struct conn *conn)
{
    struct end *end = list_entry(conn, struct end, conn);
    end->later++;
    end_act(end, end->on_later);
}

static const struct conn_calls end_calls = { .on_readable = end_readable, .on_writable = end_writable,
                                             .on_ready = end_ready, .on_due = end_due, .on_later = end_later };

static inline struct end *end_create(void)
{
    struct end *end = calloc(1, sizeof(*end));
    assert_non_null(end);
    freed = 0;
    return end;
}

static inline void end_destroy(struct end *end)
{
    conn_close(&end->conn);
    free(end);
}

/* One end of a socket pair as a connection; the other, nonblocking too, is *peer. */
static inline struct end *end_pair(int *peer)
{
    int fds[2];
    struct end *end = end_create();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_true(conn_open(&end->conn, fds[0], &end_calls));
    *peer = fds[1];
    return end;
}

static inline int listen_anywhere(struct addr *addr)
{
    assert_true(addr_parse(S("127.0.0.1:0"), addr));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &addr->any, addr->n), 0);
    assert_int_equal(listen(fd, 16), 0);
    addr_of_socket(fd, false, addr);
    return fd;
}

/* The same over loopback TCP. The peer's receive buffer is small, so that a writer is soon stopped. */
static inline struct end *end_tcp(int *peer)
{
    struct addr addr;
    int small = 4096, server = listen_anywhere(&addr);
    assert_int_equal(setsockopt(server, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    struct end *end = end_create();
    assert_true(conn_connect(&end->conn, &addr, &end_calls));
    TURN_UNTIL(end->ready);
    assert_true(end->ok);
    *peer = accept(server, NULL, NULL);
    assert_true(*peer >= 0);
    assert_int_equal(fcntl(*peer, F_SETFL, O_NONBLOCK), 0);
    close(server);
    return end;
}

static inline void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

#endif
