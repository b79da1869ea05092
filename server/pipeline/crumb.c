/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/crumb.h"

#include <stdatomic.h>
#include <string.h>

static struct crumbs own = { .count = CRUMBS_MOST };

struct crumbs *crumbs = &own;

void crumbs_use(struct crumbs *shared)
{
    memcpy(shared->names, crumbs->names, sizeof(shared->names));
    memcpy(shared->builds, crumbs->builds, sizeof(shared->builds));
    shared->count = CRUMBS_MOST;
    crumbs = shared;
}

static void copy(char *to, size_t room, str from)
{
    size_t n = from.n < room - 1 ? from.n : room - 1;

    if (n)
        memcpy(to, from.p, n);
    to[n] = '\0';
}

void crumb_name(uint32_t module, str name, str build)
{
    if (module >= sizeof(crumbs->names) / sizeof(crumbs->names[0]))
        return;
    copy(crumbs->names[module], CRUMB_MODULE_NAME, name);
    copy(crumbs->builds[module], CRUMB_MODULE_BUILD, build);
}

/* -- threads that are no workers ----------------------------------------------------------------------------------- */

_Thread_local unsigned crumb_thread;

static void enter(unsigned index, const weir_mod *mod)
{
    struct crumb *crumb = &crumbs->at[index];

    __atomic_store_n(&crumb->stage, (uint32_t)STAGE_NONE, __ATOMIC_RELAXED);
    __atomic_store_n(&crumb->module, mod->index + 1, __ATOMIC_RELEASE);
}

static void leave(unsigned index)
{
    __atomic_store_n(&crumbs->at[index].module, 0, __ATOMIC_RELAXED);
}

void crumb_enter_main(const weir_mod *mod)
{
    enter(CRUMB_MAIN, mod);
}

void crumb_leave_main(void)
{
    leave(CRUMB_MAIN);
}

void crumb_enter_job(const weir_mod *mod)
{
    static atomic_uint threads;

    if (!crumb_thread) {
        unsigned number = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
        if (number >= CRUMB_JOBS_MOST)
            return;
        crumb_thread = CRUMB_JOBS + number + 1;
    }
    enter(crumb_thread - 1, mod);
}

void crumb_leave_job(void)
{
    if (crumb_thread)
        leave(crumb_thread - 1);
}
