/* SPDX-License-Identifier: BSD-2-Clause */
/* harness-event.c: a clock that the test moves, and what waits for it: suspensions, timers, jobs. */
#include "harness.h"

#include <stdlib.h>

struct weir_timer {
    struct weir_timer *next;
    weir_req *r; /* NULL: of the thread, fires again */
    void (*req_fn)(weir_req *, void *);
    void (*mod_fn)(weir_mod *, void *);
    void *arg;
    uint64_t at, every;
    bool is_dead;
};

struct job {
    struct job *next;
    weir_req *r;   /* NULL: it has ended meanwhile */
    weir_mod *mod; /* of a module's job, which has no request */
    struct weir_job_calls calls;
    void (*mod_done)(weir_mod *mod, void *arg);
    void *arg;
};

uint64_t event_api_now(uint32_t which)
{
    uint64_t now = harness_current->now;

    return which == WEIR_NOW_MS ? now : 1767225600000u + now; /* 2026-01-01 */
}

/* -- suspension ---------------------------------------------------------------------------------------------------- */

static weir_token wait_begin(struct harness *h, struct waiting *waiting, uint64_t ms, weir_verdict on_timeout)
{
    if (ms == 0 || ms > 3600000)
        harness_die("a suspension of %llu ms", (unsigned long long)ms);
    uint64_t id = ++h->generation;
    *waiting = (struct waiting){ id, id, h->now + ms, on_timeout, WEIR_SUSPEND, true, false };
    return (weir_token){ id, id };
}

weir_token event_api_suspend(weir_req *r, uint64_t ms, weir_verdict on_timeout)
{
    if (r->is_dry)
        harness_die("suspended in a dry run");
    return wait_begin(r->h, &r->waiting, ms, on_timeout);
}

weir_token event_api_conn_suspend(weir_conn *c, uint64_t ms, weir_verdict on_timeout)
{
    return wait_begin(c->h, &c->waiting, ms, on_timeout);
}

static void wait_end(struct waiting *waiting, weir_token token, weir_verdict verdict)
{
    if (!waiting->is_waiting || waiting->is_resumed || token.id == 0 || waiting->id != token.id)
        return;
    waiting->is_resumed = true;
    waiting->verdict = verdict;
}

void event_api_resume(weir_token token, weir_verdict verdict)
{
    for (weir_req *r = harness_current->requests; r; r = r->next)
        wait_end(&r->waiting, token, verdict);
    for (weir_conn *c = harness_current->connections; c; c = c->next)
        wait_end(&c->waiting, token, verdict);
}

weir_verdict harness_settle(weir_req *r)
{
    if (!r->waiting.is_waiting)
        harness_die("harness_settle of a request that does not wait");
    if (!r->waiting.is_resumed)
        return WEIR_SUSPEND;
    r->waiting.is_waiting = false;
    return r->waiting.verdict;
}

/* -- timers -------------------------------------------------------------------------------------------------------- */

static weir_timer *timer_make(struct harness *h, uint64_t ms)
{
    weir_timer *timer = fails_now(h) ? NULL : pieces_alloc(&h->memory, sizeof(*timer));

    if (timer) {
        timer->at = h->now + ms;
        timer->next = h->timers;
        h->timers = timer;
    }
    return timer;
}

weir_timer *event_api_timer(weir_req *r, uint64_t ms, void (*fn)(weir_req *, void *), void *arg)
{
    weir_timer *timer = timer_make(r->h, ms);

    if (timer) {
        timer->r = r;
        timer->req_fn = fn;
        timer->arg = arg;
    }
    return timer;
}

weir_timer *event_api_thread_timer(weir_mod *mod, uint64_t ms, void (*fn)(weir_mod *, void *), void *arg)
{
    weir_timer *timer = timer_make(mod->h, ms);

    if (timer) {
        timer->mod_fn = fn;
        timer->arg = arg;
        timer->every = ms ? ms : 1;
    }
    return timer;
}

void event_api_timer_cancel(weir_timer *timer)
{
    timer->is_dead = true;
}

static void timer_fire(struct harness *h, weir_timer *timer)
{
    timer->at += timer->every;
    if (timer->every) {
        timer->mod_fn(&h->mod, timer->arg);
    } else {
        timer->is_dead = true;
        timer->req_fn(timer->r, timer->arg);
    }
}

/* In the order of their times, the clock standing at each one's time. */
void harness_advance(struct harness *h, uint64_t ms)
{
    uint64_t until = h->now + ms;

    for (;;) {
        weir_timer *first = NULL;
        for (weir_timer *timer = h->timers; timer; timer = timer->next)
            if (!timer->is_dead && timer->at <= until && (!first || timer->at < first->at))
                first = timer;
        if (!first)
            break;
        h->now = first->at > h->now ? first->at : h->now;
        timer_fire(h, first);
    }
    h->now = until;
    for (weir_req *r = h->requests; r; r = r->next)
        if (r->waiting.deadline <= h->now)
            wait_end(&r->waiting, (weir_token){ r->waiting.id, r->waiting.generation }, r->waiting.on_timeout);
    for (weir_conn *c = h->connections; c; c = c->next)
        if (c->waiting.deadline <= h->now)
            wait_end(&c->waiting, (weir_token){ c->waiting.id, c->waiting.generation }, c->waiting.on_timeout);
}

/* -- jobs ---------------------------------------------------------------------------------------------------------- */

static int job_queue(struct harness *h, struct job what)
{
    struct job **at = &h->jobs;

    if (fails_now(h))
        return -1;
    struct job *job = pieces_alloc(&h->memory, sizeof(*job));
    *job = what;
    while (*at)
        at = &(*at)->next;
    *at = job;
    return 0;
}

int event_api_job(weir_req *r, const struct weir_job_calls *calls, void *arg)
{
    return job_queue(r->h, (struct job){ .r = r, .calls = *calls, .arg = arg });
}

int event_api_mod_job(weir_mod *mod, const struct weir_mod_job_calls *calls, void *arg)
{
    return job_queue(mod->h, (struct job){ .mod = mod, .calls = { .work = calls->work, .drop = calls->drop },
                                           .mod_done = calls->done, .arg = arg });
}

size_t harness_run_jobs(struct harness *h)
{
    size_t count = 0;

    for (; h->jobs; count++) {
        struct job *job = h->jobs;
        h->jobs = job->next;
        job->calls.work(job->arg);
        if (job->r && job->calls.done)
            job->calls.done(job->r, job->arg);
        if (job->mod_done)
            job->mod_done(job->mod, job->arg);
        if (job->calls.drop)
            job->calls.drop(job->arg);
    }
    return count;
}

void events_forget(struct harness *h, weir_req *r)
{
    for (weir_timer *timer = h->timers; timer; timer = timer->next)
        if (!r || timer->r == r)
            timer->is_dead = true;
    for (struct job *job = h->jobs; job; job = job->next)
        if (r && job->r == r)
            job->r = NULL;
    if (!r)
        harness_run_jobs(h);
}
