/* SPDX-License-Identifier: BSD-2-Clause */
/* out.h: bytes written into fixed room, with one check at the end instead of one a call.
 * Errors:  what does not fit is dropped and `full` is set: test it once, after the last put. */
#ifndef BASE_OUT_H
#define BASE_OUT_H

#include "base/str.h"

struct out {
    char *p;        /* room */
    size_t n, room; /* filled, in all */
    bool full;
};

static inline void out_bytes(struct out *out, const void *p, size_t n)
{
    if (n > out->room - out->n) {
        out->full = true;
        return;
    }
    if (n)
        memcpy(out->p + out->n, p, n);
    out->n += n;
}
static inline void out_str(struct out *out, str s)
{
    out_bytes(out, s.p, s.n);
}
static inline void out_char(struct out *out, char c)
{
    out_bytes(out, &c, 1);
}
void out_u64(struct out *out, uint64_t value);     /* decimal */
void out_hex(struct out *out, uint64_t value);     /* lower case, no leading zeros */
void out_json_str(struct out *out, str s);         /* quoted, escaped (RFC 8259 7); what is no UTF-8 becomes \ufffd */
void out_printable(struct out *out, str s);        /* control characters and what is no UTF-8 become \xNN */

#endif
