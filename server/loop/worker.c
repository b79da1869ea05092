/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* pthread_setname_np */
#include "loop/worker.h"
#include "base/block.h"
#include "base/chain.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/small.h"
#include "loop/worker_state.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Deferred items may queue further ones; after so many rounds the loop looks at its descriptors in between. */
enum { DEFERRED_ROUNDS = 8 };

static _Thread_local struct worker *self;

struct worker *worker_self(void)
{
    return self;
}

static void log_libevent(int severity, const char *text)
{
    if (severity >= EVENT_LOG_WARN)
        log_write(severity == EVENT_LOG_WARN ? LOG_WARN_ : LOG_ERROR_, "event loop: %s", text);
}

static void route_libevent_log(void)
{
    event_set_log_callback(log_libevent);
}

/* No lock: a base is its worker's alone. No changelist: it misdelivers events of descriptors that have a duplicate. */
static struct event_base *create_base(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    struct event_base *base = NULL;
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0
        && event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    worker_tick(arg); /* ending the wait was all: mail is read at the end of each turn */
}

static bool start_wake(struct worker *worker)
{
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (worker->wake_fd < 0)
        return false;
    worker->wake = event_new(worker->base, worker->wake_fd, EV_READ | EV_ET | EV_PERSIST, on_wake, worker);
    return worker->wake && event_add(worker->wake, NULL) == 0;
}

static void free_parts(struct worker *worker)
{
    if (worker->wake)
        event_free(worker->wake);
    if (worker->timer)
        event_free(worker->timer);
    if (worker->base)
        event_base_free(worker->base);
    if (worker->wake_fd >= 0)
        close(worker->wake_fd);
    io_free_slabs(worker);
    mem_free(worker);
}

struct worker *worker_create(unsigned index)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, route_libevent_log);

    struct worker *worker = mem_zalloc(sizeof(*worker));
    if (!worker)
        return NULL;
    worker->index = index;
    worker->wake_fd = -1;
    list_init(&worker->deferred);
    list_init(&worker->soon);
    worker->base = create_base();
    if (!worker->base || !start_wake(worker))
        goto failed;
    worker->timer = event_new(worker->base, -1, 0, on_wake, worker);
    if (!worker->timer)
        goto failed;
    deadlines_start(worker);
    return worker;

failed:
    free_parts(worker);
    return NULL;
}

static void run_round(struct worker *worker, struct list *list)
{
    struct list *end = &worker->end, *link;
    list_push(list, end); /* what is queued from now on belongs to the next round */
    while ((link = list_first(list)) != end) {
        struct deferred *deferred = list_entry(link, struct deferred, link);
        list_remove(link);
        deferred->run(deferred);
    }
    list_remove(end);
}

void worker_run_soon(struct worker *worker)
{
    run_round(worker, &worker->soon);
}

static bool has_deferred(const struct worker *worker)
{
    return !list_is_empty(&worker->deferred) || !list_is_empty(&worker->soon);
}

static void run_deferred(struct worker *worker)
{
    for (int round = 0; round < DEFERRED_ROUNDS && has_deferred(worker); round++) {
        run_round(worker, &worker->soon);
        run_round(worker, &worker->deferred);
    }
}

static bool has_mail(struct worker *worker)
{
    return atomic_load_explicit(&worker->mail, memory_order_relaxed) != NULL;
}

static void run_mail(struct worker *worker)
{
    if (!has_mail(worker))
        return;
    struct message *newest = atomic_exchange_explicit(&worker->mail, NULL, memory_order_acquire);
    struct message *oldest = NULL;
    while (newest) {
        struct message *message = newest;
        newest = message->next;
        message->next = oldest;
        oldest = message;
    }
    while (oldest) {
        struct message *message = oldest;
        oldest = message->next;
        message->next = NULL;
        message->run(message);
    }
}

static bool is_idle(struct worker *worker)
{
    return !has_deferred(worker) && !has_mail(worker);
}

void worker_enter(struct worker *worker)
{
    assert(!self || self == worker);
    if (!self)
        clock_tick();
    self = worker;
}

/* From when the loop woke up: one reading of the clock a turn, however many events it had. */
static void note_turn(struct worker *worker)
{
    uint64_t began = clock_us(), now = clock_us_now();

    latency_add(worker->turns, now > began ? now - began : 0);
}

