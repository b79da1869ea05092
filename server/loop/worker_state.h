/* SPDX-License-Identifier: BSD-2-Clause */
/* worker_state.h: what a worker is made of; for the files of this folder only.
 *
 * Note:    libevent 2.1 has no hook behind epoll_wait, so every callback that libevent makes begins with worker_tick():
 *          the first one of a turn reads the clock, the others cost a test. */
#ifndef LOOP_WORKER_STATE_H
#define LOOP_WORKER_STATE_H

#include "base/clock.h"
#include "base/latency.h"
#include "loop/wheel.h"
#include "loop/worker.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>

struct event_slab;
struct signal_table;

struct worker {
    struct event_base *base;
    unsigned index;
    bool has_ticked; /* the clock was read in this turn */
    struct list deferred, soon;
    struct list end; /* of the round that is being run */

    _Atomic(struct message *) mail; /* newest first */
    atomic_bool is_stopping;
    int wake_fd; /* an eventfd, watched for edges and so never read */
    struct event *wake;

    struct wheel wheel;
    struct event *timer;
    uint64_t armed_for; /* when the timer is due, in ms; 0: not armed */
    bool is_firing;     /* deadlines are being called: the timer is armed once, behind them */

    struct event_slab *slabs; /* all memory of io events */
    void *free_events;

    struct signal_table *signals; /* NULL until the first signal_watch */

    pthread_t thread;
    bool has_thread;
    void (*up)(struct worker *, void *);
    void (*down)(struct worker *, void *);
    void *arg;
    void *slots[WORKER_SLOTS];
    uint64_t turns[LATENCY_CELLS];
};

static inline void worker_tick(struct worker *worker)
{
    if (worker->has_ticked)
        return;
    worker->has_ticked = true;
    clock_tick();
}

/* Starts a thread that no signal is delivered to, but the ones its own mistakes raise. 0 or an errno. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg);

void worker_run_soon(struct worker *worker); /* one round of it */
void deadlines_start(struct worker *worker); /* the timer's event is there; prepares it and the wheel */
void io_free_slabs(struct worker *worker);
void signals_finish(struct worker *worker);

#endif
