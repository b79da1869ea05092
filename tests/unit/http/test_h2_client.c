/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's role: sessions of both roles joined end to end, and a client's alone with frames by hand. */
#include "http/h2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { STREAMS = 8 };

struct side { /* what one stream has heard */
    struct h2_stream h2;
    struct arena *arena;
    struct fields fields, trailers;
    struct chain source;
    int status, interim;
    uint64_t content;
    bool ended, closed, headed;
    uint32_t code;
    const char *broken;
};

static struct h2_session *client, *server;
static struct side asked[STREAMS], serving[STREAMS];
static unsigned served, settled, leaving, pongs;

#define side_of(stream) list_entry(stream, struct side, h2)

static void side_init(struct side *side)
{
    memset(side, 0, sizeof(*side));
    side->arena = arena_create(4096, 0);
    assert_non_null(side->arena);
    fields_init(&side->fields, side->arena);
    fields_init(&side->trailers, side->arena);
    chain_init(&side->source);
    side->h2.arena = side->arena;
    side->h2.fields = &side->fields;
    side->h2.trailers = &side->trailers;
    side->h2.source = &side->source;
}

/* -- what is told -------------------------------------------------------------------------------------------------- */

static struct h2_stream *on_open(void *owner, uint32_t id)
{
    (void)owner;
    (void)id;
    if (served == STREAMS)
        return NULL;
    side_init(&serving[served]);
    return &serving[served++].h2;
}

static void on_head(struct h2_stream *stream, struct h2_head *head)
{
    assert_null(head->malformed);
    side_of(stream)->headed = true;
    side_of(stream)->ended = stream->received_end;
}

static void on_response(struct h2_stream *stream, const struct h1_response *response)
{
    struct side *side = side_of(stream);

    if (response->status < 200) {
        side->interim++;
        return;
    }
    side->status = response->status;
    side->ended = stream->received_end;
}

static void on_data(struct h2_stream *stream, const uint8_t *p, size_t n)
{
    (void)p;
    side_of(stream)->content += n;
}

static void on_end(struct h2_stream *stream)
{
    side_of(stream)->ended = true;
}

static void on_broken(struct h2_stream *stream, const char *why)
{
    side_of(stream)->broken = why;
}

static void on_closed(struct h2_stream *stream, uint32_t code)
{
    side_of(stream)->closed = true;
    side_of(stream)->code = code;
}

static void on_settled(void *owner)
{
    (void)owner;
    settled++;
}

static void on_leaving(void *owner, uint32_t code)
{
    (void)owner;
    leaving += code + 1;
}

static void on_pong(void *owner)
{
    (void)owner;
    pongs++;
}

static const struct h2_calls server_calls = { .open = on_open, .head = on_head, .data = on_data, .end = on_end,
                                              .broken = on_broken, .closed = on_closed, .pong = on_pong };
static const struct h2_calls client_calls = { .response = on_response, .settled = on_settled, .leaving = on_leaving,
                                              .data = on_data, .end = on_end, .broken = on_broken,
                                              .closed = on_closed, .pong = on_pong };

/* -- between the two ----------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    static const struct h2_limits limits = { .head = { 4096, 50 }, .streams = STREAMS, .window = 1 << 20 };
    static const struct h2_limits none = { .head = { 4096, 50 }, .window = 1 << 20 };

    (void)state;
    served = settled = leaving = pongs = 0;
    memset(asked, 0, sizeof(asked));
    memset(serving, 0, sizeof(serving));
    server = h2_create_server(&server_calls, NULL, &limits);
    client = h2_create_client(&client_calls, NULL, &none);
    return client && server ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    h2_destroy(client);
    h2_destroy(server);
    for (unsigned i = 0; i < STREAMS; i++) {
        struct side *sides[] = { &asked[i], &serving[i] };
        for (unsigned k = 0; k < 2; k++) {
            chain_clear(&sides[k]->source);
            arena_destroy(sides[k]->arena);
        }
    }
    return 0;
}

static size_t produced(struct h2_session *from, uint8_t *to, size_t room)
{
    struct chain out;

    chain_init(&out);
    assert_true(h2_produce(from, &out, room / 2));
    size_t n = (size_t)out.n;
    assert_in_range(n, 0, room);
    assert_int_equal(chain_copy_out(&out, to, n), n);
    chain_clear(&out);
    return n;
}

static uint8_t wire[256 * 1024];
static bool prefaced;

static bool carry(struct h2_session *from, struct h2_session *to)
{
    size_t n = produced(from, wire, sizeof(wire)), skip = 0;

    if (from == client && !prefaced && n) { /* the owner's to look at */
        assert_memory_equal(wire, H2_PREFACE, H2_PREFACE_BYTES);
        skip = H2_PREFACE_BYTES;
        prefaced = true;
    }
    if (n > skip)
        h2_receive(to, wire + skip, n - skip, 1000);
    return n > 0;
}

