/* SPDX-License-Identifier: BSD-2-Clause */
/* The book of strikes: what counts, for how long, for which build, and that it passes through an upgrade. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/process/strikes.h"

enum { MINUTE = 60 * 1000 };

/* Each row is one crash: of which build, at which time; and what it leads to. */
static void test_what_counts(void **state)
{
    static const struct {
        const char *name, *build;
        bool at_start;
        uint64_t at;
        enum strike leads_to;
        unsigned count;
    } crashes[] = {
        { "a", "id:1", false, 1 * MINUTE, STRIKE_NOTED, 1 },
        { "a", "id:1", false, 2 * MINUTE, STRIKE_NOTED, 2 },
        { "a", "id:2", false, 2 * MINUTE, STRIKE_NOTED, 1 },  /* another build has its own */
        { "b", "id:1", false, 2 * MINUTE, STRIKE_NOTED, 1 },  /* and so has another module */
        { "a", "id:1", false, 11 * MINUTE + 1, STRIKE_NOTED, 2 }, /* the first is too long ago */
        { "a", "id:1", false, 12 * MINUTE, STRIKE_OUT, 3 },   /* ten minutes behind the second: still within */
        { "a", "id:1", false, 13 * MINUTE, STRIKE_DEEP, 3 },  /* in spite of its quarantine */
        { "a", "id:1", false, 14 * MINUTE, STRIKE_NOTED, 3 }, /* nothing more can be done */
        { "a", "id:2", false, 14 * MINUTE, STRIKE_NOTED, 1 },
    };
    static struct strikes strikes;

    (void)state;
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
        str name = str_of(crashes[i].name), build = str_of(crashes[i].build);
        enum strike got = strikes_add(&strikes, name, build, crashes[i].at_start, crashes[i].at, S("SIGSEGV"));
        if (got != crashes[i].leads_to || (crashes[i].at < 13 * MINUTE && strikes_count(&strikes, name, build,
                                                                           crashes[i].at) != crashes[i].count))
            fail_msg("crash %zu: %d", i, (int)got);
    }
    assert_string_equal(strikes_find_out(&strikes, S("a"))->build, "id:1");
    assert_true(strikes_find_out(&strikes, S("a"))->is_deep);
    assert_null(strikes_find_out(&strikes, S("b")));
}

static void put_out(struct strikes *strikes, const char *name, bool at_start)
{
    for (unsigned i = 0; i < STRIKES_OUT; i++)
        strikes_add(strikes, str_of(name), S("id:1"), at_start, 1000 * (i + 1), S("SIGSEGV at 0x0: in %s"));
}

static void test_crashes_in_load_are_deep_at_once(void **state)
{
    static struct strikes strikes;

    (void)state;
    put_out(&strikes, "a", true);
    assert_true(strikes_find_out(&strikes, S("a"))->is_deep);
    assert_string_equal(strikes_find_out(&strikes, S("a"))->why,
                        "3 crashes within 2 s, the last: SIGSEGV at 0x0: in %s");
}

static void test_forgetting(void **state)
{
    static struct strikes strikes;

    (void)state;
    put_out(&strikes, "a", false);
    put_out(&strikes, "b", false);
    assert_false(strikes_forget(&strikes, S("c")));
    assert_true(strikes_forget(&strikes, S("a")));
    assert_false(strikes_forget(&strikes, S("a")));
    assert_null(strikes_find_out(&strikes, S("a")));
    assert_non_null(strikes_find_out(&strikes, S("b")));
    assert_int_equal(strikes_count(&strikes, S("a"), S("id:1"), 3000), 0);
}

/* What one supervisor writes the next one reads. */
static void test_through_an_upgrade(void **state)
{
    static struct strikes before, after;
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);

    (void)state;
    put_out(&before, "a", false);
    put_out(&before, "b", true);
    strikes_add(&before, S("c"), S("file:1-2-3"), false, 7, S("SIGBUS"));
    strikes_write(&before, to);
    fclose(to);
    str rest = { text, n }, line;
    while (str_split(&rest, '\n', &line))
        if (line.n)
            assert_true(strikes_read(&after, str_from(line, sizeof("strike"))));
    assert_int_equal(after.count, before.count);
    for (unsigned i = 0; i < before.count; i++)
        assert_memory_equal(&after.at[i], &before.at[i], sizeof(after.at[i]));
    free(text);
}

static void test_lines_that_are_none(void **state)
{
    static const char *const lines[] = {
        "", "a", "a id:1", "a id:1 2 0 0", "a id:1 1 0 4", "a id:1 1 0 3 1 2", "a id:1 x 0 0 ", " id:1 0 0 0 ",
        "a  0 0 0 ", "a23456789012345678901234567890123 id:1 0 0 0 ",
    };
    static struct strikes strikes;

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (strikes_read(&strikes, str_of(lines[i])))
            fail_msg("\"%s\" was taken", lines[i]);
}

/* 64 builds: the one whose last crash is longest ago makes room, never one in quarantine. */
static void test_room(void **state)
{
    static struct strikes strikes;
    char name[16];

    (void)state;
    put_out(&strikes, "out", false);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        strikes_add(&strikes, str_of(name), S("id:1"), false, 5000 + i, S("x"));
    }
    assert_int_equal(strikes.count, QUARANTINES_MOST);
    assert_non_null(strikes_find_out(&strikes, S("out")));
    assert_int_equal(strikes_count(&strikes, S("m99"), S("id:1"), 6000), 1);
    assert_int_equal(strikes_count(&strikes, S("m0"), S("id:1"), 6000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_crashes_in_load_are_deep_at_once),
        cmocka_unit_test(test_forgetting),
        cmocka_unit_test(test_through_an_upgrade),
        cmocka_unit_test(test_lines_that_are_none),
        cmocka_unit_test(test_room),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("app/strikes", tests, NULL, NULL);
}
