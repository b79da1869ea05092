/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "toy.h"

#include <inttypes.h>

static struct toy toy;
static struct toy_scopes all;

static void bind_ok(const char *text)
{
    assert_true(toy_init(&toy));
    assert_non_null(toy_bind(&toy, &all, text));
    if (toy.diags.errors)
        fail_msg("%s", diags_render(&toy.diags, toy.arena).p);
}

static void end(void)
{
    toy_drop(&toy, &all);
    toy_finish(&toy);
}

static const struct server_conf *server(unsigned scope)
{
    return all.scopes[scope]->confs[SERVER];
}

static const struct gzip_conf *gzip(unsigned scope)
{
    return all.scopes[scope]->confs[GZIP];
}

static str networks(weir_table table)
{
    str text = STR_NONE;
    for (uint32_t i = 0; i < table.count; i++) {
        const struct weir_cidr *cidr = (const void *)((const char *)table.base + (size_t)i * table.stride);
        char z[64];
        snprintf(z, sizeof(z), "%u.%u/%u", cidr->address[12], cidr->address[13], cidr->bits);
        text = arena_printf(toy.arena, STR_FMT "%s%s", STR_ARG(text), i ? " " : "", z);
    }
    return text;
}

/* "+10.0/104 -0.0/0" */
static str rules(unsigned scope)
{
    const struct access_conf *access = all.scopes[scope]->confs[ACCESS];
    str text = STR_NONE;
    for (uint32_t i = 0; i < access->rules.count; i++) {
        const struct access_rule *rule = &((const struct access_rule *)access->rules.base)[i];
        text = arena_printf(toy.arena, STR_FMT "%s%c" STR_FMT, STR_ARG(text), i ? ", " : "", rule->allows ? '+' : '-',
                            STR_ARG(networks(rule->networks)));
    }
    return text;
}

static str limits(unsigned scope)
{
    const struct limit_conf *conf = all.scopes[scope]->confs[LIMIT];
    str text = STR_NONE;
    for (uint32_t i = 0; i < conf->limits.count; i++) {
        const struct limit *limit = &((const struct limit *)conf->limits.base)[i];
        text = arena_printf(toy.arena, STR_FMT "%s%" PRIu64 "/%" PRIu64 " b%" PRIu64 "%s k" STR_FMT, STR_ARG(text),
                            i ? ", " : "", limit->rate.events, limit->rate.period, limit->burst,
                            limit->delay ? " d" : "", STR_ARG(limit->key->source));
    }
    return text;
}

static str texts(weir_table table)
{
    str text = STR_NONE;
    for (uint32_t i = 0; i < table.count; i++)
        text = arena_printf(toy.arena, STR_FMT "%s" STR_FMT, STR_ARG(text), i ? " " : "",
                            STR_ARG(((const weir_str *)table.base)[i]));
    return text;
}

#define assert_str(value, expected)                                                                                    \
    do {                                                                                                               \
        str got_ = (value);                                                                                            \
        if (!str_equal(got_, S(expected)))                                                                             \
            fail_msg("got \"" STR_FMT "\", expected \"%s\"", STR_ARG(got_), expected);                                 \
    } while (0)

static void test_defaults(void **state)
{
    (void)state;
    bind_ok("");
    assert_int_equal(server(0)->workers, 1);
    assert_str(server(0)->state_dir, "/var/lib/toy");
    assert_int_equal(server(0)->header, 10000);
    assert_int_equal(gzip(0)->level, 4);
    assert_int_equal(gzip(0)->min_length, 1024);
    assert_int_equal(gzip(0)->mode, 1);
    assert_str(texts(gzip(0)->types), "text/html text/css");
    assert_str(texts(server(0)->names), "red blue");
    assert_int_equal(server(0)->trusted.count, 0);
    end();
}

static void test_who_says_nothing_shares(void **state)
{
    (void)state;
    bind_ok("gzip on; site a { gzip_level 9; route / { } route /b { gzip off; } } site b { }");
    assert_ptr_equal(gzip(2), gzip(1)); /* route / has its site's */
    assert_ptr_not_equal(gzip(1), gzip(0));
    assert_ptr_equal(gzip(4), gzip(0)); /* site b has the top level's */
    assert_ptr_equal(all.scopes[1]->confs[SERVER], all.scopes[0]->confs[SERVER]);
    assert_int_equal(gzip(1)->level, 9);
    assert_true(gzip(1)->on);
    assert_int_equal(gzip(3)->level, 9);
    assert_false(gzip(3)->on);
    assert_true(all.scopes[1]->state[GZIP] & SCOPE_OWN);
    assert_false(all.scopes[2]->state[GZIP] & SCOPE_OWN);
    end();
}

static void test_options_merge_key_by_key(void **state)
{
    (void)state;
    bind_ok("timeout header=1s body=2s; site a { timeout body=3s; route / { timeout send=4s; } }");
    assert_int_equal(server(2)->header, 1000);
    assert_int_equal(server(2)->body, 3000);
    assert_int_equal(server(2)->send, 4000);
    assert_int_equal(server(0)->send, 30000);
    end();
}

