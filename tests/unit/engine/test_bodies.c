/* SPDX-License-Identifier: BSD-2-Clause */
/* Content on its way: whole and in order, with bounded memory, and with an honest end when something breaks. */
#define _GNU_SOURCE 1
#include "playing.h"

#include "pipeline/http1.h"

#include <sys/socket.h>

enum { LONG = 50 * 1000 * 1000, PIECE = 64 * 1024 };

/* What the flow may hold (pipeline/body.h), what the codec may have queued, a read each, and blocks' ends. */
enum { HELD_MOST = 1024 * 1024 };

static char piece[PIECE + 251];

/* Byte i of every long content is i % 251. */
static const char *content_at(uint64_t offset)
{
    if (!piece[1])
        for (size_t i = 0; i < sizeof(piece); i++)
            piece[i] = (char)(i % 251);
    return piece + offset % 251;
}

/* One end writes as much as it can, the other nothing; then both do, until all has come. */
static void pump(struct peer *from, struct peer *to, uint64_t total)
{
    uint64_t sent = 0, held = 0, taken = 0;
    char room[PIECE];

    for (unsigned idle = 0; idle < 3;) { /* blocked for good */
        size_t n = peer_write(from, content_at(sent), PIECE);
        engine_settle();
        idle = n ? 0 : idle + 1;
        sent += n;
        held = engine_blocks() > held ? engine_blocks() : held;
        assert_true(held <= HELD_MOST);
    }
    assert_true(sent < total && sent > BODY_CREDIT);
    while (taken < total) {
        uint64_t left = total - sent;
        sent += peer_write(from, content_at(sent), left < PIECE ? left : PIECE);
        ssize_t n = recv(to->fd, room, sizeof(room), 0);
        engine_settle();
        held = engine_blocks() > held ? engine_blocks() : held;
        if (n <= 0)
            continue;
        assert_memory_equal(room, content_at(taken), (size_t)n);
        taken += (uint64_t)n;
    }
    assert_true(held <= HELD_MOST);
}

static void take_head_of(struct peer *peer)
{
    char room[4096];
    ssize_t n = recv(peer->fd, room, sizeof(room), MSG_PEEK);
    assert_true(n > 0);
    char *end = memmem(room, (size_t)n, "\r\n\r\n", 4);
    assert_non_null(end);
    n = recv(peer->fd, room, (size_t)(end + 4 - room), 0);
    assert_true(n > 0);
}

static void holds_little_of_a_long_response(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);

    (void)state;
    peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
    take_head_of(client);
    pump(origin, client, LONG);
    peer_close(client);
    engine_forget();
    engine_check_idle();
}

static void holds_little_of_a_long_request(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n");

    (void)state;
    take_head_of(origin);
    pump(client, origin, LONG);
    peer_put(origin, OK2);
    expect(client, 200, "ok");
    peer_close(client);
    engine_forget();
    engine_check_idle();
}

/* Many small reads must not pin a large buffer each. */
static void holds_little_of_a_dripping_response(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);

    (void)state;
    peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
    for (unsigned i = 0; i < 4000; i++) {
        size_t n = peer_write(origin, content_at(0), 700);
        engine_turns(1);
        if (!n)
            break;
        assert_true(engine_blocks() <= HELD_MOST * 2);
    }
    peer_close(client);
    engine_forget();
    engine_check_idle();
}

static const struct {
    const char *response;
    bool ends; /* the origin closes behind it */
    bool whole;
} ends[] = {
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", true, false },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, false },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", true, true },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcdeXYZ", false, true },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", true, false },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", true, false },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n", false, false },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", true, true },
    { "HTTP/1.1 200 OK\r\n\r\nabc", true, true },
};

static void tells_broken_responses_from_whole_ones(void **state)
{
    struct heard m;

    (void)state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        struct peer *client = client_open();
        struct peer *origin = reach(client, GET);
        peer_put(origin, ends[i].response);
        if (ends[i].ends)
            peer_close(origin);
        assert_true(response_next(client, false, &m));
        assert_int_equal(m.status, 200);
        assert_int_equal(m.whole, ends[i].whole);
        assert_int_equal(client->ended, !ends[i].whole);
        peer_close(client);
        engine_forget();
        engine_check_idle();
    }
}

