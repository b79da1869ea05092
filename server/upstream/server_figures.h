/* SPDX-License-Identifier: BSD-2-Clause */
/* server_figures.h: what is counted of upstreams, their servers and the connections to them.
 *
 * Shape:   tallies by name (pipeline/tally.h), so that reloads forget nothing. Idle connections are counted by what
 *          they are connected to: upstreams that name the same server have them in common.
 * Owner:   an upstream, a server's state (server_state.h) and a pool hold one each.
 * Thread:  counting: the request's worker, health checks: main. */
#ifndef UPSTREAM_SERVER_FIGURES_H
#define UPSTREAM_SERVER_FIGURES_H

#include "pipeline/tally.h"

struct exchange;

enum server_failure {
    FAILED_RESOLVE, /* no address for its name */
    FAILED_CONNECT, /* refused or unreachable */
    FAILED_CONNECT_TIMEOUT,
    FAILED_TLS,
    FAILED_TIMEOUT, /* no response in time, or it stalled */
    FAILED_CLOSED,  /* the connection ended before the response did */
    FAILED_MALFORMED,
    FAILED_KINDS
};
extern const char *const server_failure_names[FAILED_KINDS];

enum { /* a server's row */
    SERVER_ANSWERED, /* by the status's first digit, from 1 on */
    SERVER_FAILED = SERVER_ANSWERED + 5,
    SERVER_RETRIES = SERVER_FAILED + FAILED_KINDS,
    SERVER_CONNECTED,
    SERVER_REUSED,
    SERVER_CHECKS_GOOD,
    SERVER_CHECKS_BAD,
    SERVER_CONNECT_TIME,
    SERVER_RESPONSE_TIME = SERVER_CONNECT_TIME + LATENCY_CELLS,
    SERVER_COUNTERS = SERVER_RESPONSE_TIME + LATENCY_CELLS
};
enum { UPSTREAM_QUEUED, UPSTREAM_REFUSED_FULL, UPSTREAM_REFUSED_NONE, UPSTREAM_COUNTERS }; /* an upstream's row */
enum { POOL_IDLE, POOL_LINKS, POOL_STREAMS, POOL_COUNTERS };                               /* a pool's */

/* By the name of an upstream, by the key of a server's state, by that of its pool. NULL without memory. */
struct tally *upstream_tally(str name);
struct tally *server_tally(str key);
struct tally *pool_tally(str key);

/* of the exchange's present server */
void server_count_failure(const struct exchange *x, int status);
void server_count_answer(const struct exchange *x, int status);

#endif
