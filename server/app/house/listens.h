/* SPDX-License-Identifier: BSD-2-Clause */
/* listens.h: on which addresses which site is served: `listen`, the default ports, and what they may not contradict.
 *
 * Shape:   a site has a set of listen points (by their dense numbers); sites without a `listen` of their own share one
 *          set. What the snapshot asks of a point (does it speak TLS? which site when the client names none?) is a
 *          table by number.
 * Owner:   the snapshot's arena; listen points themselves are the process's.
 * Errors:  to diags, with the places of both sides of a contradiction. */
#ifndef APP_LISTENS_H
#define APP_LISTENS_H

#include "app/house/configuration.h"
#include "app/house/listen_balancers.h"
#include "config/bind.h"

struct listen_set {
    uint32_t count;
    uint32_t ids[];
};

struct listen_use {                   /* what one snapshot does with a listen point */
    const struct listen_point *point; /* NULL: not used */
    bool is_tls;
    const struct listen_balancers *balancers; /* NULL: nobody sends PROXY headers */
    bool is_implied;    /* by a bare port: a family that the machine lacks is left out */
    struct place place; /* who said so first */
    uint32_t tls_sites; /* how many */
    const void *one;    /* the site, while tls_sites is 1 */
};

struct listen_table {
    struct vec uses;                       /* of struct listen_use, by the point's number */
    const struct listen_set *plain, *both; /* of sites without `listen`: http_port; https_port as well */
};

struct listening { /* one site's wish */
    struct arena *arena;
    struct diags *diags;
    const void *site;
    const struct scope *scope; /* checked */
    uint32_t owner_index;      /* of site_module */
    bool has_tls_module;
};

/* The site's set, NULL without memory or after an error; *redirects: plain requests are to be sent to https. */
const struct listen_set *listen_table_add(struct listen_table *table, const struct listening *listening,
                                          bool *redirects);
/* The points used, in the order of their numbers. False without memory. */
bool listen_table_list(const struct listen_table *table, struct arena *arena, struct configuration_listen **listens,
                       uint32_t *count);

static inline const struct listen_use *listen_use_of(const struct listen_table *table, const struct listen_point *point)
{
    return point->id < table->uses.count ? vec_at(&table->uses, struct listen_use, point->id) : NULL;
}
static inline bool listen_set_has(const struct listen_set *set, uint32_t id)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->ids[i] == id)
            return true;
    return false;
}

#endif
