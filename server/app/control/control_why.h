/* SPDX-License-Identifier: BSD-2-Clause */
/* control_why.h: /v1/why of the control API: what happened to requests that are over.
 *
 *     GET /v1/why[?limit=N][&refused]     the last ones
 *     GET /v1/why/ID, /v1/why?id=ID       one of them, percent-encoded; the second form takes any id
 *
 * Owner:   the answer is the caller's to mem_free.
 * Thread:  main. */
#ifndef APP_CONTROL_WHY_H
#define APP_CONTROL_WHY_H

#include "base/arena.h"
#include "base/out.h"

bool control_why_is(str path);
/* The status; 0 without memory. Errors are JSON, whatever as_text says. */
int control_why_answer(str path, str query, bool as_text, struct arena *arena, struct out *answer);

#endif
