/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/overload.h"

#include "base/block.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/mem.h"
#include "pipeline/clients.h"
#include "pipeline/crumb.h"

#include <stdatomic.h>

enum { RETRY_MS = 100, GRACE_MS = 1000, LINE_EVERY_MS = 60 * 1000 };
enum { IDLE_AT_ONCE = 16, IDLE_MOST = 256, LOOKED_AT_TIMES = 4, DESCRIPTORS_APART = 64 };

struct seat { /* what other workers may do to a worker; of the process's life, so that late mail finds it */
    struct message message;
    _Atomic(struct worker *) worker; /* NULL: none is up */
    atomic_bool posted;
    atomic_bool waits; /* some of its listeners are paused by us */
    atomic_bool asked; /* somebody else wants one of its idle connections gone */
};

static struct {
    _Atomic uint64_t connections;
    atomic_uint waiting; /* seats that wait */
    struct seat seats[CRUMBS_MOST];
    struct clients clients;
    _Atomic uint64_t refused, pauses, idle_closed, shed;
    _Atomic uint64_t connections_line, memory_line; /* ms of the last line in the log */
} house;

/* -- limits -------------------------------------------------------------------------------------------------------- */

/* A request that is passed on takes two descriptors. */
static uint64_t automatic_connections(void)
{
    static _Atomic uint64_t kept;
    uint64_t most = atomic_load_explicit(&kept, memory_order_relaxed);

    if (most)
        return most;
    uint64_t descriptors = machine_descriptors();
    most = descriptors > 2 * DESCRIPTORS_APART ? (descriptors - DESCRIPTORS_APART) / 2 : DESCRIPTORS_APART / 2;
    atomic_store_explicit(&kept, most, memory_order_relaxed);
    return most;
}

static uint64_t automatic_memory(void)
{
    static _Atomic uint64_t kept;
    uint64_t most = atomic_load_explicit(&kept, memory_order_relaxed);

    if (most)
        return most;
    most = machine_memory() / 2;
    atomic_store_explicit(&kept, most, memory_order_relaxed);
    return most;
}

static uint64_t most_connections(const struct core_conf *core)
{
    return core->max_connections == OVERLOAD_AUTO ? automatic_connections() : core->max_connections;
}

static uint64_t most_memory(const struct core_conf *core)
{
    return core->max_memory == OVERLOAD_AUTO ? automatic_memory() : core->max_memory;
}

static uint64_t memory_now(void)
{
    return block_bytes_in_use() + mem_held();
}

static const struct core_conf *limits(void)
{
    const struct snapshot *snapshot = snapshot_current();

    return snapshot && snapshot->top_plan ? snapshot->top_plan->core : NULL;
}

/* Above the second mark not even a head's buffer is to be had. */
static bool is_far_over(const struct core_conf *core, uint64_t memory)
{
    uint64_t most = most_memory(core);

    return most != OVERLOAD_NO_LIMIT && memory > most + most / 8;
}

/* One line a minute for the whole process. */
static bool may_log(_Atomic uint64_t *last_line)
{
    uint64_t now = clock_ms() + 1, last = atomic_load_explicit(last_line, memory_order_relaxed);

    if (last && now - last < LINE_EVERY_MS)
        return false;
    return atomic_compare_exchange_strong_explicit(last_line, &last, now, memory_order_relaxed, memory_order_relaxed);
}

static void count(_Atomic uint64_t *figure, uint64_t by)
{
    atomic_fetch_add_explicit(figure, by, memory_order_relaxed);
}

/* -- idle connections ---------------------------------------------------------------------------------------------- */

/* A first request may be under way, or the next one: without some grace new connections would only take each other's
 * places, and those of regular clients. What has arrived and was not looked at yet is no idleness either. */
static bool may_go(struct weir_conn *c)
{
    char byte;

    if ((c->codec && c->codec->is_busy(c)) || c->conn.can_read || (uint32_t)clock_ms() - c->idle_since < GRACE_MS)
        return false;
    return conn_peek(&c->conn, &byte, 1) == 0;
}

/* The longest idle first. */
static unsigned close_idle(struct pipeline_worker *pw, unsigned most)
{
    unsigned closed = 0, looked_at = 0;

    list_each(link, &pw->idle) {
        struct weir_conn *c = list_entry(link, struct weir_conn, link);
        if (closed == most || looked_at++ == most * LOOKED_AT_TIMES)
            break;
        if (!may_go(c))
            continue;
        if (c->is_tls && !c->setup)
            conn_shutdown_write(&c->conn);
        session_close(c);
        closed++;
    }
    if (closed)
        count(&house.idle_closed, closed);
    return closed;
}

/* How many have to go while nobody is let in: one for a place, and as many as may hold what there is too much of. */
static unsigned idle_in_the_way(const struct core_conf *core)
{
    uint64_t memory = memory_now(), most = most_memory(core);

    if (memory <= most)
        return 1;
    uint64_t count = 1 + (memory - most) / BLOCK_SMALL;
    return count < IDLE_MOST ? (unsigned)count : IDLE_MOST;
}

