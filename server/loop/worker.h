/* SPDX-License-Identifier: BSD-2-Clause */
/* worker.h: one thread with one event loop, its mail from other threads, and the work it leaves for the end of a turn.
 *
 * Thread:  worker_post and worker_stop: any; everything else: the worker's own. No other thread ever
 *          makes a libevent call.
 * Owner:   messages and deferred items are embedded in what they are about.
 * Note:    the main thread of the server has a worker too (control socket, signals); it accepts no clients. */
#ifndef LOOP_WORKER_H
#define LOOP_WORKER_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct worker;
struct event_base;

struct message { /* queued for a worker; run on its thread, in order */
    struct message *next;
    void (*run)(struct message *message); /* owns the message from here on */
};

struct deferred { /* runs at the end of the present loop turn, once, on the same thread */
    struct list link;
    void (*run)(struct deferred *deferred);
};

struct worker *worker_create(unsigned index); /* NULL without memory or descriptors */
/* After its thread ended; mail that came too late is run first. NULL is fine. */
void worker_destroy(struct worker *worker);
/* On a thread of its own, between up() and down(), which may be NULL. 0 or an errno. */
int worker_start(struct worker *worker, void (*up)(struct worker *, void *), void (*down)(struct worker *, void *),
                 void *arg);
void worker_enter(struct worker *worker);     /* makes it the calling thread's own, before worker_run does so */
void worker_run(struct worker *worker);       /* on the calling thread, until worker_stop */
void worker_turn(struct worker *worker, bool may_wait); /* one turn of worker_run's loop; worker_enter first */
void worker_stop(struct worker *worker);      /* ends the loop after its present turn */
void worker_join(struct worker *worker);
void worker_post(struct worker *worker, struct message *message);

struct worker *worker_self(void);             /* this thread's; NULL on others */
unsigned worker_index(const struct worker *worker);
void worker_defer(struct deferred *deferred); /* on a worker; fine when it is queued already (then nothing changes) */
/* The same, but as soon as the present descriptor's callback has returned, if it is in one; what is queued for later is
 * moved forward. */
void worker_defer_soon(struct deferred *deferred);
static inline void deferred_init(struct deferred *deferred, void (*run)(struct deferred *))
{
    list_init(&deferred->link);
    deferred->run = run;
}
/* How long its turns took, waiting not included, in a row of latency.h; any thread may read it. */
const uint64_t *worker_turns(const struct worker *worker);
struct event_base *worker_base(struct worker *worker); /* for loop/ itself and for libraries with a libevent adapter */

/* Per-worker pointers of upper layers, set once in `up` (each layer has its index in the enum). */
enum worker_slot { WORKER_SLOT_PIPELINE, WORKER_SLOT_UPSTREAM, WORKER_SLOT_APP, WORKER_SLOTS };
void worker_set_slot(struct worker *worker, enum worker_slot slot, void *p);
void *worker_slot(struct worker *worker, enum worker_slot slot);

#endif
