/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ratelimit.c: in the harness: whom a limit counts, when it refuses, what it gives back, what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weir-harness.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = harness_open("ratelimit");
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    harness_close(*state);
    return 0;
}

static struct harness_scope *bind(struct harness *h, const char *statements)
{
    struct harness_scope *scope = harness_bind(h, NULL, WEIR_IN_SITE, statements);

    if (!scope)
        fail_msg("%s", harness_errors(h));
    return scope;
}

static weir_req *ask(struct harness *h, struct harness_scope *scope, const char *client)
{
    weir_req *r = harness_request(h, scope, "GET", "/", NULL);

    harness_set_client(r, client);
    return r;
}

static weir_verdict judge(struct harness *h, struct harness_scope *scope, const char *client)
{
    weir_req *r = ask(h, scope, client);
    weir_verdict verdict = harness_run(r, WEIR_AT_GUARD);

    harness_end(r);
    return verdict;
}

static unsigned admitted(struct harness *h, struct harness_scope *scope, const char *client, unsigned tries)
{
    unsigned count = 0;

    for (unsigned i = 0; i < tries; i++)
        count += judge(h, scope, client) == WEIR_NEXT;
    return count;
}

static void a_burst_passes_and_the_rate_follows(void **state)
{
    struct harness_scope *scope = bind(*state, "rate_limit 10r/s burst=4;");

    assert_int_equal(admitted(*state, scope, "192.0.2.1", 20), 5);
    assert_int_equal(admitted(*state, scope, "192.0.2.2", 20), 5);
    harness_advance(*state, 99);
    assert_int_equal(admitted(*state, scope, "192.0.2.1", 20), 0);
    harness_advance(*state, 1);
    assert_int_equal(admitted(*state, scope, "192.0.2.1", 20), 1);
    harness_advance(*state, 10000);
    assert_int_equal(admitted(*state, scope, "192.0.2.1", 20), 5);
    assert_int_equal(harness_metric(*state, "refused_total"), 15 + 15 + 20 + 19 + 15);
}

static void an_ipv6_client_is_a_network(void **state)
{
    static const struct {
        const char *statements, *one, *other;
        bool same;
    } cases[] = {
        { "rate_limit 1r/s;", "2001:db8:1:2::1", "2001:db8:1:2:ffff::2", true },
        { "rate_limit 1r/s;", "2001:db8:1:2::1", "2001:db8:1:3::1", false },
        { "rate_limit 1r/s; rate_limit_ipv6_prefix 48;", "2001:db8:1:2::1", "2001:db8:1:3::1", true },
        { "rate_limit 1r/s; rate_limit_ipv6_prefix 63;", "2001:db8:1:2::1", "2001:db8:1:3::1", true },
        { "rate_limit 1r/s; rate_limit_ipv6_prefix 63;", "2001:db8:1:1::1", "2001:db8:1:2::1", false },
        { "rate_limit 1r/s; rate_limit_ipv6_prefix 128;", "2001:db8::1", "2001:db8::2", false },
        { "rate_limit 1r/s;", "192.0.2.1", "192.0.2.2", false },
        { "rate_limit 1r/s;", "192.0.2.1", "192.0.2.1", true },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct harness_scope *scope = bind(*state, cases[i].statements);
        assert_int_equal(judge(*state, scope, cases[i].one), WEIR_NEXT);
        if ((judge(*state, scope, cases[i].other) != WEIR_NEXT) != cases[i].same)
            fail_msg("row %zu: %s and %s", i, cases[i].one, cases[i].other);
        harness_advance(*state, 10000);
    }
}

