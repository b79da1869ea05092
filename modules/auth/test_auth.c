/* SPDX-License-Identifier: BSD-2-Clause */
/* test_auth.c: known hashes, what is no credential, the other server's answers, and every allocation failing. */
#include <weir-harness.h> /* before cmocka.h, whose macros take the names of SDK functions */

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int set_up(void **state)
{
    return (*state = harness_open("auth")) ? 0 : -1;
}

static int tear_down(void **state)
{
    harness_close(*state);
    return 0;
}

static struct harness_scope *bind(struct harness *h, const char *statements)
{
    struct harness_scope *scope = harness_bind(h, NULL, WEIR_IN_TOP, statements);

    if (!scope)
        fail_msg("%s", harness_errors(h));
    return scope;
}

/* Runs AUTH to its verdict, jobs and delays included. */
static weir_verdict run(struct harness *h, weir_req *r)
{
    weir_verdict verdict = harness_run(r, WEIR_AT_AUTH);

    for (unsigned i = 0; i < 4 && verdict == WEIR_SUSPEND; i++) {
        harness_run_jobs(h);
        verdict = harness_settle(r);
        if (verdict == WEIR_SUSPEND)
            harness_advance(h, 9000);
    }
    return verdict;
}

/* -- passwords ----------------------------------------------------------------------------------------------------- */

/* base64 of NAME:PASSWORD */
static const struct {
    const char *credentials;
    bool is_let_in;
} cases[] = {
    { "Basic YW5uOm15UGFzc3dvcmQ=", true },    /* ann:myPassword */
    { "basic YW5uOm15UGFzc3dvcmQ=", true },
    { "Basic  YW5uOm15UGFzc3dvcmQ=", true },
    { "Basic YW5uOm15UGFzc3dvcmQ", false },    /* padding is missing */
    { "Basic YW5uOm15UGFzc3dvcmQ==", false },
    { "Basic YW5uOm15UGFzc3dvcmT=", true },    /* bits behind the last byte are nobody's */
    { "Basic YW5uOm15cGFzc3dvcmQ=", false },   /* ann:mypassword */
    { "Basic QW5uOm15UGFzc3dvcmQ=", false },   /* Ann:myPassword */
    { "Basic Ym9iOm15UGFzc3dvcmQ=", false },   /* bob:myPassword */
    { "Basic YW5uOg==", false },               /* ann: */
    { "Basic OmNvZGU=", false },               /* :code */
    { "Basic YW5u", false },                   /* ann */
    { "Basic YW5uOm15UGFzc3dvcmQA", false },   /* NUL behind it */
    { "Basic YW5u*m15UGFzc3dvcmQ=", false },
    { "Basic", false },
    { "Bearer YW5uOm15UGFzc3dvcmQ=", false },
    { "", false },
};

static void credentials_are_read_strictly(void **state)
{
    char line[512];

    harness_set_file(*state, "/users", "# nobody else\nann:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n");
    struct harness_scope *scope = bind(*state, "auth basic /users;");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(line, sizeof(line), "Authorization: %s\n", cases[i].credentials);
        weir_req *r = harness_request(*state, scope, "GET", "/", line);
        char client[32];
        snprintf(client, sizeof(client), "198.51.100.%zu", i + 1);
        harness_set_client(r, client);
        weir_verdict verdict = run(*state, r);
        if ((verdict == WEIR_SKIP) != cases[i].is_let_in)
            fail_msg("%s: verdict %d", cases[i].credentials, (int)verdict);
        if (verdict != WEIR_SKIP)
            assert_int_equal(weir_status(r), 401);
        harness_end(r);
    }
}

