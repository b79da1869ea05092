/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/house/answer_words.h"

static const char *reply_word(struct arena *arena, const char *would, int status)
{
    const char *what = status >= 400 ? "refuse" : status >= 300 ? "redirect" : "answer";

    return arena_printf(arena, "%s%s%s %d", would, what, *would ? "" : "s", status).p;
}

const char *answer_verdict(struct arena *arena, const struct hook_answer *answer)
{
    bool is_undone = answer->is_shadow && answer->counts != answer->verdict;

    if (!answer->was_asked)
        return "depends";
    switch (answer->verdict) {
    case WEIR_NEXT: return "next";
    case WEIR_SKIP: return answer->stage == STAGE_AUTH ? "satisfied" : "skips the stage";
    case WEIR_REPLY: return reply_word(arena, is_undone ? "would " : "", answer->status);
    case WEIR_SUSPEND:
    case WEIR_WAIT_BODY: return "depends";
    case WEIR_REROUTE: return "routes again";
    case WEIR_CLOSE: return is_undone ? "would close" : "closes";
    default: return is_undone ? "would fail" : "fails";
    }
}

str answer_reason(struct arena *arena, const struct hook_answer *answer)
{
    bool is_kept = answer->verdict == WEIR_REPLY && answer->counts == WEIR_NEXT && !answer->is_shadow;
    str reason = answer->reason;

    if (!answer->was_asked)
        reason = S("this module cannot be run dry");
    else if (answer->verdict == WEIR_SUSPEND)
        reason = S("it would ask or wait");
    else if (answer->verdict == WEIR_WAIT_BODY)
        reason = S("on the request's content");
    const char *more = answer->is_shadow ? "not enforced" : is_kept ? "satisfy any: others may let it in" : "";
    return arena_printf(arena, "%.*s%s%s", STR_ARG(reason), reason.n && *more ? ": " : "", more);
}
