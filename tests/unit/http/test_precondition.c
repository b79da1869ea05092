/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP-date (RFC 9110 5.6.7), and what conditional requests make of validators (13). */
#include "http/date.h"
#include "http/precondition.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { NOW = 1795000000, NEVER = 0 }; /* 2026-11-18 */

static void dates_are_read(void **state)
{
    static const struct {
        const char *text;
        bool is_date;
        uint64_t seconds;
    } cases[] = {
        { "Sun, 06 Nov 1994 08:49:37 GMT", true, 784111777 },
        { "Sunday, 06-Nov-94 08:49:37 GMT", true, 784111777 },
        { "Sun Nov  6 08:49:37 1994", true, 784111777 },
        { "Wed Nov 16 08:49:37 1994", true, 784975777 },
        { "Thu, 01 Jan 1970 00:00:00 GMT", true, 0 },
        { "Wed, 31 Dec 1969 23:59:59 GMT", true, 0 },
        { "Sat, 01 Jan 0001 00:00:00 GMT", true, 0 },
        { "Tue, 29 Feb 2000 12:00:00 GMT", true, 951825600 },
        { "Thu, 29 Feb 2024 23:59:59 GMT", true, 1709251199 },
        { "Sat, 31 Dec 2016 23:59:60 GMT", true, 1483228800 }, /* a leap second */
        { "Fri, 31 Dec 9999 23:59:59 GMT", true, 253402300799 },
        { "Sunday, 06-Nov-70 08:49:37 GMT", true, 3182489377 }, /* 2070: 44 years ahead */
        { "Sunday, 06-Nov-77 08:49:37 GMT", true, 247654177 },  /* 2077 would be 51 years ahead */
        /* the weekday is not held against the date */
        { "Mon, 06 Nov 1994 08:49:37 GMT", true, 784111777 },
        { "", false, NEVER },
        { "Sun", false, NEVER },
        { "Sun, 06 Nov 1994 08:49:37", false, NEVER },
        { "Sun, 06 Nov 1994 08:49:37 UTC", false, NEVER },
        { "Sun, 06 Nov 1994 08:49:37 GMT ", false, NEVER },
        { " Sun, 06 Nov 1994 08:49:37 GMT", false, NEVER },
        { "sun, 06 Nov 1994 08:49:37 GMT", false, NEVER },
        { "Sun, 6 Nov 1994 08:49:37 GMT", false, NEVER },
        { "Sun, 06 nov 1994 08:49:37 GMT", false, NEVER },
        { "Sun, 06 Nov 94 08:49:37 GMT", false, NEVER },
        { "Sun, 06 Nov 1994 8:49:37 GMT", false, NEVER },
        { "Sun, 06 Nov 1994 24:00:00 GMT", false, NEVER },
        { "Sun, 06 Nov 1994 08:60:00 GMT", false, NEVER },
        { "Sun, 06 Nov 1994 08:49:61 GMT", false, NEVER },
        { "Sun, 00 Nov 1994 08:49:37 GMT", false, NEVER },
        { "Sun, 31 Nov 1994 08:49:37 GMT", false, NEVER },
        { "Thu, 29 Feb 1900 12:00:00 GMT", false, NEVER },
        { "Thu, 29 Feb 2023 12:00:00 GMT", false, NEVER },
        { "Sat, 01 Jan 0000 00:00:00 GMT", false, NEVER },
        { "Sun, 06-Nov-94 08:49:37 GMT", false, NEVER },
        { "Sunday, 06 Nov 1994 08:49:37 GMT", false, NEVER },
        { "Sun Nov 06 08:49:37 1994 GMT", false, NEVER },
        { "784111777", false, NEVER },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t seconds = NEVER;
        bool is_date = http_date_read(str_of(cases[i].text), NOW, &seconds);

        if (is_date != cases[i].is_date || seconds != cases[i].seconds)
            fail_msg("\"%s\": %d %llu", cases[i].text, is_date, (unsigned long long)seconds);
    }
}

#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define EQUAL "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"

static void set_fields(struct fields *fields, struct arena *arena, const char *const *lines)
{
    fields_init(fields, arena);
    for (; lines[0]; lines += 2)
        assert_true(fields_add(fields, str_of(lines[0]), str_of(lines[1])));
}

