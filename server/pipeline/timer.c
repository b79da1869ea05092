/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/timer.h"

#include "base/mem.h"
#include "pipeline/crumb.h"

#include <weir/event.h>

struct weir_timer {
    struct deadline deadline;
    struct weir_req *r;       /* NULL: a thread's timer */
    struct step step;         /* whose: for the figures and the crumb of its callback */
    void (*on_request)(struct weir_req *, void *);
    weir_mod *mod;
    void (*on_thread)(weir_mod *, void *);
    void *arg;
    uint64_t ms;
    struct list link;         /* among its thread's */
    bool running, cancelled;
};

/* -- of a request -------------------------------------------------------------------------------------------------- */

struct step request_caller(const struct weir_req *r)
{
    return r->calling ? *r->calling : (struct step){ 0 }; /* a copy: a variable's getter has its step on the stack */
}

void request_call_as(struct weir_req *r, const struct step *step, void (*fn)(struct weir_req *, void *), void *arg)
{
    struct pipeline_worker *pw = pipeline_worker_self();
    const struct step *outer = r->calling;
    struct crumb_mark mark = crumb_mark(pw);
    r->calling = step->mod ? step : NULL;
    if (step->mod)
        crumb_enter(pw, step->mod, r->stage, r);
    fn(r, arg);
    crumb_return(pw, mark);
    r->calling = outer;
}

static void on_request_due(struct deadline *deadline)
{
    struct weir_timer *timer = list_entry(deadline, struct weir_timer, deadline);
    if (!timer->r->ending)
        request_call_as(timer->r, &timer->step, timer->on_request, timer->arg);
}

static void cancel_deadline(void *arg)
{
    deadline_cancel(arg);
}

weir_timer *timer_start(struct weir_req *r, uint64_t ms, void (*fn)(weir_req *, void *), void *arg)
{
    if (r->is_dry || r->ending)
        return NULL;
    struct weir_timer *timer = arena_new(r->arena, struct weir_timer);
    if (!timer)
        return NULL;
    deadline_init(&timer->deadline, on_request_due);
    if (!arena_on_reset(r->arena, cancel_deadline, &timer->deadline))
        return NULL;
    timer->r = r;
    timer->step = request_caller(r);
    timer->on_request = fn;
    timer->arg = arg;
    deadline_set(&timer->deadline, ms);
    return timer;
}

/* -- of a worker --------------------------------------------------------------------------------------------------- */

static _Thread_local struct list thread_timers;

static void free_thread_timer(struct weir_timer *timer)
{
    deadline_cancel(&timer->deadline);
    list_remove(&timer->link);
    mem_free(timer);
}

static void on_thread_due(struct deadline *deadline)
{
    struct weir_timer *timer = list_entry(deadline, struct weir_timer, deadline);
    struct pipeline_worker *pw = pipeline_worker_self();
    deadline_set(&timer->deadline, timer->ms);
    timer->running = true;
    if (pw)
        crumb_enter(pw, timer->mod, STAGE_NONE, NULL);
    if (!timer->mod->quarantine)
        timer->on_thread(timer->mod, timer->arg);
    if (pw)
        crumb_leave(pw);
    timer->running = false;
    if (timer->cancelled)
        free_thread_timer(timer);
}

weir_timer *timer_start_thread(weir_mod *mod, uint64_t ms, void (*fn)(weir_mod *, void *), void *arg)
{
    if (!worker_self())
        return NULL;
    struct weir_timer *timer = mem_zalloc(sizeof(*timer));
    if (!timer)
        return NULL;
    if (!thread_timers.next)
        list_init(&thread_timers);
    list_push(&thread_timers, &timer->link);
    timer->mod = mod;
    timer->on_thread = fn;
    timer->arg = arg;
    timer->ms = ms ? ms : 1;
    deadline_init(&timer->deadline, on_thread_due);
    deadline_set(&timer->deadline, timer->ms);
    return timer;
}

