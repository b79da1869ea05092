/* SPDX-License-Identifier: BSD-2-Clause */
/* crumb.h: the breadcrumb each worker leaves before it calls into a module: who is running, for which request.
 *
 * Shape:   an array in memory shared with the supervisor, one cache line a worker, read after a crash or by the
 *          watchdog.
 * Cost:    three stores a callback. */
#ifndef PIPELINE_CRUMB_H
#define PIPELINE_CRUMB_H

#include "pipeline/session.h"

enum { CRUMBS_MOST = 256, CRUMB_MODULE_NAME = 32, CRUMB_MODULE_BUILD = 64 };
/* Behind the workers' stand those of other threads that call into modules: the main one (load()) and the job pool's. */
enum { CRUMB_MAIN = CRUMBS_MOST, CRUMB_JOBS = CRUMBS_MOST + 1, CRUMB_JOBS_MOST = 7, CRUMBS_ALL = CRUMBS_MOST + 8 };

struct crumb {
    _Alignas(64) volatile uint32_t module; /* index + 1; 0: the core itself */
    volatile uint32_t stage;
    volatile uint64_t request; /* number */
    volatile uint64_t calls;   /* counts callbacks: the watchdog sees whether it moved */
    volatile uint64_t entered_turn_ms; /* clock of the loop turn */
};
struct crumbs {
    uint32_t count;
    uint32_t pad;
    char names[64][CRUMB_MODULE_NAME];
    char builds[64][CRUMB_MODULE_BUILD]; /* empty: built in */
    /* written by the crash handler; fault_thread: index + 1 into `at`, 0: another thread */
    volatile uint64_t fault_address, fault_signal, fault_thread;
    volatile uint64_t fault_in_module; /* index + 1 when the failing instruction lies in that module's code */
    volatile uint64_t fault_offset;    /* of that instruction, in the module's file or in weir's own; 0: elsewhere */
    volatile uint64_t fault_sender;    /* process that sent the signal; 0: it was a fault */
    struct crumb at[CRUMBS_ALL];
};
extern struct crumbs *crumbs; /* never NULL: private memory until the app maps a shared one */
void crumbs_use(struct crumbs *shared); /* before the first worker comes up; names known so far are carried over */
void crumb_name(uint32_t module, str name, str build); /* of the module with that index */

/* Around each callback. The stores are relaxed atomics, which cost what plain ones do: others look at any time. r may
 * be NULL. */
static inline void crumb_enter(struct pipeline_worker *pw, const weir_mod *mod, enum stage stage,
                               const struct weir_req *r)
{
    struct crumb *crumb = pw->crumb;
    __atomic_store_n(&crumb->stage, (uint32_t)stage, __ATOMIC_RELAXED);
    __atomic_store_n(&crumb->request, r ? r->number : 0, __ATOMIC_RELAXED);
    __atomic_store_n(&crumb->calls, crumb->calls + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&crumb->module, mod->index + 1, __ATOMIC_RELEASE); /* what it says is behind it */
}
static inline void crumb_leave(struct pipeline_worker *pw)
{
    __atomic_store_n(&pw->crumb->module, 0, __ATOMIC_RELAXED);
}

/* Threads that are no workers: the main one; those of the job pool, of which each gets a crumb at its first call. */
void crumb_enter_main(const weir_mod *mod);
void crumb_leave_main(void);
void crumb_enter_job(const weir_mod *mod);
void crumb_leave_job(void);
extern _Thread_local unsigned crumb_thread; /* this thread's index + 1 into crumbs->at; 0: it has none */

/* A callback inside another one (a variable's getter): remember whose time it is, and put it back. */
struct crumb_mark {
    uint32_t module, stage;
};
static inline struct crumb_mark crumb_mark(const struct pipeline_worker *pw)
{
    return (struct crumb_mark){ pw->crumb->module, pw->crumb->stage };
}
static inline void crumb_return(struct pipeline_worker *pw, struct crumb_mark mark)
{
    __atomic_store_n(&pw->crumb->stage, mark.stage, __ATOMIC_RELAXED);
    __atomic_store_n(&pw->crumb->module, mark.module, __ATOMIC_RELEASE);
}

#endif
