/* SPDX-License-Identifier: BSD-2-Clause */
/* What a client of one connection sees: one request behind the other, refusals, interim answers, ends. */
#include "playing.h"

static void keeps_connections_alive(void **state)
{
    struct peer *client = client_open(), *origin = NULL;

    (void)state;
    for (int i = 0; i < 3; i++) {
        peer_put(client, GET);
        if (!origin)
            origin = origin_take();
        expect_request(origin, "GET", "/");
        peer_put(origin, OK2);
        struct heard m = expect(client, 200, "ok");
        assert_true(m.keep_alive);
        expect_nothing(client);
    }
    assert_null(origin_take()); /* the origin's connection was used again */
    peer_close(client);
    engine_forget();
    engine_check_idle();
    expect_end(origin);
}

static void answers_pipelined_requests_in_order(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\n"
                                        "Content-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: a\r\n\r\nGET /4 HT");

    (void)state;
    expect_request(origin, "GET", "/1");
    expect_nothing(origin);
    peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
    struct heard m = expect_request(origin, "POST", "/2");
    assert_string_equal(m.body.p, "abc");
    peer_put(origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n2\r\n0\r\n\r\n");
    expect_request(origin, "GET", "/3");
    peer_put(origin, "HTTP/1.1 204 No Content\r\n\r\n");
    expect_nothing(origin);
    peer_put(client, "TP/1.1\r\nHost: a\r\n\r\n");
    expect_request(origin, "GET", "/4");
    peer_put(origin, OK2);
    expect(client, 200, "1");
    expect(client, 200, "2");
    expect(client, 204, "");
    expect(client, 200, "ok");
    expect_nothing(client);
}

static const struct {
    const char *request, *response; /* of the origin; NULL: it is not asked */
    int status;
    const char *body;
    bool ends; /* the connection does */
} rows[] = {
    { "GET / HTTP/1.0\r\nHost: a\r\n\r\n", OK2, 200, "ok", true },
    { "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", OK2, 200, "ok", false },
    { "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", OK2, 200, "ok", true },
    { GET, "HTTP/1.1 404 Nothing\r\nContent-Length: 0\r\n\r\n", 404, "", false },
    { GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304, "", false },
    { GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, "abc", false },
    { "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      200, "abc", true },
    { "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", OK2, 200, "ok", false },
    { "GET / HTTP/1.1\r\n\r\n", NULL, 400, NULL, true },
    { "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", NULL, 400, NULL, true },
    { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", NULL, 505, NULL, true },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", NULL, 400, NULL, true },
    { "GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n", NULL, 417, NULL, true },
    { "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", NULL, 501, NULL, true },
    { GET, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 502, NULL, false },
    { GET, "nonsense\r\n\r\n", 502, NULL, false },
    { GET, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", 502, NULL, false },
};

static void answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct peer *client = client_open();
        peer_put(client, rows[i].request);
        struct peer *origin = origin_take();
        assert_int_equal(origin != NULL, rows[i].response != NULL);
        if (origin)
            peer_put(origin, rows[i].response);
        expect(client, rows[i].status, rows[i].body);
        assert_int_equal(client->ended, rows[i].ends);
        peer_close(client);
        engine_forget();
        engine_check_idle();
    }
}

static void answers_head_without_content(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    struct heard m;

    (void)state;
    peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n");
    assert_true(response_next(client, true, &m));
    assert_true(m.whole && m.keep_alive);
    expect_field(&m, "Content-Length", "2000000");
    peer_put(client, GET);
    expect_request(origin, "HEAD", "/");
    expect_request(origin, "GET", "/"); /* both connections go on */
    peer_put(origin, OK2);
    expect(client, 200, "ok");
}

/* Without a length the origin's end is the content's end, and for the client it is framed anew. */
static void frames_content_that_ends_with_the_connection(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);

    (void)state;
    peer_put(origin, "HTTP/1.0 200 OK\r\n\r\nabc");
    peer_put(origin, "def");
    struct heard m;
    assert_true(response_next(client, false, &m));
    assert_false(m.whole);
    peer_close(origin);
    m = expect(client, 200, "abcdef");
    assert_true(m.keep_alive);
    expect_field(&m, "Transfer-Encoding", "chunked");
}

