/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/hook_answer.h"

struct hook_answer hook_answer_of(const struct weir_req *r, const struct step *step, weir_verdict verdict)
{
    struct hook_answer answer = { .mod = step->mod, .stage = r->stage, .is_shadow = step->is_shadow, .was_asked = true,
                                  .verdict = verdict, .counts = verdict };

    if (verdict == WEIR_FAIL)
        answer.reason = r->error_text;
    if (verdict != WEIR_REPLY || !r->answered)
        return answer;
    answer.status = r->status;
    answer.reason = r->refuse_reason          ? str_of(r->refuse_reason)
                    : r->status / 100 == 3 ? fields_get(&r->rsp, FIELD_LOCATION)
                                           : STR_NONE;
    return answer;
}
