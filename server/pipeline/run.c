/* SPDX-License-Identifier: BSD-2-Clause */
/* The pipeline's walk: stage by stage, hook by hook, and what each verdict leads to. */
#include "base/log.h"
#include "pipeline/crumb.h"
#include "pipeline/deciders.h"
#include "pipeline/metrics.h"
#include "pipeline/run.h"
#include "pipeline/session.h"
#include "pipeline/suspension.h"
#include "pipeline/trace.h"

enum move { MOVE_ON, MOVE_WAIT }; /* go on walking, or come back later */

void request_enter(struct weir_req *r, enum stage stage)
{
    r->stage = stage;
    r->step = 0;
}

static bool is_request_stage(enum stage stage)
{
    return stage >= STAGE_IDENTIFY && stage <= STAGE_SERVE;
}

static weir_verdict step_call(struct weir_req *r, const struct step *step)
{
    struct pipeline_worker *pw = pipeline_worker_self();

    r->calling = step;
    crumb_enter(pw, step->mod, r->stage, r);
    uint64_t since = cost_begin(pw, step, r->is_timed);
    weir_verdict verdict = step->hook->req(r, step->conf, request_ctx(r, step->mod));
    cost_end(pw, step, since);
    crumb_leave(pw);
    r->calling = NULL;
    return verdict;
}

/* -- verdicts ------------------------------------------------------------------------------------------------------ */

static enum move take_reply(struct weir_req *r)
{
    if (r->stage == STAGE_RSP_HEAD) { /* replaced on its way out: the other hooks of the stage still see it */
        r->step++;
        return MOVE_ON;
    }
    request_abandon_origin(r);
    r->from_origin = false;
    r->phase = PHASE_RSP_HOOKS;
    request_enter(r, STAGE_RSP_HEAD);
    return MOVE_ON;
}

static enum move take_failure(struct weir_req *r, const struct step *step)
{
    r->error_module = step->mod->name;
    log_error("module %.*s: %.*s at %.*s, request %.*s: %s", STR_ARG(step->mod->name),
              STR_ARG(r->error_text.n ? r->error_text : S("failed")), STR_ARG(stage_name(r->stage)), STR_ARG(r->id),
              step->hook->flags & WEIR_FAIL_OPEN ? "going on without it" : "answering 503");
    if (step->hook->flags & WEIR_FAIL_OPEN) {
        r->step++;
        return MOVE_ON;
    }
    if (r->stage == STAGE_RSP_HEAD) {
        request_refuse(r, 503, "a module failed");
        r->step++;
        return MOVE_ON;
    }
    request_refuse(r, 503, "a module failed");
    return take_reply(r);
}

static enum move take_reroute(struct weir_req *r, const struct step *step)
{
    if (!is_request_stage(r->stage) || r->stage == STAGE_IDENTIFY)
        return take_failure(r, step);
    if (++r->reroutes > REROUTES_MOST) {
        request_refuse(r, 508, "routed in circles");
        return take_reply(r);
    }
    memset(r->engaged, 0, sizeof(r->engaged));
    r->proxy_path = STR_NONE;
    deciders_forget(r);
    r->answered = false;
    request_enter(r, STAGE_IDENTIFY);
    r->step = UINT32_MAX; /* choose again, then GUARD and AUTH */
    return MOVE_ON;
}

static void body_open_up(struct weir_req *r)
{
    const struct steps *steps = &r->plan->stages[STAGE_REQ_BODY];

    if (r->up.is_open)
        return;
    for (uint32_t i = 0; i < steps->count; i++) {
        bool wanted = (steps->at[i].hook->flags & WEIR_ENGAGED) || (r->engaged[0] >> i & 1);
        if (!wanted)
            continue;
        if (!body_add_hook(&r->up, &steps->at[i], r->arena)) {
            r->up.failed = true;
            r->up.why = "no memory";
        }
        if (steps->at[i].hook->flags & WEIR_CHANGES_LENGTH && r->body_kind == BODY_LENGTH) {
            r->body_kind = BODY_CHUNKED;
            fields_remove_id(&r->fields, FIELD_CONTENT_LENGTH);
        }
    }
    body_open(&r->up);
}

