/* SPDX-License-Identifier: BSD-2-Clause */
/* Behind a 101: raw bytes both ways, each way with an end of its own. */
#include "playing.h"

#define UPGRADE "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
#define SWITCHING "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

static void expect_bytes(struct peer *peer, const char *text)
{
    peer_pull(peer);
    assert_int_equal(peer->n - peer->at, strlen(text));
    assert_memory_equal(peer->got + peer->at, text, strlen(text));
    peer->at = peer->n;
}

static struct peer *open_tunnel(struct peer *client)
{
    struct peer *origin = reach(client, UPGRADE);
    struct heard m = expect_request(origin, "GET", "/ws");

    expect_field(&m, "Upgrade", "websocket");
    peer_put(origin, SWITCHING);
    m = expect(client, 101, "");
    expect_field(&m, "Upgrade", "websocket");
    expect_field(&m, "Connection", "Upgrade");
    return origin;
}

static void passes_bytes_both_ways(void **state)
{
    struct peer *client = client_open(), *origin = open_tunnel(client);

    (void)state;
    for (int i = 0; i < 3; i++) {
        peer_put(client, "ping\r\n\r\n");
        expect_bytes(origin, "ping\r\n\r\n");
        peer_put(origin, GET);
        expect_bytes(client, GET);
    }
    engine_advance(50 * 60 * 1000);
    peer_put(client, "x");
    engine_advance(50 * 60 * 1000);
    expect_bytes(origin, "x");
    expect_nothing(client);
    engine_advance(11 * 60 * 1000); /* an hour of silence */
    expect_end(client);
    expect_end(origin);
    engine_check_idle();
}

static void passes_what_came_with_the_heads(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, UPGRADE "early");

    (void)state;
    expect_request(origin, "GET", "/ws");
    expect_nothing(origin); /* not before the origin agrees */
    peer_put(origin, SWITCHING "hello");
    expect(client, 101, "");
    expect_bytes(client, "hello");
    expect_bytes(origin, "early");
}

/* Without a 101 what came early is the next request. */
static void goes_on_without_a_tunnel(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, UPGRADE GET);

    (void)state;
    expect_request(origin, "GET", "/ws");
    peer_put(origin, OK2);
    expect(client, 200, "ok");
    expect_request(origin, "GET", "/");
    peer_put(origin, OK2);
    expect(client, 200, "ok");
}

static void keeps_one_way_open(void **state)
{
    (void)state;
    for (int client_first = 0; client_first < 2; client_first++) {
        struct peer *client = client_open(), *origin = open_tunnel(client);
        struct peer *first = client_first ? client : origin, *second = client_first ? origin : client;
        peer_put(first, "last");
        peer_shut(first);
        expect_bytes(second, "last");
        assert_true(second->ended);
        for (int i = 0; i < 3; i++) {
            peer_put(second, "more");
            expect_bytes(first, "more");
            assert_false(first->ended);
        }
        peer_put(second, "end");
        peer_shut(second);
        expect_bytes(first, "end");
        assert_true(first->ended);
        engine_forget();
        engine_check_idle();
    }
}

static void ends_with_a_broken_end(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct peer *client = client_open_tcp(), *origin = open_tunnel(client);
        if (i == 0) {
            peer_reset(client);
            peer_pull(origin);
            assert_true(origin->ended);
        } else {
            peer_put(client, "unread");
            peer_reset(origin);
            peer_pull(client);
            assert_true(client->ended);
        }
        engine_forget();
        engine_check_idle();
    }
}

static void holds_little(void **state)
{
    static const char zeros[64 * 1024];
    struct peer *client = client_open(), *origin = open_tunnel(client);
    uint64_t sent[2] = { 0, 0 }, taken[2] = { 0, 0 };

    (void)state;
    struct peer *ends[] = { client, origin };
    for (int i = 0; i < 2; i++)
        for (unsigned idle = 0; idle < 3;) {
            size_t n = peer_write(ends[i], zeros, sizeof(zeros));
            engine_settle();
            sent[i] += n;
            idle = n ? 0 : idle + 1;
            assert_true(engine_blocks() < 2 * 1024 * 1024);
            assert_true(sent[i] < 10 * 1000 * 1000);
        }
    for (unsigned idle = 0; idle < 3;) {
        size_t n[2] = { peer_skip(origin, 50000), peer_skip(client, 70000) };
        engine_settle();
        taken[0] += n[0];
        taken[1] += n[1];
        idle = n[0] || n[1] ? 0 : idle + 1;
    }
    assert_int_equal(sent[0], taken[0]);
    assert_int_equal(sent[1], taken[1]);
    expect_nothing(client);
    expect_nothing(origin);
}

static void passes_no_other_http(void **state)
{
    static const char *const others[] = { "h2c", "HTTP/2.0", "TLS/1.2", "h2c, HTTP/3", "made-up" };
    char request[256];

    (void)state;
    for (size_t i = 0; i < COUNT(others); i++) {
        struct peer *client = client_open();
        snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: %s\r\n"
                                           "Connection: upgrade, http2-settings\r\n"
                                           "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", others[i]);
        struct peer *origin = reach(client, request);
        struct heard m = expect_request(origin, "GET", "/");
        assert_null(heard_field(&m, "Upgrade").p);
        assert_null(heard_field(&m, "HTTP2-Settings").p);
        peer_put(origin, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
        expect(client, 502, NULL);
        peer_close(client);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up_proxy, down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(passes_bytes_both_ways),
        TEST(passes_what_came_with_the_heads),
        TEST(goes_on_without_a_tunnel),
        TEST(keeps_one_way_open),
        TEST(ends_with_a_broken_end),
        TEST(holds_little),
        TEST(passes_no_other_http),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
