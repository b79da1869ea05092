/* SPDX-License-Identifier: BSD-2-Clause */
/* What an origin sees, and what becomes of a request when its origin fails. */
#include "playing.h"

#include "upstream/pool.h"

/* A pooled connection, by one exchange over it. */
static struct peer *warm_up(struct peer *client)
{
    struct peer *origin = reach(client, GET);

    expect_request(origin, "GET", "/");
    peer_put(origin, OK2);
    expect(client, 200, "ok");
    assert_int_equal(pools_idle_total(), 1);
    return origin;
}

static void says_who_asks(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, "GET /a%2fb/../c?q=1 HTTP/1.1\r\nHost: A.example:81\r\n"
                                        "Connection: x-hop, close\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n"
                                        "X-Forwarded-For: 10.9.9.9\r\nX_Forwarded_Host: b\r\n"
                                        "Forwarded: for=10.9.9.9\r\nX-Kept: 1\r\n\r\n");

    (void)state;
    struct heard m = expect_request(origin, "GET", "/c?q=1"); /* %2f is no separator */
    expect_field(&m, "Host", "A.example:81");
    expect_field(&m, "X-Kept", "1");
    expect_field(&m, "X-Forwarded-For", "192.0.2.1");
    expect_field(&m, "X-Forwarded-Proto", "http");
    expect_field(&m, "X-Forwarded-Port", "9000");
    static const char *const gone[] = { "X-Hop", "Keep-Alive", "X_Forwarded_Host", "Forwarded", "TE", "Connection" };
    for (size_t i = 0; i < COUNT(gone); i++)
        assert_null(heard_field(&m, gone[i]).p);
    assert_int_equal(heard_field(&m, "X-Request-ID").n, 32);
}

/* HTTP/1.0 need not name a host, HTTP/1.1 must: and the path of a unix socket is none. */
static void names_some_host(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, "GET / HTTP/1.0\r\n\r\n");

    (void)state;
    struct heard m = expect_request(origin, "GET", "/");
    expect_field(&m, "Host", "localhost");
    peer_put(origin, OK2);
    expect(client, 200, "ok");
}

static void tries_a_stale_connection_again(void **state)
{
    struct peer *client = client_open(), *stale = warm_up(client);

    (void)state;
    peer_put(client, GET);
    expect_request(stale, "GET", "/");
    peer_close(stale);
    struct peer *fresh = origin_take();
    expect_request(fresh, "GET", "/");
    peer_put(fresh, OK2);
    expect(client, 200, "ok");
}

static const struct {
    const char *request, *before_it_ends; /* what the origin sends before it closes the reused connection */
    int status;                           /* 0: tried again */
} stale[] = {
    { GET, "", 0 },
    { "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "", 0 },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "", 502 },
    { "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "", 502 }, /* the content is gone */
    { GET, "HTTP/1.1 2", 502 },
    { GET, "HTTP/1.1 103 Early Hints\r\n\r\n", 502 },
};

static void repeats_only_what_can_be_repeated(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(stale); i++) {
        struct peer *client = client_open(), *origin = warm_up(client);
        peer_put(client, stale[i].request);
        peer_put(origin, stale[i].before_it_ends);
        peer_close(origin);
        struct peer *fresh = origin_take();
        assert_int_equal(fresh != NULL, stale[i].status == 0);
        if (fresh)
            peer_put(fresh, OK2);
        if (strstr(stale[i].before_it_ends, "103"))
            expect(client, 103, "");
        expect(client, stale[i].status ? stale[i].status : 200, NULL);
        peer_close(client);
        engine_forget();
        engine_check_idle();
    }
}

static void gives_up_on_a_fresh_connection_that_closes(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);

    (void)state;
    peer_close(origin);
    struct heard m = expect(client, 502, NULL);
    assert_true(m.keep_alive);
    assert_null(origin_take());
}

