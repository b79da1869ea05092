/* SPDX-License-Identifier: BSD-2-Clause */
/* upstream_metrics.h: the families of upstreams and their servers, in Prometheus' text format.
 *
 * Thread:  any that holds the snapshot. */
#ifndef UPSTREAM_UPSTREAM_METRICS_H
#define UPSTREAM_UPSTREAM_METRICS_H

#include "base/out.h"
#include "upstream/upstream.h"

bool upstream_metrics_put(struct out *out, const struct weir_upstream *all); /* false without memory */

#endif
