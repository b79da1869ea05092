/* SPDX-License-Identifier: BSD-2-Clause */
/* pipeline_worker.c: what a worker needs before its first connection, and what it leaves behind. */
#include "pipeline/session.h"

#include "base/log.h"
#include "base/mem.h"
#include "pipeline/crumb.h"
#include "pipeline/fetch.h"
#include "pipeline/http1.h"
#include "pipeline/metrics.h"
#include "pipeline/overload.h"
#include "pipeline/sink.h"
#include "pipeline/suspension.h"
#include "pipeline/timer.h"
#include "pipeline/trace.h"

#include <assert.h>

static _Thread_local struct pipeline_worker *self;

struct pipeline_worker *pipeline_worker_self(void)
{
    return self;
}

static void module_down(struct pipeline_worker *pw, weir_mod *mod)
{
    if (mod->desc.thread_down && !mod->quarantine) {
        crumb_enter(pw, mod, STAGE_NONE, NULL);
        mod->desc.thread_down(mod, pw->thread_slots[mod->index]);
        crumb_leave(pw);
    }
    mem_free(pw->thread_slots[mod->index]);
    pw->thread_slots[mod->index] = NULL;
}

static void modules_down(struct pipeline_worker *pw)
{
    while (pw->module_count > 0)
        module_down(pw, modules.all[--pw->module_count]);
}

static bool module_up(struct pipeline_worker *pw, weir_mod *mod)
{
    if (mod->desc.thread_size && !(pw->thread_slots[mod->index] = mem_zalloc(mod->desc.thread_size)))
        return false;
    if (!mod->desc.thread_up || mod->quarantine)
        return true;
    crumb_enter(pw, mod, STAGE_NONE, NULL);
    int rc = mod->desc.thread_up(mod, pw->thread_slots[mod->index]);
    crumb_leave(pw);
    if (rc == 0)
        return true;
    log_error("module " STR_FMT ": cannot start on worker %u%s%s", STR_ARG(mod->name), pw->index,
              mod->error[0] ? ": " : "", mod->error);
    mem_free(pw->thread_slots[mod->index]);
    pw->thread_slots[mod->index] = NULL;
    return false;
}

bool pipeline_worker_new_modules(struct pipeline_worker *pw, uint32_t count)
{
    while (pw->module_count < count) {
        if (!module_up(pw, modules.all[pw->module_count]))
            return false;
        pw->module_count++;
    }
    return true;
}

static void free_parts(struct pipeline_worker *pw)
{
    overload_worker_down(pw);
    timers_worker_down();
    if (pw->suspensions)
        suspensions_close(pw->suspensions);
    metrics_worker_down(pw);
    h1_worker_down(pw);
    trace_worker_down(pw);
    while (pw->spare_count)
        arena_destroy(pw->spare_arenas[--pw->spare_count]);
    worker_set_slot(pw->worker, WORKER_SLOT_PIPELINE, NULL);
    self = NULL;
    mem_free(pw);
}

/* Requests that were closed with their sessions free their memory in a deferred call of their own, queued before this
 * one. */
static void finish(struct deferred *deferred)
{
    struct pipeline_worker *pw = list_entry(deferred, struct pipeline_worker, finish);
    assert(list_is_empty(&pw->busy) && list_is_empty(&pw->idle));
    modules_down(pw);
    sinks_worker_down(pw);
    snapshot_worker_down(pw);
    free_parts(pw);
}

struct pipeline_worker *pipeline_worker_up(struct worker *worker, unsigned index)
{
    assert(!self && index < CRUMBS_MOST);
    struct pipeline_worker *pw = mem_zalloc(sizeof(*pw));
    if (!pw)
        return NULL;
    self = pw;
    pw->worker = worker;
    pw->index = index;
    pw->crumb = &crumbs->at[index];
    list_init(&pw->busy);
    list_init(&pw->idle);
    overload_worker_up(pw);
    deferred_init(&pw->finish, finish);
    worker_set_slot(worker, WORKER_SLOT_PIPELINE, pw);
    pw->suspensions = suspensions_open(worker);
    if (!pw->suspensions || !metrics_worker_up(pw) || !pipeline_worker_new_modules(pw, modules.count)) {
        modules_down(pw);
        free_parts(pw);
        return NULL;
    }
    sinks_worker_up(pw);
    snapshot_worker_up(pw);
    return pw;
}

void pipeline_worker_down(struct pipeline_worker *pw)
{
    sessions_close(pw);
    fetches_worker_down();
    worker_defer(&pw->finish);
}