/* -- waiting ------------------------------------------------------------------------------------------------------- */

static bool take_place(const struct core_conf *core)
{
    if (atomic_fetch_add(&house.connections, 1) < most_connections(core))
        return true;
    atomic_fetch_sub(&house.connections, 1);
    return false;
}

static bool is_full(const struct core_conf *core)
{
    return atomic_load(&house.connections) >= most_connections(core) || is_far_over(core, memory_now());
}

static void poke(struct seat *seat)
{
    struct worker *worker = atomic_load(&seat->worker);

    if (worker && !atomic_exchange(&seat->posted, true))
        worker_post(worker, &seat->message);
}

/* A place may be had again: for all workers that wait, as only they know whether anybody is in their queues. */
static void tell_waiting(void)
{
    if (atomic_load(&house.waiting) == 0)
        return;
    for (unsigned i = 0; i < CRUMBS_MOST; i++)
        if (atomic_load(&house.seats[i].waits))
            poke(&house.seats[i]);
}

static void ask_others(const struct pipeline_worker *pw)
{
    for (unsigned i = 0; i < CRUMBS_MOST; i++) {
        struct seat *seat = &house.seats[i];
        if (i == pw->index || !atomic_load(&seat->worker))
            continue;
        atomic_store(&seat->asked, true);
        poke(seat);
    }
}

static void set_waiting(struct seat *seat, bool waits)
{
    if (atomic_exchange(&seat->waits, waits) == waits)
        return;
    if (waits)
        atomic_fetch_add(&house.waiting, 1);
    else
        atomic_fetch_sub(&house.waiting, 1);
}

static void relieve(struct pipeline_worker *pw)
{
    struct seat *seat = &house.seats[pw->index];
    const struct core_conf *core = limits();

    if (!atomic_load(&seat->waits))
        return;
    if (core && is_full(core)) {
        deadline_set(&pw->retry, RETRY_MS); /* memory comes back without a word */
        return;
    }
    set_waiting(seat, false);
    list_each(link, &pw->listeners)
        listener_resume(list_entry(link, struct listener, link));
}

static void on_retry(struct deadline *deadline)
{
    struct pipeline_worker *pw = list_entry(deadline, struct pipeline_worker, retry);

    const struct core_conf *core = limits();

    if (core && is_full(core)) {
        close_idle(pw, idle_in_the_way(core));
        ask_others(pw);
    }
    relieve(pw);
}

static void run_poke(struct message *message)
{
    struct seat *seat = list_entry(message, struct seat, message);
    struct pipeline_worker *pw = pipeline_worker_self();
    const struct core_conf *core = pw ? limits() : NULL;

    atomic_store(&seat->posted, false);
    bool is_asked = atomic_exchange(&seat->asked, false);
    if (!core)
        return;
    if (is_asked && is_full(core))
        close_idle(pw, idle_in_the_way(core));
    relieve(pw);
}

static void start_waiting(struct pipeline_worker *pw, const struct core_conf *core)
{
    struct seat *seat = &house.seats[pw->index];

    if (atomic_load(&seat->waits))
        return;
    count(&house.pauses, 1);
    set_waiting(seat, true);
    deadline_set(&pw->retry, RETRY_MS);
    ask_others(pw);
    if (may_log(&house.connections_line))
        log_warn("%llu connections (max_connections %llu), %llu MiB held: accepting pauses",
                 (unsigned long long)atomic_load(&house.connections), (unsigned long long)most_connections(core),
                 (unsigned long long)(memory_now() >> 20));
}

/* -- listeners ----------------------------------------------------------------------------------------------------- */

static bool find_place(struct pipeline_worker *pw, const struct core_conf *core, bool somebody_waits)
{
    if (is_far_over(core, memory_now()))
        return false;
    return take_place(core) || (somebody_waits && close_idle(pw, 1) && take_place(core));
}

/* Idle connections give way to somebody, not to a look into a queue that may be empty. */
static bool may_accept(struct listener *listener, bool somebody_waits)
{
    struct pipeline_worker *pw = pipeline_worker_self();
    const struct core_conf *core = limits();

    (void)listener;
    if (!core)
        return true;
    pw->has_place = find_place(pw, core, somebody_waits);
    if (pw->has_place || !somebody_waits)
        return pw->has_place;
    start_waiting(pw, core);
    pw->has_place = find_place(pw, core, false); /* what was left before we waited told nobody */
    if (pw->has_place)
        relieve(pw);
    return pw->has_place;
}

static void not_accepted(struct listener *listener)
{
    struct pipeline_worker *pw = pipeline_worker_self();

    (void)listener;
    if (!pw->has_place)
        return;
    pw->has_place = false;
    atomic_fetch_sub(&house.connections, 1);
    tell_waiting();
}

