/* SPDX-License-Identifier: BSD-2-Clause */
/* What the engine makes of hooks: every verdict, and bytes hooks that take and give in their own portions. */
#include "modules.h"
#include "playing.h"


/* -- verdicts ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *play;
    bool reaches_origin;
    int status; /* 0: closed without an answer */
    const char *body;
} verdicts[] = {
    { "nothing", true, 200, "ok" }, { "reply", false, 418, "tea" }, { "refuse", false, 403, NULL },
    { "fail", false, 503, NULL }, { "unknown", false, 503, NULL }, { "close", false, 0, NULL },
    { "skip", true, 200, "ok" }, { "reply-nothing", false, 503, NULL }, { "suspend-nothing", false, 503, NULL },
    { "suspend-early", true, 200, "ok" }, { "circle", false, 508, NULL }, { "wait-nothing", false, 503, NULL },
    { "fail-open", true, 200, "ok" }, { "rsp-reply", true, 201, "other" }, { "rsp-fail", true, 503, NULL },
    { "rsp-close", true, 0, NULL },
};

static void ask(struct peer *client, const char *method, const char *fields, const char *body)
{
    char request[512];

    snprintf(request, sizeof(request), "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n%s", method, fields, body);
    peer_put(client, request);
}

static void ask_to_play(struct peer *client, const char *play)
{
    char field[64];

    snprintf(field, sizeof(field), "X-Play: %s", play);
    ask(client, "GET", field, "");
}

static void follows_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(verdicts); i++) {
        struct peer *client = client_open();
        logs = 0;
        ask_to_play(client, verdicts[i].play);
        struct peer *origin = origin_take();
        assert_int_equal(origin != NULL, verdicts[i].reaches_origin);
        if (origin)
            peer_put(origin, OK2);
        if (verdicts[i].status) {
            struct heard m = expect(client, verdicts[i].status, verdicts[i].body);
            if (!verdicts[i].reaches_origin || verdicts[i].status == 200)
                expect_field(&m, "X-Seen", "1"); /* every answer passes RSP_HEAD */
            assert_int_equal(logged_status, verdicts[i].status);
        } else {
            expect_end(client);
        }
        assert_int_equal(logs, 1);
        peer_close(client);
        engine_forget();
        engine_check_idle();
    }
}

static const struct {
    weir_verdict verdict;
    int status; /* 0: closed */
} resumes[] = { { WEIR_NEXT, 200 }, { WEIR_FAIL, 503 }, { WEIR_CLOSE, 0 }, { WEIR_SUSPEND, 503 } };

static void goes_on_when_resumed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(resumes); i++) {
        struct peer *client = client_open();
        ask_to_play(client, "suspend");
        engine_advance(4000);
        assert_null(origin_take());
        weir_resume(token, resumes[i].verdict);
        weir_resume(token, WEIR_FAIL); /* too late */
        engine_settle();
        struct peer *origin = origin_take();
        assert_int_equal(origin != NULL, resumes[i].status == 200);
        if (origin)
            peer_put(origin, OK2);
        if (resumes[i].status)
            expect(client, resumes[i].status, NULL);
        else
            expect_end(client);
        peer_close(client);
        engine_forget();
        engine_check_idle();
    }
}

static void gives_up_a_suspension(void **state)
{
    struct peer *client = client_open();

    (void)state;
    ask_to_play(client, "suspend");
    engine_advance(6000);
    expect(client, 503, NULL);
    ask_to_play(client, "suspend");
    peer_close(client); /* the client is gone: nothing is left to be resumed */
    engine_advance(1000);
    engine_check_idle();
    weir_resume(token, WEIR_NEXT);
    engine_settle();
    engine_check_idle();
}

static void suspends_a_response(void **state)
{
    struct peer *client = client_open();

    (void)state;
    ask_to_play(client, "rsp-suspend");
    struct peer *origin = origin_take();
    peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    peer_put(origin, "cd");
    expect_nothing(client);
    weir_resume(token, WEIR_NEXT);
    engine_settle();
    expect(client, 200, "abcd");
    ask_to_play(client, "rsp-suspend");
    peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    peer_close(origin);
    weir_resume(token, WEIR_NEXT);
    engine_settle();
    peer_pull(client);
    struct heard m;
    assert_true(!response_next(client, false, &m) || m.status != 200 || !m.whole);
}

static void reroutes(void **state)
{
    struct peer *client = client_open();

    (void)state;
    ask_to_play(client, "reroute");
    expect(client, 200, "other route");
    assert_null(origin_take());
}

