/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics.h: figures: each worker counts for itself, whoever asks adds up.
 *
 *     modules' own counters   an array a worker, a module's from its metric_base on (and one for all other threads)
 *     cost of hooks           an array a worker, a hook's place by module_cost_index: every call is counted; the hooks
 *                             of one request in COST_SAMPLE, and of one connection, are timed, and their time counts
 *                             so many times
 *     sites                   a tally each (tally.h)
 *
 * Thread:  metric_add, cell_add: any, on a worker without a locked instruction; sums and texts: any.
 * Life:    the process's: what a worker counted stays in the sums when it ends. */
#ifndef PIPELINE_METRICS_H
#define PIPELINE_METRICS_H

#include "base/clock.h"
#include "base/out.h"
#include "pipeline/session.h"
#include "pipeline/tally.h"

enum { METRICS_MOST = 1024 }; /* of all modules */

bool metrics_worker_up(struct pipeline_worker *pw); /* fills pw->metrics and costs; false without memory */
void metrics_worker_down(struct pipeline_worker *pw);

/* an index beyond the module's table counts nothing */
void metric_add(const weir_mod *mod, uint32_t metric, int64_t by);
int64_t metric_sum(const weir_mod *mod, uint32_t metric);

/* The server's own. requests, accepted: since the start; connections: now. */
struct figures {
    uint64_t requests, accepted, connections;
    uint64_t h2_connections, h2_stalls, h2_abuses[H2_ABUSE_COUNT]; /* HTTP/2, since the start */
};
struct figures figures_sum(void);

/* One writer, readers anywhere: for requests_total and the like. */
static inline void figure_add(uint64_t *figure, int64_t by)
{
    cell_add(figure, (uint64_t)by);
}

/* -- what hooks cost ----------------------------------------------------------------------------------------------- */

enum { COST_SAMPLE = 64 };

struct cost {
    uint64_t calls, ns;
};

bool cost_next(struct pipeline_worker *pw);
/* Whether the hooks of what begins now are timed: one of COST_SAMPLE, at distances that nobody's traffic beats in time
 * with. */
static inline bool cost_is_timed(struct pipeline_worker *pw)
{
    return --pw->untimed == 0 && cost_next(pw);
}

/* Around a hook's call: what begin gave goes to end. */
static inline uint64_t cost_begin(struct pipeline_worker *pw, const struct step *step, bool timed)
{
    cell_add(&pw->costs[step->cost].calls, 1);
    return timed ? clock_ns_now() : 0;
}
static inline void cost_end(struct pipeline_worker *pw, const struct step *step, uint64_t since)
{
    if (since)
        cell_add(&pw->costs[step->cost].ns, (clock_ns_now() - since) * COST_SAMPLE);
}

struct cost cost_sum(const weir_mod *mod, enum stage stage); /* STAGE_NONE: of all its hooks */

/* -- sites --------------------------------------------------------------------------------------------------------- */

/* The row of a site's tally: how its requests ended. */
enum {
    SITE_ENDED, /* by the status's first digit; 0: without an answer */
    SITE_BYTES_IN = SITE_ENDED + 6,
    SITE_BYTES_OUT,
    SITE_DURATION,
    SITE_COUNTERS = SITE_DURATION + LATENCY_CELLS
};
void site_count(const struct weir_req *r); /* when it ends */
uint64_t site_requests(const struct tally *tally);

/* -- changes of the configuration: main thread --------------------------------------------------------------------- */
void metrics_note_reload(bool ok);
void metrics_note_start(uint64_t wall_ms);

/* -- text (exposition.h), metrics_text.c --------------------------------------------------------------------------- */
/* snapshot: whose limits are in force; mods: the configuration's */
void metrics_put_server(struct out *out, const struct snapshot *snapshot);
void metrics_put_modules(struct out *out, weir_mod *const *mods, uint32_t count);
struct site_figures { /* one site's name and its sums */
    str name;
    uint64_t sums[SITE_COUNTERS];
};
void metrics_put_sites(struct out *out, const struct site_figures *sites, uint32_t count);

#endif
