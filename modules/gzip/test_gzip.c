/* SPDX-License-Identifier: BSD-2-Clause */
/* test_gzip.c: who gets which head, and that every body comes back whole however it was cut, flushed or starved. */
#include <weir-harness.h> /* before cmocka.h, whose macros take the names of SDK functions */

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <cmocka.h>

static int set_up(void **state)
{
    return (*state = harness_open("gzip")) ? 0 : -1;
}

static int tear_down(void **state)
{
    harness_close(*state);
    return 0;
}

static struct harness_scope *bind(struct harness *h, const char *statements)
{
    struct harness_scope *scope = harness_bind(h, NULL, WEIR_IN_TOP, statements);

    if (!scope)
        fail_msg("%s", harness_errors(h));
    return scope;
}

/* -- the decision -------------------------------------------------------------------------------------------------- */

enum { GZIP, VARY, PLAIN }; /* encoded; plain but it might have been; plain for everybody */

/* RFC 9110 12.5.3. NULL: no field. */
static const struct {
    const char *accept;
    int expect;
} accepts[] = {
    { NULL, VARY },
    { "", VARY },
    { "gzip", GZIP },
    { "GZip", GZIP },
    { "x-gzip", GZIP },
    { "gzip, deflate, br", GZIP },
    { "br;q=1.0, gzip;q=0.8, *;q=0.1", GZIP },
    { "deflate", VARY },
    { "gzipped", VARY },
    { "*", GZIP },
    { "*;q=0", VARY },
    { "gzip;q=0", VARY },
    { "gzip;q=0.0", VARY },
    { "gzip;q=0.000", VARY },
    { "gzip;q=0.001", GZIP },
    { "gzip; q=1", GZIP },
    { "gzip ;Q=0", VARY },
    { "gzip;q=1.001", VARY }, /* no weight at all: as if refused */
    { "gzip;q=2", VARY },
    { "gzip;q=", VARY },
    { "gzip;q=-1", VARY },
    { "gzip;q=0.0001", VARY },
    { "*;q=1, gzip;q=0", VARY }, /* the name wins over the star */
    { "gzip;q=0.5, identity", VARY },
    { "gzip;q=0.5, identity;q=0.5", GZIP },
    { "identity;q=0, gzip;q=0.1", GZIP },
    { "*;q=0.5, identity;q=0.6", VARY },
    { "gzip;q=0, x-gzip", GZIP }, /* two names of one coding */
    { ", ,gzip,", GZIP },
    { "gzip;foo=\"a,b;q=0\"", GZIP },
    { "\nAccept-Encoding: gzip", GZIP }, /* two fields are one list */
};

static int outcome(weir_req *r)
{
    weir_str coding = weir_rsp_get(r, WEIR_S("Content-Encoding"));
    bool is_coded = coding.n == 4 && memcmp(coding.p, "gzip", 4) == 0;

    assert_int_equal(is_coded, harness_is_engaged(r, WEIR_AT_ENCODE));
    if (!is_coded)
        return harness_field_count(r, WEIR_OF_RESPONSE, "Vary") ? VARY : PLAIN;
    assert_int_equal(harness_field_count(r, WEIR_OF_RESPONSE, "Vary"), 1);
    assert_int_equal(harness_field_count(r, WEIR_OF_RESPONSE, "Content-Length"), 0);
    return GZIP;
}

static void accept_encoding_is_weighed(void **state)
{
    struct harness_scope *scope = bind(*state, "gzip on;");

    for (size_t i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++) {
        char field[256];
        snprintf(field, sizeof(field), "Accept-Encoding: %s\n", accepts[i].accept ? accepts[i].accept : "");
        weir_req *r = harness_request(*state, scope, "GET", "/", accepts[i].accept ? field : NULL);
        harness_respond(r, 200, "Content-Type: text/html\nContent-Length: 5000\n");
        assert_int_equal(harness_run(r, WEIR_AT_RSP_HEAD), WEIR_NEXT);
        if (outcome(r) != accepts[i].expect)
            fail_msg("Accept-Encoding: %s", accepts[i].accept);
        harness_end(r);
    }
}

