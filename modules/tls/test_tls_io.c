/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tls_io.c: bytes through the transport: records, full sockets, ends in order and out of it, memory. */
#include "test_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIG (1u << 20)

static weir_conf site;
static weir_conf *sites[] = { &site, NULL };
static void *prepared;
static const struct weir_transport *t;

static int setup(void **state)
{
    const struct recipe recipe = { .name = "a", .subject = "a.example", .names = "DNS:a.example", .last_day = 50 };
    struct weir_transport_wish wish = { .server_name = WEIR_S("a.example"), .ca_file = WEIR_S("a.crt"),
                                        .verify = true };

    (void)state;
    t = host_transport();
    make_certificate(&recipe);
    assert_true(host_bind(&site, NULL, "a.example", "tls_certificate a.crt a.key"));
    prepared = host_prepare(&site, wish);
    assert_non_null(prepared);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    t->release(prepared);
    host_drop(&site);
    return 0;
}

static void open_pair(struct pair *p)
{
    pair_open(p, sites, prepared);
    if (!pair_shake(p))
        fail_msg("%s / %s", p->client_why, p->server_why);
}

static int64_t read_into(void *state, char *to, size_t n)
{
    weir_span span = { to, n };

    return t->readv(state, &span, 1);
}

static int64_t write_text_to(void *state, const char *text)
{
    weir_str slice = { text, strlen(text) };

    return t->writev(state, &slice, 1);
}

static char *pattern(size_t n)
{
    char *bytes = malloc(n);

    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 31 + i / 251);
    return bytes;
}

/* -- records ------------------------------------------------------------------------------------------------------- */

/* What lies in the socket, as records: their number and lengths. */
static uint32_t peek_records(int fd, uint32_t lengths[8])
{
    static unsigned char bytes[256 * 1024];
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_PEEK);
    uint32_t count = 0;

    for (ssize_t at = 0; at + 5 <= n && count < 8; count++) {
        lengths[count] = (uint32_t)(bytes[at + 3] << 8 | bytes[at + 4]);
        at += 5 + (ssize_t)lengths[count];
    }
    return count;
}

static const struct {
    const char *what;
    uint32_t sizes[4]; /* of the slices */
    uint32_t records;
} gathered[] = {
    { "head and small body", { 300, 1000 }, 1 },
    { "one byte", { 1 }, 1 },
    { "empty slices between", { 0, 10, 0, 20 }, 1 },
    { "exactly one record", { 16000, 384 }, 1 },
    { "one byte more", { 16000, 385 }, 2 },
    { "a large slice by itself", { 40000 }, 3 },
    { "a large slice behind a small one", { 100, 40000 }, 3 },
};

static void pass_ticket(const struct pair *p)
{
    weir_str hello = WEIR_S("hello");
    char room[16];

    assert_int_equal(t->writev(p->server, &hello, 1), 5);
    assert_int_equal(read_into(p->client, room, sizeof(room)), 5);
}

/* Nobody waits for it: no segment of its own. */
static void test_the_ticket_leaves_with_the_first_record(void **state)
{
    uint32_t lengths[8];
    weir_str hello = WEIR_S("hello");
    struct pair p;

    (void)state;
    open_pair(&p);
    assert_int_equal(peek_records(p.fds[1], lengths), 0);
    assert_int_equal(t->writev(p.server, &hello, 1), 5);
    assert_int_equal(peek_records(p.fds[1], lengths), 2);
    pair_close(&p);

    open_pair(&p); /* and no later than the farewell */
    assert_int_equal(t->shutdown(p.server), 1);
    shutdown(p.fds[0], SHUT_WR);
    assert_int_equal(peek_records(p.fds[1], lengths), 2);
    pair_close(&p);
}

static void test_small_slices_share_a_record(void **state)
{
    char *bytes = pattern(65536), *room = malloc(65536);

    (void)state;
    for (size_t i = 0; i < sizeof(gathered) / sizeof(gathered[0]); i++) {
        weir_str slices[4];
        uint32_t lengths[8], total = 0;
        struct pair p;
        open_pair(&p);
        pass_ticket(&p);
        for (int k = 0; k < 4; total += gathered[i].sizes[k++])
            slices[k] = (weir_str){ bytes + total, gathered[i].sizes[k] };
        assert_int_equal(t->writev(p.server, slices, 4), total);
        if (peek_records(p.fds[1], lengths) != gathered[i].records)
            fail_msg("%s: %u records", gathered[i].what, peek_records(p.fds[1], lengths));
        assert_int_equal(read_into(p.client, room, 65536), total);
        assert_memory_equal(room, bytes, total);
        pair_close(&p);
    }
    free(bytes);
    free(room);
}

