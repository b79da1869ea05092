/* SPDX-License-Identifier: BSD-2-Clause */
#include "toy.h"

#include "pipeline/crumb.h"
#include "pipeline/timer.h"

#include <pthread.h>
#include <stdlib.h>
#include <weir/event.h>

/* The linker puts these in the place of the engine's own (--wrap). */
static struct delivery {
    struct weir_req *r;
    struct weir_conn *c;
    weir_verdict verdict;
    unsigned count;
} last;

void __wrap_request_resume(struct weir_req *r, weir_verdict verdict);
void __wrap_request_resume(struct weir_req *r, weir_verdict verdict)
{
    assert_null(r->suspension); /* emptied before */
    last = (struct delivery){ .r = r, .verdict = verdict, .count = last.count + 1 };
}

void __wrap_session_resume(struct weir_conn *c, weir_verdict verdict);
void __wrap_session_resume(struct weir_conn *c, weir_verdict verdict)
{
    assert_null(c->suspension);
    last = (struct delivery){ .c = c, .verdict = verdict, .count = last.count + 1 };
}

static struct toy toy;
static int up(void **state)
{
    last = (struct delivery){ 0 };
    toy_up(state);
    toy_request(&toy);
    return 0;
}

static int down(void **state)
{
    assert_int_equal(suspensions_waiting(pipeline_worker_self()->suspensions), 0);
    if (toy.arena)
        toy_free(&toy);
    return toy_down(state);
}
#define suspending(test) cmocka_unit_test_setup_teardown(test, up, down)

static void turn(void)
{
    worker_turn(worker_self(), false);
}

/* -- suspensions --------------------------------------------------------------------------------------------------- */

static void resumed_from_the_mailbox(void **state)
{
    (void)state;
    weir_token token = suspension_create(&toy.r, 60000, WEIR_FAIL);
    assert_true(token.id != 0 && token.generation != 0);
    assert_non_null(toy.r.suspension);
    suspension_resume(token, WEIR_SKIP); /* early: remembered, but nothing is called from here */
    assert_int_equal(last.count, 0);
    assert_non_null(toy.r.suspension);
    turn();
    assert_int_equal(last.count, 1);
    assert_ptr_equal(last.r, &toy.r);
    assert_int_equal(last.verdict, WEIR_SKIP);
    suspension_resume(token, WEIR_NEXT); /* stale */
    turn();
    assert_int_equal(last.count, 1);
}

static void connections_too(void **state)
{
    (void)state;
    weir_token token = suspension_create_conn(&toy.conn, 60000, WEIR_CLOSE);
    assert_non_null(toy.conn.suspension);
    suspension_resume(token, WEIR_NEXT);
    turn();
    assert_ptr_equal(last.c, &toy.conn);
    assert_int_equal(last.verdict, WEIR_NEXT);
}

static const struct {
    weir_verdict said, delivered;
} verdicts[] = {
    { WEIR_NEXT, WEIR_NEXT },       { WEIR_SKIP, WEIR_SKIP },   { WEIR_REPLY, WEIR_REPLY },
    { WEIR_REROUTE, WEIR_REROUTE }, { WEIR_CLOSE, WEIR_CLOSE }, { WEIR_FAIL, WEIR_FAIL },
    { WEIR_SUSPEND, WEIR_FAIL },    { WEIR_WAIT_BODY, WEIR_FAIL }, { 77, WEIR_FAIL }, { -1, WEIR_FAIL },
};

static void verdicts_that_make_no_sense_are_failures(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(verdicts); i++) {
        suspension_resume(suspension_create(&toy.r, 60000, WEIR_FAIL), verdicts[i].said);
        turn();
        assert_int_equal(last.count, i + 1);
        assert_int_equal(last.verdict, verdicts[i].delivered);
    }
}

static void the_timeout_speaks_for_the_silent(void **state)
{
    (void)state;
    weir_token token = suspension_create(&toy.r, 1, WEIR_REPLY);
    TURN_UNTIL(last.count == 1);
    assert_int_equal(last.verdict, WEIR_REPLY);
    suspension_resume(token, WEIR_NEXT); /* too late */
    turn();
    assert_int_equal(last.count, 1);
}

