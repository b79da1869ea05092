/* SPDX-License-Identifier: BSD-2-Clause */
/* plan.h: what really runs in one scope: for each stage a flat array of the hooks that are active there, with their
 * configuration.
 *
 * Owner:   the snapshot's arena; a scope that says nothing of its own shares the outer scope's plan.
 * Thread:  constant once built. */
#ifndef PIPELINE_PLAN_H
#define PIPELINE_PLAN_H

#include "config/bind.h"
#include "pipeline/core_conf.h"
#include "pipeline/order.h"

struct step {
    const struct weir_hook *hook;
    const void *conf;
    weir_mod *mod;
    uint32_t cost; /* where its calls and time are counted (metrics.h) */
    bool is_shadow; /* decides nothing: `enforce off` */
};
struct steps {
    const struct step *at;
    uint32_t count;
};
struct plan {
    const struct scope *scope;
    const struct core_conf *core;
    struct steps stages[STAGE_COUNT];
};
/* core_index: owner index of the core's own configuration in scopes. NULL without memory. */
const struct plan *plan_build(const struct order *order, const struct scope *scope, const struct plan *outer,
                              uint32_t core_index, struct arena *arena);
/* The module's first directive in the innermost scope that has one: what a decision of its stands on. NULL: none. */
const struct statement *plan_statement(const struct plan *plan, const weir_mod *mod);

#endif
