/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line: which words mean what, and what is said about wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/cli/cli.h"

enum { WORDS = 6 };

static bool parse(const char *const words[WORDS], struct arena *arena, struct cli_call *call, str *why)
{
    char *argv[WORDS + 2] = { (char *)(uintptr_t) "weir" };
    int argc = 1;

    for (; argc <= WORDS && words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    return cli_parse(argc, argv, arena, call, why);
}

static void right_ones_are_understood(void **state)
{
    /* clang-format off */
    static const struct {
        const char *words[WORDS];
        const char *command, *file, *socket; /* NULL: the default; none */
        const char *first, *second;
        bool daemonise, verbose, json;
    } rows[] = {
        { { NULL }, .command = "run" },
        { { "-c", "a.conf" }, .command = "run", .file = "a.conf" },
        { { "-d" }, .command = "run", .daemonise = true },
        { { "run", "-d", "-c", "a" }, .command = "run", .file = "a", .daemonise = true },
        { { "check", "-c", "a" }, .command = "check", .file = "a" },
        { { "-c", "a", "check" }, .command = "check", .file = "a" }, /* options may stand in front */
        { { "check", "--config", "a" }, .command = "check", .file = "a" },
        { { "reload", "-s", "/s" }, .command = "reload", .socket = "/s" },
        { { "status", "--json" }, .command = "status", .json = true },
        { { "drain", "off" }, .command = "drain", .first = "off" },
        { { "upstream", "u", "down" }, .command = "upstream", .first = "u", .second = "down" },
        { { "modules", "-v" }, .command = "modules", .verbose = true },
        { { "module", "new", "hello" }, .command = "module new", .first = "hello" },
        { { "module", "new", "hello", "/tmp" }, .command = "module new", .first = "hello", .second = "/tmp" },
        { { "module", "check", "a.so" }, .command = "module check", .first = "a.so" },
        { { "help", "check" }, .command = "help", .first = "check" },
        { { "--help" }, .command = "help" },
        { { "-V" }, .command = "version" },
        { { "--version" }, .command = "version" },
        { { "--rehearse", "-c", "a" }, .command = "--rehearse", .file = "a" },
        { { "--serve", "5" }, .command = "--serve", .first = "5" },
    };
    /* clang-format on */
    struct arena *arena = arena_create(1024, 0);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cli_call call;
        str why = STR_NONE;
        assert_true(parse(rows[i].words, arena, &call, &why));
        assert_string_equal(call.command->name, rows[i].command);
        if (rows[i].file)
            assert_string_equal(call.file, rows[i].file);
        else
            assert_true(str_has_suffix(str_of(call.file), S("/weir.conf")));
        assert_int_equal(call.socket != NULL, rows[i].socket != NULL);
        if (rows[i].socket)
            assert_string_equal(call.socket, rows[i].socket);
        assert_int_equal(call.arg_count, (rows[i].first != NULL) + (rows[i].second != NULL));
        if (rows[i].first)
            assert_string_equal(call.args[0], rows[i].first);
        if (rows[i].second)
            assert_string_equal(call.args[1], rows[i].second);
        assert_int_equal(call.daemonise, rows[i].daemonise);
        assert_int_equal(call.verbose, rows[i].verbose);
        assert_int_equal(call.json, rows[i].json);
    }
    arena_destroy(arena);
}

static void wrong_ones_are_explained(void **state)
{
    /* clang-format off */
    static const struct {
        const char *words[WORDS];
        const char *why;
    } rows[] = {
        { { "chek" }, "unknown command \"chek\": did you mean \"check\"?" },
        { { "xyzzy" }, "unknown command \"xyzzy\"" },
        { { "--serv" }, "unknown option \"--serv\"" }, /* what is hidden is not offered */
        { { "" }, "unknown command \"\"" },
        { { "module" }, "module: \"new\" or \"check\" must follow" },
        { { "module", "chek", "a" }, "unknown command \"module chek\": did you mean \"module check\"?" },
        { { "module", "new" }, "module new: too few arguments" },
        { { "module", "check", "a", "b" }, "module check: \"b\" is too much" },
        { { "check", "--confg", "a" }, "unknown option \"--confg\": did you mean \"--config\"?" },
        { { "check", "-c" }, "-c needs a FILE" },
        { { "check", "-c", "" }, "-c needs a FILE" },
        { { "reload", "-s" }, "-s needs a SOCKET" },
        { { "check", "-c", "a", "-c", "b" }, "-c is given twice" },
        { { "check", "-s", "a" }, "check does not take -s" },
        { { "proxy", "--to" }, "--to needs a URL" },
        { { "proxy", "--from", "a", "--from", "b" }, "--from is given twice" },
        { { "run", "--to", "a" }, "run does not take --to" },
        { { "check", "-d" }, "check does not take -d" },
        { { "status", "-v" }, "status does not take -v" },
        { { "reload", "-c", "a", "-s", "b" }, "reload: -c or -s, not both" },
        { { "check", "a.conf" }, "check: \"a.conf\" is too much" },
        { { "help", "a", "b", "c" }, "help: \"c\" is too much" },
        { { "-c", "a", "b.conf" }, "unknown command \"b.conf\"" },
        { { "--serve" }, "--serve: too few arguments" },
    };
    /* clang-format on */
    struct arena *arena = arena_create(1024, 0);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cli_call call;
        str why = STR_NONE;
        assert_false(parse(rows[i].words, arena, &call, &why));
        assert_string_equal(why.p, rows[i].why);
    }
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_ones_are_understood),
        cmocka_unit_test(wrong_ones_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
