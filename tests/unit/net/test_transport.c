/* SPDX-License-Identifier: BSD-2-Clause */
/* A toy transport that wants what TLS may want: a read must first send a credit byte, a write must first be given one,
 * and what was taken from the socket may lie in its own buffer. */
#include "ends.h"

#include <stdio.h>

struct toy {
    int fd;
    char held[64]; /* read from the socket, not yet asked for */
    uint32_t held_n;
    bool credit_sent, credit_got;
    bool needs_credit; /* both ways */
    bool suspends, resumes_at_once, fails, fails_to_read;
    struct conn *conn;
    unsigned handshakes, reads, writes, shutdowns;
    bool said_hello, *closed;
};

static int blocked_or(int want)
{
    return errno == EAGAIN ? want : WEIR_IO_ERROR;
}

static int toy_handshake(void *state, weir_str *why)
{
    struct toy *toy = state;
    toy->handshakes++;
    if (toy->fails) {
        *why = WEIR_S("certificate expired");
        return WEIR_IO_ERROR;
    }
    if (toy->suspends) {
        toy->suspends = false;
        if (toy->resumes_at_once)
            conn_resume_handshake(toy->conn);
        return WEIR_IO_SUSPEND;
    }
    if (!toy->said_hello && send(toy->fd, "H", 1, MSG_NOSIGNAL) < 0)
        return blocked_or(WEIR_IO_WANT_WRITE);
    toy->said_hello = true;
    char c;
    ssize_t n = recv(toy->fd, &c, 1, 0);
    if (n < 0)
        return blocked_or(WEIR_IO_WANT_READ);
    return n == 1 && c == 'H' ? 1 : WEIR_IO_EOF;
}

static int64_t toy_readv(void *state, const weir_span *to, uint32_t count)
{
    struct toy *toy = state;
    toy->reads++;
    assert_true(count > 0);
    if (toy->fails_to_read)
        return WEIR_IO_ERROR;
    if (toy->needs_credit && !toy->credit_sent) {
        if (send(toy->fd, "c", 1, MSG_NOSIGNAL) < 0)
            return blocked_or(WEIR_IO_WANT_WRITE);
        toy->credit_sent = true;
    }
    if (!toy->held_n) {
        ssize_t n = recv(toy->fd, toy->held, sizeof(toy->held), 0);
        if (n < 0)
            return blocked_or(WEIR_IO_WANT_READ);
        if (n == 0)
            return WEIR_IO_EOF;
        toy->held_n = (uint32_t)n;
    }
    uint32_t n = to[0].n < toy->held_n ? (uint32_t)to[0].n : toy->held_n;
    memcpy(to[0].p, toy->held, n);
    memmove(toy->held, toy->held + n, toy->held_n - n);
    toy->held_n -= n;
    return n;
}

static int64_t toy_writev(void *state, const weir_str *from, uint32_t count)
{
    struct toy *toy = state;
    toy->writes++;
    if (toy->needs_credit && !toy->credit_got) {
        char c;
        if (recv(toy->fd, &c, 1, 0) < 0)
            return blocked_or(WEIR_IO_WANT_READ);
        toy->credit_got = true;
    }
    int64_t done = 0;
    for (uint32_t i = 0; i < count; i++) {
        ssize_t n = send(toy->fd, from[i].p, from[i].n, MSG_NOSIGNAL);
        if (n < 0)
            return done ? done : blocked_or(WEIR_IO_WANT_WRITE);
        done += n;
        if ((size_t)n < from[i].n)
            break;
    }
    return done;
}

static int toy_shutdown(void *state)
{
    struct toy *toy = state;
    toy->shutdowns++;
    return send(toy->fd, "B", 1, MSG_NOSIGNAL) == 1 ? 1 : WEIR_IO_ERROR;
}

static void toy_close(void *state)
{
    struct toy *toy = state;
    *toy->closed = true;
    free(toy);
}

static uint32_t toy_pending(void *state)
{
    return ((struct toy *)state)->held_n;
}

static weir_str toy_alpn(void *state)
{
    (void)state;
    return WEIR_S("toy/1");
}

static const struct weir_transport toys = {
    .size = sizeof(struct weir_transport),
    .name = "toy",
    .handshake = toy_handshake,
    .readv = toy_readv,
    .writev = toy_writev,
    .shutdown = toy_shutdown,
    .close = toy_close,
    .pending = toy_pending,
    .alpn = toy_alpn,
};

static bool toy_closed;

static struct toy *toy_create(struct end *end)
{
    struct toy *toy = calloc(1, sizeof(*toy));
    assert_non_null(toy);
    toy->fd = conn_fd(&end->conn);
    toy->conn = &end->conn;
    toy->closed = &toy_closed;
    toy_closed = false;
    return toy;
}

