/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "loop/wheel.h"

#include <stdlib.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static struct wheel wheel;
static uint64_t now;

struct probe {
    struct deadline deadline;
    uint64_t fired_at; /* 0: not yet */
    unsigned fired;
    struct probe *cancels; /* when it fires */
    uint64_t again;        /* set again for so long, when it fires */
};

static void put(struct probe *probe, uint64_t at)
{
    probe->deadline.at = at;
    wheel_put(&wheel, &probe->deadline, now);
}

static void on_due(struct deadline *deadline)
{
    struct probe *probe = list_entry(deadline, struct probe, deadline);
    assert_false(deadline_is_set(deadline));
    assert_true(list_is_empty(&deadline->link));
    probe->fired_at = now;
    probe->fired++;
    if (probe->cancels) {
        list_remove(&probe->cancels->deadline.link);
        probe->cancels->deadline.at = 0;
    }
    if (probe->again)
        put(probe, now + probe->again);
}

static void probe_init(struct probe *probe)
{
    *probe = (struct probe){ 0 };
    list_init(&probe->deadline.link);
    probe->deadline.on_due = on_due;
}

static void start(uint64_t ms)
{
    now = ms;
    wheel_init(&wheel, ms);
}

static void advance(uint64_t ms)
{
    now = ms;
    wheel_advance(&wheel, ms);
}

/* As the loop does: sleeps until something can be due. How often it woke up. */
static unsigned run_out(void)
{
    unsigned wakes = 0;
    for (uint64_t next; (next = wheel_next(&wheel)) != 0; wakes++) {
        assert_true(next > now);
        advance(next);
    }
    return wakes;
}

static void fires_within_a_tick_and_never_early(void **state)
{
    static const struct {
        uint64_t start, wait;
    } rows[] = {
        { 1000000, 0 },     { 1000000, 1 },      { 1000000, 15 },      { 1000000, 16 },       { 1000000, 17 },
        { 1000001, 15 },    { 1000015, 1 },      { 1000015, 17 },      { 1000000, 16367 },    { 1000000, 16368 },
        { 1000000, 16383 }, { 1000000, 16384 },  { 1000000, 16400 },   { 1000007, 100000 },   { 1, 604800000 },
        { 1000003, 60000 }, { 123456789, 3600000 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct probe probe;
        probe_init(&probe);
        start(rows[i].start);
        put(&probe, now + rows[i].wait);
        run_out();
        assert_int_equal(probe.fired, 1);
        assert_true(probe.fired_at >= rows[i].start + rows[i].wait);
        assert_true(probe.fired_at <= rows[i].start + rows[i].wait + DEADLINE_TICK);
    }
}

static void late_turns_fire_everything_once(void **state)
{
    (void)state;
    static const uint64_t turns[] = { 17, 1000, 16383, 16384, 16385, 40000, 1000000 };
    for (size_t t = 0; t < COUNT(turns); t++) {
        struct probe probes[300];
        start(5000);
        for (size_t i = 0; i < COUNT(probes); i++) {
            probe_init(&probes[i]);
            put(&probes[i], 5000 + i * 100);
        }
        advance(5000 + turns[t]);
        for (size_t i = 0; i < COUNT(probes); i++) {
            if (i * 100 + DEADLINE_TICK <= turns[t])
                assert_int_equal(probes[i].fired, 1);
            if (i * 100 > turns[t])
                assert_int_equal(probes[i].fired, 0);
        }
        run_out();
        for (size_t i = 0; i < COUNT(probes); i++)
            assert_int_equal(probes[i].fired, 1);
    }
}

static void moved_later_is_met_once_and_put_in_again(void **state)
{
    (void)state;
    struct probe probe;
    probe_init(&probe);
    start(16000);
    put(&probe, 16100);
    probe.deadline.at = 17000; /* what deadline_set does */
    assert_int_equal(run_out(), 2);
    assert_int_equal(probe.fired, 1);
    assert_in_range(probe.fired_at, 17000, 17000 + DEADLINE_TICK);
}

static void moved_earlier_is_put_in_again(void **state)
{
    (void)state;
    struct probe probe;
    probe_init(&probe);
    start(16000);
    put(&probe, 30000);
    put(&probe, 16100);
    assert_int_equal(run_out(), 1);
    assert_in_range(probe.fired_at, 16100, 16100 + DEADLINE_TICK);
}

static void cancelled_ones_wake_nobody(void **state)
{
    (void)state;
    struct probe a, b;
    probe_init(&a);
    probe_init(&b);
    start(16000);
    put(&a, 16100);
    put(&b, 17000);
    list_remove(&a.deadline.link);
    assert_int_equal(run_out(), 1);
    assert_int_equal(a.fired, 0);
    assert_int_equal(b.fired, 1);
}

static void a_callback_may_cancel_one_that_is_due_too(void **state)
{
    (void)state;
    struct probe a, b;
    probe_init(&a);
    probe_init(&b);
    start(16000);
    a.cancels = &b;
    b.cancels = &a; /* whoever comes first */
    put(&a, 16100);
    put(&b, 16100);
    run_out();
    assert_int_equal(a.fired + b.fired, 1);
}

static void a_callback_may_set_it_again(void **state)
{
    (void)state;
    struct probe probe;
    probe_init(&probe);
    start(16000);
    probe.again = 1;
    put(&probe, 16001);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(probe.fired, i);
        advance(wheel_next(&wheel));
    }
    assert_int_equal(probe.fired, 100);
}