void worker_turn(struct worker *worker, bool may_wait)
{
    assert(self == worker);
    bool waits = may_wait && is_idle(worker) && !atomic_load_explicit(&worker->is_stopping, memory_order_relaxed);
    worker->has_ticked = false;
    event_base_loop(worker->base, waits ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK);
    worker_tick(worker);
    run_mail(worker);
    run_deferred(worker);
    note_turn(worker);
}

/* What is under way at the end is still done, as far as it does not go on for ever. */
static void settle(struct worker *worker)
{
    for (int round = 0; round < DEFERRED_ROUNDS && !is_idle(worker); round++) {
        run_mail(worker);
        run_deferred(worker);
    }
}

void worker_run(struct worker *worker)
{
    worker_enter(worker);
    while (!atomic_load_explicit(&worker->is_stopping, memory_order_acquire))
        worker_turn(worker, true);
    settle(worker);
}

static void *thread_main(void *arg)
{
    struct worker *worker = arg;
    worker_enter(worker);
    if (worker->up)
        worker->up(worker, worker->arg);
    worker_run(worker);
    if (worker->down)
        worker->down(worker, worker->arg);
    settle(worker);
    chain_drop_free_list();
    block_drop_free_lists();
    small_drop_free_lists();
    self = NULL;
    return NULL;
}

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg)
{
    static const int own_faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF };
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(own_faults) / sizeof(own_faults[0]); i++)
        sigdelset(&blocked, own_faults[i]);
    int failed = pthread_sigmask(SIG_BLOCK, &blocked, &before);
    if (failed)
        return failed;
    failed = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        pthread_setname_np(*thread, name);
    return failed;
}

int worker_start(struct worker *worker, void (*up)(struct worker *, void *), void (*down)(struct worker *, void *),
                 void *arg)
{
    assert(!worker->has_thread);
    worker->up = up;
    worker->down = down;
    worker->arg = arg;
    char name[16];
    snprintf(name, sizeof(name), "weir-w%u", worker->index % 100000);
    int failed = thread_start(&worker->thread, name, thread_main, worker);
    worker->has_thread = !failed;
    return failed;
}

static void wake(struct worker *worker)
{
    static const uint64_t one = 1;
    /* The counter would have to reach 2^64 - 1 for this to fail, and a wake-up is pending then anyway. */
    ssize_t done = write(worker->wake_fd, &one, sizeof(one));
    (void)done;
}

void worker_stop(struct worker *worker)
{
    atomic_store_explicit(&worker->is_stopping, true, memory_order_release);
    wake(worker);
}

void worker_join(struct worker *worker)
{
    if (!worker->has_thread)
        return;
    pthread_join(worker->thread, NULL);
    worker->has_thread = false;
}

void worker_post(struct worker *worker, struct message *message)
{
    struct message *newest = atomic_load_explicit(&worker->mail, memory_order_relaxed);
    do {
        message->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&worker->mail, &newest, message, memory_order_release,
                                                    memory_order_relaxed));
    if (!newest && worker != self) /* one's own mail is seen before the next wait */
        wake(worker);
}

void worker_destroy(struct worker *worker)
{
    if (!worker)
        return;
    assert(!worker->has_thread);
    struct worker *outer = self;
    self = worker; /* late mail believes to be at home, and so can free what it is about */
    settle(worker);
    signals_finish(worker);
    self = outer == worker ? NULL : outer;
    free_parts(worker);
    if (!self) {
        chain_drop_free_list();
        block_drop_free_lists();
        small_drop_free_lists();
    }
}

const uint64_t *worker_turns(const struct worker *worker)
{
    return worker->turns;
}

unsigned worker_index(const struct worker *worker)
{
    return worker->index;
}

void worker_defer(struct deferred *deferred)
{
    assert(self);
    if (list_is_empty(&deferred->link))
        list_push(&self->deferred, &deferred->link);
}

void worker_defer_soon(struct deferred *deferred)
{
    assert(self);
    list_remove(&deferred->link);
    list_push(&self->soon, &deferred->link);
}

struct event_base *worker_base(struct worker *worker)
{
    return worker->base;
}

void worker_set_slot(struct worker *worker, enum worker_slot slot, void *p)
{
    worker->slots[slot] = p;
}

void *worker_slot(struct worker *worker, enum worker_slot slot)
{
    return worker->slots[slot];
}
