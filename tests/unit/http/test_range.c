/* SPDX-License-Identifier: BSD-2-Clause */
/* Range (RFC 9110 14.1.2, 14.2): which bytes are meant, and what is not worth an answer of its own. */
#include "http/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void show(const struct ranges *ranges, char room[256])
{
    size_t n = 0;

    room[0] = '\0';
    for (uint32_t i = 0; i < ranges->count && n < 200; i++)
        n += (size_t)snprintf(room + n, 256 - n, "%s%llu-%llu", i ? " " : "", (unsigned long long)ranges->at[i].first,
                              (unsigned long long)ranges->at[i].last);
}

static void ranges_are_read(void **state)
{
    static const struct {
        const char *field;
        uint64_t size;
        enum ranges_verdict verdict;
        const char *ranges;
    } cases[] = {
        /* RFC 9110 14.1.2, for 10000 bytes */
        { "bytes=0-499", 10000, RANGES_FOUND, "0-499" },
        { "bytes=500-999", 10000, RANGES_FOUND, "500-999" },
        { "bytes=-500", 10000, RANGES_FOUND, "9500-9999" },
        { "bytes=9500-", 10000, RANGES_FOUND, "9500-9999" },
        { "bytes=0-0,-1", 10000, RANGES_FOUND, "0-0 9999-9999" },
        { "bytes= 0-999, 4500-5499, -1000", 10000, RANGES_FOUND, "0-999 4500-5499 9000-9999" },
        { "bytes=500-600,601-999", 10000, RANGES_FOUND, "500-999" },
        { "bytes=500-700,601-999", 10000, RANGES_FOUND, "500-999" },
        /* ends */
        { "bytes=0-", 1, RANGES_FOUND, "0-0" },
        { "bytes=0-99999", 10, RANGES_FOUND, "0-9" },
        { "bytes=9-9", 10, RANGES_FOUND, "9-9" },
        { "bytes=10-10", 10, RANGES_NOT_SATISFIABLE, "" },
        { "bytes=10-", 10, RANGES_NOT_SATISFIABLE, "" },
        { "bytes=-0", 10, RANGES_NOT_SATISFIABLE, "" },
        { "bytes=-11", 10, RANGES_FOUND, "0-9" },
        { "bytes=20-30,5-6", 10, RANGES_FOUND, "5-6" },
        { "bytes=20-30,40-", 10, RANGES_NOT_SATISFIABLE, "" },
        { "bytes=99999999999999999999999-", 10, RANGES_NOT_SATISFIABLE, "" },
        { "bytes=0-99999999999999999999999", 10, RANGES_FOUND, "0-9" },
        { "bytes=-99999999999999999999999", 10, RANGES_FOUND, "0-9" },
        { "bytes=18446744073709551615-18446744073709551615", 10, RANGES_NOT_SATISFIABLE, "" },
        /* joined: what overlaps, touches, or is nearer than a part's head is long; in the order asked for otherwise */
        { "bytes=500-599,100-199", 10000, RANGES_FOUND, "500-599 100-199" },
        { "bytes=100-199,279-300", 10000, RANGES_FOUND, "100-300" },
        { "bytes=100-199,280-300", 10000, RANGES_FOUND, "100-199 280-300" },
        { "bytes=0-0,1000-1000,1-1", 10000, RANGES_FOUND, "0-1 1000-1000" },
        { "bytes=0-0,1000-1000,500-500,0-9999", 10000, RANGES_FOUND, "0-9999" },
        { "bytes=0-,0-,0-,0-", 10000, RANGES_FOUND, "0-9999" },
        { "bytes=900-999,0-99,300-399,100-300", 10000, RANGES_FOUND, "900-999 0-399" },
        /* spelling */
        { "Bytes=1-2", 10, RANGES_FOUND, "1-2" },
        { "bytes=,1-2,,", 10, RANGES_FOUND, "1-2" },
        { "bytes=1-2\t,\t5-6", 10, RANGES_FOUND, "1-6" },
        /* passed over: the whole is sent */
        { "", 10, RANGES_IGNORED, "" },
        { "bytes", 10, RANGES_IGNORED, "" },
        { "bytes=", 10, RANGES_IGNORED, "" },
        { "bytes=,", 10, RANGES_IGNORED, "" },
        { "bytes=-", 10, RANGES_IGNORED, "" },
        { "bytes=1", 10, RANGES_IGNORED, "" },
        { "bytes=2-1", 10, RANGES_IGNORED, "" },
        { "bytes=5-6,2-1", 10, RANGES_IGNORED, "" },
        { "bytes=1-2-3", 10, RANGES_IGNORED, "" },
        { "bytes=--1", 10, RANGES_IGNORED, "" },
        { "bytes=+1-2", 10, RANGES_IGNORED, "" },
        { "bytes=1 -2", 10, RANGES_IGNORED, "" },
        { "bytes=0x1-2", 10, RANGES_IGNORED, "" },
        { "bytes =1-2", 10, RANGES_IGNORED, "" },
        { " bytes=1-2", 10, RANGES_IGNORED, "" },
        { "bytes=1-2, bytes=5-6", 10, RANGES_IGNORED, "" },
        { "seconds=1-2", 10, RANGES_IGNORED, "" },
        { "bytes=0-", 0, RANGES_IGNORED, "" },
        { "bytes=-1", 0, RANGES_IGNORED, "" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ranges ranges = { .count = 0 };
        char shown[256];
        enum ranges_verdict verdict = ranges_read(str_of(cases[i].field), cases[i].size, &ranges);

        show(&ranges, shown);
        if (verdict != cases[i].verdict || strcmp(shown, cases[i].ranges) != 0)
            fail_msg("\"%s\" of %llu: %d \"%s\"", cases[i].field, (unsigned long long)cases[i].size, verdict, shown);
    }
}

static void too_many_are_ignored(void **state)
{
    char field[1024] = "bytes=";
    struct ranges ranges;

    (void)state;
    for (unsigned i = 0; i < RANGES_MOST; i++)
        snprintf(field + strlen(field), sizeof(field) - strlen(field), "%u-%u,", i * 1000, i * 1000 + 9);
    assert_int_equal(ranges_read(str_of(field), 1000000, &ranges), RANGES_FOUND);
    assert_int_equal(ranges.count, RANGES_MOST);
    snprintf(field + strlen(field), sizeof(field) - strlen(field), "5-6");
    assert_int_equal(ranges_read(str_of(field), 1000000, &ranges), RANGES_IGNORED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_read),
        cmocka_unit_test(too_many_are_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
