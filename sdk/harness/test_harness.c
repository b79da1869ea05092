/* SPDX-License-Identifier: BSD-2-Clause */
/* test_harness.c: the harness itself, with a module inside the program that waits, counts, shares and filters. */
#include "weir-harness.h" /* before cmocka.h, whose macros take the names of SDK functions */

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* -- the module ---------------------------------------------------------------------------------------------------- */

struct conf {
    uint64_t limit, window;
    uint32_t mode;
    struct weir_rate rate;
    weir_table peers;
    bool verbose;
    weir_str key;
    weir_tmpl *text;
};

struct ctx {
    weir_token token;
    bool has_waited;
    uint64_t held;
};

static struct {
    weir_dict *dict;
    int ticks, worked, done, dropped, drops;
} seen;

static void tick(weir_mod *mod, void *arg)
{
    (void)mod;
    (void)arg;
    seen.ticks++;
}

static void wake(weir_req *r, void *arg)
{
    (void)r;
    weir_resume(((struct ctx *)arg)->token, WEIR_NEXT);
}

static void work(void *arg)
{
    (void)arg;
    seen.worked++;
}

static void done(weir_req *r, void *arg)
{
    (void)r;
    (void)arg;
    seen.done++;
}

static void drop_job(void *arg)
{
    (void)arg;
    seen.dropped++;
}

/* The path says what to do. */
static weir_verdict guard(weir_req *r, const void *conf_, void *ctx_)
{
    static const struct weir_job_calls calls = { work, done, drop_job };
    const struct conf *conf = conf_;
    struct ctx *ctx = ctx_;
    weir_str path = weir_path(r);
    uint64_t sum, wait;

    switch (path.n > 1 ? path.p[1] : 0) {
    case 'w': /* waits for a timer of its own, or for nothing */
        ctx->token = weir_suspend(r, 1000, WEIR_FAIL);
        if (path.p[2] == 't' && !weir_timer_start(r, 300, wake, ctx))
            return weir_fail(r, "no timer");
        return WEIR_SUSPEND;
    case 'j': return weir_job(r, &calls, NULL) == 0 ? WEIR_NEXT : weir_fail(r, "no job");
    case 'c':
        if (weir_dict_add(seen.dict, WEIR_S("count"), 1, conf->window, &sum) != 0)
            return weir_fail(r, "no memory");
        weir_count(r, 0, 1);
        return sum > conf->limit ? weir_reply(r, 429, WEIR_S("slow down\n")) : WEIR_NEXT;
    case 'b':
        if (weir_dict_take(seen.dict, WEIR_S("bucket"), conf->rate, 1, 1, &wait) == 0)
            return WEIR_NEXT;
        return weir_reply(r, 429, weir_printf(r, "%u", (unsigned)wait));
    default: return WEIR_NEXT;
    }
}

static weir_verdict twice(weir_flow *flow, weir_chain *in, weir_chain *out, uint32_t how)
{
    (void)how;
    weir_flow_want(flow, 0, 2);
    for (weir_str s = weir_peek(in); s.n && weir_room(flow) >= 2; s = weir_peek(in)) {
        char pair[2] = { s.p[0], s.p[0] };
        if (s.p[0] == '!')
            return WEIR_SKIP;
        if (s.p[0] == '?')
            return WEIR_FAIL;
        if (weir_put(out, pair, 2) != 2)
            return WEIR_FAIL;
        weir_eat(in, 1);
    }
    return WEIR_NEXT;
}

static weir_verdict passer(weir_flow *flow, weir_chain *in, weir_chain *out, uint32_t how)
{
    (void)how;
    weir_pass(in, out, weir_room(flow));
    return WEIR_NEXT;
}

static void drop(void *scope)
{
    (void)scope;
    seen.drops++;
}

static int load(weir_mod *mod)
{
    memset(&seen, 0, sizeof(seen));
    seen.dict = weir_dict_open(mod, "d", 1 << 20, 0);
    return seen.dict ? weir_service_publish(mod, "s", 1, &seen) : -1;
}

static int thread_up(weir_mod *mod, void *slot)
{
    (void)slot;
    return weir_thread_timer(mod, 100, tick, NULL) ? 0 : -1;
}

static const struct weir_arg many_args[] = {
    { .name = "MODE", .type = WEIR_TYPE_ENUM, .choices = "off|on|detect", .offset = offsetof(struct conf, mode) },
    { .name = "rate", .type = WEIR_TYPE_RATE, .flags = WEIR_ARG_OPTION, .offset = offsetof(struct conf, rate) },
    { .name = "peers", .type = WEIR_TYPE_CIDR, .flags = WEIR_ARG_OPTION | WEIR_ARG_LIST,
      .offset = offsetof(struct conf, peers) },
    { .name = "verbose", .type = WEIR_TYPE_FLAG, .flags = WEIR_ARG_WORD, .offset = offsetof(struct conf, verbose) },
    { .name = "KEY", .type = WEIR_TYPE_PATH, .flags = WEIR_ARG_OPTIONAL, .offset = offsetof(struct conf, key) },
};

