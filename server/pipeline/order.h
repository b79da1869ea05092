/* SPDX-License-Identifier: BSD-2-Clause */
/* order.h: which hook comes after which, inside each stage: by capabilities, then slot, then name; never by load order.
 *
 * Errors:  a cycle is a configuration error that names the modules in it; so are two EXCLUSIVE hooks in one stage. */
#ifndef PIPELINE_ORDER_H
#define PIPELINE_ORDER_H

#include "base/diag.h"
#include "pipeline/module.h"

struct ordered_hook {
    const weir_mod *mod;
    const struct weir_hook *hook;
    uint32_t index;  /* in the module's table */
    /* why it stands here: "after client-addr (realip)", "slot -100", "name", "pipeline directive FILE:LINE" */
    str reason;
};
struct order {
    struct ordered_hook *at[STAGE_COUNT];
    uint32_t count[STAGE_COUNT];
};
/* An operator's `pipeline STAGE NAME...;`: these modules first, in this order, then the others. Constraints hold. */
struct order_wish {
    enum stage stage;
    weir_table names; /* of weir_str */
    struct place place;
};
/* mods: the modules of this configuration. False after errors were reported. */
bool order_compute(struct order *order, weir_mod *const *mods, uint32_t count, const struct order_wish *wishes,
                   uint32_t wish_count, struct arena *arena, struct diags *diags);
void order_print(const struct order *order, FILE *out); /* `weir pipeline` */

#endif
