/* SPDX-License-Identifier: BSD-2-Clause */
/* control_explain.h: GET /v1/explain?method=&url=[&client=][&header=NAME:VALUE]...: asked on a worker, where modules
 * have their memory, answered on the main thread.
 *
 * Owner:   itself, until done or forgotten.
 * Thread:  main.
 * Errors:  begin: NULL, and why in *why. */
#ifndef APP_CONTROL_EXPLAIN_H
#define APP_CONTROL_EXPLAIN_H

#include "base/out.h"

struct control_explain;

/* done is called once, later, unless it is forgotten before; answer is taken over (its text to be mem_freed). status 0:
 * no memory. */
struct control_explain *control_explain_begin(str query, bool as_text,
                                              void (*done)(void *arg, int status, struct out *answer), void *arg,
                                              const char **why);
void control_explain_forget(struct control_explain *explain);

#endif
