/* SPDX-License-Identifier: BSD-2-Clause */
/* Which server gets the request: those that may be asked, the balancer's choice among them, waiting for room, and
 * whether a failure may be tried elsewhere. */
#include "upstream/exchange.h"
#include "upstream/server_figures.h"
#include "upstream/version.h"

#include "base/clock.h"

enum {
    QUEUE_MOST = 1024, /* requests that wait, per worker and upstream */
    LOOK_MS = 10,      /* how often a worker looks for places that became free on others */
    RETRY_AFTER_S = 5, /* said when it is not known when a server returns */
};

struct choice {
    uint32_t usable;
    bool full; /* a server would be usable if it had room */
};

/* RFC 9110 9.2.2: repeating these has the same effect as doing them once. */
static bool is_idempotent(str method)
{
    static const str methods[] = { { "GET", 3 }, { "HEAD", 4 }, { "OPTIONS", 7 }, { "PUT", 3 },
                                   { "DELETE", 6 } };

    for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (str_equal(method, methods[i]))
            return true;
    return false;
}

bool exchange_is_repeatable(const struct exchange *x)
{
    return x->body_taken == 0 && (is_idempotent(x->r->method) || !x->wrote_bytes);
}

static bool was_tried(const struct exchange *x, uint32_t i)
{
    return x->tried[i / 8] >> (i % 8) & 1;
}

/* -- what may be picked -------------------------------------------------------------------------------------------- */

static void view_server(struct exchange *x, uint32_t i, struct choice *choice)
{
    const struct weir_upstream *u = x->upstream;
    const struct server *server = &u->servers[i];
    struct weir_server *view = &x->local->views[i];

    view->flags = server->backup ? WEIR_SERVER_BACKUP : 0;
    view->active_all = atomic_load_explicit(&server->state->active, memory_order_relaxed);
    if (u->has_slow_start)
        view->weight = server->weight * server_state_percent(server->state, &server->rules);
    if (server->down || (server->draining && x->sticks_to != (int32_t)i) || was_tried(x, i))
        return;
    enum server_word word = server_state_word(server->state, &server->rules);
    if (word == SERVER_FULL)
        choice->full = true;
    if (word != SERVER_IN && word != SERVER_TRIAL)
        return;
    view->flags |= WEIR_SERVER_USABLE;
    choice->usable++;
}

/* Backups count only when no ordinary server is left. */
static struct choice mark_usable(struct exchange *x)
{
    const struct weir_upstream *u = x->upstream;
    struct choice ordinary = { 0 }, backup = { 0 };

    for (uint32_t i = 0; i < u->server_count; i++)
        view_server(x, i, u->servers[i].backup ? &backup : &ordinary);
    if (!ordinary.usable && !ordinary.full)
        return backup;
    for (uint32_t i = 0; backup.usable && i < u->server_count; i++)
        if (u->servers[i].backup)
            x->local->views[i].flags &= ~WEIR_SERVER_USABLE;
    return ordinary;
}

/* False: it became full, or another request has its trial. */
static bool take_place(struct exchange *x, uint32_t i, bool trial, bool early)
{
    const struct server *server = &x->upstream->servers[i];

    if (trial && !server_state_try(server->state, early))
        return false;
    if (!server_state_enter(server->state, &server->rules)) {
        if (trial)
            server_state_untry(server->state);
        return false;
    }
    x->on_trial = trial;
    x->server = (int32_t)i;
    x->tried[i / 8] |= (uint8_t)(1 << (i % 8));
    x->attempts++;
    x->counted = true;
    x->local->views[i].active++;
    return true;
}

static bool pick(struct exchange *x, struct choice *choice)
{
    struct upstream_local *local = x->local;
    const struct weir_upstream *u = x->upstream;
    weir_table servers = { local->views, local->server_count, sizeof(struct weir_server) };

    for (*choice = mark_usable(x); choice->usable; choice->usable--) {
        int32_t i = x->sticks_to;
        if (i < 0 || !(local->views[i].flags & WEIR_SERVER_USABLE))
            i = u->balancer->pick(local->balancer_state, u->balancer_conf, x->r, &servers);
        if (i < 0 || (uint32_t)i >= local->server_count || !(local->views[i].flags & WEIR_SERVER_USABLE))
            return false;
        enum server_word word = server_state_word(u->servers[i].state, &u->servers[i].rules);
        if ((word == SERVER_IN || word == SERVER_TRIAL) && take_place(x, (uint32_t)i, word == SERVER_TRIAL, false))
            return true;
        choice->full |= word == SERVER_IN || word == SERVER_FULL;
        local->views[i].flags &= ~WEIR_SERVER_USABLE;
    }
    return false;
}

/* All are out for their failures: the one that was tried longest ago is asked before its time, by one request at a
 * time and one a second. So a site whose only server was restarted is back soon, and a dead one is not hammered. */
static bool pick_early(struct exchange *x)
{
    const struct weir_upstream *u = x->upstream;
    const struct server *first = NULL;

    for (uint32_t i = 0; i < u->server_count; i++) {
        const struct server *server = &u->servers[i];
        if (server->down || server->draining || was_tried(x, i) ||
            server_state_word(server->state, &server->rules) != SERVER_OUT)
            continue;
        if (!first || atomic_load(&server->state->trial_at) < atomic_load(&first->state->trial_at))
            first = server;
    }
    return first && take_place(x, (uint32_t)(first - u->servers), true, true);
}

/* -- nobody left --------------------------------------------------------------------------------------------------- */

