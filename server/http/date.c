/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/date.h"

enum { SECONDS_A_DAY = 86400 };

struct date {
    unsigned year, month, day, hour, minute, second; /* month and day from 1 */
};

static const char *const day_names[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" };

/* n digits, no fewer: taken off *rest. */
static bool take_digits(str *rest, size_t n, unsigned *value)
{
    unsigned sum = 0;

    if (rest->n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (rest->p[i] < '0' || rest->p[i] > '9')
            return false;
        sum = sum * 10 + (unsigned)(rest->p[i] - '0');
    }
    *value = sum;
    *rest = str_from(*rest, n);
    return true;
}

static bool take(str *rest, str what)
{
    if (!str_has_prefix(*rest, what))
        return false;
    *rest = str_from(*rest, what.n);
    return true;
}

static bool take_month(str *rest, unsigned *month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (unsigned i = 0; i < 12; i++)
        if (take(rest, (str){ names + 3 * i, 3 })) {
            *month = i + 1;
            return true;
        }
    return false;
}

static bool take_time(str *rest, struct date *date)
{
    return take_digits(rest, 2, &date->hour) && take(rest, S(":")) && take_digits(rest, 2, &date->minute) &&
           take(rest, S(":")) && take_digits(rest, 2, &date->second);
}

/* Sun, 06 Nov 1994 08:49:37 GMT; what stands behind the comma */
static bool read_fixdate(str rest, struct date *date)
{
    return take_digits(&rest, 2, &date->day) && take(&rest, S(" ")) && take_month(&rest, &date->month) &&
           take(&rest, S(" ")) && take_digits(&rest, 4, &date->year) && take(&rest, S(" ")) && take_time(&rest, date) &&
           str_equal(rest, S(" GMT"));
}

/* Sunday, 06-Nov-94 08:49:37 GMT; what stands behind the comma */
static bool read_rfc850(str rest, unsigned this_year, struct date *date)
{
    bool fine = take_digits(&rest, 2, &date->day) && take(&rest, S("-")) && take_month(&rest, &date->month) &&
                take(&rest, S("-")) && take_digits(&rest, 2, &date->year) && take(&rest, S(" ")) &&
                take_time(&rest, date) && str_equal(rest, S(" GMT"));

    date->year += this_year / 100 * 100;
    if (date->year > this_year + 50)
        date->year -= 100;
    return fine;
}

/* Sun Nov  6 08:49:37 1994; what stands behind the day's name */
static bool read_asctime(str rest, struct date *date)
{
    bool fine = take_month(&rest, &date->month) && take(&rest, S(" "));

    fine = fine && (take(&rest, S(" ")) ? take_digits(&rest, 1, &date->day) : take_digits(&rest, 2, &date->day));
    return fine && take(&rest, S(" ")) && take_time(&rest, date) && take(&rest, S(" ")) &&
           take_digits(&rest, 4, &date->year) && rest.n == 0;
}

/* The Gregorian calendar counted from 0000-03-01, so that leap days end a year. */
static int64_t days_since_1970(const struct date *date)
{
    int64_t year = (int64_t)date->year - (date->month <= 2);
    int64_t month = (date->month + 9) % 12;

    return 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + date->day - 1 - 719468;
}

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool exists(const struct date *date)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    unsigned most = days[date->month - 1] + (date->month == 2 && is_leap(date->year));

    return date->day >= 1 && date->day <= most && date->hour < 24 && date->minute < 60 && date->second <= 60 &&
           date->year > 0; /* year 0 has no place in the count above */
}

static bool read_any(str text, unsigned this_year, struct date *date)
{
    for (unsigned i = 0; i < 7; i++) {
        str name = str_of(day_names[i]), rest = text;

        if (take(&rest, name))
            return take(&rest, S(", ")) && read_rfc850(rest, this_year, date);
        if (!take(&rest, str_upto(name, 3)))
            continue;
        if (take(&rest, S(", ")))
            return read_fixdate(rest, date);
        return take(&rest, S(" ")) && read_asctime(rest, date);
    }
    return false;
}

bool http_date_read(str text, uint64_t now, uint64_t *seconds)
{
    struct date date = { 0 };
    unsigned this_year = 1970 + (unsigned)(now / (SECONDS_A_DAY * 1461ull) * 4 +
                                           now % (SECONDS_A_DAY * 1461ull) / (SECONDS_A_DAY * 365ull + 1));

    if (!read_any(text, this_year, &date) || !exists(&date))
        return false;
    int64_t at = days_since_1970(&date) * SECONDS_A_DAY + date.hour * 3600 + date.minute * 60 + date.second;
    *seconds = at > 0 ? (uint64_t)at : 0;
    return true;
}
