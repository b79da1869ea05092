/* SPDX-License-Identifier: BSD-2-Clause */
#include "ends.h"

#include "base/mem.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void what_the_peer_wrote_is_read(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_pair(&peer);
    end->on_readable = ACT_READ;
    put(peer, "hello");
    TURN_UNTIL(end->readable);
    assert_int_equal(end->n, 5);
    assert_memory_equal(end->got, "hello", 5);
    assert_int_equal(end->last, CONN_AGAIN);
    close(peer);
    TURN_UNTIL(end->conn.saw_eof);
    assert_int_equal(end->last, CONN_EOF);
    assert_true(end->conn.peer_closed);
    assert_false(conn_may_read(&end->conn));
    char c;
    assert_int_equal(conn_read(&end->conn, &c, 1), CONN_EOF); /* for ever */
    end_destroy(end);
}

/* The kernel is asked once: what comes behind a short read waits for its edge. */
static void a_short_read_is_the_last_before_an_edge(void **state)
{
    (void)state;
    int peer;
    char room[16];
    struct end *end = end_pair(&peer);
    assert_int_equal(conn_read(&end->conn, room, sizeof(room)), CONN_AGAIN);
    put(peer, "one");
    assert_false(conn_may_read(&end->conn)); /* not known yet */
    TURN_UNTIL(end->readable);
    assert_true(conn_may_read(&end->conn));
    assert_int_equal(conn_read(&end->conn, room, sizeof(room)), 3);
    put(peer, "two");
    assert_int_equal(conn_read(&end->conn, room, sizeof(room)), CONN_AGAIN);
    TURN_UNTIL(end->readable == 2);
    assert_int_equal(conn_read(&end->conn, room, 2), 2); /* not short: there may be more */
    assert_true(conn_may_read(&end->conn));
    assert_int_equal(conn_read(&end->conn, room, 2), 1);
    assert_false(conn_may_read(&end->conn));
    close(peer);
    end_destroy(end);
}

static void the_end_behind_a_short_read_is_not_missed(void **state)
{
    (void)state;
    int peer;
    char room[16];
    struct end *end = end_pair(&peer);
    put(peer, "bye");
    close(peer); /* both in one edge */
    TURN_UNTIL(end->readable);
    assert_int_equal(conn_read(&end->conn, room, sizeof(room)), 3);
    assert_true(conn_may_read(&end->conn));
    assert_int_equal(conn_read(&end->conn, room, sizeof(room)), CONN_EOF);
    end_destroy(end);
}

static void readv_and_peek(void **state)
{
    (void)state;
    int peer;
    char a[3], b[8], peeked[8];
    struct iovec iov[] = { { a, sizeof(a) }, { b, sizeof(b) } };
    struct end *end = end_pair(&peer);
    assert_int_equal(conn_peek(&end->conn, peeked, sizeof(peeked)), 0);
    put(peer, "abcdef");
    TURN_UNTIL(end->readable);
    assert_int_equal(conn_peek(&end->conn, peeked, 4), 4);
    assert_memory_equal(peeked, "abcd", 4);
    assert_int_equal(conn_readv(&end->conn, iov, 2), 6);
    assert_memory_equal(a, "abc", 3);
    assert_memory_equal(b, "def", 3);
    assert_int_equal(conn_peek(&end->conn, peeked, 4), 0);
    close(peer);
    end_destroy(end);
}

static void a_reset_is_not_an_end(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_tcp(&peer);
    end->on_readable = ACT_READ;
    struct linger at_once = { 1, 0 };
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(peer);
    TURN_UNTIL(end->readable);
    assert_int_equal(end->last, CONN_BROKEN);
    assert_true(end->conn.is_broken);
    assert_string_equal(end->conn.why, "reset by peer");
    struct iovec iov = { (void *)(uintptr_t) "x", 1 };
    assert_int_equal(conn_write(&end->conn, &iov, 1), CONN_BROKEN);
    end_destroy(end);
}

