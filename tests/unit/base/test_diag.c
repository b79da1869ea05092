/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/diag.h"

#include "failing.h"

#include <stdlib.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void one_finding(void **state)
{
    (void)state;
    static const struct {
        struct place place;
        const char *message, *hint, *text;
    } rows[] = {
        /* clang-format off */
        /* The form of the header. */
        { { WEIR_S("site.conf"), 4, 5, 5, WEIR_S("    proxi http://10.0.0.5:2342;") },
          "unknown directive \"proxi\"", "did you mean \"proxy\"?",
          "site.conf:4:5: error: unknown directive \"proxi\"\n"
          "   4 |     proxi http://10.0.0.5:2342;\n"
          "     |     ^~~~~ did you mean \"proxy\"?\n" },
        { { WEIR_S("a"), 1, 1, 1, WEIR_S("x") }, "m", "", "a:1:1: error: m\n   1 | x\n     | ^\n" },
        { { WEIR_S("a"), 1, 1, 0, WEIR_S("xy") }, "m", "", "a:1:1: error: m\n   1 | xy\n     | ^\n" },
        /* The margin grows with the number. */
        { { WEIR_S("a"), 12345, 2, 1, WEIR_S("xy") }, "m", "h",
          "a:12345:2: error: m\n12345 | xy\n      |  ^ h\n" },
        /* Tabs before the caret stay tabs. */
        { { WEIR_S("a"), 7, 4, 2, WEIR_S("\t \tab c") }, "m", "",
          "a:7:4: error: m\n   7 | \t \tab c\n     | \t \t^~\n" },
        /* Columns count bytes, carets stand under characters. */
        { { WEIR_S("a"), 7, 6, 4, WEIR_S("\xc3\xa4\xe2\x82\xac\xc3\xb6\xc3\xbc") }, "m", "",
          "a:7:6: error: m\n   7 | \xc3\xa4\xe2\x82\xac\xc3\xb6\xc3\xbc\n     |   ^~\n" },
        /* What does not print takes one column. */
        { { WEIR_S("a"), 7, 5, 1, WEIR_S("\x1b\xff\xc2\x9bx") }, "m", "",
          "a:7:5: error: m\n   7 | ???x\n     |    ^\n" },
        /* Just behind the end, and far behind it. */
        { { WEIR_S("a"), 7, 3, 5, WEIR_S("ab\r\n") }, "missing \";\"", "",
          "a:7:3: error: missing \";\"\n   7 | ab\n     |   ^\n" },
        { { WEIR_S("a"), 7, 99, 5, WEIR_S("ab") }, "m", "", "a:7:99: error: m\n   7 | ab\n     |   ^\n" },
        /* A length beyond the line ends with it. */
        { { WEIR_S("a"), 7, 2, 50, WEIR_S("abc") }, "m", "", "a:7:2: error: m\n   7 | abc\n     |  ^~\n" },
        /* Less is known: less is shown, the hint always. */
        { { WEIR_S("a"), 7, 0, 0, WEIR_S("abc") }, "m", "h", "a:7: error: m\n   7 | abc\n     | h\n" },
        { { WEIR_S("a"), 7, 3, 1, WEIR_S("") }, "m", "h", "a:7:3: error: m\n     | h\n" },
        { { WEIR_S("a"), 7, 3, 1, WEIR_S("") }, "m", "", "a:7:3: error: m\n" },
        { { WEIR_S("a"), 0, 3, 1, WEIR_S("abc") }, "m", "", "a: error: m\n" },
        { { WEIR_S(""), 0, 0, 0, WEIR_S("") }, "m", "", "error: m\n" },
        /* Nothing in it can forge a line. */
        { { WEIR_S("a\nb"), 0, 0, 0, WEIR_S("") }, "m\rn", "h\n",
          "a\\x0ab: error: m\\x0dn\n     | h\\x0a\n" },
        /* clang-format on */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena *arena = arena_create(1024, 0);
        struct diags diags;
        diags_init(&diags, arena);
        diag_error(&diags, rows[i].place, str_of(rows[i].hint), "%s", rows[i].message);
        assert_string_equal(diags_render(&diags, arena).p, rows[i].text);
        arena_destroy(arena);
    }
}

/* Draws `n` of c. */
static const char *many(char c, int n)
{
    static char room[4][512];
    static int at;
    char *text = room[at++ % 4];
    memset(text, c, (size_t)n);
    text[n] = '\0';
    return text;
}

