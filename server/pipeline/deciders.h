/* SPDX-License-Identifier: BSD-2-Clause */
/* deciders.h: what a hook's verdict means when it alone does not decide: shadow mode (`enforce off NAME...;`) and
 * `satisfy any;`.
 *
 *     shadow   the hook runs for real; its refusal becomes a log line, a count and $would_refuse, what it stamped is
 *              taken back, and the request goes on
 *     any      AUTH: a refusal is kept while others may still be satisfied (SKIP); the last one kept is the answer
 *
 * Owner:   what is taken back lies in the request's arena.
 * Thread:  the request's worker. */
#ifndef PIPELINE_DECIDERS_H
#define PIPELINE_DECIDERS_H

#include "pipeline/request.h"

/* The response and the request's fields as they stood before a hook was called. */
struct undo {
    struct fields rsp, fields;
};

bool decider_is_weighed(const struct weir_req *r, const struct step *step); /* its verdict goes through here */
bool decider_prepare(struct weir_req *r); /* before such a hook is called; false without memory */

/* The verdict that counts, for one of a weighed hook that has finished (not SUSPEND, not WAIT_BODY). */
weir_verdict decider_weigh(struct weir_req *r, const struct step *step, weir_verdict verdict);

/* AUTH is through: true when a refusal is left over, which now is the answer. */
bool deciders_refuse(struct weir_req *r);

#endif