static enum move take_wait_body(struct weir_req *r, const struct step *step)
{
    if (!is_request_stage(r->stage) || r->stage == STAGE_IDENTIFY || !r->wait_body)
        return take_failure(r, step);
    if (r->up.in_end || r->up.pushed >= r->wait_body) { /* asked again with all there is, and still not content */
        r->wait_body = 0;
        return take_failure(r, step);
    }
    if (r->wait_body > r->up.credit)
        r->up.credit = r->wait_body;
    if (r->wait_body > r->up.hook_room)
        r->up.hook_room = r->wait_body;
    body_open_up(r);
    if (r->expects_continue) {
        r->expects_continue = false;
        r->codec->send_continue(r);
    }
    r->codec->want_body(r);
    return MOVE_WAIT;
}

static enum move take_close(struct weir_req *r)
{
    r->is_reset = true;
    r->codec->abort(r);
    return MOVE_WAIT;
}

/* The verdict that counts; remembered with the one that was said. */
static weir_verdict weigh_traced(struct weir_req *r, const struct step *step, weir_verdict verdict, bool is_weighed)
{
    struct hook_answer answer = hook_answer_of(r, step, verdict);
    bool is_told = is_request_stage(r->stage) || verdict == WEIR_REPLY || verdict == WEIR_FAIL || verdict == WEIR_CLOSE;

    if (is_weighed)
        answer.counts = decider_weigh(r, step, verdict);
    if (is_told)
        trace_put_hook(r, &answer);
    return answer.counts;
}

static weir_verdict weigh(struct weir_req *r, const struct step *step, weir_verdict verdict)
{
    bool is_weighed = is_request_stage(r->stage) && decider_is_weighed(r, step);

    if (verdict == WEIR_REPLY)
        decider_sign(r, step, verdict);
    if (trace_is_on(r))
        return weigh_traced(r, step, verdict, is_weighed);
    return is_weighed ? decider_weigh(r, step, verdict) : verdict;
}

static enum move take_verdict(struct weir_req *r, const struct step *step, weir_verdict verdict)
{
    if (verdict != WEIR_SUSPEND && verdict != WEIR_WAIT_BODY)
        verdict = weigh(r, step, verdict);
    else if (trace_is_on(r))
        trace_wait(r);
    switch (verdict) {
    case WEIR_NEXT:
        r->step++;
        return MOVE_ON;
    case WEIR_SKIP:
        r->step = UINT32_MAX;
        return MOVE_ON;
    case WEIR_REPLY:
        return r->answered ? take_reply(r) : take_failure(r, step);
    case WEIR_SUSPEND:
        return r->suspension ? MOVE_WAIT : take_failure(r, step);
    case WEIR_WAIT_BODY:
        return take_wait_body(r, step);
    case WEIR_REROUTE:
        return take_reroute(r, step);
    case WEIR_CLOSE:
        return take_close(r);
    default:
        return take_failure(r, step);
    }
}

/* -- between stages ------------------------------------------------------------------------------------------------ */

/* RFC 9110 7.4: a target of another scheme than the connection's; a trusted proxy may have ended TLS in front of us. */
static bool is_misdirected(const struct weir_req *r)
{
    return r->uri.scheme.n && !str_equal(r->uri.scheme, r->scheme) && !r->client_is_trusted_proxy;
}

static enum move choose_route(struct weir_req *r)
{
    if (is_misdirected(r)) {
        request_refuse(r, 421, "the target's scheme is not that of the connection");
        return take_reply(r);
    }
    bool is_found = r->snapshot->choose(r->snapshot, r);
    if (trace_is_on(r))
        trace_put_choice(r, is_found);
    if (!is_found) {
        request_refuse(r, r->status ? r->status : 404, r->refuse_reason ? r->refuse_reason : "no such site or route");
        return take_reply(r);
    }
    uint64_t most = r->plan->core->max_body;
    if (most && r->body_kind == BODY_LENGTH && r->content_length > most) {
        request_refuse(r, 413, "request body over max_body");
        return take_reply(r);
    }
    request_enter(r, STAGE_GUARD);
    return MOVE_ON;
}

/* All request stages are through: somebody must answer. */
static enum move start_origin(struct weir_req *r)
{
    if (!r->origin) {
        request_refuse(r, 404, "nothing serves this route");
        return take_reply(r);
    }
    r->phase = PHASE_ORIGIN;
    r->stage = STAGE_NONE;
    body_open_up(r);
    if (r->up.failed) {
        request_refuse(r, 503, r->up.why);
        return take_reply(r);
    }
    r->running = false; /* the origin may answer at once */
    r->origin_started = true;
    r->origin->start(r);
    return MOVE_WAIT;
}