static const struct weir_directive directives[] = {
    WEIR_DIR(struct conf, limit, SIZE, "limit", WEIR_IN_HTTP, "2", "n"),
    WEIR_DIR(struct conf, window, DURATION, "window", WEIR_IN_HTTP, "10s", "t"),
    WEIR_DIR(struct conf, text, TEMPLATE, "text", WEIR_IN_TOP, "${method}!", "t"),
    { .name = "many", .doc = "d", .scopes = WEIR_IN_HTTP, .args = WEIR_TABLE(many_args) },
};

static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_GUARD, .req = guard },
    { .stage = WEIR_AT_TRANSFORM, .bytes = twice },
    { .stage = WEIR_AT_STORE, .bytes = passer },
};

static const struct weir_metric metrics[] = { { "seen_total", "d", WEIR_COUNTER, 0 } };

WEIR_MODULE(sample, .version = "1", .license = "BSD-2-Clause", .summary = "s", .conf_size = sizeof(struct conf),
            .ctx_size = sizeof(struct ctx), .thread_size = 8, .directives = WEIR_TABLE(directives),
            .hooks = WEIR_TABLE(hooks), .metrics = WEIR_TABLE(metrics), .load = load, .drop = drop,
            .thread_up = thread_up);

/* -- the tests ----------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    return (*state = harness_adopt(&weir_module)) ? 0 : -1;
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

static weir_verdict ask(struct harness *h, struct harness_scope *scope, const char *path)
{
    return harness_run(harness_request(h, scope, "GET", path, NULL), WEIR_AT_GUARD);
}

static void a_suspension_ends_by_its_timeout_or_once_by_resume(void **state)
{
    struct harness_scope *scope = bind(*state, "");
    weir_req *alone = harness_request(*state, scope, "GET", "/w", NULL);
    weir_req *timed = harness_request(*state, scope, "GET", "/wt", NULL);

    assert_int_equal(harness_run(alone, WEIR_AT_GUARD), WEIR_SUSPEND);
    assert_int_equal(harness_run(timed, WEIR_AT_GUARD), WEIR_SUSPEND);
    harness_advance(*state, 299);
    assert_int_equal(harness_settle(timed), WEIR_SUSPEND);
    harness_advance(*state, 1);
    weir_resume(((struct ctx *)weir_req_ctx(timed, harness_mod(*state)))->token, WEIR_CLOSE); /* the second: ignored */
    assert_int_equal(harness_settle(timed), WEIR_NEXT);
    harness_advance(*state, 699);
    assert_int_equal(harness_settle(alone), WEIR_SUSPEND);
    harness_advance(*state, 1);
    assert_int_equal(harness_settle(alone), WEIR_FAIL);
    assert_int_equal(seen.ticks, 10);
}

static void what_a_request_waits_for_ends_with_it(void **state)
{
    struct harness_scope *scope = bind(*state, "");
    weir_req *r = harness_request(*state, scope, "GET", "/wt", NULL);

    assert_int_equal(harness_run(r, WEIR_AT_GUARD), WEIR_SUSPEND);
    harness_end(r);
    harness_advance(*state, 5000); /* its timer would touch freed memory */
    r = harness_request(*state, scope, "GET", "/j", NULL);
    assert_int_equal(harness_run(r, WEIR_AT_GUARD), WEIR_NEXT);
    harness_end(r);
    assert_int_equal(ask(*state, scope, "/j"), WEIR_NEXT);
    assert_int_equal(harness_run_jobs(*state), 2);
    assert_int_equal(seen.worked, 2);
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.dropped, 2);
}

static void counters_and_buckets_follow_the_clock(void **state)
{
    struct harness_scope *scope = bind(*state, "many on rate=1r/s;");
    weir_str value;
    size_t n;
    char room[4];

    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(*state, scope, "/c"), i < 2 ? WEIR_NEXT : WEIR_REPLY);
    harness_advance(*state, 10000);
    assert_int_equal(ask(*state, scope, "/c"), WEIR_NEXT);
    assert_int_equal(harness_metric(*state, "seen_total"), 4);
    assert_int_equal(ask(*state, scope, "/b"), WEIR_NEXT);
    assert_int_equal(ask(*state, scope, "/b"), WEIR_NEXT);
    assert_int_equal(ask(*state, scope, "/b"), WEIR_REPLY);
    harness_advance(*state, 1000);
    assert_int_equal(ask(*state, scope, "/b"), WEIR_NEXT);

    assert_int_equal(weir_dict_put(seen.dict, WEIR_S("k"), WEIR_S("value"), 50), 0);
    assert_int_equal(weir_dict_get(seen.dict, WEIR_S("k"), (weir_span){ room, sizeof(room) }, &n), 0);
    assert_int_equal(n, 5);
    assert_memory_equal(room, "valu", 4);
    harness_advance(*state, 50);
    assert_int_equal(weir_dict_get(seen.dict, WEIR_S("k"), (weir_span){ room, sizeof(room) }, &n), WEIR_ABSENT);
    assert_int_equal(weir_dict_compare_and_set(seen.dict, WEIR_S("w"), 0, 7, 0), 0);
    assert_int_equal(weir_dict_compare_and_set(seen.dict, WEIR_S("w"), 0, 8, 0), WEIR_DIFFERS);
    assert_int_equal(weir_dict_compare_and_set(seen.dict, WEIR_S("w"), 7, 8, 0), 0);
    assert_ptr_equal(weir_service_find(harness_mod(*state), "s", 1), &seen);
    assert_int_equal(weir_variable(harness_request(*state, scope, "GET", "/", NULL), WEIR_S("method"), &value), 0);
}

