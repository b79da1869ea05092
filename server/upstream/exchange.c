/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/exchange.h"
#include "upstream/hop.h"
#include "upstream/server_figures.h"
#include "upstream/version.h"

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/trace.h"

enum { ADDRESS_RETRY_MS = 1000, REFUSALS_MOST = 3 };

static void connect_fresh(struct exchange *x);

static const struct server *server_of(const struct exchange *x)
{
    return &x->upstream->servers[x->server];
}

static struct pool *pool_of(const struct exchange *x)
{
    return x->local->pools[x->server];
}

/* -- ends ---------------------------------------------------------------------------------------------------------- */

void exchange_count_out(struct exchange *x, uint32_t outcome)
{
    struct upstream_local *local = x->local;

    if (!x->counted)
        return;
    x->counted = false;
    local->views[x->server].active--;
    server_state_leave(server_of(x)->state);
    if (x->on_trial)
        server_state_untry(server_of(x)->state);
    x->on_trial = false;
    if (x->upstream->balancer->done)
        x->upstream->balancer->done(local->balancer_state, x->upstream->balancer_conf, (uint32_t)x->server, outcome,
                                    (x->head_us ? x->head_us : clock_us()) - x->attempt_us);
    if (!list_is_empty(&local->queue))
        worker_defer(&local->wake);
}

/* 503 is our own want of memory, or a hook's refusal; 501 what the server was never asked. */
static void note_failure(struct exchange *x, int status, const char *why)
{
    if (x->server < 0 || !x->counted || status == 503 || status == 501)
        return;
    server_count_failure(x, status);
    server_state_failed(server_of(x)->state, &server_of(x)->rules, why);
}

void exchange_let_go(struct exchange *x)
{
    x->leased = false;
    x->carrier->let_go(x);
}

static enum log_level failure_level(const struct exchange *x)
{
    return x->r->is_module_own ? LOG_INFO_ : LOG_WARN_;
}

static void end_badly(struct exchange *x, int status, const char *why)
{
    struct weir_req *r = x->r;

    log_write(failure_level(x), "upstream %.*s %.*s: %s, request %.*s", STR_ARG(x->upstream->name),
              STR_ARG(x->server >= 0 ? server_of(x)->name : S("-")), why, STR_ARG(r->id));
    trace_failed(r, why);
    exchange_let_go(x);
    exchange_count_out(x, status == 504 ? WEIR_OUTCOME_TIMEOUT : WEIR_OUTCOME_BROKEN);
    x->phase = EXCHANGE_OVER;
    r->upstream_us = clock_us() - x->started_us;
    request_origin_failed(r, status, why);
}

void exchange_fail(struct exchange *x, int status, const char *why)
{
    note_failure(x, status, why);
    end_badly(x, status, why);
}

static void leave_server(struct exchange *x, int status, const char *why, uint32_t outcome)
{
    log_write(failure_level(x), "upstream %.*s %.*s: %s", STR_ARG(x->upstream->name), STR_ARG(server_of(x)->name),
              why);
    trace_failed(x->r, why);
    exchange_let_go(x);
    exchange_count_out(x, outcome);
    x->failed_status = status;
    x->failed_why = why;
}

bool exchange_try_elsewhere(struct exchange *x, unsigned class, int status, const char *why)
{
    if (!exchange_may_retry(x, class))
        return false;
    if (class & (RETRY_CONNECT | RETRY_TIMEOUT)) /* statuses are counted as such */
        server_count_failure(x, status);
    server_state_failed(server_of(x)->state, &server_of(x)->rules, why);
    leave_server(x, status, why, class == RETRY_TIMEOUT ? WEIR_OUTCOME_TIMEOUT : WEIR_OUTCOME_BROKEN);
    exchange_choose(x);
    return true;
}

/* No connection: nothing was sent, so any request may go to the next server, unless `retry` says less. */
static void give_up_server(struct exchange *x, int status, const char *why)
{
    bool may = !x->upstream->retry.is_set || exchange_may_retry(x, status == 504 ? RETRY_TIMEOUT : RETRY_CONNECT);

    note_failure(x, status == 504 ? 504 : 502, why);
    if (!may) {
        end_badly(x, status, why);
        return;
    }
    leave_server(x, status, why, WEIR_OUTCOME_CONNECT);
    exchange_choose(x);
}

void exchange_complete(struct exchange *x, bool reusable)
{
    x->leased = false;
    x->phase = EXCHANGE_OVER;
    x->r->upstream_us = clock_us() - x->started_us;
    exchange_count_out(x, WEIR_OUTCOME_OK);
    x->carrier->give_back(x, reusable);
}

