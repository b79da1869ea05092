/* SPDX-License-Identifier: BSD-2-Clause */
/* hook_answer.h: what one hook said of a request and what came of it: what `weir explain` predicts (dry_run.h) and
 * `weir why` remembers (trace.h).
 *
 * Owner:   reason lies in the request's arena, or is static.
 * Thread:  the request's worker. */
#ifndef PIPELINE_HOOK_ANSWER_H
#define PIPELINE_HOOK_ANSWER_H

#include "pipeline/request.h"

struct hook_answer {
    const weir_mod *mod;
    enum stage stage;
    bool is_shadow, was_asked;
    weir_verdict verdict; /* its own */
    weir_verdict counts;  /* what is made of it: `enforce off`, `satisfy` */
    int status;           /* of its answer; else 0 */
    str reason;           /* empty: none was given; of a redirect, where to */
};

/* Right behind the call: weighing takes back what shadow mode lets through. counts is the verdict, until somebody says
 * otherwise. */
struct hook_answer hook_answer_of(const struct weir_req *r, const struct step *step, weir_verdict verdict);

#endif
