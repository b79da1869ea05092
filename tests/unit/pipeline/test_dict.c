/* SPDX-License-Identifier: BSD-2-Clause */
#include "toy.h"

#include "base/hash.h"
#include "pipeline/dict.h"

#include <pthread.h>
#include <weir/share.h>

static uint64_t now_us;
static uint64_t read_now(void)
{
    return now_us;
}

static weir_dict *d;
static int make(void **state)
{
    (void)state;
    now_us = 1000000;
    d = dict_create(4 << 20);
    dict_set_clock(d, read_now);
    return d ? 0 : -1;
}

static int unmake(void **state)
{
    (void)state;
    dict_destroy(d);
    return 0;
}
#define with_dict(test) cmocka_unit_test_setup_teardown(test, make, unmake)

static const char *value_of(str key)
{
    static char room[256];
    size_t n = 0;
    if (dict_get(d, key, (weir_span){ room, sizeof(room) - 1 }, &n) != 0)
        return "(absent)";
    room[n < sizeof(room) - 1 ? n : sizeof(room) - 1] = '\0';
    return room;
}

/* -- one thread ---------------------------------------------------------------------------------------------------- */

static void values_come_and_go(void **state)
{
    (void)state;
    assert_string_equal(value_of(S("a")), "(absent)");
    assert_int_equal(dict_put(d, S("a"), S("one"), 0), 0);
    assert_int_equal(dict_put(d, S("A"), S("other"), 0), 0);
    assert_int_equal(dict_put(d, STR_NONE, S("of nobody"), 0), 0);
    assert_int_equal(dict_put(d, S("empty"), STR_NONE, 0), 0);
    assert_string_equal(value_of(S("a")), "one");
    assert_string_equal(value_of(S("A")), "other");
    assert_string_equal(value_of(STR_NONE), "of nobody");
    assert_string_equal(value_of(S("empty")), "");
    assert_int_equal(dict_put(d, S("a"), S("longer than one"), 0), 0); /* another size */
    assert_string_equal(value_of(S("a")), "longer than one");
    assert_int_equal(dict_put(d, S("a"), S("longer than two"), 0), 0); /* in place */
    assert_string_equal(value_of(S("a")), "longer than two");
    assert_int_equal(dict_entries(d), 4);
    assert_int_equal(dict_remove(d, S("a")), 0);
    assert_int_equal(dict_remove(d, S("a")), WEIR_ABSENT);
    assert_string_equal(value_of(S("a")), "(absent)");

    char small[3];
    size_t n;
    assert_int_equal(dict_get(d, S("A"), (weir_span){ small, sizeof(small) }, &n), 0);
    assert_int_equal(n, 5); /* the whole size, though cut */
    assert_memory_equal(small, "oth", 3);
    assert_int_equal(dict_get(d, S("A"), (weir_span){ NULL, 0 }, &n), 0);
}

static void too_large(void **state)
{
    (void)state;
    static char bytes[DICT_VALUE_MOST + 1];
    assert_int_equal(dict_put(d, (str){ bytes, DICT_KEY_MOST }, (str){ bytes, DICT_VALUE_MOST }, 0), 0);
    assert_int_equal(dict_put(d, (str){ bytes, DICT_KEY_MOST + 1 }, S("x"), 0), -1);
    assert_int_equal(dict_put(d, S("x"), (str){ bytes, DICT_VALUE_MOST + 1 }, 0), -1);
    assert_int_equal(dict_add(d, (str){ bytes, DICT_KEY_MOST + 1 }, 1, 0, NULL), -1);
    weir_dict *small = dict_create(0); /* 64 kB: a shard cannot hold the largest value */
    assert_int_equal(dict_put(small, S("x"), (str){ bytes, DICT_VALUE_MOST }, 0), -1);
    assert_true(dict_bytes(small) <= DICT_BYTES_LEAST);
    dict_destroy(small);
}

static void time_to_live(void **state)
{
    (void)state;
    dict_put(d, S("a"), S("x"), 100);
    now_us += 99999;
    assert_string_equal(value_of(S("a")), "x");
    now_us += 1;
    assert_string_equal(value_of(S("a")), "(absent)");
    assert_int_equal(dict_entries(d), 0);
    dict_put(d, S("a"), S("x"), 100);
    dict_put(d, S("a"), S("y"), 0); /* for ever now */
    now_us += 1000000000;
    assert_string_equal(value_of(S("a")), "y");
    dict_put(d, S("b"), S("z"), UINT64_MAX); /* beyond any clock */
    assert_string_equal(value_of(S("b")), "z");
}