/* RFC 9112 9.3.1: a kept connection may be closed by the origin just as we use it; that is no failure of the server. */
void exchange_conn_broken(struct exchange *x, const char *why)
{
    if (x->reused && !x->renewed && !x->got_bytes && exchange_is_repeatable(x) && x->phase == EXCHANGE_HEAD) {
        x->renewed = true;
        exchange_let_go(x);
        connect_fresh(x);
        return;
    }
    if (x->phase != EXCHANGE_HEAD || x->got_bytes || !exchange_try_elsewhere(x, RETRY_CONNECT, 502, why))
        exchange_fail(x, 502, why);
}

void exchange_reset(struct exchange *x, const char *why)
{
    if (x->phase != EXCHANGE_HEAD || x->got_bytes || !exchange_try_elsewhere(x, RETRY_CONNECT, 502, why))
        exchange_fail(x, 502, why);
}

/* RFC 9113 8.7. */
void exchange_refused(struct exchange *x)
{
    x->wrote_bytes = false;
    if (x->body_taken == 0 && x->refusals++ < REFUSALS_MOST)
        exchange_connect_again(x);
    else
        exchange_reset(x, "streams refused by the server");
}

/* -- a connection -------------------------------------------------------------------------------------------------- */

static void note_connection(const struct exchange *x, bool made)
{
    uint64_t *row = tally_here(server_of(x)->state->tally), now = clock_us();

    if (!row)
        return;
    cell_add(&row[made ? SERVER_CONNECTED : SERVER_REUSED], 1);
    if (made)
        latency_add(&row[SERVER_CONNECT_TIME], now > x->connect_us ? now - x->connect_us : 0);
}

void exchange_begin(struct exchange *x, bool reused, bool made)
{
    x->leased = true;
    x->phase = EXCHANGE_HEAD;
    x->reused = reused;
    note_connection(x, made);
    trace_sent(x->r, reused);
    x->got_bytes = x->wrote_bytes = x->write_failed = x->body_done = false;
    x->carrier->set_due(x, x->r->plan->core->timeout_response);
    if (!exchange_put_head(x)) {
        if (x->phase == EXCHANGE_HEAD)
            exchange_fail(x, 503, "head could not be made");
        return;
    }
    x->carrier->send(x);
}

static void resolve(struct exchange *x);

static void on_resolved(struct resolver_query *query, const struct resolved *result)
{
    struct pool *pool = list_entry(query, struct pool, query);

    pool->asking = false;
    pool->addresses_until = clock_ms() + (result->count ? result->ttl * 1000ULL : ADDRESS_RETRY_MS);
    if (result->count)
        pool_use_addresses(pool, result);
    else
        pool->addresses.why = result->why;
    for (struct list *link = list_first(&pool->waiting); link; link = list_first(&pool->waiting)) {
        list_remove(link);
        exchange_resolved(list_entry(link, struct exchange, waiting));
    }
}

static void ask(struct exchange *x, struct pool *pool)
{
    if (pool->asking)
        return;
    pool->asking = resolver_ask(&pool->query, server_of(x)->host.p, server_of(x)->port, on_resolved);
}

static void connect_to_name(struct exchange *x);

static void note_target(struct exchange *x, bool worked)
{
    struct pool *pool = pool_of(x);

    if (x->target < 0 || (unsigned)x->target >= pool->addresses.count)
        return;
    if (worked)
        service_worked(&pool->service, x->target);
    else
        service_failed(&pool->service, x->target, server_of(x)->rules.fail_timeout);
}

/* A name's other addresses are tried before the server counts as failed. */
void exchange_connect_failed(struct exchange *x, const char *why)
{
    note_target(x, false);
    if (server_of(x)->host.n && x->addresses_tried < pool_of(x)->addresses.count) {
        exchange_let_go(x);
        connect_to_name(x);
        return;
    }
    give_up_server(x, 502, why);
}

static void connect_to(struct exchange *x, const struct addr *to)
{
    x->phase = EXCHANGE_CONNECTING;
    if (!x->carrier->connect(x, to))
        exchange_connect_failed(x, "connection refused");
}

static struct addr addr_of(const struct sockaddr_storage *storage)
{
    struct addr to = { .n = storage->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in) };

    to.storage = *storage;
    return to;
}

/* In turn, but none twice while there are others. */
static unsigned next_in_turn(struct exchange *x)
{
    struct pool *pool = pool_of(x);
    unsigned count = pool->addresses.count, k = 0;

    for (unsigned i = 0; i < count; i++) {
        k = pool->next_address++ % count;
        if (!(x->targets_tried >> k & 1))
            break;
    }
    x->targets_tried |= 1u << k;
    return k;
}

