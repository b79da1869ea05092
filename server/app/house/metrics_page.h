/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics_page.h: all figures in one text, for Prometheus: what `metrics;` and GET /v1/metrics answer.
 *
 * Owner:   the text is the caller's to mem_free.
 * Thread:  main, or a worker that holds the snapshot: nothing is stopped, and nothing waited for but a short lock.
 * Errors:  false without memory, or above 64 MiB of text. */
#ifndef APP_METRICS_PAGE_H
#define APP_METRICS_PAGE_H

#include "base/out.h"
#include "pipeline/exposition.h"

struct snapshot;

bool metrics_page_make(struct out *out, const struct snapshot *snapshot);

#endif