static const struct {
    const char *statements;
    uint32_t status;
    const char *fields;
    int expect;
} answers[] = {
    { "", 200, "Content-Type: text/html\n", GZIP },
    { "", 200, "Content-Type: Text/HTML; charset=utf-8\n", GZIP },
    { "", 200, "Content-Type: application/json\n", GZIP },
    { "", 200, "Content-Type: application/problem+json\n", GZIP },
    { "", 200, "Content-Type: application/atom+xml\n", GZIP },
    { "", 200, "Content-Type: image/svg+xml\n", GZIP },
    { "", 200, "Content-Type: application/wasm\n", GZIP },
    { "", 200, "Content-Type: text/javascript\n", GZIP },
    { "", 200, "Content-Type: image/png\n", PLAIN },
    { "", 200, "Content-Type: text/event-stream\n", PLAIN },
    { "", 200, "", PLAIN },
    { "", 404, "Content-Type: text/html\n", GZIP },
    { "", 503, "Content-Type: text/html\n", GZIP },
    { "", 101, "Content-Type: text/html\n", PLAIN },
    { "", 204, "Content-Type: text/html\n", PLAIN },
    { "", 206, "Content-Type: text/html\n", PLAIN },
    { "", 304, "Content-Type: text/html\n", PLAIN },
    { "", 200, "Content-Type: text/html\nContent-Length: 1023\n", PLAIN },
    { "", 200, "Content-Type: text/html\nContent-Length: 1024\n", GZIP },
    { "gzip_min_length 0;", 200, "Content-Type: text/html\nContent-Length: 1\n", GZIP },
    { "gzip_min_length 0;", 200, "Content-Type: text/html\nContent-Length: 0\n", PLAIN },
    { "", 200, "Content-Type: text/html\nContent-Encoding: br\n", PLAIN },
    { "", 200, "Content-Type: text/html\nContent-Range: bytes 0-1/2\n", PLAIN },
    { "", 200, "Content-Type: text/html\nCache-Control: public, No-Transform\n", PLAIN },
    { "", 200, "Content-Type: text/html\nCache-Control: public\nCache-Control: no-transform\n", PLAIN },
    { "", 200, "Content-Type: text/html\nCache-Control: x=\"no-transform\"\n", GZIP },
    { "gzip_types image/png;", 200, "Content-Type: image/png\n", GZIP },
    { "gzip_types image/png;", 200, "Content-Type: text/html\n", PLAIN },
    { "gzip_types text/*;", 200, "Content-Type: text/csv\n", GZIP },
    { "gzip_types *;", 200, "Content-Type: image/png\n", GZIP },
    { "gzip_types * text/*;", 200, "Content-Type: text/event-stream\n", PLAIN },
    { "gzip_types text/event-stream;", 200, "Content-Type: text/event-stream\n", GZIP },
    { "gzip_types a/b; gzip_types c/d;", 200, "Content-Type: a/b\n", GZIP },
};

static void answers_are_chosen(void **state)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        char statements[128];
        snprintf(statements, sizeof(statements), "gzip on; %s", answers[i].statements);
        struct harness_scope *scope = bind(*state, statements);
        weir_req *r = harness_request(*state, scope, "GET", "/", "Accept-Encoding: gzip\n");
        harness_respond(r, answers[i].status, answers[i].fields);
        assert_int_equal(harness_run(r, WEIR_AT_RSP_HEAD), WEIR_NEXT);
        if (outcome(r) != answers[i].expect)
            fail_msg("%u %s", answers[i].status, answers[i].fields);
        harness_end(r);
    }
}

