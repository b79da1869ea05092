/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"

#include <pthread.h>
#include <string.h>

static void gives_memory(void **state)
{
    (void)state;
    char *p = mem_alloc(3);
    memcpy(p, "ab", 3);
    p = mem_realloc(p, 1000);
    assert_string_equal(p, "ab");
    mem_free(p);
    p = mem_zalloc(100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    mem_free(p);
    p = mem_array(10, 10);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    mem_free(p);
    mem_free(NULL);
}

static void nothing_is_a_size(void **state)
{
    (void)state;
    void *pieces[] = { mem_alloc(0), mem_zalloc(0), mem_array(0, 8), mem_realloc(NULL, 0) };
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        assert_non_null(pieces[i]);
        mem_free(pieces[i]);
    }
}

static void products_do_not_overflow(void **state)
{
    (void)state;
    assert_null(mem_array(SIZE_MAX, 2));
    assert_null(mem_array(SIZE_MAX / 2 + 2, 2));
}

static void fails_from_the_nth_on(void **state)
{
    (void)state;
    void *kept = mem_alloc(8);
    mem_fail_after(2);
    void *a = mem_alloc(1), *b = mem_zalloc(1);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(mem_failures(), 0);
    assert_null(mem_alloc(1));
    assert_null(mem_zalloc(1));
    assert_null(mem_array(1, 1));
    assert_null(mem_realloc(kept, 100)); /* and what was there stays there: freed below */
    assert_int_equal(mem_failures(), 4);
    mem_fail_after(-1);
    assert_int_equal(mem_failures(), 0);
    void *c = mem_alloc(1);
    assert_non_null(c);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(kept);
}

static void fails_the_nth_alone(void **state)
{
    (void)state;
    mem_fail_once_after(1);
    void *a = mem_alloc(1);
    assert_non_null(a);
    assert_null(mem_alloc(1));
    void *b = mem_alloc(1);
    assert_non_null(b);
    assert_int_equal(mem_failures(), 1);
    mem_fail_after(-1);
    mem_free(a);
    mem_free(b);
}

static void *hold_elsewhere(void *arg)
{
    mem_hold(3 << 20); /* told at once: it is more than a step */
    mem_hold(1000);
    if (arg)
        mem_hold_report();
    return NULL;
}

static void what_is_held_adds_up_over_threads(void **state)
{
    pthread_t thread;
    uint64_t before = mem_held();

    (void)state;
    mem_hold(5);
    assert_int_equal(mem_held() - before, 5); /* one's own is exact */
    assert_int_equal(pthread_create(&thread, NULL, hold_elsewhere, &before), 0);
    pthread_join(thread, NULL);
    assert_int_equal(mem_held() - before, 5 + (3 << 20) + 1000);
    mem_hold(-5 - (3 << 20) - 1000);
    assert_int_equal(mem_held(), before);
    mem_hold(-(1 << 30));
    assert_int_equal(mem_held(), 0); /* never less than nothing */
    mem_hold(1 << 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_memory),
        cmocka_unit_test(nothing_is_a_size),
        cmocka_unit_test(products_do_not_overflow),
        cmocka_unit_test(fails_from_the_nth_on),
        cmocka_unit_test(fails_the_nth_alone),
        cmocka_unit_test(what_is_held_adds_up_over_threads),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
