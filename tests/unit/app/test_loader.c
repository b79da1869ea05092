/* SPDX-License-Identifier: BSD-2-Clause */
/* Modules from disk: found, found again, refused in words. The modules of this build are in $WEIR_MODULES. */
#include "from_text.h"

#include "app/house/loader.h"

#include <fcntl.h>
#include <sys/sendfile.h>

static bool has_modules;

static const char *built(const char *name)
{
    static char path[512];
    const char *modules_dir = getenv("WEIR_MODULES");

    snprintf(path, sizeof(path), "%s/%s.so", modules_dir ? modules_dir : "", name);
    return path;
}

static int find_modules(void **state)
{
    loader_register_builtin();
    has_modules = access(built("access"), R_OK) == 0 && access(built("gzip"), R_OK) == 0;
    return make_folder(state);
}

/* A copy as a package manager makes it: a new file in the old one's place. */
static void install(const char *name, const char *as)
{
    int from = open(built(name), O_RDONLY), to = open(path_in_folder("new"), O_WRONLY | O_CREAT | O_TRUNC, 0755);
    struct stat st;

    assert_true(from >= 0 && to >= 0);
    assert_int_equal(fstat(from, &st), 0);
    assert_int_equal(sendfile(to, from, NULL, (size_t)st.st_size), st.st_size);
    close(from);
    close(to);
    assert_int_equal(rename(path_in_folder("new"), path_in_folder(as)), 0);
}

static void test_load_and_find_again(void **state)
{
    (void)state;
    if (!has_modules)
        skip();
    struct arena *arena = arena_create(1024, 0);
    str why;

    install("access", "access.so");
    weir_mod *mod = loader_load(S("access"), str_of(folder), arena, &why);
    assert_non_null(mod);
    assert_text(mod->name, "access");
    assert_ptr_equal(loader_load(S("access"), str_of(folder), arena, &why), mod);
    assert_ptr_equal(loader_load(str_of(path_in_folder("access.so")), S("/nowhere"), arena, &why), mod);
    assert_int_equal(link(path_in_folder("access.so"), path_in_folder("same.so")), 0);
    assert_ptr_equal(loader_load(S("same"), str_of(folder), arena, &why), mod); /* the same file by another name */

    install("access", "other.so");
    assert_null(loader_load(S("other"), str_of(folder), arena, &why));
    assert_non_null(strstr(why.p, "is loaded already"));

    install("access", "access.so");
    assert_null(loader_load(S("access"), str_of(folder), arena, &why));
    assert_non_null(strstr(why.p, "was replaced since it was loaded: needs weir upgrade or a restart"));
    assert_ptr_equal(loader_load(S("same"), str_of(folder), arena, &why), mod); /* the old one lives on there */
    arena_destroy(arena);
}

static void test_what_cannot_be_loaded(void **state)
{
    struct arena *arena = arena_create(1024, 0);
    str why;

    (void)state;
    assert_null(loader_load(S("nothing"), str_of(folder), arena, &why));
    assert_non_null(strstr(why.p, "nothing.so: No such file or directory"));
    write_file("text.so", "this is no shared object, whatever its name says");
    assert_null(loader_load(S("text"), str_of(folder), arena, &why));
    assert_non_null(strstr(why.p, "text.so: "));
    assert_int_equal(mkdir(path_in_folder("folder.so"), 0700), 0);
    assert_null(loader_load(S("folder"), str_of(folder), arena, &why));
    assert_non_null(strstr(why.p, "folder.so is no file"));
    assert_null(loader_load(S("libm.so.6.so"), S(""), arena, &why));
    arena_destroy(arena);
}

static void test_hints(void **state)
{
    struct arena *arena = arena_create(1024, 0);

    (void)state;
    assert_int_equal(mkdir(path_in_folder("mods"), 0700), 0);
    str mods = arena_str(arena, str_of(path_in_folder("mods")));
    str none = arena_printf(arena, "there are no modules in %.*s", STR_ARG(mods));
    assert_text(loader_hint(S("gzip"), mods, arena), none.p);
    assert_non_null(strstr(loader_hint(S("gzip"), S("/nowhere"), arena).p, "there are no modules in /nowhere"));
    write_file("mods/gzip.so", "");
    write_file("mods/access-log.so", "");
    write_file("mods/readme.txt", "");
    assert_text(loader_hint(S("gzp"), mods, arena), "did you mean \"gzip\"?");
    str all = arena_printf(arena, "%.*s holds access-log, gzip", STR_ARG(mods));
    assert_text(loader_hint(S("waf"), mods, arena), all.p);
    arena_destroy(arena);
}

static const char *with_modules(const char *text)
{
    static char whole[2048];

    snprintf(whole, sizeof(whole), "modules_dir %s;\n%s", getenv("WEIR_MODULES"), text);
    return whole;
}

static const struct {
    const char *text, *errors;
} rows[] = {
    { "gzip on;\nsite a { gzip_level 3; }",
      "t.conf:2:1: error: unknown directive \"gzip\"\n"
      "   2 | gzip on;\n"
      "     | ^~~~ it is a directive of module gzip, which is not loaded: add \"module gzip;\"\n"
      "t.conf:3:10: error: unknown directive \"gzip_level\"\n"
      "   3 | site a { gzip_level 3; }\n"
      "     |          ^~~~~~~~~~ it is a directive of module gzip, which is not loaded: add \"module gzip;\"\n" },
    { "module gzip;\ngzip maybe;", "t.conf:3:6: error: gzip: \"maybe\" is neither on nor off\n"
                                   "   3 | gzip maybe;\n"
                                   "     |      ^~~~~ on or off\n" },
};

static void test_directives_of_modules(void **state)
{
    (void)state;
    if (!has_modules)
        skip();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct configuration *c = load_text(with_modules(rows[i].text));
        assert_null(c->snapshot);
        assert_string_equal(errors_of(c).p, rows[i].errors);
        configuration_free(c);
    }
    configuration_free(
        bind_text(with_modules("gzip on; module gzip; module gzip;"))); /* order and repetition do not matter */
}

/* What one configuration loads, another one does not have: its directives must not leak in. */
static void test_a_module_that_is_loaded_but_not_named(void **state)
{
    (void)state;
    if (!has_modules)
        skip();
    configuration_free(bind_text(with_modules("module gzip; gzip on;")));
    struct configuration *c = bind_text("site a { respond 200; }");
    assert_null(schema_find(c->snapshot->schema, S("gzip"), 0));
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++)
        for (uint32_t i = 0; i < c->snapshot->order.count[stage]; i++)
            assert_false(str_equal(c->snapshot->order.at[stage][i].mod->name, S("gzip")));
    configuration_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_and_find_again),
        cmocka_unit_test(test_what_cannot_be_loaded),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_directives_of_modules),
        cmocka_unit_test(test_a_module_that_is_loaded_but_not_named),
    };
    return cmocka_run_group_tests(tests, find_modules, remove_folder);
}