static int index_of_address(const struct pool *pool, const struct addr *to)
{
    for (unsigned i = 0; i < pool->addresses.count; i++)
        if (memcmp(&pool->addresses.addresses[i], &to->storage, sizeof(to->storage)) == 0)
            return (int)i;
    return -1;
}

void exchange_goes_along(struct exchange *x, const struct addr *wanted, const struct addr *to)
{
    int not = index_of_address(pool_of(x), wanted), but = index_of_address(pool_of(x), to);

    if (not < 0 || but < 0)
        return;
    x->targets_tried &= ~(1u << not);
    x->targets_tried |= 1u << but;
}

/* Which of the name's addresses is next: by priority and weight where it has SRV records, else in turn. */
static struct addr next_address(struct exchange *x)
{
    struct pool *pool = pool_of(x);
    const struct resolved *all = &pool->addresses;

    x->addresses_tried++;
    x->target = all->is_service ? service_choose(&pool->service, all, x->targets_tried) : -1;
    if (x->target < 0)
        return addr_of(&all->addresses[next_in_turn(x)]);
    x->targets_tried |= 1u << x->target;
    return addr_of(&all->addresses[x->target]);
}

static void connect_to_name(struct exchange *x)
{
    struct addr to = next_address(x);

    connect_to(x, &to);
}

static void resolve(struct exchange *x)
{
    struct pool *pool = pool_of(x);

    x->phase = EXCHANGE_RESOLVING;
    if (clock_ms() >= pool->addresses_until)
        ask(x, pool);
    if (pool->addresses.count) { /* older ones serve until newer ones come */
        connect_to_name(x);
        return;
    }
    if (!pool->asking) {
        give_up_server(x, 503, pool->addresses.why ? pool->addresses.why : "name does not resolve");
        return;
    }
    list_push(&pool->waiting, &x->waiting);
    deadline_set(&x->deadline, x->r->plan->core->timeout_connect);
}

void exchange_resolved(struct exchange *x)
{
    struct pool *pool = pool_of(x);

    deadline_cancel(&x->deadline);
    if (pool->addresses.count)
        connect_to_name(x);
    else
        give_up_server(x, 503, pool->addresses.why ? pool->addresses.why : "name does not resolve");
}

static void on_wait_due(struct deadline *deadline)
{
    struct exchange *x = list_entry(deadline, struct exchange, deadline);

    if (x->phase == EXCHANGE_QUEUED) {
        exchange_queue_due(x);
        return;
    }
    if (x->phase != EXCHANGE_RESOLVING) {
        exchange_due(x);
        return;
    }
    list_remove(&x->waiting);
    give_up_server(x, 504, "name not resolved in time");
}

static void connect_fresh(struct exchange *x)
{
    x->connect_us = clock_us();
    if (server_of(x)->host.n)
        resolve(x);
    else
        connect_to(x, &server_of(x)->addr);
}

/* However often that happens, it waits no longer than it would have. */
void exchange_connect_again(struct exchange *x)
{
    uint64_t due = x->phase == EXCHANGE_CONNECTING ? x->deadline.at : 0;

    exchange_let_go(x);
    if (!x->carrier->take(x, NULL))
        connect_fresh(x);
    if (due && x->phase == EXCHANGE_CONNECTING && deadline_is_set(&x->deadline))
        deadline_set_at(&x->deadline, due);
}

void exchange_go(struct exchange *x)
{
    struct pool *pool = pool_of(x);
    struct addr to;

    if (server_of(x)->host.n && clock_ms() >= pool->addresses_until)
        ask(x, pool);
    if (x->attempts > 1)
        tally_add(server_of(x)->state->tally, SERVER_RETRIES, 1);
    x->renewed = false;
    x->addresses_tried = 0;
    x->targets_tried = 0;
    x->target = -1;
    bool has_targets = pool->addresses.is_service && pool->addresses.count > 0;
    if (has_targets) /* first, so that requests on kept connections go by the weights too */
        to = next_address(x);
    x->attempt_us = clock_us();
    x->head_us = 0;
    x->r->upstream_addr = server_of(x)->name;
    trace_try(x->r, server_of(x)->name);
    if (x->carrier->take(x, has_targets ? &to : NULL))
        return;
    if (has_targets)
        connect_to(x, &to);
    else
        connect_fresh(x);
}

void exchange_connected(struct exchange *x)
{
    note_target(x, true);
}

/* -- what the engine calls ----------------------------------------------------------------------------------------- */

void exchange_use_local(struct exchange *x, struct upstream_local *local)
{
    struct upstream_local *former = x->local;

    if (local)
        local->users++;
    x->local = local;
    if (!former)
        return;
    if (former->leaving && x->r->upstream_addr.n) /* its servers' names go with it, and the log comes later */
        x->r->upstream_addr = arena_str(x->r->arena, x->r->upstream_addr);
    if (--former->users == 0 && former->leaving)
        version_local_unused(former);
}

