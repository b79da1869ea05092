/* SPDX-License-Identifier: BSD-2-Clause */
/* routes.h: which route of a site a request takes, by its path and the route's conditions.
 *
 *     route = /status   the path is /status                          asked first
 *     route ~ \.php$    the pattern matches somewhere in the path    then, in written order
 *     route /api/       the path begins with /api/                   then, the longest first
 *
 * Shape:   exact paths and prefixes are sorted arrays; each prefix knows the next shorter one that is a prefix of it,
 *          so that one binary search finds the longest. Of several routes with one path those with conditions come
 *          first, in written order.
 * Note:    compared with uri.match: normal form, runs of '/' folded. `/api/` does not match `/api`: they are two
 *          resources (RFC 3986 6.2.3). Methods are compared as they are: GET does not stand for HEAD.
 * Owner:   the snapshot's arena. Thread: constant once sorted.
 * Errors:  to diags at the route. A pattern that gives up while matching makes route_choose say so: the request is
 *          refused, as a route may guard something. */
#ifndef APP_ROUTES_H
#define APP_ROUTES_H

#include "app/house/regex.h"
#include "config/bind.h"
#include "pipeline/plan.h"

struct weir_req;

enum route_kind { ROUTE_EXACT, ROUTE_REGEX, ROUTE_PREFIX };

struct route {
    enum route_kind kind;
    str path; /* normal form; of a regular expression its pattern */
    str text; /* as written: "= /status", "~ \.php$", "/api/" */
    struct regex *regex;
    weir_table methods; /* of weir_str; empty: any */
    weir_table clients; /* of struct weir_cidr; empty: any */
    str header, value;  /* header empty: none asked for */
    bool any_value;     /* header=NAME alone: it is there */
    struct scope *scope;
    const struct plan *plan;
    str prefix;         /* what a proxy URL's path replaces; empty for patterns */
    struct route *next; /* of the same path, in the order in which they are asked */
    const struct statement *statement;
};

struct route_path {
    str path;
    struct route *first;
    uint32_t shorter; /* index of the longest other prefix of it; ROUTE_NONE */
};
#define ROUTE_NONE UINT32_MAX

struct routes {
    struct vec all;                      /* of struct route *, as written */
    struct route_path *exact, *prefixes; /* sorted */
    struct route **regexes;
    uint32_t exact_count, prefix_count, regex_count;
};

/* Reads what stands between `route` and its block. NULL after an error was reported. The route's scope and plan are the
 * caller's. */
struct route *route_read(struct binder *binder, const struct scope *site, const struct statement *statement);
bool routes_sort(struct routes *routes, struct arena *arena,
                 struct diags *diags); /* all are in; false without memory */

/* NULL: none. *gave_up: a pattern could not be matched to its end, and no route before it was taken. */
const struct route *route_choose(const struct routes *routes, const struct weir_req *r, bool *gave_up);

/* weir explain: each route whose path the request has, but not its conditions, up to the chosen one (NULL: none was),
 * in the order in which they are asked. why: which condition, "method", "header" or "client". */
void routes_passed_over(const struct routes *routes, const struct weir_req *r, const struct route *chosen,
                        void (*tell)(const struct route *route, const char *why, void *arg), void *arg);

#endif