static const struct {
    const char *input, *out;
    struct harness_feeding feeding;
    size_t calls;
    bool is_finished, is_passing;
} bodies[] = {
    { "abc", "aabbcc", { 0 }, 1, true, false },
    { "abc", "aabbcc", { .piece = 1 }, 3, true, false },
    { "abc", "aabbcc", { .room = 3 }, 3, true, false },       /* one byte of room is too little for a pair */
    { "abc", "aabbcc", { .room = 1 }, 4, true, false },       /* raised to what the hook wants */
    { "abc", "aa", { .piece = 1, .calls = 1 }, 1, false, false },
    { "a!bc", "aa!bc", { .piece = 1 }, 2, true, true },
    { "a?b", "aa", { 0 }, 1, false, false },
    { "", "", { 0 }, 1, true, false },
};

static void bodies_are_fed_as_asked(void **state)
{
    struct harness_scope *scope = bind(*state, "");

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        weir_req *r = harness_request(*state, scope, "GET", "/", NULL);
        weir_str input = { bodies[i].input, strlen(bodies[i].input) };
        struct harness_fed fed = harness_feed(r, WEIR_AT_TRANSFORM, input, &bodies[i].feeding);
        assert_int_equal(fed.is_finished, bodies[i].is_finished);
        assert_int_equal(fed.is_passing, bodies[i].is_passing);
        assert_string_equal(fed.out.p, bodies[i].out);
        if (bodies[i].feeding.room != 1)
            assert_int_equal(fed.calls, bodies[i].calls);
        fed = harness_feed(r, WEIR_AT_STORE, input, &(struct harness_feeding){ .piece = 2, .room = 1 });
        assert_true(fed.is_finished);
        assert_string_equal(fed.out.p, bodies[i].input);
        harness_end(r);
    }
}

static void statements_fill_the_struct(void **state)
{
    struct harness_scope *top = bind(*state, "limit 2k; many detect peers=10.0.0.0/8,::1 verbose rate=600r/m keys/a;");
    struct harness_scope *inner = harness_bind(*state, top, WEIR_IN_SITE, "window 500ms; limit clear;");
    const struct conf *a = harness_conf(top), *b = harness_conf(inner);
    const struct weir_cidr *peers = a->peers.base;

    assert_int_equal(a->limit, 2048);
    assert_int_equal(a->window, 10000);
    assert_int_equal(a->mode, 2);
    assert_int_equal(a->rate.events, 600);
    assert_int_equal(a->rate.period, 60000);
    assert_true(a->verbose);
    assert_string_equal(a->key.p, "/keys/a");
    assert_int_equal(a->peers.count, 2);
    assert_int_equal(peers[0].bits, 104);
    assert_int_equal(peers[1].bits, 128);
    assert_int_equal(b->limit, 2);
    assert_int_equal(b->window, 500);
    assert_int_equal(b->mode, 2);
    weir_str text = weir_eval(harness_request(*state, inner, "PUT", "/", NULL), a->text);
    assert_int_equal(text.n, 4);
    assert_memory_equal(text.p, "PUT!", 4);
}

static void mistakes_are_refused(void **state)
{
    static const char *const wrong[] = { "limit;", "limit x;", "limit 1 2;", "window 5x;", "nope 1;", "many maybe;",
                                         "many on rate=0r/s;", "many on peers=10.0.0.0/33;", "text $nope;" };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_null(harness_bind(*state, NULL, WEIR_IN_TOP, wrong[i]));
        assert_non_null(strstr(harness_errors(*state), "harness.conf:1: "));
    }
    assert_null(harness_bind(*state, NULL, WEIR_IN_SITE, "text a;"));
}

static void only_accepted_scopes_are_dropped(void **state)
{
    struct harness *h = harness_adopt(&weir_module);

    (void)state;
    assert_non_null(harness_bind(h, NULL, WEIR_IN_TOP, ""));
    assert_null(harness_bind(h, NULL, WEIR_IN_TOP, "nope;"));
    harness_close(h);
    assert_int_equal(seen.drops, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_suspension_ends_by_its_timeout_or_once_by_resume, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_request_waits_for_ends_with_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counters_and_buckets_follow_the_clock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bodies_are_fed_as_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(statements_fill_the_struct, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes_are_refused, set_up, tear_down),
        cmocka_unit_test(only_accepted_scopes_are_dropped),
    };
    return cmocka_run_group_tests_name("harness", tests, NULL, NULL);
}
