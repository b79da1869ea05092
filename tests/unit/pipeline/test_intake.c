/* SPDX-License-Identifier: BSD-2-Clause */
#include "../net/ends.h"

#include "base/block.h"
#include "base/mem.h"
#include "pipeline/intake.h"

static const struct h1_limits limits = { .head_bytes = 1024, .fields = 10 };

static int64_t read_text(struct intake *in, struct end *end, int peer, const char *text, uint32_t size)
{
    unsigned before = end->readable;

    put(peer, text);
    TURN_UNTIL(end->readable > before);
    return intake_read(in, &end->conn, size);
}

#define expect_rest(in, text) \
    do { \
        str rest_ = intake_rest(in); \
        assert_int_equal(rest_.n, strlen(text)); \
        assert_int_equal(intake_n(in), strlen(text)); \
        assert_memory_equal(rest_.p, text, strlen(text)); \
    } while (0)

static void nothing_waits_in_an_empty_one(void **state)
{
    (void)state;
    struct intake in = { 0 };

    assert_int_equal(intake_n(&in), 0);
    assert_int_equal(intake_rest(&in).n, 0);
    intake_use_all(&in);
    intake_drop(&in);
    assert_null(in.block);
}

static void what_is_read_stands_behind_what_waits(void **state)
{
    (void)state;
    struct intake in = { 0 };
    int peer;
    struct end *end = end_pair(&peer);

    assert_int_equal(read_text(&in, end, peer, "abc", 64), 3);
    assert_int_equal(in.block->size, 64);
    assert_int_equal(intake_read(&in, &end->conn, 64), CONN_AGAIN);
    expect_rest(&in, "abc");
    intake_use(&in, 1);
    assert_int_equal(read_text(&in, end, peer, "de", 64), 2);
    expect_rest(&in, "bcde");
    close(peer);
    TURN_UNTIL(end->conn.peer_closed);
    assert_int_equal(intake_read(&in, &end->conn, 64), CONN_EOF);
    expect_rest(&in, "bcde");
    intake_drop(&in);
    end_destroy(end);
}

static void a_used_up_block_is_filled_anew_unless_somebody_holds_it(void **state)
{
    (void)state;
    struct intake in = { 0 };
    int peer;
    struct end *end = end_pair(&peer);

    read_text(&in, end, peer, "abcd", 8);
    struct block *first = in.block;
    intake_use_all(&in);
    read_text(&in, end, peer, "efgh", 8);
    assert_ptr_equal(in.block, first);
    assert_int_equal(in.at, 0);
    expect_rest(&in, "efgh");

    block_ref(first);
    intake_use_all(&in);
    read_text(&in, end, peer, "ijkl", 8);
    assert_ptr_equal(in.block, first); /* there was room behind */
    expect_rest(&in, "ijkl");
    intake_use(&in, 1);
    read_text(&in, end, peer, "mn", 8);
    assert_ptr_not_equal(in.block, first);
    expect_rest(&in, "jklmn");
    assert_memory_equal(first->data, "efghijkl", 8); /* as its holder saw it */
    block_unref(first);
    intake_drop(&in);
    close(peer);
    end_destroy(end);
}

/* As answers of an upstream do: the first one is still being passed on when the second one is read. */
static void what_is_left_of_a_block_serves_another(void **state)
{
    (void)state;
    struct intake first = { 0 }, second = { 0 };
    int peer;
    struct end *end = end_pair(&peer);

    block_drop_free_lists();
    read_text(&first, end, peer, "abcd", BLOCK_MEDIUM);
    struct block *block = block_ref(first.block);
    intake_use_all(&first);
    intake_leave(&first);
    assert_null(first.block);
    read_text(&second, end, peer, "efgh", BLOCK_MEDIUM);
    assert_ptr_equal(second.block, block);
    expect_rest(&second, "efgh");
    assert_memory_equal(block->data, "abcd", 4);

    read_text(&first, end, peer, "ijkl", BLOCK_MEDIUM); /* while it is in use it is nobody else's */
    assert_ptr_not_equal(first.block, block);
    intake_drop(&first);

    block->used = BLOCK_MEDIUM - BLOCK_SMALL; /* no room for an answer of common size */
    intake_use_all(&second);
    intake_leave(&second);
    read_text(&second, end, peer, "mnop", BLOCK_MEDIUM);
    assert_ptr_not_equal(second.block, block);
    block_unref(block);
    intake_drop(&second);

    block_drop_free_lists();
    read_text(&first, end, peer, "qrst", 64); /* other sizes are not kept */
    intake_use_all(&first);
    intake_leave(&first);
    assert_null(block_take_aside(1));
    intake_leave(&first);
    end_destroy(end);
}

static void what_waits_is_never_more_than_half_of_a_new_block(void **state)
{
    (void)state;
    struct intake in = { 0 };
    int peer;
    struct end *end = end_pair(&peer);

    read_text(&in, end, peer, "abcdefgh", 8);
    assert_int_equal(intake_n(&in), 8);
    assert_int_equal(read_text(&in, end, peer, "ij", 8), 2);
    assert_int_equal(in.block->size, 16);
    expect_rest(&in, "abcdefghij");
    intake_drop(&in);
    close(peer);
    end_destroy(end);
}