static void an_idle_wheel_catches_up(void **state)
{
    (void)state;
    struct probe probe;
    probe_init(&probe);
    start(16000);
    assert_int_equal(wheel_next(&wheel), 0);
    now = 10000000;
    put(&probe, now + 5000);
    assert_int_equal(run_out(), 1); /* not one more for the time slept through */
    assert_in_range(probe.fired_at, 10005000, 10005000 + DEADLINE_TICK);
}

/* The same steps on the wheel and on a plain array of times. */
static void agrees_with_a_plain_list(void **state)
{
    (void)state;
    enum { PROBES = 200 };
    static struct probe probes[PROBES];
    static uint64_t expected[PROBES]; /* 0: not set */
    unsigned seed = 1;
    start(77777);
    for (size_t i = 0; i < PROBES; i++) {
        probe_init(&probes[i]);
        expected[i] = 0;
    }
    for (unsigned step = 0; step < 20000; step++) {
        size_t i = (unsigned)rand_r(&seed) % PROBES;
        struct deadline *deadline = &probes[i].deadline;
        uint64_t wait = (unsigned)rand_r(&seed) % (step % 2 ? 300 : 40000);
        switch (rand_r(&seed) % 3) {
        case 0:
            expected[i] = deadline->at = now + wait;
            if (list_is_empty(&deadline->link) || deadline->at < deadline->queued)
                wheel_put(&wheel, deadline, now);
            break;
        case 1:
            list_remove(&deadline->link);
            deadline->at = expected[i] = 0;
            break;
        default:
            advance(now + wait / 16);
            break;
        }
        for (size_t k = 0; k < PROBES; k++) {
            if (!probes[k].fired)
                continue;
            assert_true(expected[k] && expected[k] <= probes[k].fired_at);
            probes[k].fired = 0;
            expected[k] = 0;
        }
        uint64_t next = wheel_next(&wheel);
        for (size_t k = 0; k < PROBES; k++)
            if (expected[k])
                assert_true(expected[k] + DEADLINE_TICK > now && next && next <= expected[k] + DEADLINE_TICK + 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_within_a_tick_and_never_early),
        cmocka_unit_test(late_turns_fire_everything_once),
        cmocka_unit_test(moved_later_is_met_once_and_put_in_again),
        cmocka_unit_test(moved_earlier_is_put_in_again),
        cmocka_unit_test(cancelled_ones_wake_nobody),
        cmocka_unit_test(a_callback_may_cancel_one_that_is_due_too),
        cmocka_unit_test(a_callback_may_set_it_again),
        cmocka_unit_test(an_idle_wheel_catches_up),
        cmocka_unit_test(agrees_with_a_plain_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
