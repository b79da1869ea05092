/* SPDX-License-Identifier: BSD-2-Clause */
/* Peers that want too much: of memory, of connections, of the worker's time. */
#include "playing.h"

#include "base/mem.h"
#include "pipeline/overload.h"

enum { MIB = 1024 * 1024, CHUNKS = 20000 };

#define CONF_MEMORY                                                                                                    \
    "max_memory 8m; site _ { listen 127.0.0.1:9000; proxy @ORIGIN@; route = /up { health; } "                          \
    "route = /here { respond 200 here; } }\n"

/* -- memory -------------------------------------------------------------------------------------------------------- */

static void asks_for(const char *target, int status)
{
    struct peer *client = client_open();
    char text[128];

    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
    peer_put(client, text);
    struct heard m = expect(client, status, NULL);
    if (status == 503) {
        expect_field(&m, "Retry-After", "1");
        expect_field(&m, "Connection", "close");
        expect_end(client);
    }
    peer_close(client);
}

static void new_requests_are_shed_and_health_checks_last(void **state)
{
    static const struct {
        int64_t held;
        int here, health;
    } rows[] = { { 0, 200, 200 }, { 7 * MIB, 200, 200 }, { 17 * MIB / 2, 503, 200 }, { 10 * MIB, 503, 503 } };

    (void)state;
    engine_up(CONF_MEMORY);
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t shed = overload_figures(NULL).shed;
        mem_hold(rows[i].held);
        asks_for("/here", rows[i].here);
        asks_for("/up", rows[i].health);
        if (rows[i].here == 503)
            asks_for("/", 503);
        mem_hold(-rows[i].held);
        assert_int_equal(overload_figures(NULL).shed - shed,
                         (rows[i].here == 503 ? 2 : 0) + (rows[i].health == 503));
    }
    engine_check_idle();
    engine_down();
}

