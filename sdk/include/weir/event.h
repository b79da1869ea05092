/* SPDX-License-Identifier: BSD-2-Clause */
/* event.h: waiting without holding up a worker: suspension, timers, jobs. Each is bound to its owner and cancelled with
 * it. */
#ifndef WEIR_EVENT_H
#define WEIR_EVENT_H

#include <weir/api.h>

/* Before `return WEIR_SUSPEND`. The timeout (milliseconds, 1 to 1 hour) is mandatory; when it ends first, on_timeout
 * stands for the call. */
static inline weir_token weir_suspend(weir_req *r, uint64_t ms, weir_verdict on_timeout)
{
    return weir_api_->suspend(r, ms, on_timeout);
}

/* Any thread, once; for a request that is gone it does nothing; before the hook has returned it is remembered. The
 * verdict stands for the suspended call, which is not made again; NEXT, SKIP, REPLY, REROUTE, FAIL and CLOSE make
 * sense. */
static inline void weir_resume(weir_token token, weir_verdict verdict) { weir_api_->resume(token, verdict); }

/* fn(r, arg) once, after ms, unless cancelled or the request ends first. NULL without memory. */
static inline weir_timer *weir_timer_start(weir_req *r, uint64_t ms, void (*fn)(weir_req *, void *), void *arg)
{
    return weir_api_->timer(r, ms, fn, arg);
}
/* On a worker (thread_up or a hook): fn(mod, arg) every ms, on this worker, until cancelled or the thread ends. */
static inline weir_timer *weir_thread_timer(weir_mod *mod, uint64_t ms, void (*fn)(weir_mod *, void *), void *arg)
{
    return weir_api_->thread_timer(mod, ms, fn, arg);
}
static inline void weir_timer_cancel(weir_timer *timer) { weir_api_->timer_cancel(timer); }

/* Blocking work: work(arg) on the job pool; then done(r, arg) on the request's worker if the request still lives;
 * drop(arg) at last, in every case, on either thread. arg must own what work touches. 0, or -1: not started (nothing is
 * called). */
struct weir_job_calls {
    void (*work)(void *arg);
    void (*done)(weir_req *r, void *arg);
    void (*drop)(void *arg);
};
static inline int weir_job(weir_req *r, const struct weir_job_calls *calls, void *arg)
{
    return weir_api_->job(r, calls, arg);
}

/* The same for a module, without a request: on a worker (thread_up, a thread timer or a hook). done(mod, arg) on that
 * worker; drop(arg) at last. */
struct weir_mod_job_calls {
    void (*work)(void *arg);
    void (*done)(weir_mod *mod, void *arg);
    void (*drop)(void *arg);
};
static inline int weir_mod_job(weir_mod *mod, const struct weir_mod_job_calls *calls, void *arg)
{
    return weir_api_->mod_job(mod, calls, arg);
}

/* An HTTP request of the hook's own. What it points to is copied. Framing and connection fields are the host's; Host is
 * the server's, unless a field says otherwise. */
struct weir_field {
    weir_str name, value;
};
struct weir_fetch {
    uint32_t size;           /* sizeof(struct weir_fetch) */
    uint32_t flags;          /* WEIR_FETCH_* */
    weir_upstream *upstream; /* a directive's, WEIR_TYPE_UPSTREAM */
    weir_str method;         /* empty: GET */
    weir_str target;         /* path and query; empty: the path of the upstream's URL, or / */
    weir_table fields;       /* of struct weir_field */
    weir_str content;
    uint64_t timeout; /* ms, 1 to an hour: for all of it, the connection too */
    uint64_t limit;   /* bytes of the answer's content; more is a failure; 0: 64 KiB */
};
/* X-Forwarded-For, -Proto, -Host and -Port speak of this request's client, as they would on its way to an origin. */
#define WEIR_FETCH_FOR_CLIENT 1u

struct weir_fetched {
    uint32_t size;
    uint32_t status;   /* 0: no answer */
    const char *why;   /* then: the reason */
    weir_table fields; /* of struct weir_field */
    weir_str content;
};

/* done(r, answer, arg) later, once, unless the request ends first; the answer is valid during the call. Usually the
 * hook suspends itself and done resumes it. 0, or -1: not started (nothing is called). */
static inline int weir_fetch(weir_req *r, const struct weir_fetch *what, weir_fetched_fn done, void *arg)
{
    return weir_api_->fetch(r, what, done, arg);
}
/* The same without a request, on a worker; cancelled when its thread ends: done is not called then. The upstream must
 * be that of weir_thread_conf in the same call. Failures are the module's to tell: the host notes them at level info.
 */
static inline int weir_mod_fetch(weir_mod *mod, const struct weir_fetch *what, weir_mod_fetched_fn done, void *arg)
{
    return weir_api_->mod_fetch(mod, what, done, arg);
}
/* On a worker: the module's top-level configuration that is live there, until the callback returns. NULL: none. */
static inline const void *weir_thread_conf(weir_mod *mod)
{
    return weir_api_->thread_conf(mod);
}

#define WEIR_NOW_MS 0u      /* monotonic, as of this turn of the loop */
#define WEIR_NOW_WALL_MS 1u /* since 1970-01-01 UTC */
static inline uint64_t weir_now(uint32_t which) { return weir_api_->now(which); }

#endif
