/* SPDX-License-Identifier: BSD-2-Clause */
/* sites.h: virtual hosts: which site a host name means on a listen point, and from there which route and plan.
 *
 *     host on a point: exact name, else the longest wildcard (*.suffix, any depth below it), else `_`
 *
 * Shape:   one hash table of names for all points, each name with the set of points it is served on: 10,000 sites are
 *          10,000 entries, whatever they listen on. Wildcards lie in a second one, by suffix.
 * Owner:   the snapshot's arena. Thread: constant once built; look-ups allocate nothing.
 * Errors:  to diags: a name that stands twice on one address is refused with both places. */
#ifndef APP_SITES_H
#define APP_SITES_H

#include "app/house/listens.h"
#include "app/house/routes.h"
#include "pipeline/choice.h"
#include "pipeline/snapshot.h"

struct site {
    str name;         /* its first one */
    weir_table names; /* of weir_str, lower case */
    struct scope *scope;
    const struct plan *plan;
    struct routes *routes; /* NULL: none */
    const struct listen_set *listens;
    const struct statement *statement;
    struct tally *tally; /* the house's; NULL without memory */
    struct site *next; /* as written */
};

struct site_name;

struct sites {
    struct strmap exact;    /* name -> struct site_name */
    struct strmap suffixes; /* ".suffix" -> struct site_name */
    struct site_name *rest; /* `_` */
    size_t longest_suffix;
    struct listen_table listens;
    struct site *first, **end;
    uint32_t count;
};

void sites_init(struct sites *sites);
/* Reads the names of a `site` statement; NULL after an error was reported. Its scope, routes and plan are the
 * caller's. */
struct site *site_read(struct sites *sites, struct binder *binder, const struct statement *statement);
/* Its names are looked up on its listen points from now on. False without memory; double names are reported. */
bool sites_add_names(struct sites *sites, const struct site *site, struct arena *arena, struct diags *diags);

/* host: lower case, no port; empty: none was named. NULL: no site of this name here. */
const struct site *site_find(const struct sites *sites, const struct listen_point *point, str host);

/* For the snapshot, whose house is a struct house (configuration.c). */
bool sites_choose(const struct sites *sites, struct weir_req *r);
void sites_tell_choice(const struct sites *sites, const struct weir_req *r, bool is_found, struct choice *choice);
const struct scope *sites_tls(const struct sites *sites, const struct listen_point *point, str server_name);

#endif
