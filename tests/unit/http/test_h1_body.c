/* SPDX-License-Identifier: BSD-2-Clause */
/* Message bodies (RFC 9112 6, 7): content, end and trailers are the same however the bytes arrive. */
#include "base/mem.h"
#include "http/h1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) { literal, sizeof(literal) - 1 }
#define EXT16 ";abcdefghijklmno"
#define EXT128 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16

static const struct h1_limits limits = { .head_bytes = 200, .fields = 5 };

/* What a body came to: its content, its trailers as "name=value " and how many bytes it took. */
struct result {
    enum h1_event event; /* END, MORE or BAD */
    struct h1_error error;
    char content[8192], trailers[512];
    size_t content_bytes, used;
    uint64_t received;
};

/* Feeds p[0..n) to the body until it wants more. false: it ended or is bad. */
static bool feed(struct h1_body *body, const char *p, size_t n, struct result *result)
{
    for (;;) {
        size_t used = n + 1;
        str data = STR_NONE;

        result->event = h1_body_feed(body, p, n, &used, &data, &result->error);
        assert_true(result->event == H1_BODY_BAD || used <= n);
        if (result->event == H1_BODY_BAD)
            return false;
        if (result->event == H1_BODY_DATA) {
            assert_true(data.n > 0 && data.p >= p && data.p + data.n == p + used);
            assert_true(result->content_bytes + data.n < sizeof result->content);
            memcpy(result->content + result->content_bytes, data.p, data.n);
            result->content_bytes += data.n;
        }
        result->used += used;
        p += used;
        n -= used;
        if (result->event == H1_BODY_END)
            return false;
        if (result->event == H1_BODY_MORE) {
            assert_int_equal(n, 0);
            return true;
        }
    }
}

/* Runs a body over text cut at `first` and then every `step` bytes. */
static void run(enum body_kind kind, uint64_t length, str text, size_t first, size_t step, struct result *result)
{
    struct arena *arena = arena_create(0, 0);
    struct fields trailers;
    struct h1_body body;
    size_t at = 0, n = first, written = 0;
    bool goes_on = true;

    memset(result, 0, sizeof *result);
    fields_init(&trailers, arena);
    h1_body_init(&body, kind, length, &limits, arena, &trailers);
    while (goes_on) {
        char *piece = arena_dup(arena, text.p + at, n); /* exact size, and gone at the next: trailers are copies */

        goes_on = feed(&body, piece, n, result);
        memset(piece, '?', n);
        at += n;
        if (at == text.n)
            break;
        n = step < text.n - at ? step : text.n - at;
    }
    result->received = body.received;
    for (uint32_t i = 0; i < trailers.count; i++)
        written += (size_t)snprintf(result->trailers + written, sizeof result->trailers - written,
                                    STR_FMT "=" STR_FMT " ", STR_ARG(trailers.items[i].name),
                                    STR_ARG(trailers.items[i].value));
    arena_destroy(arena);
}