static void a_shed_request_reaches_no_origin(void **state)
{
    (void)state;
    engine_up("max_memory 8m; " CONF_PROXY);
    mem_hold(9 * MIB);
    struct peer *client = client_open();
    peer_put(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" GET);
    expect(client, 503, NULL);
    expect_end(client); /* and what was pipelined behind it is not answered */
    mem_hold(-9 * MIB);
    assert_null(origin_take());
    engine_down();
}

static void idle_connections_go_first_and_the_longest_idle_of_them(void **state)
{
    struct peer *idle[18], *busy;

    (void)state;
    engine_up(CONF_MEMORY);
    for (size_t i = 0; i < COUNT(idle); i++)
        idle[i] = client_open();
    mem_hold(15 * MIB / 2);
    asks_for("/here", 200);
    for (size_t i = 0; i < COUNT(idle); i++)
        expect_nothing(idle[i]); /* their first requests may be under way */
    mem_hold(-15 * MIB / 2);
    engine_advance(1000);
    peer_put(idle[0], "GET /here HTTP/1.1\r\nHost: a\r\n\r\n"); /* the one that was idle longest is so no more */
    expect(idle[0], 200, "here");
    mem_hold(15 * MIB / 2);
    busy = client_open();
    peer_put(busy, "GET /here HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(busy, 200, "here"); /* that was enough: nothing is refused yet */
    mem_hold(-15 * MIB / 2);
    expect_nothing(idle[0]);
    expect_nothing(idle[17]);
    for (size_t i = 1; i < 17; i++)
        expect_end(idle[i]);
    engine_down();
}

static void heads_that_do_not_end_are_idle(void **state)
{
    struct peer *half[40], *whole;

    (void)state;
    engine_up(CONF_MEMORY);
    whole = client_open();
    peer_put(whole, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t i = 0; i < COUNT(half); i++)
        peer_put(half[i] = client_open(), "GET /here HTTP/1.1\r\nHos");
    mem_hold(7 * MIB);
    asks_for("/here", 200);
    for (size_t i = 0; i < COUNT(half); i++)
        expect_nothing(half[i]); /* their second is not over */
    engine_advance(1000);
    asks_for("/here", 200);
    mem_hold(-7 * MIB);
    for (size_t i = 0; i < 16; i++)
        expect_end(half[i]);
    expect_nothing(whole); /* it waits for us */
    peer_put(half[39], "t: a\r\n\r\n");
    expect(half[39], 200, "here");
    engine_down();
}

static void limits_change_with_a_reload(void **state)
{
    (void)state;
    engine_up(CONF_MEMORY);
    mem_hold(9 * MIB);
    asks_for("/here", 503);
    engine_reload("max_memory off; site _ { listen 127.0.0.1:9000; route = /here { respond 200 here; } }\n");
    asks_for("/here", 200);
    engine_reload("max_memory 64m; site _ { listen 127.0.0.1:9000; route = /here { respond 200 here; } }\n");
    asks_for("/here", 200);
    mem_hold(-9 * MIB);
    engine_down();
}

static void what_is_held_is_counted_and_given_back(void **state)
{
    struct peer *clients[40];

    (void)state;
    engine_up(CONF_PROXY);
    uint64_t before = mem_held();
    for (size_t i = 0; i < COUNT(clients); i++)
        reach(clients[i] = client_open(), GET);
    assert_true(mem_held() - before >= COUNT(clients) * (sizeof(struct weir_conn) + sizeof(struct weir_req)));
    for (size_t i = 0; i < COUNT(clients); i++)
        peer_close(clients[i]);
    engine_forget();
    assert_int_equal(mem_held(), before);
    engine_down();
}

/* -- connections --------------------------------------------------------------------------------------------------- */

static void a_client_has_so_many_connections(void **state)
{
    (void)state;
    engine_up("max_connections auto per_client=2; " CONF_PROXY);
    uint64_t refused = overload_figures(NULL).refused;
    struct peer *first = client_open(), *second = client_open();
    expect_end(client_open()); /* all come from one address */
    expect_nothing(first);
    assert_int_equal(overload_figures(NULL).refused - refused, 1);
    peer_close(first);
    struct peer *third = client_open();
    peer_put(third, "GET / HTTP/1.0\r\n\r\n");
    assert_non_null(origin_take());
    expect_end(client_open());
    peer_close(second);
    peer_close(third);
    engine_check_idle();
    engine_down();
}

static void a_trusted_proxy_brings_many_clients(void **state)
{
    (void)state;
    engine_up("max_connections auto per_client=1; trusted_proxies 192.0.2.0/24; " CONF_PROXY);
    for (int i = 0; i < 5; i++)
        expect_nothing(client_open());
    engine_down();
}

/* -- pieces -------------------------------------------------------------------------------------------------------- */

/* Each byte of content in a chunk and a read of its own. */
static void a_request_in_tiny_chunks_holds_little(void **state)
{
    (void)state;
    engine_up("site _ { listen 127.0.0.1:9000; proxy @ORIGIN@; }\n");
    struct peer *client = client_open();
    peer_put(client, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < CHUNKS; i++) {
        size_t n = peer_write(client, "1\r\na\r\n", 6);
        assert_int_equal(n, 6);
        engine_turns(4);
    }
    assert_true(engine_blocks() < 512 * 1024);
    peer_put(client, "0\r\n\r\n");
    struct peer *origin = origin_take();
    struct heard m;
    assert_non_null(origin);
    for (int i = 0; i < CHUNKS; i++) { /* as it takes, more comes */
        peer_pull(origin);
        engine_settle();
        if (peer_has(origin, "\r\n0\r\n\r\n"))
            break;
    }
    assert_true(request_next(origin, &m) && m.whole && m.body.n == CHUNKS);
    peer_close(client);
    engine_down();
}

static void a_response_in_tiny_chunks_holds_little(void **state)
{
    uint64_t most = 0;

    (void)state;
    engine_up(CONF_PROXY);
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);
    peer_put(origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    int sent = 0;
    for (; sent < CHUNKS && peer_write(origin, "1\r\na\r\n", 6) == 6; sent++) { /* the client takes nothing */
        engine_turns(4);
        most = engine_blocks() > most ? engine_blocks() : most;
    }
    assert_true(sent > CHUNKS / 10);
    assert_true(most < 512 * 1024);
    peer_close(client);
    engine_down();
}

/* -- time ---------------------------------------------------------------------------------------------------------- */

static void a_flood_of_pipelined_requests_lets_others_in(void **state)
{
    enum { REQUESTS = 1000 };
    static const char request[] = "GET /here HTTP/1.1\r\nHost: a\r\n\r\n";
    static char requests[REQUESTS * (sizeof(request) - 1)];
    struct heard m;

    (void)state;
    engine_up(CONF_MEMORY);
    struct peer *flood = client_open(), *other = client_open();
    for (size_t i = 0; i < REQUESTS; i++)
        memcpy(requests + i * (sizeof(request) - 1), request, sizeof(request) - 1);
    assert_int_equal(peer_write(flood, requests, sizeof(requests)), sizeof(requests));
    assert_int_equal(peer_write(other, request, sizeof(request) - 1), sizeof(request) - 1);
    engine_turns(2);
    expect(other, 200, "here");
    int answered = 0;
    while (response_next(flood, false, &m) && m.whole)
        answered++;
    assert_in_range(answered, 1, 2 * 16); /* a turn serves some of them, not all */
    for (int before = -1; before != answered;) { /* and the rest as it is taken */
        before = answered;
        engine_settle();
        while (response_next(flood, false, &m) && m.whole)
            answered++;
    }
    assert_int_equal(answered, REQUESTS);
    engine_down();
}

static void a_body_keeps_to_min_rate(void **state)
{
    static const struct {
        const char *text;
        size_t every_4s;
        bool is_served;
    } rows[] = {
        { "timeout body=10s; ", 1, true },
        { "timeout body=10s; min_rate 1k; ", 1, false },
        { "timeout body=10s; min_rate 1k; ", 3000, false },
        { "timeout body=10s; min_rate 1k; ", 6000, true },
    };
    static char bytes[6000], text[256];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(text, sizeof(text), "%s%s", rows[i].text, CONF_PROXY);
        engine_up(text);
        struct peer *client = client_open();
        peer_put(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        for (int k = 0; k < 6; k++) {
            engine_advance(4000);
            peer_write(client, bytes, rows[i].every_4s);
            engine_settle();
        }
        peer_pull(client);
        assert_int_equal(peer_has(client, " 408 "), !rows[i].is_served);
        engine_down();
    }
}

static void an_answer_is_taken_at_min_rate(void **state)
{
    static const struct {
        const char *text;
        bool is_served;
    } rows[] = { { "timeout send=10s; ", true }, { "timeout send=10s; min_rate 1m; ", false },
                 { "timeout send=10s; min_rate 4k; ", true } };
    static char bytes[64 * 1024], text[256];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(text, sizeof(text), "%s%s", rows[i].text, CONF_PROXY);
        engine_up(text);
        struct peer *client = client_open();
        struct peer *origin = reach(client, GET);
        peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
        for (int k = 0; k < 8; k++) {
            while (peer_write(origin, bytes, sizeof(bytes)) > 0)
                engine_settle();
            engine_advance(4000);
            for (int taken = 0; taken < 2; taken++)
                peer_skip(client, sizeof(bytes));
            engine_settle();
        }
        while (peer_skip(client, sizeof(bytes)) > 0)
            continue;
        assert_int_equal(client->ended, !rows[i].is_served);
        engine_down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_requests_are_shed_and_health_checks_last),
        cmocka_unit_test(a_shed_request_reaches_no_origin),
        cmocka_unit_test(idle_connections_go_first_and_the_longest_idle_of_them),
        cmocka_unit_test(heads_that_do_not_end_are_idle),
        cmocka_unit_test(limits_change_with_a_reload),
        cmocka_unit_test(what_is_held_is_counted_and_given_back),
        cmocka_unit_test(a_client_has_so_many_connections),
        cmocka_unit_test(a_trusted_proxy_brings_many_clients),
        cmocka_unit_test(a_request_in_tiny_chunks_holds_little),
        cmocka_unit_test(a_response_in_tiny_chunks_holds_little),
        cmocka_unit_test(a_flood_of_pipelined_requests_lets_others_in),
        cmocka_unit_test(a_body_keeps_to_min_rate),
        cmocka_unit_test(an_answer_is_taken_at_min_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