void exchange_find_sticky(struct exchange *x)
{
    bool renew = false;

    x->sticks_to = x->upstream->sticky.cookie.n ? sticky_find(x->upstream, x->r, &renew) : -1;
    x->renews_cookie = renew;
}

static void start(struct weir_req *r)
{
    struct weir_upstream *upstream = upstream_now(r->origin_data);
    struct exchange *x = arena_new(r->arena, struct exchange);
    struct upstream_local *local = x ? upstream_local(upstream) : NULL;

    r->origin_data = x;
    if (!local) {
        request_origin_failed(r, 503, "no memory");
        return;
    }
    x->r = r;
    x->upstream = upstream;
    x->carrier = upstream->protocol == PROTOCOL_H2 ? &carrier_h2 : &carrier_h1;
    exchange_use_local(x, local);
    x->server = -1;
    exchange_find_sticky(x);
    x->started_us = clock_us();
    if (trace_is_on(r))
        trace_put_upstream(r, upstream->name, upstream->balancer->name, &upstream->place);
    list_init(&x->waiting);
    deadline_init(&x->deadline, on_wait_due);
    if (hop_is_loop(&r->fields)) {
        x->phase = EXCHANGE_OVER;
        log_warn("upstream %.*s: request %.*s goes round in circles", STR_ARG(upstream->name), STR_ARG(r->id));
        request_origin_failed(r, 508, "request goes round in circles");
        return;
    }
    if (upstream->retry.is_set)
        retry_count_request(upstream->budget);
    exchange_choose(x);
}

static void more_body(struct weir_req *r)
{
    struct exchange *x = r->origin_data;

    if (x->leased)
        x->carrier->send(x);
    else if (x->phase == EXCHANGE_OVER)
        chain_clear(&r->up.out); /* answered before the request was whole: the rest is nobody's */
}

static void more_room(struct weir_req *r)
{
    struct exchange *x = r->origin_data;

    if (!x->leased)
        return;
    if (r->phase == PHASE_TUNNEL && x->phase == EXCHANGE_BODY) {
        x->phase = EXCHANGE_RAW;
        x->body_done = false;
        x->carrier->set_due(x, 0);
        x->carrier->tunnel(x);
    }
    if (x->phase == EXCHANGE_BODY && !x->carrier->has_due(x)) /* it passed while the client was slow */
        x->carrier->set_due(x, r->plan->core->timeout_response);
    if (x->phase == EXCHANGE_BODY || x->phase == EXCHANGE_RAW)
        x->carrier->receive(x);
}

static void abandon(struct weir_req *r)
{
    struct exchange *x = r->origin_data;

    if (!x || !x->r)
        return;
    if (x->phase == EXCHANGE_QUEUED)
        exchange_leave_queue(x);
    list_remove(&x->waiting);
    deadline_cancel(&x->deadline);
    exchange_let_go(x);
    exchange_count_out(x, x->phase == EXCHANGE_OVER ? WEIR_OUTCOME_OK : WEIR_OUTCOME_BROKEN);
    x->phase = EXCHANGE_OVER;
    if (x->local)
        exchange_use_local(x, NULL);
}

const struct origin_calls exchange_origin = { .start = start, .more_body = more_body, .more_room = more_room,
                                              .abandon = abandon };

/* -- deadlines ----------------------------------------------------------------------------------------------------- */

static bool waits_for_client(const struct exchange *x)
{
    const struct body *up = &x->r->up;

    return !x->body_done && !x->write_failed && x->carrier->is_all_sent(x) && !up->in_end && body_room(up) > 0;
}

static void connect_due(struct exchange *x)
{
    const struct conn *conn = x->carrier->conn(x);

    if (!conn) {
        exchange_fail(x, 503, "no stream to the server became free");
        return;
    }
    note_target(x, false);
    give_up_server(x, 504, conn->transport ? "TLS handshake timed out" : "connection timed out");
}

void exchange_due(struct exchange *x)
{
    switch (x->phase) {
    case EXCHANGE_CONNECTING:
        connect_due(x);
        return;
    case EXCHANGE_HEAD:
        if (waits_for_client(x)) { /* whose own deadline runs */
            x->carrier->set_due(x, x->r->plan->core->timeout_response);
            return;
        }
        if (!exchange_try_elsewhere(x, RETRY_TIMEOUT, 504, "no response in time"))
            exchange_fail(x, 504, "no response in time");
        return;
    case EXCHANGE_BODY:
        if (body_room(&x->r->down) > 0) /* else the client is slow, not the origin */
            exchange_fail(x, 504, "response stalled");
        return;
    default:
        return;
    }
}