void overload_watch(struct listener *listener)
{
    listener->may_accept = may_accept;
    listener->not_accepted = not_accepted;
    list_init(&listener->link);
    list_push(&pipeline_worker_self()->listeners, &listener->link);
}

void overload_unwatch(struct listener *listener)
{
    list_remove(&listener->link);
}

/* -- connections --------------------------------------------------------------------------------------------------- */

static bool is_trusted(const struct core_conf *core, const uint8_t address[16])
{
    const char *at = core->trusted_proxies.base;

    for (uint32_t i = 0; i < core->trusted_proxies.count; i++, at += core->trusted_proxies.stride)
        if (cidr_contains((const struct weir_cidr *)at, address))
            return true;
    return false;
}

bool overload_enter_client(const uint8_t address[16], uint32_t *place)
{
    const struct core_conf *core = limits();
    char room[ADDR_TEXT];

    if (!core || !core->max_per_client)
        return true;
    if (is_trusted(core, address) || clients_enter(&house.clients, address, (uint32_t)core->max_per_client, place))
        return true;
    count(&house.refused, 1);
    if (clients_may_log(&house.clients, address, clock_ms()))
        log_warn("client " STR_FMT ": more than %llu connections (per_client), closed",
                 STR_ARG(addr_ip_text(address, room)), (unsigned long long)core->max_per_client);
    return false;
}

static bool peer_enters(const struct addr *peer, uint32_t *place)
{
    uint8_t address[16];

    if (!peer || addr_is_unix(peer))
        return true;
    addr_bytes(peer, address);
    return overload_enter_client(address, place);
}

bool overload_enter(const struct addr *peer, uint32_t *place)
{
    struct pipeline_worker *pw = pipeline_worker_self();

    *place = CLIENT_UNCOUNTED;
    if (!pw->has_place)
        atomic_fetch_add(&house.connections, 1);
    pw->has_place = false;
    if (peer_enters(peer, place)) {
        mem_hold(sizeof(struct weir_conn));
        return true;
    }
    atomic_fetch_sub(&house.connections, 1);
    tell_waiting();
    return false;
}

void overload_leave(uint32_t place)
{
    mem_hold(-(int64_t)sizeof(struct weir_conn));
    clients_leave(&house.clients, place);
    atomic_fetch_sub(&house.connections, 1);
    tell_waiting();
}

/* -- requests ------------------------------------------------------------------------------------------------------ */

static bool is_health_check(const struct weir_req *r)
{
    const struct steps *serving = &r->plan->stages[STAGE_SERVE];

    for (uint32_t i = 0; i < serving->count; i++)
        if (serving->at[i].mod->index == r->snapshot->health_index)
            return true;
    return false;
}

bool overload_sheds(struct weir_req *r)
{
    struct pipeline_worker *pw = pipeline_worker_self();
    const struct core_conf *core = r->snapshot->top_plan->core;
    uint64_t most = most_memory(core), memory = memory_now();

    if (most == OVERLOAD_NO_LIMIT || memory <= most - most / 8)
        return false;
    if (close_idle(pw, IDLE_AT_ONCE))
        memory = memory_now();
    if (memory <= most)
        return false;
    bool is_known = r->snapshot->choose(r->snapshot, r);
    if (is_known && is_health_check(r) && !is_far_over(core, memory))
        return false;
    count(&house.shed, 1);
    if (may_log(&house.memory_line))
        log_warn("%llu MiB held (max_memory %llu MiB): new requests are answered 503",
                 (unsigned long long)(memory >> 20), (unsigned long long)(most >> 20));
    return true;
}

/* -- workers ------------------------------------------------------------------------------------------------------- */

void overload_worker_up(struct pipeline_worker *pw)
{
    struct seat *seat = &house.seats[pw->index];

    list_init(&pw->listeners);
    deadline_init(&pw->retry, on_retry);
    seat->message.run = run_poke;
    atomic_store(&seat->worker, pw->worker);
}

void overload_worker_down(struct pipeline_worker *pw)
{
    struct seat *seat = &house.seats[pw->index];

    atomic_store(&seat->worker, NULL);
    set_waiting(seat, false);
    deadline_cancel(&pw->retry);
}

void overload_limits_changed(void)
{
    relieve(pipeline_worker_self());
}

struct overload_figures overload_figures(const struct core_conf *core)
{
    uint64_t memory = core ? most_memory(core) : OVERLOAD_NO_LIMIT;

    return (struct overload_figures){
        .max_connections = core ? most_connections(core) : 0,
        .per_client = core ? core->max_per_client : 0,
        .max_memory = memory == OVERLOAD_NO_LIMIT ? 0 : memory,
        .memory = memory_now(),
        .refused = atomic_load_explicit(&house.refused, memory_order_relaxed),
        .pauses = atomic_load_explicit(&house.pauses, memory_order_relaxed),
        .stalls = listener_stalls(),
        .idle_closed = atomic_load_explicit(&house.idle_closed, memory_order_relaxed),
        .shed = atomic_load_explicit(&house.shed, memory_order_relaxed),
    };
}
