/* SPDX-License-Identifier: BSD-2-Clause */
/* Response heads (RFC 9112 4, 6.3, 9.3; RFC 9110 15): an origin is read as strictly as a client. */
#include "base/mem.h"
#include "http/h1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) { literal, sizeof(literal) - 1 }
#define OK "HTTP/1.1 200 OK\r\n"
#define OK0 "HTTP/1.0 200 OK\r\n"
#define END "\r\n"

static const struct h1_limits limits = { .head_bytes = 1024, .fields = 5 };

static const struct row {
    str head;
    const char *says; /* render(); NULL: refused with 502 */
    bool to_head;
} rows[] = {
    /* -- status line (4) -- */
    { TEXT(OK END), "200 OK 1.1 close-delimited close", false },
    { TEXT("HTTP/1.1 404 Not  Found\r\nContent-Length: 0\r\n" END), "404 Not  Found 1.1 length=0 keep", false },
    { TEXT("HTTP/1.1 200 \r\nContent-Length: 0\r\n" END), "200  1.1 length=0 keep", false },
    { TEXT("HTTP/1.1 200\r\nContent-Length: 0\r\n" END), "200  1.1 length=0 keep", false }, /* SP left out: common */
    { TEXT("HTTP/1.1 200 Tr\xc3\xa8s\tbien\r\nContent-Length: 0\r\n" END), "200 Tr\xc3\xa8s\tbien 1.1 length=0 keep",
      false },
    { TEXT("HTTP/1.1 299 x\r\nContent-Length: 1\r\n" END), "299 x 1.1 length=1 keep", false },
    { TEXT("HTTP/1.1 599 x\r\nContent-Length: 1\r\n" END), "599 x 1.1 length=1 keep", false },
    { TEXT("HTTP/1.7 200 OK\r\nContent-Length: 1\r\n" END), "200 OK 1.1 length=1 keep", false },
    { TEXT("HTTP/1.1 600 x\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 099 x\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 000 x\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 20 x\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 2000 x\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 2x0 x\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 +20 x\r\n" END), NULL, false },
    { TEXT("HTTP/1.1  200 x\r\n" END), NULL, false },
    { TEXT("HTTP/1.1\t200 x\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 200\tx\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 200 x\x01y\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 200 x\0y\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 200 x\ry\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 200 x\ny\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 200 x\nA: b\r\n" END), NULL, false },
    { TEXT("HTTP/2.0 200 OK\r\n" END), NULL, false },
    { TEXT("HTTP/2 200\r\n" END), NULL, false },
    { TEXT("HTTP/1. 200 OK\r\n" END), NULL, false },
    { TEXT("HTTP/1.11 200 OK\r\n" END), NULL, false },
    { TEXT("http/1.1 200 OK\r\n" END), NULL, false },
    { TEXT("ICY 200 OK\r\n" END), NULL, false },
    { TEXT(" HTTP/1.1 200 OK\r\n" END), NULL, false },
    { TEXT("\r\nHTTP/1.1 200 OK\r\n" END), NULL, false },
    { TEXT("HTTP/1.1\r\n" END), NULL, false },
    { TEXT("\r\n\r\n"), NULL, false },
    { TEXT("<html>hello</html>\r\n" END), NULL, false },
    /* -- field lines (5) -- */
    { TEXT(OK "A : b\r\n" END), NULL, false },
    { TEXT(OK "A: b\r\n c\r\n" END), NULL, false }, /* 5.2 would let a proxy unfold it; it may also answer 502 */
    { TEXT(OK " A: b\r\n" END), NULL, false },
    { TEXT(OK "A: b\x7f\r\n" END), NULL, false },
    { TEXT(OK "A: b\nC: d\r\n" END), NULL, false },
    { TEXT(OK "A\r\n" END), NULL, false },
    { TEXT(OK "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n" END), "200 OK 1.1 close-delimited close", false },
    { TEXT(OK "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n" END), NULL, false },
    /* -- framing (6.3) -- */
    { TEXT(OK "Content-Length: 5\r\n" END), "200 OK 1.1 length=5 keep", false },
    { TEXT(OK "Transfer-Encoding: chunked\r\n" END), "200 OK 1.1 chunked keep", false },
    { TEXT(OK "Connection: keep-alive\r\n" END), "200 OK 1.1 close-delimited close", false },
    { TEXT(OK "Content-Length: 5\r\nConnection: close\r\n" END), "200 OK 1.1 length=5 close", false },
    { TEXT(OK0 END), "200 OK 1.0 close-delimited close", false },
    { TEXT(OK0 "Content-Length: 5\r\n" END), "200 OK 1.0 length=5 close", false },
    { TEXT(OK0 "Content-Length: 5\r\nConnection: Keep-Alive\r\n" END), "200 OK 1.0 length=5 keep", false },
    { TEXT(OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END), NULL, false },
    { TEXT(OK0 "Transfer-Encoding: chunked\r\n" END), NULL, false },
    { TEXT(OK "Transfer-Encoding: gzip\r\n" END), NULL, false },
    { TEXT(OK "Transfer-Encoding: gzip, chunked\r\n" END), NULL, false },
    { TEXT(OK "Transfer-Encoding: chunked, chunked\r\n" END), NULL, false },
    { TEXT(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END), NULL, false },
    { TEXT(OK "Transfer-Encoding: identity\r\n" END), NULL, false },
    { TEXT(OK "Content-Length: 5\r\nContent-Length: 5\r\n" END), NULL, false },
    { TEXT(OK "Content-Length: 5, 5\r\n" END), NULL, false },
    { TEXT(OK "Content-Length: -1\r\n" END), NULL, false },
    { TEXT(OK "Content-Length: 18446744073709551616\r\n" END), NULL, false },
    /* -- no body whatever they say (6.3 rule 1) -- */
    { TEXT(OK "Content-Length: 5\r\n" END), "200 OK 1.1 none has=5 keep", true },
    { TEXT(OK "Transfer-Encoding: chunked\r\n" END), "200 OK 1.1 none keep", true },
    { TEXT(OK END), "200 OK 1.1 none keep", true },
    { TEXT(OK "Content-Length: x\r\n" END), NULL, true },
    { TEXT("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n" END), "304 Not Modified 1.1 none has=5 keep", false },
    { TEXT("HTTP/1.1 304 Not Modified\r\n" END), "304 Not Modified 1.1 none keep", false },
    { TEXT("HTTP/1.1 204 No Content\r\n" END), "204 No Content 1.1 none keep", false },
    { TEXT("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n" END), "204 No Content 1.1 none has=0 keep", false },
    { TEXT("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n" END), "205 Reset Content 1.1 length=0 keep", false },
    { TEXT("HTTP/1.1 100 Continue\r\n" END), "100 Continue 1.1 none keep", false },
    { TEXT("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n" END), "103 Early Hints 1.1 none keep", false },
    /* they may not say so (RFC 9110 8.6, RFC 9112 6.1): bytes of a body would pass for the next response */
    { TEXT("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n" END), "204 No Content 1.1 none has=5 close", false },
    { TEXT("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n" END), "204 No Content 1.1 none close", false },
    { TEXT("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n" END), "103 Early Hints 1.1 none has=0 keep", false },
    { TEXT("HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n" END), NULL, false },
    { TEXT("HTTP/1.1 101 X\r\nContent-Length: 5\r\nConnection: upgrade\r\nUpgrade: x\r\n" END), NULL, false },
    /* -- 101 (RFC 9110 7.8) -- */
    { TEXT("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" END),
      "101 Switching Protocols 1.1 none keep upgrade=websocket", false },
    { TEXT("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" END), "101 Switching Protocols 1.1 none keep",
      false },
    { TEXT("HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n" END),
      "426 Upgrade Required 1.1 length=0 keep", false },
};

