/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/metrics.h"

#include "base/mem.h"
#include "pipeline/crumb.h"
#include "pipeline/overload.h"
#include "pipeline/snapshot.h"

#include <inttypes.h>
#include <pthread.h>

/* Workers that are up, and what those that went away have counted. The lock is for the comers, goers and readers. */
static struct {
    pthread_mutex_t lock;
    struct pipeline_worker *workers[CRUMBS_MOST];
    unsigned count;
    struct figures gone;
} house = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Of threads that are no worker, and of workers that are gone. */
static _Atomic int64_t elsewhere[METRICS_MOST];

bool metrics_worker_up(struct pipeline_worker *pw)
{
    pw->metrics = mem_array(METRICS_MOST, sizeof(*pw->metrics));
    if (!pw->metrics)
        return false;
    pthread_mutex_lock(&house.lock);
    bool fits = house.count < CRUMBS_MOST;
    if (fits)
        house.workers[house.count++] = pw;
    pthread_mutex_unlock(&house.lock);
    if (!fits) {
        mem_free(pw->metrics);
        pw->metrics = NULL;
    }
    return fits;
}

static uint64_t read_figure(const uint64_t *figure)
{
    return __atomic_load_n(figure, __ATOMIC_RELAXED);
}

void metrics_worker_down(struct pipeline_worker *pw)
{
    if (!pw->metrics)
        return;
    pthread_mutex_lock(&house.lock);
    for (unsigned i = 0; i < house.count; i++)
        if (house.workers[i] == pw)
            house.workers[i--] = house.workers[--house.count];
    house.gone.requests += read_figure(&pw->requests_total);
    house.gone.accepted += read_figure(&pw->accepted_total);
    for (unsigned i = 0; i < METRICS_MOST; i++)
        atomic_fetch_add_explicit(&elsewhere[i], atomic_load_explicit(&pw->metrics[i], memory_order_relaxed),
                                  memory_order_relaxed);
    pthread_mutex_unlock(&house.lock);
    mem_free(pw->metrics);
    pw->metrics = NULL;
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
        sum.requests += read_figure(&house.workers[i]->requests_total);
        sum.accepted += read_figure(&house.workers[i]->accepted_total);
        sum.connections += read_figure(&house.workers[i]->connection_count);
    }
    pthread_mutex_unlock(&house.lock);
    return sum;
}

/* -- text ---------------------------------------------------------------------------------------------------------- */

static void print_head(FILE *out, const char *name, const char *doc, const char *kind)
{
    fprintf(out, "# HELP %s ", name);
    for (const char *p = doc ? doc : ""; *p; p++) {
        if (*p == '\\' || *p == '\n')
            fputc('\\', out);
        fputc(*p == '\n' ? 'n' : *p, out);
    }
    fprintf(out, "\n# TYPE %s %s\n", name, kind);
}

static void print_one(FILE *out, const char *name, const char *doc, const char *kind, uint64_t value)
{
    print_head(out, name, doc, kind);
    fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void print_module(FILE *out, const weir_mod *mod)
{
    for (uint32_t i = 0; i < mod->desc.metrics.count; i++) {
        const struct weir_metric *metric = (const struct weir_metric *)(const void *)(
            (const char *)mod->desc.metrics.base + (size_t)i * mod->desc.metrics.stride);
        char name[128];
        snprintf(name, sizeof(name), "weir_%s_%s", mod->desc.name, metric->name);
        for (char *p = name; *p; p++)
            if (*p == '-')
                *p = '_';
        print_head(out, name, metric->doc, metric->kind == WEIR_GAUGE ? "gauge" : "counter");
        fprintf(out, "%s %" PRId64 "\n", name, metric_sum(mod, i));
    }
}

void metrics_print(FILE *out)
{
    struct figures sum = figures_sum();
    print_one(out, "weir_requests_total", "Requests that were answered or broken off.", "counter", sum.requests);
    print_one(out, "weir_accepted_total", "Client connections accepted.", "counter", sum.accepted);
    print_one(out, "weir_connections", "Client connections open.", "gauge", sum.connections);
    struct overload_figures overload = overload_figures(NULL);
    print_one(out, "weir_memory_bytes", "Memory that buffers, requests and connections hold.", "gauge",
              overload.memory);
    print_one(out, "weir_connections_refused_total", "Connections over per_client, closed unread.", "counter",
              overload.refused);
    print_one(out, "weir_idle_closed_total", "Idle connections closed for new ones, or for memory.", "counter",
              overload.idle_closed);
    print_one(out, "weir_requests_shed_total", "Requests answered 503 over max_memory.", "counter", overload.shed);
    print_one(out, "weir_accept_pauses_total", "Times accepting waited for max_connections or max_memory.", "counter",
              overload.pauses);
    print_one(out, "weir_accept_failures_total", "Times accepting waited for descriptors.", "counter", overload.stalls);
    print_one(out, "weir_snapshots", "Configurations in memory: one, and those that old requests still need.", "gauge",
              snapshots_alive());
    for (uint32_t i = 0; i < modules.count; i++)
        print_module(out, modules.all[i]);
}
