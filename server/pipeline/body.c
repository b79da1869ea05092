/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/body.h"

#include "pipeline/crumb.h"
#include "pipeline/metrics.h"
#include "pipeline/request.h"
#include "pipeline/session.h"

void body_init(struct body *body, struct weir_req *r)
{
    *body = (struct body){ .r = r, .credit = BODY_CREDIT, .hook_room = BODY_HOOK_ROOM };
}

bool body_add_hook(struct body *body, const struct step *step, struct arena *arena)
{
    struct weir_flow *flow = arena_new(arena, struct weir_flow);

    if (!flow)
        return false;
    flow->step = step;
    flow->r = body->r;
    flow->body = body;
    flow->out = &body->out;
    struct weir_flow **last = &body->first;
    while (*last) {
        if (!(*last)->next)
            (*last)->out = &flow->in;
        last = &(*last)->next;
    }
    *last = flow;
    return true;
}

static _Thread_local const struct weir_flow *running; /* the hook that is being called */

uint64_t body_flow_room(const struct weir_flow *flow)
{
    uint64_t most = flow->body ? flow->body->hook_room : BODY_HOOK_ROOM;

    return flow->out->n >= most ? 0 : most - flow->out->n;
}

uint64_t body_chain_room(const struct chain *out)
{
    const struct weir_flow as_ever = { .out = (struct chain *)(uintptr_t)out };

    return body_flow_room(running && running->out == out ? running : &as_ever);
}

static bool flow_can_run(const struct weir_flow *flow)
{
    uint64_t room = body_flow_room(flow);

    if (flow->finished || room == 0 || room < flow->want_room)
        return false;
    if (flow->in_end || flow->flush || flow->out_of_room)
        return true;
    return flow->in.n > 0 && flow->in.n >= flow->want_in;
}

/* What the hook's answer means for its output; false when the body is broken. */
static bool flow_verdict(struct weir_flow *flow, weir_verdict verdict)
{
    flow->out_of_room = body_flow_room(flow) == 0;
    switch (verdict) {
    case WEIR_NEXT:
        flow->finished = flow->in_end && flow->in.n == 0 && !flow->out_of_room;
        return true;
    case WEIR_SKIP:
        flow->passing = true;
        return true;
    default:
        return false;
    }
}

static bool flow_call(struct weir_flow *flow, uint32_t how)
{
    const struct step *outer = flow->r->calling;
    const struct weir_flow *outer_flow = running;
    struct pipeline_worker *pw = pipeline_worker_self();

    flow->r->calling = flow->step;
    running = flow;
    crumb_enter(pw, flow->step->mod, stage_of(flow->step->hook->stage), flow->r);
    uint64_t since = cost_begin(pw, flow->step, flow->r->is_timed);
    weir_verdict verdict = flow->step->hook->bytes(flow, (weir_chain *)&flow->in, (weir_chain *)flow->out, how);
    cost_end(pw, flow->step, since);
    crumb_leave(pw);
    flow->r->calling = outer;
    running = outer_flow;
    return flow_verdict(flow, verdict);
}

/* What is held back has been handed on: now it is the next one's turn to do so. */
static void flow_flushed(struct weir_flow *flow)
{
    if (!flow->flush || (flow->out_of_room && !flow->passing))
        return;
    flow->flush = false;
    if (flow->next)
        flow->next->flush = true;
}

/* All input is there, all room too, somebody takes what comes, and yet nothing does: it never will. */
static bool is_stuck(const struct body *body, const struct weir_flow *flow)
{
    bool has_sink = body == &body->r->down || body->r->origin_started;

    return has_sink && flow->in_end && !flow->finished && flow->out->n == 0;
}

/* One hook's turn; true when anything moved. */
static bool flow_run(struct body *body, struct weir_flow *flow)
{
    if (flow->finished || (!flow_can_run(flow) && !flow->passing))
        return false;
    uint64_t in = flow->in.n, out = flow->out->n;
    if (!flow->passing && !flow_call(flow, (flow->in_end ? WEIR_END : 0) | (flow->flush ? WEIR_FLUSH : 0))) {
        body->failed = true;
        body->why = "a body hook failed";
        return false;
    }
    if (flow->passing) {
        chain_move_all(flow->out, &flow->in);
        flow->finished = flow->in_end;
    }
    flow_flushed(flow);
    bool moved = flow->in.n != in || flow->out->n != out || flow->finished;
    if (!moved && is_stuck(body, flow)) {
        body->failed = true;
        body->why = "a body hook left input at the end";
    }
    return moved;
}

static void flow_end(struct body *body, struct weir_flow *flow)
{
    if (!flow->finished)
        return;
    if (flow->next)
        flow->next->in_end = true;
    else
        body->out_end = true;
}

void body_run(struct body *body, bool pause)
{
    if (!body->is_open || body->failed)
        return;
    if (!body->first) {
        body->out_end = body->in_end;
        return;
    }
    if (body->running)
        return;
    body->running = true;
    if (pause)
        body->first->flush = true;
    for (bool moved = true; moved && !body->failed;) {
        moved = false;
        for (struct weir_flow *flow = body->first; flow && !body->failed; flow = flow->next) {
            moved |= flow_run(body, flow);
            flow_end(body, flow);
        }
    }
    body->running = false;
}

static struct chain *body_entry(struct body *body)
{
    if (!body->is_open)
        return &body->held;
    return body->first ? &body->first->in : &body->out;
}

void body_push(struct body *body, struct chain *chain, bool end, bool pause)
{
    body->pushed += chain->n;
    chain_move_all(body_entry(body), chain);
    if (end)
        body->in_end = true;
    if (body->first && body->is_open && end)
        body->first->in_end = true;
    body_run(body, pause);
}

void body_open(struct body *body)
{
    if (body->is_open)
        return;
    body->is_open = true;
    chain_move_all(body_entry(body), &body->held);
    if (body->first && body->in_end)
        body->first->in_end = true;
    body_run(body, false);
}

uint64_t body_room(const struct body *body)
{
    uint64_t waiting = body->out.n + body->held.n;

    for (const struct weir_flow *flow = body->first; flow; flow = flow->next)
        waiting += flow->in.n;
    return waiting >= body->credit ? 0 : body->credit - waiting;
}

void body_clear(struct body *body)
{
    chain_clear(&body->out);
    chain_clear(&body->held);
    for (struct weir_flow *flow = body->first; flow; flow = flow->next)
        chain_clear(&flow->in);
    body->in_end = body->out_end = true;
}