static void passes_trailers_on(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n"
                                        "Transfer-Encoding: chunked\r\n\r\n"
                                        "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n");

    (void)state;
    struct heard m = expect_request(origin, "POST", "/");
    assert_int_equal(m.trailers.count, 1);
    peer_put(origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 2\r\n\r\n");
    m = expect(client, 200, "x");
    assert_int_equal(m.trailers.count, 1);
}

static void passes_interim_responses_on(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);

    (void)state;
    peer_put(origin, "HTTP/1.1 100 Continue\r\n\r\n"); /* nobody asked, but it is for the client to pass over */
    expect(client, 100, "");
    peer_put(origin, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    struct heard m = expect(client, 103, "");
    expect_field(&m, "Link", "</a>");
    peer_put(origin, OK2);
    expect(client, 200, "ok");

    peer_put(client, "GET / HTTP/1.0\r\nHost: a\r\n\r\n"); /* HTTP/1.0 knows none */
    expect_request(origin, "GET", "/");
    peer_put(origin, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK2);
    expect(client, 200, "ok");
    expect_end(client);
}

#define POST_EXPECT "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"

static void waits_for_100_continue(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, POST_EXPECT);
    struct heard m;

    (void)state;
    assert_true(request_next(origin, &m));
    expect_field(&m, "Expect", "100-continue");
    assert_false(m.whole);
    expect_nothing(client);
    peer_put(origin, "HTTP/1.1 100 Continue\r\n\r\n");
    expect(client, 100, "");
    peer_put(client, "abcd");
    m = expect_request(origin, "POST", "/");
    assert_string_equal(m.body.p, "abcd");
    peer_put(origin, OK2);
    m = expect(client, 200, "ok");
    assert_true(m.keep_alive);
}

/* The origin refuses instead of saying 100: whether the content comes, nobody knows, so the connection ends. */
static void refuses_instead_of_100_continue(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, POST_EXPECT);

    (void)state;
    peer_put(origin, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    struct heard m = expect(client, 417, "");
    assert_false(m.keep_alive);
    engine_advance(3000);
    expect_end(client);
    engine_forget();
    engine_check_idle();
}

/* A final answer while the client still sends: it is passed on at once, what is left of the content is read and dropped
 * when it is little, and the next request is answered. */
static void passes_an_early_answer_on(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");

    (void)state;
    peer_put(origin, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    struct heard m = expect(client, 403, "no");
    assert_true(m.keep_alive);
    peer_put(client, "67890" GET);
    struct peer *next = origin_take();
    assert_non_null(next); /* not the one that has half a request */
    expect_request(next, "GET", "/");
    peer_put(next, OK2);
    expect(client, 200, "ok");
}

static void closes_behind_an_early_answer_to_a_long_body(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                        "5\r\n12345\r\n");

    (void)state;
    peer_put(origin, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    struct heard m = expect(client, 403, "no");
    assert_false(m.keep_alive);
    expect_end(client);
    peer_put(client, "5\r\n12345\r\n"); /* swallowed for a while, so that the answer is not lost */
    engine_advance(3000);
    engine_forget();
    engine_check_idle();
}

static void serves_a_client_that_shut_its_side(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);

    (void)state;
    peer_shut(client);
    peer_put(origin, OK2);
    expect(client, 200, "ok");
    expect_end(client);
    engine_forget();
    engine_check_idle();
}

static const struct {
    const char *sent;
    int status; /* 0: closed without an answer */
} cuts[] = {
    { "", 0 },
    { "GET / HT", 400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n123", 400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123", 400 },
};

static void answers_what_was_cut_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cuts); i++) {
        struct peer *client = client_open();
        if (*cuts[i].sent)
            peer_put(client, cuts[i].sent);
        peer_shut(client);
        if (cuts[i].status)
            expect(client, cuts[i].status, NULL);
        expect_end(client);
        engine_forget();
        engine_check_idle();
    }
}

