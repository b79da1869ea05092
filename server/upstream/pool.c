/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/pool.h"

#include "base/hash.h"
#include "base/mem.h"
#include "upstream/link.h"
#include "upstream/server_figures.h"

enum { POOL_BUCKETS = 256 };

struct pool_table { /* worker slot WORKER_SLOT_UPSTREAM */
    struct pool *buckets[POOL_BUCKETS];
};

static struct pool_table *table(void)
{
    struct worker *worker = worker_self();
    struct pool_table *t = worker_slot(worker, WORKER_SLOT_UPSTREAM);

    if (!t) {
        t = mem_zalloc(sizeof(*t));
        worker_set_slot(worker, WORKER_SLOT_UPSTREAM, t);
    }
    return t;
}

/* -- pools --------------------------------------------------------------------------------------------------------- */

static struct pool *pool_get(str key)
{
    struct pool_table *t = table();

    if (!t)
        return NULL;
    struct pool **bucket = &t->buckets[hash_str(key) % POOL_BUCKETS];
    for (struct pool *pool = *bucket; pool; pool = pool->next)
        if (str_equal(str_of(pool->key), key))
            return pool;
    struct pool *pool = mem_zalloc(sizeof(*pool));
    char *copy = str_dup(key);
    if (!pool || !copy) {
        mem_free(pool);
        mem_free(copy);
        return NULL;
    }
    pool->key = copy;
    pool->tally = pool_tally(key);
    list_init(&pool->idle);
    list_init(&pool->links);
    list_init(&pool->queue);
    list_init(&pool->waiting);
    pool->next = *bucket;
    *bucket = pool;
    return pool;
}

static void pool_free(struct pool *pool)
{
    if (pool->asking)
        resolver_cancel(&pool->query);
    tally_release(pool->tally);
    mem_free(pool->key);
    mem_free(pool);
}

void pool_note_idle(struct pool *pool, int by)
{
    pool->idle_count += (uint32_t)by;
    tally_add(pool->tally, POOL_IDLE, by);
}

/* Gone when nobody uses it and no connection is open. */
static void pool_maybe_free(struct pool *pool)
{
    if (pool->users || pool->open)
        return;
    struct pool **at = &table()->buckets[hash_str(str_of(pool->key)) % POOL_BUCKETS];
    while (*at && *at != pool)
        at = &(*at)->next;
    if (*at)
        *at = pool->next;
    pool_free(pool);
}

static void close_idle(struct pool *pool)
{
    for (struct list *link = list_first(&pool->idle); link; link = list_first(&pool->idle))
        pool_close(list_entry(link, struct upstream_conn, link));
    links_close_idle(pool);
}

static void close_in_all(void (*close)(struct pool *pool))
{
    struct pool_table *t = table();

    for (int i = 0; t && i < POOL_BUCKETS; i++)
        for (struct pool *pool = t->buckets[i], *next; pool; pool = next) {
            next = pool->next;
            pool->users++; /* keeps it while its last connection closes */
            close(pool);
            pool->users--;
        }
}

void pools_close_idle(void)
{
    close_in_all(close_idle);
}

uint32_t pools_idle_total(void)
{
    struct pool_table *t = table();
    uint32_t sum = 0;

    for (int i = 0; t && i < POOL_BUCKETS; i++)
        for (struct pool *pool = t->buckets[i]; pool; pool = pool->next)
            sum += pool->idle_count;
    return sum;
}

struct table_end {
    struct deferred deferred;
};

/* Behind the reaping of the last connections. */
static void table_free(struct deferred *deferred)
{
    struct pool_table *t = worker_slot(worker_self(), WORKER_SLOT_UPSTREAM);

    for (int i = 0; i < POOL_BUCKETS; i++)
        while (t->buckets[i]) {
            struct pool *pool = t->buckets[i];
            t->buckets[i] = pool->next;
            pool_free(pool);
        }
    worker_set_slot(worker_self(), WORKER_SLOT_UPSTREAM, NULL);
    mem_free(t);
    mem_free(list_entry(deferred, struct table_end, deferred));
}