static void conditions_are_judged(void **state)
{
    static const struct {
        const char *lines[8];
        const char *etag;
        enum precondition answer;
    } cases[] = {
        { { NULL }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-Match", "\"a\"" }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-Match", "\"b\"" }, "\"a\"", PRECONDITION_FAILED },
        { { "If-Match", "\"b\", \"a\"" }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-Match", "\"b\"", "If-Match", "\"a\"" }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-Match", "*" }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-Match", "W/\"a\"" }, "\"a\"", PRECONDITION_FAILED }, /* compared strongly */
        { { "If-Match", "\"a\"" }, "W/\"a\"", PRECONDITION_FAILED },
        { { "If-Match", "a" }, "\"a\"", PRECONDITION_FAILED },
        { { "If-Match", "" }, "\"a\"", PRECONDITION_FAILED },
        { { "If-None-Match", "\"a\"" }, "\"a\"", PRECONDITION_NOT_MODIFIED },
        { { "If-None-Match", "W/\"a\"" }, "\"a\"", PRECONDITION_NOT_MODIFIED }, /* compared weakly */
        { { "If-None-Match", "\"a\"" }, "W/\"a\"", PRECONDITION_NOT_MODIFIED },
        { { "If-None-Match", "\"b\"" }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-None-Match", "*" }, "\"a\"", PRECONDITION_NOT_MODIFIED },
        { { "If-None-Match", ", W/\"x\",\"a,b\" ,\t\"a\"" }, "\"a\"", PRECONDITION_NOT_MODIFIED },
        { { "If-None-Match", "\"b,\"a\"" }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-None-Match", "\"\\\"" }, "\"\\\"", PRECONDITION_NOT_MODIFIED },
        { { "If-None-Match", "\"a" }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-None-Match", "w/\"a\"" }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-Modified-Since", BEFORE }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-Modified-Since", EQUAL }, "\"a\"", PRECONDITION_NOT_MODIFIED },
        { { "If-Modified-Since", AFTER }, "\"a\"", PRECONDITION_NOT_MODIFIED },
        { { "If-Modified-Since", "yesterday" }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-Modified-Since", AFTER, "If-Modified-Since", AFTER }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-Unmodified-Since", BEFORE }, "\"a\"", PRECONDITION_FAILED },
        { { "If-Unmodified-Since", EQUAL }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-Unmodified-Since", "never" }, "\"a\"", PRECONDITION_HOLDS },
        /* 13.2.2: which one counts */
        { { "If-Match", "\"a\"", "If-Unmodified-Since", BEFORE }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-Match", "\"b\"", "If-None-Match", "\"a\"" }, "\"a\"", PRECONDITION_FAILED },
        { { "If-None-Match", "\"b\"", "If-Modified-Since", AFTER }, "\"a\"", PRECONDITION_HOLDS },
        { { "If-None-Match", "\"a\"", "If-Modified-Since", BEFORE }, "\"a\"", PRECONDITION_NOT_MODIFIED },
        { { "If-Unmodified-Since", BEFORE, "If-None-Match", "\"a\"" }, "\"a\"", PRECONDITION_FAILED },
        { { "If-Match", "\"a\"", "If-Modified-Since", AFTER }, "\"a\"", PRECONDITION_NOT_MODIFIED },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *arena = arena_create(4096, 0);
        struct fields fields;
        struct validators validators = { str_of(cases[i].etag), 784111777, true };

        set_fields(&fields, arena, cases[i].lines);
        enum precondition answer = precondition_judge(&fields, &validators, NOW);
        if (answer != cases[i].answer)
            fail_msg("row %zu (%s: %s): %d", i, cases[i].lines[0], cases[i].lines[1], answer);
        arena_destroy(arena);
    }
}

static void if_range_is_judged(void **state)
{
    static const struct {
        const char *lines[6];
        const char *etag;
        bool date_is_strong, allows;
    } cases[] = {
        { { NULL }, "\"a\"", true, true },
        { { "If-Range", "\"a\"" }, "\"a\"", true, true },
        { { "If-Range", "\"b\"" }, "\"a\"", true, false },
        { { "If-Range", "W/\"a\"" }, "W/\"a\"", true, false }, /* only strong ones tell bytes apart (13.1.5) */
        { { "If-Range", "\"a\"" }, "W/\"a\"", true, false },
        { { "If-Range", "\"a\", \"b\"" }, "\"a\"", true, false },
        { { "If-Range", EQUAL }, "\"a\"", true, true },
        { { "If-Range", EQUAL }, "\"a\"", false, false },
        { { "If-Range", AFTER }, "\"a\"", true, false }, /* exactly, not at least */
        { { "If-Range", BEFORE }, "\"a\"", true, false },
        { { "If-Range", "*" }, "\"a\"", true, false },
        { { "If-Range", "" }, "\"a\"", true, false },
        { { "If-Range", "\"a\"", "If-Range", "\"a\"" }, "\"a\"", true, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *arena = arena_create(4096, 0);
        struct fields fields;
        struct validators validators = { str_of(cases[i].etag), 784111777, cases[i].date_is_strong };

        set_fields(&fields, arena, cases[i].lines);
        if (precondition_allows_range(&fields, &validators, NOW) != cases[i].allows)
            fail_msg("row %zu (%s)", i, cases[i].lines[1]);
        arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_read),
        cmocka_unit_test(conditions_are_judged),
        cmocka_unit_test(if_range_is_judged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
