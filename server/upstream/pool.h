/* SPDX-License-Identifier: BSD-2-Clause */
/* pool.h: one worker's connections to one server: idle ones kept for reuse, and the addresses its name has.
 *
 * Owner:   the worker; a pool lives as long as an upstream of any snapshot uses it or a connection is open.
 * Thread:  its worker. */
#ifndef UPSTREAM_POOL_H
#define UPSTREAM_POOL_H

#include "loop/deadline.h"
#include "loop/resolver.h"
#include "net/conn.h"
#include "net/proxy_header.h"
#include "pipeline/intake.h"
#include "pipeline/request.h"
#include "upstream/service.h"
#include "upstream/upstream.h"

struct exchange;

struct pool {
    struct pool *next; /* in the worker's table */
    char *key;
    uint32_t users;    /* upstream_locals that point here */
    uint32_t open;     /* connections, idle and leased */
    struct list idle;  /* of upstream_conn, the last used first */
    struct list links; /* of link (link.h): its HTTP/2 connections, idle or not */
    struct list queue; /* of link_stream: exchanges for which no link has room */
    uint32_t queued, streams_most; /* streams_most: what the server's SETTINGS said last; 0: nothing yet */
    uint32_t idle_count;
    struct tally *tally;       /* server_figures.h; NULL without memory */
    struct resolved addresses; /* of the name; count 0: none yet */
    uint64_t addresses_until;  /* ms: older ones are used, and asked for again */
    unsigned next_address;
    struct service service; /* of a name with SRV records: its targets */
    struct resolver_query query;
    bool asking;
    struct list waiting; /* exchanges that wait for the first answer */
};

struct upstream_conn {
    struct conn conn;
    struct addr to;
    struct pool *pool;
    struct exchange *exchange; /* NULL: idle */
    struct list link;          /* in pool->idle */
    struct intake in;
    struct h1_scan scan;
    struct h1_body decoder;
    struct chain out;
    uint64_t uses;
    struct proxy_ends announced; /* whom its PROXY header named, when one was sent */
    bool keep, closed;
};

struct upstream_local { /* one worker's view of one upstream */
    struct pool **pools; /* by server */
    struct weir_server *views;
    void *balancer_state;
    uint32_t server_count;
    uint32_t users;         /* exchanges that point here */
    struct version_letter *leaving; /* it was replaced, and goes with its last user; NULL: in use */
    struct list queue;      /* exchanges that wait until a server has room */
    uint32_t queued;
    struct deferred wake;   /* a place became free on this worker */
    struct deadline look;   /* for places that became free on others */
};

struct upstream_local *upstream_local(struct weir_upstream *upstream); /* this worker's; NULL without memory */
void upstream_local_free(const struct weir_upstream *upstream, struct upstream_local *local);

/* NULL: none that is still good. announced: only one whose PROXY header named these; NULL: there are no headers. */
struct upstream_conn *pool_take_idle(struct pool *pool, const struct addr *to, const struct proxy_ends *announced);
/* NULL: failed at once */
struct upstream_conn *pool_connect(struct pool *pool, const struct addr *to, struct exchange *exchange);
/* idle, or closed when there are enough */
void pool_give_back(struct upstream_conn *uc, uint64_t keepalive, uint64_t keepalive_ms);
void pool_close(struct upstream_conn *uc);                    /* and frees it at the end of the turn */
bool pool_has_address(const struct pool *pool, const struct addr *addr); /* its name still has it, or it is none */
/* for link.c */
void pool_conn_made(struct pool *pool);
void pool_conn_gone(struct pool *pool); /* the pool may go with it */
void pool_note_idle(struct pool *pool, int by);
/* connections to addresses that the name no longer has are not used again */
void pool_use_addresses(struct pool *pool, const struct resolved *result);
void pools_close_idle(void);                                  /* this worker's, all; at drain */

void exchange_conn_readable(struct upstream_conn *uc);        /* carrier_h1.c: for leased connections */
void exchange_conn_writable(struct upstream_conn *uc);
void exchange_conn_ready(struct upstream_conn *uc, bool ok);
void exchange_conn_due(struct upstream_conn *uc);
void exchange_resolved(struct exchange *exchange);
void exchange_queue_init(struct upstream_local *local);         /* exchange_choose.c */
void exchange_queue_move(struct upstream_local *local); /* those who wait go to the version that replaced it */

void upstream_worker_down(void); /* closes and frees all of this worker's */
uint32_t pools_idle_total(void); /* this worker's idle connections */

#endif