static void forgets_connections_that_the_origin_closed(void **state)
{
    struct peer *client = client_open(), *origin = warm_up(client);

    (void)state;
    peer_close(origin);
    assert_int_equal(pools_idle_total(), 0);
    origin = reach(client, GET);
    peer_put(origin, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    expect(client, 200, "ok");
    expect_request(origin, "GET", "/");
    expect_end(origin);
    assert_int_equal(pools_idle_total(), 0);
}

/* The answer counts, whatever becomes of the rest of the request. */
static void takes_an_answer_from_an_origin_that_reads_no_more(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");

    (void)state;
    peer_pull(origin);
    peer_write(origin, OK2, strlen(OK2));
    peer_close(origin);
    expect(client, 200, "ok");
    peer_put(client, "67890");
    origin = reach(client, GET);
    peer_put(origin, OK2);
    expect(client, 200, "ok");
}

static void keeps_so_many_and_no_more(void **state)
{
    struct peer *clients[3], *origins[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        origins[i] = reach(clients[i] = client_open(), "GET / HTTP/1.1\r\nHost: two\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        peer_put(origins[i], OK2);
        expect(clients[i], 200, "ok");
    }
    assert_int_equal(pools_idle_total(), 2);
    peer_pull(origins[0]);
    assert_true(origins[0]->ended); /* the one idle the longest */
    engine_advance(11000);
    assert_int_equal(pools_idle_total(), 0);
}

static void answers_for_nobody(void **state)
{
    struct peer *client = client_open();

    (void)state;
    peer_put(client, "GET / HTTP/1.1\r\nHost: nobody\r\n\r\n");
    expect(client, 502, NULL);
    peer_put(client, "GET / HTTP/1.1\r\nHost: down\r\n\r\n");
    expect(client, 503, NULL);
}

static void goes_to_the_next_server(void **state)
{
    struct peer *client = client_open();

    (void)state;
    for (int i = 0; i < 3; i++) {
        peer_put(client, "POST / HTTP/1.1\r\nHost: some\r\nContent-Length: 3\r\n\r\nabc");
        struct peer *origin = origin2_take();
        struct heard m = expect_request(origin, "POST", "/");
        assert_string_equal(m.body.p, "abc");
        peer_put(origin, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        expect(client, 200, "ok");
    }
}

static void bounds_what_an_origin_says_before(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);

    (void)state;
    for (int i = 0; i < 17; i++)
        peer_put(origin, "HTTP/1.1 103 Early Hints\r\n\r\n");
    struct heard m;
    for (int i = 0; i < 16; i++)
        assert_true(response_next(client, false, &m) && m.status == 103);
    expect(client, 502, NULL);
    engine_forget();
    origin = reach(client, GET);
    peer_put(origin, "HTTP/1.1 200 OK\r\n");
    static char line[1024];
    memset(line, 'x', sizeof(line));
    memcpy(line, "X: ", 3);
    memcpy(line + sizeof(line) - 2, "\r\n", 2);
    for (int i = 0; i < 70 && !origin->broken; i++)
        peer_put_bytes(origin, line, sizeof(line));
    expect(client, 502, NULL);
}

static int up(void **state)
{
    (void)state;
    engine_up("upstream two { server @ORIGIN@; keepalive 2 timeout=10s; }\n"
              "upstream down { server @ORIGIN@ down; }\n"
              "upstream some { server @NOBODY@; server @ORIGIN2@ backup; }\n"
              "site _ { listen 127.0.0.1:9000; proxy @ORIGIN@; }\n"
              "site two { listen 127.0.0.1:9000; proxy two; }\n"
              "site down { listen 127.0.0.1:9000; proxy down; }\n"
              "site some { listen 127.0.0.1:9000; proxy some; }\n"
              "site nobody { listen 127.0.0.1:9000; proxy @NOBODY@; }\n");
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(says_who_asks),
        TEST(names_some_host),
        TEST(tries_a_stale_connection_again),
        TEST(repeats_only_what_can_be_repeated),
        TEST(gives_up_on_a_fresh_connection_that_closes),
        TEST(forgets_connections_that_the_origin_closed),
        TEST(takes_an_answer_from_an_origin_that_reads_no_more),
        TEST(keeps_so_many_and_no_more),
        TEST(answers_for_nobody),
        TEST(goes_to_the_next_server),
        TEST(bounds_what_an_origin_says_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