/* libevent shows an edge with an error as plain readiness: the reset behind a short read must not go unnoticed. */
static void a_reset_that_came_with_the_data_is_found(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_tcp(&peer);
    end->on_readable = ACT_READ;
    turn_once(); /* the edge of being connected */
    put(peer, "partial");
    struct linger at_once = { 1, 0 };
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(peer); /* both in one edge */
    TURN_UNTIL(end->readable && end->last == CONN_BROKEN);
    assert_int_equal(end->n, 7);
    assert_string_equal(end->conn.why, "reset by peer");
    end_destroy(end);
}

static void silence_after_a_short_read_is_no_event(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_tcp(&peer);
    end->on_readable = ACT_READ;
    put(peer, "x");
    TURN_UNTIL(end->n == 1);
    assert_true(end->conn.recheck);
    TURN_UNTIL(!end->conn.recheck);
    assert_false(deadline_is_set(&end->conn.deadline));
    assert_int_equal(end->readable, 1);
    put(peer, "y");
    TURN_UNTIL(end->n == 2);
    close(peer);
    end_destroy(end);
}

/* An origin that answers early and closes: its answer is got although the rest of the request cannot be sent. */
static void an_early_answer_is_read_after_a_failed_write(void **state)
{
    (void)state;
    int peer;
    char room[16];
    struct iovec iov = { room, sizeof(room) };
    memset(room, 'x', sizeof(room));
    struct end *end = end_pair(&peer);
    put(peer, "413");
    close(peer);
    TURN_UNTIL(end->readable);
    assert_int_equal(conn_write(&end->conn, &iov, 1), CONN_BROKEN);
    assert_string_equal(end->conn.why, "closed by peer");
    assert_int_equal(conn_read(&end->conn, room, sizeof(room)), 3);
    assert_int_equal(conn_read(&end->conn, room, sizeof(room)), CONN_BROKEN); /* no orderly end */
    assert_false(conn_may_read(&end->conn));
    end_destroy(end);
}

