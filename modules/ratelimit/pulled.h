/* SPDX-License-Identifier: BSD-2-Clause */
/* pulled.h: the bans of a list server, as a table that is looked up in and never changed: a newer one takes its place.
 *
 * Shape:   the decisions, sorted by network; over them the places on the line of all addresses where the decision that
 *          lasts longest changes, so that a look-up is one search by halves, however networks lie within each other.
 * Units:   times are milliseconds since 1970.
 * Owner:   counted references; NULL is an empty table.
 * Thread:  any; what several threads hold is constant. */
#ifndef RATELIMIT_PULLED_H
#define RATELIMIT_PULLED_H

#include "decisions.h"

#include <stdatomic.h>

struct turn { /* from this address on, until the next one's */
    uint64_t high, low;
    uint32_t decision; /* NOBODY: none holds */
};

struct pulled {
    atomic_uint holders;
    struct decision_list decisions; /* those that ended a short while ago as well */
    struct turn *turns;
    size_t turn_count, in_force;    /* in force: when it was made */
    uint64_t first_end;             /* of those in force; UINT64_MAX: none ends */
    size_t bytes;
    struct labels *labels;
};

enum { NOBODY = UINT32_MAX };

/* The table of what `before` holds (NULL: nothing) without what is gone, and of what is new; ended ones are kept for
 * `grace`, as a server may still name them. A decision that is gone takes away the one with its id or, when it has none
 * that is known here, all of its network. *left_out grows by those beyond `most`. NULL: no memory. */
struct pulled *pulled_make(const struct pulled *before, const struct decisions *news, uint64_t now, uint64_t grace,
                           size_t most, uint32_t *left_out);
struct pulled *pulled_ref(struct pulled *pulled);
void pulled_unref(struct pulled *pulled);

/* The decision that bans this address, the one that does so the longest; NULL: none. */
const struct decision *pulled_find(const struct pulled *pulled, const uint8_t address[16], uint64_t now);
/* One of exactly this network that is in force; NULL: none. */
const struct decision *pulled_find_network(const struct pulled *pulled, const uint8_t address[16], uint32_t bits,
                                           uint64_t now);

#endif