static void expired_entries_go_unasked(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2000; i++)
        dict_put(d, (str){ (char *)&i, sizeof(i) }, S("x"), 10);
    now_us += 20000;
    for (unsigned i = 100000; i < 106000; i++)
        dict_put(d, (str){ (char *)&i, sizeof(i) }, S("x"), 0);
    assert_true(dict_entries(d) < 6200); /* of 8000 that were put */
}

static void counters(void **state)
{
    (void)state;
    static const struct {
        int64_t by;
        uint64_t want;
    } steps[] = { { 0, 0 }, { 1, 1 }, { 5, 6 }, { -2, 4 }, { -10, 0 }, { INT64_MAX, INT64_MAX },
                  { INT64_MAX, UINT64_MAX - 1 }, { 7, UINT64_MAX }, { INT64_MIN, (uint64_t)INT64_MAX } };
    for (size_t i = 0; i < COUNT(steps); i++) {
        uint64_t sum = 99;
        assert_int_equal(dict_add(d, S("n"), steps[i].by, 0, &sum), 0);
        assert_true(sum == steps[i].want);
    }
    dict_put(d, S("text"), S("no number"), 0);
    assert_int_equal(dict_add(d, S("text"), 1, 0, NULL), -1);
    assert_string_equal(value_of(S("text")), "no number");
    uint64_t sum;
    dict_add(d, S("gone"), 2, 0, &sum);
    dict_add(d, S("gone"), -2, 0, &sum);
    assert_string_equal(value_of(S("gone")), "(absent)"); /* what counts nothing costs nothing */
}

static void windows_are_fixed_by_the_first_add(void **state)
{
    (void)state;
    uint64_t sum;
    dict_add(d, S("n"), 1, 1000, &sum);
    now_us += 600000;
    dict_add(d, S("n"), 1, 1000, &sum); /* does not move it */
    assert_int_equal(sum, 2);
    now_us += 399999;
    dict_add(d, S("n"), 1, 5000, &sum);
    assert_int_equal(sum, 3);
    now_us += 1;
    dict_add(d, S("n"), 1, 1000, &sum);
    assert_int_equal(sum, 1);
    dict_add(d, S("n"), -1, 1000, &sum); /* empty, but its window goes on */
    assert_int_equal(sum, 0);
    now_us += 999999;
    dict_add(d, S("n"), 1, 1000, &sum);
    now_us += 1;
    dict_add(d, S("n"), 1, 1000, &sum);
    assert_int_equal(sum, 1);
}

static void compare_and_set(void **state)
{
    (void)state;
    static const struct {
        uint64_t expect, value;
        int rc;
    } steps[] = { { 5, 6, WEIR_DIFFERS }, { 0, 6, 0 }, { 0, 7, WEIR_DIFFERS }, { 6, 7, 0 }, { 7, 0, 0 }, { 0, 9, 0 } };
    for (size_t i = 0; i < COUNT(steps); i++)
        assert_int_equal(dict_compare_and_set(d, S("v"), steps[i].expect, steps[i].value, 1000), steps[i].rc);
    now_us += 1000000;
    assert_int_equal(dict_compare_and_set(d, S("v"), 9, 1, 0), WEIR_DIFFERS); /* its time was over */
    dict_put(d, S("text"), S("abc"), 0);
    assert_int_equal(dict_compare_and_set(d, S("text"), 0, 1, 0), -1);
}

/* -- token buckets ------------------------------------------------------------------------------------------------- */

static const struct {
    uint64_t wait_before; /* microseconds */
    uint64_t cost;
    int rc;
    uint64_t wait;
} takes[] = { /* 3 events a second, burst 2: a token in 333333.3 us */
    { 0, 1, 0, 0 },
    { 0, 1, 0, 0 },
    { 0, 1, 0, 0 },
    { 0, 1, WEIR_DIFFERS, 333334 },
    { 333333, 1, WEIR_DIFFERS, 1 },
    { 1, 1, 0, 0 },
    { 0, 1, WEIR_DIFFERS, 333333 }, /* the part of a microsecond that was left over is not lost */
    { 0, 2, WEIR_DIFFERS, 666666 },
    { 666666, 2, 0, 0 },
    { 0, 4, WEIR_DIFFERS, UINT64_MAX }, /* more than it ever holds */
    { 10000000, 3, 0, 0 },              /* full again, and no fuller */
    { 0, 1, WEIR_DIFFERS, 333334 },
    { 0, 0, 0, 0 },                     /* nothing is always there */
};

static void token_bucket(void **state)
{
    (void)state;
    const struct weir_rate rate = { 3, 1000 };
    for (size_t i = 0; i < COUNT(takes); i++) {
        uint64_t wait = 99;
        now_us += takes[i].wait_before;
        assert_int_equal(dict_take(d, S("c"), rate, 2, takes[i].cost, &wait), takes[i].rc);
        assert_true(wait == takes[i].wait);
    }
    now_us += 1000000;
    assert_string_equal(value_of(S("c")), "(absent)"); /* paid back: nothing to remember */
}

