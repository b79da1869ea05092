/* SPDX-License-Identifier: BSD-2-Clause */
/* changes.h: what operators changed in upstreams at run time: servers added and removed, weights, who is drained or
 * down.
 *
 * Shape:   of each upstream a list of orders, applied to the servers of its block in the files in the order in which
 *          they were given; what a later order makes pointless is left out. The list holds as long as the block's text
 *          is the same: an upstream whose block was edited is as its block says.
 *          As text, for whoever keeps it: "NAME FINGERPRINT ORDER\tORDER...", an order being as in change_orders.h.
 * Owner:   the process.
 * Thread:  main.
 * Limits:  256 servers an upstream, 48 KB of orders. */
#ifndef UPSTREAM_CHANGES_H
#define UPSTREAM_CHANGES_H

#include "loop/worker.h"
#include "upstream/upstream.h"

struct changes_place { /* what is live */
    struct weir_upstream *all;
    const struct schema *schema;
    struct worker *main;
    struct worker *const *workers;
    void (*keep)(str record); /* outside the process, over its crash; empty orders: no longer */
};

/* verb: add (options as behind `server`), remove, drain, down, up, weight (options: the number). */
struct change_order {
    str upstream, verb, server, options;
};

/* Does it. An HTTP status: 200, text is a warning or empty; else text says why nothing has changed. */
int changes_make(const struct changes_place *place, const struct change_order *order, struct arena *arena, str *text);
/* The upstream of that name; NULL: *why names the nearest. */
struct weir_upstream *changes_find(struct weir_upstream *all, str name, struct arena *arena, str *why);

bool changes_remember(str record); /* of a former process; false: cannot be understood, or no memory */
/* The same, while this process serves already: the former one was told so when its successor had begun. */
void changes_follow(const struct changes_place *place, str record);
/* A new configuration: before its snapshot is published, then behind that; what its text has overtaken is dropped. */
void changes_carry_over(struct weir_upstream *all, const struct schema *schema);
void changes_settle(struct weir_upstream *all, void (*keep)(str record));
str changes_told(const struct weir_upstream *u); /* its orders, parted by tabs; valid until the next change */
void changes_finish(void);

#endif
