/* SPDX-License-Identifier: BSD-2-Clause */
#include "toy.h"

#include "pipeline/order.h"

#include <stdlib.h>

/* -- stages -------------------------------------------------------------------------------------------------------- */

static void stages_map_both_ways(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STAGE_COUNT; i++) {
        assert_int_equal(stage_of(stage_at((enum stage)i)), i);
        assert_int_equal(stage_by_name(stage_name((enum stage)i)), i);
        assert_true(i == 0 || stage_at((enum stage)i) > stage_at((enum stage)(i - 1)));
    }
    static const struct {
        uint32_t at;
        enum stage stage;
    } cases[] = {
        { WEIR_AT_GUARD, STAGE_GUARD }, { WEIR_AT_LOG, STAGE_LOG }, { 0, STAGE_NONE },         { 99, STAGE_NONE },
        { 501, STAGE_NONE },            { 1800, STAGE_NONE },       { UINT32_MAX, STAGE_NONE },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(stage_of(cases[i].at), cases[i].stage);
    assert_int_equal(stage_by_name(S("rsp-head")), STAGE_RSP_HEAD);
    assert_int_equal(stage_by_name(S("Up_Rsp")), STAGE_UP_RSP);
    assert_int_equal(stage_by_name(S("GUAR")), STAGE_NONE);
    assert_int_equal(stage_shape(STAGE_ENCODE), SHAPE_BYTES);
}

/* -- order --------------------------------------------------------------------------------------------------------- */

#define GUARD WEIR_AT_GUARD

struct row {
    const char *mod;
    struct weir_hook hook;
};
struct order_case {
    const char *what;
    struct row rows[6];
    const char *wish[6];
    const char *want; /* names in order; or what the error says, after '!' */
    const char *reasons; /* with ';' between; NULL: not looked at */
};

