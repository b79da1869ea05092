/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/small.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int start_empty(void **state)
{
    (void)state;
    mem_fail_after(-1);
    small_drop_free_lists();
    return 0;
}

/* Sizes around the steps and beyond what is recycled: all of it can be written, none of it overlaps. */
static void pieces_are_as_large_as_was_asked(void **state)
{
    static const size_t sizes[] = { 1, 8, 63, 64, 65, 127, 128, 129, 1000, 1023, 1024, 1025, 5000 };
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    unsigned char *pieces[COUNT];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            pieces[i] = small_alloc(sizes[i]);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % 16, 0);
            memset(pieces[i], (int)i, sizes[i]);
        }
        for (size_t i = 0; i < COUNT; i++) {
            for (size_t at = 0; at < sizes[i]; at++)
                assert_int_equal(pieces[i][at], i);
            small_free(pieces[i], sizes[i]);
        }
    }
    small_free(NULL, 5);
    void *nothing = small_alloc(0);
    assert_non_null(nothing);
    small_free(nothing, 0);
}

static void zeroed_ones_are(void **state)
{
    (void)state;
    for (size_t n = 1; n < 1200; n += 37) {
        unsigned char *piece = small_alloc(n);
        memset(piece, 0xee, n);
        small_free(piece, n);
        piece = small_zalloc(n);
        for (size_t at = 0; at < n; at++)
            assert_int_equal(piece[at], 0);
        small_free(piece, n);
    }
}

#ifndef WEIR_SANITIZED
static void what_came_back_is_taken_again(void **state)
{
    (void)state;
    void *first = small_alloc(100), *second = small_alloc(300);
    small_free(first, 100);
    small_free(second, 300);
    mem_fail_after(0); /* no new memory is needed */
    assert_ptr_equal(small_alloc(128), first);
    assert_ptr_equal(small_alloc(260), second);
    assert_null(small_alloc(128));
    assert_null(small_alloc(4096));
    mem_fail_after(-1);
    small_free(first, 128);
    small_free(second, 260);
}

/* 3 MB given back, 1 MB of them kept. */
static void the_lists_have_an_end(void **state)
{
    enum { COUNT = 3 * 1024 };
    static void *pieces[COUNT];
    unsigned kept = 0;

    (void)state;
    for (unsigned i = 0; i < COUNT; i++)
        pieces[i] = small_alloc(1024);
    for (unsigned i = 0; i < COUNT; i++)
        small_free(pieces[i], 1024);
    mem_fail_after(0);
    while (kept < COUNT && (pieces[kept] = small_alloc(1024)))
        kept++;
    mem_fail_after(-1);
    assert_int_equal(kept, 1024);
    while (kept)
        small_free(pieces[--kept], 1024);
}
#endif

static void *give_back(void *piece)
{
    small_free(piece, 200);
    small_drop_free_lists();
    return NULL;
}

/* Leaks and races are what sanitized builds see. */
static void another_thread_may_give_back(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, give_back, small_alloc(200)), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_are_as_large_as_was_asked, start_empty, start_empty),
        cmocka_unit_test_setup_teardown(zeroed_ones_are, start_empty, start_empty),
#ifndef WEIR_SANITIZED
        cmocka_unit_test_setup_teardown(what_came_back_is_taken_again, start_empty, start_empty),
        cmocka_unit_test_setup_teardown(the_lists_have_an_end, start_empty, start_empty),
#endif
        cmocka_unit_test_setup_teardown(another_thread_may_give_back, start_empty, start_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