static uint64_t seconds_until_one_returns(const struct weir_upstream *u)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < u->server_count; i++) {
        const struct server *server = &u->servers[i];
        if (server->down || server->draining ||
            server_state_word(server->state, &server->rules) == SERVER_CHECKED_DOWN)
            continue;
        uint64_t ms = server_state_returns(server->state);
        least = ms < least ? ms : least;
    }
    return least == UINT64_MAX ? RETRY_AFTER_S : least / 1000 + 1;
}

static void refuse(struct exchange *x, unsigned figure, const char *why)
{
    struct weir_req *r = x->r;
    char digits[24];
    struct out out = { .p = digits, .room = sizeof(digits) };

    tally_add(x->upstream->tally, figure, 1);
    x->phase = EXCHANGE_OVER;
    r->upstream_us = clock_us() - x->started_us;
    if (x->attempts) {
        request_origin_failed(r, x->failed_status, x->failed_why);
        return;
    }
    out_u64(&out, seconds_until_one_returns(x->upstream));
    str seconds = arena_str(r->arena, (str){ digits, out.n });
    if (seconds.p)
        fields_set_id(&r->rsp, FIELD_RETRY_AFTER, seconds);
    request_origin_failed(r, 503, why);
}

/* -- waiting for room ---------------------------------------------------------------------------------------------- */

static void enter_queue(struct exchange *x)
{
    struct upstream_local *local = x->local;

    if (local->queued >= QUEUE_MOST) {
        refuse(x, UPSTREAM_REFUSED_FULL, "all servers are full, and so is the queue");
        return;
    }
    x->phase = EXCHANGE_QUEUED;
    list_push(&local->queue, &x->waiting);
    local->queued++;
    tally_add(x->upstream->tally, UPSTREAM_QUEUED, 1);
    deadline_set(&x->deadline, x->r->plan->core->timeout_connect);
    if (!deadline_is_set(&local->look))
        deadline_set(&local->look, LOOK_MS);
}

void exchange_leave_queue(struct exchange *x)
{
    list_remove(&x->waiting);
    x->local->queued--;
    tally_add(x->upstream->tally, UPSTREAM_QUEUED, -1);
    deadline_cancel(&x->deadline);
    x->phase = EXCHANGE_IDLE;
}

void exchange_queue_due(struct exchange *x)
{
    exchange_leave_queue(x);
    refuse(x, UPSTREAM_REFUSED_FULL, "all servers are full");
}

/* Who came first is served first. One who would still have to wait is put back where it was. */
static void serve_queue(struct upstream_local *local)
{
    struct list *link;

    while ((link = list_first(&local->queue)) != NULL) {
        struct exchange *x = list_entry(link, struct exchange, waiting);
        struct choice choice;
        if (pick(x, &choice)) {
            exchange_leave_queue(x);
            exchange_go(x);
        } else if (choice.full) {
            return;
        } else {
            exchange_leave_queue(x);
            refuse(x, UPSTREAM_REFUSED_NONE, "no server is in service");
        }
    }
}

static void on_wake(struct deferred *wake)
{
    serve_queue(list_entry(wake, struct upstream_local, wake));
}

static void on_look(struct deadline *look)
{
    struct upstream_local *local = list_entry(look, struct upstream_local, look);

    if (list_is_empty(&local->queue))
        return;
    deadline_set(look, LOOK_MS);
    serve_queue(local);
}

void exchange_queue_init(struct upstream_local *local)
{
    list_init(&local->queue);
    deferred_init(&local->wake, on_wake);
    deadline_init(&local->look, on_look);
}

/* -- choosing ------------------------------------------------------------------------------------------------------ */

/* The upstream was changed at run time since this request began: what it tried stays tried, and it goes on with the
 * servers that there are now. False without memory: it stays with the former ones. */
static bool follow_change(struct exchange *x)
{
    struct weir_upstream *former = x->upstream, *now = version_now(former);
    struct upstream_local *local = upstream_local(now);
    uint8_t tried[sizeof(x->tried)] = { 0 };

    if (!local)
        return false;
    for (uint32_t i = 0; i < now->server_count; i++)
        for (uint32_t k = 0; k < former->server_count; k++)
            if (was_tried(x, k) && former->servers[k].state == now->servers[i].state)
                tried[i / 8] |= (uint8_t)(1 << (i % 8));
    memcpy(x->tried, tried, sizeof(tried));
    x->upstream = now;
    x->server = -1;
    exchange_use_local(x, local);
    exchange_find_sticky(x);
    return true;
}

void exchange_queue_move(struct upstream_local *local)
{
    /* without memory they come back to the same queue */
    for (uint32_t left = local->queued; left > 0 && !list_is_empty(&local->queue); left--) {
        struct exchange *x = list_entry(list_first(&local->queue), struct exchange, waiting);
        exchange_leave_queue(x);
        exchange_choose(x);
    }
}

void exchange_choose(struct exchange *x)
{
    struct choice choice;

    if (x->local->leaving)
        follow_change(x);
    if (!list_is_empty(&x->local->queue)) {
        enter_queue(x);
        return;
    }
    if (pick(x, &choice)) {
        exchange_go(x);
        return;
    }
    if (choice.full)
        enter_queue(x);
    else if (!x->attempts && pick_early(x))
        exchange_go(x);
    else
        refuse(x, UPSTREAM_REFUSED_NONE, "no server is in service");
}

bool exchange_may_retry(struct exchange *x, unsigned class)
{
    struct weir_upstream *u = x->upstream;
    const struct retry_rules *rules = &u->retry;

    if (!(rules->on & class) || x->attempts >= rules->attempts || x->interim || x->r->head_sent)
        return false;
    if (!exchange_is_repeatable(x) || mark_usable(x).usable == 0)
        return false;
    return retry_take(u->budget, rules);
}
