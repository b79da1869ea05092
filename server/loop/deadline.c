/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/deadline.h"
#include "loop/worker_state.h"

#include <assert.h>

/* Only ever moved earlier: a timer that fires for a deadline cancelled since costs less than moving it each time. */
static void arm(struct worker *worker, uint64_t when)
{
    if (worker->is_firing || when == 0 || (worker->armed_for && worker->armed_for <= when))
        return;
    uint64_t now = clock_ms();
    uint64_t wait = when > now ? when - now : 1;
    struct timeval tv = { .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000 * 1000) };
    if (event_add(worker->timer, &tv) == 0) /* fails without memory alone: the next set or fire tries again */
        worker->armed_for = when;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    (void)fd;
    (void)what;
    worker_tick(worker);
    worker->armed_for = 0;
    worker->is_firing = true;
    wheel_advance(&worker->wheel, clock_ms());
    worker->is_firing = false;
    arm(worker, wheel_next(&worker->wheel));
}

void deadlines_start(struct worker *worker)
{
    wheel_init(&worker->wheel, clock_us_now() / 1000);
    event_assign(worker->timer, worker->base, -1, 0, on_timer, worker);
}

void deadline_init(struct deadline *deadline, void (*on_due)(struct deadline *))
{
    list_init(&deadline->link);
    deadline->at = deadline->queued = 0;
    deadline->on_due = on_due;
}

uint64_t deadline_time(uint64_t ms_from_now)
{
    uint64_t now = clock_ms();
    uint64_t at = ms_from_now < UINT64_MAX - now ? now + ms_from_now : UINT64_MAX;
    return at ? at : 1; /* 0 says "not set" */
}

void deadline_queue(struct deadline *deadline)
{
    assert(deadline->at);
    struct worker *worker = worker_self();
    assert(worker);
    arm(worker, wheel_put(&worker->wheel, deadline, clock_ms()));
}

void deadline_set(struct deadline *deadline, uint64_t ms_from_now)
{
    deadline_set_at(deadline, deadline_time(ms_from_now));
}

void deadline_cancel(struct deadline *deadline)
{
    if (deadline->at == 0)
        return; /* perhaps never initialised, only zeroed */
    list_remove(&deadline->link);
    deadline->at = 0;
}
