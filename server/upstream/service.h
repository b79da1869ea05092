/* SPDX-License-Identifier: BSD-2-Clause */
/* service.h: a server that is a name with SRV records: which of its targets the next request goes to.
 *
 * Shape:   of the lowest priority that has a target in order, one by chance and weight; targets of higher ones stand
 *          in.
 *          A target to which no connection could be made is passed over for a while, unless all are.
 * Owner:   embedded in a pool, whose addresses it is about, by index.
 * Thread:  the pool's worker.
 * Source:  RFC 2782 (priority, weight; a weight of 0 is a very small one). */
#ifndef UPSTREAM_SERVICE_H
#define UPSTREAM_SERVICE_H

#include "loop/resolver.h"

struct service {
    uint64_t avoid_until[RESOLVER_MOST]; /* ms of clock_ms() */
    uint64_t random;
};

/* An index into the addresses, of those whose bit is not set in tried; -1: none. */
int service_choose(struct service *service, const struct resolved *addresses, uint32_t tried);
void service_failed(struct service *service, int index, uint64_t avoid_ms);
void service_worked(struct service *service, int index);
/* Newer addresses are about to replace these: what is known of those that stay is kept. */
void service_carry(struct service *service, const struct resolved *former, const struct resolved *fresh);

#endif