static void the_first_resume_counts(void **state)
{
    (void)state;
    weir_token token = suspension_create(&toy.r, 60000, WEIR_FAIL);
    suspension_resume(token, WEIR_NEXT);
    suspension_resume(token, WEIR_CLOSE);
    turn();
    turn();
    assert_int_equal(last.count, 1);
    assert_int_equal(last.verdict, WEIR_NEXT);
}

static void cancelled(void **state)
{
    (void)state;
    weir_token waiting = suspension_create(&toy.r, 1, WEIR_FAIL);
    suspension_cancel(toy.r.suspension);
    toy.r.suspension = NULL;
    suspension_resume(waiting, WEIR_NEXT);

    weir_token posted = suspension_create(&toy.r, 60000, WEIR_FAIL);
    suspension_resume(posted, WEIR_NEXT);
    suspension_cancel(toy.r.suspension); /* its message is under way */
    toy.r.suspension = NULL;
    weir_token next = suspension_create(&toy.r, 60000, WEIR_FAIL); /* must not be taken for the one before */
    assert_true(next.id != posted.id || next.generation != posted.generation);
    turn();
    assert_int_equal(last.count, 0);
    suspension_resume(next, WEIR_SKIP);
    turn();
    assert_int_equal(last.count, 1);
    assert_int_equal(last.verdict, WEIR_SKIP);
}

static void a_second_suspension_replaces_the_first(void **state)
{
    (void)state;
    weir_token first = suspension_create(&toy.r, 60000, WEIR_FAIL);
    weir_token second = suspension_create(&toy.r, 60000, WEIR_FAIL);
    suspension_resume(first, WEIR_CLOSE);
    turn();
    assert_int_equal(last.count, 0);
    suspension_resume(second, WEIR_NEXT);
    turn();
    assert_int_equal(last.verdict, WEIR_NEXT);
}

static void tokens_that_nobody_gave(void **state)
{
    (void)state;
    static const weir_token bad[] = { { 0, 0 }, { 1, 1 }, { UINT64_MAX, UINT64_MAX }, { (uint64_t)1 << 32, 99 },
                                      { (uint64_t)1 << 32 | 99999, 1 }, { (uint64_t)200 << 32, 1 },
                                      { (uint64_t)257 << 32, 1 } };
    suspension_create(&toy.r, 60000, WEIR_FAIL);
    for (size_t i = 0; i < COUNT(bad); i++)
        suspension_resume(bad[i], WEIR_NEXT);
    turn();
    assert_int_equal(last.count, 0);
    suspension_cancel(toy.r.suspension);
    toy.r.suspension = NULL;
}

static void many_at_once(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    struct weir_req *requests = calloc(MANY, sizeof(*requests));
    weir_token *tokens = calloc(MANY, sizeof(*tokens));
    for (int round = 0; round < 3; round++) {
        last.count = 0;
        for (int i = 0; i < MANY; i++)
            tokens[i] = suspension_create(&requests[i], 60000, WEIR_FAIL);
        assert_int_equal(suspensions_waiting(pipeline_worker_self()->suspensions), MANY);
        for (int i = MANY - 1; i >= 0; i--)
            suspension_resume(tokens[i], WEIR_NEXT);
        turn();
        assert_int_equal(last.count, MANY);
    }
    free(requests);
    free(tokens);
}

static void without_memory(void **state)
{
    (void)state;
    weir_token token = { 1, 1 };
    struct weir_req requests[2000] = { 0 };
    unsigned made = 0;
    mem_fail_after(0);
    for (; token.id && made < 2000; made++)
        token = suspension_create(&requests[made], 60000, WEIR_FAIL);
    mem_fail_after(-1);
    assert_true(token.id == 0 && token.generation == 0);
    for (unsigned i = 0; i < made; i++)
        if (requests[i].suspension)
            suspension_cancel(requests[i].suspension);
}