/* Lines above 100 columns are cut around the caret, which still stands under what it means. */
static void long_lines(void **state)
{
    (void)state;
    char line[301], expected[1024];
    for (uint32_t column = 1; column <= 301; column++) {
        struct arena *arena = arena_create(1024, 0);
        struct diags diags;
        memset(line, '-', 300);
        line[300] = '\0';
        if (column <= 300)
            line[column - 1] = '@';
        diags_init(&diags, arena);
        diag_error(&diags, (struct place){ S("a"), 1, column, 1, str_of(line) }, STR_NONE, "m");
        const char *text = diags_render(&diags, arena).p;
        const char *quoted = strchr(text, '\n') + 1, *carets = strchr(quoted, '\n') + 1;
        assert_true(carets - quoted <= 7 + 3 + 100 + 3 + 1);
        const char *caret = strchr(carets, '^');
        assert_non_null(caret);
        if (column <= 300)
            assert_int_equal(quoted[caret - carets], '@');
        else
            assert_int_equal(quoted[caret - carets], '\n');
        arena_destroy(arena);
    }
    struct arena *arena = arena_create(1024, 0);
    struct diags diags;
    diags_init(&diags, arena);
    memset(line, '-', 300);
    memcpy(line + 150, "abc", 3);
    diag_error(&diags, (struct place){ S("a"), 1, 151, 3, str_of(line) }, S("hint"), "m");
    snprintf(expected, sizeof(expected), "a:1:151: error: m\n   1 | ...%sabc%s...\n     |    %s^~~ hint\n",
             many('-', 40), many('-', 57), many(' ', 40));
    assert_string_equal(diags_render(&diags, arena).p, expected);
    arena_destroy(arena);
}

/* A cut never splits a character: all 100 places of the window's edge within three-byte ones. */
static void long_lines_of_wide_characters(void **state)
{
    (void)state;
    char line[301];
    for (size_t i = 0; i < 300; i++)
        line[i] = "\xe2\x82\xac"[i % 3];
    line[300] = '\0';
    for (uint32_t column = 1; column <= 300; column += 3) {
        struct arena *arena = arena_create(1024, 0);
        struct diags diags;
        diags_init(&diags, arena);
        diag_error(&diags, (struct place){ S("a"), 1, column, 3, str_of(line) }, STR_NONE, "m");
        str text = diags_render(&diags, arena);
        assert_int_equal(str_find(text, '?'), text.n);
        for (str rest = text; rest.n; rest = str_from(rest, str_utf8_length(rest)))
            assert_true(str_utf8_length(rest) > 0);
        arena_destroy(arena);
    }
}

static void findings_are_ordered_by_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        uint32_t line;
        const char *message;
    } rows[] = {
        {"b",  9, "first"  },
        { "a", 5, "second" },
        { "b", 3, "third"  },
        { "a", 5, "fourth" },
        { "b", 9, "fifth"  },
        { "a", 1, "sixth"  },
        { "",  0, "seventh"},
    };
    struct arena *arena = arena_create(1024, 0);
    struct diags diags;
    diags_init(&diags, arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct place place = { str_of(rows[i].file), rows[i].line, 0, 0, STR_NONE };
        if (i % 2)
            diag_warning(&diags, place, STR_NONE, "%s", rows[i].message);
        else
            diag_error(&diags, place, STR_NONE, "%s", rows[i].message);
    }
    assert_int_equal(diags.errors, 4);
    assert_int_equal(diags.warnings, 3);
    static const char expected[] = "b:3: error: third\nb:9: error: first\nb:9: error: fifth\n"
                                   "a:1: warning: sixth\na:5: warning: second\na:5: warning: fourth\n"
                                   "error: seventh\n";
    assert_string_equal(diags_render(&diags, arena).p, expected);

    char *printed = NULL;
    size_t n = 0;
    FILE *file = open_memstream(&printed, &n);
    diags_print(&diags, file);
    fclose(file);
    assert_string_equal(printed, expected);
    free(printed);
    arena_destroy(arena);
}

static void nothing_found(void **state)
{
    (void)state;
    struct arena *arena = arena_create(64, 0);
    struct diags diags;
    diags_init(&diags, arena);
    assert_string_equal(diags_render(&diags, arena).p, "");
    arena_destroy(arena);
}

/* Findings keep copies: what they were given may change or go. */
static void findings_own_their_texts(void **state)
{
    (void)state;
    struct arena *arena = arena_create(64, 0);
    struct diags diags;
    diags_init(&diags, arena);
    char file[] = "f", text[] = "text", hint[] = "hint", message[] = "message";
    struct place place = { str_of(file), 1, 1, 4, str_of(text) };
    diag_error(&diags, place, str_of(hint), "%s", message);
    place.column = 3;
    diag_error(&diags, place, str_of(hint), "%s", message); /* on the same line: shares the copy */
    assert_ptr_equal(diags.first->place.text.p, diags.last->place.text.p);
    memset(file, '#', 1);
    memset(text, '#', 4);
    memset(hint, '#', 4);
    memset(message, '#', 7);
    assert_string_equal(diags_render(&diags, arena).p, "f:1:1: error: message\n   1 | text\n     | ^~~~ hint\n"
                                                       "f:1:3: error: message\n   1 | text\n     |   ^~ hint\n");
    arena_destroy(arena);
}