static void buckets_tell_and_take_back(void **state)
{
    static const struct {
        uint64_t wait_before;
        int64_t cost;
        int rc;
        struct weir_bucket after;
    } spends[] = {
        { 0, 0, 0, { 0, 0, 3 } },             /* looking makes no entry */
        { 0, -5, 0, { 0, 0, 3 } },            /* nor does giving back what nobody took */
        { 0, 2, 0, { 0, 200000, 1 } },
        { 0, 2, WEIR_DIFFERS, { 100000, 200000, 1 } },
        { 0, 1, 0, { 0, 300000, 0 } },
        { 0, 0, WEIR_DIFFERS, { 100000, 300000, 0 } }, /* what one would meet */
        { 50000, 0, WEIR_DIFFERS, { 50000, 250000, 0 } },
        { 0, -1, 0, { 0, 150000, 1 } },
        { 0, 1, 0, { 0, 250000, 0 } },
        { 0, -9, 0, { 0, 0, 3 } },            /* no fuller than full */
        { 0, 4, WEIR_DIFFERS, { UINT64_MAX, 0, 3 } },
    };
    const struct weir_rate rate = { 10, 1000 };

    (void)state;
    for (size_t i = 0; i < COUNT(spends); i++) {
        struct weir_bucket after = { 9, 9, 9 };
        now_us += spends[i].wait_before;
        int rc = dict_spend(d, S("c"), rate, 2, spends[i].cost, &after);
        if (rc != spends[i].rc || memcmp(&after, &spends[i].after, sizeof(after)) != 0)
            fail_msg("row %zu: %d, wait %llu full %llu left %llu", i, rc, (unsigned long long)after.wait_us,
                     (unsigned long long)after.full_us, (unsigned long long)after.left);
    }
}

static void bad_rates(void **state)
{
    (void)state;
    uint64_t wait;
    assert_int_equal(dict_take(d, S("c"), (struct weir_rate){ 0, 1000 }, 0, 1, &wait), -1);
    assert_int_equal(dict_take(d, S("c"), (struct weir_rate){ 1, 0 }, 0, 1, &wait), -1);
    assert_int_equal(dict_take(d, S("c"), (struct weir_rate){ 1, UINT64_MAX }, 0, 1, &wait), -1);
    dict_put(d, S("text"), S("abc"), 0);
    assert_int_equal(dict_take(d, S("text"), (struct weir_rate){ 1, 1000 }, 0, 1, &wait), -1);
}

/* A reload may change the rate of a bucket that is in use. */
static void rate_changes_keep_the_tokens(void **state)
{
    (void)state;
    uint64_t wait;
    for (int i = 0; i < 10; i++)
        assert_int_equal(dict_take(d, S("c"), (struct weir_rate){ 10, 1000 }, 9, 1, &wait), 0);
    assert_int_equal(dict_take(d, S("c"), (struct weir_rate){ 600, 60000 }, 9, 1, &wait), WEIR_DIFFERS);
    assert_int_equal(wait, 100000); /* 600r/m is 10r/s */
    assert_int_equal(dict_take(d, S("c"), (struct weir_rate){ 1, 1000 }, 9, 1, &wait), WEIR_DIFFERS);
    assert_int_equal(wait, 1000000);
    assert_int_equal(dict_take(d, S("c"), (struct weir_rate){ 1, 1000 }, 11, 2, &wait), 0);
}

static void exact_over_a_long_time(void **state)
{
    (void)state;
    uint64_t passed = 0, wait;
    const struct weir_rate rate = { 7, 1000 };
    for (int i = 0; i < 100000; i++) { /* ten seconds in steps of 100 us */
        passed += dict_take(d, S("c"), rate, 4, 1, &wait) == 0;
        now_us += 100;
    }
    assert_int_equal(passed, 5 + 7 * 10 - 1); /* the last one falls due just behind the end */
}

/* An older reading of the clock, as another worker may have, neither pays back nor is held against anybody. */
static void clocks_that_disagree(void **state)
{
    (void)state;
    uint64_t wait;
    const struct weir_rate rate = { 1, 1000 };
    assert_int_equal(dict_take(d, S("c"), rate, 0, 1, &wait), 0);
    now_us -= 500;
    assert_int_equal(dict_take(d, S("c"), rate, 0, 1, &wait), WEIR_DIFFERS);
    now_us += 500 + 1000000;
    assert_int_equal(dict_take(d, S("c"), rate, 0, 1, &wait), 0);
}

/* -- full ---------------------------------------------------------------------------------------------------------- */

