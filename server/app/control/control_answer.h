/* SPDX-License-Identifier: BSD-2-Clause */
/* control_answer.h: what the control API says, as JSON.
 *
 * Owner:   the text is the caller's to mem_free.
 * Errors:  false without memory, or above 16 MiB of text. */
#ifndef APP_CONTROL_ANSWER_H
#define APP_CONTROL_ANSWER_H

#include "app/process/server.h"
#include "base/out.h"

/* Lets write() fill a room that grows until all fits. What is written must not depend on the room. */
bool answer_make(struct out *out, void (*write)(struct out *out, const void *arg), const void *arg);

void answer_status(struct out *out, const void *server_status); /* a struct server_status */
void answer_modules(struct out *out, const void *unused);       /* the process's register */

struct reload_answer {
    bool ok;
    str text; /* warnings or errors */
    uint64_t generation;
};
void answer_reload(struct out *out, const void *reload_answer);
struct upstream_answer {
    const struct weir_upstream *upstream;
    bool is_order; /* then there is a warning, or null */
    str warning;
};
void answer_upstream(struct out *out, const void *upstream_answer);
void answer_upstreams(struct out *out, const void *all); /* struct weir_upstream, by their next */
void answer_error(struct out *out, const void *text); /* a C string */

#endif