static void test_inner_first(void **state)
{
    (void)state;
    bind_ok(
        "allow 10.0.0.0/8 11.0.0.0/8; deny all; site a { deny 10.1.0.0/16; allow 12.0.0.0/8; route / { allow all; } }");
    assert_str(rules(0), "+10.0/104 11.0/104, -0.0/0");
    assert_str(rules(1), "-10.1/112, +12.0/104, +10.0/104 11.0/104, -0.0/0");
    assert_str(rules(2), "+0.0/0, -10.1/112, +12.0/104, +10.0/104 11.0/104, -0.0/0");
    end();
}

static void test_append(void **state)
{
    (void)state;
    bind_ok("rate_limit 1r/s; trusted_proxies 10.0.0.0/8; trusted_proxies 11.0.0.0/8 12.0.0.0/8;"
            "site a { rate_limit 2r/m burst=3 delay key=$host; trusted_proxies 13.0.0.0/8; }");
    assert_str(limits(0), "1/1000 b0 k$client_addr");
    assert_str(limits(1), "1/1000 b0 k$client_addr, 2/60000 b3 d k$host");
    assert_str(networks(server(0)->trusted), "10.0/104 11.0/104 12.0/104");
    assert_str(networks(server(1)->trusted), "10.0/104 11.0/104 12.0/104 13.0/104");
    end();
}

static void test_replace(void **state)
{
    (void)state;
    bind_ok("response_header set A 1; response_header add B $uri; names x y;"
            "site a { response_header remove C; names z; } site b { max_body 1k; }");
    assert_int_equal(server(0)->header_rules.count, 2);
    assert_int_equal(server(1)->header_rules.count, 1);
    assert_str(((const struct header_rule *)server(1)->header_rules.base)->name, "C");
    assert_int_equal(((const struct header_rule *)server(1)->header_rules.base)->action, 2);
    assert_int_equal(server(2)->header_rules.count, 2);
    assert_str(texts(server(1)->names), "z");
    assert_str(texts(server(2)->names), "x y");
    end();
}

static void test_local(void **state)
{
    (void)state;
    bind_ok("site a { health; respond 200 ok; max_body 1k; route / { } route /x { health; } }");
    assert_int_equal(server(1)->health.line, 1);
    assert_int_equal(server(1)->health.column, 10);
    assert_int_equal(server(1)->status, 200);
    assert_int_equal(server(2)->health.line, 0);
    assert_int_equal(server(2)->status, 0);
    assert_null(server(2)->text);
    assert_int_equal(server(2)->max_body, 1024); /* the rest is inherited as ever */
    assert_int_equal(server(3)->health.line, 1);
    assert_null(all.scopes[2]->first[SERVER]); /* it said nothing itself */
    end();
}

static void test_clear(void **state)
{
    (void)state;
    bind_ok(
        "gzip_level 9; allow 10.0.0.0/8; deny all; timeout header=1s body=2s; trusted_proxies 10.0.0.0/8; gzip_types a;"
        "site a { gzip_level clear; allow 11.0.0.0/8; deny clear; timeout body=5s; timeout clear;"
        "  trusted_proxies clear; trusted_proxies 12.0.0.0/8; gzip_types clear; }");
    assert_int_equal(gzip(1)->level, 4);
    assert_str(rules(1), "+11.0/104"); /* allow and deny feed one list */
    assert_int_equal(server(1)->header, 10000);
    assert_int_equal(server(1)->body, 5000);
    assert_str(networks(server(1)->trusted), "12.0/104");
    assert_str(texts(gzip(1)->types), "text/html text/css");
    end();
}

static void test_quotes_say_what_a_word_is(void **state)
{
    (void)state;
    bind_ok(
        "site a { respond 200 \"a=b \\$x $uri\"; route / { respond 200 'raw $uri'; } listen 443 tls; listen \"tls\"; }"
        "rate_limit 1r/s zone=\"a b\" key=\"$host-\\$\"; names k=v \"delay\";");
    assert_int_equal(server(1)->text->count, 2);
    assert_true(template_is_constant(server(2)->text));
    assert_true(((const struct listen *)server(1)->listens.base)[0].tls);
    assert_false(((const struct listen *)server(1)->listens.base)[1].tls);
    assert_str(((const struct listen *)server(1)->listens.base)[1].address, "tls");
    const struct limit *limit = ((const struct limit_conf *)all.scopes[0]->confs[LIMIT])->limits.base;
    assert_str(limit->zone, "a b");
    assert_int_equal(limit->key->count, 2);
    assert_str(texts(server(0)->names), "k=v delay"); /* a directive without options takes '=' as text */
    end();
}

