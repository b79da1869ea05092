/* SPDX-License-Identifier: BSD-2-Clause */
/* abi.h: the words every part of the module contract is spelt in.
 *
 * Shape:   frozen small values (strings, spans, tables), opaque handles and fixed-width integers. Nothing else crosses
 *          the line between weir and a module: no open-ended enum, no bit-field, no libevent, OpenSSL or libc type of
 *          varying size.
 * Growth:  ABI major must be equal, the module's minor must not be above the host's. Structs and tables grow only at
 *          their end; a zero always means "as before"; arrays are strided, so their elements may grow too. */
#ifndef WEIR_ABI_H
#define WEIR_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_ABI_MAGIC 0x72696577u /* "weir", little endian */
#define WEIR_ABI_MAJOR 0u
#define WEIR_ABI_MINOR 1u /* the newest minor these headers describe */

/* Define WEIR_TARGET to the oldest minor that shall load this module: newer calls then do not exist for the
 * compiler. */
#ifndef WEIR_TARGET
#define WEIR_TARGET WEIR_ABI_MINOR
#endif
#if WEIR_TARGET > WEIR_ABI_MINOR
#error "WEIR_TARGET is newer than these headers"
#endif

/* Bytes that somebody else owns. Not terminated by a NUL unless the function that returns it says so. p may be NULL
 * when n is 0. */
typedef struct weir_str {
    const char *p;
    size_t n;
} weir_str;

/* Room that somebody else owns. */
typedef struct weir_span {
    void *p;
    size_t n;
} weir_span;

/* count elements, stride bytes apart. */
typedef struct weir_table {
    const void *base;
    uint32_t count;
    uint32_t stride;
} weir_table;

#define WEIR_S(literal) ((weir_str){ "" literal "", sizeof(literal) - 1 })
#define WEIR_TABLE(array) { (array), (uint32_t)(sizeof(array) / sizeof((array)[0])), (uint32_t)sizeof((array)[0]) }

/* What a callback decided. Unknown values are taken as WEIR_FAIL. */
typedef int32_t weir_verdict;
#define WEIR_NEXT 0      /* go on with the next hook */
#define WEIR_SKIP 1      /* leave out the rest of this stage; in AUTH: this request is satisfied */
#define WEIR_REPLY 2     /* the reply is set: jump to RSP_HEAD */
#define WEIR_SUSPEND 3   /* wait for the token that weir_suspend() returned */
/* hold the head, feed my bytes hook up to the limit named with weir_want_body(), then ask me again */
#define WEIR_WAIT_BODY 4
#define WEIR_REROUTE 5   /* the target was changed: choose site and route again (at most 8 times) */
#define WEIR_FAIL 6      /* I could not decide: the hook's policy (open or closed) decides */
#define WEIR_CLOSE 7     /* close the connection without an answer */

/* Opaque handles. A pointer given to a callback is valid during it, or as long as the function that gave it says. */
typedef struct weir_mod weir_mod;           /* this module, for the process's life */
typedef struct weir_conf weir_conf;         /* one scope being bound; only inside check() and set() */
typedef struct weir_conn weir_conn;         /* a client connection */
typedef struct weir_req weir_req;           /* one request and its response */
typedef struct weir_flow weir_flow;         /* one bytes hook's place in one body */
typedef struct weir_chain weir_chain;       /* body bytes on their way */
typedef struct weir_tmpl weir_tmpl;         /* a compiled template; lives as long as its snapshot */
typedef struct weir_upstream weir_upstream; /* an upstream named in a directive; lives as long as its snapshot */
typedef struct weir_answer weir_answer; /* of a command, while it runs */
typedef struct weir_dict weir_dict;         /* a shared dictionary */
typedef struct weir_timer weir_timer;       /* a timer bound to its owner */
typedef struct weir_sink weir_sink;         /* a file or stream that log lines are written to */

/* Names one suspension. Any thread may resume it, once; later or stale uses are ignored. {0, 0} is never valid. */
typedef struct weir_token {
    uint64_t id;
    uint64_t generation;
} weir_token;

#endif
