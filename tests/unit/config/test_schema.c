/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "toy.h"

#include <stdlib.h>

struct room {
    uint64_t number;
    weir_table list;
};

/* A table of one directive with one argument, and what is wrong with it (NULL: nothing). */
#define ARG(...)                                                                                                       \
    {                                                                                                                  \
        (const struct weir_arg[]){ { __VA_ARGS__ } }, 1, sizeof(struct weir_arg)                                       \
    }
static const struct weir_arg after_rest[] = {
    { "A", WEIR_TYPE_STR, WEIR_ARG_REST, 8, NULL, NULL, 0, 0 },
    { "B", WEIR_TYPE_UINT, 0, 0, NULL, NULL, 0, 0 },
};
static const struct {
    struct weir_directive directive;
    const char *why;
} tables[] = {
    { { .name = "a_1", .scopes = 1, .args = ARG("N", WEIR_TYPE_UINT, 0, 0, NULL, "5", 1, 9) }, NULL },
    { { .name = "Caps", .scopes = 1 }, "names are made of" },
    { { .name = "", .scopes = 1 }, "no name" },
    { { .name = "a", .scopes = 0 }, "no scope" },
    { { .name = "include", .scopes = 1 }, "language's own" },
    { { .name = "site", .scopes = 1 }, "block's" },
    { { .name = "gzip", .scopes = 4 }, "a directive of gzip already" },
    { { .name = "a", .scopes = 1, .merge = 9 }, "merge rule" },
    { { .name = "a", .scopes = 1, .args = ARG("N", 99, 0, 0, NULL, NULL, 0, 0) }, "unknown type" },
    { { .name = "a", .scopes = 1, .args = ARG("N", WEIR_TYPE_UINT, 0, 24, NULL, NULL, 0, 0) }, "outside" },
    { { .name = "a", .scopes = 1, .args = ARG("N", WEIR_TYPE_UINT, 0, 4, NULL, NULL, 0, 0) }, "aligned" },
    { { .name = "a", .scopes = 1, .args = ARG("N", WEIR_TYPE_UINT, 0, 0, NULL, "many", 0, 0) }, "no number" },
    { { .name = "a", .scopes = 1, .args = ARG("N", WEIR_TYPE_UINT, 0, 0, NULL, "10", 1, 9) }, "bounds" },
    { { .name = "a", .scopes = 1, .args = ARG("N", WEIR_TYPE_UINT, 0, 0, NULL, NULL, 9, 1) }, "least" },
    { { .name = "a", .scopes = 1, .args = ARG("N", WEIR_TYPE_ENUM, 0, 0, "x|y", "z", 0, 0) }, "none of x, y" },
    { { .name = "a", .scopes = 1, .args = ARG("N", WEIR_TYPE_ENUM, 0, 0, NULL, NULL, 0, 0) }, "no choices" },
    { { .name = "a", .scopes = 1, .args = ARG("N", WEIR_TYPE_UINT, WEIR_ARG_WORD, 0, NULL, NULL, 0, 0) }, "word" },
    { { .name = "a", .scopes = 1, .args = ARG("N", WEIR_TYPE_UINT, WEIR_ARG_LIST, 8, NULL, NULL, 0, 0) },
      "only options" },
    { { .name = "a", .scopes = 1, .args = ARG("N", WEIR_TYPE_PATH, 0, 8, NULL, "relative", 0, 0) }, "absolute" },
    { { .name = "a", .scopes = 1, .args = { after_rest, 2, sizeof(struct weir_arg) } }, "follow" },
    { { .name = "a", .scopes = 1, .record_size = 8, .offset = 16 }, "list lies outside" },
    { { .name = "a",
        .scopes = 1,
        .record_size = 8,
        .offset = 8,
        .args = ARG("N", WEIR_TYPE_UINT, 0, 8, NULL, NULL, 0, 0) },
      "outside" },
};

static void test_tables_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        struct toy toy;
        struct owner owner = { .name = S("tested"), .index = 9, .conf_size = sizeof(struct room) };
        owner.directives = (weir_table){ &tables[i].directive, 1, sizeof(struct weir_directive) };
        assert_true(toy_init(&toy));
        const char *why = schema_add(&toy.schema, &owner);
        if ((why == NULL) != (tables[i].why == NULL) || (why && !strstr(why, tables[i].why)))
            fail_msg("%s (%zu): got %s", tables[i].directive.name, i, why ? why : "nothing");
        toy_finish(&toy);
    }
}

