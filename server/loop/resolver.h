/* SPDX-License-Identifier: BSD-2-Clause */
/* resolver.h: names to addresses without holding up a worker: the hosts file, then DNS (c-ares, on a job thread).
 *
 * Shape:   A and AAAA records; of a name that begins with '_' SRV records and what their targets have, in the order of
 *          their priorities.
 * Owner:   embedded query; resolver_cancel forgets it (its callback will not come), whatever the pool is still doing.
 * Thread:  the worker that asked.
 * Errors:  why is set and count is 0. */
#ifndef LOOP_RESOLVER_H
#define LOOP_RESOLVER_H

#include "loop/job.h"

#include <netinet/in.h>

enum { RESOLVER_MOST = 16, RESOLVER_PORT = 53, RESOLVER_TEXT = 512 };

struct resolved {
    unsigned count;
    struct sockaddr_storage addresses[RESOLVER_MOST];
    uint16_t tiers[RESOLVER_MOST];   /* of SRV records: 0 the lowest priority, then 1, ... */
    uint32_t weights[RESOLVER_MOST]; /* of SRV records: at least 1; a target's addresses share its weight */
    unsigned first_tier;             /* how many, at the front, belong to tier 0 */
    bool is_service;                 /* from SRV records */
    uint32_t ttl;    /* seconds they may be used; 1 to 3600 */
    const char *why; /* static; NULL when there are addresses */
};

struct resolver_query {
    void (*on_resolved)(struct resolver_query *query, const struct resolved *result);
    struct resolver_job *job; /* in flight */
};

bool resolver_ask(struct resolver_query *query, const char *host, uint16_t port,
                  void (*on_resolved)(struct resolver_query *, const struct resolved *)); /* false: not started */
/* From now on these servers are asked: "ADDR[:PORT],..."; empty: those that the system names. Any thread. False: too
 * long, nothing has changed. */
bool resolver_use(const char *servers);
void resolver_cancel(struct resolver_query *query);

#endif
