/* SPDX-License-Identifier: BSD-2-Clause */
/* Which target of a name's SRV records is next. */
#include "upstream/service.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { PICKS = 8000, AVOID_MS = 10000 };

/* Two at the front, 3:1; two behind them, the second with a weight of next to nothing. */
static const struct resolved targets = {
    .count = 4,
    .addresses = { { .ss_family = 1 }, { .ss_family = 2 }, { .ss_family = 3 }, { .ss_family = 4 } },
    .tiers = { 0, 0, 1, 1 },
    .weights = { 3000, 1000, 5000, 1 },
    .first_tier = 2,
    .is_service = true,
};

static int set_up(void **state)
{
    (void)state;
    clock_set(100000 * 1000, 0);
    return 0;
}

static void count(struct service *service, uint32_t tried, unsigned counts[4])
{
    for (int i = 0; i < 4; i++)
        counts[i] = 0;
    for (int i = 0; i < PICKS; i++) {
        int chosen = service_choose(service, &targets, tried);
        assert_in_range(chosen, 0, 3);
        counts[chosen]++;
    }
}

static void the_first_tier_is_shared_by_weight(void **state)
{
    struct service service = { 0 };
    unsigned counts[4];

    (void)state;
    count(&service, 0, counts);
    assert_in_range(counts[0], PICKS * 70 / 100, PICKS * 80 / 100);
    assert_int_equal(counts[0] + counts[1], PICKS);
}

static void others_stand_in_for_those_that_failed(void **state)
{
    struct service service = { 0 };
    unsigned counts[4];

    (void)state;
    service_failed(&service, 0, AVOID_MS);
    count(&service, 0, counts);
    assert_int_equal(counts[1], PICKS);
    service_failed(&service, 1, AVOID_MS);
    count(&service, 0, counts);
    assert_int_equal(counts[0] + counts[1], 0);
    assert_true(counts[2] > PICKS * 95 / 100);
    clock_set((100000 + AVOID_MS) * 1000, 0); /* their time is over */
    count(&service, 0, counts);
    assert_int_equal(counts[0] + counts[1], PICKS);
    service_failed(&service, 0, AVOID_MS);
    service_worked(&service, 0);
    count(&service, 0, counts);
    assert_true(counts[0] > counts[1]);
}

static void all_are_tried_before_none_is_left(void **state)
{
    struct service service = { 0 };
    uint32_t tried = 0;

    (void)state;
    for (int i = 0; i < 4; i++)
        service_failed(&service, i, AVOID_MS);
    for (int i = 0; i < 4; i++) {
        int chosen = service_choose(&service, &targets, tried);
        assert_in_range(chosen, i < 2 ? 0 : 2, i < 2 ? 1 : 3);
        assert_false(tried >> chosen & 1);
        tried |= 1u << chosen;
    }
    assert_int_equal(service_choose(&service, &targets, tried), -1);
}

static void what_is_known_moves_with_its_address(void **state)
{
    struct resolved fresh = targets;
    struct service service = { 0 };

    (void)state;
    fresh.addresses[0] = targets.addresses[1];
    fresh.addresses[1] = targets.addresses[0];
    service_failed(&service, 0, AVOID_MS);
    service_carry(&service, &targets, &fresh);
    assert_int_equal(service_choose(&service, &fresh, 0), 0);
    assert_true(service.avoid_until[1] > service.avoid_until[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_tier_is_shared_by_weight, set_up),
        cmocka_unit_test_setup(others_stand_in_for_those_that_failed, set_up),
        cmocka_unit_test_setup(all_are_tried_before_none_is_left, set_up),
        cmocka_unit_test_setup(what_is_known_moves_with_its_address, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
