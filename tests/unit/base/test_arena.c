/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"

#include "failing.h"

#ifdef WEIR_SANITIZED
#include <sanitizer/asan_interface.h>
#endif

/* What cleanups leave behind: the letters they were registered with, in the order they ran. */
static char trail[16];

static void leave(void *arg)
{
    strncat(trail, arg, 1);
}

static struct arena *reentered;

static void leave_and_register(void *arg)
{
    leave(arg);
    static char mark[] = "?";
    assert_true(arena_on_reset(reentered, leave, mark));
}

static void memory_is_aligned_and_apart(void **state)
{
    (void)state;
    struct arena *arena = arena_create(512, 0);
    unsigned char *pieces[200];
    for (size_t i = 0; i < 200; i++) {
        pieces[i] = arena_alloc(arena, i);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)i, i);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_equal(pieces[i][k], i);
    assert_true(arena_used(arena) >= 199 * 200 / 2);
    arena_destroy(arena);
    arena_destroy(NULL);
}

static void zeroed_means_zeroed(void **state)
{
    (void)state;
    struct arena *arena = arena_create(256, 0);
    for (int round = 0; round < 3; round++) {
        memset(arena_alloc(arena, 100), 0xff, 100); /* what the next round gets again */
        const unsigned char *p = arena_zalloc(arena, 100);
        for (int i = 0; i < 100; i++)
            assert_int_equal(p[i], 0);
        arena_reset(arena);
    }
    uint64_t *numbers = arena_array(arena, uint64_t, 4);
    struct vec *one = arena_new(arena, struct vec);
    assert_int_equal(numbers[0] | numbers[1] | numbers[2] | numbers[3], 0);
    assert_null(one->items);
    arena_destroy(arena);
}

static void cleanups_run_in_reverse(void **state)
{
    (void)state;
    struct arena *arena = reentered = arena_create(64, 0);
    trail[0] = '\0';
    assert_true(arena_on_reset(arena, leave, "a"));
    arena_alloc(arena, 1000);
    assert_true(arena_on_reset(arena, leave, "b"));
    assert_true(arena_on_reset(arena, leave, "c"));
    arena_reset(arena);
    assert_string_equal(trail, "cba");
    arena_reset(arena); /* once only */
    assert_string_equal(trail, "cba");
    assert_true(arena_on_reset(arena, leave, "d"));
    arena_destroy(arena);
    assert_string_equal(trail, "cbad");
}

static void cleanup_may_register_another(void **state)
{
    (void)state;
    struct arena *arena = reentered = arena_create(1024, 0);
    trail[0] = '\0';
    static char letters[] = "ab";
    assert_true(arena_on_reset(arena, leave, letters));
    assert_true(arena_on_reset(arena, leave_and_register, letters + 1));
    arena_destroy(arena);
    assert_string_equal(trail, "b?a");
}

static void cap_holds(void **state)
{
    (void)state;
    struct arena *arena = arena_create(128, 1024);
    size_t got = 0;
    while (arena_alloc(arena, 16))
        got += 16;
    assert_true(got <= 1024);
    assert_true(got >= 1024 - 64); /* and nearly all of it can be had */
    assert_true(arena_used(arena) <= 1024);
    assert_null(arena_alloc(arena, 1));
    assert_null(arena_str(arena, S("x")).p);
    arena_reset(arena); /* all of it is back */
    assert_non_null(arena_alloc(arena, 512));
    assert_null(arena_alloc(arena, 1024));
    arena_destroy(arena);

    arena = arena_create(4096, 100); /* a first chunk above the cap is cut to it */
    assert_null(arena_alloc(arena, 101));
    assert_non_null(arena_alloc(arena, 96));
    assert_null(arena_alloc(arena, 16));
    arena_destroy(arena);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    assert_null(arena_create(SIZE_MAX, 0));
    struct arena *arena = arena_create(64, 0);
    static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX / 2, SIZE_MAX / 2 + 1 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_null(arena_alloc(arena, sizes[i]));
        assert_null(arena_zalloc(arena, sizes[i]));
        assert_null(arena_str(arena, (str){ "", sizes[i] }).p);
    }
    str parts[] = {
        {"a",  SIZE_MAX},
        { "b", 2       }
    };
    assert_null(arena_concat(arena, parts, 2).p);
    arena_destroy(arena);
}

static void texts(void **state)
{
    (void)state;
    struct arena *arena = arena_create(256, 0);
    assert_string_equal(arena_str(arena, S("abc")).p, "abc");
    assert_string_equal(arena_str(arena, (str){ "abcdef", 3 }).p, "abc"); /* a NUL behind it */
    assert_string_equal(arena_str(arena, STR_NONE).p, "");
    assert_string_equal(arena_lower(arena, S("ABC-\xc3\x84z")).p, "abc-\xc3\x84z");
    assert_memory_equal(arena_dup(arena, "a\0b", 3), "a\0b", 3);
    assert_non_null(arena_dup(arena, NULL, 0));

    str parts[] = { S("one"), STR_NONE, S(""), S(" two") };
    str whole = arena_concat(arena, parts, 4);
    assert_int_equal(whole.n, 7);
    assert_string_equal(whole.p, "one two");
    assert_string_equal(arena_concat(arena, NULL, 0).p, "");
    arena_destroy(arena);
}

