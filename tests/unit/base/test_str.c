/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const char some[] = "some text";

static void equality(void **state)
{
    (void)state;
    static const struct {
        str a, b;
        bool equal, nocase, prefix, prefix_nocase, suffix; /* prefix and suffix: b of a */
    } rows[] = {
        {{ NULL, 0 },                { "", 0 },         true,  true,  true,  true,  true },
        { { "abc", 3 },              { "abc", 3 },      true,  true,  true,  true,  true },
        { { "abc", 3 },              { "abC", 3 },      false, true,  false, true,  false},
        { { "abc", 3 },              { "ab", 2 },       false, false, true,  true,  false},
        { { "abc", 3 },              { "BC", 2 },       false, false, false, false, false},
        { { "abc", 3 },              { "bc", 2 },       false, false, false, false, true },
        { { "abc", 3 },              { NULL, 0 },       false, false, true,  true,  true },
        { { "ab", 2 },               { "abc", 3 },      false, false, false, false, false},
        { { "a\0b", 3 },             { "a\0c", 3 },     false, false, false, false, false},
        { { "[", 1 },                { "{", 1 },        false, false, false, false, false}, /* 0x20 apart, no letters */
        { { "\xc3\x84", 2 },         { "\xc3\xa4", 2 }, false, false, false, false, false}, /* ASCII only */
        { { "Transfer-Coding", 15 }, { "tRANSFER", 8 }, false, false, false, true,  false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(str_equal(rows[i].a, rows[i].b), rows[i].equal);
        assert_int_equal(str_equal_nocase(rows[i].a, rows[i].b), rows[i].nocase);
        assert_int_equal(str_has_prefix(rows[i].a, rows[i].b), rows[i].prefix);
        assert_int_equal(str_has_prefix_nocase(rows[i].a, rows[i].b), rows[i].prefix_nocase);
        assert_int_equal(str_has_suffix(rows[i].a, rows[i].b), rows[i].suffix);
    }
}

static void order(void **state)
{
    (void)state;
    static const struct {
        str a, b;
        int sign;
    } rows[] = {
        {{ NULL, 0 },    { "", 0 },     0 },
        { { "", 0 },     { "a", 1 },    -1},
        { { "a", 1 },    { "ab", 2 },   -1},
        { { "b", 1 },    { "ab", 2 },   1 },
        { { "\x80", 1 }, { "\x7f", 1 }, 1 }, /* bytes, not signed characters */
        { { "ab", 2 },   { "ab", 2 },   0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int there = str_compare(rows[i].a, rows[i].b), back = str_compare(rows[i].b, rows[i].a);
        assert_int_equal((there > 0) - (there < 0), rows[i].sign);
        assert_int_equal((back > 0) - (back < 0), -rows[i].sign);
    }
}

static void cutting(void **state)
{
    (void)state;
    str s = S("abc");
    assert_true(str_equal(str_from(s, 1), S("bc")));
    assert_true(str_equal(str_from(s, 3), S("")));
    assert_ptr_equal(str_from(s, 9).p, s.p + 3); /* never beyond the end */
    assert_int_equal(str_from(STR_NONE, 9).n, 0);
    assert_null(str_from(STR_NONE, 9).p);
    assert_true(str_equal(str_upto(s, 2), S("ab")));
    assert_true(str_equal(str_upto(s, 9), s));
    assert_int_equal(str_of(NULL).n, 0);
    assert_int_equal(str_of(some).n, 9);
}

static void finding(void **state)
{
    (void)state;
    static const struct {
        str s, needle;
        size_t at;
    } rows[] = {
        {{ "", 0 },           { "a", 1 },        0},
        { { NULL, 0 },        { "a", 1 },        0},
        { { "abc", 3 },       { "a", 1 },        0},
        { { "abc", 3 },       { "c", 1 },        2},
        { { "abc", 3 },       { "d", 1 },        3},
        { { "abc", 3 },       { "bc", 2 },       1},
        { { "abc", 3 },       { "bcd", 3 },      3},
        { { "abc", 3 },       { "abcd", 4 },     3},
        { { "abc", 3 },       { "", 0 },         0},
        { { "aab", 3 },       { "ab", 2 },       1},
        { { "a\0b", 3 },      { "\0b", 2 },      1},
        { { "x\r\n\r\n", 5 }, { "\r\n\r\n", 4 }, 1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(str_find_str(rows[i].s, rows[i].needle), rows[i].at);
        if (rows[i].needle.n == 1)
            assert_int_equal(str_find(rows[i].s, rows[i].needle.p[0]), rows[i].at);
    }
}

/* OWS is SP and HTAB, nothing else (RFC 9110 5.6.3). */
static void trimming(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"",            ""          },
        { " \t ",       ""          },
        { "a",          "a"         },
        { "\t a b \t",  "a b"       },
        { "\r\na\v",    "\r\na\v"   },
        { "\xc2\xa0"
          "a", "\xc2\xa0"
          "a"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_true(str_equal(str_trim(str_of(rows[i].in)), str_of(rows[i].out)));
    assert_int_equal(str_trim(STR_NONE).n, 0);
}

static void splitting(void **state)
{
    (void)state;
    static const struct {
        const char *in, *items[4];
    } rows[] = {
        {"",       { NULL }        },
        { "a",     { "a" }         },
        { "a,b",   { "a", "b" }    },
        { "a,,b,", { "a", "", "b" }},
        { ",",     { "" }          },
        { ", a ",  { "", " a " }   },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        str rest = str_of(rows[i].in), item = S("untouched");
        size_t count = 0;
        while (str_split(&rest, ',', &item)) {
            assert_non_null(rows[i].items[count]);
            assert_true(str_equal(item, str_of(rows[i].items[count])));
            count++;
        }
        assert_null(rows[i].items[count]);
        if (count == 0)
            assert_true(str_equal(item, S("untouched")));
    }
}

static void decimal(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0",                      true,  0         },
        { "007",                   true,  7         },
        { "18446744073709551615",  true,  UINT64_MAX},
        { "18446744073709551616",  false, 0         }, /* 2^64 */
        { "18446744073709551620",  false, 0         },
        { "184467440737095516150", false, 0         },
        { "99999999999999999999",  false, 0         },
        { "",                      false, 0         },
        { "+5",                    false, 0         },
        { "-1",                    false, 0         },
        { " 1",                    false, 0         },
        { "1 ",                    false, 0         },
        { "0x10",                  false, 0         },
        { "1e3",                   false, 0         },
        { "\xd9\xa1",              false, 0         }, /* ARABIC-INDIC DIGIT ONE */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t value = 4711;
        assert_int_equal(str_to_u64(str_of(rows[i].in), &value), rows[i].good);
        assert_int_equal(value, rows[i].good ? rows[i].value : 4711);
    }
    uint64_t value = 4711;
    assert_false(str_to_u64((str){ "1\0002", 3 }, &value));
    assert_false(str_to_u64(STR_NONE, &value));
    assert_int_equal(value, 4711);
}

static void hexadecimal(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0",                  true,  0                  },
        { "fF",                true,  255                },
        { "00000000000000aB",  true,  171                },
        { "ffffffffffffffff",  true,  UINT64_MAX         },
        { "0123456789abcdef",  true,  0x0123456789abcdefu},
        { "00000000000000001", false, 0                  }, /* 17 digits */
        { "",                  false, 0                  },
        { "0x1",               false, 0                  },
        { "g",                 false, 0                  },
        { "-1",                false, 0                  },
        { "1 ",                false, 0                  },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t value = 4711;
        assert_int_equal(str_hex_to_u64(str_of(rows[i].in), &value), rows[i].good);
        assert_int_equal(value, rows[i].good ? rows[i].value : 4711);
    }
    for (int c = 0; c < 256; c++) {
        const char *digits = "0123456789abcdef";
        const char *at = c ? strchr(digits, char_lower((char)c)) : NULL;
        assert_int_equal(char_hex((char)c), at ? at - digits : -1);
    }
}

/* RFC 3629 4: no overlong forms, no surrogates, nothing above U+10FFFF. */
static void utf8(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t n;
    } rows[] = {
        {"a",                 1},
        { "\x7f",             1},
        { "\xc2\x80",         2},
        { "\xdf\xbf",         2},
        { "\xe0\xa0\x80",     3},
        { "\xed\x9f\xbf",     3},
        { "\xee\x80\x80",     3},
        { "\xf0\x90\x80\x80", 4},
        { "\xf4\x8f\xbf\xbf", 4},
        { "\xc3\xa4"
          "rest",    2},
        { "\x80",             0},
        { "\xbf",             0},
        { "\xc0\x80",         0},
        { "\xc1\xbf",         0},
        { "\xe0\x9f\xbf",     0},
        { "\xed\xa0\x80",     0}, /* U+D800 */
        { "\xf0\x8f\xbf\xbf", 0},
        { "\xf4\x90\x80\x80", 0}, /* U+110000 */
        { "\xf5\x80\x80\x80", 0},
        { "\xff",             0},
        { "\xc2",             0},
        { "\xe2\x82",         0},
        { "\xf0\x9f\x98",     0},
        { "\xc2"
          "a",       0},
        { "\xe2\x82"
          "a",       0},
        { "\xf0\x9f\x98"
          "a",       0},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(str_utf8_length(str_of(rows[i].in)), rows[i].n);
    assert_int_equal(str_utf8_length(STR_NONE), 0);
    assert_int_equal(str_utf8_length((str){ "\0", 1 }), 1);
}

static void copying(void **state)
{
    (void)state;
    static const str rows[] = { { NULL, 0 }, { "", 0 }, { "a", 1 }, { "a\0b", 3 } };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *copy = str_dup(rows[i]);
        assert_non_null(copy);
        assert_true(str_equal((str){ copy, rows[i].n }, rows[i]));
        assert_int_equal(copy[rows[i].n], 0);
        mem_free(copy);
    }
    mem_fail_after(0);
    assert_null(str_dup(S("a")));
    mem_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality), cmocka_unit_test(order),       cmocka_unit_test(cutting),
        cmocka_unit_test(finding),  cmocka_unit_test(trimming),    cmocka_unit_test(splitting),
        cmocka_unit_test(decimal),  cmocka_unit_test(hexadecimal), cmocka_unit_test(utf8),
        cmocka_unit_test(copying),
    };
    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