/* -- resumes from other threads ------------------------------------------------------------------------------------ */

enum { RACERS = 3, RACES = 300 };
static _Atomic uint64_t race_id, race_generation;
static atomic_bool race_over;

static void *racer(void *arg)
{
    while (!race_over)
        suspension_resume((weir_token){ race_id, race_generation }, WEIR_NEXT);
    return arg;
}

static void threads_race_for_one_resume(void **state)
{
    (void)state;
    pthread_t threads[RACERS];
    race_id = race_generation = 0;
    race_over = false;
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, racer, NULL), 0);
    for (unsigned i = 0; i < RACES; i++) {
        weir_token token = suspension_create(&toy.r, 60000, WEIR_FAIL);
        race_id = token.id;
        race_generation = token.generation;
        if (i % 3 == 0) { /* and against the owner */
            suspension_cancel(toy.r.suspension);
            toy.r.suspension = NULL;
            last.count++;
            continue;
        }
        TURN_UNTIL(last.count == i + 1);
    }
    race_over = true;
    for (int i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    turn();
    assert_int_equal(last.count, RACES);
}

/* A worker that goes away while others resume what it once waited for. */
static weir_token theirs;
static struct weir_req their_request;
static void other_up(struct worker *worker, void *arg)
{
    (void)arg;
    pipeline_worker_up(worker, worker_index(worker));
    weir_token token = suspension_create(&their_request, 60000, WEIR_FAIL);
    theirs = token;
    race_id = token.id;
    race_generation = token.generation;
}
static void other_down(struct worker *worker, void *arg)
{
    (void)worker, (void)arg;
    if (their_request.suspension)
        suspension_cancel(their_request.suspension);
    their_request.suspension = NULL;
    pipeline_worker_down(pipeline_worker_self());
}

static void resumes_that_outlive_the_worker(void **state)
{
    (void)state;
    pthread_t thread;
    race_over = false;
    race_id = 0;
    assert_int_equal(pthread_create(&thread, NULL, racer, NULL), 0);
    for (int i = 0; i < 50; i++) {
        their_request = (struct weir_req){ 0 };
        struct worker *other = worker_create(1);
        assert_int_equal(worker_start(other, other_up, other_down, NULL), 0);
        worker_stop(other);
        worker_join(other);
        worker_destroy(other);
        suspension_resume(theirs, WEIR_NEXT);
    }
    race_over = true;
    pthread_join(thread, NULL);
}

/* -- timers -------------------------------------------------------------------------------------------------------- */

static unsigned fired;
static const weir_mod *fired_as;
static void on_fire(weir_req *r, void *arg)
{
    fired += (unsigned)(uintptr_t)arg;
    fired_as = r->calling ? r->calling->mod : NULL;
}

static void request_timers(void **state)
{
    (void)state;
    weir_mod mod = toy_mod("t", 3, NULL, 0);
    struct step step = { .mod = &mod };
    fired = 0;
    toy.r.calling = &step;
    weir_timer *first = timer_start(&toy.r, 1, on_fire, (void *)1);
    weir_timer *second = timer_start(&toy.r, 1, on_fire, (void *)10);
    toy.r.calling = NULL;
    timer_cancel(second);
    timer_cancel(NULL);
    TURN_UNTIL(fired);
    assert_int_equal(fired, 1);
    assert_ptr_equal(fired_as, &mod); /* it counts and fails as the module that set it */
    assert_null(toy.r.calling);
    assert_int_equal(pipeline_worker_self()->crumb->module, 0);
    timer_cancel(first); /* run out: fine */

    timer_start(&toy.r, 1, on_fire, (void *)100);
    toy_free(&toy); /* the request ends first */
    toy.arena = NULL;
    struct deadline later;
    deadline_init(&later, toy_end_patience);
    toy_patience_ended = false;
    deadline_set(&later, 60);
    while (!toy_patience_ended)
        worker_turn(worker_self(), true);
    assert_int_equal(fired, 1);
}