/* -- the head ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *before, *name, *after; /* after NULL: gone */
} heads[] = {
    { "ETag: \"abc\"\n", "ETag", "W/\"abc\"" },
    { "ETag: W/\"abc\"\n", "ETag", "W/\"abc\"" },
    { "Content-Length: 9999\n", "Content-Length", NULL },
    { "Accept-Ranges: bytes\n", "Accept-Ranges", NULL },
    { "Content-MD5: x\n", "Content-MD5", NULL },
    { "Repr-Digest: sha-256=:x:\n", "Repr-Digest", NULL },
    { "", "Vary", "Accept-Encoding" },
    { "Vary: Origin\n", "Vary", "Origin, Accept-Encoding" },
    { "Vary: accept-encoding\n", "Vary", "accept-encoding" },
    { "Vary: Origin,Accept-Encoding\n", "Vary", "Origin,Accept-Encoding" },
    { "Vary: *\n", "Vary", "*" },
    { "Last-Modified: x\n", "Last-Modified", "x" },
};

static void check_heads(struct harness *h, const char *method)
{
    struct harness_scope *scope = bind(h, "gzip on;");

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        char fields[256];
        snprintf(fields, sizeof(fields), "Content-Type: text/html\n%s", heads[i].before);
        weir_req *r = harness_request(h, scope, method, "/", "Accept-Encoding: gzip\n");
        harness_respond(r, 200, fields);
        assert_int_equal(harness_run(r, WEIR_AT_RSP_HEAD), WEIR_NEXT);
        weir_str after = weir_rsp_get(r, (weir_str){ heads[i].name, strlen(heads[i].name) });
        assert_int_equal(harness_field_count(r, WEIR_OF_RESPONSE, heads[i].name), heads[i].after != NULL);
        if (heads[i].after) {
            assert_int_equal(after.n, strlen(heads[i].after));
            assert_memory_equal(after.p, heads[i].after, after.n);
        }
        assert_int_equal(harness_field_count(r, WEIR_OF_RESPONSE, "Content-Encoding"), 1);
        harness_end(r);
    }
}

static void the_head_tells_of_the_coding(void **state)
{
    check_heads(*state, "GET");
}

static void head_gets_the_fields_of_get_and_no_body(void **state)
{
    struct harness_scope *scope = bind(*state, "gzip on;");
    weir_req *r = harness_request(*state, scope, "HEAD", "/", "Accept-Encoding: gzip\n");

    check_heads(*state, "HEAD");
    harness_respond(r, 200, "Content-Type: text/html\n");
    assert_int_equal(harness_run(r, WEIR_AT_RSP_HEAD), WEIR_NEXT);
    assert_true(harness_is_engaged(r, WEIR_AT_ENCODE)); /* for the length that GET would not have */
    assert_int_equal(harness_metric(*state, "responses_total"), 0);
}

/* -- the content --------------------------------------------------------------------------------------------------- */

static char *sample(size_t n, bool is_random)
{
    char *text = malloc(n + 1);
    uint32_t seed = 12345;

    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        text[i] = is_random ? (char)(seed >> 16) : "a proxy in the middle "[(i + (seed >> 28)) % 22];
    }
    return text;
}

/* Everything that can be read from the bytes so far; ended: the member is whole, with nothing behind it. */
static size_t inflated(weir_str bytes, char *to, size_t room, bool *ended)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)bytes.p, .avail_in = (uInt)bytes.n, .next_out = (Bytef *)to,
                   .avail_out = (uInt)room };

    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    int rc = inflate(&z, Z_SYNC_FLUSH);
    assert_true(rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR);
    *ended = rc == Z_STREAM_END && z.avail_in == 0;
    size_t n = room - z.avail_out;
    inflateEnd(&z);
    return n;
}

static weir_req *coded_request(struct harness *h, struct harness_scope *scope, const char *fields)
{
    weir_req *r = harness_request(h, scope, "GET", "/", "Accept-Encoding: gzip\n");

    harness_respond(r, 200, fields);
    assert_int_equal(harness_run(r, WEIR_AT_RSP_HEAD), WEIR_NEXT);
    assert_true(harness_is_engaged(r, WEIR_AT_ENCODE));
    return r;
}

static size_t check_whole(struct harness *h, struct harness_scope *scope, weir_str input,
                          struct harness_feeding feeding)
{
    weir_req *r = coded_request(h, scope, "Content-Type: text/html\n");
    struct harness_fed fed = harness_feed(r, WEIR_AT_ENCODE, input, &feeding);
    char *back = malloc(input.n + 1);
    bool ended;

