/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/dry_run.h"

#include "pipeline/crumb.h"
#include "pipeline/deciders.h"
#include "pipeline/run.h"
#include "pipeline/session.h"

enum after { GO_ON, STAGE_OVER, CHOOSE_AGAIN, AT_END };

struct walk {
    struct weir_req *r;
    const struct dry_watch *watch;
    struct dry_outcome outcome;
};

static weir_verdict call(struct weir_req *r, const struct step *step)
{
    struct pipeline_worker *pw = pipeline_worker_self();

    r->calling = step;
    crumb_enter(pw, step->mod, r->stage, r);
    weir_verdict verdict = step->hook->req(r, step->conf, request_ctx(r, step->mod));
    crumb_leave(pw);
    r->calling = NULL;
    return verdict;
}

static enum after answer(struct walk *walk, int status, const char *reason)
{
    if (reason)
        request_refuse(walk->r, status, reason);
    walk->outcome.end = DRY_ANSWERED;
    return AT_END;
}

static enum after fail(struct walk *walk, const struct step *step)
{
    return step->hook->flags & WEIR_FAIL_OPEN ? GO_ON : answer(walk, 503, "a module failed");
}

static enum after reroute(struct walk *walk, const struct step *step)
{
    struct weir_req *r = walk->r;

    if (r->stage == STAGE_IDENTIFY)
        return fail(walk, step);
    if (++r->reroutes > REROUTES_MOST)
        return answer(walk, 508, "routed in circles");
    r->proxy_path = STR_NONE;
    deciders_forget(r);
    r->answered = false;
    return CHOOSE_AGAIN;
}

static enum after take_verdict(struct walk *walk, const struct step *step, weir_verdict verdict)
{
    switch (verdict) {
    case WEIR_NEXT: return GO_ON;
    case WEIR_SKIP: return STAGE_OVER;
    case WEIR_REPLY: return walk->r->answered ? answer(walk, 0, NULL) : fail(walk, step);
    case WEIR_REROUTE: return reroute(walk, step);
    case WEIR_CLOSE: walk->outcome.end = DRY_CLOSED; return AT_END;
    default: return fail(walk, step);
    }
}

static enum after ask(struct walk *walk, const struct step *step)
{
    struct weir_req *r = walk->r;
    bool is_weighed = decider_is_weighed(r, step), is_asked = (step->hook->flags & WEIR_DRY_OK) != 0;
    weir_verdict verdict = !is_asked ? WEIR_NEXT : is_weighed && !decider_prepare(r) ? WEIR_FAIL : call(r, step);
    bool is_open = !is_asked || verdict == WEIR_SUSPEND || verdict == WEIR_WAIT_BODY;
    decider_sign(r, step, verdict);
    struct hook_answer hook = hook_answer_of(r, step, verdict);

    hook.was_asked = is_asked;
    if (is_open) {
        walk->outcome.depends |= !step->is_shadow || decider_may_let_in(r);
        hook.counts = WEIR_NEXT;
    } else if (is_weighed) {
        hook.counts = decider_weigh(r, step, verdict);
    }
    r->wait_body = 0;
    walk->watch->on_hook(r, &hook, walk->watch->arg);
    return is_open ? GO_ON : take_verdict(walk, step, hook.counts);
}

static enum after run_stage(struct walk *walk, enum stage stage)
{
    struct weir_req *r = walk->r;
    const struct plan *plan = stage == STAGE_IDENTIFY ? r->snapshot->top_plan : r->plan;
    const struct steps *steps = &plan->stages[stage];
    enum after after = GO_ON;

    request_enter(r, stage);
    for (; r->step < steps->count && after == GO_ON; r->step++)
        after = ask(walk, &steps->at[r->step]);
    if (after > STAGE_OVER)
        return after;
    if (stage == STAGE_AUTH && deciders_refuse(r))
        return answer(walk, 0, NULL);
    return GO_ON;
}

static enum after choose(struct walk *walk)
{
    struct weir_req *r = walk->r;
    bool is_found = r->snapshot->choose(r->snapshot, r);

    walk->watch->on_route(r, is_found, walk->watch->arg);
    if (is_found)
        return GO_ON;
    return answer(walk, r->status ? r->status : 404, r->refuse_reason ? r->refuse_reason : "no such site or route");
}

static enum after run_from_choice(struct walk *walk)
{
    static const enum stage stages[] = { STAGE_GUARD, STAGE_AUTH, STAGE_REWRITE, STAGE_SERVE };
    enum after after = choose(walk);

    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]) && after == GO_ON; i++)
        after = run_stage(walk, stages[i]);
    if (after != GO_ON)
        return after;
    if (!walk->r->origin)
        return answer(walk, 404, "nothing serves this route");
    walk->outcome.end = DRY_ORIGIN;
    return AT_END;
}

struct dry_outcome request_dry_run(struct weir_req *r, const struct dry_watch *watch)
{
    struct walk walk = { .r = r, .watch = watch };

    r->up.in_end = true; /* there is no content */
    if (!request_identify(r))
        answer(&walk, 500, "no memory");
    else if (run_stage(&walk, STAGE_IDENTIFY) != AT_END)
        while (run_from_choice(&walk) == CHOOSE_AGAIN)
            continue;
    return walk.outcome;
}
