/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/out.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void numbers(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *decimal, *hex;
    } rows[] = {
        {0,            "0",                    "0"               },
        { 9,           "9",                    "9"               },
        { 10,          "10",                   "a"               },
        { 255,         "255",                  "ff"              },
        { 256,         "256",                  "100"             },
        { 0xdeadbeefu, "3735928559",           "deadbeef"        },
        { UINT64_MAX,  "18446744073709551615", "ffffffffffffffff"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char room[64];
        struct out out = { .p = room, .room = sizeof(room) };
        out_u64(&out, rows[i].value);
        assert_true(str_equal((str){ room, out.n }, str_of(rows[i].decimal)));
        out.n = 0;
        out_hex(&out, rows[i].value);
        assert_true(str_equal((str){ room, out.n }, str_of(rows[i].hex)));
        assert_false(out.full);
    }
}

static void what_does_not_fit_is_dropped(void **state)
{
    (void)state;
    char room[5] = "....";
    struct out out = { .p = room, .room = 4 };
    out_str(&out, S("abc"));
    assert_false(out.full);
    out_u64(&out, 10); /* not half of it */
    assert_true(out.full);
    assert_int_equal(out.n, 3);
    assert_string_equal(room, "abc.");
    out_char(&out, 'd'); /* fits, but full stays */
    assert_true(out.full);
    assert_string_equal(room, "abcd");
    out_char(&out, 'e');
    out_bytes(&out, NULL, 0);
    assert_int_equal(out.n, 4);
}

static void exactly_full_is_not_too_full(void **state)
{
    (void)state;
    char room[3];
    struct out out = { .p = room, .room = 3 };
    out_str(&out, S("abc"));
    out_str(&out, STR_NONE);
    assert_false(out.full);
    assert_int_equal(out.n, 3);
}

/* RFC 8259 7, and 8.1: the text is UTF-8 whatever the bytes were. */
static void json(void **state)
{
    (void)state;
    static const struct {
        str in;
        const char *out;
    } rows[] = {
        {{ NULL, 0 },                        "\"\""                         },
        { { "plain /text", 11 },             "\"plain /text\""              },
        { { "a\"b\\c", 5 },                  "\"a\\\"b\\\\c\""              },
        { { "\b\f\n\r\t", 5 },               "\"\\b\\f\\n\\r\\t\""          },
        { { "\0\x01\x1f\x7f", 4 },           "\"\\u0000\\u0001\\u001f\x7f\""},
        { { "\xc3\xa4\xf0\x9f\x98\x80", 6 }, "\"\xc3\xa4\xf0\x9f\x98\x80\"" },
        { { "\xff"
            "a",
            2 },
         "\"\\ufffda\""                                                     },
        { { "\xe2\x82", 2 },                 "\"\\ufffd\\ufffd\""           },
        { { "\xed\xa0\x80", 3 },             "\"\\ufffd\\ufffd\\ufffd\""    }, /* surrogate */
        { { "\xc3", 1 },                     "\"\\ufffd\""                  },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char room[64];
        struct out out = { .p = room, .room = sizeof(room) };
        out_json_str(&out, rows[i].in);
        assert_false(out.full);
        assert_true(str_equal((str){ room, out.n }, str_of(rows[i].out)));
    }
}

static void printable_text_stays_one_line(void **state)
{
    (void)state;
    static const struct {
        str in;
        const char *out;
    } rows[] = {
        {{ NULL, 0 },                    ""                    },
        { { "a b~", 4 },                 "a b~"                },
        { { "a\nb\r\t", 5 },             "a\\x0ab\\x0d\\x09"   },
        { { "\0\x1b[31m\x7f", 7 },       "\\x00\\x1b[31m\\x7f" },
        { { "\xc3\xa4\xe2\x82\xac", 5 }, "\xc3\xa4\xe2\x82\xac"},
        { { "\xc2\x9b"
            "31m",
            5 },
         "\\xc2\\x9b31m"                                       }, /* CSI as one C1 character */
        { { "\xc2\xa0", 2 },             "\xc2\xa0"            },
        { { "\xff\xc3", 2 },             "\\xff\\xc3"          },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char room[64];
        struct out out = { .p = room, .room = sizeof(room) };
        out_printable(&out, rows[i].in);
        assert_false(out.full);
        assert_true(str_equal((str){ room, out.n }, str_of(rows[i].out)));
    }
}

/* Every shorter room: full is set, nothing is written behind it. */
static void every_room_is_respected(void **state)
{
    (void)state;
    str text = { "a\"\n\x01\xff\xc3\xa4z", 8 };
    char whole[64];
    struct out out = { .p = whole, .room = sizeof(whole) };
    out_json_str(&out, text);
    for (size_t room = 0; room < out.n; room++) {
        char part[64];
        memset(part, '#', sizeof(part));
        struct out small = { .p = part, .room = room };
        out_json_str(&small, text);
        assert_true(small.full);
        assert_true(small.n <= room);
        assert_int_equal(part[room], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(what_does_not_fit_is_dropped),
        cmocka_unit_test(exactly_full_is_not_too_full),
        cmocka_unit_test(json),
        cmocka_unit_test(printable_text_stays_one_line),
        cmocka_unit_test(every_room_is_respected),
    };
    return cmocka_run_group_tests_name("out", tests, NULL, NULL);
}
