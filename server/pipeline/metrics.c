/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/metrics.h"

#include "base/mem.h"
#include "pipeline/crumb.h"
#include "pipeline/metrics_house.h"
#include <pthread.h>

/* Workers that are up, and what those that went away have counted. The lock is for the comers, goers and readers. */
static struct {
    pthread_mutex_t lock;
    struct pipeline_worker *workers[CRUMBS_MOST];
    unsigned count;
    struct figures gone;
    struct cost costs_gone[COSTS_MOST];
} house = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Of threads that are no worker, and of workers that are gone. */
static _Atomic int64_t elsewhere[METRICS_MOST];

static void free_arrays(struct pipeline_worker *pw)
{
    mem_free(pw->metrics);
    mem_free(pw->costs);
    pw->metrics = NULL;
    pw->costs = NULL;
}

bool metrics_worker_up(struct pipeline_worker *pw)
{
    pw->metrics = mem_array(METRICS_MOST, sizeof(*pw->metrics));
    pw->costs = mem_array(COSTS_MOST, sizeof(*pw->costs));
    pw->untimed = COST_SAMPLE;
    pw->random = (uint64_t)pw->index << 32 | 1;
    if (!pw->metrics || !pw->costs) {
        free_arrays(pw);
        return false;
    }
    pthread_mutex_lock(&house.lock);
    bool fits = house.count < CRUMBS_MOST;
    if (fits)
        house.workers[house.count++] = pw;
    pthread_mutex_unlock(&house.lock);
    if (!fits)
        free_arrays(pw);
    return fits;
}

static void add_figures(struct figures *to, const struct pipeline_worker *pw)
{
    to->requests += cell_read(&pw->requests_total);
    to->accepted += cell_read(&pw->accepted_total);
    to->h2_connections += cell_read(&pw->h2_connections_total);
    to->h2_stalls += cell_read(&pw->h2_stalls_total);
    for (unsigned i = 0; i < H2_ABUSE_COUNT; i++)
        to->h2_abuses[i] += cell_read(&pw->h2_abuses[i]);
}

void metrics_worker_down(struct pipeline_worker *pw)
{
    if (!pw->metrics)
        return;
    pthread_mutex_lock(&house.lock);
    for (unsigned i = 0; i < house.count; i++)
        if (house.workers[i] == pw)
            house.workers[i--] = house.workers[--house.count];
    add_figures(&house.gone, pw);
    for (unsigned i = 0; i < METRICS_MOST; i++)
        atomic_fetch_add_explicit(&elsewhere[i], atomic_load_explicit(&pw->metrics[i], memory_order_relaxed),
                                  memory_order_relaxed);
    for (unsigned i = 0; i < COSTS_MOST; i++) {
        house.costs_gone[i].calls += cell_read(&pw->costs[i].calls);
        house.costs_gone[i].ns += cell_read(&pw->costs[i].ns);
    }
    pthread_mutex_unlock(&house.lock);
    free_arrays(pw);
}

void metric_add(const weir_mod *mod, uint32_t metric, int64_t by)
{
    if (metric >= mod->desc.metrics.count)
        return;
    uint32_t at = mod->metric_base + metric;
    struct pipeline_worker *pw = pipeline_worker_self();
    if (!pw || !pw->metrics) {
        atomic_fetch_add_explicit(&elsewhere[at], by, memory_order_relaxed);
        return;
    }
    int64_t now = atomic_load_explicit(&pw->metrics[at], memory_order_relaxed);
    atomic_store_explicit(&pw->metrics[at], (int64_t)((uint64_t)now + (uint64_t)by), memory_order_relaxed);
}

static int64_t sum_locked(uint32_t at)
{
    uint64_t sum = (uint64_t)atomic_load_explicit(&elsewhere[at], memory_order_relaxed);
    for (unsigned i = 0; i < house.count; i++)
        sum += (uint64_t)atomic_load_explicit(&house.workers[i]->metrics[at], memory_order_relaxed);
    return (int64_t)sum;
}

