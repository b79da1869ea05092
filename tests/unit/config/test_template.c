/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "config/template.h"

#include <stdio.h>

/* $client_addr is <client_addr>, $http_x is <http_|x>; $none has no value. */
static int get(void *subject, const struct variable *variable, str rest, str *value)
{
    struct arena *arena = subject;
    if (str_equal(variable->name, S("none")))
        return -1;
    *value = rest.n ? arena_printf(arena, "<" STR_FMT "|" STR_FMT ">", STR_ARG(variable->name), STR_ARG(rest))
                    : arena_printf(arena, "<" STR_FMT ">", STR_ARG(variable->name));
    return 0;
}

static const struct {
    const char *name;
    bool is_prefix;
} known[] = {
    { "client_addr", false }, { "uri", false },    { "none", false },
    { "http_", true },        { "http_x_", true }, { "http_host", false },
};

static void add_known(struct variables *variables, struct arena *arena)
{
    variables_init(variables, arena);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_null(variables_add(
            variables,
            &(struct variable){ .name = str_of(known[i].name), .is_prefix = known[i].is_prefix, .get = get }));
}

static void test_templates(void **state)
{
    static const struct {
        const char *in, *out, *hint;
    } cases[] = {
        { "", "", NULL },
        { "plain", "plain", NULL },
        { "$uri", "<uri>", NULL },
        { "/new$uri", "/new<uri>", NULL },
        { "${uri}x$uri/$uri", "<uri>x<uri>/<uri>", NULL },
        { "a${none}b", "ab", NULL },
        { "$none", "", NULL },
        { "$http_accept", "<http_|accept>", NULL },
        /* the longest beginning */
        { "$http_x_y", "<http_x_|y>", NULL },
        /* a whole name before any beginning */
        { "$http_host", "<http_host>", NULL },
        { "\\$uri", "$uri", NULL },
        { "\\\\$uri", "\\<uri>", NULL },
        { "\\\\\\$uri", "\\$uri", NULL },
        { "\\d+\\", "\\d+\\", NULL },
        { "$uri-x", "<uri>-x", NULL },
        { "$http_", NULL, "did you mean \"$http_NAME\"?" },
        { "$urii", NULL, "did you mean \"$uri\"?" },
        { "$clientaddr", NULL, "did you mean \"$client_addr\"?" },
        { "$zzzzzzzz", NULL, "" },
        { "a $ b", NULL, "write \\$ for a dollar sign" },
        { "a$", NULL, "write \\$ for a dollar sign" },
        { "${}", NULL, "write \\$ for a dollar sign" },
        { "${uri", NULL, "write ${name}, or \\$ for a dollar sign" },
        { "${uri x}", NULL, "write ${name}, or \\$ for a dollar sign" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_create(4096, 0);
        struct variables variables;
        struct diags diags;
        add_known(&variables, arena);
        diags_init(&diags, arena);
        weir_tmpl *tmpl = template_compile(str_of(cases[i].in), false, &variables, arena, &diags, (struct place){ 0 });
        if ((tmpl != NULL) != (cases[i].out != NULL) || diags.errors != (cases[i].out ? 0 : 1))
            fail_msg("%s: %s", cases[i].in, diags.first ? diags.first->message.p : "was taken");
        if (tmpl && !str_equal(template_eval(tmpl, get, arena, arena, 1000), str_of(cases[i].out)))
            fail_msg("%s: got " STR_FMT, cases[i].in, STR_ARG(template_eval(tmpl, get, arena, arena, 1000)));
        if (tmpl)
            assert_true(str_equal(tmpl->source, str_of(cases[i].in)));
        else if (!str_equal(diags.first->hint, str_of(cases[i].hint)))
            fail_msg("%s: hint is " STR_FMT, cases[i].in, STR_ARG(diags.first->hint));
        arena_destroy(arena);
    }
}

static void test_literal(void **state)
{
    struct arena *arena = arena_create(4096, 0);
    struct diags diags;
    (void)state;
    diags_init(&diags, arena);
    weir_tmpl *tmpl = template_compile(S("$uri \\$ $"), true, NULL, arena, &diags, (struct place){ 0 });
    assert_true(template_is_constant(tmpl));
    assert_true(str_equal(template_eval(tmpl, get, NULL, arena, 100), S("$uri \\$ $")));
    arena_destroy(arena);
}

static void test_long_results_are_cut(void **state)
{
    struct arena *arena = arena_create(4096, 0);
    struct variables variables;
    struct diags diags;
    char text[400];
    size_t n = 0;
    (void)state;
    add_known(&variables, arena);
    diags_init(&diags, arena);
    weir_tmpl *tmpl = template_compile(S("ab$uri"), false, &variables, arena, &diags, (struct place){ 0 });
    for (size_t most = 0; most < 10; most++)
        assert_true(str_equal(template_eval(tmpl, get, arena, arena, most), str_upto(S("ab<uri>"), most)));
    for (int i = 0; i < 50; i++)
        n += (size_t)sprintf(text + n, "-$uri");
    tmpl = template_compile((str){ text, n }, false, &variables, arena, &diags, (struct place){ 0 });
    assert_int_equal(tmpl->count, 100);
    assert_int_equal(template_eval(tmpl, get, arena, arena, 1000).n, 300);
    arena_destroy(arena);
}

static void test_places_point_at_the_variable(void **state)
{
    static const char line[] = "respond 200 \"$uri and $urii\";";
    struct arena *arena = arena_create(4096, 0);
    struct variables variables;
    struct diags diags;
    (void)state;
    add_known(&variables, arena);
    diags_init(&diags, arena);
    struct place place = { .file = S("f"), .line = 1, .column = 13, .length = 16, .text = str_of(line) };
    assert_null(template_compile(S("$uri and $urii"), false, &variables, arena, &diags, place));
    assert_int_equal(diags.first->place.column, 23);
    assert_int_equal(diags.first->place.length, 5);
    arena_destroy(arena);
}

static void test_register(void **state)
{
    static const struct {
        const char *name;
        bool is_prefix, ok;
    } cases[] = {
        { "uri", false, false }, { "http_", true, false }, { "http_", false, true },
        { "a-b", false, false }, { "", false, false },     { "new_1", false, true },
    };
    struct arena *arena = arena_create(4096, 0);
    struct variables variables;
    str rest;
    (void)state;
    add_known(&variables, arena);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *why = variables_add(
            &variables,
            &(struct variable){ .name = str_of(cases[i].name), .is_prefix = cases[i].is_prefix, .get = get });
        assert_int_equal(why == NULL, cases[i].ok);
    }
    assert_int_equal(variables_find(&variables, S("new_1"), &rest)->index, 7);
    assert_null(variables_find(&variables, S("nope"), &rest));
    arena_destroy(arena);
}

static void test_failing_allocations(void **state)
{
    bool done = false;
    (void)state;
    for (int64_t n = 0; !done; n++) {
        struct arena *arena = arena_create(64, 0);
        struct variables variables;
        struct diags diags;
        add_known(&variables, arena);
        diags_init(&diags, arena);
        mem_fail_after(n);
        weir_tmpl *tmpl =
            template_compile(S("a$uri-$http_b-$uri"), false, &variables, arena, &diags, (struct place){ 0 });
        str text = tmpl ? template_eval(tmpl, get, arena, arena, 100) : STR_NONE;
        done = mem_failures() == 0;
        mem_fail_after(-1);
        if (!tmpl)
            assert_int_equal(diags.errors, 1);
        if (done)
            assert_true(str_equal(text, S("a<uri>-<http_|b>-<uri>")));
        arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_long_results_are_cut),
        cmocka_unit_test(test_places_point_at_the_variable),
        cmocka_unit_test(test_register),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