static void keys_are_templates(void **state)
{
    struct harness_scope *scope = bind(*state, "rate_limit 1r/m key=$http_x_key;");
    char large[3000];

    harness_set_variable(*state, "http_x_key", "a");
    assert_int_equal(admitted(*state, scope, "192.0.2.1", 3), 1);
    assert_int_equal(admitted(*state, scope, "192.0.2.2", 3), 0);
    harness_set_variable(*state, "http_x_key", "b");
    assert_int_equal(admitted(*state, scope, "192.0.2.1", 3), 1);
    harness_set_variable(*state, "http_x_key", NULL); /* nobody is named: nobody is limited */
    assert_int_equal(admitted(*state, scope, "192.0.2.1", 3), 3);
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    harness_set_variable(*state, "http_x_key", large);
    assert_int_equal(admitted(*state, scope, "192.0.2.1", 3), 1);
}

static void a_refused_request_takes_no_token_anywhere(void **state)
{
    struct harness_scope *outer = bind(*state, "rate_limit 100r/h burst=9 key=all;");
    struct harness_scope *inner = harness_bind(*state, outer, WEIR_IN_ROUTE, "\nrate_limit 1r/h burst=1;");

    assert_non_null(inner);
    assert_int_equal(admitted(*state, inner, "192.0.2.1", 50), 2);
    assert_int_equal(admitted(*state, outer, "192.0.2.9", 50), 8); /* of ten, two are gone */
    assert_int_equal(admitted(*state, inner, "192.0.2.2", 50), 0); /* the outer one is empty */
}

static void lines_of_a_zone_count_together(void **state)
{
    struct harness_scope *a = bind(*state, "rate_limit 1r/h burst=3 zone=shared;");
    struct harness_scope *b = bind(*state, "\nrate_limit 1r/h burst=3 zone=shared;");
    struct harness_scope *c = bind(*state, "\n\nrate_limit 1r/h burst=3;");
    struct harness_scope *both = harness_bind(*state, a, WEIR_IN_ROUTE, "rate_limit 1r/h burst=3 zone=shared;");

    assert_int_equal(admitted(*state, a, "192.0.2.1", 1), 1);
    assert_int_equal(admitted(*state, both, "192.0.2.1", 1), 1); /* once, although it stands in two scopes */
    assert_int_equal(admitted(*state, b, "192.0.2.1", 9), 2);
    assert_int_equal(admitted(*state, c, "192.0.2.1", 9), 4);
}

static void a_delayed_burst_waits_for_its_turn(void **state)
{
    struct harness_scope *scope = bind(*state, "rate_limit 10r/s burst=2 delay;");
    weir_req *r[4];

    for (int i = 0; i < 4; i++)
        r[i] = ask(*state, scope, "192.0.2.1");
    assert_int_equal(harness_run(r[0], WEIR_AT_GUARD), WEIR_NEXT);
    assert_int_equal(harness_run(r[1], WEIR_AT_GUARD), WEIR_SUSPEND);
    assert_int_equal(harness_run(r[2], WEIR_AT_GUARD), WEIR_SUSPEND);
    assert_int_equal(harness_run(r[3], WEIR_AT_GUARD), WEIR_REPLY);
    harness_advance(*state, 99);
    assert_int_equal(harness_settle(r[1]), WEIR_SUSPEND);
    harness_advance(*state, 1);
    assert_int_equal(harness_settle(r[1]), WEIR_NEXT);
    assert_int_equal(harness_settle(r[2]), WEIR_SUSPEND);
    harness_advance(*state, 100);
    assert_int_equal(harness_settle(r[2]), WEIR_NEXT);
    assert_int_equal(harness_metric(*state, "delayed_total"), 2);
    for (int i = 0; i < 4; i++)
        harness_end(r[i]);
}

static void requests_under_way_are_counted(void **state)
{
    struct harness_scope *scope = bind(*state, "conn_limit 2 status=503;");
    weir_req *a = ask(*state, scope, "192.0.2.1"), *b = ask(*state, scope, "192.0.2.1");

    assert_int_equal(harness_run(a, WEIR_AT_GUARD), WEIR_NEXT);
    assert_int_equal(harness_run(b, WEIR_AT_GUARD), WEIR_NEXT);
    assert_int_equal(admitted(*state, scope, "192.0.2.1", 3), 0); /* and those refused hold nothing */
    assert_int_equal(admitted(*state, scope, "192.0.2.2", 3), 3);
    harness_end(a);
    assert_int_equal(admitted(*state, scope, "192.0.2.1", 3), 3);
    harness_end(b);
    assert_int_equal(harness_metric(*state, "conn_refused_total"), 3);
}

