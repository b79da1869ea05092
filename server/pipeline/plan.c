/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/plan.h"

#include "pipeline/quarantine.h"

static bool is_active(const struct scope *scope, const struct ordered_hook *hook)
{
    uint32_t owner = hook->mod->index;
    if (owner >= scope->owner_count)
        return true; /* a module without directives of any kind */
    if (scope->state && scope->state[owner] & SCOPE_INACTIVE)
        return false;
    return !scope->skipped || hook->index >= 64 || !(scope->skipped[owner] >> hook->index & 1);
}

static const void *conf_of(const struct scope *scope, const weir_mod *mod)
{
    return mod->index < scope->owner_count ? scope->confs[mod->index] : NULL;
}

/* -- modules in quarantine ----------------------------------------------------------------------------------------- */

static bool is_refused(const struct scope *scope, const struct ordered_hook *hook)
{
    return hook->mod->quarantine && !(hook->hook->flags & WEIR_FAIL_OPEN) && is_active(scope, hook);
}

static weir_mod *find_refused(const struct order *order, enum stage stage, const struct scope *scope)
{
    for (uint32_t i = 0; i < order->count[stage]; i++) {
        const struct ordered_hook *hook = &order->at[stage][i];
        /* a bytes hook that nobody engages would not have run: who engages it has a policy of its own */
        bool sleeps = hook->hook->bytes && !(hook->hook->flags & WEIR_ENGAGED);
        if (!sleeps && is_refused(scope, hook))
            return (weir_mod *)(uintptr_t)hook->mod;
    }
    return NULL;
}

/* Whom a refusal in front of the stage stands for. Where a hook that fails closed has no callback to answer in, the
 * first stage that can answer does: IDENTIFY for ACCEPT, GUARD for all that comes behind SERVE. */
static weir_mod *refused_in_front(const struct order *order, enum stage stage, const struct scope *scope)
{
    static const enum stage late[] = { STAGE_REQ_BODY, STAGE_UP_HEAD, STAGE_UP_RSP, STAGE_STORE, STAGE_RSP_HEAD,
                                       STAGE_TRANSFORM, STAGE_ENCODE, STAGE_LOG };
    weir_mod *mod = NULL;

    if (stage == STAGE_IDENTIFY)
        return find_refused(order, STAGE_ACCEPT, scope);
    for (size_t i = 0; stage == STAGE_GUARD && !mod && i < sizeof(late) / sizeof(late[0]); i++)
        mod = find_refused(order, late[i], scope);
    return mod;
}

/* -- shadow mode --------------------------------------------------------------------------------------------------- */

static bool names_hold(const weir_table *names, str name)
{
    const char *at = names->base;

    for (uint32_t i = 0; i < names->count; i++, at += names->stride)
        if (str_equal(*(const str *)(const void *)at, name))
            return true;
    return false;
}

/* The innermost word on it counts. */
static bool is_shadow(const struct core_conf *core, const struct weir_hook *hook, const weir_mod *mod)
{
    const char *at = core->enforcements.base;

    if (!(hook->flags & WEIR_DECIDES))
        return false;
    for (uint32_t i = 0; i < core->enforcements.count; i++, at += core->enforcements.stride) {
        const struct enforcement *one = (const struct enforcement *)(const void *)at;
        if (names_hold(&one->names, mod->name))
            return one->how == ENFORCE_OFF;
    }
    return false;
}

/* -- steps --------------------------------------------------------------------------------------------------------- */

struct planning {
    const struct order *order;
    const struct scope *scope;
    const struct core_conf *core;
};

/* *at: 0 for what stands in front, then the hooks. */
static bool next_step(const struct planning *p, enum stage stage, uint32_t *at, struct step *step)
{
    const struct order *order = p->order;
    const struct scope *scope = p->scope;
    weir_mod *front = *at == 0 ? refused_in_front(order, stage, scope) : NULL;

    *at += *at == 0;
    if (front) {
        *step = (struct step){ .hook = quarantine_refusal(stage), .mod = front };
        return true;
    }
    while (*at <= order->count[stage]) {
        const struct ordered_hook *hook = &order->at[stage][(*at)++ - 1];
        weir_mod *mod = (weir_mod *)(uintptr_t)hook->mod;
        bool shadow = is_shadow(p->core, hook->hook, mod);
        const struct weir_hook *refusal = !shadow && is_refused(scope, hook) ? quarantine_refusal(stage) : NULL;
        if (!is_active(scope, hook) || (mod->quarantine && !refusal))
            continue;
        *step = (struct step){ refusal ? refusal : hook->hook, conf_of(scope, mod), mod,
                               module_cost_index(mod, hook->index), shadow };
        return true;
    }
    return false;
}

/* Whether the stage looks the same in the outer plan; tells how many steps it has here. */
static bool is_same(const struct planning *p, enum stage stage, const struct steps *outer, uint32_t *count)
{
    struct step step;
    bool same = true;
    *count = 0;
    for (uint32_t at = 0; next_step(p, stage, &at, &step); (*count)++) {
        const struct step *theirs = outer && *count < outer->count ? &outer->at[*count] : NULL;
        same = same && theirs && theirs->hook == step.hook && theirs->conf == step.conf && theirs->mod == step.mod &&
               theirs->is_shadow == step.is_shadow;
    }
    return same && outer && outer->count == *count;
}

static bool build_stage(const struct planning *p, enum stage stage, const struct plan *outer, struct steps *steps,
                        struct arena *arena)
{
    uint32_t count;
    if (is_same(p, stage, outer ? &outer->stages[stage] : NULL, &count)) {
        *steps = outer->stages[stage];
        return true;
    }
    *steps = (struct steps){ 0 };
    if (count == 0)
        return true;
    struct step *at = arena_array(arena, struct step, count);
    if (!at)
        return false;
    uint32_t from = 0;
    for (uint32_t i = 0; i < count; i++)
        next_step(p, stage, &from, &at[i]);
    *steps = (struct steps){ at, count };
    return true;
}

const struct plan *plan_build(const struct order *order, const struct scope *scope, const struct plan *outer,
                              uint32_t core_index, struct arena *arena)
{
    struct plan *plan = arena_new(arena, struct plan);
    if (!plan)
        return NULL;
    struct planning p = { order, scope, scope->confs[core_index] };
    plan->scope = scope;
    plan->core = p.core;
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++)
        if (!build_stage(&p, (enum stage)stage, outer, &plan->stages[stage], arena))
            return NULL;
    return plan;
}

const struct statement *plan_statement(const struct plan *plan, const weir_mod *mod)
{
    for (const struct scope *scope = plan->scope; scope; scope = scope->outer)
        if (mod->index < scope->owner_count && scope->first && scope->first[mod->index])
            return scope->first[mod->index];
    return NULL;
}