static const struct {
    const char *sent;
    uint64_t ms; /* within these nothing happens, one second later it does */
    int status;  /* 0: closed without an answer */
} waits[] = {
    { "", 9000, 0 },
    { "GET / HT", 9000, 408 },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n123", 29000, 408 },
    { GET, 59000, 504 },
};

static void ends_waits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(waits); i++) {
        struct peer *client = client_open();
        if (*waits[i].sent)
            peer_put(client, waits[i].sent);
        engine_advance(waits[i].ms);
        expect_nothing(client);
        engine_advance(2000);
        if (waits[i].status)
            expect(client, waits[i].status, NULL);
        else
            expect_end(client);
        peer_close(client);
        engine_forget();
        engine_check_idle();
    }
}

/* `timeout header` is a total: a client that sends a byte now and then does not prolong it. */
static void bounds_slow_heads(void **state)
{
    struct peer *client = client_open();

    (void)state;
    for (int i = 0; i < 9; i++) {
        peer_put(client, "G");
        engine_advance(1000);
    }
    expect_nothing(client);
    engine_advance(2000);
    expect(client, 408, NULL);
    engine_advance(3000);
    expect_end(client);
}

static void closes_idle_connections(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);

    (void)state;
    peer_put(origin, OK2);
    expect(client, 200, "ok");
    expect_request(origin, "GET", "/");
    engine_advance(59000);
    expect_nothing(origin);
    engine_advance(15000);
    expect_end(origin);
    expect_nothing(client);
    engine_advance(2000);
    expect_end(client);
    engine_check_idle();
}

static void resets_a_client_that_takes_nothing(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);
    static char zeros[64 * 1024];

    (void)state;
    peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
    while (peer_write(origin, zeros, sizeof(zeros)))
        engine_settle();
    engine_advance(29000);
    peer_write(origin, zeros, sizeof(zeros));
    engine_advance(2000);
    peer_pull(origin);
    assert_true(origin->ended);
    peer_pull(client);
    assert_true(client->ended);
    engine_forget();
    engine_check_idle();
}

static void drains(void **state)
{
    struct peer *idle = client_open(), *busy = client_open(), *half = client_open();
    struct peer *origin = reach(busy, GET);

    (void)state;
    peer_put(half, "GET / HT");
    engine_drain();
    expect_end(idle);
    expect_nothing(busy);
    expect_nothing(half);
    peer_put(origin, OK2);
    struct heard m = expect(busy, 200, "ok");
    assert_false(m.keep_alive);
    expect_end(busy);
    expect_request(origin, "GET", "/");
    peer_put(half, "TP/1.1\r\nHost: a\r\n\r\n");
    expect_request(origin, "GET", "/");
    peer_put(origin, OK2);
    m = expect(half, 200, "ok");
    assert_false(m.keep_alive);
    expect_end(half);
    engine_forget();
    engine_check_idle();
}

static void serves_on_through_a_reload(void **state)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);

    (void)state;
    engine_reload("site _ { listen 127.0.0.1:9000; respond 200 new; }\n");
    assert_int_equal(snapshots_alive(), 2);
    peer_put(origin, OK2);
    expect(client, 200, "ok");
    assert_int_equal(snapshots_alive(), 1);
    peer_put(client, GET);
    expect(client, 200, "new");
    peer_close(client);
    engine_forget();
    engine_check_idle();
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up_proxy, down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(keeps_connections_alive),
        TEST(answers_pipelined_requests_in_order),
        TEST(answers),
        TEST(answers_head_without_content),
        TEST(frames_content_that_ends_with_the_connection),
        TEST(passes_trailers_on),
        TEST(passes_interim_responses_on),
        TEST(waits_for_100_continue),
        TEST(refuses_instead_of_100_continue),
        TEST(passes_an_early_answer_on),
        TEST(closes_behind_an_early_answer_to_a_long_body),
        TEST(serves_a_client_that_shut_its_side),
        TEST(answers_what_was_cut_short),
        TEST(ends_waits),
        TEST(bounds_slow_heads),
        TEST(closes_idle_connections),
        TEST(resets_a_client_that_takes_nothing),
        TEST(drains),
        TEST(serves_on_through_a_reload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