/* A connection with hands shaken, and nothing in between. */
static struct end *toy_end(int *peer, struct toy **toy)
{
    struct end *end = end_pair(peer);
    *toy = toy_create(end);
    assert_true(conn_start_transport(&end->conn, &toys, *toy));
    put(*peer, "H");
    TURN_UNTIL(end->ready);
    assert_true(end->ok);
    char c;
    assert_int_equal(read(*peer, &c, 1), 1);
    return end;
}

static void fill(int fd)
{
    static const char bytes[4096];
    while (write(fd, bytes, sizeof(bytes)) > 0)
        ;
    while (write(fd, bytes, 1) > 0)
        ;
}

static void empty(int fd)
{
    char bytes[4096];
    while (read(fd, bytes, sizeof(bytes)) > 0)
        ;
}

static void the_handshake_runs_by_itself(void **state)
{
    (void)state;
    int peer;
    char c;
    struct end *end = end_pair(&peer);
    struct toy *toy = toy_create(end);
    assert_int_equal(conn_alpn(&end->conn).n, 0);
    assert_true(conn_start_transport(&end->conn, &toys, toy));
    assert_false(conn_start_transport(&end->conn, &toys, toy)); /* has one */
    assert_int_equal(toy->handshakes, 0);                       /* nothing from inside the call */
    turn_once();
    assert_int_equal(toy->handshakes, 1);
    assert_int_equal(read(peer, &c, 1), 1);
    assert_int_equal(c, 'H');
    turn_once();
    assert_int_equal(conn_read(&end->conn, &c, 1), CONN_AGAIN);
    assert_int_equal(end->ready, 0);
    put(peer, "H");
    TURN_UNTIL(end->ready);
    assert_true(end->ok);
    assert_int_equal(toy->handshakes, 2); /* stepped on the edge it wanted, on no other */
    assert_int_equal(end->conn.state, CONN_OPEN);
    assert_true(str_equal(conn_alpn(&end->conn), S("toy/1")));
    conn_shutdown_write(&end->conn);
    conn_shutdown_write(&end->conn);
    assert_int_equal(toy->shutdowns, 1);
    assert_int_equal(read(peer, &c, 1), 1);
    assert_int_equal(c, 'B');
    assert_int_equal(read(peer, &c, 1), 0);
    conn_close(&end->conn);
    assert_true(toy_closed);
    close(peer);
    end_destroy(end);
}

static void bytes_behind_the_handshake_are_told(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_pair(&peer);
    end->on_readable = ACT_READ;
    assert_true(conn_start_transport(&end->conn, &toys, toy_create(end)));
    put(peer, "Hrequest"); /* one edge for both */
    TURN_UNTIL(end->n == 7);
    assert_memory_equal(end->got, "request", 7);
    assert_int_equal(end->ready, 1);
    close(peer);
    end_destroy(end);
}

static void a_handshake_that_wants_to_write_waits_for_that(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_pair(&peer);
    struct toy *toy = toy_create(end);
    fill(conn_fd(&end->conn));
    assert_true(conn_start_transport(&end->conn, &toys, toy));
    turn_once();
    assert_int_equal(toy->handshakes, 1);
    put(peer, "H"); /* not what it waits for */
    for (unsigned i = 0; i < 3; i++)
        turn_once();
    assert_int_equal(end->ready, 0);
    empty(peer);
    TURN_UNTIL(end->ready);
    assert_true(end->ok);
    close(peer);
    end_destroy(end);
}

