/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Statements as text: name(arg,arg){...}; */
static str shown(struct arena *arena, const struct statement *first)
{
    str all = STR_NONE;
    for (const struct statement *s = first; s; s = s->next) {
        str args = STR_NONE;
        for (uint32_t i = 0; i < s->arg_count; i++)
            args = arena_printf(arena, STR_FMT " " STR_FMT, STR_ARG(args), STR_ARG(s->args[i].text));
        str block = s->has_block ? arena_printf(arena, "{" STR_FMT "}", STR_ARG(shown(arena, s->children))) : S(";");
        all = arena_printf(arena, STR_FMT STR_FMT STR_FMT STR_FMT, STR_ARG(all), STR_ARG(s->name.text), STR_ARG(args),
                           STR_ARG(block));
    }
    return all;
}

static void test_statements(void **state)
{
    static const struct {
        const char *in, *out;
        unsigned errors;
    } cases[] = {
        { "", "", 0 },
        { "a; b 1 2;", "a;b 1 2;", 0 },
        { "a {b; c {} }", "a{b;c{}}", 0 },
        { "a = b;", "a = b;", 0 },
        { "a; } b;", "a;b;", 1 }, /* a stray brace ends nothing */
        { ";a;;", "a;", 2 },
        { "{ x; } a;", "a;", 1 },
        { "a { b", "a{b;}", 2 }, /* what could be read is there */
        { "a { b } c;", "a{b;}c;", 1 },
        { "\"a\" b; c;", "c;", 1 },
        { "include x; a;", "a;", 1 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_create(4096, 0);
        struct diags diags;
        struct tree tree;
        diags_init(&diags, arena);
        bool ok = tree_parse(&tree, S("t"), str_of(cases[i].in), arena, &diags);
        str out = shown(arena, tree.first);
        if (!str_equal(out, str_of(cases[i].out)) || diags.errors != cases[i].errors || ok != (cases[i].errors == 0))
            fail_msg("%s: got " STR_FMT ", %u errors", cases[i].in, STR_ARG(out), diags.errors);
        arena_destroy(arena);
    }
}

static void test_comments_stay_with_what_they_stand_above(void **state)
{
    static const char text[] = "# lost\n\n# one\n# two\na; # of a\nb;\n  # inner\n  c {\n    # d's\n    d;\n}\n";
    struct arena *arena = arena_create(4096, 0);
    struct diags diags;
    struct tree tree;
    (void)state;
    diags_init(&diags, arena);
    assert_true(tree_parse(&tree, S("t"), str_of(text), arena, &diags));
    assert_true(str_equal(tree.first->comment, S("# one\n# two")));
    assert_int_equal(tree.first->next->comment.n, 0);
    const struct statement *c = tree.first->next->next;
    assert_true(str_equal(c->comment, S("# inner")));
    assert_true(str_equal(c->children->comment, S("# d's")));
    assert_ptr_equal(c->children->outer, c);
    arena_destroy(arena);
}

static void test_limits(void **state)
{
    struct arena *arena = arena_create(4096, 0);
    struct diags diags;
    struct tree tree;
    char text[2048];
    size_t n = 0;
    (void)state;
    for (int i = 0; i < 33; i++)
        n += (size_t)sprintf(text + n, "a {\n");
    for (int i = 0; i < 33; i++)
        n += (size_t)sprintf(text + n, "}\n");
    diags_init(&diags, arena);
    assert_false(tree_parse(&tree, S("t"), (str){ text, n }, arena, &diags));
    assert_int_equal(diags.errors, 1);
    assert_int_equal(diags.first->place.line, 33);

    n = (size_t)sprintf(text, "a");
    for (int i = 0; i < 257; i++)
        n += (size_t)sprintf(text + n, " %d", i % 10);
    n += (size_t)sprintf(text + n, ";");
    diags_init(&diags, arena);
    assert_false(tree_parse(&tree, S("t"), (str){ text, n }, arena, &diags));
    assert_int_equal(diags.errors, 1);
    assert_int_equal(tree.first->arg_count, 256);

    char *large = calloc(1, (1 << 20) + 1);
    memset(large, '\n', (1 << 20) + 1);
    diags_init(&diags, arena);
    assert_false(tree_parse(&tree, S("t"), (str){ large, (1 << 20) + 1 }, arena, &diags));
    diags_init(&diags, arena);
    assert_true(tree_parse(&tree, S("t"), (str){ large, 1 << 20 }, arena, &diags));
    free(large);
    arena_destroy(arena);
}

/* Files in memory: pairs of name and text. */
static bool read_pairs(void *arg, str path, struct arena *arena, str *text, str *why)
{
    for (const char *const *pair = arg; pair[0]; pair += 2) {
        if (!str_equal(path, str_of(pair[0])))
            continue;
        *text = arena_str(arena, str_of(pair[1]));
        return true;
    }
    *why = S("no such file");
    return false;
}

static void test_include(void **state)
{
    static const char *const files[] = {
        "/x/main",
        "a; site { include sub/one; b; } include /y/two; c;",
        "/x/sub/one",
        "one; include beside;",
        "/x/sub/beside",
        "beside;",
        "/y/two",
        "two;",
        "/x/cycle",
        "include sub/back; a;",
        "/x/sub/back",
        "include ../cycle; include /x/cycle; back;",
        "/x/self",
        "include self; a;",
        "/x/missing",
        "a; include nowhere; include also/nowhere; b;",
        "/x/twice",
        "include sub/beside; include sub/beside;",
        "/x/wrong",
        "include; include a b; include a { }",
        "/x/open",
        "site { include sub/close; }",
        "/x/sub/close",
        "a; }",
        "/x/pattern",
        "include none/*.conf; a;",
        NULL,
    };
    static const struct {
        const char *path, *out;
        unsigned errors;
    } cases[] = {
        { "/x/main", "a;site{one;beside;b;}two;c;", 0 },
        { "/x/cycle", "back;a;", 2 }, /* ../cycle is no name these files know */
        { "/x/self", "a;", 1 },
        { "/x/missing", "a;b;", 2 },
        { "/x/twice", "beside;beside;", 0 },
        { "/x/wrong", "", 3 },
        { "/x/open", "site{a;}", 1 }, /* a block begins and ends in one file */
        { "/x/pattern", "a;", 0 },
        { "/x/nothing", "", 1 },
    };
    struct tree_reader reader = { .read = read_pairs, .arg = (void *)files };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_create(4096, 0);
        struct diags diags;
        struct tree tree;
        diags_init(&diags, arena);
        tree_load(&tree, str_of(cases[i].path), &reader, arena, &diags);
        str out = shown(arena, tree.first);
        if (!str_equal(out, str_of(cases[i].out)) || diags.errors != cases[i].errors)
            fail_msg("%s: got " STR_FMT ", %s", cases[i].path, STR_ARG(out), diags_render(&diags, arena).p);
        arena_destroy(arena);
    }
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_patterns_on_disk(void **state)
{
    char folder[] = "/tmp/weir-tree-[x]XXXXXX", path[512], command[600];
    struct arena *arena = arena_create(4096, 0);
    struct diags diags;
    struct tree tree;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/d", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/d/folder.conf", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file(folder, "main", "include d/*.conf; include d/none*; include main;");
    write_file(folder, "d/b.conf", "b;");
    write_file(folder, "d/B.conf", "capital;");
    write_file(folder, "d/a.conf", "a;");
    write_file(folder, "d/.hidden.conf", "hidden;");
    write_file(folder, "d/other", "other;");
    diags_init(&diags, arena);
    snprintf(path, sizeof(path), "%s/main", folder);
    assert_false(tree_load(&tree, str_of(path), NULL, arena, &diags));
    assert_true(str_equal(shown(arena, tree.first), S("capital;a;b;")));
    assert_int_equal(diags.errors, 1); /* it cannot include itself */
    assert_non_null(strstr(diags.first->message.p, "include cycle"));
    assert_true(str_has_suffix(tree.sources->next->path, S("/d/B.conf")));

    diags_init(&diags, arena);
    assert_false(tree_load(&tree, str_of(folder), NULL, arena, &diags)); /* a folder is no file */
    assert_int_equal(diags.errors, 1);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
    arena_destroy(arena);
}

static void test_places_can_be_found_again(void **state)
{
    struct arena *arena = arena_create(4096, 0);
    struct diags diags;
    struct tree tree;
    (void)state;
    diags_init(&diags, arena);
    tree_parse(&tree, S("t"), S("a;\n  beta gamma;\n"), arena, &diags);
    struct place place = source_place(tree.first->source, S("t"), 2, 3);
    assert_true(str_equal(place.text, S("  beta gamma;")));
    assert_int_equal(place.length, 4);
    place = source_place(tree.first->source, S("other"), 2, 3);
    assert_int_equal(place.text.n, 0);
    place = source_place(tree.first->source, S("t"), 99, 1);
    assert_int_equal(place.text.n, 0);
    place = word_end_place(tree.first->next, &tree.first->next->args[0]);
    assert_int_equal(place.column, 13);
    assert_int_equal(place.length, 0);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements),       cmocka_unit_test(test_comments_stay_with_what_they_stand_above),
        cmocka_unit_test(test_limits),           cmocka_unit_test(test_include),
        cmocka_unit_test(test_patterns_on_disk), cmocka_unit_test(test_places_can_be_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