static void formatted_texts(void **state)
{
    (void)state;
    struct arena *arena = arena_create(256, 0);
    str s = arena_printf(arena, "%s-%d", "a", 5);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.p, "a-5");
    assert_string_equal(arena_printf(arena, "%s", "").p, "");
    for (int width = 254; width < 260; width++) { /* around the size that is formatted once */
        s = arena_printf(arena, "%*d", width, 7);
        assert_int_equal(s.n, width);
        assert_int_equal(s.p[width - 1], '7');
        assert_int_equal(s.p[width], '\0');
    }
    assert_int_equal(arena_printf(arena, "%5000d", 7).n, 5000);
    arena_destroy(arena);
}

static void vector_grows(void **state)
{
    (void)state;
    struct arena *arena = arena_create(256, 0);
    struct vec vec = { 0 };
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t *item = vec_push(arena, &vec, sizeof(*item));
        assert_int_equal(*item, 0);
        *item = i;
    }
    assert_int_equal(vec.count, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(*vec_at(&vec, uint32_t, i), i);
    struct vec full = { .count = UINT32_MAX, .room = UINT32_MAX };
    assert_null(vec_push(arena, &full, 1));
    struct vec wide = { 0 };
    assert_null(vec_push(arena, &wide, SIZE_MAX / 2));
    assert_int_equal(wide.count, 0);
    arena_destroy(arena);
}

#ifdef WEIR_SANITIZED

static void overflow_is_seen(void **state)
{
    (void)state;
    struct arena *arena = arena_create(4096, 0);
    for (size_t n = 1; n < 40; n++) {
        char *p = arena_alloc(arena, n);
        assert_null(__asan_region_is_poisoned(p, n));
        assert_true(__asan_address_is_poisoned(p + n));
    }
    char *p = arena_alloc(arena, 8);
    arena_reset(arena);
    assert_true(__asan_address_is_poisoned(p)); /* and so is use after reset */
    arena_destroy(arena);
}

#else

/* The request path: a reset and what then fits the first chunk touch no allocator. */
static void first_chunk_is_kept(void **state)
{
    (void)state;
    struct arena *arena = arena_create(1024, 0);
    void *first = arena_alloc(arena, 16);
    arena_alloc(arena, 5000);
    assert_true(arena_used(arena) > 5000);
    arena_reset(arena);
    assert_int_equal(arena_used(arena), 1024);
    mem_fail_after(0);
    assert_ptr_equal(arena_alloc(arena, 16), first);
    for (int i = 1; i < 64; i++)
        assert_non_null(arena_alloc(arena, 16));
    assert_null(arena_alloc(arena, 1));
    mem_fail_after(-1);
    assert_non_null(arena_alloc(arena, 1));
    arena_destroy(arena);
}

/* A large piece gets a chunk of its own: what was left of the chunk in use goes on being used. */
static void large_piece_wastes_no_rest(void **state)
{
    (void)state;
    struct arena *arena = arena_create(1024, 0);
    char *before = arena_alloc(arena, 16);
    arena_alloc(arena, 100000);
    char *after = arena_alloc(arena, 16);
    assert_ptr_equal(after, before + 16);
    arena_destroy(arena);
}

#endif

static bool use_everything(void *arg)
{
    (void)arg;
    struct arena *arena = arena_create(32, 0);
    if (!arena)
        return false;
    trail[0] = '\0';
    struct vec vec = { 0 };
    str parts[] = { S("some text of"), S(" two parts") };
    bool registered = arena_on_reset(arena, leave, "x");
    bool done = registered && arena_alloc(arena, 4000) && arena_zalloc(arena, 4000) && arena_dup(arena, trail, 16) &&
                arena_str(arena, S("text")).p && arena_lower(arena, S("Text")).p && arena_concat(arena, parts, 2).p &&
                arena_printf(arena, "%d", 5).p && arena_printf(arena, "%3000d", 5).p;
    for (uint32_t i = 0; done && i < 1000; i++) {
        done = vec_push(arena, &vec, 8) != NULL;
        assert_int_equal(vec.count, done ? i + 1 : i);
    }
    arena_destroy(arena);
    assert_string_equal(trail, registered ? "x" : "");
    return done;
}

static void without_memory(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(use_everything, NULL) >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_apart),
        cmocka_unit_test(zeroed_means_zeroed),
        cmocka_unit_test(cleanups_run_in_reverse),
        cmocka_unit_test(cleanup_may_register_another),
        cmocka_unit_test(cap_holds),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(texts),
        cmocka_unit_test(formatted_texts),
        cmocka_unit_test(vector_grows),
#ifdef WEIR_SANITIZED
        cmocka_unit_test(overflow_is_seen),
#else
        cmocka_unit_test(first_chunk_is_kept),
        cmocka_unit_test(large_piece_wastes_no_rest),
#endif
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