static const struct {
    const char *play, *fields, *first, *rest;
    const char *body; /* NULL: passed on to the origin */
    int status;
} bodies[] = {
    { "wait", "Content-Length: 20", "0123456789", "0123456789", "seen 10", 200 },
    { "wait", "Content-Length: 20", "01234567890123456789", "", "seen 20", 200 },
    { "wait", "Content-Length: 4", "", "0123", "seen 4", 200 },
    { "wait", "Content-Length: 0", "", "", NULL, 503 },
    { "wait", "X: y", "", "", NULL, 503 },
    { "wait", "Transfer-Encoding: chunked", "3\r\nabc\r\n", "0\r\n\r\n", "seen 3", 200 },
    { "wait-all", "Transfer-Encoding: chunked", "3\r\nabc\r\n", "7\r\n1234567\r\n0\r\n\r\n", "seen 10", 200 },
    { "wait", "Expect: 100-continue\r\nContent-Length: 4", "", "0123", "seen 4", 200 },
};

static void waits_for_the_body(void **state)
{
    char fields[128];
    struct heard m;

    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct peer *client = client_open();
        snprintf(fields, sizeof(fields), "X-Play: %s\r\n%s", bodies[i].play, bodies[i].fields);
        ask(client, "PUT", fields, bodies[i].first);
        if (strstr(bodies[i].fields, "100-continue"))
            expect(client, 100, "");
        if (*bodies[i].rest)
            peer_put(client, bodies[i].rest);
        assert_true(response_next(client, false, &m));
        assert_int_equal(m.status, bodies[i].status);
        if (bodies[i].body)
            assert_string_equal(m.body.p, bodies[i].body);
        assert_null(origin_take());
        peer_close(client);
        engine_advance(3000);
        engine_forget();
        engine_check_idle();
    }
}

static void passes_the_body_on_that_was_waited_for(void **state)
{
    struct peer *client = client_open();

    (void)state;
    ask(client, "PUT", "X-Play: wait-pass\r\nContent-Length: 15", "0123456789");
    struct peer *origin = origin_take();
    assert_non_null(origin);
    peer_put(client, "abcde");
    struct heard m = expect_request(origin, "PUT", "/");
    assert_string_equal(m.body.p, "0123456789abcde");
    peer_put(origin, OK2);
    expect(client, 200, "ok");
    assert_int_equal(seen_last, 15);
}

static void ends_a_wait_for_the_body(void **state)
{
    struct peer *client = client_open();

    (void)state;
    ask(client, "PUT", "X-Play: wait\r\nContent-Length: 15", "0123");
    engine_advance(31000);
    expect(client, 408, NULL);
    client = client_open();
    ask(client, "PUT", "X-Play: wait\r\nContent-Length: 15", "0123");
    peer_shut(client);
    expect(client, 400, NULL);
    client = client_open();
    ask(client, "PUT", "X-Play: wait\r\nTransfer-Encoding: chunked", "3\r\nabcd\r\n");
    expect(client, 400, NULL);
    client = client_open_tcp();
    ask(client, "PUT", "X-Play: wait\r\nContent-Length: 15", "0123");
    peer_reset(client);
    engine_advance(3000);
    engine_check_idle();
}

/* -- bytes --------------------------------------------------------------------------------------------------------- */

static char long_text[20000], expected[sizeof(long_text) * SWELL];

static size_t make_texts(const char *how, size_t n)
{
    size_t out = 0;

    for (size_t i = 0; i < n; i++)
        long_text[i] = (char)('a' + i % 23);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(how, "swell") == 0) {
            memset(expected + out, long_text[i], SWELL);
            out += SWELL;
        } else {
            expected[out++] = (char)(strcmp(how, "upper") == 0 ? long_text[i] - 32 : long_text[i]);
        }
    }
    return out;
}

static const struct {
    const char *how, *where;
    size_t n;
} flows[] = {
    { "upper", "encode", 20000 }, { "upper", "both", 20000 }, { "upper", "request", 20000 },
    { "swell", "encode", 20000 }, { "swell", "request", 20000 }, { "hold", "encode", 20000 },
    { "hold", "both", 20000 }, { "hold", "request", 20000 }, { "records", "encode", 19950 },
    { "records", "both", 101 }, { "records", "request", 99 }, { "skip", "encode", 20000 }, { "skip", "both", 3 },
    { "skip", "request", 20000 }, { "upper", "encode", 0 }, { "swell", "both", 0 },
};

static void put_content(struct peer *peer, size_t n, size_t portion)
{
    for (size_t at = 0; at < n; at += portion)
        peer_put_bytes(peer, long_text + at, portion < n - at ? portion : n - at);
}

