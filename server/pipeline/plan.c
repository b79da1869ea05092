/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/plan.h"

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

static bool next_step(const struct order *order, enum stage stage, const struct scope *scope, uint32_t *at,
                      struct step *step)
{
    while (*at < order->count[stage]) {
        const struct ordered_hook *hook = &order->at[stage][(*at)++];
        if (!is_active(scope, hook))
            continue;
        *step = (struct step){ hook->hook, conf_of(scope, hook->mod), (weir_mod *)(uintptr_t)hook->mod };
        return true;
    }
    return false;
}

/* Whether the stage looks the same in the outer plan; tells how many steps it has here. */
static bool is_same(const struct order *order, enum stage stage, const struct scope *scope, const struct steps *outer,
                    uint32_t *count)
{
    struct step step;
    bool same = true;
    *count = 0;
    for (uint32_t at = 0; next_step(order, stage, scope, &at, &step); (*count)++) {
        const struct step *theirs = outer && *count < outer->count ? &outer->at[*count] : NULL;
        same = same && theirs && theirs->hook == step.hook && theirs->conf == step.conf && theirs->mod == step.mod;
    }
    return same && outer && outer->count == *count;
}

static bool build_stage(const struct order *order, enum stage stage, const struct scope *scope,
                        const struct plan *outer, struct steps *steps, struct arena *arena)
{
    uint32_t count;
    if (is_same(order, stage, scope, outer ? &outer->stages[stage] : NULL, &count)) {
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
        next_step(order, stage, scope, &from, &at[i]);
    *steps = (struct steps){ at, count };
    return true;
}

const struct plan *plan_build(const struct order *order, const struct scope *scope, const struct plan *outer,
                              uint32_t core_index, struct arena *arena)
{
    struct plan *plan = arena_new(arena, struct plan);
    if (!plan)
        return NULL;
    plan->scope = scope;
    plan->core = scope->confs[core_index];
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++)
        if (!build_stage(order, (enum stage)stage, scope, outer, &plan->stages[stage], arena))
            return NULL;
    return plan;
}
