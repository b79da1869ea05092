/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters by name: found again, summed over workers while these count, gone with their last user. */
#include "pipeline/tally.h"

#include "base/mem.h"
#include "loop/worker.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { THREADS = 4, TIMES = 20000, CELLS = 2 + LATENCY_CELLS };

static void is_found_by_its_name(void **state)
{
    (void)state;
    uint32_t before = tallies_count();
    struct tally *a = tally_get(S("site a"), 3), *same = tally_get(S("site a"), 3), *b = tally_get(S("site b"), 3);
    assert_ptr_equal(a, same);
    assert_ptr_not_equal(a, b);
    assert_int_equal(tallies_count(), before + 2);
    assert_ptr_equal(tally_ref(a), a);
    tally_release(a);
    tally_release(a);
    assert_int_equal(tallies_count(), before + 2);
    tally_release(same);
    tally_release(b);
    assert_int_equal(tallies_count(), before);
}

static void nobody_counts_without_one(void **state)
{
    (void)state;
    uint64_t sums[3] = { 7, 7, 7 };
    struct tally *a = tally_get(S("a"), 3);
    tally_add(a, 0, 1); /* no worker here */
    assert_null(tally_here(a));
    tally_sum(a, sums);
    assert_int_equal(sums[0] + sums[1] + sums[2], 0);
    tally_release(a);
    tally_add(NULL, 0, 1);
    tally_time(NULL, 0, 1);
    assert_null(tally_here(NULL));
    assert_null(tally_ref(NULL));
    assert_int_equal(tally_sum_of(NULL, 2), 0);
    tally_release(NULL);
}

struct counting {
    struct tally *tally;
    unsigned index;
};

static void *count(void *arg)
{
    struct counting *c = arg;
    struct worker *worker = worker_create(c->index);
    worker_enter(worker);
    for (int i = 0; i < TIMES; i++) {
        tally_add(c->tally, 0, 1);
        tally_add(c->tally, 1, i % 2 ? -1 : 2);
        tally_time(c->tally, 2, 50);
    }
    worker_destroy(worker);
    return NULL;
}

/* Up from some and down from others: the sum is right in the end, and never too high on the way. The indexes: two of
 * one group, one of another, and the main thread's. */
static void workers_count_while_others_add_up(void **state)
{
    (void)state;
    static const unsigned indexes[THREADS] = { 0, 15, 16, 256 };
    struct counting all[THREADS];
    pthread_t threads[THREADS];
    uint64_t sums[CELLS];
    struct tally *tally = tally_get(S("t"), CELLS);
    for (int i = 0; i < THREADS; i++) {
        all[i] = (struct counting){ tally, indexes[i] };
        assert_int_equal(pthread_create(&threads[i], NULL, count, &all[i]), 0);
    }
    uint64_t last = 0;
    for (int i = 0; i < 200; i++) {
        tally_sum(tally, sums);
        assert_true(sums[0] >= last && sums[0] <= THREADS * TIMES);
        last = sums[0];
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    tally_sum(tally, sums);
    assert_int_equal(sums[0], THREADS * TIMES);
    assert_int_equal(sums[1], THREADS * TIMES / 2);
    assert_int_equal(sums[2], THREADS * TIMES);
    assert_int_equal(sums[2 + LATENCY_SUM], THREADS * TIMES * 50);
    assert_int_equal(tally_sum_of(tally, 1), THREADS * TIMES / 2);
    tally_release(tally);
}

static void without_memory_nothing_is_counted(void **state)
{
    (void)state;
    struct worker *worker = worker_create(3);
    worker_enter(worker);
    for (int64_t n = 0; n < 4; n++) {
        mem_fail_after(n);
        struct tally *tally = tally_get(S("poor"), 1);
        tally_add(tally, 0, 1);
        uint64_t sum = tally_sum_of(tally, 0);
        mem_fail_after(-1);
        assert_int_equal(tally != NULL, n >= 2);
        assert_int_equal(sum, 0);
        tally_add(tally, 0, 1);
        assert_int_equal(tally_sum_of(tally, 0), n >= 2);
        tally_release(tally);
    }
    worker_destroy(worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_found_by_its_name),
        cmocka_unit_test(nobody_counts_without_one),
        cmocka_unit_test(workers_count_while_others_add_up),
        cmocka_unit_test(without_memory_nothing_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
