/* SPDX-License-Identifier: BSD-2-Clause */
/* dry_run.h: the walk of run.h without a request behind it: what the hooks up to SERVE would say, and what would come
 * of it. Nothing is counted, logged, waited for or started.
 *
 * Shape:   a hook that is not flagged WEIR_DRY_OK is not called; it and one that would wait leave the outcome open
 *          (`depends`), and the walk goes on as if they had let the request pass.
 * Owner:   the caller, which made the request and discards it; is_dry is set, the head is filled in.
 * Thread:  the request's worker. */
#ifndef PIPELINE_DRY_RUN_H
#define PIPELINE_DRY_RUN_H

#include "pipeline/hook_answer.h"

struct dry_watch {
    void (*on_route)(struct weir_req *r, bool is_found, void *arg); /* again after each WEIR_REROUTE */
    void (*on_hook)(struct weir_req *r, const struct hook_answer *answer, void *arg);
    void *arg;
};
enum dry_end { DRY_ANSWERED, DRY_CLOSED, DRY_ORIGIN };
struct dry_outcome {
    enum dry_end end; /* ANSWERED: r->status, r->refuse_reason; ORIGIN: r->origin */
    bool depends;     /* it may come differently */
};

struct dry_outcome request_dry_run(struct weir_req *r, const struct dry_watch *watch);

#endif