static const struct order_case cases[] = {
    { "names decide last", { { "b", { .stage = GUARD } }, { "a", { .stage = GUARD } } }, { 0 }, "a b", "name;name" },
    { "slots before names",
      { { "a", { .stage = GUARD, .slot = WEIR_LATE } }, { "b", { .stage = GUARD } },
        { "c", { .stage = GUARD, .slot = WEIR_EARLY } } }, { 0 }, "c b a", "slot -100;name;slot 100" },
    { "after beats names",
      { { "a", { .stage = GUARD, .after = "client-addr" } },
        { "realip", { .stage = GUARD, .provides = "client-addr" } } },
      { 0 }, "realip a", "name;after client-addr (realip)" },
    { "before beats names",
      { { "z", { .stage = GUARD, .before = "limit" } }, { "a", { .stage = GUARD, .provides = "limit" } } },
      { 0 }, "z a", "before limit (a);name" },
    { "constraints beat slots",
      { { "a", { .stage = GUARD, .slot = WEIR_EARLY, .after = "x" } },
        { "b", { .stage = GUARD, .slot = WEIR_LATE, .provides = "x" } } }, { 0 }, "b a",
      "slot 100;after x (b), slot -100" },
    { "what an early hook needs is early too",
      { { "a", { .stage = GUARD, .slot = WEIR_EARLY, .after = "x" } }, { "b", { .stage = GUARD } },
        { "z", { .stage = GUARD, .provides = "x" } } }, { 0 }, "z a b", NULL },
    { "nobody provides it: no constraint",
      { { "b", { .stage = GUARD, .after = "nothing" } }, { "a", { .stage = GUARD, .before = "nothing" } } },
      { 0 }, "a b", "name;name" },
    { "lists of capabilities, with spaces",
      { { "a", { .stage = GUARD, .after = "x, y" } }, { "b", { .stage = GUARD, .provides = "w,y" } },
        { "c", { .stage = GUARD, .provides = "x ,z" } } }, { 0 }, "b c a", "name;name;after y (b), after x (c)" },
    { "a name is no part of a longer one",
      { { "a", { .stage = GUARD, .after = "addr" } }, { "b", { .stage = GUARD, .provides = "client-addr" } } },
      { 0 }, "a b", "name;name" },
    { "several providers, all in front",
      { { "a", { .stage = GUARD, .after = "x" } }, { "b", { .stage = GUARD, .provides = "x" } },
        { "c", { .stage = GUARD, .provides = "x" } } }, { 0 }, "b c a", NULL },
    { "a chain of three",
      { { "a", { .stage = GUARD, .after = "y" } }, { "b", { .stage = GUARD, .after = "x", .provides = "y" } },
        { "c", { .stage = GUARD, .provides = "x" } } }, { 0 }, "c b a", NULL },
    { "two hooks of one module, by their table",
      { { "a", { .stage = GUARD, .name = "a1" } }, { "a", { .stage = GUARD, .name = "a0" } } }, { 0 }, "a a",
        "name;name" },
    { "other stages are not looked at",
      { { "a", { .stage = GUARD, .after = "x" } }, { "b", { .stage = WEIR_AT_AUTH, .provides = "x" } } }, { 0 }, "a",
        "name" },

    { "a wish beats names",
      { { "a", { .stage = GUARD } }, { "b", { .stage = GUARD } }, { "c", { .stage = GUARD } } },
      { "c" }, "c a b", "pipeline directive weir.conf:3;name;name" },
    { "a wish beats slots",
      { { "a", { .stage = GUARD, .slot = WEIR_EARLY } }, { "b", { .stage = GUARD, .slot = WEIR_LATE } } }, { "b", "a" },
      "b a", NULL },
    { "constraints beat wishes",
      { { "a", { .stage = GUARD, .after = "x" } }, { "b", { .stage = GUARD, .provides = "x" } },
        { "c", { .stage = GUARD } } }, { "a" }, "b a c", "name;pipeline directive weir.conf:3, after x (b);name" },
    { "a wish may name the hook",
      { { "a", { .stage = GUARD, .name = "one" } }, { "a", { .stage = GUARD, .name = "two" } } }, { "two" }, "a a",
        NULL },
    { "a wish for nobody", { { "gzip", { .stage = GUARD } } }, { "gzipp" },
      "!no module \"gzipp\" has a hook in stage GUARD|did you mean \"gzip\"?", NULL },
    { "a wish for nobody in an empty stage", { { 0 } }, { "waf" }, "!no module \"waf\" has a hook in stage GUARD|",
      NULL },
    { "a wish named twice", { { "a", { .stage = GUARD } } }, { "a", "a" }, "!\"a\" is named twice|", NULL },

    { "a circle of two",
      { { "a", { .stage = GUARD, .after = "y", .provides = "x" } },
        { "b", { .stage = GUARD, .after = "x", .provides = "y" } } },
      { 0 }, "!pipeline stage GUARD: modules wait for each other in a circle: a runs after y (b), b runs after x (a)|",
      NULL },
    { "a circle of three, with one that only waits for it",
      { { "a", { .stage = GUARD, .after = "z" } }, { "b", { .stage = GUARD, .after = "y", .provides = "x,z" } },
        { "c", { .stage = GUARD, .before = "w", .provides = "y" } },
        { "d", { .stage = GUARD, .provides = "w", .before = "x" } },
        { "e", { .stage = GUARD, .provides = "q", .before = "y", .after = "z" } } }, { 0 },
      "!pipeline stage GUARD: modules wait for each other in a circle: b runs after y (c), e runs before y (c), "
      "e runs after z (b)|", NULL },
    { "two exclusive hooks",
      { { "a", { .stage = GUARD, .flags = WEIR_EXCLUSIVE } }, { "b", { .stage = GUARD, .flags = WEIR_EXCLUSIVE } } },
      { 0 },
      "!pipeline stage GUARD: modules a and b cannot stand together: a wants the stage for itself|", NULL },
    { "an exclusive hook and another",
      { { "a", { .stage = GUARD } }, { "b", { .stage = GUARD, .flags = WEIR_EXCLUSIVE } } }, { 0 },
      "!pipeline stage GUARD: modules b and a cannot stand together: b wants the stage for itself|", NULL },
    { "an exclusive hook alone", { { "a", { .stage = GUARD, .flags = WEIR_EXCLUSIVE } } }, { 0 }, "a", "name" },
};

/* The modules of a case: rows of one name are one module's hooks. */
struct built {
    struct weir_hook hooks[6][6];
    weir_mod mods[6];
    weir_mod *list[6];
    uint32_t count;
};

static void build(struct built *built, const struct order_case *c, bool backwards)
{
    *built = (struct built){ 0 };
    for (uint32_t i = 0; i < 6; i++) {
        const struct row *row = &c->rows[i];
        uint32_t m = 0;
        if (!row->mod)
            continue;
        while (m < built->count && strcmp(built->mods[m].desc.name, row->mod) != 0)
            m++;
        if (m == built->count) {
            built->mods[m] = toy_mod(row->mod, m, built->hooks[m], 0);
            built->count++;
        }
        built->hooks[m][built->mods[m].desc.hooks.count] = row->hook;
        built->hooks[m][built->mods[m].desc.hooks.count++].req = toy_req;
    }
    for (uint32_t i = 0; i < built->count; i++)
        built->list[i] = &built->mods[backwards ? built->count - 1 - i : i];
}