    assert_true(fed.is_finished);
    assert_false(fed.is_passing);
    assert_int_equal(inflated(fed.out, back, input.n + 1, &ended), input.n);
    assert_true(ended);
    assert_memory_equal(back, input.p, input.n);
    size_t n = fed.out.n;
    free(back);
    harness_end(r);
    return n;
}

static void bodies_come_back_however_they_are_cut(void **state)
{
    static const size_t sizes[] = { 0, 1, 2, 100, 5000 }, pieces[] = { 0, 1, 7, 1000 };
    static const size_t rooms[] = { 0, 1, 2, 6, 63, 64, 65, 1000 };
    struct harness_scope *scope = bind(*state, "gzip on;");

    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
        for (int is_random = 0; is_random < 2; is_random++) {
            char *text = sample(sizes[s], is_random);
            for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++)
                for (size_t m = 0; m < sizeof(rooms) / sizeof(rooms[0]); m++)
                    check_whole(*state, scope, (weir_str){ text, sizes[s] },
                                (struct harness_feeding){ pieces[p], rooms[m], false, 0 });
            free(text);
        }
}

/* Flushing costs a marker per piece, not more: not even where there is room for a byte only. */
static void flushes_end_in_any_room(void **state)
{
    static const size_t rooms[] = { 0, 1, 2, 5, 6, 63, 64 };
    struct harness_scope *scope = bind(*state, "gzip on;");
    char *text = sample(2000, false);
    weir_str input = { text, 2000 };
    size_t plenty = check_whole(*state, scope, input, (struct harness_feeding){ 50, 0, true, 0 });

    for (size_t m = 0; m < sizeof(rooms) / sizeof(rooms[0]); m++) {
        size_t n = check_whole(*state, scope, input, (struct harness_feeding){ 50, rooms[m], true, 0 });
        assert_true(n <= plenty + 40 * 5);
    }
    free(text);
}

static void large_bodies_shrink(void **state)
{
    struct harness_scope *scope = bind(*state, "gzip on; gzip_level 9;");
    char *text = sample(3 << 20, false);

    memset(text + (1 << 20), 'x', 1 << 20);
    size_t n =
        check_whole(*state, scope, (weir_str){ text, 3 << 20 }, (struct harness_feeding){ 16384, 65536, false, 0 });
    assert_true(n < (3 << 20) / 2);
    assert_int_equal(harness_metric(*state, "responses_total"), 1);
    assert_int_equal(harness_metric(*state, "in_bytes_total"), 3 << 20);
    assert_int_equal(harness_metric(*state, "out_bytes_total"), (int64_t)n);
    free(text);
}

/* After a pause of the source the client must be able to read all that was sent; without one zlib may hold it back. */
static void a_pause_sends_what_is_held_back(void **state)
{
    static const struct {
        const char *fields;
        bool flush, is_readable;
    } rows[] = {
        { "Content-Type: text/html\n", true, true },
        { "Content-Type: text/html\n", false, false },
        { "Content-Type: text/html\nX-Accel-Buffering: no\n", false, true },
        { "Content-Type: text/html\nX-Accel-Buffering: yes\n", false, false },
    };
    struct harness_scope *scope = bind(*state, "gzip on;");
    weir_str input = WEIR_S("data: first\n\ndata: second\n\n");

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        weir_req *r = coded_request(*state, scope, rows[i].fields);
        struct harness_feeding feeding = { .piece = 13, .flush = rows[i].flush, .calls = 1 };
        struct harness_fed fed = harness_feed(r, WEIR_AT_ENCODE, input, &feeding);
        char back[64];
        bool ended;
        assert_false(fed.is_finished);
        size_t n = fed.out.n ? inflated(fed.out, back, sizeof(back), &ended) : 0;
        assert_int_equal(n, rows[i].is_readable ? 13 : 0);
        if (rows[i].is_readable)
            assert_memory_equal(back, input.p, 13);
        harness_end(r);
    }
}