static void test_room_in_many_spans(void **state)
{
    char *bytes = pattern(50000), room[3][20000];
    weir_span spans[3] = { { room[0], 7 }, { room[1], 20000 }, { room[2], 20000 } };
    weir_str slice = { bytes, 50000 };
    struct pair p;

    (void)state;
    open_pair(&p);
    assert_int_equal(t->writev(p.client, &slice, 1), 50000);
    assert_int_equal(t->readv(p.server, spans, 3), 40007);
    assert_memory_equal(room[0], bytes, 7);
    assert_memory_equal(room[1], bytes + 7, 20000);
    assert_memory_equal(room[2], bytes + 20007, 20000);
    assert_true(t->pending(p.server) > 0); /* the rest was read from the socket with what came before */
    assert_int_equal(read_into(p.server, room[1], 20000), 9993);
    assert_int_equal(t->pending(p.server), 0);
    assert_int_equal(read_into(p.server, room[1], 20000), WEIR_IO_WANT_READ);
    pair_close(&p);
    free(bytes);
}

/* -- full sockets -------------------------------------------------------------------------------------------------- */

static void test_a_full_socket_takes_the_rest_later(void **state)
{
    char *bytes = pattern(BIG), *room = malloc(BIG);
    size_t sent = 0, got = 0;
    uint32_t refusals = 0;
    int small = 4096;
    struct pair p;

    (void)state;
    open_pair(&p);
    setsockopt(p.fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    for (uint32_t turn = 0; got < BIG && turn < 100000; turn++) {
        /* Each call offers what is left, cut differently, at another address, and more than the last time. */
        size_t left = BIG - sent, offer = left < 30000 + turn * 1000 ? left : 30000 + turn * 1000;
        char *moved = malloc(offer > 0 ? offer : 1);
        memcpy(moved, bytes + sent, offer);
        size_t cut = offer * (turn % 7) / 7;
        weir_str slices[2] = { { moved, cut }, { moved + cut, offer - cut } };
        int64_t n = offer > 0 ? t->writev(p.server, slices, 2) : 0;
        free(moved);
        assert_true(n >= 0 || n == WEIR_IO_WANT_WRITE);
        refusals += n == WEIR_IO_WANT_WRITE;
        sent += n > 0 ? (size_t)n : 0;
        n = read_into(p.client, room + got, BIG - got < 5000 ? BIG - got : 5000);
        assert_true(n > 0 || n == WEIR_IO_WANT_READ);
        got += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(got, BIG);
    assert_memory_equal(room, bytes, BIG);
    assert_true(refusals > 0);
    pair_close(&p);
    free(bytes);
    free(room);
}

/* One byte at a time through the middle: every message is cut everywhere. */
static bool relay_one(int from, int to)
{
    char byte;

    return recv(from, &byte, 1, 0) == 1 && send(to, &byte, 1, 0) == 1;
}

static void test_bytes_that_come_one_by_one(void **state)
{
    int left[2], right[2];
    int server = WEIR_IO_WANT_READ, client = WEIR_IO_WANT_READ;
    char room[64];
    int64_t n = WEIR_IO_WANT_READ;

    (void)state;
    make_sockets(left);
    make_sockets(right);
    weir_conn conn = { .sites = sites };
    conn.transport = t->accept(&conn, left[0]);
    void *origin = t->open(prepared, right[0]);
    client = t->handshake(origin, NULL);
    for (int turn = 0; turn < 20000 && (server != 1 || client != 1); turn++) {
        if (relay_one(right[1], left[1]) && server != 1)
            server = t->handshake(conn.transport, NULL);
        if (relay_one(left[1], right[1]) && client != 1)
            client = t->handshake(origin, NULL);
        assert_true(server != WEIR_IO_ERROR && client != WEIR_IO_ERROR);
    }
    assert_int_equal(server + client, 2);
    assert_int_equal(write_text_to(origin, "one by one"), 10);
    while (n == WEIR_IO_WANT_READ && relay_one(right[1], left[1])) {
        assert_int_equal(t->pending(conn.transport), 0); /* part of a record is no reason to come back */
        n = read_into(conn.transport, room, sizeof(room));
    }
    assert_int_equal(n, 10);
    assert_memory_equal(room, "one by one", 10);
    t->close(conn.transport);
    t->close(origin);
    close(left[0]), close(left[1]), close(right[0]), close(right[1]);
}

/* -- what was read ahead ------------------------------------------------------------------------------------------- */

static void test_request_behind_the_last_handshake_message(void **state)
{
    struct pair p;
    char room[64];

    (void)state;
    pair_open(&p, sites, prepared);
    assert_int_equal(t->handshake(p.client, NULL), WEIR_IO_WANT_READ);
    assert_int_equal(t->handshake(p.server, NULL), WEIR_IO_WANT_READ);
    assert_int_equal(t->handshake(p.client, NULL), 1);
    assert_int_equal(write_text_to(p.client, "GET"), 3);
    assert_int_equal(t->handshake(p.server, NULL), 1);
    assert_int_equal(recv(p.fds[0], room, 1, MSG_PEEK), -1); /* the socket is empty: no edge will come */
    assert_true(t->pending(p.server) > 0);
    assert_int_equal(read_into(p.server, room, sizeof(room)), 3);
    assert_int_equal(t->pending(p.server), 0);
    pair_close(&p);
}

/* -- ends ---------------------------------------------------------------------------------------------------------- */

static void test_end_in_order(void **state)
{
    struct pair p;
    char room[64];

    (void)state;
    open_pair(&p);
    assert_int_equal(write_text_to(p.client, "last"), 4);
    assert_int_equal(t->shutdown(p.client), 1);
    shutdown(p.fds[1], SHUT_WR);
    assert_int_equal(read_into(p.server, room, sizeof(room)), 4);
    assert_int_equal(read_into(p.server, room, sizeof(room)), WEIR_IO_EOF);
    assert_int_equal(read_into(p.server, room, sizeof(room)), WEIR_IO_EOF);
    assert_int_equal(write_text_to(p.server, "answer"), 6); /* half closed */
    assert_int_equal(read_into(p.client, room, sizeof(room)), 6);
    assert_int_equal(t->shutdown(p.server), 1);
    assert_int_equal(read_into(p.client, room, sizeof(room)), WEIR_IO_EOF);
    pair_close(&p);
}

/* The end lies in the bytes that were read ahead: the socket will not tell of it, pending() must. */
static void test_end_that_was_read_ahead(void **state)
{
    struct pair p;
    char room[64];

    (void)state;
    open_pair(&p);
    assert_int_equal(write_text_to(p.client, "last"), 4);
    assert_int_equal(t->shutdown(p.client), 1);
    assert_int_equal(read_into(p.server, room, sizeof(room)), 4);
    assert_true(t->pending(p.server) > 0);
    assert_int_equal(read_into(p.server, room, sizeof(room)), WEIR_IO_EOF);
    pair_close(&p);
}

static void test_end_without_farewell(void **state)
{
    struct pair p;
    char room[64];

    (void)state;
    open_pair(&p);
    assert_int_equal(write_text_to(p.client, "last"), 4);
    shutdown(p.fds[1], SHUT_WR);
    assert_int_equal(read_into(p.server, room, sizeof(room)), 4);
    assert_int_equal(read_into(p.server, room, sizeof(room)), WEIR_IO_ERROR);
    assert_int_equal(read_into(p.server, room, sizeof(room)), WEIR_IO_ERROR);
    pair_close(&p);
}

static void test_record_cut_short(void **state)
{
    unsigned char raw[256];
    struct pair p;
    char room[64];

    (void)state;
    open_pair(&p);
    assert_int_equal(write_text_to(p.client, "hello"), 5);
    ssize_t n = recv(p.fds[0], raw, sizeof(raw), 0);
    assert_true(n > 10);
    assert_int_equal(send(p.fds[1], raw, (size_t)n - 3, 0), n - 3);
    assert_int_equal(read_into(p.server, room, sizeof(room)), WEIR_IO_WANT_READ);
    assert_int_equal(t->pending(p.server), 0);
    shutdown(p.fds[1], SHUT_WR);
    assert_int_equal(read_into(p.server, room, sizeof(room)), WEIR_IO_ERROR);
    pair_close(&p);
}

static void test_record_tampered_with(void **state)
{
    unsigned char raw[256];
    struct pair p;
    char room[64];

    (void)state;
    open_pair(&p);
    assert_int_equal(write_text_to(p.client, "hello"), 5);
    ssize_t n = recv(p.fds[0], raw, sizeof(raw), 0);
    raw[n - 1] ^= 1;
    assert_int_equal(send(p.fds[1], raw, (size_t)n, 0), n);
    assert_int_equal(read_into(p.server, room, sizeof(room)), WEIR_IO_ERROR);
    assert_int_equal(write_text_to(p.server, "x"), WEIR_IO_ERROR);
    assert_int_equal(t->shutdown(p.server), WEIR_IO_ERROR);
    pair_close(&p);
}

/* SIGPIPE has its default action in this process: a signal would end it. */
static void test_writing_to_nobody(void **state)
{
    struct pair p;

    (void)state;
    open_pair(&p);
    close(p.fds[1]);
    assert_int_equal(write_text_to(p.server, "anybody?"), WEIR_IO_ERROR);
    p.fds[1] = dup(p.fds[0]);
    pair_close(&p);
}

static void test_new_keys_on_the_way(void **state)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *client = SSL_new(ctx);
    struct pair p;
    char room[64];

    (void)state;
    assert_true(raw_shake(&p, sites, client));
    assert_int_equal(SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_write(client, "fresh", 5), 5);
    assert_int_equal(read_into(p.server, room, sizeof(room)), 5);
    assert_int_equal(write_text_to(p.server, "keys"), 4);
    assert_int_equal(SSL_read(client, room, sizeof(room)), 4);
    pair_close(&p);
    SSL_free(client);
    SSL_CTX_free(ctx);
}

static void test_renegotiation_is_refused(void **state)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    SSL *client = SSL_new(ctx);
    struct pair p;
    char room[64];

    (void)state;
    assert_true(raw_shake(&p, sites, client));
    assert_int_equal(SSL_renegotiate(client), 1);
    SSL_do_handshake(client);
    assert_int_equal(read_into(p.server, room, sizeof(room)), WEIR_IO_WANT_READ);
    assert_true(SSL_do_handshake(client) <= 0); /* a no_renegotiation alert is what came */
    assert_false(SSL_is_init_finished(client));
    pair_close(&p);
    SSL_free(client);
    SSL_CTX_free(ctx);
}