void upstream_worker_down(void)
{
    struct table_end *end = mem_zalloc(sizeof(*end));

    if (!worker_slot(worker_self(), WORKER_SLOT_UPSTREAM) || !end) {
        mem_free(end);
        return;
    }
    close_in_all(close_idle);
    close_in_all(links_close);
    deferred_init(&end->deferred, table_free);
    worker_defer(&end->deferred);
}

/* -- addresses ----------------------------------------------------------------------------------------------------- */

bool pool_has_address(const struct pool *pool, const struct addr *addr)
{
    if (pool->addresses.count == 0)
        return true; /* it was no name */
    for (unsigned i = 0; i < pool->addresses.count; i++)
        if (memcmp(&pool->addresses.addresses[i], &addr->storage, sizeof(addr->storage)) == 0)
            return true;
    return false;
}

void pool_use_addresses(struct pool *pool, const struct resolved *result)
{
    struct list *next;

    service_carry(&pool->service, &pool->addresses, result);
    pool->addresses = *result;
    for (struct list *link = pool->idle.next; link != &pool->idle; link = next) {
        next = link->next;
        struct upstream_conn *uc = list_entry(link, struct upstream_conn, link);
        if (!pool_has_address(pool, &uc->to))
            pool_close(uc);
    }
    links_leave_addresses(pool);
}

/* -- connections --------------------------------------------------------------------------------------------------- */

void pool_conn_made(struct pool *pool)
{
    pool->open++;
}

void pool_conn_gone(struct pool *pool)
{
    pool->open--;
    pool_maybe_free(pool);
}

static void on_later(struct conn *conn)
{
    struct upstream_conn *uc = list_entry(conn, struct upstream_conn, conn);
    struct pool *pool = uc->pool;

    mem_free(uc);
    pool_conn_gone(pool);
}

void pool_close(struct upstream_conn *uc)
{
    if (uc->closed)
        return;
    uc->closed = true;
    uc->exchange = NULL;
    if (!list_is_empty(&uc->link)) {
        list_remove(&uc->link);
        pool_note_idle(uc->pool, -1);
    }
    if (uc->conn.transport && uc->conn.state == CONN_OPEN && !uc->conn.is_broken)
        conn_shutdown_write(&uc->conn);
    conn_close(&uc->conn);
    intake_drop(&uc->in);
    chain_clear(&uc->out);
    conn_later(&uc->conn);
}

static void on_readable(struct conn *conn)
{
    struct upstream_conn *uc = list_entry(conn, struct upstream_conn, conn);

    if (uc->exchange)
        exchange_conn_readable(uc);
    else
        pool_close(uc); /* an idle one has nothing to say: closed, or out of step */
}

static void on_writable(struct conn *conn)
{
    struct upstream_conn *uc = list_entry(conn, struct upstream_conn, conn);

    if (uc->exchange)
        exchange_conn_writable(uc);
}

static void on_ready(struct conn *conn, bool ok)
{
    struct upstream_conn *uc = list_entry(conn, struct upstream_conn, conn);

    if (uc->exchange)
        exchange_conn_ready(uc, ok);
    else
        pool_close(uc);
}

static void on_due(struct conn *conn)
{
    struct upstream_conn *uc = list_entry(conn, struct upstream_conn, conn);

    if (uc->exchange)
        exchange_conn_due(uc);
    else
        pool_close(uc);
}

static const struct conn_calls calls = { .on_readable = on_readable, .on_writable = on_writable, .on_ready = on_ready,
                                         .on_due = on_due, .on_later = on_later };

struct upstream_conn *pool_connect(struct pool *pool, const struct addr *to, struct exchange *exchange)
{
    struct upstream_conn *uc = mem_zalloc(sizeof(*uc));

    if (!uc)
        return NULL;
    uc->pool = pool;
    uc->to = *to;
    uc->exchange = exchange;
    list_init(&uc->link);
    chain_init(&uc->out);
    if (!conn_connect(&uc->conn, to, &calls)) {
        mem_free(uc);
        return NULL;
    }
    pool_conn_made(pool);
    return uc;
}

