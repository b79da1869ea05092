/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics_house.h: what metrics_text.c asks of metrics.c. */
#ifndef PIPELINE_METRICS_HOUSE_H
#define PIPELINE_METRICS_HOUSE_H

#include "pipeline/metrics.h"

/* Under the lock: nobody comes or goes meanwhile. */
void metrics_each_worker(void (*look)(const struct pipeline_worker *pw, void *arg), void *arg);

struct changes { /* ms since 1970 */
    uint64_t reloads, refused, started_ms, last_ms, failed_last;
};
struct changes metrics_changes(void);

#endif
