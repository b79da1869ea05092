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
    /* of a refusal that `satisfy any` keeps, while a hook in shadow mode is asked */
    bool has_answer;
    struct chain reply;
    int status;
    str reason;
    enum body_kind rsp_body;
    uint64_t rsp_length;
    const char *refuse_reason;
    str error_module, error_text;
};

bool decider_is_weighed(const struct weir_req *r, const struct step *step); /* its verdict goes through here */
bool decider_prepare(struct weir_req *r); /* before such a hook is called; false without memory */

/* One that answered by itself: who it was, and why, if it did not say so by weir_refuse(). Before weighing. */
void decider_sign(struct weir_req *r, const struct step *step, weir_verdict verdict);

/* One in shadow mode refuses nobody, but what it lets in is in: where others are not asked then. */
bool decider_may_let_in(const struct weir_req *r);

/* The verdict that counts, for one of a weighed hook that has finished (not SUSPEND, not WAIT_BODY). */
weir_verdict decider_weigh(struct weir_req *r, const struct step *step, weir_verdict verdict);

/* The request is routed again: what refused it so far was said of another route. */
void deciders_forget(struct weir_req *r);

/* AUTH is through: true when a refusal is left over, which now is the answer. */
bool deciders_refuse(struct weir_req *r);

#endif
