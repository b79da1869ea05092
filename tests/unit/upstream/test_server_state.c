/* SPDX-License-Identifier: BSD-2-Clause */
/* A server's way out of service and back, its room, its slow start; and the budget of retries. */
#include "upstream/retry.h"
#include "upstream/server_state.h"

#include "base/clock.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct server_rules rules = { .max_fails = 3, .fail_timeout = 10000, .slow_start = 10000 };
static uint64_t now_ms;
static struct server_state *s;

static void go_to(uint64_t ms)
{
    now_ms = ms;
    clock_set(ms * 1000, 0);
}

static int set_up(void **state)
{
    (void)state;
    go_to(100000);
    s = server_state_get(S("u"), S("10.0.0.1:80"), S("u plain 10.0.0.1:80"));
    return s == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    server_state_release(s);
    return 0;
}

static void refuse(unsigned times)
{
    while (times--)
        server_state_failed(s, &rules, "connection refused");
}

static void is_shared_and_forgotten_with_its_last_user(void **state)
{
    (void)state;
    struct server_state *again = server_state_get(S("u"), S("10.0.0.1:80"), S("u plain 10.0.0.1:80"));
    assert_ptr_equal(again, s);
    refuse(3);
    server_state_release(again);
    assert_int_equal(server_state_word(s, &rules), SERVER_OUT);
    struct server_state *other = server_state_get(S("v"), S("10.0.0.1:80"), S("v plain 10.0.0.1:80"));
    assert_int_equal(server_state_word(other, &rules), SERVER_IN);
    server_state_release(other);
}

static void fails_count_within_their_window(void **state)
{
    (void)state;
    refuse(2);
    assert_int_equal(server_state_word(s, &rules), SERVER_IN);
    go_to(now_ms + 10001);
    refuse(2);
    assert_int_equal(server_state_word(s, &rules), SERVER_IN);
    server_state_worked(s);
    refuse(2);
    assert_int_equal(server_state_word(s, &rules), SERVER_IN);
    refuse(1);
    assert_int_equal(server_state_word(s, &rules), SERVER_OUT);
    assert_int_equal(server_state_returns(s), 10000);
}

static void comes_back_by_one_trial(void **state)
{
    (void)state;
    refuse(3);
    go_to(now_ms + 9999);
    assert_int_equal(server_state_word(s, &rules), SERVER_OUT);
    go_to(now_ms + 1);
    assert_int_equal(server_state_word(s, &rules), SERVER_TRIAL);
    assert_true(server_state_try(s, false));
    assert_int_equal(server_state_word(s, &rules), SERVER_OUT);
    assert_false(server_state_try(s, false));
    server_state_failed(s, &rules, "connection refused"); /* one is enough now */
    server_state_untry(s);
    assert_int_equal(server_state_word(s, &rules), SERVER_OUT);
    go_to(now_ms + 10000);
    assert_true(server_state_try(s, false));
    server_state_worked(s);
    server_state_untry(s);
    assert_int_equal(server_state_word(s, &rules), SERVER_IN);
}

static void early_trials_are_one_a_second(void **state)
{
    (void)state;
    refuse(3);
    assert_true(server_state_try(s, true));
    server_state_failed(s, &rules, "connection refused");
    server_state_untry(s);
    assert_false(server_state_try(s, true));
    go_to(now_ms + 999);
    assert_false(server_state_try(s, true));
    go_to(now_ms + 1);
    assert_true(server_state_try(s, true));
}

static void has_so_much_room(void **state)
{
    static const struct server_rules two = { .max_conns = 2 };

    (void)state;
    assert_true(server_state_enter(s, &two));
    assert_true(server_state_enter(s, &two));
    assert_int_equal(server_state_word(s, &two), SERVER_FULL);
    assert_false(server_state_enter(s, &two));
    server_state_leave(s);
    assert_int_equal(server_state_word(s, &two), SERVER_IN);
    server_state_leave(s);
}

static void starts_slowly_when_it_came_back(void **state)
{
    (void)state;
    assert_int_equal(server_state_percent(s, &rules), 100); /* it always was */
    refuse(3);
    go_to(now_ms + 10000);
    server_state_worked(s);
    assert_int_equal(server_state_percent(s, &rules), 1);
    go_to(now_ms + 5000);
    assert_int_equal(server_state_percent(s, &rules), 50);
    go_to(now_ms + 5000);
    assert_int_equal(server_state_percent(s, &rules), 100);
}

static void checks_are_a_word_of_their_own(void **state)
{
    (void)state;
    server_state_checked(s, false, "status 500");
    assert_int_equal(server_state_word(s, &rules), SERVER_CHECKED_DOWN);
    server_state_worked(s);
    assert_int_equal(server_state_word(s, &rules), SERVER_CHECKED_DOWN);
    refuse(3);
    server_state_checked(s, true, "status 200");
    assert_int_equal(server_state_word(s, &rules), SERVER_IN);
}

static const struct {
    uint32_t requests;
    uint64_t percent;
    uint32_t allowed;
} budgets[] = { { 0, 20, 10 }, { 1, 20, 10 }, { 50, 20, 10 }, { 1000, 20, 200 }, { 1000, 0, 10 }, { 100, 100, 100 } };

static void the_budget_is_a_part_of_the_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
        struct retry_budget budget = { 0 };
        struct retry_rules retry = { .percent = budgets[i].percent };
        uint32_t taken = 0;
        for (uint32_t k = 0; k < budgets[i].requests; k++)
            retry_count_request(&budget);
        while (taken <= 2000 && retry_take(&budget, &retry))
            taken++;
        assert_int_equal(taken, budgets[i].allowed);
        go_to(now_ms + 10000);
        assert_true(retry_take(&budget, &retry));
    }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(is_shared_and_forgotten_with_its_last_user),
        TEST(fails_count_within_their_window),
        TEST(comes_back_by_one_trial),
        TEST(early_trials_are_one_a_second),
        TEST(has_so_much_room),
        TEST(starts_slowly_when_it_came_back),
        TEST(checks_are_a_word_of_their_own),
        TEST(the_budget_is_a_part_of_the_requests),
    };

    log_set_level(LOG_ERROR_);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