static void failed_handshakes_say_why(void **state)
{
    static const struct {
        bool fails;
        const char *from_peer, *why;
    } rows[] = {
        { true, "", "certificate expired" },
        { false, "", "closed by peer during the handshake" },
        { false, "x", "closed by peer during the handshake" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int peer;
        struct end *end = end_pair(&peer);
        struct toy *toy = toy_create(end);
        toy->fails = rows[i].fails;
        assert_true(conn_start_transport(&end->conn, &toys, toy));
        put(peer, rows[i].from_peer);
        shutdown(peer, SHUT_WR);
        TURN_UNTIL(end->ready);
        turn_once();
        assert_int_equal(end->ready, 1);
        assert_false(end->ok);
        assert_string_equal(end->conn.why, rows[i].why);
        char c;
        assert_int_equal(conn_read(&end->conn, &c, 1), CONN_BROKEN);
        conn_close(&end->conn);
        assert_true(toy_closed);
        close(peer);
        end_destroy(end);
    }
}

static void a_suspended_handshake_waits_for_its_resume(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_pair(&peer);
    struct toy *toy = toy_create(end);
    toy->suspends = true;
    assert_true(conn_start_transport(&end->conn, &toys, toy));
    turn_once();
    put(peer, "H");
    for (unsigned i = 0; i < 3; i++)
        turn_once();
    assert_int_equal(toy->handshakes, 1);
    conn_resume_handshake(&end->conn);
    assert_int_equal(toy->handshakes, 1);
    TURN_UNTIL(end->ready);
    assert_true(end->ok);
    conn_resume_handshake(&end->conn); /* late: nothing */
    turn_once();
    assert_int_equal(end->ready, 1);
    close(peer);
    end_destroy(end);
}

static void a_resume_before_the_suspension_is_remembered(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_pair(&peer);
    struct toy *toy = toy_create(end);
    toy->suspends = toy->resumes_at_once = true;
    put(peer, "H");
    assert_true(conn_start_transport(&end->conn, &toys, toy));
    TURN_UNTIL(end->ready);
    assert_true(end->ok);
    close(peer);
    end_destroy(end);
}

static void closing_a_suspended_handshake_is_final(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_pair(&peer);
    struct toy *toy = toy_create(end);
    toy->suspends = true;
    assert_true(conn_start_transport(&end->conn, &toys, toy));
    turn_once();
    conn_resume_handshake(&end->conn); /* its step is queued now */
    conn_close(&end->conn);
    assert_true(toy_closed);
    conn_resume_handshake(&end->conn);
    turn_once();
    assert_int_equal(end->ready, 0);
    close(peer);
    end_destroy(end);
}

static void held_bytes_can_be_read_without_an_edge(void **state)
{
    (void)state;
    int peer;
    char room[8];
    struct toy *toy;
    struct end *end = toy_end(&peer, &toy);
    put(peer, "abcdef");
    TURN_UNTIL(end->readable);
    assert_int_equal(conn_read(&end->conn, room, 2), 2);
    end->conn.can_read = false; /* as when a write had met an empty socket */
    assert_true(conn_may_read(&end->conn));
    assert_int_equal(conn_read(&end->conn, room, sizeof(room)), 4);
    assert_memory_equal(room, "cdef", 4);
    assert_false(conn_may_read(&end->conn));
    unsigned before = toy->reads;
    assert_int_equal(conn_read(&end->conn, room, sizeof(room)), CONN_AGAIN);
    assert_int_equal(toy->reads, before); /* the transport was not even asked */
    close(peer);
    end_destroy(end);
}

static void a_read_that_wants_to_write_is_retried_then(void **state)
{
    (void)state;
    int peer;
    char room[8];
    struct toy *toy;
    struct end *end = toy_end(&peer, &toy);
    toy->needs_credit = true;
    put(peer, "data");
    TURN_UNTIL(end->readable);
    fill(conn_fd(&end->conn));
    assert_int_equal(conn_read(&end->conn, room, sizeof(room)), CONN_AGAIN);
    assert_true(end->conn.read_wants_write);
    assert_false(conn_may_read(&end->conn)); /* asking again at once would only spin */
    unsigned before = end->readable;
    empty(peer);
    TURN_UNTIL(end->readable > before);
    assert_int_equal(conn_read(&end->conn, room, sizeof(room)), 4);
    assert_int_equal(end->writable, 0);
    close(peer);
    end_destroy(end);
}

static void a_write_that_wants_to_read_is_retried_then(void **state)
{
    (void)state;
    int peer;
    char room[8] = "";
    struct toy *toy;
    struct end *end = toy_end(&peer, &toy);
    toy->needs_credit = true;
    struct iovec iov = { (void *)(uintptr_t) "data", 4 };
    assert_int_equal(conn_write(&end->conn, &iov, 1), CONN_AGAIN);
    turn_once();
    assert_int_equal(end->writable, 0);
    put(peer, "c");
    TURN_UNTIL(end->writable);
    assert_int_equal(conn_write(&end->conn, &iov, 1), 4);
    assert_int_equal(read(peer, room, sizeof(room)), 4);
    close(peer);
    end_destroy(end);
}

static void ends_and_failures_of_a_transport(void **state)
{
    (void)state;
    int peer;
    char c;
    struct toy *toy;
    struct end *end = toy_end(&peer, &toy);
    end->on_readable = ACT_READ;
    close(peer);
    TURN_UNTIL(end->conn.saw_eof);
    assert_int_equal(end->last, CONN_EOF);
    end_destroy(end);

    end = toy_end(&peer, &toy);
    toy->fails_to_read = true;
    put(peer, "x");
    TURN_UNTIL(end->readable);
    assert_int_equal(conn_read(&end->conn, &c, 1), CONN_BROKEN);
    assert_string_equal(end->conn.why, "transport failed");
    struct iovec iov = { &c, 1 };
    assert_int_equal(conn_write(&end->conn, &iov, 1), CONN_BROKEN);
    close(peer);
    end_destroy(end);
}

static void a_failed_write_ends_the_session(void **state)
{
    (void)state;
    int peer;
    char c = 'x';
    struct toy *toy;
    struct end *end = toy_end(&peer, &toy);
    put(peer, "more");
    close(peer);
    TURN_UNTIL(end->readable);
    struct iovec iov = { &c, 1 };
    conn_set_why(&end->conn, S("bad record mac")); /* what the transport said */
    assert_int_equal(conn_write(&end->conn, &iov, 1), CONN_BROKEN);
    assert_string_equal(end->conn.why, "bad record mac");
    assert_int_equal(conn_read(&end->conn, &c, 1), CONN_BROKEN);
    end_destroy(end);
}

static void long_reasons_are_cut_and_kept(void **state)
{
    (void)state;
    struct end *end = end_create();
    char text[300];
    memset(text, 'w', sizeof(text));
    conn_set_why(&end->conn, (str){ text, sizeof(text) });
    assert_int_equal(strlen(end->conn.why), CONN_WHY - 1);
    const char *first = end->conn.why;
    conn_set_why(&end->conn, (str){ text, sizeof(text) });
    assert_ptr_equal(end->conn.why, first); /* kept once */
    end_destroy(end);
}

static void so_many_reasons_are_kept(void **state)
{
    (void)state;
    struct end *end = end_create();
    char text[32];
    for (unsigned i = 0; i < 300; i++) {
        snprintf(text, sizeof(text), "reason %u", i);
        conn_set_why(&end->conn, str_of(text));
    }
    assert_string_equal(end->conn.why, "failed");
    conn_set_why(&end->conn, S("reason 7"));
    assert_string_equal(end->conn.why, "reason 7");
    end_destroy(end);
}

static void chains_go_through_a_transport(void **state)
{
    (void)state;
    int peer;
    struct toy *toy;
    static char out[64 * 1024];
    char name[] = "/tmp/weir-test-XXXXXX";
    struct end *end = toy_end(&peer, &toy);
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    for (unsigned i = 0; i < 40000; i++)
        out[i] = (char)(i % 253);
    assert_int_equal(write(fd, out, 40000), 40000);
    memset(out, 0, sizeof(out));

    struct chain chain;
    chain_init(&chain);
    struct chain_file *file = chain_file_create(fd);
    assert_non_null(file);
    for (unsigned i = 0; i < 10; i++)
        assert_true(chain_append_static(&chain, "0123456789" + i, 1));
    assert_true(chain_append_file(&chain, file, 1, 39999));
    chain_file_unref(file);
    size_t n = 0;
    int answer = CONN_AGAIN;
    while (answer != 1 || n < 40009) {
        if (answer != 1)
            answer = conn_write_chain(&end->conn, &chain);
        assert_true(answer == 1 || answer == CONN_AGAIN);
        for (ssize_t got; (got = read(peer, out + n, sizeof(out) - n)) > 0;)
            n += (size_t)got;
        turn_once();
    }
    assert_int_equal(toy->writes, 1 + 3); /* all memory in one, the file in records */
    assert_memory_equal(out, "0123456789", 10);
    for (unsigned i = 1; i < 40000; i++)
        assert_int_equal(out[9 + i], (char)(i % 253));
    close(peer);
    end_destroy(end);
}

static void callbacks_may_free_the_owner_in_the_handshake(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        int peer;
        struct end *end = end_pair(&peer);
        struct toy *toy = toy_create(end);
        toy->fails = fails;
        end->on_ready = ACT_FREE;
        put(peer, "Hmore");
        assert_true(conn_start_transport(&end->conn, &toys, toy));
        TURN_UNTIL(freed);
        assert_true(toy_closed);
        close(peer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        turning(the_handshake_runs_by_itself),
        turning(bytes_behind_the_handshake_are_told),
        turning(a_handshake_that_wants_to_write_waits_for_that),
        turning(failed_handshakes_say_why),
        turning(a_suspended_handshake_waits_for_its_resume),
        turning(a_resume_before_the_suspension_is_remembered),
        turning(closing_a_suspended_handshake_is_final),
        turning(held_bytes_can_be_read_without_an_edge),
        turning(a_read_that_wants_to_write_is_retried_then),
        turning(a_write_that_wants_to_read_is_retried_then),
        turning(ends_and_failures_of_a_transport),
        turning(a_failed_write_ends_the_session),
        turning(long_reasons_are_cut_and_kept),
        turning(chains_go_through_a_transport),
        turning(callbacks_may_free_the_owner_in_the_handshake),
        turning(so_many_reasons_are_kept), /* the last: they are kept */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