/* -- memory -------------------------------------------------------------------------------------------------------- */

static void test_idle_connections_are_small(void **state)
{
    enum { COUNT = 50 };
    static struct pair pairs[COUNT];
    char room[64];
    uint64_t before;

    (void)state;
    open_pair(&pairs[0]); /* what is made once is made now */
    pair_close(&pairs[0]);
    before = host_openssl_bytes;
    for (int i = 0; i < COUNT; i++) {
        open_pair(&pairs[i]);
        assert_int_equal(write_text_to(pairs[i].client, "GET"), 3);
        assert_int_equal(read_into(pairs[i].server, room, sizeof(room)), 3);
        assert_int_equal(read_into(pairs[i].server, room, sizeof(room)), WEIR_IO_WANT_READ);
        assert_int_equal(write_text_to(pairs[i].server, "200"), 3);
        assert_int_equal(read_into(pairs[i].client, room, sizeof(room)), 3);
        t->close(pairs[i].client);
        pairs[i].client = NULL;
    }
    uint64_t each = (host_openssl_bytes - before) / COUNT;
    print_message("# an idle TLS 1.3 connection holds %llu bytes of OpenSSL's\n", (unsigned long long)each);
    assert_true(each < 15000);
    for (int i = 0; i < COUNT; i++)
        pair_close(&pairs[i]);
    assert_int_equal(host_openssl_bytes, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_ticket_leaves_with_the_first_record),
        cmocka_unit_test(test_small_slices_share_a_record),
        cmocka_unit_test(test_room_in_many_spans),
        cmocka_unit_test(test_a_full_socket_takes_the_rest_later),
        cmocka_unit_test(test_bytes_that_come_one_by_one),
        cmocka_unit_test(test_request_behind_the_last_handshake_message),
        cmocka_unit_test(test_end_in_order),
        cmocka_unit_test(test_end_that_was_read_ahead),
        cmocka_unit_test(test_end_without_farewell),
        cmocka_unit_test(test_record_cut_short),
        cmocka_unit_test(test_record_tampered_with),
        cmocka_unit_test(test_writing_to_nobody),
        cmocka_unit_test(test_new_keys_on_the_way),
        cmocka_unit_test(test_renegotiation_is_refused),
        cmocka_unit_test(test_idle_connections_are_small),
    };
    int rc;

    host_start();
    rc = cmocka_run_group_tests_name("tls io", tests, setup, teardown);
    host_stop();
    return rc;
}
