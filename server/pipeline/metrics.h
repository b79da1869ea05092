/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics.h: figures: each worker counts for itself, whoever asks adds up.
 *
 * Shape:   module metrics lie behind each other, a module's from its metric_base on, in an array a worker (and one for
 *          all other threads).
 * Thread:  metric_add and figure_add: any, on a worker without a locked instruction; sums and print: any.
 * Life:    the process's: what a worker counted stays in the sums when it ends. */
#ifndef PIPELINE_METRICS_H
#define PIPELINE_METRICS_H

#include "pipeline/session.h"

enum { METRICS_MOST = 1024 }; /* of all modules */

bool metrics_worker_up(struct pipeline_worker *pw); /* fills pw->metrics; false without memory */
void metrics_worker_down(struct pipeline_worker *pw);

/* an index beyond the module's table counts nothing */
void metric_add(const weir_mod *mod, uint32_t metric, int64_t by);
int64_t metric_sum(const weir_mod *mod, uint32_t metric);

/* The server's own. requests, accepted: since the start; connections: now. */
struct figures {
    uint64_t requests, accepted, connections;
};
struct figures figures_sum(void);

/* One writer, readers anywhere: for requests_total and the like. */
static inline void figure_add(uint64_t *figure, int64_t by)
{
    __atomic_store_n(figure, *figure + (uint64_t)by, __ATOMIC_RELAXED);
}

void metrics_print(FILE *out); /* Prometheus text exposition format 0.0.4 */

#endif