/* A module built when the tables were shorter: what it does not know is zero. */
static void test_shorter_elements(void **state)
{
    struct {
        char bytes[offsetof(struct weir_arg, min)];
    } arg;
    struct {
        char bytes[offsetof(struct weir_directive, tag)];
    } directive;
    const struct weir_arg whole = { "N", WEIR_TYPE_UINT, 0, 0, NULL, "7", 1, 1 };
    memcpy(&arg, &whole, sizeof(arg));
    const struct weir_directive whole_directive = { .name = "old",
                                                    .scopes = WEIR_IN_TOP,
                                                    .args = { &arg, 1, sizeof(arg) } };
    memcpy(&directive, &whole_directive, sizeof(directive));
    struct owner owner = {
        .name = S("old"), .index = OWNERS, .conf_size = 8, .directives = { &directive, 1, sizeof(directive) }
    };
    struct toy toy;
    struct toy_scopes all;
    (void)state;
    assert_true(toy_init(&toy));
    assert_null(schema_add(&toy.schema, &owner));
    toy.binder.owner_count++;
    assert_non_null(toy_bind(&toy, &all, "old 300;"));
    assert_int_equal(toy.diags.errors, 0);
    assert_int_equal(*(uint64_t *)all.scopes[0]->confs[OWNERS], 300);
    toy_drop(&toy, &all);
    toy_finish(&toy);
}

static void test_nearest(void **state)
{
    static const struct {
        const char *in;
        uint32_t scope;
        const char *out;
    } cases[] = {
        { "gzpi", WEIR_IN_TOP, "gzip" },
        { "gzip_lvel", WEIR_IN_SITE, "gzip_level" },
        { "proxi", WEIR_IN_SITE, "proxy" },
        { "proxi", WEIR_IN_TOP, "" },
        { "proxi", 0, "proxy" },
        { "siet", WEIR_IN_TOP, "site" },
        { "inclued", WEIR_IN_TOP, "include" },
        { "Allow", WEIR_IN_ROUTE, "allow" },
        { "zzzzzz", 0, "" },
    };
    struct toy toy;
    (void)state;
    assert_true(toy_init(&toy));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        str nearest = schema_nearest(&toy.schema, str_of(cases[i].in), cases[i].scope);
        if (!str_equal(nearest, str_of(cases[i].out)))
            fail_msg("%s: got " STR_FMT, cases[i].in, STR_ARG(nearest));
    }
    toy_finish(&toy);
}

static const struct weir_directive upper[] = { WEIR_DIR(struct room, number, UINT, "twice", WEIR_IN_TOP, "1", "") };
static const struct weir_directive lower[] = { WEIR_DIR(struct room, number, UINT, "twice", WEIR_IN_ROUTE, "2", "") };

static void test_one_name_in_two_scopes(void **state)
{
    struct owner one = {
        .name = S("one"), .index = 8, .conf_size = sizeof(struct room), .directives = WEIR_TABLE(upper)
    };
    struct owner two = {
        .name = S("two"), .index = 9, .conf_size = sizeof(struct room), .directives = WEIR_TABLE(lower)
    };
    struct toy toy;
    (void)state;
    assert_true(toy_init(&toy));
    assert_null(schema_add(&toy.schema, &one));
    assert_null(schema_add(&toy.schema, &two));
    assert_ptr_equal(schema_find(&toy.schema, S("twice"), WEIR_IN_TOP)->owner, &one);
    assert_ptr_equal(schema_find(&toy.schema, S("twice"), WEIR_IN_ROUTE)->owner, &two);
    assert_null(schema_find(&toy.schema, S("twice"), WEIR_IN_SITE));
    toy_finish(&toy);
}

static void test_manual(void **state)
{
    static const char expected[] = "# limit\n"
                                   "\n"
                                   "## rate_limit\n"
                                   "\n"
                                   "    rate_limit RATE [burst=N] [delay] [key=TEMPLATE] [status=N] [zone=TEXT];\n"
                                   "\n"
                                   "how many requests\n"
                                   "\n"
                                   "- where: top level, site and route\n"
                                   "- `burst`: from 0 to 1000\n"
                                   "- `status`: from 400 to 599\n"
                                   "- inner scopes: what an inner scope says is added behind the outer scope's\n"
                                   "- may stand several times in one scope\n"
                                   "\n";
    struct toy toy;
    char *text = NULL;
    size_t n = 0;
    (void)state;
    assert_true(toy_init(&toy));
    FILE *out = open_memstream(&text, &n);
    schema_print_manual(&toy.schema, &toy_owners[LIMIT], out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
    out = open_memstream(&text, &n);
    schema_print_manual(&toy.schema, &toy_owners[GZIP], out);
    fclose(out);
    assert_non_null(strstr(text, "    gzip on|off;\n"));
    assert_non_null(strstr(text, "    gzip_mode off|fast|small;\n"));
    assert_non_null(strstr(text, "- default: `1k`\n- `VALUE`: from 16 to 1m\n"));
    free(text);
    toy_finish(&toy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_are_checked),
        cmocka_unit_test(test_shorter_elements),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_one_name_in_two_scopes),
        cmocka_unit_test(test_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
