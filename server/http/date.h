/* SPDX-License-Identifier: BSD-2-Clause */
/* date.h: reads HTTP-date. (base/clock.h writes it.)
 * Source:  RFC 9110 5.6.7: IMF-fixdate, and the two obsolete forms that every recipient must read. */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include "base/str.h"

/* Seconds since 1970; dates before it read as 0. now decides which century a year of two digits means (none more than
 * 50 years ahead). False: no HTTP-date. */
bool http_date_read(str text, uint64_t now, uint64_t *seconds);

#endif
