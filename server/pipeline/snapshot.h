/* SPDX-License-Identifier: BSD-2-Clause */
/* snapshot.h: one bound configuration, constant, shared by all workers until the last request that saw it has gone.
 *
 * Owner:   references are counted per worker without atomics: a worker holds one for itself and one for each request;
 *          when its count falls to nothing it tells the main thread, which frees the snapshot when all workers have
 *          said so.
 * Thread:  snapshot_publish: main; snapshot_take/release: a worker; the rest is constant. */
#ifndef PIPELINE_SNAPSHOT_H
#define PIPELINE_SNAPSHOT_H

#include "loop/worker.h"
#include "net/addr.h"
#include "pipeline/plan.h"

struct weir_req;
struct choice;

/* A listening address as the process knows it, over all snapshots: connections point at it. */
struct listen_point {
    uint32_t id; /* dense; index into a snapshot's tables */
    str key;     /* its normal text: "0.0.0.0:443", "[::]:443", "unix:/run/x" */
    struct addr addr;
};

struct snapshot {
    struct arena *arena;
    uint64_t generation;
    struct schema *schema;
    struct variables *variables;
    struct order order;
    struct scope *top;
    const struct plan *top_plan;
    uint32_t core_index;
    uint32_t health_index; /* the module whose answers are shed last */

    bool is_traced; /* `why_ring`: requests are remembered (trace.h) */

    struct tally *no_site; /* counts requests until they have a site; NULL: nobody does */

    /* The app's part: sites and routes. */
    void *house;
    /* Fills r->plan, r->site, r->route (and r->status when the request is refused: then false). */
    bool (*choose)(const struct snapshot *snapshot, struct weir_req *r);
    /* How that came about. is_found: what choose said. For connections over which a request came. */
    void (*tell_choice)(const struct snapshot *snapshot, const struct weir_req *r, bool is_found,
                        struct choice *choice);
    /* The scope of the site for a TLS server name on a listen point; NULL: none. */
    const struct scope *(*tls_site)(const struct snapshot *snapshot, const struct listen_point *point, str server_name);
    bool (*is_tls)(const struct snapshot *snapshot, const struct listen_point *point);
    /* whether this peer speaks for others there, in PROXY headers */
    bool (*sends_proxy_header)(const struct snapshot *snapshot, const struct listen_point *point,
                               const struct addr *peer);
    const struct weir_transport *tls; /* the transport named "tls"; NULL: none loaded */
    void (*leave)(struct snapshot *snapshot); /* on each worker, when it has let go; may be NULL */
    void (*drop)(struct snapshot *snapshot); /* frees everything, the arena last; main thread */

    int64_t *refs;            /* per worker */
    unsigned workers_holding; /* main thread: how many have not let go */
    struct snapshot *older;   /* main thread: still waiting to go */
    uint32_t module_count;    /* in the process when it was published */
    uint64_t sequence;        /* order of publishing */
    struct snapshot_mail *mail; /* per worker */
};

void snapshots_init(struct worker *main, unsigned worker_count); /* once, before the first publish */
void snapshots_finish(void); /* after all workers, the main one too, were destroyed: frees what is left */
/* main: new requests get it from now on; takes it over. False without memory: nothing has changed, and it is still the
 * caller's. */
bool snapshot_publish(struct snapshot *snapshot, struct worker *const *workers);
struct snapshot *snapshot_newest(void);                          /* main thread's view */
unsigned snapshots_alive(void);                                  /* how many are not yet freed: for status and tests */

struct pipeline_worker;
/* before its first turn: takes the newest at once, for the first accept */
void snapshot_worker_up(struct pipeline_worker *pw);
void snapshot_worker_down(struct pipeline_worker *pw); /* lets go of pw->current; requests have ended */

struct snapshot *snapshot_current(void);          /* worker: borrowed, this turn; NULL before the first */
struct snapshot *snapshot_take(void);             /* worker: the newest, referenced */
struct snapshot *snapshot_share(struct snapshot *snapshot); /* worker: one that somebody here has a reference to */
void snapshot_release(struct snapshot *snapshot); /* worker: the one that took it */

#endif
