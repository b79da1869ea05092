/* SPDX-License-Identifier: BSD-2-Clause */
/* quarantine.h: builds of modules that have crashed the server too often, and what stands in for them.
 *
 * Shape:   the supervisor says which builds before the configuration is bound; a module that is loaded from such a
 *          build runs no hook. Plans leave its fail-open hooks out, and refuse (503) where one that fails closed would
 *          have run. Its variables have no value, its threads and timers do not start. Its transport opens nothing, its
 *          balancer picks nothing.
 *          load() and check() do run: they tell where the module is active. In a deep quarantine, for builds that crash
 *          there, they do not: then the module counts as active everywhere.
 * Thread:  quarantine_add: main, before modules are loaded; constant afterwards. */
#ifndef PIPELINE_QUARANTINE_H
#define PIPELINE_QUARANTINE_H

#include "base/str.h"

#include <weir/conn.h>
#include <weir/module.h>
#include <weir/upstream.h>

enum { QUARANTINES_MOST = 64, QUARANTINE_NAME = 32, QUARANTINE_BUILD = 64, QUARANTINE_WHY = 256 };

struct quarantine {
    char name[QUARANTINE_NAME], build[QUARANTINE_BUILD];
    char why[QUARANTINE_WHY]; /* "3 crashes within 12 s, the last: ..." */
    bool is_deep;
};

bool quarantine_add(str name, str build, bool is_deep, str why); /* false: no room, or a name that is none */
const struct quarantine *quarantine_find(str name, str build);   /* NULL: may run */

/* What a plan has in place of a hook that fails closed. NULL for stages that have no callback to refuse in. */
const struct weir_hook *quarantine_refusal(uint32_t stage); /* enum stage: PREFACE, IDENTIFY to SERVE */

extern const struct weir_transport quarantine_transport; /* accepts and opens nothing */
extern const struct weir_balancer quarantine_balancer;   /* picks nothing: 503 */

#endif
