/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/lexer.h"

#include <stdio.h>

/* A text as its tokens: bare words as they are, "double", 'single', KEY=value; the separator is a space. */
static str tokens_of(struct arena *arena, str text, struct diags *diags)
{
    struct source source = { .path = S("t"), .text = text };
    struct lexer lexer;
    str all = STR_NONE;
    lexer_init(&lexer, &source, arena, diags);
    for (struct token token = lexer_next(&lexer); token.kind != TOKEN_END; token = lexer_next(&lexer)) {
        const struct word *w = &token.word;
        str shown = token.kind == TOKEN_SEMICOLON ? S(";") : token.kind == TOKEN_OPEN ? S("{") : S("}");
        const char *quote = w->quote == WORD_DOUBLE ? "\"" : w->quote == WORD_SINGLE ? "'" : "";
        if (token.kind == TOKEN_WORD && w->key.n)
            shown =
                arena_printf(arena, "<" STR_FMT ">%s" STR_FMT "%s", STR_ARG(w->key), quote, STR_ARG(w->value), quote);
        else if (token.kind == TOKEN_WORD)
            shown = arena_printf(arena, "%s" STR_FMT "%s", quote, STR_ARG(w->text), quote);
        all = arena_printf(arena, STR_FMT "%s" STR_FMT, STR_ARG(all), all.n ? " " : "", STR_ARG(shown));
        if (token.kind == TOKEN_WORD)
            assert_int_equal(w->text.p[w->text.n], '\0');
    }
    return all;
}

static void test_words(void **state)
{
    static const struct {
        const char *in, *out;
        unsigned errors;
    } cases[] = {
        { "", "", 0 },
        { "a;", "a ;", 0 },
        { "a b\tc\n d;", "a b c d ;", 0 },
        { "a;b{c}d", "a ; b { c } d", 0 },
        { "\xef\xbb\xbf"
          "a;",
          "a ;", 0 },
        { "a;\r\nb;\r\n", "a ; b ;", 0 },
        { "# all\na; # rest; {\n#end", "a ;", 0 },
        { "a b#c;", "a b#c ;", 0 }, /* a comment begins a word of its own */
        { "/new$uri /${uri}/x;", "/new$uri /${uri}/x ;", 0 },
        /* no name in braces: the brace is the grammar's */
        { "a ${b;", "a $ { b ;", 0 },
        { "a ^/x{2}$;", "a ^/x { 2 } $ ;", 0 }, /* such a word wants quotes */
        { "\\.php$ \\d;", "\\.php$ \\d ;", 0 }, /* bare: a backslash is one */
        { "\"a b\" 'c d' \"\" '';", "\"a b\" 'c d' \"\" '' ;", 0 },
        { "\"\\\"\\\\\\n\\t\";", "\"\"\\\n\t\" ;", 0 },
        { "\"\\$x\";", "\"\\$x\" ;", 0 }, /* left to the template */
        { "\"\\\\$x\";", "\"\\\\$x\" ;", 0 },
        { "\"\\\\\\\\x\";", "\"\\\\x\" ;", 0 },
        { "\"\\x\";", "\"\" ;", 1 },
        { "'\\n\\';", "'\\n\\' ;", 0 },
        { "k=v k= =v a.b=c k-1_=x;", "<k>v <k> =v a.b=c <k-1_>x ;", 0 },
        { "k=\"a b\" k='$c';", "<k>\"a b\" <k>'$c' ;", 0 },
        { "k=a=b;", "<k>a=b ;", 0 },
        { "\"k=v\";", "\"k=v\" ;", 0 }, /* quoted as a whole: no option */
        { "\"two\nlines\r\nthree\";", "\"two\nlines\nthree\" ;", 0 },
        { "it's;", "it's ;", 1 },
        { "\"a\"b;", "\"a\" b ;", 1 },
        /* unclosed: as if closed before the line's last ';' */
        { "a \"b\r\n;", "a \"b\" ;", 1 },
        { "a \"b; c;\nd;", "a \"b; c\" ; d ;", 1 },
        { "a \"b\nc \"d\";", "a \"b\" c \"d\" ;", 1 }, /* closed by the opening of another one */
        { "a \x01 b;", "a b ;", 1 },
        { "a\rb;", "a b ;", 1 },
        { "a 'x\x7fy';", "a 'x\x7fy' ;", 1 },
        { "\xc3\xa4 \xff;", "\xc3\xa4 \xff ;", 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_create(4096, 0);
        struct diags diags;
        diags_init(&diags, arena);
        str out = tokens_of(arena, str_of(cases[i].in), &diags);
        if (!str_equal(out, str_of(cases[i].out)) || diags.errors != cases[i].errors)
            fail_msg("%s: got " STR_FMT ", %u errors", cases[i].in, STR_ARG(out), diags.errors);
        arena_destroy(arena);
    }
}

static void test_nul_ends_the_file(void **state)
{
    struct arena *arena = arena_create(4096, 0);
    struct diags diags;
    (void)state;
    diags_init(&diags, arena);
    str out = tokens_of(arena, S("a;\0b; \x02"), &diags);
    assert_true(str_equal(out, S("a ;")));
    assert_int_equal(diags.errors, 1);
    arena_destroy(arena);
}

/* What a place of each token would be: line:column+length. */
static void test_places(void **state)
{
    static const char text[] = "site a {\n\tproxy \"x\ny\" k=\"v w\";\n}\n";
    static const struct {
        uint32_t line, column, length, line_at;
    } places[] = {
        { 1, 1, 4, 0 }, { 1, 6, 1, 0 },  { 1, 8, 1, 0 },   { 2, 2, 5, 9 },
        { 2, 8, 5, 9 }, { 3, 4, 7, 19 }, { 3, 11, 1, 19 }, { 4, 1, 1, 31 },
    };
    struct arena *arena = arena_create(4096, 0);
    struct source source = { .path = S("t"), .text = str_of(text) };
    struct diags diags;
    struct lexer lexer;
    (void)state;
    diags_init(&diags, arena);
    lexer_init(&lexer, &source, arena, &diags);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct token token = lexer_next(&lexer);
        assert_int_equal(token.word.line, places[i].line);
        assert_int_equal(token.word.column, places[i].column);
        assert_int_equal(token.word.length, places[i].length);
        assert_int_equal(token.word.line_at, places[i].line_at);
    }
    assert_int_equal(lexer_next(&lexer).kind, TOKEN_END);
    assert_int_equal(lexer_next(&lexer).kind, TOKEN_END);
    arena_destroy(arena);
}

/* A word's meaning where no template is asked for. */
static void test_plain_words(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "a\\$b;", "a\\$b" },       { "'a\\$b';", "a\\$b" }, { "\"a\\$b\";", "a$b" }, { "\"a\\\\\\$b\";", "a\\$b" },
        { "\"a\\\\$b\";", "a\\$b" }, { "\"a$b\";", "a$b" },   { "k=\"\\$\";", "$" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_create(4096, 0);
        struct diags diags;
        struct source source = { .path = S("t"), .text = str_of(cases[i].in) };
        struct lexer lexer;
        diags_init(&diags, arena);
        lexer_init(&lexer, &source, arena, &diags);
        struct token token = lexer_next(&lexer);
        assert_string_equal(word_plain(&token.word, arena).p, cases[i].out);
        arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_nul_ends_the_file),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_plain_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