/* The client goes at any step: LeakSanitizer and the next request see that the state came back. */
static void aborts_at_every_step_give_the_state_back(void **state)
{
    struct harness_scope *scope = bind(*state, "gzip on; gzip_level 1;");
    struct harness_scope *other = bind(*state, "gzip on; gzip_level 9;");
    char *text = sample(600, true);
    weir_str input = { text, 600 };

    for (size_t calls = 1;; calls++) {
        weir_req *r = coded_request(*state, scope, "Content-Type: text/html\n");
        struct harness_feeding feeding = { .piece = 100, .room = 37, .flush = true, .calls = calls };
        struct harness_fed fed = harness_feed(r, WEIR_AT_ENCODE, input, &feeding);
        harness_end(r);
        check_whole(*state, other, input, (struct harness_feeding){ 0, 0, false, 0 });
        if (fed.is_finished)
            break;
    }
    free(text);
}

/* More at once than the pool keeps: each has its own state, the pool takes back what it may hold. */
static void requests_side_by_side_do_not_mix(void **state)
{
    struct harness_scope *scope = bind(*state, "gzip on;");
    weir_req *requests[40];

    for (size_t i = 0; i < 40; i++)
        requests[i] = coded_request(*state, scope, "Content-Type: text/html\n");
    for (size_t i = 0; i < 40; i++) {
        char text[32], back[64];
        bool ended;
        int n = snprintf(text, sizeof(text), "answer number %zu", i);
        struct harness_feeding feeding = { .piece = 3 };
        struct harness_fed fed = harness_feed(requests[i], WEIR_AT_ENCODE, (weir_str){ text, (size_t)n }, &feeding);
        assert_int_equal(inflated(fed.out, back, sizeof(back), &ended), n);
        assert_true(ended);
        assert_memory_equal(back, text, (size_t)n);
    }
    for (size_t i = 0; i < 40; i++)
        harness_end(requests[i]);
}

/* Either the head and the body are encoded, or neither: never one without the other. */
static void no_memory_leaves_an_answer_that_fits(void **state)
{
    struct harness_scope *scope = bind(*state, "gzip on;");
    char *text = sample(3000, false);
    bool has_failed = true;

    for (size_t n = 1; has_failed; n++) {
        weir_req *r = harness_request(*state, scope, "GET", "/", "Accept-Encoding: gzip\n");
        harness_respond(r, 200, "Content-Type: text/html\nContent-Length: 3000\nETag: \"a\"\nVary: Origin\n");
        harness_fail_allocation(*state, n);
        weir_verdict verdict = harness_run(r, WEIR_AT_RSP_HEAD);
        bool is_coded = harness_field_count(r, WEIR_OF_RESPONSE, "Content-Encoding") == 1;
        assert_int_equal(verdict, is_coded ? WEIR_NEXT : WEIR_FAIL);
        assert_int_equal(is_coded, harness_is_engaged(r, WEIR_AT_ENCODE));
        assert_int_equal(harness_field_count(r, WEIR_OF_RESPONSE, "Content-Length"), !is_coded);
        if (is_coded) {
            struct harness_feeding at_once = { 0 };
            struct harness_fed fed = harness_feed(r, WEIR_AT_ENCODE, (weir_str){ text, 3000 }, &at_once);
            assert_int_equal(fed.last == WEIR_FAIL, harness_has_failed(*state));
            assert_int_equal(fed.is_finished, !harness_has_failed(*state));
        }
        has_failed = harness_has_failed(*state);
        harness_end(r);
    }
    free(text);
}

