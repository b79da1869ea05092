/* SPDX-License-Identifier: BSD-2-Clause */
#include "toy.h"

#include "pipeline/metrics.h"

#include <pthread.h>

enum { WORKERS = 3, MOST = 64 };

static struct worker *main_worker, *workers[WORKERS];
static unsigned dropped;
static _Atomic unsigned left;
static pthread_t main_thread;

static void on_drop(struct snapshot *snapshot)
{
    assert_true(pthread_equal(pthread_self(), main_thread));
    dropped++;
    mem_free(snapshot);
}

static void on_leave(struct snapshot *snapshot)
{
    (void)snapshot;
    left++;
}

static struct snapshot *make(void)
{
    struct snapshot *snapshot = mem_zalloc(sizeof(*snapshot));
    snapshot->drop = on_drop;
    snapshot->leave = on_leave;
    return snapshot;
}

static int up(void **state)
{
    (void)state;
    dropped = left = 0;
    main_thread = pthread_self();
    main_worker = worker_create(0);
    worker_enter(main_worker);
    for (unsigned i = 0; i < WORKERS; i++)
        workers[i] = worker_create(i);
    snapshots_init(main_worker, WORKERS);
    return main_worker ? 0 : -1;
}

static int down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WORKERS; i++)
        worker_destroy(workers[i]);
    worker_destroy(main_worker);
    snapshots_finish();
    return snapshots_alive() == 0 ? 0 : -1;
}
#define publishing(test) cmocka_unit_test_setup_teardown(test, up, down)

static void worker_up(struct worker *worker, void *arg)
{
    struct pipeline_worker *pw = pipeline_worker_up(worker, worker_index(worker));
    assert_non_null(pw);
    *(struct snapshot **)arg = pw->current; /* the same one on all */
}
static void worker_down(struct worker *worker, void *arg)
{
    (void)worker, (void)arg;
    pipeline_worker_down(pipeline_worker_self());
}

