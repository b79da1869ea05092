/* SPDX-License-Identifier: BSD-2-Clause */
/* upstream.h: a named group of origin servers, as one snapshot knows it. The handle behind the SDK's weir_upstream.
 *
 * Shape:   what routes point at is the one that the files made; changes at run time (version.h) put newer ones beside
 *          it, and each request uses the newest: upstream_now().
 * Owner:   the snapshot's arena; what must outlive it (idle connections, addresses) is in pools (pool.h), per worker.
 * Thread:  constant once bound, but for local[i], which only worker i touches, now, and the budget. */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include "config/bind.h"
#include "http/uri.h"
#include "net/addr.h"
#include "pipeline/order.h"
#include "upstream/health_check.h"
#include "upstream/retry.h"
#include "upstream/server_state.h"
#include "upstream/sticky.h"

#include <stdatomic.h>
#include <weir/upstream.h>

enum { UPSTREAM_SERVERS_MOST = 256 };

struct server_conf { /* record of `server ADDR[:PORT]|unix:PATH [weight=1] ... [backup] [down];` */
    weir_str address;
    uint64_t weight, max_conns, max_fails, fail_timeout, slow_start;
    bool backup, down;
    struct weir_place place;
};

enum upstream_protocol { PROTOCOL_HTTP1, PROTOCOL_H2 };

struct upstream_conf {
    weir_table servers; /* of struct server_conf */
    uint64_t keepalive, keepalive_timeout;
    weir_str balance;
    weir_table balance_rest;
    const struct statement *balance_statement, *retry_statement;
    struct retry_conf retry;
    const struct statement *sticky_statement;
    struct sticky_conf sticky;
    const struct statement *check_statement;
    struct health_conf check;
    bool tls, tls_verify;
    weir_str tls_ca, tls_server_name;
    weir_str tls_certificate, tls_key; /* to show to the servers */
    const struct statement *tls_certificate_statement;
    uint32_t proxy_version;
    uint32_t protocol; /* enum upstream_protocol */
};

struct server {
    str name;       /* as configured */
    str host;       /* to be resolved; empty: addr is it */
    uint16_t port;
    struct addr addr;
    str key;        /* identity of its pool: address and TLS settings */
    uint32_t weight;
    bool backup, down;
    bool draining;  /* only who has its cookie comes here */
    struct server_rules rules;
    struct server_state *state;
};

struct upstream_local; /* one worker's pools and balancer state */

struct weir_upstream {
    str name;
    struct server *servers;
    uint32_t server_count;
    const struct weir_balancer *balancer;
    void *balancer_conf;
    uint64_t keepalive, keepalive_timeout; /* idle connections per worker and server; ms */
    const struct weir_transport *tls;      /* NULL: plain */
    void *tls_prepared;
    str tls_files;                         /* which ones, and what stood in them; empty: none */
    str path;                              /* of a proxy URL: replaces the route's prefix; empty: none */
    bool has_path;
    uint32_t proxy_version;                /* of the PROXY header in front of each connection; 0: none */
    enum upstream_protocol protocol;
    bool has_slow_start;                   /* a server has: weights are given in hundredths */
    struct retry_rules retry;
    struct sticky_rules sticky;
    struct health_rules check;
    struct retry_budget *budget;           /* not constant */
    str tls_identity;                      /* part of its servers' keys */
    struct weir_place place;               /* of its block; file empty: it is an URL in a route */
    uint64_t fingerprint;                  /* of its block's text; 0: it has none */
    _Atomic(struct weir_upstream *) now;   /* of the one that the files made: the newest; NULL: none but this */
    struct upstream_version *version;      /* NULL: of this snapshot's files */
    struct upstream_local **local;         /* by worker index */
    unsigned worker_count;
    struct tally *tally;                   /* server_figures.h; NULL without memory */
    struct weir_upstream *next;            /* all of a snapshot */
};

/* What binding needs beside the binder. */
struct upstream_binding {
    struct binder *binder;
    const struct order *order;          /* to find balancers */
    const struct weir_transport *tls;   /* NULL: no module offers it */
    weir_mod *tls_mod;
    unsigned worker_count;
    uint32_t owner_index;               /* of upstream_module in scopes */
    struct weir_upstream *all;          /* grows */
    struct strmap by_name;              /* blocks by name, URLs by their text */
};

extern const struct weir_module upstream_module; /* built in: the directives of an upstream block */
extern const weir_table upstream_server_args;    /* what may stand behind `server`: fills a struct server_conf */
extern const struct weir_module proxy_module;    /* `proxy` */

struct weir_upstream *upstream_of_block(struct upstream_binding *binding, str name, const struct scope *scope);
struct weir_upstream *upstream_of_url(struct upstream_binding *binding, str url, struct place place,
                                      const struct scope *scope);
struct weir_upstream *upstream_find(const struct upstream_binding *binding, str name);
/* A server of an upstream from what was said of it. NULL, or what is wrong. Without its state. */
const char *upstream_server(struct arena *arena, const struct weir_upstream *u, const struct server_conf *conf,
                            struct server *server);
bool upstream_server_state(struct arena *arena, const struct weir_upstream *u, struct server *server);

/* What requests that begin now use. */
static inline struct weir_upstream *upstream_now(struct weir_upstream *made_of_files)
{
    struct weir_upstream *now = atomic_load_explicit(&made_of_files->now, memory_order_acquire);

    return now ? now : made_of_files;
}

void upstreams_leave(struct weir_upstream *all); /* a worker, when it lets go of their snapshot (snapshot->leave) */
void upstreams_drop(struct weir_upstream *all);  /* main, when their snapshot goes */

#endif
