/* SPDX-License-Identifier: BSD-2-Clause */
/* fetch.h: requests of modules: an HTTP request of a hook's own to an upstream, its answer held in memory.
 *
 *     hook: fetch_start --> a request without client, hooks or log --> origin
 *     done(r, answer) <---- its codec gathers head and content  <-----'
 *
 * Shape:   a request like any other for the origin's side; its codec is a buffer. It belongs to the request whose hook
 *          asked, and is cancelled with it, or to the module.
 * Owner:   itself; what done() is shown is valid during the call.
 * Thread:  the worker it was started on; done() is called from the loop, never inside fetch_start.
 * Errors:  an answer with status 0 and why there is none. -1 from the start: nothing will be called. */
#ifndef PIPELINE_FETCH_H
#define PIPELINE_FETCH_H

#include "pipeline/session.h"

#include <weir/event.h>

struct fetch;

/* How an upstream is reached: set once by the layer that knows. path: of the upstream's URL, empty when it has none. */
void fetch_serve_by(const struct origin_calls *origin, str (*path)(const weir_upstream *upstream));

int fetch_start(struct weir_req *r, const struct weir_fetch *what, weir_fetched_fn done, void *arg);
int fetch_start_for(weir_mod *mod, const struct weir_fetch *what, weir_mod_fetched_fn done, void *arg);

void fetches_cancel(struct weir_req *r); /* the request ends: done() is not called any more */
void fetches_worker_down(void);          /* the same for what modules have under way on this worker */

#endif