static void settle(void)
{
    for (bool moved = true; moved;) {
        moved = carry(client, server);
        moved |= carry(server, client);
    }
}

static void begin(void)
{
    prefaced = false;
    settle();
    assert_int_equal(settled, 2); /* how many streams there may be is said in a frame of its own */
}

static void ask_for(unsigned i, const char *method, bool end)
{
    struct h2_target target = { .method = str_of(method), .scheme = S("http"), .authority = S("a"), .path = S("/") };
    struct side *side = &asked[i];

    side_init(side);
    assert_true(fields_append(&side->fields, FIELD_TE, S("TE"), S("trailers")));
    assert_true(fields_append(&side->fields, FIELD_HOST, S("Host"), S("elsewhere")));
    assert_true(fields_append(&side->fields, FIELD_CONNECTION, S("Connection"), S("close")));
    assert_true(fields_append(&side->fields, FIELD_OTHER, S("X-Mixed"), S("1")));
    side->h2.asked.head = str_equal(target.method, S("HEAD"));
    assert_true(h2_request(client, &side->h2, &target, &side->fields, end));
}

/* -- facts --------------------------------------------------------------------------------------------------------- */

static void a_request_and_its_answer(void **state)
{
    struct fields none = { 0 };

    (void)state;
    begin();
    assert_int_equal(h2_streams_most(client), STREAMS);
    assert_true(h2_takes_connect(client));
    ask_for(0, "GET", true);
    settle();
    assert_int_equal(served, 1);
    assert_true(serving[0].ended);
    assert_string_equal(fields_get(&serving[0].fields, FIELD_TE).p, "trailers");
    assert_false(fields_find_id(&serving[0].fields, FIELD_HOST));
    assert_false(fields_find_id(&serving[0].fields, FIELD_CONNECTION));
    assert_true(h2_inform(&serving[0].h2, 103, &none));
    assert_true(chain_append_static(&serving[0].source, "hello", 5));
    serving[0].h2.source_ended = true;
    assert_true(fields_append(&serving[0].trailers, FIELD_OTHER, S("X-Sum"), S("5")));
    serving[0].h2.source_trailers = &serving[0].trailers;
    assert_true(h2_respond(&serving[0].h2, 200, &none, false));
    settle();
    assert_int_equal(asked[0].interim, 1);
    assert_int_equal(asked[0].status, 200);
    assert_int_equal(asked[0].content, 5);
    assert_true(asked[0].ended && asked[0].closed && !asked[0].broken);
    assert_int_equal(asked[0].code, H2_NO_ERROR);
    assert_int_equal(asked[0].trailers.count, 1);
    h2_ping(client);
    settle();
    assert_int_equal(pongs, 1);
}

static void content_waits_for_the_window(void **state)
{
    static uint8_t much[200000];
    struct fields none = { 0 };

    (void)state;
    begin();
    ask_for(0, "POST", false);
    assert_true(chain_append_static(&asked[0].source, much, sizeof(much)));
    asked[0].h2.source_ended = true;
    settle();
    assert_int_equal(asked[0].h2.moved, H2_WINDOW_FIRST);
    for (unsigned i = 0; i < 20 && !serving[0].ended; i++) {
        h2_grant(&serving[0].h2, 65535);
        settle();
    }
    assert_int_equal(serving[0].content, sizeof(much));
    assert_true(asked[0].h2.sent_end);
    assert_true(h2_respond(&serving[0].h2, 204, &none, true));
    settle();
    assert_int_equal(asked[0].status, 204);
    assert_true(asked[0].closed);
}

/* What is only in our own queue, or beyond what the server looked at, may be sent again. */
static void streams_that_nobody_looked_at_are_refused(void **state)
{
    (void)state;
    begin();
    ask_for(0, "GET", true);
    settle();
    h2_goaway(server);
    carry(server, client);
    assert_int_equal(leaving, 1);
    assert_false(h2_may_request(client));
    assert_false(asked[0].closed);
    struct h2_target target = { .method = S("GET"), .scheme = S("http"), .authority = S("a"), .path = S("/") };
    struct h2_stream stream = { 0 };
    assert_false(h2_request(client, &stream, &target, &asked[0].fields, true));
}

static void a_stream_beyond_the_last_one_is_refused(void **state)
{
    (void)state;
    begin();
    h2_goaway(server);
    static uint8_t goodbye[1024];
    size_t n = produced(server, goodbye, sizeof(goodbye));
    ask_for(0, "GET", true);
    carry(client, server);
    assert_true(h2_receive(client, goodbye, n, 1000));
    assert_true(asked[0].closed);
    assert_int_equal(asked[0].code, H2_REFUSED_STREAM);
    assert_int_equal(served, 0);
}

static void one_taken_back_before_it_went_out_is_closed(void **state)
{
    (void)state;
    begin();
    ask_for(0, "GET", true);
    h2_reset(&asked[0].h2, H2_CANCEL);
    settle();
    assert_true(asked[0].closed);
    assert_int_equal(served, 0);
    ask_for(1, "GET", true);
    settle();
    assert_int_equal(served, 1);
}