static void answers_say_what_is_left(void **state)
{
    struct harness_scope *scope = bind(*state, "rate_limit 10r/m burst=1 zone=api; rate_limit_fields always;");
    static const struct {
        uint32_t status;
        const char *state, *after;
    } cases[] = {
        { 200, "\"api\";r=1;t=6", NULL }, { 200, "\"api\";r=0;t=12", NULL }, { 429, "\"api\";r=0;t=6", "6" }
    };

    for (size_t i = 0; i < 3; i++) {
        weir_req *r = ask(*state, scope, "192.0.2.1");
        if (harness_run(r, WEIR_AT_GUARD) == WEIR_NEXT)
            harness_respond(r, 200, NULL);
        harness_run(r, WEIR_AT_RSP_HEAD);
        weir_str left = weir_rsp_get(r, WEIR_S("RateLimit")), after = weir_rsp_get(r, WEIR_S("Retry-After"));
        weir_str policy = weir_rsp_get(r, WEIR_S("RateLimit-Policy"));
        assert_int_equal(weir_status(r), cases[i].status);
        assert_int_equal(left.n, strlen(cases[i].state));
        assert_memory_equal(left.p, cases[i].state, left.n);
        assert_memory_equal(policy.p, "\"api\";q=2;w=12", policy.n);
        assert_int_equal(after.n, cases[i].after ? 1 : 0);
        harness_end(r);
    }
}

static void fields_can_be_kept_quiet(void **state)
{
    static const struct {
        const char *statements;
        unsigned of_200, of_429;
    } cases[] = {
        { "rate_limit 1r/h;", 0, 1 },
        { "\nrate_limit 1r/h; rate_limit_fields always;", 1, 1 },
        { "\n\nrate_limit 1r/h; rate_limit_fields off;", 0, 0 },
    };

    for (size_t i = 0; i < 3; i++) {
        struct harness_scope *scope = bind(*state, cases[i].statements);
        for (int refused = 0; refused < 2; refused++) {
            weir_req *r = ask(*state, scope, "192.0.2.1");
            assert_int_equal(harness_run(r, WEIR_AT_GUARD), refused ? WEIR_REPLY : WEIR_NEXT);
            if (!refused)
                harness_respond(r, 200, NULL);
            harness_run(r, WEIR_AT_RSP_HEAD);
            assert_int_equal(harness_field_count(r, WEIR_OF_RESPONSE, "RateLimit"),
                             refused ? cases[i].of_429 : cases[i].of_200);
            harness_end(r);
        }
    }
}

static void a_dry_run_counts_nothing(void **state)
{
    struct harness_scope *scope = bind(*state, "rate_limit 1r/h burst=1; conn_limit 1;");

    for (int left = 2; left >= 0; left--) {
        for (int i = 0; i < 3; i++) {
            weir_req *r = ask(*state, scope, "192.0.2.1");
            harness_set_dry(r, true);
            assert_int_equal(harness_run(r, WEIR_AT_GUARD), left ? WEIR_NEXT : WEIR_REPLY);
            harness_end(r);
        }
        assert_int_equal(admitted(*state, scope, "192.0.2.1", 1), left ? 1 : 0);
    }
}

static const char *command(struct harness *h, int expected, const char *a, const char *b, const char *c)
{
    const char *words[] = { a, b, c, NULL };
    int rc;
    const char *said = harness_command(h, &rc, "ban", words);

    if (rc != expected)
        fail_msg("ban %s %s %s: %d, \"%s\"", a, b ? b : "", c ? c : "", rc, said);
    return said;
}

