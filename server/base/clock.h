/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.h: time, read once per loop turn and kept for everybody in it.
 *
 * Units:   milliseconds (monotonic) for deadlines, microseconds for durations, seconds and ms since 1970 for dates.
 * Owner:   a cached text is its thread's and changes with the next second: use it before the loop turn ends.
 * Thread:  each thread has its own cached reading; clock_tick renews it. A thread that never ticks reads on first use
 *          and keeps that: job threads and the like use the _now calls. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/str.h"

void clock_tick(void);           /* call at the start of a loop turn */
uint64_t clock_ms(void);         /* cached, monotonic */
uint64_t clock_us(void);         /* cached, monotonic */
uint64_t clock_us_now(void);     /* read now, monotonic */
uint64_t clock_ns_now(void);     /* read now, monotonic, in ns: for what lasts less than a microsecond */
uint64_t clock_wall_ms(void);    /* cached, since 1970 */
uint64_t clock_wall_ms_now(void); /* read now, since 1970 */

/* This thread's reading until the next clock_tick: for tests, and for tools that replay. */
void clock_set(uint64_t mono_us, uint64_t wall_ms);

str clock_http_date(void); /* IMF-fixdate (RFC 9110 5.6.7), cached per second and thread, NUL-terminated */
str clock_iso8601(void);   /* 2026-11-21T05:31:51+00:00, cached likewise */
str clock_log_time(void);  /* 21/Nov/2026:05:31:51 +0000 (common log format), cached likewise */

/* The same texts for any second since 1970 (at most the last of 9999), written into room with a NUL behind them. */
enum clock_form { CLOCK_HTTP_DATE, CLOCK_ISO8601, CLOCK_LOG_TIME };
enum { CLOCK_ROOM = 32 };
str clock_format(enum clock_form form, uint64_t seconds, char room[CLOCK_ROOM]);

#endif
