/* SPDX-License-Identifier: BSD-2-Clause */
/* control_upstreams.h: /v1/upstreams of the control API: what they have, and changing it at run time.
 *
 *     GET  /v1/upstreams, /v1/upstreams/NAME
 *     POST /v1/upstreams/NAME/add?server=ADDR[&weight=N][&backup]...   and remove, drain, down, up, weight?...&weight=N
 *
 * Shape:   NAME and what stands in the query are percent-decoded; of an addition, all but `server` are the options of
 *          the directive `server`.
 * Owner:   the answer is the caller's to mem_free.
 * Thread:  main. */
#ifndef APP_CONTROL_UPSTREAMS_H
#define APP_CONTROL_UPSTREAMS_H

#include "base/arena.h"
#include "base/out.h"

bool control_upstreams_is(str path);      /* whether this one is asked for */
bool control_upstreams_is_order(str path); /* POST is its method, not GET */
/* The status; 0 without memory. */
int control_upstreams_answer(str path, str query, struct arena *arena, struct out *answer);

#endif
