/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames that are looked at before anything acts on them (RFC 9113 5.1, 6, 10.5). */
#include "http/h2_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PING_BURST = 100, RESET_BURST = 500 };

static struct h2_guard guard;
static struct h2_fault fault;

static void set_up(void)
{
    static const struct h2_frame settings = { .type = H2_SETTINGS };

    h2_guard_init(&guard, H2_SERVER, 40000, 1000);
    assert_int_equal(h2_guard_frame(&guard, &settings, H2_OPEN, 1000, &fault), H2_PASS);
}

static enum h2_verdict see(uint32_t length, uint8_t type, uint8_t flags, uint32_t id, enum h2_state state)
{
    struct h2_frame frame = { .length = length, .type = type, .flags = flags, .id = id };

    fault = (struct h2_fault){ 0 };
    return h2_guard_frame(&guard, &frame, state, 1000, &fault);
}

static void frame_heads_are_read_and_written(void **state)
{
    static const uint8_t bytes[] = { 0x00, 0x40, 0x01, 0x01, 0x25, 0xff, 0xff, 0xff, 0xfe };
    static const uint8_t plain[] = { 0x00, 0x40, 0x01, 0x01, 0x25, 0x7f, 0xff, 0xff, 0xfe };
    struct h2_frame frame;
    uint8_t again[H2_FRAME_HEAD];

    (void)state;
    h2_frame_read(bytes, &frame);
    assert_int_equal(frame.length, 0x4001);
    assert_int_equal(frame.type, H2_HEADERS);
    assert_int_equal(frame.flags, 0x25);
    assert_int_equal(frame.id, 0x7ffffffe); /* the reserved bit is ignored (RFC 9113 4.1) */
    h2_frame_write(again, &frame);
    assert_memory_equal(again, plain, sizeof(plain));
}

