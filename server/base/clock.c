/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static const uint64_t last_second = 253402300799u; /* 9999-12-31T23:59:59Z: years keep four digits */

struct text {
    uint64_t second; /* what it shows; meaningless while n is 0 */
    size_t n;
    char room[CLOCK_ROOM];
};

static _Thread_local struct {
    bool read;
    uint64_t us, ms, wall_ms; /* ms: of us, worked out once */
    struct text texts[3]; /* by enum clock_form */
} now;

static uint64_t read_us(clockid_t id)
{
    struct timespec at;
    clock_gettime(id, &at);
    return (uint64_t)at.tv_sec * 1000000 + (uint64_t)at.tv_nsec / 1000;
}

void clock_tick(void)
{
    clock_set(read_us(CLOCK_MONOTONIC), read_us(CLOCK_REALTIME) / 1000);
}

void clock_set(uint64_t mono_us, uint64_t wall_ms)
{
    now.read = true;
    now.us = mono_us;
    now.ms = mono_us / 1000;
    now.wall_ms = wall_ms;
}

static inline void ensure_read(void)
{
    if (!now.read)
        clock_tick();
}

uint64_t clock_ms(void)
{
    ensure_read();
    return now.ms;
}

uint64_t clock_us(void)
{
    ensure_read();
    return now.us;
}

uint64_t clock_us_now(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_ns_now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
}

uint64_t clock_wall_ms(void)
{
    ensure_read();
    return now.wall_ms;
}

uint64_t clock_wall_ms_now(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

struct date {
    unsigned year, month, day, hour, minute, second, weekday; /* month and day from 1; weekday 0 is Sunday */
};

/* The Gregorian calendar in UTC, without the lock that gmtime_r takes. Years are counted from March, so that the leap
 * day is the last of its year; 400 such years (an era) have 146097 days. */
static struct date date_of(uint64_t seconds)
{
    if (seconds > last_second)
        seconds = last_second;
    unsigned days = (unsigned)(seconds / 86400), rest = (unsigned)(seconds % 86400);
    unsigned since_march_0 = days + 719468; /* days from 0000-03-01 to 1970-01-01 */
    unsigned era = since_march_0 / 146097, day_of_era = since_march_0 % 146097;
    unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month = (5 * day_of_year + 2) / 153; /* 0 is March; 153 days in five months from there */
    return (struct date){
        .year = era * 400 + year_of_era + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = day_of_year - (153 * month + 2) / 5 + 1,
        .hour = rest / 3600,
        .minute = rest / 60 % 60,
        .second = rest % 60,
        .weekday = (days + 4) % 7, /* 1970-01-01 was a Thursday */
    };
}

str clock_format(enum clock_form form, uint64_t seconds, char room[CLOCK_ROOM])
{
    static const char weekdays[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[][4] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
    };
    struct date d = date_of(seconds);
    int n = 0;
    switch (form) {
    case CLOCK_HTTP_DATE:
        n = snprintf(room, CLOCK_ROOM, "%s, %02u %s %04u %02u:%02u:%02u GMT", weekdays[d.weekday], d.day,
                     months[d.month - 1], d.year, d.hour, d.minute, d.second);
        break;
    case CLOCK_ISO8601:
        n = snprintf(room, CLOCK_ROOM, "%04u-%02u-%02uT%02u:%02u:%02u+00:00", d.year, d.month, d.day, d.hour, d.minute,
                     d.second);
        break;
    case CLOCK_LOG_TIME:
        n = snprintf(room, CLOCK_ROOM, "%02u/%s/%04u:%02u:%02u:%02u +0000", d.day, months[d.month - 1], d.year, d.hour,
                     d.minute, d.second);
        break;
    }
    return (str){ room, n > 0 ? (size_t)n : 0 };
}

static str cached(enum clock_form form)
{
    struct text *text = &now.texts[form];
    uint64_t second = clock_wall_ms() / 1000;
    if (text->n == 0 || text->second != second) {
        text->n = clock_format(form, second, text->room).n;
        text->second = second;
    }
    return (str){ text->room, text->n };
}

str clock_http_date(void)
{
    return cached(CLOCK_HTTP_DATE);
}

str clock_iso8601(void)
{
    return cached(CLOCK_ISO8601);
}

str clock_log_time(void)
{
    return cached(CLOCK_LOG_TIME);
}