int64_t metric_sum(const weir_mod *mod, uint32_t metric)
{
    if (metric >= mod->desc.metrics.count)
        return 0;
    pthread_mutex_lock(&house.lock);
    int64_t sum = sum_locked(mod->metric_base + metric);
    pthread_mutex_unlock(&house.lock);
    return sum;
}

struct figures figures_sum(void)
{
    pthread_mutex_lock(&house.lock);
    struct figures sum = house.gone;
    for (unsigned i = 0; i < house.count; i++) {
        add_figures(&sum, house.workers[i]);
        sum.connections += cell_read(&house.workers[i]->connection_count);
    }
    pthread_mutex_unlock(&house.lock);
    return sum;
}

/* -- what hooks cost ----------------------------------------------------------------------------------------------- */

/* The distance to the next one: COST_SAMPLE on average, anything from half to half as much again (xorshift64, Marsaglia
 * 2003). */
bool cost_next(struct pipeline_worker *pw)
{
    pw->random ^= pw->random << 13;
    pw->random ^= pw->random >> 7;
    pw->random ^= pw->random << 17;
    pw->untimed = COST_SAMPLE / 2 + (uint32_t)(pw->random % (COST_SAMPLE + 1));
    return true;
}

static void add_cost(struct cost *sum, const struct cost *cost)
{
    sum->calls += cell_read(&cost->calls);
    sum->ns += cell_read(&cost->ns);
}

struct cost cost_sum(const weir_mod *mod, enum stage stage)
{
    struct cost sum = { 0 };

    pthread_mutex_lock(&house.lock);
    for (uint32_t i = 0; mod->cost_base && i < mod->desc.hooks.count; i++) {
        uint32_t at = module_cost_index(mod, i);
        if (stage != STAGE_NONE && stage_of(module_hook(mod, i)->stage) != stage)
            continue;
        add_cost(&sum, &house.costs_gone[at]);
        for (unsigned k = 0; k < house.count; k++)
            add_cost(&sum, &house.workers[k]->costs[at]);
    }
    pthread_mutex_unlock(&house.lock);
    return sum;
}

void metrics_each_worker(void (*look)(const struct pipeline_worker *pw, void *arg), void *arg)
{
    pthread_mutex_lock(&house.lock);
    for (unsigned i = 0; i < house.count; i++)
        look(house.workers[i], arg);
    pthread_mutex_unlock(&house.lock);
}

/* -- sites --------------------------------------------------------------------------------------------------------- */

void site_count(const struct weir_req *r)
{
    uint64_t *row = tally_here(r->tally), now = clock_us();

    if (!row)
        return;
    cell_add(&row[SITE_ENDED + (r->is_reset && !r->head_sent ? 0 : r->status / 100 % 6)], 1);
    cell_add(&row[SITE_BYTES_IN], r->bytes_received);
    cell_add(&row[SITE_BYTES_OUT], r->bytes_sent);
    latency_add(&row[SITE_DURATION], now > r->started_us ? now - r->started_us : 0);
}

uint64_t site_requests(const struct tally *tally)
{
    uint64_t sums[SITE_COUNTERS] = { 0 }, count = 0;

    tally_sum(tally, sums);
    for (unsigned i = 0; i < 6; i++)
        count += sums[SITE_ENDED + i];
    return count;
}

/* -- changes of the configuration ---------------------------------------------------------------------------------- */

static struct changes changes;

void metrics_note_reload(bool ok)
{
    cell_add(ok ? &changes.reloads : &changes.refused, 1);
    __atomic_store_n(&changes.failed_last, !ok, __ATOMIC_RELAXED);
    __atomic_store_n(&changes.last_ms, clock_wall_ms(), __ATOMIC_RELAXED);
}

void metrics_note_start(uint64_t wall_ms)
{
    __atomic_store_n(&changes.started_ms, wall_ms, __ATOMIC_RELAXED);
    __atomic_store_n(&changes.last_ms, wall_ms, __ATOMIC_RELAXED);
}

struct changes metrics_changes(void)
{
    return (struct changes){ cell_read(&changes.reloads), cell_read(&changes.refused), cell_read(&changes.started_ms),
                             cell_read(&changes.last_ms), cell_read(&changes.failed_last) };
}
