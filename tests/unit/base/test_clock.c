/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void dates(void **state)
{
    (void)state;
    static const struct {
        uint64_t second;
        const char *http, *iso, *log;
    } rows[] = {
        {0,              "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00+00:00", "01/Jan/1970:00:00:00 +0000"},
        { 784111777,     "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37+00:00", "06/Nov/1994:08:49:37 +0000"},
        { 951782400,     "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00+00:00", "29/Feb/2000:00:00:00 +0000"},
        { 951868800,     "Wed, 01 Mar 2000 00:00:00 GMT", "2000-03-01T00:00:00+00:00", "01/Mar/2000:00:00:00 +0000"},
        { 1795239111,    "Sat, 21 Nov 2026 05:31:51 GMT", "2026-11-21T05:31:51+00:00", "21/Nov/2026:05:31:51 +0000"},
        { 2147483648,    "Tue, 19 Jan 2038 03:14:08 GMT", "2038-01-19T03:14:08+00:00", "19/Jan/2038:03:14:08 +0000"},
        { 4107542399,    "Sun, 28 Feb 2100 23:59:59 GMT", "2100-02-28T23:59:59+00:00", "28/Feb/2100:23:59:59 +0000"},
        { 4107542400,    "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00+00:00", "01/Mar/2100:00:00:00 +0000"},
        { 253402300799u, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59+00:00", "31/Dec/9999:23:59:59 +0000"},
        { UINT64_MAX,    "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59+00:00", "31/Dec/9999:23:59:59 +0000"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char room[CLOCK_ROOM];
        assert_int_equal(clock_format(CLOCK_HTTP_DATE, rows[i].second, room).n, strlen(rows[i].http));
        assert_string_equal(room, rows[i].http);
        assert_int_equal(clock_format(CLOCK_ISO8601, rows[i].second, room).n, strlen(rows[i].iso));
        assert_string_equal(room, rows[i].iso);
        assert_int_equal(clock_format(CLOCK_LOG_TIME, rows[i].second, room).n, strlen(rows[i].log));
        assert_string_equal(room, rows[i].log);
    }
}

/* Each day from 1970 to 2400, a whole cycle of the calendar, as libc counts it. */
static void calendar_is_libcs(void **state)
{
    (void)state;
    for (time_t second = 0; second < 13569465600; second += 86399) {
        char ours[CLOCK_ROOM], theirs[64];
        struct tm tm;
        clock_format(CLOCK_HTTP_DATE, (uint64_t)second, ours);
        gmtime_r(&second, &tm);
        strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        assert_string_equal(ours, theirs);
    }
}

static void texts_change_with_the_second(void **state)
{
    (void)state;
    clock_set(1000, 784111777000);
    assert_string_equal(clock_http_date().p, "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_int_equal(clock_http_date().n, 29);
    assert_string_equal(clock_log_time().p, "06/Nov/1994:08:49:37 +0000");
    clock_set(2000, 784111777999);
    assert_string_equal(clock_http_date().p, "Sun, 06 Nov 1994 08:49:37 GMT");
    clock_set(3000, 784111778000);
    assert_string_equal(clock_http_date().p, "Sun, 06 Nov 1994 08:49:38 GMT");
    assert_string_equal(clock_iso8601().p, "1994-11-06T08:49:38+00:00");
    assert_string_equal(clock_log_time().p, "06/Nov/1994:08:49:38 +0000");
    clock_set(4000, 0); /* a clock set back */
    assert_string_equal(clock_http_date().p, "Thu, 01 Jan 1970 00:00:00 GMT");
}

/* Within a second nothing is written again: a mark left in the cached text stays. */
static void texts_are_kept_for_the_second(void **state)
{
    (void)state;
    clock_set(0, 5000);
    char *text = (char *)(uintptr_t)clock_http_date().p;
    text[0] = '!';
    clock_set(0, 5999);
    assert_int_equal(clock_http_date().p[0], '!');
    clock_set(0, 6000);
    assert_int_equal(clock_http_date().p[0], 'T');
}

static void readings_stay_until_the_tick(void **state)
{
    (void)state;
    clock_set(1234567, 89000);
    assert_int_equal(clock_us(), 1234567);
    assert_int_equal(clock_ms(), 1234);
    assert_int_equal(clock_wall_ms(), 89000);
    uint64_t before = clock_us_now();
    clock_tick();
    uint64_t at = clock_us(), after = clock_us_now();
    assert_true(before <= at && at <= after);
    assert_int_equal(clock_us(), at);
    assert_int_equal(clock_ms(), at / 1000);
    uint64_t wall = clock_wall_ms_now();
    assert_true(wall >= clock_wall_ms() && wall - clock_wall_ms() < 60000);
    assert_true(wall > 1700000000000); /* this code is younger than that */
}

static void *read_in_thread(void *arg)
{
    uint64_t *readings = arg;
    readings[0] = clock_us(); /* never ticked: reads by itself */
    readings[1] = clock_wall_ms();
    clock_set(1, 2);
    readings[2] = clock_us();
    return NULL;
}

static void threads_have_their_own(void **state)
{
    (void)state;
    uint64_t readings[3] = { 0 }, before = clock_us_now();
    pthread_t thread;
    clock_set(77, 88000);
    assert_int_equal(pthread_create(&thread, NULL, read_in_thread, readings), 0);
    pthread_join(thread, NULL);
    assert_true(readings[0] >= before && readings[0] <= clock_us_now());
    assert_true(readings[1] > 1700000000000);
    assert_int_equal(readings[2], 1);
    assert_int_equal(clock_us(), 77);
    assert_int_equal(clock_wall_ms(), 88000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates),
        cmocka_unit_test(calendar_is_libcs),
        cmocka_unit_test(texts_change_with_the_second),
        cmocka_unit_test(texts_are_kept_for_the_second),
        cmocka_unit_test(readings_stay_until_the_tick),
        cmocka_unit_test(threads_have_their_own),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