static const char *render(const struct h1_response *response)
{
    static char text[512];
    static const char *const kinds[] = { "none", "length", "chunked", "close-delimited" };
    size_t n = 0;

#define ADD(...) n += (size_t)snprintf(text + n, sizeof text - n, __VA_ARGS__)
    ADD("%d " STR_FMT " 1.%d %s", response->status, STR_ARG(response->reason), response->minor, kinds[response->body]);
    if (response->has_length)
        ADD("%s=%llu", response->body == BODY_LENGTH ? "" : " has", (unsigned long long)response->content_length);
    ADD(" %s", response->keep_alive ? "keep" : "close");
    if (response->upgrade.n)
        ADD(" upgrade=" STR_FMT, STR_ARG(response->upgrade));
#undef ADD
    return text;
}

static enum h1_rc scan_all(str text, size_t split, size_t *head_bytes, struct h1_error *error)
{
    struct h1_scan scan = { 0 };
    enum h1_rc rc = h1_scan(&scan, text.p, split, &limits, head_bytes, error);

    return rc == H1_MORE ? h1_scan(&scan, text.p, text.n, &limits, head_bytes, error) : rc;
}

static void check(const struct row *row)
{
    struct arena *arena = arena_create(4096, 0);
    str text = { arena_dup(arena, row->head.p, row->head.n), row->head.n };
    struct h1_response response;
    struct h1_error error = { 0 };
    struct fields fields;
    size_t head_bytes = 0;
    enum h1_rc rc = scan_all(text, 0, &head_bytes, &error);

    for (size_t split = 1; split <= text.n; split++)
        assert_int_equal(scan_all(text, split, &head_bytes, &error), rc);
    fields_init(&fields, arena);
    if (rc == H1_DONE) {
        assert_int_equal(head_bytes, text.n);
        rc = h1_parse_response(text, &limits, row->to_head, arena, &fields, &response, &error);
        if (rc == H1_BAD)
            assert_int_equal(error.status, 502);
    } else {
        /* the parser alone refuses it too */
        assert_int_equal(h1_parse_response(text, &limits, row->to_head, arena, &fields, &response, &error), H1_BAD);
    }
    if ((rc == H1_DONE) != (row->says != NULL))
        fail_msg("row %zu: %s: " STR_FMT, (size_t)(row - rows), error.why ? error.why : "not refused",
                 STR_ARG(row->head));
    if (row->says && strcmp(render(&response), row->says) != 0)
        fail_msg("row %zu: \"%s\" is not \"%s\"", (size_t)(row - rows), render(&response), row->says);
    arena_destroy(arena);
}