static void a_reset_after_the_end_is_told(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_tcp(&peer);
    end->on_readable = ACT_READ;
    shutdown(peer, SHUT_WR);
    TURN_UNTIL(end->conn.saw_eof);
    unsigned before = end->readable;
    struct linger at_once = { 1, 0 };
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(peer);
    TURN_UNTIL(end->readable > before);
    assert_int_equal(end->last, CONN_BROKEN);
    end_destroy(end);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void a_full_socket_says_when_it_drains(void **state)
{
    (void)state;
    int peer, small = 4096;
    static char bytes[1 << 20], room[1 << 16];
    struct iovec iov = { bytes, sizeof(bytes) };
    struct end *end = end_tcp(&peer);
    setsockopt(conn_fd(&end->conn), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    int64_t n = conn_write(&end->conn, &iov, 1);
    assert_true(n > 0 && (size_t)n < sizeof(bytes));
    assert_false(end->conn.can_write);
    assert_int_equal(conn_write(&end->conn, &iov, 1), CONN_AGAIN);
    turn_once();
    assert_int_equal(end->writable, 0);
    for (int64_t left = n; left > 0;) {
        ssize_t got = read(peer, room, sizeof(room));
        if (got > 0)
            left -= got;
        turn_once();
    }
    TURN_UNTIL(end->writable);
    assert_int_equal(end->writable, 1);
    assert_true(conn_write(&end->conn, &iov, 1) > 0);
    close(peer);
    end_destroy(end);
}

static void on_writable_comes_only_when_owed(void **state)
{
    (void)state;
    int peer;
    struct iovec iov = { (void *)(uintptr_t) "x", 1 };
    struct end *end = end_pair(&peer);
    assert_int_equal(conn_write(&end->conn, &iov, 1), 1);
    put(peer, "y"); /* its edge shows writability too */
    TURN_UNTIL(end->readable);
    assert_int_equal(end->writable, 0);
    close(peer);
    end_destroy(end);
}

static struct chain_file *file_of(size_t n)
{
    char name[] = "/tmp/weir-test-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    for (size_t i = 0; i < n; i++) {
        char block[4096];
        size_t part = n - i < sizeof(block) ? n - i : sizeof(block);
        for (size_t k = 0; k < part; k++)
            block[k] = (char)((i + k) * 7 % 251);
        assert_int_equal(write(fd, block, part), part);
        i += part - 1; /* and one by the loop */
    }
    struct chain_file *file = chain_file_create(fd);
    assert_non_null(file);
    return file;
}

/* Writes the chain until it is gone while the other side reads; the bytes are in out. */
static size_t pump(struct end *end, int peer, struct chain *chain, char *out, size_t room)
{
    size_t n = 0, whole = chain->n;
    int answer = CONN_AGAIN;
    while (answer != 1 || n < whole) {
        unsigned before = end->writable;
        if (answer != 1) {
            answer = conn_write_chain(&end->conn, chain);
            assert_true(answer == 1 || answer == CONN_AGAIN);
        }
        ssize_t got = read(peer, out + n, room - n);
        if (got > 0)
            n += (size_t)got;
        else
            TURN_UNTIL(answer == 1 || end->writable > before);
    }
    return n;
}

static void chains_of_memory_and_files_arrive_whole(void **state)
{
    (void)state;
    enum { FILE_BYTES = 700001, OFFSET = 5 };
    static char out[FILE_BYTES + 4096];
    int peer, small = 8192;
    struct end *end = end_tcp(&peer);
    setsockopt(conn_fd(&end->conn), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    struct chain_file *file = file_of(FILE_BYTES);
    struct chain chain;
    chain_init(&chain);
    for (unsigned i = 0; i < 200; i++) /* more than one call takes */
        assert_true(chain_append_static(&chain, i % 2 ? "b" : "a", 1));
    assert_true(chain_append_file(&chain, file, OFFSET, FILE_BYTES - OFFSET));
    assert_true(chain_append_static(&chain, "tail", 4));
    chain_file_unref(file);
    size_t expected = chain.n;

    assert_int_equal(pump(end, peer, &chain, out, sizeof(out)), expected);
    assert_true(chain_is_empty(&chain));
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(out[i], i % 2 ? 'b' : 'a');
    for (size_t i = OFFSET; i < FILE_BYTES; i++)
        if (out[200 + i - OFFSET] != (char)(i * 7 % 251))
            fail_msg("byte %zu of the file is wrong", i);
    assert_memory_equal(out + expected - 4, "tail", 4);
    close(peer);
    end_destroy(end);
}

static void one_call_writes_many_slices(void **state)
{
    (void)state;
    int peer;
    struct chain chain;
    char out[16] = "";
    struct end *end = end_pair(&peer);
    chain_init(&chain);
    assert_int_equal(conn_write_chain(&end->conn, &chain), 1); /* nothing to do is done */
    assert_true(chain_append_static(&chain, "he", 2) && chain_append_static(&chain, "llo", 3));
    assert_int_equal(conn_write_chain(&end->conn, &chain), 1);
    assert_int_equal(read(peer, out, sizeof(out)), 5);
    assert_string_equal(out, "hello");
    close(peer);
    end_destroy(end);
}

static void a_file_that_shrank_breaks_the_connection(void **state)
{
    (void)state;
    int peer;
    struct chain chain;
    struct end *end = end_pair(&peer);
    struct chain_file *file = file_of(10);
    chain_init(&chain);
    assert_true(chain_append_file(&chain, file, 0, 20));
    chain_file_unref(file);
    assert_int_equal(conn_write_chain(&end->conn, &chain), CONN_BROKEN);
    assert_int_equal(read(peer, end->got, sizeof(end->got)), 10);
    assert_non_null(strstr(end->conn.why, "file cut short"));
    chain_clear(&chain);
    close(peer);
    end_destroy(end);
}

/* However fast the reader is, a long chain is written in portions, the next one owed by on_writable. */
static void a_long_chain_leaves_room_for_others(void **state)
{
    (void)state;
    static char bytes[100 * 1024], out[1 << 20];
    int peer, large = 4 << 20;
    struct chain chain;
    struct end *end = end_pair(&peer);
    setsockopt(conn_fd(&end->conn), SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
    chain_init(&chain);
    struct chain_file *file = file_of(10);
    for (unsigned i = 0; i < 5; i++) { /* a file between them, so that they are no single call */
        assert_true(chain_append_static(&chain, bytes, sizeof(bytes)));
        assert_true(chain_append_file(&chain, file, 0, 10));
    }
    chain_file_unref(file);
    size_t expected = chain.n, n = 0;
    int answer = conn_write_chain(&end->conn, &chain);
    assert_int_equal(answer, CONN_AGAIN);
    while (answer != 1) {
        ssize_t got = read(peer, out, sizeof(out));
        n += got > 0 ? (size_t)got : 0;
        TURN_UNTIL(end->writable);
        end->writable = 0;
        answer = conn_write_chain(&end->conn, &chain);
    }
    for (ssize_t got; n < expected && (got = read(peer, out, sizeof(out))) > 0;)
        n += (size_t)got;
    assert_int_equal(n, expected);
    close(peer);
    end_destroy(end);
}

static void the_farewell_ends_writing_not_reading(void **state)
{
    (void)state;
    int peer;
    char room[8];
    struct iovec iov = { room, 1 };
    struct end *end = end_pair(&peer);
    end->on_readable = ACT_READ;
    conn_shutdown_write(&end->conn);
    conn_shutdown_write(&end->conn);
    assert_int_equal(read(peer, room, sizeof(room)), 0);
    assert_int_equal(conn_write(&end->conn, &iov, 1), CONN_BROKEN);
    put(peer, "still");
    TURN_UNTIL(end->n == 5);
    close(peer);
    end_destroy(end);
}

/* --- connecting --------------------------------------------------------------------------------------------------- */

static void connecting_over_tcp_sets_nodelay(void **state)
{
    (void)state;
    int peer, on = 0;
    socklen_t n = sizeof(on);
    struct end *end = end_tcp(&peer);
    assert_int_equal(end->conn.state, CONN_OPEN);
    assert_int_equal(getsockopt(conn_fd(&end->conn), IPPROTO_TCP, TCP_NODELAY, &on, &n), 0);
    assert_true(on);
    assert_int_equal(end->ready, 1);
    assert_int_equal(end->writable, 0);
    close(peer);
    end_destroy(end);
}

static void a_write_made_while_connecting_is_owed(void **state)
{
    (void)state;
    struct addr addr;
    int server = listen_anywhere(&addr);
    struct iovec iov = { (void *)(uintptr_t) "x", 1 };
    struct end *end = end_create();
    assert_true(conn_connect(&end->conn, &addr, &end_calls));
    assert_int_equal(conn_write(&end->conn, &iov, 1), CONN_AGAIN);
    TURN_UNTIL(end->writable);
    assert_int_equal(end->ready, 1);
    close(server);
    end_destroy(end);
}

static void a_refused_connect_says_so_once(void **state)
{
    (void)state;
    struct addr addr;
    int holder = socket(AF_INET, SOCK_STREAM, 0); /* keeps the port, but does not listen */
    assert_true(addr_parse(S("127.0.0.1:0"), &addr));
    assert_int_equal(bind(holder, &addr.any, addr.n), 0);
    addr_of_socket(holder, false, &addr);
    struct end *end = end_create();
    if (conn_connect(&end->conn, &addr, &end_calls)) {
        TURN_UNTIL(end->ready);
        turn_once();
        assert_int_equal(end->ready, 1);
        assert_false(end->ok);
    }
    assert_string_equal(end->conn.why, "refused");
    char c;
    assert_int_equal(conn_read(&end->conn, &c, 1), CONN_BROKEN);
    close(holder);
    end_destroy(end);
}

static void unix_sockets_connect_at_once_but_tell_later(void **state)
{
    (void)state;
    char dir[] = "/tmp/weir-test-XXXXXX", text[64];
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof(text), "unix:%s/s", dir);
    struct addr addr;
    assert_true(addr_parse(str_of(text), &addr));
    struct end *end = end_create();
    assert_false(conn_connect(&end->conn, &addr, &end_calls));
    assert_string_equal(end->conn.why, "no such socket");
    conn_close(&end->conn); /* fine */

    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(server, &addr.any, addr.n), 0);
    assert_int_equal(listen(server, 1), 0);
    assert_true(conn_connect(&end->conn, &addr, &end_calls));
    assert_int_equal(end->ready, 0); /* not from inside the call */
    turn_once();
    assert_int_equal(end->ready, 1);
    assert_true(end->ok);
    unlink(addr.un.sun_path);
    rmdir(dir);
    close(server);
    end_destroy(end);
}

/* --- closing ------------------------------------------------------------------------------------------------------ */

static void callbacks_may_free_the_owner(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_pair(&peer);
    end->on_readable = ACT_FREE;
    put(peer, "x");
    TURN_UNTIL(freed);
    char c;
    assert_int_equal(read(peer, &c, 1), -1); /* "x" was never read: reset */
    assert_int_equal(errno, ECONNRESET);
    close(peer);

    struct addr addr;
    int server = listen_anywhere(&addr);
    end = end_create();
    end->on_ready = ACT_FREE;
    assert_true(conn_connect(&end->conn, &addr, &end_calls));
    TURN_UNTIL(freed);
    close(server);

    struct iovec iov = { &c, 1 };
    end = end_pair(&peer);
    end->on_writable = ACT_FREE;
    while (conn_write(&end->conn, &iov, 1) > 0)
        ;
    char room[4096];
    while (!freed) {
        while (read(peer, room, sizeof(room)) > 0)
            ;
        turn_once();
    }
    close(peer);
}

static void nothing_is_told_after_closing(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_pair(&peer);
    put(peer, "x");
    conn_close(&end->conn);
    conn_close(&end->conn);
    turn_once();
    assert_int_equal(end->readable + end->writable + end->ready, 0);
    char c;
    assert_int_equal(conn_read(&end->conn, &c, 1), CONN_BROKEN);
    close(peer);
    end_destroy(end);
}

static void reset_is_seen_by_the_peer(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_tcp(&peer);
    conn_reset(&end->conn);
    char c;
    ssize_t n;
    while ((n = read(peer, &c, 1)) < 0 && errno == EAGAIN)
        turn_once();
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
    close(peer);
    end_destroy(end);
}

static void without_memory_the_descriptor_is_closed(void **state)
{
    (void)state;
    int fds[2];
    char c;
    struct end *end = end_create();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    mem_fail_after(0);
    assert_false(conn_open(&end->conn, fds[0], &end_calls));
    mem_fail_after(-1);
    assert_int_equal(read(fds[1], &c, 1), 0);
    close(fds[1]);
    end_destroy(end);
}

/* --- what the owner needs too ------------------------------------------------------------------------------------- */

static void the_due_time_comes_once(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_pair(&peer);
    conn_set_due(&end->conn, 1);
    conn_set_due(&end->conn, 20); /* the last one counts */
    assert_true(conn_has_due(&end->conn));
    TURN_UNTIL(end->due);
    assert_false(conn_has_due(&end->conn));
    assert_false(deadline_is_set(&end->conn.deadline));
    conn_set_due(&end->conn, 60000);
    conn_set_due(&end->conn, 1); /* also an earlier one */
    TURN_UNTIL(end->due == 2);
    end->on_due = ACT_FREE;
    conn_set_due(&end->conn, 1);
    TURN_UNTIL(freed);
    close(peer);
}

static void the_due_time_and_the_look_for_a_reset_are_two(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_tcp(&peer);
    end->on_readable = ACT_READ;
    conn_set_due(&end->conn, 60000);
    put(peer, "x");
    TURN_UNTIL(end->n == 1);
    uint64_t due = end->conn.due;
    TURN_UNTIL(!end->conn.recheck);
    assert_int_equal(end->conn.due, due);
    assert_int_equal(end->conn.deadline.at, due);
    assert_int_equal(end->due, 0);
    put(peer, "y");
    TURN_UNTIL(end->n == 2);
    conn_set_due(&end->conn, 1);
    TURN_UNTIL(end->due);
    assert_true(end->conn.recheck);
    assert_int_equal((uint32_t)end->conn.deadline.at, end->conn.recheck);
    conn_cancel_due(&end->conn);
    assert_int_equal((uint32_t)end->conn.deadline.at, end->conn.recheck);
    close(peer);
    end_destroy(end);
}

static void a_cancelled_or_closed_one_is_never_due(void **state)
{
    (void)state;
    int peer;
    struct deadline behind;
    struct end *end = end_pair(&peer);
    conn_set_due(&end->conn, 1);
    conn_cancel_due(&end->conn);
    assert_false(deadline_is_set(&end->conn.deadline));
    deadline_init(&behind, end_patience);
    deadline_set(&behind, 50);
    TURN_UNTIL(!deadline_is_set(&behind));
    conn_set_due(&end->conn, 1);
    conn_close(&end->conn);
    assert_false(conn_has_due(&end->conn));
    deadline_set(&behind, 50);
    TURN_UNTIL(!deadline_is_set(&behind));
    assert_int_equal(end->due, 0);
    close(peer);
    end_destroy(end);
}

static void later_comes_once_a_turn(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_pair(&peer);
    conn_later(&end->conn);
    conn_later(&end->conn);
    assert_int_equal(end->later, 0);
    turn_once();
    assert_int_equal(end->later, 1);
    turn_once();
    assert_int_equal(end->later, 1);
    conn_later(&end->conn);
    turn_once();
    assert_int_equal(end->later, 2);
    close(peer);
    end_destroy(end);
}

static void closing_takes_later_back_but_it_may_be_asked_for_again(void **state)
{
    (void)state;
    int peer;
    struct end *end = end_pair(&peer);
    conn_later(&end->conn);
    conn_close(&end->conn);
    turn_once();
    assert_int_equal(end->later, 0);
    end->on_later = ACT_FREE;
    conn_later(&end->conn);
    turn_once();
    assert_int_equal(freed, 1);
    close(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        turning(what_the_peer_wrote_is_read),
        turning(a_short_read_is_the_last_before_an_edge),
        turning(the_end_behind_a_short_read_is_not_missed),
        turning(readv_and_peek),
        turning(a_reset_is_not_an_end),
        turning(a_reset_that_came_with_the_data_is_found),
        turning(silence_after_a_short_read_is_no_event),
        turning(an_early_answer_is_read_after_a_failed_write),
        turning(a_reset_after_the_end_is_told),
        turning(a_full_socket_says_when_it_drains),
        turning(on_writable_comes_only_when_owed),
        turning(chains_of_memory_and_files_arrive_whole),
        turning(one_call_writes_many_slices),
        turning(a_file_that_shrank_breaks_the_connection),
        turning(a_long_chain_leaves_room_for_others),
        turning(the_farewell_ends_writing_not_reading),
        turning(connecting_over_tcp_sets_nodelay),
        turning(a_write_made_while_connecting_is_owed),
        turning(a_refused_connect_says_so_once),
        turning(unix_sockets_connect_at_once_but_tell_later),
        turning(callbacks_may_free_the_owner),
        turning(nothing_is_told_after_closing),
        turning(reset_is_seen_by_the_peer),
        turning(the_due_time_comes_once),
        turning(the_due_time_and_the_look_for_a_reset_are_two),
        turning(a_cancelled_or_closed_one_is_never_due),
        turning(later_comes_once_a_turn),
        turning(closing_takes_later_back_but_it_may_be_asked_for_again),
        turning(without_memory_the_descriptor_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