static enum move stage_through(struct weir_req *r)
{
    switch (r->stage) {
    case STAGE_IDENTIFY:
        return choose_route(r);
    case STAGE_GUARD:
        request_enter(r, STAGE_AUTH);
        return MOVE_ON;
    case STAGE_AUTH:
        if (deciders_refuse(r))
            return take_reply(r);
        request_enter(r, STAGE_REWRITE);
        return MOVE_ON;
    case STAGE_REWRITE:
        request_enter(r, STAGE_SERVE);
        return MOVE_ON;
    case STAGE_SERVE:
        return start_origin(r);
    case STAGE_UP_RSP:
        request_enter(r, STAGE_RSP_HEAD);
        return MOVE_ON;
    case STAGE_RSP_HEAD:
        r->stage = STAGE_NONE;
        r->running = false;
        response_begin(r);
        return MOVE_WAIT;
    default:
        return MOVE_WAIT;
    }
}

/* A hook that waits for the body is asked again when its wish is met or the body has ended. */
static bool still_waits_for_body(struct weir_req *r)
{
    if (!r->wait_body)
        return false;
    if (r->up.in_end || r->up.pushed >= r->wait_body)
        return false;
    r->codec->want_body(r);
    return true;
}

void request_run(struct weir_req *r)
{
    if (r->running || r->ending || r->suspension || still_waits_for_body(r))
        return;
    r->running = true;
    enum move move = MOVE_ON;
    while (move == MOVE_ON && !r->ending) {
        const struct plan *plan = r->stage == STAGE_IDENTIFY ? r->snapshot->top_plan : r->plan;
        const struct steps *steps = &plan->stages[r->stage];
        if (r->step >= steps->count) {
            move = stage_through(r);
            continue;
        }
        const struct step *step = &steps->at[r->step];
        bool is_ready = !decider_is_weighed(r, step) || decider_prepare(r);
        weir_verdict verdict = is_ready ? step_call(r, step) : WEIR_FAIL;
        move = r->ending ? MOVE_WAIT : take_verdict(r, step, verdict);
        if (verdict != WEIR_WAIT_BODY)
            r->wait_body = 0;
    }
    r->running = false;
}

void request_resume(struct weir_req *r, weir_verdict verdict)
{
    r->suspension = NULL;
    if (r->ending || r->stage >= STAGE_COUNT)
        return;
    const struct plan *plan = r->stage == STAGE_IDENTIFY ? r->snapshot->top_plan : r->plan;
    const struct steps *steps = &plan->stages[r->stage];
    if (r->step >= steps->count)
        return;
    r->running = true;
    enum move move = take_verdict(r, &steps->at[r->step], verdict);
    r->running = false;
    if (move == MOVE_ON)
        request_run(r);
}

bool request_run_up_head(struct weir_req *r)
{
    const struct steps *steps = &r->plan->stages[STAGE_UP_HEAD];
    bool fine = true;

    if (steps->count == 0)
        return true;
    enum stage stage = r->stage;
    r->up_head_open = true;
    r->stage = STAGE_UP_HEAD;
    for (uint32_t i = 0; i < steps->count && fine; i++) {
        weir_verdict verdict = step_call(r, &steps->at[i]);
        if (verdict == WEIR_SKIP)
            break;
        fine = verdict == WEIR_NEXT || (steps->at[i].hook->flags & WEIR_FAIL_OPEN);
    }
    r->stage = stage;
    r->up_head_open = false;
    return fine;
}

bool request_engage(struct weir_req *r, enum stage stage)
{
    static const enum stage slots[] = { STAGE_REQ_BODY, STAGE_STORE, STAGE_TRANSFORM, STAGE_ENCODE };
    const struct steps *steps = &r->plan->stages[stage];
    const struct body *body = stage == STAGE_REQ_BODY ? &r->up : &r->down;

    if (!r->calling || body->is_open || steps->count > 64)
        return false;
    for (unsigned slot = 0; slot < 4; slot++)
        for (uint32_t i = 0; slots[slot] == stage && i < steps->count; i++)
            if (steps->at[i].mod == r->calling->mod) {
                r->engaged[slot] |= (uint64_t)1 << i;
                return true;
            }
    return false;
}
