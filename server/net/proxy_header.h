/* SPDX-License-Identifier: BSD-2-Clause */
/* proxy_header.h: the PROXY protocol: a balancer's first bytes on a connection, which say whom it speaks for.
 *
 * Shape:   proxy_header_read takes what has come so far, from the first byte on; a whole header is the first out->n
 *          bytes, and what follows them is the client's. proxy_header_put makes one.
 * Units:   addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d, whatever family the header had them in.
 * Errors:  PROXY_HEADER_REFUSED and a static text: two readers could differ on it, or it is none. Outputs are
 *          untouched then.
 * Limits:  version 1: 107 bytes, as the specification has it; version 2: PROXY_HEADER_MOST bytes in all. Of the
 *          extensions (TLVs) the checksum is checked; the others must be well-formed and are passed over.
 * Source:  "The PROXY protocol, versions 1 & 2" (2020/03/05), sections 2.1 and 2.2; CRC32C: RFC 3309 appendix. */
#ifndef NET_PROXY_HEADER_H
#define NET_PROXY_HEADER_H

#include "base/str.h"

enum { PROXY_HEADER_MOST = 4096, PROXY_HEADER_V1_MOST = 107, PROXY_HEADER_ROOM = 128 };

struct proxy_ends { /* of the connection that the balancer speaks for */
    uint8_t source[16], target[16];
    uint16_t source_port, target_port;
    bool is_known; /* false: nothing is said of it (the balancer's own, UNKNOWN, or a local socket); all is 0 */
};

struct proxy_header {
    struct proxy_ends ends;
    size_t n;   /* bytes of the header */
    int version;
};

enum proxy_header_answer { PROXY_HEADER_WHOLE, PROXY_HEADER_MORE, PROXY_HEADER_REFUSED };

enum proxy_header_answer proxy_header_read(str in, struct proxy_header *out, const char **why);

/* Version 1 or 2. Not known: "PROXY UNKNOWN", or PROXY without a family. Bytes used of PROXY_HEADER_ROOM. */
size_t proxy_header_put(int version, const struct proxy_ends *ends, char room[PROXY_HEADER_ROOM]);
/* The connection is our own (a health check): "PROXY UNKNOWN", or LOCAL. */
size_t proxy_header_put_own(int version, char room[PROXY_HEADER_ROOM]);

bool proxy_ends_equal(const struct proxy_ends *a, const struct proxy_ends *b);

#endif
