/* SPDX-License-Identifier: BSD-2-Clause */
/* range.h: which bytes of a representation a Range field asks for.
 *
 * Shape:   ranges in the order asked for, except that those which overlap, or lie so close that a part's own head would
 *          be longer than the gap, are one.
 * Source:  RFC 9110 14.1.2 (byte ranges), 14.2 (Range), 15.3.7.2 (coalescing), 17.15 (a server may refuse too many). */
#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

#include "base/str.h"

enum { RANGES_MOST = 32, RANGE_GAP = 80 };

struct range {
    uint64_t first, last; /* offsets, last included */
};
struct ranges {
    struct range at[RANGES_MOST];
    uint32_t count;
};

enum ranges_verdict {
    RANGES_IGNORED,         /* other unit, malformed, more than RANGES_MOST, or nothing to take a part of: send all */
    RANGES_NOT_SATISFIABLE, /* 416 */
    RANGES_FOUND,           /* 206 */
};
enum ranges_verdict ranges_read(str field, uint64_t size, struct ranges *out); /* out: only when FOUND */

#endif