struct upstream_conn *pool_take_idle(struct pool *pool, const struct addr *to, const struct proxy_ends *announced)
{
    for (struct list *link = pool->idle.next, *next; link != &pool->idle; link = next) {
        next = link->next;
        struct upstream_conn *uc = list_entry(link, struct upstream_conn, link);
        if (uc->conn.can_read || uc->conn.peer_closed || uc->conn.is_broken) {
            pool_close(uc);
            continue;
        }
        if (announced && !proxy_ends_equal(announced, &uc->announced))
            continue;
        if (to && memcmp(&to->storage, &uc->to.storage, sizeof(to->storage)) != 0)
            continue;
        list_remove(&uc->link);
        pool_note_idle(pool, -1);
        return uc;
    }
    return NULL;
}

void pool_give_back(struct upstream_conn *uc, uint64_t keepalive, uint64_t keepalive_ms)
{
    struct pool *pool = uc->pool;

    uc->exchange = NULL;
    char byte;
    if (uc->conn.can_read && !uc->conn.transport)
        conn_peek(&uc->conn, &byte, 1); /* nothing there: then it says so from now on */
    bool dirty = uc->out.n || intake_n(&uc->in) || uc->conn.peer_closed || uc->conn.saw_eof ||
        uc->conn.can_read;
    if (!uc->keep || dirty || keepalive == 0 || pool->users == 0 || !pool_has_address(pool, &uc->to)) {
        pool_close(uc);
        return;
    }
    if (pool->idle_count >= keepalive) { /* the one idle the longest goes */
        pool_close(list_entry(pool->idle.prev, struct upstream_conn, link));
    }
    intake_leave(&uc->in);
    uc->scan = (struct h1_scan){ 0 };
    conn_set_due(&uc->conn, keepalive_ms);
    list_push_front(&pool->idle, &uc->link);
    pool_note_idle(pool, 1);
}

/* -- a worker's view of an upstream -------------------------------------------------------------------------------- */

void upstream_local_free(const struct weir_upstream *upstream, struct upstream_local *local)
{
    if (!local)
        return;
    if (local->balancer_state && upstream->balancer->down)
        upstream->balancer->down(local->balancer_state, upstream->balancer_conf);
    for (uint32_t i = 0; i < local->server_count; i++) {
        struct pool *pool = local->pools[i];
        pool->users--; /* idle connections wait for the next snapshot's user, or for their time to end */
        if (local->leaving && !pool->users)
            close_idle(pool); /* the server was removed: no snapshot is to come that would use them */
        pool_maybe_free(pool);
    }
    deadline_cancel(&local->look);
    list_remove(&local->wake.link);
    mem_free(local->balancer_state);
    mem_free(local->views);
    mem_free(local->pools);
    mem_free(local);
}

static bool local_fill(struct weir_upstream *upstream, struct upstream_local *local)
{
    uint32_t count = upstream->server_count;

    local->pools = mem_zalloc(sizeof(struct pool *) * (count + 1));
    local->views = mem_zalloc(sizeof(struct weir_server) * (count + 1));
    local->balancer_state = mem_zalloc(upstream->balancer->state_size + 1);
    if (!local->pools || !local->views || !local->balancer_state)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct pool *pool = pool_get(upstream->servers[i].key);
        if (!pool)
            return false;
        pool->users++;
        local->pools[i] = pool;
        local->server_count = i + 1;
        local->views[i].name = upstream->servers[i].name;
        local->views[i].weight = upstream->servers[i].weight;
    }
    const struct weir_balancer *balancer = upstream->balancer;
    return !balancer->up || balancer->up(local->balancer_state, upstream->balancer_conf, count) == 0;
}

struct upstream_local *upstream_local(struct weir_upstream *upstream)
{
    unsigned index = worker_index(worker_self());
    struct upstream_local *local = upstream->local[index];

    if (local)
        return local;
    local = mem_zalloc(sizeof(*local));
    if (local)
        exchange_queue_init(local);
    if (!local || !local_fill(upstream, local)) {
        if (local)
            upstream_local_free(upstream, local);
        return NULL;
    }
    upstream->local[index] = local;
    return local;
}