static void heads_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check(&rows[i]);
}

static void without_memory_it_is_refused(void **state)
{
    struct arena *arena = arena_create(0, 0);
    struct h1_response response;
    struct h1_error error;
    struct fields fields;

    (void)state;
    fields_init(&fields, arena);
    mem_fail_after(0);
    assert_int_equal(h1_parse_response(S(OK "A: b\r\n" END), &limits, false, arena, &fields, &response, &error),
                     H1_BAD);
    mem_fail_after(-1);
    assert_int_equal(error.status, 502);
    arena_destroy(arena);
}

static void fields_keep_their_order(void **state)
{
    struct arena *arena = arena_create(1024, 0);
    struct h1_response response;
    struct h1_error error;
    struct fields fields;

    (void)state;
    fields_init(&fields, arena);
    assert_int_equal(h1_parse_response(S(OK "Set-Cookie: a\r\nX: y\r\nset-cookie: b\r\n" END), &limits, false, arena,
                                       &fields, &response, &error), H1_DONE);
    assert_int_equal(fields.count, 3);
    assert_int_equal(fields.items[0].id, FIELD_SET_COOKIE);
    assert_true(str_equal(fields.items[1].name, S("X")));
    assert_true(str_equal(fields.items[2].name, S("set-cookie")));
    assert_true(str_equal(fields.items[2].value, S("b")));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_read_or_refused),
        cmocka_unit_test(without_memory_it_is_refused),
        cmocka_unit_test(fields_keep_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