static void no_timers_for_the_dry_and_the_dead(void **state)
{
    (void)state;
    toy.r.is_dry = true;
    assert_null(timer_start(&toy.r, 1, on_fire, NULL));
    toy.r.is_dry = false;
    toy.r.ending = true;
    assert_null(timer_start(&toy.r, 1, on_fire, NULL));
}

static unsigned ticks;
static weir_timer *ticking;
static void on_tick(weir_mod *mod, void *arg)
{
    (void)mod, (void)arg;
    if (++ticks == 3)
        timer_cancel(ticking); /* within its own call */
}

static void thread_timers_repeat_until_cancelled(void **state)
{
    (void)state;
    weir_mod mod = toy_mod("t", 3, NULL, 0);
    ticks = 0;
    ticking = timer_start_thread(&mod, 1, on_tick, NULL);
    assert_non_null(ticking);
    assert_non_null(timer_start_thread(&mod, 3600000, on_tick, NULL)); /* goes with the worker */
    TURN_UNTIL(ticks == 3);
    struct deadline later;
    deadline_init(&later, toy_end_patience);
    toy_patience_ended = false;
    deadline_set(&later, 60);
    while (!toy_patience_ended)
        worker_turn(worker_self(), true);
    assert_int_equal(ticks, 3);
}

/* -- jobs ---------------------------------------------------------------------------------------------------------- */

struct errand {
    _Atomic unsigned worked, done, dropped;
    pthread_t worker_thread, done_thread;
};
static void errand_work(void *arg)
{
    struct errand *errand = arg;
    errand->worker_thread = pthread_self();
    errand->worked++;
}
static void errand_done(weir_req *r, void *arg)
{
    struct errand *errand = arg;
    assert_ptr_equal(r, &toy.r);
    assert_int_equal(errand->worked, 1);
    assert_int_equal(errand->dropped, 0);
    errand->done_thread = pthread_self();
    errand->done++;
}
static void errand_drop(void *arg)
{
    ((struct errand *)arg)->dropped++;
}
static const struct weir_job_calls errand_calls = { errand_work, errand_done, errand_drop };

static void jobs_come_back_to_the_living(void **state)
{
    (void)state;
    struct errand errand = { 0 };
    assert_int_equal(request_job(&toy.r, &errand_calls, &errand), -1); /* no pool yet: nothing is called */
    assert_int_equal(errand.dropped, 0);
    assert_true(job_pool_start(2));
    assert_int_equal(request_job(&toy.r, &errand_calls, &errand), 0);
    TURN_UNTIL(errand.dropped == 1);
    assert_int_equal(errand.done, 1);
    assert_false(pthread_equal(errand.worker_thread, pthread_self()));
    assert_true(pthread_equal(errand.done_thread, pthread_self()));

    struct errand orphan = { 0 };
    assert_int_equal(request_job(&toy.r, &errand_calls, &orphan), 0);
    toy_free(&toy); /* whatever the job is doing just now */
    toy.arena = NULL;
    TURN_UNTIL(orphan.dropped == 1);
    assert_int_equal(orphan.worked, 1);
    assert_int_equal(orphan.done, 0);
    job_pool_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        suspending(resumed_from_the_mailbox),
        suspending(connections_too),
        suspending(verdicts_that_make_no_sense_are_failures),
        suspending(the_timeout_speaks_for_the_silent),
        suspending(the_first_resume_counts),
        suspending(cancelled),
        suspending(a_second_suspension_replaces_the_first),
        suspending(tokens_that_nobody_gave),
        suspending(many_at_once),
        suspending(without_memory),
        suspending(threads_race_for_one_resume),
        suspending(resumes_that_outlive_the_worker),
        suspending(request_timers),
        suspending(no_timers_for_the_dry_and_the_dead),
        suspending(thread_timers_repeat_until_cancelled),
        suspending(jobs_come_back_to_the_living),
    };
    return cmocka_run_group_tests_name("suspension", tests, NULL, NULL);
}