static bool compute(struct order *order, struct built *built, const struct order_case *c, struct diags *diags)
{
    str names[6];
    struct order_wish wish = { .stage = STAGE_GUARD, .names = { names, 0, sizeof(str) },
                               .place = { .file = S("weir.conf"), .line = 3, .column = 1 } };
    while (wish.names.count < 6 && c->wish[wish.names.count]) {
        names[wish.names.count] = str_of(c->wish[wish.names.count]);
        wish.names.count++;
    }
    return order_compute(order, built->list, built->count, &wish, wish.names.count ? 1 : 0, diags->arena, diags);
}

static void expect_order(const struct order_case *c, const struct order *order)
{
    char names[128] = "", reasons[512] = "";
    for (uint32_t i = 0; i < order->count[STAGE_GUARD]; i++) {
        const struct ordered_hook *at = &order->at[STAGE_GUARD][i];
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s" STR_FMT, i ? " " : "",
                 STR_ARG(at->mod->name));
        snprintf(reasons + strlen(reasons), sizeof(reasons) - strlen(reasons), "%s" STR_FMT, i ? ";" : "",
                 STR_ARG(at->reason));
    }
    assert_string_equal(names, c->want);
    if (c->reasons)
        assert_string_equal(reasons, c->reasons);
}

static void orders(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int backwards = 0; backwards < 2; backwards++) { /* load order has no say */
            struct built built;
            struct arena *arena = arena_create(4096, 0);
            struct diags diags;
            struct order order;
            diags_init(&diags, arena);
            build(&built, &cases[i], backwards);
            bool done = compute(&order, &built, &cases[i], &diags);
            print_message("# %s\n", cases[i].what); /* the last one before a failure is the one that failed */
            if (cases[i].want[0] == '!') {
                char text[512];
                assert_false(done);
                assert_int_equal(diags.errors, 1);
                snprintf(text, sizeof(text), "!" STR_FMT "|" STR_FMT, STR_ARG(diags.first->message),
                         STR_ARG(diags.first->hint));
                assert_string_equal(text, cases[i].want);
            } else {
                assert_true(done);
                expect_order(&cases[i], &order);
            }
            arena_destroy(arena);
        }
}

static void order_given_twice(void **state)
{
    (void)state;
    struct built built;
    struct order order;
    struct arena *arena = arena_create(4096, 0);
    struct diags diags;
    str name = S("a");
    struct order_wish wishes[2] = {
        { STAGE_GUARD, { &name, 1, sizeof(name) }, { .file = S("f"), .line = 1 } },
        { STAGE_GUARD, { &name, 1, sizeof(name) }, { .file = S("f"), .line = 2 } },
    };
    diags_init(&diags, arena);
    build(&built, &cases[0], false);
    assert_false(order_compute(&order, built.list, built.count, wishes, 2, arena, &diags));
    assert_int_equal(diags.first->place.line, 2);
    assert_str(diags.first->message, "the order of stage GUARD is given twice (first at f:1)");
    arena_destroy(arena);
}

static void printed(void **state)
{
    (void)state;
    static const struct order_case c = {
        "", { { "tally", { .stage = GUARD, .after = "client-addr", .flags = WEIR_FAIL_OPEN } },
              { "realip", { .stage = GUARD, .provides = "client-addr", .name = "trust" } },
              { "log", { .stage = WEIR_AT_LOG } } }, { 0 }, "", NULL };
    struct built built;
    struct order order;
    struct arena *arena = arena_create(4096, 0);
    struct diags diags;
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    diags_init(&diags, arena);
    build(&built, &c, false);
    assert_true(compute(&order, &built, &c, &diags));
    order_print(&order, out);
    fclose(out);
    assert_string_equal(text, "GUARD\n"
                              "   1  realip (trust)           name; provides client-addr\n"
                              "   2  tally                    after client-addr (trust); fails open\n"
                              "LOG\n"
                              "   1  log                      name\n");
    free(text);
    arena_destroy(arena);
}

static void without_memory(void **state)
{
    (void)state;
    bool done = false;
    for (int n = 0; !done; n++) {
        struct built built;
        struct order order;
        struct arena *arena = arena_create(0, 0), *words = arena_create(0, 0);
        struct diags diags;
        diags_init(&diags, words);
        build(&built, &cases[2], false);
        mem_fail_after(n);
        done = order_compute(&order, built.list, built.count, NULL, 0, arena, &diags) && mem_failures() == 0;
        mem_fail_after(-1);
        arena_destroy(arena);
        arena_destroy(words);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_map_both_ways), cmocka_unit_test(orders),         cmocka_unit_test(order_given_twice),
        cmocka_unit_test(printed),              cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