void timer_cancel(weir_timer *timer)
{
    if (!timer)
        return;
    deadline_cancel(&timer->deadline);
    if (timer->r)
        return; /* its memory goes with the request */
    if (timer->running)
        timer->cancelled = true;
    else
        free_thread_timer(timer);
}

void timers_worker_down(void)
{
    if (!thread_timers.next)
        return;
    list_each(link, &thread_timers)
        free_thread_timer(list_entry(link, struct weir_timer, link));
}

/* -- jobs ---------------------------------------------------------------------------------------------------------- */

struct job_tie;

struct request_job {
    struct job job;
    struct weir_job_calls calls;
    void *arg;
    struct job_tie *tie;     /* NULL: the request has gone */
    const weir_mod *mod;     /* whose; NULL: asked for outside of a hook */
};

/* Lies in the request's arena. Job and request end on one thread, so each can tell the other without a lock. */
struct job_tie {
    struct weir_req *r;
    struct step step;
    struct request_job *job; /* NULL: its end was delivered */
};

static void on_request_gone(void *arg)
{
    struct job_tie *tie = arg;
    if (tie->job)
        tie->job->tie = NULL;
}

static void job_work(struct job *job)
{
    struct request_job *mine = list_entry(job, struct request_job, job);
    if (mine->mod)
        crumb_enter_job(mine->mod);
    mine->calls.work(mine->arg);
    if (mine->mod)
        crumb_leave_job();
}

static void job_done(struct job *job)
{
    struct request_job *mine = list_entry(job, struct request_job, job);
    struct job_tie *tie = mine->tie;
    if (tie)
        tie->job = NULL;
    if (tie && !tie->r->ending && mine->calls.done)
        request_call_as(tie->r, &tie->step, mine->calls.done, mine->arg);
    if (mine->calls.drop)
        mine->calls.drop(mine->arg);
    mem_free(mine);
}

int request_job(struct weir_req *r, const struct weir_job_calls *calls, void *arg)
{
    if (r->is_dry || r->ending || !calls->work || !worker_self())
        return -1;
    struct request_job *job = mem_zalloc(sizeof(*job));
    struct job_tie *tie = arena_new(r->arena, struct job_tie);
    if (!job || !tie || !arena_on_reset(r->arena, on_request_gone, tie))
        goto failed;
    *job = (struct request_job){
        .job = { .work = job_work, .done = job_done }, .calls = *calls, .arg = arg, .tie = tie };
    *tie = (struct job_tie){ .r = r, .step = request_caller(r), .job = job };
    job->mod = tie->step.mod;
    if (job_submit(&job->job))
        return 0;
    tie->job = NULL;
failed:
    mem_free(job);
    return -1;
}

/* -- jobs of a module ---------------------------------------------------------------------------------------------- */

struct mod_job {
    struct job job;
    struct weir_mod_job_calls calls;
    weir_mod *mod;
    void *arg;
};

static void mod_job_work(struct job *job)
{
    struct mod_job *mine = list_entry(job, struct mod_job, job);

    crumb_enter_job(mine->mod);
    mine->calls.work(mine->arg);
    crumb_leave_job();
}

static void mod_job_done(struct job *job)
{
    struct mod_job *mine = list_entry(job, struct mod_job, job);
    struct pipeline_worker *pw = pipeline_worker_self();

    if (pw)
        crumb_enter(pw, mine->mod, STAGE_NONE, NULL);
    if (mine->calls.done)
        mine->calls.done(mine->mod, mine->arg);
    if (mine->calls.drop)
        mine->calls.drop(mine->arg);
    if (pw)
        crumb_leave(pw);
    mem_free(mine);
}

int module_job(weir_mod *mod, const struct weir_mod_job_calls *calls, void *arg)
{
    struct mod_job *job;

    if (!calls->work || !worker_self() || !(job = mem_zalloc(sizeof(*job))))
        return -1;
    *job = (struct mod_job){ .job = { .work = mod_job_work, .done = mod_job_done }, .calls = *calls, .mod = mod,
                             .arg = arg };
    if (job_submit(&job->job))
        return 0;
    mem_free(job);
    return -1;
}
