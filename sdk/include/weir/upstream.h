/* SPDX-License-Identifier: BSD-2-Clause */
/* upstream.h: balancers: which server of an upstream gets a request.
 *
 * Shape:   a balancer is a name for `balance NAME ARG...;`, its own arguments and three calls. Servers stand in a
 *          strided table in the order of the configuration; one with WEIR_SERVER_USABLE may be picked.
 * Thread:  state is per worker and upstream: no call needs a lock.
 * Errors:  pick answers -1 when it has none to give; the request then gets 503. */
#ifndef WEIR_UPSTREAM_H
#define WEIR_UPSTREAM_H

#include <weir/conf.h>

#define WEIR_SERVER_USABLE 1u /* up, not full, not tried yet for this request */
#define WEIR_SERVER_BACKUP 2u /* usable only when no ordinary server is: the core has already seen to it */

struct weir_server {
    weir_str name;   /* as configured */
    uint32_t weight; /* 1..; lower for a while in slow start */
    uint32_t flags;  /* WEIR_SERVER_* */
    uint32_t active; /* requests in flight, this worker's */
    uint32_t active_all; /* of all workers */
};

#define WEIR_OUTCOME_OK 0u      /* a response head arrived */
#define WEIR_OUTCOME_CONNECT 1u /* no connection */
#define WEIR_OUTCOME_TIMEOUT 2u
#define WEIR_OUTCOME_BROKEN 3u  /* connection or response broke */

struct weir_balancer {
    const char *name;
    uint32_t conf_size;  /* struct that args fill */
    uint32_t state_size; /* per worker and upstream, zeroed */
    weir_table args;     /* of struct weir_arg: what stands behind the name in `balance` */
    /* servers: how many; also after a change of them; may be NULL */
    int (*up)(void *state, const void *conf, uint32_t servers);
    int32_t (*pick)(void *state, const void *conf, weir_req *r, const weir_table *servers); /* index, or -1 */
    /* microseconds: until the response head, or the failure. May be NULL */
    void (*done)(void *state, const void *conf, uint32_t server, uint32_t outcome, uint64_t microseconds);
    void (*down)(void *state, const void *conf); /* state is about to go; may be NULL */
};

#endif