static void states_decide(void **state)
{
    static const struct {
        const char *what;
        uint32_t length;
        uint8_t type, flags;
        uint32_t id;
        enum h2_state state;
        enum h2_verdict verdict;
        enum h2_code code;
    } cases[] = {
        { "head of a new stream", 10, H2_HEADERS, 4, 7, H2_IDLE, H2_PASS, 0 },
        { "head of stream 0", 10, H2_HEADERS, 4, 0, H2_OPEN, H2_BREAK, H2_PROTOCOL_ERROR },
        { "head of an even stream", 10, H2_HEADERS, 4, 8, H2_IDLE, H2_BREAK, H2_PROTOCOL_ERROR },
        { "trailers", 10, H2_HEADERS, 5, 5, H2_OPEN, H2_PASS, 0 },
        { "head behind END_STREAM", 10, H2_HEADERS, 5, 5, H2_HALF_CLOSED, H2_BREAK, H2_STREAM_CLOSED },
        { "head on a closed stream", 10, H2_HEADERS, 5, 3, H2_CLOSED, H2_BREAK, H2_STREAM_CLOSED },
        { "number that goes back", 10, H2_HEADERS, 5, 1, H2_CLOSED, H2_BREAK, H2_PROTOCOL_ERROR },
        { "head on a stream we reset", 10, H2_HEADERS, 5, 9, H2_CLOSED, H2_PASS, 0 },
        { "DATA", 10, H2_DATA, 0, 5, H2_OPEN, H2_PASS, 0 },
        { "DATA on stream 0", 10, H2_DATA, 0, 0, H2_OPEN, H2_BREAK, H2_PROTOCOL_ERROR },
        { "DATA on an idle stream", 10, H2_DATA, 0, 77, H2_IDLE, H2_BREAK, H2_PROTOCOL_ERROR },
        { "DATA behind END_STREAM", 10, H2_DATA, 0, 5, H2_HALF_CLOSED, H2_BREAK, H2_STREAM_CLOSED },
        { "DATA on a closed stream", 10, H2_DATA, 0, 3, H2_CLOSED, H2_BREAK, H2_STREAM_CLOSED },
        { "DATA on a stream we reset", 10, H2_DATA, 0, 9, H2_CLOSED, H2_PASS, 0 },
        { "frame too large", 16385, H2_DATA, 0, 5, H2_OPEN, H2_BREAK, H2_FRAME_SIZE_ERROR },
        { "largest frame", 16384, H2_DATA, 0, 5, H2_OPEN, H2_PASS, 0 },
        { "RST_STREAM", 4, H2_RST_STREAM, 0, 5, H2_OPEN, H2_PASS, 0 },
        { "RST_STREAM of an idle stream", 4, H2_RST_STREAM, 0, 77, H2_IDLE, H2_BREAK, H2_PROTOCOL_ERROR },
        { "RST_STREAM of stream 0", 4, H2_RST_STREAM, 0, 0, H2_OPEN, H2_BREAK, H2_PROTOCOL_ERROR },
        { "RST_STREAM of a closed stream", 4, H2_RST_STREAM, 0, 3, H2_CLOSED, H2_PASS, 0 },
        { "WINDOW_UPDATE", 4, H2_WINDOW_UPDATE, 0, 5, H2_OPEN, H2_PASS, 0 },
        { "WINDOW_UPDATE of the connection", 4, H2_WINDOW_UPDATE, 0, 0, H2_OPEN, H2_PASS, 0 },
        { "WINDOW_UPDATE of an idle stream", 4, H2_WINDOW_UPDATE, 0, 77, H2_IDLE, H2_BREAK, H2_PROTOCOL_ERROR },
        { "WINDOW_UPDATE of a closed stream", 4, H2_WINDOW_UPDATE, 0, 3, H2_CLOSED, H2_PASS, 0 },
        { "PRIORITY of an idle stream", 5, H2_PRIORITY, 0, 77, H2_IDLE, H2_DROP, 0 },
        { "PRIORITY of stream 0", 5, H2_PRIORITY, 0, 0, H2_OPEN, H2_BREAK, H2_PROTOCOL_ERROR },
        { "PRIORITY of another size", 4, H2_PRIORITY, 0, 5, H2_OPEN, H2_BREAK, H2_FRAME_SIZE_ERROR },
        { "SETTINGS of a stream", 0, H2_SETTINGS, 0, 5, H2_OPEN, H2_BREAK, H2_PROTOCOL_ERROR },
        { "PING of a stream", 8, H2_PING, 0, 5, H2_OPEN, H2_BREAK, H2_PROTOCOL_ERROR },
        { "GOAWAY of a stream", 8, H2_GOAWAY, 0, 5, H2_OPEN, H2_BREAK, H2_PROTOCOL_ERROR },
        { "PUSH_PROMISE", 8, H2_PUSH_PROMISE, 4, 5, H2_OPEN, H2_BREAK, H2_PROTOCOL_ERROR },
        { "CONTINUATION of nothing", 8, H2_CONTINUATION, 4, 5, H2_OPEN, H2_BREAK, H2_PROTOCOL_ERROR },
        { "unknown type", 8, 0x42, 0, 5, H2_OPEN, H2_DROP, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up();
        guard.last_id = 9;
        h2_guard_closed(&guard, 3);
        h2_guard_closed(&guard, 9);
        h2_guard_reset(&guard, 9);
        enum h2_verdict verdict = see(cases[i].length, cases[i].type, cases[i].flags, cases[i].id, cases[i].state);
        if (verdict != cases[i].verdict || (verdict == H2_BREAK && fault.code != cases[i].code))
            fail_msg("%s: %d, code %d", cases[i].what, verdict, fault.code);
        if (verdict == H2_BREAK)
            assert_non_null(fault.why);
    }
}

/* What differs when we are the client. */
static void what_a_server_may_send(void **state)
{
    static const struct {
        const char *what;
        uint32_t length;
        uint8_t type;
        uint32_t id;
        enum h2_state state;
        enum h2_verdict verdict;
        enum h2_code code;
    } cases[] = {
        { "head on an open stream", 10, H2_HEADERS, 5, H2_OPEN, H2_PASS, 0 },
        { "head on an idle stream", 10, H2_HEADERS, 11, H2_IDLE, H2_BREAK, H2_PROTOCOL_ERROR },
        { "head on an even stream", 10, H2_HEADERS, 2, H2_IDLE, H2_BREAK, H2_PROTOCOL_ERROR },
        { "head behind END_STREAM", 10, H2_HEADERS, 5, H2_HALF_CLOSED, H2_BREAK, H2_STREAM_CLOSED },
        { "head on a closed stream", 10, H2_HEADERS, 3, H2_CLOSED, H2_BREAK, H2_STREAM_CLOSED },
        { "head on a stream we reset", 10, H2_HEADERS, 9, H2_CLOSED, H2_PASS, 0 },
        { "DATA on a closed stream", 10, H2_DATA, 3, H2_CLOSED, H2_BREAK, H2_STREAM_CLOSED },
        { "DATA on a stream we reset", 10, H2_DATA, 9, H2_CLOSED, H2_PASS, 0 },
        { "DATA on an idle stream", 10, H2_DATA, 11, H2_IDLE, H2_BREAK, H2_PROTOCOL_ERROR },
        { "PUSH_PROMISE", 10, H2_PUSH_PROMISE, 5, H2_OPEN, H2_BREAK, H2_PROTOCOL_ERROR },
        { "PRIORITY_UPDATE", 10, H2_PRIORITY_UPDATE, 0, H2_OPEN, H2_BREAK, H2_PROTOCOL_ERROR },
        { "RST_STREAM of an idle stream", 4, H2_RST_STREAM, 11, H2_IDLE, H2_BREAK, H2_PROTOCOL_ERROR },
        { "RST_STREAM of a closed stream", 4, H2_RST_STREAM, 3, H2_CLOSED, H2_PASS, 0 },
        { "WINDOW_UPDATE of an idle stream", 4, H2_WINDOW_UPDATE, 11, H2_IDLE, H2_BREAK, H2_PROTOCOL_ERROR },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        h2_guard_init(&guard, H2_CLIENT, 40000, 1000);
        see(0, H2_SETTINGS, 0, 0, H2_OPEN);
        h2_guard_opened(&guard, 9);
        h2_guard_closed(&guard, 3);
        h2_guard_reset(&guard, 9);
        enum h2_verdict verdict = see(cases[i].length, cases[i].type, H2_FLAG_END_HEADERS, cases[i].id, cases[i].state);
        if (verdict != cases[i].verdict || (verdict == H2_BREAK && fault.code != cases[i].code))
            fail_msg("%s: %d, code %d", cases[i].what, verdict, fault.code);
    }
}

/* A client's clients may all go at once: more than the ring keeps. */
static void many_taken_back_at_once_are_no_fault(void **state)
{
    (void)state;
    h2_guard_init(&guard, H2_CLIENT, 40000, 1000);
    see(0, H2_SETTINGS, 0, 0, H2_OPEN);
    for (uint32_t id = 1; id < 1000; id += 2) {
        h2_guard_opened(&guard, id);
        h2_guard_closed(&guard, id);
        h2_guard_reset(&guard, id);
    }
    for (uint32_t id = 1; id < 1000; id += 2) {
        assert_int_equal(see(10, H2_DATA, 0, id, h2_guard_state(&guard, id)), H2_PASS);
        assert_int_equal(see(4, H2_RST_STREAM, 0, id, h2_guard_state(&guard, id)), H2_PASS);
    }
}

static void settings_come_first(void **state)
{
    (void)state;
    h2_guard_init(&guard, H2_SERVER, 40000, 1000);
    assert_int_equal(see(8, H2_PING, 0, 0, H2_OPEN), H2_BREAK);
    assert_int_equal(fault.code, H2_PROTOCOL_ERROR);
    h2_guard_init(&guard, H2_SERVER, 40000, 1000);
    assert_int_equal(see(0, H2_SETTINGS, H2_FLAG_ACK, 0, H2_OPEN), H2_BREAK);
}

/* RFC 9113 6.10, 4.3. */
static void a_header_block_is_one_piece(void **state)
{
    (void)state;
    set_up();
    assert_int_equal(see(10, H2_HEADERS, 0, 1, H2_IDLE), H2_PASS);
    assert_int_equal(see(10, H2_CONTINUATION, 0, 1, H2_OPEN), H2_PASS);
    assert_int_equal(see(10, H2_CONTINUATION, 4, 1, H2_OPEN), H2_PASS);
    assert_int_equal(see(10, H2_CONTINUATION, 4, 1, H2_OPEN), H2_BREAK);
    set_up();
    assert_int_equal(see(10, H2_HEADERS, 0, 1, H2_IDLE), H2_PASS);
    assert_int_equal(see(10, H2_DATA, 0, 1, H2_OPEN), H2_BREAK);
    set_up();
    assert_int_equal(see(10, H2_HEADERS, 0, 1, H2_IDLE), H2_PASS);
    assert_int_equal(see(10, H2_CONTINUATION, 4, 3, H2_OPEN), H2_BREAK);
    assert_int_equal(fault.code, H2_PROTOCOL_ERROR);
}

static unsigned passed(uint32_t length, uint8_t type, uint8_t flags, uint32_t id, enum h2_state state, unsigned most)
{
    unsigned n = 0;

    while (n < most && see(length, type, flags, id, state) != H2_BREAK)
        n++;
    return n;
}

static void floods_end(void **state)
{
    static const struct {
        uint32_t length;
        uint8_t type, flags;
        enum h2_state state;
        enum h2_abuse abuse;
        unsigned most;
    } cases[] = {
        { 8, H2_PING, 0, H2_OPEN, H2_ABUSE_PING, 200 },
        { 6, H2_SETTINGS, 0, H2_OPEN, H2_ABUSE_SETTINGS, 100 },
        { 5, H2_PRIORITY, 0, H2_OPEN, H2_ABUSE_PRIORITY, 1000 },
        { 8, H2_PRIORITY_UPDATE, 0, H2_OPEN, H2_ABUSE_PRIORITY, 1000 },
        { 4, H2_RST_STREAM, 0, H2_OPEN, H2_ABUSE_RESETS, 1000 },
        { 4, H2_RST_STREAM, 0, H2_CLOSED, H2_ABUSE_RESETS, 1000 },
        { 0, H2_DATA, 0, H2_OPEN, H2_ABUSE_EMPTY, 200 },
        { 200, H2_DATA, H2_FLAG_PADDED, H2_OPEN, H2_ABUSE_EMPTY, 200 },
        { 4, H2_WINDOW_UPDATE, 0, H2_OPEN, H2_ABUSE_WINDOW, 3000 },
        { 4, 0x99, 0, H2_OPEN, H2_ABUSE_UNKNOWN, 500 },
        { 8, H2_GOAWAY, 0, H2_OPEN, H2_ABUSE_UNKNOWN, 500 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool is_of_stream = cases[i].type != H2_PING && cases[i].type != H2_SETTINGS &&
                            cases[i].type != H2_PRIORITY_UPDATE && cases[i].type != H2_GOAWAY;
        set_up();
        guard.last_id = 1;
        unsigned n = passed(cases[i].length, cases[i].type, cases[i].flags, is_of_stream, cases[i].state,
                            cases[i].most);
        assert_in_range(n, 10, cases[i].most - 1);
        assert_int_equal(fault.code, H2_ENHANCE_YOUR_CALM);
        assert_int_equal(fault.abuse, cases[i].abuse);
    }
}

static void a_continuation_flood_ends(void **state)
{
    (void)state;
    set_up();
    see(10, H2_HEADERS, 0, 1, H2_IDLE);
    assert_in_range(passed(0, H2_CONTINUATION, 0, 1, H2_OPEN, 1000), 8, 100);
    assert_int_equal(fault.abuse, H2_ABUSE_CONTINUATION);
    set_up();
    see(10, H2_HEADERS, 0, 1, H2_IDLE);
    assert_int_equal(passed(16000, H2_CONTINUATION, 0, 1, H2_OPEN, 1000), 2); /* 40,000 bytes */
    assert_int_equal(fault.code, H2_ENHANCE_YOUR_CALM);
}

static void budgets_fill_up_again(void **state)
{
    (void)state;
    set_up();
    assert_true(h2_guard_count(&guard, H2_ABUSE_PING, PING_BURST, 1000, &fault));
    assert_false(h2_guard_count(&guard, H2_ABUSE_PING, 1, 1050, &fault));
    assert_true(h2_guard_count(&guard, H2_ABUSE_PING, 10, 2050, &fault));
    assert_false(h2_guard_count(&guard, H2_ABUSE_PING, 2, 2050, &fault));
    assert_true(h2_guard_count(&guard, H2_ABUSE_PING, PING_BURST, 1000000, &fault)); /* and no further */
    assert_false(h2_guard_count(&guard, H2_ABUSE_PING, 1, 1000000, &fault));
    assert_true(h2_guard_count(&guard, H2_ABUSE_RESETS, RESET_BURST, 1000000, &fault)); /* each has its own */
}

static void content_earns_window_updates(void **state)
{
    (void)state;
    set_up();
    for (unsigned i = 0; i < 10000; i++) {
        h2_guard_sent(&guard, 16384);
        assert_int_equal(see(4, H2_WINDOW_UPDATE, 0, 0, H2_OPEN), H2_PASS);
        assert_int_equal(see(4, H2_WINDOW_UPDATE, 0, 1, H2_OPEN), H2_PASS);
        assert_int_equal(see(8, H2_PING, 0, 0, H2_OPEN), H2_PASS);
    }
}

static void streams_behind_a_goaway_are_ignored(void **state)
{
    (void)state;
    set_up();
    guard.last_id = 5;
    guard.goaway_id = 5;
    assert_int_equal(see(10, H2_HEADERS, 4, 7, h2_guard_state(&guard, 7)), H2_PASS);
    assert_int_equal(see(10, H2_DATA, 0, 7, h2_guard_state(&guard, 7)), H2_PASS);
    assert_int_equal(see(10, H2_DATA, 0, 3, h2_guard_state(&guard, 3)), H2_BREAK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_heads_are_read_and_written),
        cmocka_unit_test(states_decide),
        cmocka_unit_test(what_a_server_may_send),
        cmocka_unit_test(many_taken_back_at_once_are_no_fault),
        cmocka_unit_test(settings_come_first),
        cmocka_unit_test(a_header_block_is_one_piece),
        cmocka_unit_test(floods_end),
        cmocka_unit_test(a_continuation_flood_ends),
        cmocka_unit_test(budgets_fill_up_again),
        cmocka_unit_test(content_earns_window_updates),
        cmocka_unit_test(streams_behind_a_goaway_are_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