/* An answer in the making is replaced by weir's own (a later hook failed): the second one is encoded from its start. */
static void a_replaced_answer_starts_anew(void **state)
{
    struct harness_scope *scope = bind(*state, "gzip on;");
    weir_req *r = coded_request(*state, scope, "Content-Type: text/html\n");
    struct harness_feeding part = { .piece = 4, .flush = true, .calls = 1 }, all = { 0 };
    char back[16];
    bool ended;

    harness_feed(r, WEIR_AT_ENCODE, WEIR_S("lost answer"), &part);
    harness_respond(r, 503, "Content-Type: text/html\n");
    assert_int_equal(harness_run(r, WEIR_AT_RSP_HEAD), WEIR_NEXT);
    struct harness_fed fed = harness_feed(r, WEIR_AT_ENCODE, WEIR_S("sorry"), &all);
    assert_int_equal(inflated(fed.out, back, sizeof(back), &ended), 5);
    assert_memory_equal(back, "sorry", 5);
}

/* -- configuration and figures ------------------------------------------------------------------------------------- */

static void scopes_inherit_and_replace(void **state)
{
    struct harness_scope *top = bind(*state, "gzip on; gzip_types a/b;");
    struct harness_scope *site = harness_bind(*state, top, WEIR_IN_SITE, "gzip_types c/d;");
    struct harness_scope *quiet = harness_bind(*state, top, WEIR_IN_SITE, "gzip off;");
    static const struct {
        const char *fields;
        int at_top, at_site;
    } rows[] = { { "Content-Type: a/b\n", GZIP, PLAIN }, { "Content-Type: c/d\n", PLAIN, GZIP } };

    assert_false(harness_is_active(bind(*state, "gzip_level 9;")));
    assert_true(harness_is_active(top));
    assert_false(harness_is_active(quiet));
    for (size_t i = 0; i < 4; i++) {
        weir_req *r = harness_request(*state, i % 2 ? site : top, "GET", "/", "Accept-Encoding: gzip\n");
        harness_respond(r, 200, rows[i / 2].fields);
        assert_int_equal(harness_run(r, WEIR_AT_RSP_HEAD), WEIR_NEXT);
        assert_int_equal(outcome(r), i % 2 ? rows[i / 2].at_site : rows[i / 2].at_top);
    }
}

static void mistakes_are_told_when_binding(void **state)
{
    static const struct {
        const char *statements, *error;
    } rows[] = {
        { "gzip maybe;", "maybe" },         { "gzip_level 0;", "\"0\"" },
        { "gzip_level 10;", "\"10\"" },     { "gzip_types html;", "\"html\" is no media type" },
        { "gzip_types text/html/x;", "is no media type" }, { "gzip_types \"text/html;q=1\";", "is no media type" },
        { "gzip_types a*/*;", "is no media type" },        { "gzip_types;", "TYPE is missing" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_null(harness_bind(*state, NULL, WEIR_IN_TOP, rows[i].statements));
        assert_non_null(strstr(harness_errors(*state), rows[i].error));
    }
}

static void the_ratio_is_a_variable(void **state)
{
    struct harness_scope *scope = bind(*state, "gzip on;");
    weir_req *r = harness_request(*state, scope, "GET", "/", NULL);
    weir_str ratio;
    char *text = sample(4000, true);

    assert_int_equal(weir_variable(r, WEIR_S("gzip_ratio"), &ratio), -1);
    r = coded_request(*state, scope, "Content-Type: text/html\n");
    assert_int_equal(weir_variable(r, WEIR_S("gzip_ratio"), &ratio), -1); /* nothing has come out yet */
    harness_feed(r, WEIR_AT_ENCODE, (weir_str){ text, 4000 }, &(struct harness_feeding){ 0 });
    assert_int_equal(weir_variable(r, WEIR_S("gzip_ratio"), &ratio), 0);
    assert_int_equal(ratio.n, 4);
    assert_memory_equal(ratio.p, "0.99", 4);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(accept_encoding_is_weighed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_are_chosen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_head_tells_of_the_coding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(head_gets_the_fields_of_get_and_no_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bodies_come_back_however_they_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flushes_end_in_any_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_bodies_shrink, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pause_sends_what_is_held_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(aborts_at_every_step_give_the_state_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_side_by_side_do_not_mix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_leaves_an_answer_that_fits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_replaced_answer_starts_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scopes_inherit_and_replace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes_are_told_when_binding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_ratio_is_a_variable, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("gzip", tests, NULL, NULL);
}