static void a_flood_of_keys_stays_within_the_cap(void **state)
{
    (void)state;
    uint64_t sum, most = 0;
    for (uint64_t i = 0; i < 1000000; i++) {
        assert_int_equal(dict_add(d, (str){ (char *)&i, sizeof(i) }, 1, 60000, &sum), 0);
        if (i % 1000 == 0) {
            uint64_t bytes = dict_bytes(d);
            most = bytes > most ? bytes : most;
            assert_int_equal(dict_add(d, S("in use"), 1, 0, &sum), 0); /* what is asked for stays */
            assert_int_equal(sum, i / 1000 + 1);
        }
    }
    assert_true(most <= 4 << 20);
    assert_true(most > 3 << 20); /* and the room is used */
}

static void the_idlest_goes_first(void **state)
{
    (void)state;
    weir_dict *small = dict_create(DICT_BYTES_LEAST);
    uint64_t keep = UINT64_MAX, sum;
    for (uint64_t i = 0; i < 5000; i++) {
        dict_add(small, (str){ (char *)&i, sizeof(i) }, 1, 0, &sum);
        dict_add(small, (str){ (char *)&keep, sizeof(keep) }, 1, 0, &sum);
        assert_int_equal(sum, i + 1);
    }
    uint64_t last = 4999, first = 0;
    assert_int_equal(dict_get(small, (str){ (char *)&last, sizeof(last) }, (weir_span){ NULL, 0 }, NULL), 0);
    assert_int_equal(dict_get(small, (str){ (char *)&first, sizeof(first) }, (weir_span){ NULL, 0 }, NULL),
                     WEIR_ABSENT);
    assert_true(dict_bytes(small) <= DICT_BYTES_LEAST);
    dict_destroy(small);
}

static void without_memory(void **state)
{
    (void)state;
    uint64_t sum = 0, wait;
    dict_add(d, S("here"), 1, 0, &sum);
    mem_fail_after(0);
    assert_int_equal(dict_put(d, S("a"), S("x"), 0), -1);
    assert_int_equal(dict_add(d, S("n"), 1, 0, &sum), -1);
    assert_int_equal(dict_take(d, S("c"), (struct weir_rate){ 1, 1000 }, 0, 1, &wait), -1);
    assert_int_equal(dict_compare_and_set(d, S("v"), 0, 1, 0), -1);
    assert_int_equal(dict_add(d, S("here"), 1, 0, &sum), 0); /* needs none */
    assert_null(dict_create(1 << 20));
    for (int n = 1; n < 5; n++) {
        mem_fail_after(n);
        assert_null(dict_create(1 << 20));
    }
    mem_fail_after(-1);
    assert_int_equal(sum, 2);
    assert_int_equal(dict_entries(d), 1);
}

/* -- many threads -------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 20000 };
static _Atomic uint64_t taken, won;

static void *hammer(void *arg)
{
    uint64_t self = (uint64_t)(uintptr_t)arg, sum, wait;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t own = self << 32 | i;
        dict_add(d, S("hot"), 1, 0, &sum);
        if (dict_take(d, S("bucket"), (struct weir_rate){ 1, 3600000 }, 999, 1, &wait) == 0)
            taken++;
        if (dict_compare_and_set(d, S("turn"), i, i + 1, 0) == 0)
            won++;
        dict_put(d, (str){ (char *)&own, sizeof(own) }, S("some value that takes room"), 0);
        if (i % 7 == 0)
            dict_remove(d, (str){ (char *)&own, sizeof(own) });
    }
    return NULL;
}

static void hot_keys_are_exact(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    uint64_t sum;
    taken = won = 0;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    dict_add(d, S("hot"), 0, 0, &sum);
    assert_int_equal(sum, THREADS * ROUNDS);
    assert_int_equal(taken, 1000); /* the burst and one, however many threads ask */
    uint64_t turn = 0;
    assert_int_equal(dict_get(d, S("turn"), (weir_span){ &turn, sizeof(turn) }, NULL), 0);
    assert_int_equal(turn, won); /* each win moved it by one */
    assert_true(dict_bytes(d) <= 4 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_dict(values_come_and_go),
        with_dict(too_large),
        with_dict(time_to_live),
        with_dict(expired_entries_go_unasked),
        with_dict(counters),
        with_dict(windows_are_fixed_by_the_first_add),
        with_dict(compare_and_set),
        with_dict(token_bucket),
        with_dict(buckets_tell_and_take_back),
        with_dict(bad_rates),
        with_dict(rate_changes_keep_the_tokens),
        with_dict(exact_over_a_long_time),
        with_dict(clocks_that_disagree),
        with_dict(a_flood_of_keys_stays_within_the_cap),
        with_dict(the_idlest_goes_first),
        with_dict(without_memory),
        with_dict(hot_keys_are_exact),
    };
    hash_seed();
    return cmocka_run_group_tests_name("dict", tests, NULL, NULL);
}