static void a_pinned_block_stays_until_the_arena_is_reset(void **state)
{
    (void)state;
    struct arena *arena = arena_create(256, 0);
    struct intake in = { .block = block_create(8) };
    struct block *block = block_ref(in.block);

    assert_true(intake_pin(&in, arena));
    intake_drop(&in);
    assert_true(block_is_shared(block));
    arena_reset(arena);
    assert_false(block_is_shared(block));
    block_unref(block);
    arena_destroy(arena);
}

static void fill(struct intake *in, const char *text)
{
    in->block = block_create(64);
    in->at = 0;
    in->block->used = (uint32_t)strlen(text);
    memcpy(in->block->data, text, strlen(text));
}

static void bodies_are_decoded_up_to_their_end(void **state)
{
    (void)state;
    static const struct {
        enum body_kind kind;
        uint64_t length;
        const char *in;
        enum h1_event event;
        const char *content, *rest;
    } cases[] = {
        { BODY_LENGTH, 3, "abcdef", H1_BODY_END, "abc", "def" },
        { BODY_LENGTH, 9, "abcdef", H1_BODY_MORE, "abcdef", "" },
        { BODY_UNTIL_CLOSE, 0, "abcdef", H1_BODY_MORE, "abcdef", "" },
        { BODY_CHUNKED, 0, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET", H1_BODY_END, "abcde", "GET" },
        { BODY_CHUNKED, 0, "3\r\nabc\r\n2\r\nd", H1_BODY_MORE, "abcd", "" },
        { BODY_CHUNKED, 0, "3\r\nabcd", H1_BODY_BAD, "abc", NULL },
    };
    struct arena *arena = arena_create(256, 0);

    for (size_t i = 0; i < COUNT(cases); i++)
        for (int wanted = 0; wanted < 2; wanted++) {
            struct intake in;
            struct h1_body decoder;
            struct h1_error error = { 0 };
            struct chain content;
            char copy[64];
            chain_init(&content);
            fill(&in, cases[i].in);
            h1_body_init(&decoder, cases[i].kind, cases[i].length, &limits, arena, NULL);
            assert_int_equal(intake_decode(&in, &decoder, wanted ? &content : NULL, &error), cases[i].event);
            assert_int_equal(error.status != 0, cases[i].event == H1_BODY_BAD);
            assert_int_equal(content.n, wanted ? strlen(cases[i].content) : 0);
            assert_int_equal(chain_copy_out(&content, copy, sizeof(copy)), content.n);
            assert_memory_equal(copy, cases[i].content, content.n);
            if (cases[i].rest)
                expect_rest(&in, cases[i].rest);
            chain_clear(&content);
            intake_drop(&in);
        }
    arena_destroy(arena);
}

static void raw_bytes_are_passed_by_reference(void **state)
{
    (void)state;
    struct intake in;
    struct chain content;

    chain_init(&content);
    fill(&in, "abcdef");
    intake_use(&in, 2);
    assert_true(intake_pass_raw(&in, &content));
    assert_int_equal(content.n, 4);
    assert_ptr_equal(chain_peek(&content).p, in.block->data + 2);
    assert_int_equal(intake_n(&in), 0);
    chain_clear(&content);
    intake_drop(&in);
}

static void without_memory_what_waits_stays(void **state)
{
    (void)state;
    struct intake in = { 0 };
    struct h1_body decoder;
    struct h1_error error = { 0 };
    struct chain content;
    int peer;
    struct end *end = end_pair(&peer);

    chain_init(&content);
    fill(&in, "abcdef");
    in.block->size = in.block->used; /* no room */
    chain_drop_free_list();
    put(peer, "x");
    TURN_UNTIL(end->readable);
    h1_body_init(&decoder, BODY_LENGTH, 3, &limits, NULL, NULL);
    mem_fail_after(0);
    int64_t read = intake_read(&in, &end->conn, 8);
    bool passed = intake_pass_raw(&in, &content);
    expect_rest(&in, "abcdef");
    enum h1_event event = intake_decode(&in, &decoder, &content, &error);
    mem_fail_after(-1);
    assert_int_equal(read, INTAKE_NO_MEMORY);
    assert_false(passed);
    assert_int_equal(event, H1_BODY_BAD);
    assert_int_equal(error.status, 503);
    assert_int_equal(content.n, 0);
    intake_drop(&in);
    close(peer);
    end_destroy(end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_waits_in_an_empty_one),
        turning(what_is_read_stands_behind_what_waits),
        turning(a_used_up_block_is_filled_anew_unless_somebody_holds_it),
        turning(what_is_left_of_a_block_serves_another),
        turning(what_waits_is_never_more_than_half_of_a_new_block),
        cmocka_unit_test(a_pinned_block_stays_until_the_arena_is_reset),
        cmocka_unit_test(bodies_are_decoded_up_to_their_end),
        cmocka_unit_test(raw_bytes_are_passed_by_reference),
        turning(without_memory_what_waits_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