static struct snapshot *_Atomic first_seen;
static void start_all(void)
{
    static struct snapshot *seen[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(worker_start(workers[i], worker_up, worker_down, &seen[i]), 0);
}
static void stop_all(void)
{
    for (unsigned i = 0; i < WORKERS; i++)
        worker_stop(workers[i]);
    for (unsigned i = 0; i < WORKERS; i++)
        worker_join(workers[i]);
}

/* -- what a worker is asked to do by mail -------------------------------------------------------------------------- */

struct errand {
    struct message message;
    void (*run)(void);
    atomic_bool done;
};
static void on_errand(struct message *message)
{
    struct errand *errand = (struct errand *)(void *)message;
    errand->run();
    errand->done = true;
}
static void ask(unsigned worker, void (*run)(void))
{
    struct errand errand = { .message.run = on_errand, .run = run };
    worker_post(workers[worker], &errand.message);
    while (!errand.done)
        worker_turn(main_worker, false);
}

static struct snapshot *held[MOST];
static unsigned held_count;
static void take(void)
{
    held[held_count] = snapshot_take();
    assert_non_null(held[held_count++]);
}
static void release(void)
{
    snapshot_release(held[--held_count]);
}
static void look(void)
{
    first_seen = snapshot_current();
}

static struct snapshot *publish(void)
{
    struct snapshot *snapshot = make();
    assert_true(snapshot_publish(snapshot, workers));
    assert_ptr_equal(snapshot_newest(), snapshot);
    return snapshot;
}

/* -- tests --------------------------------------------------------------------------------------------------------- */

static void the_old_one_goes_when_all_have_the_new(void **state)
{
    (void)state;
    publish();
    start_all();
    struct snapshot *second = publish();
    TURN_UNTIL(dropped == 1);
    assert_int_equal(snapshots_alive(), 1);
    for (unsigned i = 0; i < WORKERS; i++) {
        ask(i, look);
        assert_ptr_equal(first_seen, second);
    }
    stop_all();
    assert_int_equal(left, 2 * WORKERS); /* each worker left each of the two */
}

static void a_request_holds_its_snapshot(void **state)
{
    (void)state;
    publish();
    start_all();
    held_count = 0;
    ask(1, take);
    ask(1, take);
    publish();
    for (unsigned i = 0; i < WORKERS; i++)
        ask(i, look);
    ask(1, release);
    assert_int_equal(dropped, 0);
    assert_int_equal(snapshots_alive(), 2);
    ask(1, release);
    TURN_UNTIL(dropped == 1);
    stop_all();
}

static void many_generations_under_way(void **state)
{
    (void)state;
    publish();
    start_all();
    held_count = 0;
    for (unsigned i = 0; i < 30; i++) {
        ask(i % WORKERS, look);
        publish();
        if (i % 10 == 5)
            ask(0, take);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        ask(i, look);
    TURN_UNTIL(dropped == 27); /* all but the newest and the three that are held */
    while (held_count)
        ask(0, release);
    TURN_UNTIL(snapshots_alive() == 1);
    stop_all();
}

static void workers_that_never_ran(void **state)
{
    (void)state;
    publish();
    publish();
    publish();
    assert_int_equal(snapshots_alive(), 3);
    for (unsigned i = 0; i < WORKERS; i++) { /* their mail is read when they are destroyed */
        worker_destroy(workers[i]);
        workers[i] = NULL;
    }
    TURN_UNTIL(snapshots_alive() == 1);
    assert_int_equal(dropped, 2);
    assert_int_equal(left, 0); /* nobody had anything to leave */
}

static void workers_that_start_late(void **state)
{
    (void)state;
    publish();
    publish();
    struct snapshot *newest = publish();
    start_all(); /* with three letters waiting: they take the newest at once, and never an older one */
    for (unsigned i = 0; i < WORKERS; i++) {
        ask(i, look);
        assert_ptr_equal(first_seen, newest);
    }
    TURN_UNTIL(snapshots_alive() == 1);
    assert_int_equal(dropped, 2);
    stop_all();
}

static void shutdown_with_old_ones_held(void **state)
{
    (void)state;
    publish();
    start_all();
    held_count = 0;
    ask(2, take); /* and never released: even then nothing leaks or is freed twice */
    publish();
    stop_all();
    for (unsigned i = 0; i < WORKERS; i++) {
        worker_destroy(workers[i]);
        workers[i] = NULL;
    }
    worker_destroy(main_worker);
    main_worker = NULL;
    snapshots_finish();
    assert_int_equal(dropped, 2);
}

static void without_workers(void **state)
{
    (void)state;
    snapshots_finish();
    snapshots_init(main_worker, 0);
    publish();
    publish();
    assert_int_equal(dropped, 1);
}

static void without_memory(void **state)
{
    (void)state;
    struct snapshot *snapshot = make();
    for (int n = 0; n < 2; n++) {
        mem_fail_after(n);
        assert_false(snapshot_publish(snapshot, workers));
        mem_fail_after(-1);
        assert_null(snapshot_newest());
        assert_int_equal(snapshots_alive(), 0);
    }
    mem_free(snapshot);
}

static void count_some(void)
{
    struct pipeline_worker *pw = pipeline_worker_self();
    figure_add(&pw->requests_total, 5);
    figure_add(&pw->connection_count, 2);
}

static void figures_of_all_workers(void **state)
{
    (void)state;
    struct figures before = figures_sum();
    publish();
    start_all();
    for (unsigned i = 0; i < WORKERS; i++)
        ask(i, count_some);
    struct figures now = figures_sum();
    assert_int_equal(now.requests, before.requests + 5 * WORKERS);
    assert_int_equal(now.connections, 2 * WORKERS);
    stop_all();
    struct figures after = figures_sum();
    assert_int_equal(after.requests, now.requests); /* what a worker has counted stays */
    assert_int_equal(after.connections, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        publishing(the_old_one_goes_when_all_have_the_new),
        publishing(a_request_holds_its_snapshot),
        publishing(many_generations_under_way),
        publishing(workers_that_never_ran),
        publishing(workers_that_start_late),
        publishing(shutdown_with_old_ones_held),
        publishing(without_workers),
        publishing(without_memory),
        publishing(figures_of_all_workers),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