static weir_verdict judge_plain(struct harness *h, const char *client)
{
    return judge(h, bind(h, ""), client);
}

static void networks_are_banned_by_hand(void **state)
{
    assert_string_equal(command(*state, 0, "list", NULL, NULL), "");
    command(*state, 0, "add", "192.0.2.0/25", "10m");
    command(*state, 0, "add", "2001:db8:0:1::/64", NULL);
    command(*state, 0, "add", "198.51.100.7", "1s");
    assert_int_equal(judge_plain(*state, "192.0.2.127"), WEIR_REPLY);
    assert_int_equal(judge_plain(*state, "192.0.2.128"), WEIR_NEXT);
    assert_int_equal(judge_plain(*state, "2001:db8:0:1:ffff::1"), WEIR_REPLY);
    assert_int_equal(judge_plain(*state, "2001:db8:0:2::1"), WEIR_NEXT);
    assert_int_equal(judge_plain(*state, "198.51.100.7"), WEIR_REPLY);
    harness_advance(*state, 1000);
    assert_int_equal(judge_plain(*state, "198.51.100.7"), WEIR_NEXT);
    const char *listed = command(*state, 0, "list", NULL, NULL);
    assert_non_null(strstr(listed, "192.0.2.0/25 "));
    assert_non_null(strstr(listed, "2001:db8:0:1::/64 "));
    assert_null(strstr(listed, "198.51.100.7"));
    command(*state, 0, "remove", "192.0.2.99/25", NULL);
    command(*state, -1, "remove", "192.0.2.0/25", NULL);
    command(*state, 0, "remove", "2001:db8:0:1::/64", NULL);
    assert_int_equal(judge_plain(*state, "192.0.2.127"), WEIR_NEXT);
    assert_string_equal(command(*state, 0, "list", NULL, NULL), "");
}

static void bad_bans_are_refused(void **state)
{
    static const char *const wrong[] = { "", "x", "192.0.2", "192.0.2.1/33", "192.0.2.1/", "192.0.2.1/-1", "::1/129",
                                         "192.0.2.1/24x", "192.0.2.1 ", "2001:db8::/99999999999999999999" };
    static const char *const times[] = { "", "5", "m", "0m", "-5m", "5w", "99999999999d" };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        command(*state, -1, "add", wrong[i], NULL);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        command(*state, -1, "add", "192.0.2.1", times[i]);
    command(*state, -1, "add", NULL, NULL);
    command(*state, -1, "forgive", "192.0.2.1", NULL);
    assert_string_equal(command(*state, 0, "list", NULL, NULL), "");
}

static void refusals_lead_to_a_ban(void **state)
{
    struct harness_scope *scope = bind(*state, "rate_limit 1r/h; ban after=3 within=10s for=1m;");

    assert_int_equal(admitted(*state, scope, "2001:db8::1", 3), 1);
    harness_advance(*state, 10001); /* two refusals, forgotten */
    assert_int_equal(admitted(*state, scope, "2001:db8::2", 2), 0);
    assert_int_equal(judge_plain(*state, "2001:db8::3"), WEIR_NEXT);
    assert_int_equal(admitted(*state, scope, "2001:db8::2", 1), 0);
    assert_int_equal(judge_plain(*state, "2001:db8::3"), WEIR_REPLY); /* the network, everywhere */
    assert_int_equal(judge_plain(*state, "2001:db8:0:1::3"), WEIR_NEXT);
    assert_int_equal(harness_metric(*state, "bans_total"), 1);
    assert_non_null(strstr(harness_log(*state), "2001:db8::/64 banned for 60 s: 3 refusals within 10 s"));
    harness_advance(*state, 60001);
    assert_int_equal(judge_plain(*state, "2001:db8::3"), WEIR_NEXT);
}

