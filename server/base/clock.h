/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.h: time, read once per loop turn and kept for everybody in it.
 *
 * Units:   milliseconds (monotonic) for deadlines, microseconds for durations, seconds and ms since 1970 for dates.
 * Thread:  each thread has its own cached reading; clock_tick renews it. A thread that never ticks reads afresh on first use. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/str.h"

void clock_tick(void);                 /* call at the start of a loop turn */
uint64_t clock_ms(void);               /* cached, monotonic */
uint64_t clock_us(void);               /* cached, monotonic */
uint64_t clock_us_now(void);           /* read now, monotonic */
uint64_t clock_wall_ms(void);          /* cached, since 1970 */

str clock_http_date(void);             /* IMF-fixdate (RFC 9110 5.6.7), cached per second and thread, NUL-terminated */
str clock_iso8601(void);               /* 2026-11-21T05:31:51+00:00, cached likewise */
str clock_log_time(void);              /* 21/Nov/2026:05:31:51 +0000 (common log format), cached likewise */

#endif
