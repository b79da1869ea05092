/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/snapshot.h"

#include "base/mem.h"
#include "pipeline/overload.h"
#include "pipeline/session.h"

#include <assert.h>
#include <stdatomic.h>

/* A snapshot's letters to and from one worker: "take this one", then, when its last reference there is gone, "I have
 * let go". The second is never under way before the first has arrived, so one letter serves both. */
struct snapshot_mail {
    struct message message;
    struct snapshot *snapshot;
    unsigned worker;
    bool arrived; /* the worker has seen it; its own */
};

static struct {
    struct worker *main;
    unsigned worker_count;
    struct snapshot *alive; /* all that are not freed, newest first; main thread */
    unsigned alive_count;
    uint64_t sequence;
    _Atomic(struct snapshot *) newest;
} house;

void snapshots_init(struct worker *main, unsigned worker_count)
{
    assert(!house.alive);
    house.main = main;
    house.worker_count = worker_count;
}

/* -- the main thread's side ---------------------------------------------------------------------------------------- */

static void free_snapshot(struct snapshot *snapshot)
{
    struct snapshot **link = &house.alive;
    while (*link != snapshot)
        link = &(*link)->older;
    *link = snapshot->older;
    __atomic_store_n(&house.alive_count, house.alive_count - 1, __ATOMIC_RELAXED);
    mem_free(snapshot->refs);
    mem_free(snapshot->mail);
    snapshot->refs = NULL;
    snapshot->mail = NULL;
    snapshot->drop(snapshot);
}

static void free_if_unused(struct snapshot *snapshot)
{
    if (snapshot->workers_holding == 0 && snapshot != snapshot_newest())
        free_snapshot(snapshot);
}

static void on_let_go(struct message *message)
{
    struct snapshot_mail *mail = (struct snapshot_mail *)(void *)message;
    struct snapshot *snapshot = mail->snapshot;
    assert(snapshot->workers_holding > 0);
    snapshot->workers_holding--;
    free_if_unused(snapshot);
}

static void on_publish(struct message *message);

static bool prepare_mail(struct snapshot *snapshot)
{
    unsigned count = house.worker_count;
    snapshot->refs = mem_array(count ? count : 1, sizeof(*snapshot->refs));
    snapshot->mail = mem_array(count ? count : 1, sizeof(*snapshot->mail));
    if (!snapshot->refs || !snapshot->mail) {
        mem_free(snapshot->refs);
        mem_free(snapshot->mail);
        snapshot->refs = NULL;
        snapshot->mail = NULL;
        return false;
    }
    for (unsigned i = 0; i < count; i++)
        snapshot->mail[i] = (struct snapshot_mail){ .message.run = on_publish, .snapshot = snapshot, .worker = i };
    return true;
}

bool snapshot_publish(struct snapshot *snapshot, struct worker *const *workers)
{
    struct snapshot *before = snapshot_newest();
    if (!prepare_mail(snapshot))
        return false;
    snapshot->module_count = modules.count;
    snapshot->sequence = ++house.sequence;
    snapshot->workers_holding = house.worker_count;
    snapshot->older = house.alive;
    house.alive = snapshot;
    __atomic_store_n(&house.alive_count, house.alive_count + 1, __ATOMIC_RELAXED);
    atomic_store_explicit(&house.newest, snapshot, memory_order_release);
    for (unsigned i = 0; i < house.worker_count; i++)
        worker_post(workers[i], &snapshot->mail[i].message);
    if (before)
        free_if_unused(before);
    return true;
}

struct snapshot *snapshot_newest(void)
{
    return atomic_load_explicit(&house.newest, memory_order_acquire);
}

unsigned snapshots_alive(void)
{
    return __atomic_load_n(&house.alive_count, __ATOMIC_RELAXED);
}

void snapshots_finish(void)
{
    atomic_store_explicit(&house.newest, NULL, memory_order_release);
    while (house.alive)
        free_snapshot(house.alive);
    house.main = NULL;
    house.worker_count = 0;
}

/* -- a worker's side ----------------------------------------------------------------------------------------------- */

/* Only when the letter has arrived may it travel back. Until then it stands for a reference. */
static void let_go_if_unused(struct snapshot *snapshot, unsigned worker)
{
    struct snapshot_mail *mail = &snapshot->mail[worker];
    if (snapshot->refs[worker] > 0 || !mail->arrived)
        return;
    if (snapshot->leave && pipeline_worker_self())
        snapshot->leave(snapshot);
    mail->message.run = on_let_go;
    worker_post(house.main, &mail->message);
}

static void unref(struct snapshot *snapshot, unsigned worker)
{
    assert(snapshot->refs[worker] > 0);
    snapshot->refs[worker]--;
    let_go_if_unused(snapshot, worker);
}

static void make_current(struct pipeline_worker *pw, struct snapshot *snapshot)
{
    struct snapshot *before = pw->current;
    snapshot->refs[pw->index]++;
    pw->current = snapshot;
    overload_limits_changed();
    if (before)
        unref(before, pw->index);
}

/* Also run for a worker that never came up, or went down before its mail was read: then nobody takes the snapshot. */
static void on_publish(struct message *message)
{
    struct snapshot_mail *mail = (struct snapshot_mail *)(void *)message;
    struct snapshot *snapshot = mail->snapshot;
    struct pipeline_worker *pw = pipeline_worker_self();
    mail->arrived = true;
    if (pw)
        pipeline_worker_new_modules(pw, snapshot->module_count);
    if (pw && (!pw->current || pw->current->sequence < snapshot->sequence))
        make_current(pw, snapshot);
    else
        let_go_if_unused(snapshot, mail->worker);
}

void snapshot_worker_up(struct pipeline_worker *pw)
{
    /* The newest cannot go away meanwhile: its letter to this worker is still to come. */
    struct snapshot *newest = snapshot_newest();
    if (newest && pw->index < house.worker_count && !pw->current)
        make_current(pw, newest);
}

void snapshot_worker_down(struct pipeline_worker *pw)
{
    struct snapshot *current = pw->current;
    pw->current = NULL;
    if (current)
        unref(current, pw->index);
}

struct snapshot *snapshot_current(void)
{
    return pipeline_worker_self()->current;
}

/* Ahead of its letter: once a reload was answered, the next request on any connection sees what it brought. The newest
 * cannot go away meanwhile, as its letter to this worker is still under way. */
static void adopt_newest(struct pipeline_worker *pw)
{
    struct snapshot *newest = snapshot_newest();
    if (newest == pw->current || !newest || newest->sequence < pw->current->sequence)
        return;
    pipeline_worker_new_modules(pw, newest->module_count);
    make_current(pw, newest);
}

struct snapshot *snapshot_take(void)
{
    struct pipeline_worker *pw = pipeline_worker_self();
    if (!pw->current)
        return NULL;
    adopt_newest(pw);
    pw->current->refs[pw->index]++;
    return pw->current;
}

struct snapshot *snapshot_share(struct snapshot *snapshot)
{
    snapshot->refs[pipeline_worker_self()->index]++;
    return snapshot;
}

void snapshot_release(struct snapshot *snapshot)
{
    unref(snapshot, pipeline_worker_self()->index);
}