static void shadow_mode_delays_and_bans_nobody(void **state)
{
    struct harness_scope *scope =
        bind(*state, "rate_limit 1r/h burst=1 delay; ban after=1; rate_limit_fields always;");
    static const weir_verdict verdicts[] = { WEIR_NEXT, WEIR_NEXT, WEIR_REPLY, WEIR_REPLY }; /* the core drops these */

    harness_advance(*state, 120000); /* the list is the process's: bans of tests before this one end */
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        weir_req *r = ask(*state, scope, "192.0.2.1");
        harness_set_shadow(r, true);
        assert_int_equal(harness_run(r, WEIR_AT_GUARD), verdicts[i]);
        harness_respond(r, 429, NULL); /* the origin's own */
        harness_run(r, WEIR_AT_RSP_HEAD);
        assert_int_equal(harness_field_count(r, WEIR_OF_RESPONSE, "RateLimit"), 0);
        harness_end(r);
    }
    assert_string_equal(command(*state, 0, "list", NULL, NULL), "");
}

#define DECISION(Id, Value) "{\"id\":" Id ",\"scope\":\"Ip\",\"type\":\"ban\",\"value\":\"" Value \
                            "\",\"duration\":\"10m\",\"origin\":\"CAPI\"}"

static void answer(struct harness *h, uint32_t status, const char *content)
{
    harness_answer(h, status, NULL, (weir_str){ content, strlen(content) });
    harness_run_jobs(h);
}

static void assert_asked(const struct harness *h, const char *target)
{
    const struct harness_fetch *asked = harness_fetched(h);

    assert_non_null(asked);
    assert_int_equal(asked->target.n, strlen(target));
    assert_memory_equal(asked->target.p, target, asked->target.n);
    assert_non_null(strstr(asked->fields.p, "X-Api-Key: sesame\n"));
}

static void a_list_is_pulled(void **state)
{
    struct harness *h = *state;

    harness_set_file(h, "/key", " ");
    assert_null(harness_bind(h, NULL, WEIR_IN_TOP, "ban_list http://list.example/a/ key=/key;"));
    harness_set_file(h, "/key", "sesame\n");
    struct harness_scope *top =
        harness_bind(h, NULL, WEIR_IN_TOP, "ban_list http://list.example/a/ key=/key except=192.0.2.128/25;");
    if (!top)
        fail_msg("%s", harness_errors(h));
    harness_advance(h, 1000);
    assert_asked(h, "/a/v1/decisions/stream?startup=true");
    answer(h, 200, "{\"new\":[" DECISION("1", "192.0.2.1") "," DECISION("2", "192.0.2.200") "],\"deleted\":null}");
    assert_int_equal(judge(h, top, "192.0.2.1"), WEIR_REPLY);
    assert_int_equal(judge(h, top, "192.0.2.2"), WEIR_NEXT);
    assert_int_equal(judge(h, top, "192.0.2.200"), WEIR_NEXT);
    assert_int_equal(harness_metric(h, "list_bans"), 2);
    weir_req *r = ask(h, top, "192.0.2.1");
    harness_set_trusted(r, true);
    assert_int_equal(harness_run(r, WEIR_AT_GUARD), WEIR_NEXT);
    harness_end(r);

    harness_advance(h, 9000);
    assert_null(harness_fetched(h));
    harness_advance(h, 1000);
    assert_asked(h, "/a/v1/decisions/stream?startup=false");
    answer(h, 0, "");
    assert_int_equal(judge(h, top, "192.0.2.1"), WEIR_REPLY);
    assert_non_null(strstr(harness_note(h, "ban_list"), "2 bans, heard of 10 s ago"));
    assert_non_null(strstr(harness_note(h, "ban_list"), "now failing: no answer in time"));
    harness_advance(h, 10000);
    assert_asked(h, "/a/v1/decisions/stream?startup=true"); /* what was missed is in no difference */
    answer(h, 200, "{\"deleted\":[" DECISION("1", "192.0.2.1") "]}");
    assert_int_equal(judge(h, top, "192.0.2.1"), WEIR_REPLY); /* not whole: not taken */
    harness_advance(h, 10000);
    answer(h, 200, "{\"new\":[" DECISION("3", "192.0.2.3") "],\"deleted\":null}");
    assert_int_equal(judge(h, top, "192.0.2.1"), WEIR_NEXT);
    assert_int_equal(judge(h, top, "192.0.2.3"), WEIR_REPLY);
    harness_advance(h, 600000);
    assert_int_equal(judge(h, top, "192.0.2.3"), WEIR_NEXT); /* it has ended, whatever the server says */
}

