/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "toy.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

/* Each NAME.conf of a folder is refused with exactly the words of NAME.err. With WEIR_WRITE_EXPECTED set the words are
 * written instead: read them before you keep them. */

static str read_whole(struct arena *arena, const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = arena_alloc(arena, 1 << 16);
    size_t n = file ? fread(text, 1, 1 << 16, file) : 0;
    if (file)
        fclose(file);
    return (str){ text, n };
}

static bool is_refused_as_told(const char *conf)
{
    struct toy toy;
    struct toy_scopes all = { .count = 0 };
    char path[512];
    snprintf(path, sizeof(path), "%.*s.err", (int)strlen(conf) - 5, conf);
    assert_true(toy_init(&toy));
    tree_load(&toy.tree, str_of(conf), NULL, toy.arena, &toy.diags);
    assert_non_null(toy_bind_scope(&toy, &all, NULL, WEIR_IN_TOP, NULL));
    str got = diags_render(&toy.diags, toy.arena);
    if (getenv("WEIR_WRITE_EXPECTED")) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        fwrite(got.p, 1, got.n, file);
        fclose(file);
    }
    str expected = read_whole(toy.arena, path);
    bool same = got.n > 0 && toy.diags.errors > 0 && str_equal(got, expected);
    if (!same)
        print_error("%s: expected\n" STR_FMT "got\n" STR_FMT, conf, STR_ARG(expected), STR_ARG(got));
    toy_drop(&toy, &all);
    toy_finish(&toy);
    return same;
}

static void check_folder(const char *below)
{
    const char *top = getenv("WEIR_TOP");
    char folder[512], before[512];
    unsigned count = 0, failed = 0;
    snprintf(folder, sizeof(folder), "%s/%s", top ? top : ".", below);
    assert_non_null(getcwd(before, sizeof(before)));
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    assert_int_equal(chdir(folder), 0); /* so that files are named as they are here */
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!str_has_suffix(str_of(entry->d_name), S(".conf")))
            continue;
        count++;
        failed += !is_refused_as_told(entry->d_name);
    }
    closedir(dir);
    assert_int_equal(chdir(before), 0);
    assert_true(count > 0);
    assert_int_equal(failed, 0);
}

static void test_toy_messages(void **state)
{
    (void)state;
    check_folder("tests/config/toy");
}

/* The configurations that `weir check` is asked about too: what they get wrong is the same in this small world. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_toy_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