/* An HTTP/1.0 client knows the content's end by the connection's: a broken one must not look like that. */
static void resets_http_1_0_clients_of_broken_responses(void **state)
{
    struct peer *client = client_open_tcp();
    struct peer *origin = reach(client, "GET / HTTP/1.0\r\nHost: a\r\n\r\n");

    (void)state;
    peer_put(origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    peer_close(origin);
    peer_pull(client);
    assert_true(client->broken);
    engine_forget();
    engine_check_idle();
}

static void drops_connections_out_of_step(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);

    (void)state;
    peer_put(origin, OK2 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    expect(client, 200, "ok");
    peer_pull(origin);
    assert_true(origin->ended);
    origin = reach(client, GET);
    peer_put(origin, OK2);
    expect(client, 200, "ok");
    peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"); /* now that it is idle */
    peer_pull(origin);
    assert_true(origin->ended);
}

static void ends_with_its_client(void **state)
{
    static const char *const sent[] = { GET, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1234" };

    (void)state;
    for (size_t i = 0; i < COUNT(sent) * 2; i++) {
        struct peer *client = client_open_tcp();
        struct peer *origin = reach(client, sent[i / 2]);
        if (i % 2)
            peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        peer_reset(client);
        engine_advance(1000);
        peer_pull(origin);
        assert_true(origin->ended);
        engine_forget();
        engine_check_idle();
    }
}

static void refuses_bodies_over_the_limit(void **state)
{
    struct peer *client = client_open();

    (void)state;
    peer_put(client, "PUT /small HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n");
    expect(client, 413, NULL);
    assert_null(origin_take());
    client = client_open();
    struct peer *origin = reach(client, "PUT /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n");
    peer_put_bytes(client, content_at(0), 1024);
    expect_nothing(client);
    peer_put(client, "\r\n1\r\nx\r\n");
    expect(client, 413, NULL);
    peer_pull(origin);
    assert_true(origin->ended);
    engine_advance(3000);
    expect_end(client);
}

static void ends_stalls(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);
    struct heard m;

    (void)state;
    peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    engine_advance(9000);
    peer_put(origin, "d"); /* idle time, no total */
    engine_advance(9000);
    assert_true(response_next(client, false, &m));
    assert_false(client->ended);
    engine_advance(2000);
    assert_true(response_next(client, false, &m));
    assert_true(client->ended && !m.whole);
}

/* While the client takes nothing the origin is not to blame; when it has taken all, the origin is on the clock. */
static void ends_stalls_behind_a_slow_client(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);
    static const char zeros[1024];

    (void)state;
    peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
    struct weir_conn *c = list_entry(list_first(&pipeline_worker_self()->busy), struct weir_conn, link);
    while (body_room(&c->h1->current->down) > 0) /* nothing may be left in the kernel */
        peer_put_bytes(origin, zeros, 1024);
    engine_advance(11000);
    peer_pull(client);
    assert_false(client->ended);
    for (size_t before = 0; before != client->n;) {
        before = client->n;
        engine_settle();
        peer_pull(client);
    }
    assert_false(client->ended);
    engine_advance(11000);
    peer_pull(client);
    assert_true(client->ended);
    engine_forget();
    engine_check_idle();
}

static int up_limits(void **state)
{
    (void)state;
    engine_up("site _ { listen 127.0.0.1:9000; proxy @ORIGIN@; timeout response=10s send=30s;\n"
              "  route /small { max_body 1k; } }\n");
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up_limits, down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(holds_little_of_a_long_response),
        TEST(holds_little_of_a_long_request),
        TEST(holds_little_of_a_dripping_response),
        TEST(tells_broken_responses_from_whole_ones),
        TEST(resets_http_1_0_clients_of_broken_responses),
        TEST(drops_connections_out_of_step),
        TEST(ends_with_its_client),
        TEST(refuses_bodies_over_the_limit),
        TEST(ends_stalls),
        TEST(ends_stalls_behind_a_slow_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