static void test_paths_and_upstreams(void **state)
{
    struct arena *arena;
    (void)state;
    assert_true(toy_init(&toy));
    arena = toy.arena;
    assert_true(tree_parse(&toy.tree, S("/etc/toy/conf.d/a.conf"), S("state_dir ../lib;"), arena, &toy.diags));
    all.count = 0;
    assert_non_null(toy_bind_scope(&toy, &all, NULL, WEIR_IN_TOP, NULL));
    assert_str(server(0)->state_dir, "/etc/toy/conf.d/../lib");
    end();
    bind_ok("site a { proxy http://x; }");
    assert_string_equal((const char *)server(1)->proxy, "http://x");
    end();
}

static void test_check_runs_once_a_struct(void **state)
{
    (void)state;
    memset(&toy_seen, 0, sizeof(toy_seen));
    bind_ok(
        "gzip off; site a { } site b { gzip on; gzip_mode small; route / { max_body 1; } } site c { gzip_level 5; }");
    assert_int_equal(toy_seen.gzip_checks, 3);
    assert_int_equal(toy_seen.server_checks, 2);
    assert_true(all.scopes[0]->state[GZIP] & SCOPE_INACTIVE);
    assert_true(all.scopes[1]->state[GZIP] & SCOPE_INACTIVE); /* with the struct it shares */
    assert_false(all.scopes[2]->state[GZIP] & SCOPE_INACTIVE);
    assert_false(all.scopes[3]->state[GZIP] & SCOPE_INACTIVE);
    assert_true(all.scopes[4]->state[GZIP] & SCOPE_INACTIVE);
    assert_false(all.scopes[0]->offers_tls);
    assert_true(all.scopes[2]->offers_tls);
    assert_true(all.scopes[3]->offers_tls);
    assert_false(all.scopes[4]->offers_tls);
    end();
    assert_int_equal(toy_seen.gzip_drops, 3);
}

static void test_what_did_not_bind_is_not_checked(void **state)
{
    (void)state;
    memset(&toy_seen, 0, sizeof(toy_seen));
    assert_true(toy_init(&toy));
    assert_non_null(toy_bind(&toy, &all, "gzip_level 99; site a { gzip on; }"));
    assert_int_equal(toy.diags.errors, 1);
    assert_int_equal(toy_seen.gzip_checks, 0);
    end();
    assert_int_equal(toy_seen.gzip_drops, 0);
}

static void test_bind_args_alone(void **state)
{
    struct limit limit = { 0 };
    (void)state;
    bind_ok("names random 5r/s burst=7;");
    assert_true(bind_args(&toy.binder, all.scopes[0], toy.tree.first, 1, (weir_table)WEIR_TABLE(limit_args), &limit));
    assert_int_equal(limit.rate.events, 5);
    assert_int_equal(limit.burst, 7);
    assert_int_equal(limit.status, 429);
    assert_false(bind_args(&toy.binder, all.scopes[0], toy.tree.first, 2, (weir_table)WEIR_TABLE(limit_args), &limit));
    assert_non_null(strstr(toy.diags.first->message.p, "names random 5r/s: RATE is missing"));
    end();
}

/* Many records in one scope cost no more than their number. */
static void test_many_records(void **state)
{
    enum { MANY = 20000 };
    char *text = mem_alloc(MANY * 32);
    size_t n = 0;
    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        n += (size_t)sprintf(text + n, "allow 10.%u.%u.0/24;\n", i / 256, i % 256);
    bind_ok(text);
    assert_int_equal(((const struct access_conf *)all.scopes[0]->confs[ACCESS])->rules.count, MANY);
    assert_true(arena_used(toy.arena) < 64 << 20);
    end();
    mem_free(text);
}

/* Whatever allocation fails, the answer is an error or no scope, never a crash or a half value. */
static void test_failing_allocations(void **state)
{
    static const char text[] =
        "gzip_types a b; allow 10.0.0.0/8; timeout body=1s; trusted_proxies 1.2.3.4;\n"
        "site a { respond 200 \"x $uri\"; rate_limit 1r/s key=$host; allow all; trusted_proxies ::1;\n"
        "  route / { proxi x; gzip_mode fst; gzip_level clear; } }\n";
    bool done = false;
    (void)state;
    for (int64_t n = 0; !done; n++) {
        mem_fail_after(n);
        bool ok = toy_init(&toy);
        struct scope *top = ok ? toy_bind(&toy, &all, text) : NULL;
        done = mem_failures() == 0;
        mem_fail_after(-1);
        if (done)
            assert_int_equal(toy.diags.errors, 2);
        if (!done && top)
            assert_true(toy.diags.errors > 0);
        if (ok)
            toy_drop(&toy, &all);
        toy_finish(&toy);
        assert_true(n < 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_who_says_nothing_shares),
        cmocka_unit_test(test_options_merge_key_by_key),
        cmocka_unit_test(test_inner_first),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_quotes_say_what_a_word_is),
        cmocka_unit_test(test_paths_and_upstreams),
        cmocka_unit_test(test_check_runs_once_a_struct),
        cmocka_unit_test(test_what_did_not_bind_is_not_checked),
        cmocka_unit_test(test_bind_args_alone),
        cmocka_unit_test(test_many_records),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
