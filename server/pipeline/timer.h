/* SPDX-License-Identifier: BSD-2-Clause */
/* timer.h: timers and blocking work of modules, each bound to its owner and gone with it.
 * Owner:   a request's timer lies in its arena; a thread's is freed when cancelled or when its worker ends.
 * Thread:  the worker it was started on. */
#ifndef PIPELINE_TIMER_H
#define PIPELINE_TIMER_H

#include "loop/job.h"
#include "pipeline/session.h"

struct weir_job_calls;
struct weir_mod_job_calls;

weir_timer *timer_start(struct weir_req *r, uint64_t ms, void (*fn)(weir_req *, void *), void *arg);
weir_timer *timer_start_thread(weir_mod *mod, uint64_t ms, void (*fn)(weir_mod *, void *), void *arg);
void timer_cancel(weir_timer *timer); /* NULL, run out or cancelled before: fine */
void timers_worker_down(void);        /* cancels the calling worker's thread timers */

/* Whose hook runs now, for what is to be called later as if it were a hook of the same module. */
struct step request_caller(const struct weir_req *r);
void request_call_as(struct weir_req *r, const struct step *step, void (*fn)(struct weir_req *, void *), void *arg);

int request_job(struct weir_req *r, const struct weir_job_calls *calls, void *arg); /* -1: not started */
int module_job(weir_mod *mod, const struct weir_mod_job_calls *calls, void *arg);      /* likewise */

#endif