static const struct row {
    str in;
    enum h1_event event;
    int status;          /* of BAD */
    const char *content; /* of END and MORE */
    const char *trailers;
    size_t behind; /* bytes behind the message */
} rows[] = {
    /* -- chunks (7.1) -- */
    { TEXT("0\r\n\r\n"), H1_BODY_END, 0, "", "", 0 },
    { TEXT("5\r\nhello\r\n0\r\n\r\n"), H1_BODY_END, 0, "hello", "", 0 },
    { TEXT("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET"), H1_BODY_END, 0, "hello world", "", 3 },
    { TEXT("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"), H1_BODY_END, 0, "01234567890123456789", "", 0 },
    { TEXT("0000000000000001\r\nx\r\n0000000000000000\r\n\r\n"), H1_BODY_END, 0, "x", "", 0 },
    { TEXT("4\r\n\r\n\r\n\r\n0\r\n\r\n"), H1_BODY_END, 0, "\r\n\r\n", "", 0 },
    { TEXT(""), H1_BODY_MORE, 0, "", "", 0 },
    { TEXT("5"), H1_BODY_MORE, 0, "", "", 0 },
    { TEXT("5\r\nhel"), H1_BODY_MORE, 0, "hel", "", 0 },
    { TEXT("5\r\nhello\r\n"), H1_BODY_MORE, 0, "hello", "", 0 },
    { TEXT("0\r\n"), H1_BODY_MORE, 0, "", "", 0 },
    { TEXT("0\r\n\r"), H1_BODY_MORE, 0, "", "", 0 },
    { TEXT("ffffffffffffffff\r\nhello"), H1_BODY_MORE, 0, "hello", "", 0 },
    /* chunk-size is 1*HEXDIG, nothing around it */
    { TEXT("\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("x\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0x5\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("+5\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("-5\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT(" 5\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5 \r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5\t\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5h\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5_0\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT(";a\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("00000000000000000\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("10000000000000000\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 }, /* 2^64 */
    /* line ends are CRLF (2.2) */
    { TEXT("5\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5\rhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5\r\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5\r\nhello0\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5\r\nhello\n0\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5\r\nhello\r0\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5\r\nhelloX\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5\r\nhello\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0\n\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0\r\n\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    /* -- extensions (7.1.1): dropped -- */
    { TEXT("5;a\r\nhello\r\n0;b\r\n\r\n"), H1_BODY_END, 0, "hello", "", 0 },
    { TEXT("5;a=b;c=d\r\nhello\r\n0\r\n\r\n"), H1_BODY_END, 0, "hello", "", 0 },
    { TEXT("5; a=b; \tc\r\nhello\r\n0\r\n\r\n"), H1_BODY_END, 0, "hello", "", 0 },
    { TEXT("5;a=\"b;\\\"=\x80 \\\\\"\r\nhello\r\n0\r\n\r\n"), H1_BODY_END, 0, "hello", "", 0 },
    { TEXT("5;a=\"\";b\r\nhello\r\n0\r\n\r\n"), H1_BODY_END, 0, "hello", "", 0 },
    { TEXT("5;\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;;a\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5 ;a\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a=\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;=a\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a =b\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a= b\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a b\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a=b=c\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a=\"b\"c\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a=b\"c\"\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;\"a\"\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a\rhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a=\"b\r\nc\"\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a=\"b\nc\"\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a=\"b\\\nc\"\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a=\"b\\\r\nc\"\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a\0b\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;a=\"\0\"\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("5;\x80\r\nhello"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    /* -- trailers (7.1.2, RFC 9110 6.5) -- */
    { TEXT("0\r\nX-Sum: abc\r\n\r\n"), H1_BODY_END, 0, "", "X-Sum=abc ", 0 },
    { TEXT("1\r\nx\r\n0\r\nA: 1\r\nb:\t2 \r\nETag: \"x\"\r\n\r\n!"), H1_BODY_END, 0, "x", "A=1 b=2 ETag=\"x\" ", 1 },
    { TEXT("0\r\nA:\r\nContent-Digest: x\r\n\r\n"), H1_BODY_END, 0, "", "A= Content-Digest=x ", 0 },
    /* those that somebody has acted on already are dropped */
    { TEXT("0\r\nContent-Length: 5\r\nA: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), H1_BODY_END, 0, "", "A=1 ", 0 },
    { TEXT("0\r\nHost: b\r\nconnection: A\r\nAUTHORIZATION: x\r\nCookie: y\r\nA: 1\r\n\r\n"), H1_BODY_END, 0, "",
      "A=1 ", 0 },
    { TEXT("0\r\nSet-Cookie: x\r\nContent-Type: a/b\r\nContent-Foo: x\r\nX-Forwarded-For: 1\r\n\r\n"), H1_BODY_END, 0,
      "", "", 0 },
    { TEXT("0\r\nX-Forwarded-User: x\r\nX-Real-IP: 1\r\nForwarded: for=a\r\nProxy-Foo: 1\r\n\r\n"), H1_BODY_END, 0, "",
      "", 0 },
    { TEXT("0\r\nX_Forwarded_For: x\r\nTransfer_Encoding: y\r\ncontent_length: 1\r\nRemote-User: z\r\n\r\n"),
      H1_BODY_END, 0, "", "", 0 },
    { TEXT("0\r\nIf-Foo: x\r\nSec-Foo: y\r\nMax-Forwards: 1\r\nX-Auth-User: z\r\nA: 1\r\n\r\n"), H1_BODY_END, 0,
      "", "A=1 ", 0 },
    { TEXT("0\r\nA : 1\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0\r\n A: 1\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0\r\nA: 1\r\n 2\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0\r\nA: 1\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0\r\nA: 1\n\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0\r\nA: 1\r2\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0\r\nA: 1\r\n\r\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0\r\nA: 1\0\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0\r\nA\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0\r\nHost : b\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 }, /* dropped fields are checked too */
    { TEXT("0\r\nGET / HTTP/1.1\r\n\r\n"), H1_BODY_BAD, 400, NULL, NULL, 0 },
    { TEXT("0\r\n1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n\r\n"), H1_BODY_END, 0, "", "1= 2= 3= 4= 5= ", 0 },
    { TEXT("0\r\n1:\r\n2:\r\n3:\r\nHost:a\r\n5:\r\n6:\r\n\r\n"), H1_BODY_BAD, 431, NULL, NULL, 0 },
};

static void check(const struct row *row, const struct result *result, size_t first, size_t step)
{
    if (result->event != row->event || (row->event == H1_BODY_BAD && result->error.status != row->status))
        fail_msg("row %zu at %zu by %zu: event %d (%s): " STR_FMT, (size_t)(row - rows), first, step,
                 (int)result->event, result->error.why ? result->error.why : "", STR_ARG(row->in));
    if (row->event == H1_BODY_BAD)
        return;
    assert_int_equal(result->content_bytes, strlen(row->content));
    assert_memory_equal(result->content, row->content, result->content_bytes);
    assert_int_equal(result->received, result->content_bytes);
    assert_string_equal(result->trailers, row->trailers);
    assert_int_equal(result->used, row->in.n - row->behind);
}

static void chunked_bodies_split_anywhere(void **state)
{
    static struct result result;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t first = 0; first <= rows[i].in.n; first++) {
            run(BODY_CHUNKED, 0, rows[i].in, first, SIZE_MAX, &result);
            check(&rows[i], &result, first, 0);
        }
        for (size_t step = 1; step <= 3; step++) {
            run(BODY_CHUNKED, 0, rows[i].in, 0, step, &result);
            check(&rows[i], &result, 0, step);
        }
    }
}

static void a_length_is_kept_to(void **state)
{
    static const str text = TEXT("hello world");
    static struct result result;

    (void)state;
    for (uint64_t length = 0; length <= text.n + 1; length++) {
        for (size_t first = 0; first <= text.n; first++) {
            size_t expected = length < text.n ? (size_t)length : text.n;

            run(BODY_LENGTH, length, text, first, 3, &result);
            assert_int_equal(result.event, length <= text.n ? H1_BODY_END : H1_BODY_MORE);
            assert_int_equal(result.content_bytes, expected);
            assert_memory_equal(result.content, text.p, expected);
            assert_int_equal(result.used, expected);
            assert_int_equal(result.received, expected);
        }
    }
    run(BODY_LENGTH, 0, S(""), 0, 1, &result);
    assert_int_equal(result.event, H1_BODY_END);
}

static void none_ends_before_it_begins(void **state)
{
    static struct result result;

    (void)state;
    run(BODY_NONE, 0, S("hello"), 0, 1, &result);
    assert_int_equal(result.event, H1_BODY_END);
    assert_int_equal(result.used, 0);
}

static void until_close_never_ends(void **state)
{
    static struct result result;

    (void)state;
    run(BODY_UNTIL_CLOSE, 0, S("0\r\n\r\nhello"), 2, 3, &result);
    assert_int_equal(result.event, H1_BODY_MORE);
    assert_int_equal(result.content_bytes, 10);
    assert_memory_equal(result.content, "0\r\n\r\nhello", 10);
    assert_int_equal(result.received, 10);
}

/* 4 KiB of extensions in one message, in one chunk or in many. */
static void extensions_are_bounded(void **state)
{
    static struct result result;
    char text[40 * (sizeof(EXT128) + 8)];

    (void)state;
    for (unsigned in_many = 0; in_many < 2; in_many++) {
        for (unsigned blocks = 31; blocks <= 32; blocks++) { /* each counts 128 bytes, and each line's CR */
            size_t n = 0;

            text[n++] = '1';
            for (unsigned i = 0; i < blocks; i++) {
                memcpy(text + n, EXT128, sizeof(EXT128) - 1);
                n += sizeof(EXT128) - 1;
                if (in_many || i == blocks - 1) {
                    memcpy(text + n, "\r\nx\r\n1", 6);
                    n += 6;
                }
            }
            run(BODY_CHUNKED, 0, (str){ text, n }, 0, 100, &result);
            assert_int_equal(result.event, blocks == 31 ? H1_BODY_MORE : H1_BODY_BAD);
        }
    }
}

/* max_header_size holds for the trailer section as well. */
static void trailers_are_bounded(void **state)
{
    static struct result result;
    char text[512] = "0\r\nA: ";

    (void)state;
    for (size_t n = 193; n <= 194; n++) { /* "A: " n CRLF CRLF */
        memset(text + 6, 'x', n);
        memcpy(text + 6 + n, "\r\n\r\n", 4);
        for (size_t step = 1; step < 300; step += 37) {
            run(BODY_CHUNKED, 0, (str){ text, n + 10 }, 0, step, &result);
            assert_int_equal(result.event, n == 193 ? H1_BODY_END : H1_BODY_BAD);
            if (n == 194)
                assert_int_equal(result.error.status, 431);
        }
    }
    memset(text + 3, 'x', sizeof text - 3); /* a line without end is not waited for */
    run(BODY_CHUNKED, 0, (str){ text, sizeof text }, 0, 1, &result);
    assert_int_equal(result.event, H1_BODY_BAD);
}

static void trailers_nobody_wants_are_checked(void **state)
{
    static const struct {
        str in;
        enum h1_event event;
    } cases[] = {
        { TEXT("0\r\nA: 1\r\nB: 2\r\n\r\n"), H1_BODY_END },
        { TEXT("0\r\nA: 1\r\nB : 2\r\n\r\n"), H1_BODY_BAD },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *arena = arena_create(256, 0);
        struct h1_error error;
        struct h1_body body;
        size_t used;
        str data;

        h1_body_init(&body, BODY_CHUNKED, 0, &limits, arena, NULL);
        assert_int_equal(h1_body_feed(&body, cases[i].in.p, cases[i].in.n, &used, &data, &error), cases[i].event);
        arena_destroy(arena);
    }
}

static void without_memory_trailers_are_refused(void **state)
{
    static const str text = TEXT("3\r\nabc\r\n0\r\nA: 1\r\nB: 2\r\n\r\n");
    enum h1_event event = H1_BODY_BAD;

    (void)state;
    for (int64_t n = 0; event == H1_BODY_BAD; n++) {
        struct arena *arena = arena_create(0, 0);
        struct h1_error error = { 0 };
        struct fields trailers;
        struct h1_body body;
        size_t at = 0, used;
        str data;

        assert_true(n < 20);
        fields_init(&trailers, arena);
        h1_body_init(&body, BODY_CHUNKED, 0, &limits, arena, &trailers);
        mem_fail_after(n);
        do {
            event = h1_body_feed(&body, text.p + at, text.n - at, &used, &data, &error);
            at += used;
        } while (event == H1_BODY_DATA);
        mem_fail_after(-1);
        if (event == H1_BODY_BAD)
            assert_int_equal(error.status, 500);
        else
            assert_int_equal(trailers.count, 2);
        arena_destroy(arena);
    }
    assert_int_equal(event, H1_BODY_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunked_bodies_split_anywhere),
        cmocka_unit_test(a_length_is_kept_to),
        cmocka_unit_test(none_ends_before_it_begins),
        cmocka_unit_test(until_close_never_ends),
        cmocka_unit_test(extensions_are_bounded),
        cmocka_unit_test(trailers_are_bounded),
        cmocka_unit_test(trailers_nobody_wants_are_checked),
        cmocka_unit_test(without_memory_trailers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