/* Reads on while the engine has more than its room allows at once. */
static void take_all(struct peer *peer)
{
    for (size_t before = SIZE_MAX; before != peer->n;) {
        before = peer->n;
        peer_pull(peer);
        engine_settle();
    }
    peer_pull(peer);
}

static void hands_content_through_hooks(void **state)
{
    static const size_t portions[] = { 1, 7, 700, 20000 };
    char fields[128], head[128];
    struct heard m;

    (void)state;
    for (size_t k = 0; k < COUNT(flows) * COUNT(portions); k++) {
        size_t i = k / COUNT(portions), portion = portions[k % COUNT(portions)];
        size_t n = portion == 1 && flows[i].n > 1000 ? 1000 : flows[i].n;
        bool is_request = strcmp(flows[i].where, "request") == 0;
        size_t out = make_texts(flows[i].how, n);
        struct peer *client = client_open();
        snprintf(fields, sizeof(fields), "X-Flow: %s\r\nX-Where: %s\r\nContent-Length: %zu", flows[i].how,
                 flows[i].where, is_request ? n : 0);
        ask(client, "PUT", fields, "");
        struct peer *origin = origin_take(), *receiver = is_request ? origin : client;
        assert_non_null(origin);
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
        if (!is_request)
            peer_put(origin, head);
        put_content(is_request ? client : origin, n, portion);
        take_all(receiver);
        assert_true(is_request ? request_next(origin, &m) : response_next(client, false, &m));
        assert_true(m.whole && !m.bad);
        assert_int_equal(m.kind, BODY_CHUNKED);
        assert_int_equal(m.body.n, out);
        assert_memory_equal(m.body.p, expected, out);
        peer_close(client);
        engine_forget();
        engine_check_idle();
    }
}

/* What is held back goes out when the origin pauses. */
static void flushes_when_the_origin_pauses(void **state)
{
    struct peer *client = client_open();

    (void)state;
    ask(client, "GET", "X-Flow: hold\r\nX-Where: both", "");
    struct peer *origin = origin_take();
    peer_put(origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    assert_true(peer_has(client, "abc"));
    peer_put(origin, "3\r\ndef\r\n");
    assert_true(peer_has(client, "def"));
    peer_put(origin, "0\r\n\r\n");
    expect(client, 200, "abcdef");
}

static void breaks_off_when_a_hook_fails(void **state)
{
    struct heard m;

    (void)state;
    struct peer *client = client_open();
    ask(client, "GET", "X-Flow: fail\r\nX-Where: encode", "");
    struct peer *origin = origin_take();
    peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcdefghij");
    peer_pull(client);
    assert_true(client->ended);
    assert_false(response_next(client, false, &m) && m.whole);
    engine_forget();
    engine_check_idle();

    client = client_open();
    ask(client, "PUT", "X-Flow: fail\r\nX-Where: request\r\nContent-Length: 10", "abcdefghij");
    expect(client, 503, NULL);
    origin = origin_take();
    if (origin) {
        peer_pull(origin);
        assert_true(origin->ended);
        assert_false(request_next(origin, &m) && m.whole);
    }
}

/* A hook that makes much of little is bounded by what the client takes. */
static void holds_little_of_what_a_hook_makes(void **state)
{
    struct peer *client = client_open();

    (void)state;
    make_texts("swell", sizeof(long_text));
    ask(client, "GET", "X-Flow: swell\r\nX-Where: encode", "");
    struct peer *origin = origin_take();
    peer_put(origin, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n");
    put_content(origin, sizeof(long_text), sizeof(long_text));
    assert_true(engine_blocks() < 1024 * 1024);
    take_all(client);
    struct heard m = expect(client, 200, NULL);
    assert_int_equal(m.body.n, sizeof(long_text) * SWELL);
}

static int up(void **state)
{
    static bool added;

    (void)state;
    if (!added) {
        engine_add_module(&play_module);
        engine_add_module(&flow_module);
        added = true;
    }
    engine_up("site _ { listen 127.0.0.1:9000; proxy @ORIGIN@;\n"
              "  route = /other { respond 200 \"other route\"; } }\n");
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(follows_verdicts),
        TEST(goes_on_when_resumed),
        TEST(gives_up_a_suspension),
        TEST(suspends_a_response),
        TEST(reroutes),
        TEST(waits_for_the_body),
        TEST(passes_the_body_on_that_was_waited_for),
        TEST(ends_a_wait_for_the_body),
        TEST(hands_content_through_hooks),
        TEST(flushes_when_the_origin_pauses),
        TEST(breaks_off_when_a_hook_fails),
        TEST(holds_little_of_what_a_hook_makes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
