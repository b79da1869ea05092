/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/deciders.h"

#include "base/log.h"

static bool satisfies_any(const struct weir_req *r)
{
    return r->stage == STAGE_AUTH && r->plan->core->satisfy == SATISFY_ANY;
}

bool decider_is_weighed(const struct weir_req *r, const struct step *step)
{
    return step->is_shadow || r->stage == STAGE_AUTH;
}

void decider_sign(struct weir_req *r, const struct step *step, weir_verdict verdict)
{
    bool is_answer = verdict == WEIR_REPLY && r->answered && !r->refuse_reason && r->status >= 300;

    if (!is_answer || !(step->hook->flags & WEIR_DECIDES))
        return;
    if (r->error_text.n && str_equal(r->error_module, step->mod->name))
        r->refuse_reason = r->error_text.p; /* in the arena, NUL behind it */
    else if (r->status >= 400)
        r->refuse_reason = "no reason given";
    r->error_module = step->mod->name;
}

bool decider_may_let_in(const struct weir_req *r)
{
    return r->stage != STAGE_AUTH || satisfies_any(r);
}

static bool copy_list(struct fields *to, const struct fields *from, struct arena *arena)
{
    *to = *from;
    to->items = from->count ? arena_array(arena, struct field, from->count) : NULL;
    to->room = from->count;
    if (from->count && !to->items)
        return false;
    if (from->count)
        memcpy(to->items, from->items, from->count * sizeof(struct field));
    return true;
}

static void clear_reply(void *chain)
{
    chain_clear(chain);
}

/* A refusal that a shadowed hook's own one would overwrite. The request may end while that hook waits. */
static bool keep_answer(struct weir_req *r, struct undo *undo)
{
    chain_init(&undo->reply);
    if (!arena_on_reset(r->arena, clear_reply, &undo->reply))
        return false;
    undo->has_answer = true;
    undo->status = r->status;
    undo->reason = r->reason;
    undo->rsp_body = r->rsp_body;
    undo->rsp_length = r->rsp_length;
    undo->refuse_reason = r->refuse_reason;
    undo->error_module = r->error_module;
    undo->error_text = r->error_text;
    chain_move_all(&undo->reply, &r->reply);
    return true;
}

static void bring_back_answer(struct weir_req *r, struct undo *undo)
{
    chain_clear(&r->reply);
    chain_move_all(&r->reply, &undo->reply);
    r->answered = true;
    r->status = undo->status;
    r->reason = undo->reason;
    r->rsp_body = undo->rsp_body;
    r->rsp_length = undo->rsp_length;
    r->refuse_reason = undo->refuse_reason;
    r->error_module = undo->error_module;
    r->error_text = undo->error_text;
    undo->has_answer = false;
}

/* AUTH hooks under `satisfy all` that are enforced leave nothing to take back. */
bool decider_prepare(struct weir_req *r)
{
    bool is_shadow = r->plan->stages[r->stage].at[r->step].is_shadow;

    if (!satisfies_any(r) && !is_shadow)
        return true;
    struct undo *undo = arena_new(r->arena, struct undo);
    r->undo = undo;
    if (!undo || !copy_list(&undo->rsp, &r->rsp, r->arena) || !copy_list(&undo->fields, &r->fields, r->arena))
        return false;
    return !is_shadow || !r->kept_refusal || keep_answer(r, undo);
}

/* As if nobody had answered. */
static void forget_answer(struct weir_req *r)
{
    chain_clear(&r->reply);
    r->answered = false;
    r->status = 0;
    r->reason = STR_NONE;
    r->rsp_body = BODY_NONE;
    r->rsp_length = 0;
    r->refuse_reason = NULL;
    r->error_module = STR_NONE;
    r->error_text = STR_NONE;
}

/* -- shadow mode --------------------------------------------------------------------------------------------------- */

static void note_refusal(struct weir_req *r, const struct step *step, weir_verdict verdict)
{
    str why = r->refuse_reason ? str_of(r->refuse_reason) : r->error_text.n ? r->error_text : S("no reason given");
    int status = verdict == WEIR_CLOSE ? 0 : verdict == WEIR_REPLY ? r->status : 503;
    str text = arena_printf(r->arena, "%.*s: %d %.*s", STR_ARG(step->mod->name), status, STR_ARG(why));

    if (r->is_dry)
        return;
    log_info("request %.*s: not enforced: %.*s would have answered %d: %.*s", STR_ARG(r->id), STR_ARG(step->mod->name),
             status, STR_ARG(why));
    __atomic_fetch_add(&step->mod->would_refuse, 1, __ATOMIC_RELAXED);
    if (!r->would_refuse.n && text.p)
        r->would_refuse = text; /* the first one is what the client would have seen */
}

static weir_verdict weigh_shadow(struct weir_req *r, const struct step *step, weir_verdict verdict)
{
    bool refuses = verdict == WEIR_REPLY || verdict == WEIR_CLOSE || verdict == WEIR_REROUTE ||
                   (verdict == WEIR_FAIL && !(step->hook->flags & WEIR_FAIL_OPEN));

    if (refuses && verdict != WEIR_REROUTE)
        note_refusal(r, step, verdict);
    if (r->undo) {
        r->rsp = r->undo->rsp;
        r->fields = r->undo->fields;
    }
    if (r->undo && r->undo->has_answer)
        bring_back_answer(r, r->undo);
    else if (refuses || r->answered)
        forget_answer(r);
    return refuses ? WEIR_NEXT : verdict;
}

/* -- satisfy ------------------------------------------------------------------------------------------------------- */

/* What the satisfied hook put on the response stays, what refusals before it put there goes. */
static void drop_refusal(struct weir_req *r)
{
    struct fields kept = r->kept_refusal->rsp;
    uint32_t before = r->undo ? r->undo->rsp.count : r->rsp.count;

    for (uint32_t i = before; i < r->rsp.count; i++)
        fields_append(&kept, r->rsp.items[i].id, r->rsp.items[i].name, r->rsp.items[i].value);
    r->rsp = kept;
    r->kept_refusal = NULL;
    forget_answer(r);
}

static weir_verdict weigh_any(struct weir_req *r, weir_verdict verdict)
{
    if (verdict == WEIR_REPLY && r->answered) {
        if (!r->kept_refusal)
            r->kept_refusal = r->undo;
        return WEIR_NEXT;
    }
    if (verdict == WEIR_SKIP && r->kept_refusal)
        drop_refusal(r);
    return verdict;
}

weir_verdict decider_weigh(struct weir_req *r, const struct step *step, weir_verdict verdict)
{
    if (step->is_shadow)
        verdict = weigh_shadow(r, step, verdict);
    if (r->stage != STAGE_AUTH)
        return verdict;
    if (satisfies_any(r))
        return weigh_any(r, verdict);
    return verdict == WEIR_SKIP ? WEIR_NEXT : verdict; /* satisfied, and the next one is asked too */
}

void deciders_forget(struct weir_req *r)
{
    if (!r->kept_refusal)
        return;
    r->rsp = r->kept_refusal->rsp;
    r->kept_refusal = NULL;
    forget_answer(r);
}

bool deciders_refuse(struct weir_req *r)
{
    bool refuses = r->kept_refusal != NULL;

    r->kept_refusal = NULL;
    return refuses;
}