/* -- frames by hand ------------------------------------------------------------------------------------------------ */

struct written {
    uint8_t type, flags;
    const char *payload;
    size_t n;
};

static void hear(const struct written *frame)
{
    uint8_t bytes[H2_FRAME_HEAD + 256];
    struct h2_frame head = { .length = (uint32_t)frame->n, .type = frame->type, .flags = frame->flags, .id = 1 };

    h2_frame_write(bytes, &head);
    memcpy(bytes + H2_FRAME_HEAD, frame->payload, frame->n);
    h2_receive(client, bytes, H2_FRAME_HEAD + frame->n, 1000);
}

#define HEAD(flags, block) { H2_HEADERS, 4 | (flags), block, sizeof(block) - 1 }
#define CONTENT(flags, text) { H2_DATA, flags, text, sizeof(text) - 1 }
#define END H2_FLAG_END_STREAM
#define OK "\x88"
#define LENGTH_5 "\x0f\x0d\x01" "5"
#define INTERIM "\x08\x03" "103"

static void messages_that_are_malformed(void **state)
{
    static const struct {
        const char *what, *method;
        struct written frames[3];
        bool broken;
        uint64_t content; /* heard all the same */
    } cases[] = {
        { "content first", "GET", { CONTENT(END, "x") }, true, 0 },
        { "content behind an interim head", "GET", { HEAD(0, INTERIM), CONTENT(END, "x") }, true, 0 },
        { "no head at all", "GET", { CONTENT(END, "") }, true, 0 },
        { "an interim head that ends", "GET", { HEAD(END, INTERIM) }, true, 0 },
        { "too much content", "GET", { HEAD(0, OK LENGTH_5), CONTENT(0, "123456") }, true, 0 },
        { "too little content", "GET", { HEAD(0, OK LENGTH_5), CONTENT(END, "1234") }, true, 4 },
        { "just so much", "GET", { HEAD(0, OK LENGTH_5), CONTENT(END, "12345") }, false, 5 },
        { "a length and no content", "GET", { HEAD(END, OK LENGTH_5) }, true, 0 },
        { "to HEAD that is fine", "HEAD", { HEAD(END, OK LENGTH_5) }, false, 0 },
        { "content to HEAD", "HEAD", { HEAD(0, OK), CONTENT(END, "x") }, true, 0 },
        { "content of a 204", "GET", { HEAD(0, "\x89"), CONTENT(END, "x") }, true, 0 },
        { "a 204 that ends later", "GET", { HEAD(0, "\x89"), CONTENT(END, "") }, false, 0 },
        { "a second head", "GET", { HEAD(0, OK), HEAD(0, OK) }, true, 0 },
        { "trailers with :status", "GET", { HEAD(0, OK), HEAD(END, OK) }, true, 0 },
        { "no :status", "GET", { HEAD(END, LENGTH_5) }, true, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin();
        ask_for(0, cases[i].method, true);
        carry(client, server);
        for (unsigned k = 0; k < 3 && cases[i].frames[k].payload; k++)
            hear(&cases[i].frames[k]);
        if ((asked[0].broken != NULL) != cases[i].broken || asked[0].content != cases[i].content)
            fail_msg("%s: %s, %llu bytes", cases[i].what, asked[0].broken ? asked[0].broken : "fine",
                     (unsigned long long)asked[0].content);
        assert_null(h2_fault(client)->why); /* the stream's fault, not the connection's */
        if (!asked[0].broken)
            assert_true(asked[0].ended);
        tear_down(state);
        assert_int_equal(set_up(state), 0);
    }
}

static void what_ends_the_connection(void **state)
{
    static const struct {
        const char *what;
        struct written frame;
    } cases[] = {
        { "PUSH_PROMISE", { H2_PUSH_PROMISE, 4, "\0\0\0\2\x82", 5 } },
        { "a window of nothing more", { H2_WINDOW_UPDATE, 0, "\0\0\0", 3 } },
        { "a header block that is no HPACK", { H2_HEADERS, 4, "\xff\xff\xff\xff\xff\xff", 6 } },
        { "DATA with more padding than bytes", { H2_DATA, 8, "\x09" "abc", 4 } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin();
        ask_for(0, "POST", false);
        carry(client, server);
        if (i == 3)
            hear(&(struct written)HEAD(0, OK));
        hear(&cases[i].frame);
        produced(client, wire, sizeof(wire));
        if (!h2_is_over(client) || !h2_why(client))
            fail_msg("%s", cases[i].what);
        tear_down(state);
        assert_int_equal(set_up(state), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_and_its_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(content_waits_for_the_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(streams_that_nobody_looked_at_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stream_beyond_the_last_one_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_taken_back_before_it_went_out_is_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(messages_that_are_malformed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_ends_the_connection, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
