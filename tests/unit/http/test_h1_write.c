/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages in normal form (RFC 9112 3, 4, 5, 7.1). */
#include "http/h1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct arena *arena;
static struct fields fields;
static char room[8192];

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(4096, 0);
    fields_init(&fields, arena);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static void assert_wrote(const struct out *out, const char *expected)
{
    assert_false(out->full);
    assert_int_equal(out->n, strlen(expected));
    assert_memory_equal(out->p, expected, out->n);
}

static void requests_are_written(void **state)
{
    struct out out = { .p = room, .room = sizeof room };

    (void)state;
    assert_true(fields_add(&fields, S("Host"), S("a")));
    assert_true(fields_add(&fields, S("X-Empty"), STR_NONE));
    h1_put_request(&out, S("GET"), S("/a"), STR_NONE, false, &fields);
    assert_wrote(&out, "GET /a HTTP/1.1\r\nHost: a\r\nX-Empty: \r\n\r\n");
    out.n = 0;
    h1_put_request(&out, S("GET"), S("/a"), STR_NONE, true, &fields);
    assert_wrote(&out, "GET /a? HTTP/1.1\r\nHost: a\r\nX-Empty: \r\n\r\n");
    out.n = 0;
    h1_put_request(&out, S("OPTIONS"), S("*"), STR_NONE, false, &fields);
    assert_wrote(&out, "OPTIONS * HTTP/1.1\r\nHost: a\r\nX-Empty: \r\n\r\n");
    out.n = 0;
    h1_put_request(&out, S("GET"), S("/"), S("b=c"), true, &fields);
    assert_wrote(&out, "GET /?b=c HTTP/1.1\r\nHost: a\r\nX-Empty: \r\n\r\n");
    assert_int_equal(h1_fields_size(&fields), strlen("Host: a\r\nX-Empty: \r\n"));
}

static void responses_are_written(void **state)
{
    struct out out = { .p = room, .room = sizeof room };

    (void)state;
    h1_put_response(&out, 404, status_reason(404), &fields);
    assert_wrote(&out, "HTTP/1.1 404 Not Found\r\n\r\n");
    out.n = 0;
    assert_true(fields_add(&fields, S("Content-Length"), S("0")));
    h1_put_response(&out, 200, STR_NONE, &fields); /* the SP stays (RFC 9112 4) */
    assert_wrote(&out, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n");
}

static void trailers_are_written(void **state)
{
    struct out out = { .p = room, .room = sizeof room };

    (void)state;
    h1_put_trailers(&out, &fields);
    assert_wrote(&out, "0\r\n\r\n");
    out.n = 0;
    assert_true(fields_add(&fields, S("A"), S("b")));
    h1_put_trailers(&out, &fields);
    assert_wrote(&out, "0\r\nA: b\r\n\r\n");
}

static void chunk_heads_are_written(void **state)
{
    static const struct {
        uint64_t n;
        const char *text;
    } cases[] = {
        { 0, "0\r\n" },
        { 1, "1\r\n" },
        { 15, "f\r\n" },
        { 16, "10\r\n" },
        { 0x1000, "1000\r\n" },
        { 0xabcdef, "abcdef\r\n" },
        { UINT64_MAX, "ffffffffffffffff\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[18];
        size_t n = h1_put_chunk_head(text, cases[i].n);

        assert_int_equal(n, strlen(cases[i].text));
        assert_memory_equal(text, cases[i].text, n);
    }
}

/* Values of every length: the copies of fixed sizes meet without a gap, and stay in the room. */
static void chunks_are_appended(void **state)
{
    static const size_t sizes[] = { 1, 15, 16, 255, 2047, 2048, 2049, 70000 };
    static char bytes[70000], wire[70000 + 64];

    (void)state;
    memset(bytes, 'a', sizeof(bytes));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct chain content, out;
        chain_init(&content);
        chain_init(&out);
        assert_true(chain_append_copy(&content, bytes, sizes[i]));
        assert_true(h1_append_chunk(&out, &content));
        assert_true(chain_is_empty(&content));
        size_t head = (size_t)snprintf(wire, sizeof(wire), "%zx\r\n", sizes[i]);
        memset(wire + head, 'a', sizes[i]);
        memcpy(wire + head + sizes[i], "\r\n", 2);
        assert_int_equal(out.n, head + sizes[i] + 2);
        char *copy = malloc(out.n);
        assert_int_equal(chain_copy_out(&out, copy, out.n), out.n);
        assert_memory_equal(copy, wire, out.n);
        free(copy);
        chain_clear(&out);
    }
    chain_drop_free_list();
    block_drop_free_lists();
}

static void every_length_is_copied_whole(void **state)
{
    char value[200], expected[sizeof room];

    (void)state;
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (char)('a' + i % 26);
    for (size_t n = 0; n < sizeof value; n++) {
        size_t length = (size_t)snprintf(expected, sizeof expected, "HTTP/1.1 200 OK\r\nA: %.*s\r\n\r\n", (int)n,
                                         value);
        char *exact = arena_alloc(arena, length);
        struct out out = { .p = exact, .room = length };

        fields.count = 0;
        assert_true(fields_add(&fields, S("A"), ((str){ value, n })));
        h1_put_response(&out, 200, S("OK"), &fields);
        assert_wrote(&out, expected);
    }
}

static void what_does_not_fit_is_told(void **state)
{
    static const char whole[] = "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n";

    (void)state;
    assert_true(fields_add(&fields, S("Host"), S("a")));
    assert_true(fields_add(&fields, S("B"), S("c")));
    for (size_t n = 0; n < sizeof whole; n++) {
        char *exact = arena_alloc(arena, n + 1);
        struct out out = { .p = exact, .room = n };

        exact[n] = '!';
        h1_put_request(&out, S("GET"), S("/"), STR_NONE, false, &fields);
        assert_int_equal(out.full, n < sizeof whole - 1);
        assert_true(out.n <= n);
        assert_int_equal(exact[n], '!');
    }
}

static void reasons_are_known(void **state)
{
    (void)state;
    assert_true(str_equal(status_reason(200), S("OK")));
    assert_true(str_equal(status_reason(413), S("Content Too Large")));
    assert_true(str_equal(status_reason(421), S("Misdirected Request")));
    assert_true(str_equal(status_reason(504), S("Gateway Timeout")));
    assert_true(str_equal(status_reason(299), S("Unknown")));
    assert_true(str_equal(status_reason(-1), S("Unknown")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_are_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(responses_are_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trailers_are_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chunk_heads_are_written, set_up, tear_down),
        cmocka_unit_test(chunks_are_appended),
        cmocka_unit_test_setup_teardown(every_length_is_copied_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_told, set_up, tear_down),
        cmocka_unit_test(reasons_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