static void beyond_the_most_only_counts(void **state)
{
    (void)state;
    static const struct {
        int errors, warnings; /* added in this order */
        const char *more;
    } rows[] = {
        {DIAG_MOST,      0, ""                                   },
        { DIAG_MOST + 1, 0, "and 1 more error\n"                 },
        { DIAG_MOST + 7, 1, "and 7 more errors, 1 more warning\n"},
        { DIAG_MOST - 1, 3, "and 2 more warnings\n"              },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena *arena = arena_create(4096, 0);
        struct diags diags;
        struct place nowhere = { 0 };
        diags_init(&diags, arena);
        for (int k = 0; k < rows[i].errors; k++)
            diag_error(&diags, nowhere, STR_NONE, "e");
        for (int k = 0; k < rows[i].warnings; k++)
            diag_warning(&diags, nowhere, STR_NONE, "w");
        assert_int_equal(diags.errors, rows[i].errors);
        assert_int_equal(diags.warnings, rows[i].warnings);
        str text = diags_render(&diags, arena);
        size_t lines = 0;
        for (size_t k = 0; k < text.n; k++)
            lines += text.p[k] == '\n';
        assert_int_equal(lines, DIAG_MOST + (rows[i].more[0] != '\0'));
        assert_true(str_has_suffix(text, str_of(rows[i].more)));
        arena_destroy(arena);
    }
}

static void nearest_word(void **state)
{
    (void)state;
    static const str candidates[] = { WEIR_S("proxy"),    WEIR_S("listen"), WEIR_S("upstream"), WEIR_S("gzip"),
                                      WEIR_S("location"), WEIR_S("tls"),    WEIR_S("max_body"), WEIR_S("") };
    static const struct {
        const char *word, *nearest; /* NULL: none */
    } rows[] = {
        {"proxi",     "proxy"   },
        { "pory",     NULL      }, /* two edits in four letters */
        { "porxy",    "proxy"   }, /* neighbours swapped are one */
        { "proxyy",   "proxy"   },
        { "prox",     "proxy"   },
        { "listne",   "listen"  },
        { "LISTEN",   "listen"  },
        { "upstrem",  "upstream"},
        { "upsteram", "upstream"},
        { "upst",     NULL      },
        { "max-body", "max_body"},
        { "tsl",      "tls"     },
        { "tl",       NULL      }, /* a third of two letters is none */
        { "x",        NULL      },
        { "",         NULL      },
        { "elephant", NULL      },
        { "zip",      "gzip"    },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        str nearest = diag_nearest(str_of(rows[i].word), candidates, COUNT(candidates));
        if (rows[i].nearest)
            assert_true(str_equal(nearest, str_of(rows[i].nearest)));
        else
            assert_int_equal(nearest.n, 0);
    }
    assert_null(diag_nearest(S("proxy"), NULL, 0).p);
    char word[200];
    memset(word, 'a', sizeof(word));
    str same = { word, 65 }; /* too long to be a mistake, whatever it is compared with */
    assert_int_equal(diag_nearest(same, &same, 1).n, 0);
    same.n = 64;
    assert_int_equal(diag_nearest(same, &same, 1).n, 64);
    str longer = { word, 200 };
    assert_int_equal(diag_nearest(same, &longer, 1).n, 0);
}

static bool collect_and_render(void *arg)
{
    (void)arg;
    struct arena *arena = arena_create(16, 0);
    if (!arena)
        return false;
    struct diags diags;
    diags_init(&diags, arena);
    for (uint32_t i = 1; i <= 3; i++)
        diag_error(&diags, (struct place){ S("f"), i, 1, 1, S("text") }, S("hint"), "%300u", i);
    assert_int_equal(diags.errors, 3); /* what could not be kept is counted: no error is ever lost */
    int kept = 0;
    for (const struct diag *diag = diags.first; diag; diag = diag->next)
        kept++;
    str text = diags_render(&diags, arena);
    assert_true(!text.p || kept == 3 || str_find_str(text, S(" more error")) < text.n);

    char printed[4096] = "";
    FILE *file = fmemopen(printed, sizeof(printed), "w");
    assert_non_null(file);
    diags_print(&diags, file); /* says something in any case */
    fclose(file);
    assert_non_null(strstr(printed, "error"));
    bool rendered = text.p != NULL;
    arena_destroy(arena);
    return kept == 3 && rendered && !strstr(printed, "no memory");
}

static void without_memory(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(collect_and_render, NULL) >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_finding),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(long_lines_of_wide_characters),
        cmocka_unit_test(findings_are_ordered_by_file_and_line),
        cmocka_unit_test(nothing_found),
        cmocka_unit_test(findings_own_their_texts),
        cmocka_unit_test(beyond_the_most_only_counts),
        cmocka_unit_test(nearest_word),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests_name("diag", tests, NULL, NULL);
}