static void the_whole_list_is_asked_for_now_and_then(void **state)
{
    struct harness *h = *state;
    uint64_t asked = 0;

    harness_set_file(h, "/key", "sesame");
    assert_non_null(harness_bind(h, NULL, WEIR_IN_TOP, "ban_list http://other.example key=/key interval=20s;"));
    for (uint64_t second = 1; second <= 4000; second++) {
        harness_advance(h, 1000);
        if (!harness_fetched(h))
            continue;
        assert_int_equal(second % 20, 1);
        bool is_whole = second == 1 || second == 121 || second == 3721; /* at once, settled, an hour later */
        assert_asked(h, is_whole ? "/v1/decisions/stream?startup=true" : "/v1/decisions/stream?startup=false");
        answer(h, 200, "{\"new\":null,\"deleted\":null}");
        asked++;
    }
    assert_int_equal(asked, 200);
}

static void a_second_round_counts_nothing_twice(void **state)
{
    struct harness_scope *scope = bind(*state, "rate_limit 1r/h burst=1; conn_limit 1;");
    weir_req *r = ask(*state, scope, "192.0.2.1");

    for (int i = 0; i < 5; i++) /* as after a reroute */
        assert_int_equal(harness_run(r, WEIR_AT_GUARD), WEIR_NEXT);
    harness_end(r);
    assert_int_equal(admitted(*state, scope, "192.0.2.1", 5), 1);
}

static void mistakes_are_reported(void **state)
{
    static const char *const wrong[] = {
        "rate_limit;", "rate_limit 10;", "rate_limit 0r/s;", "rate_limit 10r/s burst=-1;",
        "rate_limit 10r/s status=200;",
        "rate_limit 10r/s zone='a b';", "rate_limit 10r/s nodelay;", "conn_limit 0;", "conn_limit;",
        "ban after=3 within=0s;", "ban after=3 for=x;",
        "rate_limit_ipv6_prefix 0;", "rate_limit_ipv6_prefix 129;", "rate_limit_fields some;",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (harness_bind(*state, NULL, WEIR_IN_SITE, wrong[i]))
            fail_msg("taken: %s", wrong[i]);
}

static void nothing_is_let_in_without_memory(void **state)
{
    struct harness_scope *scope = bind(*state, "rate_limit 1r/h burst=1; conn_limit 9; rate_limit_fields always;");

    for (size_t n = 1;; n++) {
        weir_req *r = ask(*state, scope, "192.0.2.1");
        harness_fail_allocation(*state, n);
        weir_verdict verdict = harness_run(r, WEIR_AT_GUARD);
        bool has_failed = harness_has_failed(*state);
        harness_fail_allocation(*state, 0);
        harness_end(r);
        if (!has_failed) {
            assert_int_equal(verdict, WEIR_NEXT);
            assert_true(n > 2);
            return;
        }
        assert_int_equal(verdict, WEIR_FAIL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_burst_passes_and_the_rate_follows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_ipv6_client_is_a_network, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_are_templates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_request_takes_no_token_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_of_a_zone_count_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_delayed_burst_waits_for_its_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_under_way_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_say_what_is_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fields_can_be_kept_quiet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dry_run_counts_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(networks_are_banned_by_hand, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_bans_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals_lead_to_a_ban, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shadow_mode_delays_and_bans_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_list_is_pulled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_whole_list_is_asked_for_now_and_then, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_round_counts_nothing_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes_are_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_let_in_without_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("ratelimit", tests, NULL, NULL);
}