static void who_guesses_is_refused_in_the_end(void **state)
{
    harness_set_file(*state, "/users", "ann:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n");
    struct harness_scope *scope = bind(*state, "auth basic /users;");
    uint32_t status = 0;
    unsigned tries;

    for (tries = 0; tries < 200 && status != 429; tries++) { /* all at once: the delays go on together */
        weir_req *r = harness_request(*state, scope, "GET", "/", "Authorization: Basic YW5uOm15cGFzc3dvcmQ=\n");
        if (harness_run(r, WEIR_AT_AUTH) == WEIR_SUSPEND)
            harness_run_jobs(*state);
        else
            status = weir_status(r);
    }
    assert_int_equal(status, 429);
    assert_in_range(tries, 25, 40);
    weir_req *r = harness_request(*state, scope, "GET", "/", "Authorization: Basic YW5uOm15UGFzc3dvcmQ=\n");
    harness_set_client(r, "203.0.113.5");
    assert_int_equal(run(*state, r), WEIR_SKIP);
}

/* -- another server ------------------------------------------------------------------------------------------------ */

static void the_answer_decides(void **state)
{
    struct harness_scope *scope = bind(*state, "auth forward http://gate preset=authentik copy=X-More;");
    weir_req *r = harness_request(*state, scope, "PUT", "/a?b",
                                  "Cookie: c\nX_Authentik_Username: root\nRange: bytes=0-\n");

    assert_int_equal(harness_run(r, WEIR_AT_AUTH), WEIR_SUSPEND);
    const struct harness_fetch *asked = harness_fetched(*state);
    assert_string_equal(asked->target.p, "/outpost.goauthentik.io/auth/traefik");
    assert_true(asked->for_client);
    assert_string_equal(asked->fields.p, "Cookie: c\nX-Forwarded-Method: PUT\nX-Forwarded-Uri: /a?b\n");
    harness_answer(*state, 204, "X-authentik-username: ann\nX-More: yes\nX-Other: no\n", WEIR_S(""));
    assert_int_equal(harness_settle(r), WEIR_SKIP);
    assert_int_equal(harness_field_count(r, WEIR_OF_REQUEST, "X-authentik-username"), 1);
    assert_int_equal(harness_field_count(r, WEIR_OF_REQUEST, "X_Authentik_Username"), 0);
    assert_int_equal(harness_field_count(r, WEIR_OF_REQUEST, "X-More"), 1);
    assert_int_equal(harness_field_count(r, WEIR_OF_REQUEST, "X-Other"), 0);
    assert_int_equal(harness_field_count(r, WEIR_OF_REQUEST, "Remote-User"), 1);

    r = harness_request(*state, scope, "GET", "/", NULL);
    assert_int_equal(harness_run(r, WEIR_AT_AUTH), WEIR_SUSPEND);
    harness_answer(*state, 403, "X-Why: no\nConnection: close\n", WEIR_S("not you"));
    assert_int_equal(harness_settle(r), WEIR_REPLY);
    assert_int_equal(weir_status(r), 403);
    assert_int_equal(harness_field_count(r, WEIR_OF_RESPONSE, "X-Why"), 1);
    assert_int_equal(harness_field_count(r, WEIR_OF_RESPONSE, "Connection"), 0);

    r = harness_request(*state, scope, "GET", "/", NULL);
    assert_int_equal(harness_run(r, WEIR_AT_AUTH), WEIR_SUSPEND);
    harness_answer(*state, 0, NULL, WEIR_S(""));
    assert_int_equal(harness_settle(r), WEIR_REPLY);
    assert_int_equal(weir_status(r), 503);
}

/* Whatever fails, nobody comes in who should not. */
static void every_allocation_may_fail(void **state)
{
    harness_set_file(*state, "/users", "ann:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n");
    struct harness_scope *scope = bind(*state, "auth basic /users;");

    for (size_t n = 1;; n++) {
        weir_req *r = harness_request(*state, scope, "GET", "/", "Authorization: Basic Ym9iOm15UGFzc3dvcmQ=\n");
        char client[32];
        snprintf(client, sizeof(client), "198.51.%zu.1", n);
        harness_set_client(r, client);
        harness_fail_allocation(*state, n);
        assert_int_not_equal(run(*state, r), WEIR_SKIP);
        bool has_failed = harness_has_failed(*state);
        harness_fail_allocation(*state, 0);
        harness_end(r);
        if (!has_failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(credentials_are_read_strictly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_guesses_is_refused_in_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_answer_decides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
