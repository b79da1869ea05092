/* SPDX-License-Identifier: BSD-2-Clause */
/* test_access.c: which line of a list decides, for which address. */
#include <weir-harness.h> /* before cmocka.h, whose macros take the names of SDK functions */

#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

static int set_up(void **state)
{
    return (*state = harness_open("access")) ? 0 : -1;
}

static int tear_down(void **state)
{
    harness_close(*state);
    return 0;
}

/* Top level and route; the route's lines come first. reason NULL: let in. */
static const struct {
    const char *top, *route, *client, *reason;
} cases[] = {
    { "deny 192.0.2.1;", "", "192.0.2.1", "denied by rule harness.conf:1" },
    { "deny 192.0.2.1;", "", "192.0.2.2", NULL },
    { "deny all;", "", "192.0.2.1", "denied by rule harness.conf:1" },
    { "deny all;", "", "2001:db8::1", "denied by rule harness.conf:1" },
    { "allow 10.0.0.0/8;\ndeny all;", "", "10.255.0.1", NULL },
    { "allow 10.0.0.0/8;\ndeny all;", "", "11.0.0.0", "denied by rule harness.conf:2" },
    { "deny all;\nallow 10.0.0.0/8;", "", "10.0.0.1", "denied by rule harness.conf:1" }, /* first match, not the best */
    { "deny 10.1.0.0/15;", "", "10.0.255.255", "denied by rule harness.conf:1" },        /* host bits do not count */
    { "deny 10.0.0.0/15;", "", "10.1.255.255", "denied by rule harness.conf:1" },
    { "deny 10.0.0.0/15;", "", "10.2.0.0", NULL },
    { "deny 0.0.0.0/0;", "", "203.0.113.9", "denied by rule harness.conf:1" },
    { "deny 0.0.0.0/0;", "", "2001:db8::1", NULL },
    { "deny ::/0;", "", "203.0.113.9", "denied by rule harness.conf:1" }, /* as `all` */
    { "deny ::ffff:192.0.2.0/120;", "", "192.0.2.77", "denied by rule harness.conf:1" },
    { "deny 2001:db8::/33;", "", "2001:db8:7fff::1", "denied by rule harness.conf:1" },
    { "deny 2001:db8::/33;", "", "2001:db8:8000::1", NULL },
    { "deny 198.51.100.1 192.0.2.0/24 ::1;", "", "::1", "denied by rule harness.conf:1" },
    { "deny all;", "allow 192.0.2.1;", "192.0.2.1", NULL },
    { "deny all;", "allow 192.0.2.1;", "192.0.2.2", "denied by rule harness.conf:1" },
    { "allow all;", "\n\n\ndeny 192.0.2.1;", "192.0.2.1", "denied by rule harness.conf:4" },
    { "deny all;", "allow clear;", "192.0.2.1", NULL },
};

static weir_verdict run(struct harness *h, struct harness_scope *scope, const char *client, const char **reason)
{
    weir_req *r = harness_request(h, scope, "GET", "/", NULL);

    harness_set_client(r, client);
    weir_verdict verdict = harness_run(r, WEIR_AT_AUTH);
    *reason = harness_refuse_reason(r);
    if (verdict == WEIR_REPLY)
        assert_int_equal(weir_status(r), 403);
    harness_end(r);
    return verdict;
}

static void first_match_decides(void **state)
{
    const char *reason;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct harness_scope *top = harness_bind(*state, NULL, WEIR_IN_TOP, cases[i].top);
        assert_non_null(top);
        struct harness_scope *route = harness_bind(*state, top, WEIR_IN_ROUTE, cases[i].route);
        assert_non_null(route);
        weir_verdict verdict = run(*state, route, cases[i].client, &reason);
        if (cases[i].reason) {
            assert_int_equal(verdict, WEIR_REPLY);
            assert_string_equal(reason, cases[i].reason);
        } else {
            assert_int_not_equal(verdict, WEIR_REPLY);
            assert_null(reason);
        }
    }
}

static void a_scope_without_rules_runs_nothing(void **state)
{
    assert_false(harness_is_active(harness_bind(*state, NULL, WEIR_IN_TOP, "")));
    assert_true(harness_is_active(harness_bind(*state, NULL, WEIR_IN_TOP, "allow all;")));
}

static void a_dry_run_decides_but_does_not_count(void **state)
{
    struct harness_scope *scope = harness_bind(*state, NULL, WEIR_IN_TOP, "deny all;");
    weir_req *r = harness_request(*state, scope, "GET", "/", NULL);
    const char *reason;

    harness_set_dry(r, true);
    assert_int_equal(harness_run(r, WEIR_AT_AUTH), WEIR_REPLY);
    assert_int_equal(harness_metric(*state, "denied_total"), 0);
    run(*state, scope, "192.0.2.1", &reason);
    assert_int_equal(harness_metric(*state, "denied_total"), 1);
}

static void binding_survives_without_memory(void **state)
{
    for (size_t n = 1;; n++) {
        harness_fail_allocation(*state, n);
        struct harness_scope *scope = harness_bind(*state, NULL, WEIR_IN_TOP, "allow ::1; deny all;");
        if (!harness_has_failed(*state)) {
            assert_non_null(scope);
            assert_true(n > 2);
            return;
        }
        assert_null(scope);
        assert_non_null(strstr(harness_errors(*state), "no memory"));
    }
}

static void a_guard_fails_closed(void **state)
{
    const struct weir_module *module = harness_module(*state);
    const struct weir_hook *hook = module->hooks.base;

    assert_int_equal(module->hooks.count, 1);
    assert_int_equal(hook->stage, WEIR_AT_AUTH);
    assert_int_equal(hook->flags, WEIR_DECIDES | WEIR_DRY_OK);
    assert_string_equal(hook->provides, "address-rules");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_match_decides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_scope_without_rules_runs_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dry_run_decides_but_does_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(binding_survives_without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_guard_fails_closed, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
