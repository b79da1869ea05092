/* SPDX-License-Identifier: BSD-2-Clause */
/* The pipeline's families: the server as a whole, its sites and its modules. */
#include "pipeline/metrics.h"

#include "base/mem.h"
#include "pipeline/exposition.h"
#include "pipeline/metrics_house.h"
#include "pipeline/overload.h"
#include "pipeline/quarantine.h"
#include "pipeline/snapshot.h"

#include <stdio.h>

static void put_one(struct out *out, const char *name, const char *kind, const char *help, uint64_t value)
{
    expo_family(out, name, kind, help);
    expo_u64(out, name, NULL, 0, value);
}

/* -- workers ------------------------------------------------------------------------------------------------------- */

struct workers_seen {
    struct out *out;
    uint64_t turns[LATENCY_CELLS];
};

static str index_text(const struct pipeline_worker *pw, char room[24])
{
    struct out out = { .p = room, .room = 24 };

    out_u64(&out, pw->index);
    return (str){ room, out.n };
}

static void put_connections(const struct pipeline_worker *pw, void *arg)
{
    char room[24];
    const struct expo_label label = { "worker", index_text(pw, room) };

    expo_u64(arg, "weir_connections", &label, 1, cell_read(&pw->connection_count));
}

static void put_accepted(const struct pipeline_worker *pw, void *arg)
{
    char room[24];
    const struct expo_label label = { "worker", index_text(pw, room) };

    expo_u64(arg, "weir_connections_accepted_total", &label, 1, cell_read(&pw->accepted_total));
}

static void put_busy(const struct pipeline_worker *pw, void *arg)
{
    char room[24];
    const struct expo_label label = { "worker", index_text(pw, room) };

    expo_us(arg, "weir_worker_busy_seconds_total", &label, 1, cell_read(&worker_turns(pw->worker)[LATENCY_SUM]));
}

static void add_turns(const struct pipeline_worker *pw, void *arg)
{
    uint64_t *sums = arg;

    for (unsigned i = 0; i < LATENCY_CELLS; i++)
        sums[i] += cell_read(&worker_turns(pw->worker)[i]);
}

static void put_workers(struct out *out)
{
    uint64_t turns[LATENCY_CELLS] = { 0 };

    expo_family(out, "weir_connections", "gauge", "Client connections open, by worker.");
    metrics_each_worker(put_connections, out);
    expo_family(out, "weir_connections_accepted_total", "counter", "Client connections accepted, by worker.");
    metrics_each_worker(put_accepted, out);
    expo_family(out, "weir_worker_busy_seconds_total", "counter", "Time in which a worker was not waiting for events.");
    metrics_each_worker(put_busy, out);
    metrics_each_worker(add_turns, turns);
    expo_family(out, "weir_worker_turn_seconds", "histogram",
                "Turns of the workers' event loops: the lag, as what comes in meanwhile waits for the next turn.");
    expo_latency(out, "weir_worker_turn_seconds", NULL, 0, turns);
}

/* -- the server ---------------------------------------------------------------------------------------------------- */

static void put_overload(struct out *out, const struct snapshot *snapshot)
{
    struct overload_figures now = overload_figures(snapshot ? snapshot->top_plan->core : NULL);
    const struct expo_label per_client = { "reason", S("per_client") };

    expo_family(out, "weir_connections_refused_total", "counter", "Client connections closed unread.");
    expo_u64(out, "weir_connections_refused_total", &per_client, 1, now.refused);
    put_one(out, "weir_connections_idle_closed_total", "counter",
            "Idle connections closed for new ones, or for memory.", now.idle_closed);
    put_one(out, "weir_requests_shed_total", "counter", "Requests answered 503 over max_memory.", now.shed);
    put_one(out, "weir_accept_pauses_total", "counter", "Times accepting waited for max_connections or max_memory.",
            now.pauses);
    put_one(out, "weir_accept_failures_total", "counter", "Times accepting waited for descriptors or memory.",
            now.stalls);
    put_one(out, "weir_connections_max", "gauge", "max_connections in force; 0: none.", now.max_connections);
    put_one(out, "weir_memory_bytes", "gauge", "Memory that buffers, requests and connections hold (approximate).",
            now.memory);
    put_one(out, "weir_memory_max_bytes", "gauge", "max_memory in force; 0: none.", now.max_memory);
}

static void put_changes(struct out *out)
{
    struct changes changes = metrics_changes();
    const struct expo_label done = { "result", S("done") }, refused = { "result", S("refused") };

    expo_family(out, "weir_start_time_seconds", "gauge", "When the server process started, since 1970.");
    expo_us(out, "weir_start_time_seconds", NULL, 0, changes.started_ms * 1000);
    put_one(out, "weir_snapshots", "gauge", "Configurations in memory: one, and those that old requests still need.",
            snapshots_alive());
    expo_family(out, "weir_reloads_total", "counter", "Reloads of the configuration.");
    expo_u64(out, "weir_reloads_total", &done, 1, changes.reloads);
    expo_u64(out, "weir_reloads_total", &refused, 1, changes.refused);
    put_one(out, "weir_reload_last_successful", "gauge", "0 when the last reload was refused.", !changes.failed_last);
    expo_family(out, "weir_reload_last_time_seconds", "gauge", "When the last reload (or the start) was, since 1970.");
    expo_us(out, "weir_reload_last_time_seconds", NULL, 0, changes.last_ms * 1000);
}

static void put_http2(struct out *out)
{
    static const str kinds[H2_ABUSE_COUNT] = {
        [H2_ABUSE_NONE] = { "", 0 },
#define X(id, name, doc) [H2_ABUSE_##id] = { name, sizeof(name) - 1 },
        H2_ABUSES(X)
#undef X
    };
    struct figures sum = figures_sum();

    put_one(out, "weir_http2_connections_total", "counter", "Client connections that spoke HTTP/2.",
            sum.h2_connections);
    put_one(out, "weir_http2_stalls_total", "counter", "HTTP/2 streams reset because the client took nothing in time.",
            sum.h2_stalls);
    expo_family(out, "weir_http2_abuses_total", "counter", "HTTP/2 connections ended for too much of something.");
    for (unsigned i = H2_ABUSE_NONE + 1; i < H2_ABUSE_COUNT; i++) {
        const struct expo_label kind = { "kind", kinds[i] };
        expo_u64(out, "weir_http2_abuses_total", &kind, 1, sum.h2_abuses[i]);
    }
}

void metrics_put_server(struct out *out, const struct snapshot *snapshot)
{
    const struct expo_label version = { "version", S(WEIR_VERSION) };

    expo_family(out, "weir_build_info", "gauge", "1, for the version that serves.");
    expo_u64(out, "weir_build_info", &version, 1, 1);
    put_changes(out);
    put_workers(out);
    put_overload(out, snapshot);
    put_http2(out);
    put_one(out, "weir_requests_started_total", "counter",
            "Requests that began; those that have ended are in weir_requests_total.", figures_sum().requests);
}

/* -- sites --------------------------------------------------------------------------------------------------------- */

void metrics_put_sites(struct out *out, const struct site_figures *sites, uint32_t count)
{
    static const str codes[] = { { "none", 4 }, { "1xx", 3 }, { "2xx", 3 }, { "3xx", 3 }, { "4xx", 3 }, { "5xx", 3 } };

    expo_family(out, "weir_requests_total", "counter",
                "Requests that have ended, by site and by the class of the answer's status; none: without an answer.");
    for (uint32_t i = 0; i < count; i++)
        for (unsigned k = 0; k < 6; k++) {
            const struct expo_label labels[] = { { "site", sites[i].name }, { "code", codes[k] } };
            expo_u64(out, "weir_requests_total", labels, 2, sites[i].sums[SITE_ENDED + k]);
        }
    expo_family(out, "weir_request_duration_seconds", "histogram",
                "From a request's first byte to the last one of its answer.");
    for (uint32_t i = 0; i < count; i++) {
        const struct expo_label label = { "site", sites[i].name };
        expo_latency(out, "weir_request_duration_seconds", &label, 1, &sites[i].sums[SITE_DURATION]);
    }
    expo_family(out, "weir_received_bytes_total", "counter",
                "Of requests that have ended, heads and framing included.");
    for (uint32_t i = 0; i < count; i++) {
        const struct expo_label label = { "site", sites[i].name };
        expo_u64(out, "weir_received_bytes_total", &label, 1, sites[i].sums[SITE_BYTES_IN]);
    }
    expo_family(out, "weir_sent_bytes_total", "counter", "Of requests that have ended, heads and framing included.");
    for (uint32_t i = 0; i < count; i++) {
        const struct expo_label label = { "site", sites[i].name };
        expo_u64(out, "weir_sent_bytes_total", &label, 1, sites[i].sums[SITE_BYTES_OUT]);
    }
}

/* -- modules ------------------------------------------------------------------------------------------------------- */

static bool is_counted(enum stage stage)
{
    return stage_shape(stage) != SHAPE_TRANSPORT && stage_shape(stage) != SHAPE_BALANCE;
}

static bool has_hook_at(const weir_mod *mod, enum stage stage)
{
    for (uint32_t i = 0; mod->cost_base && i < mod->desc.hooks.count; i++)
        if (stage_of(module_hook(mod, i)->stage) == stage)
            return true;
    return false;
}

static void put_costs(struct out *out, weir_mod *const *mods, uint32_t count, bool time)
{
    for (uint32_t i = 0; i < count; i++)
        for (unsigned stage = 0; stage < STAGE_COUNT; stage++) {
            if (!is_counted((enum stage)stage) || !has_hook_at(mods[i], (enum stage)stage))
                continue;
            struct cost cost = cost_sum(mods[i], (enum stage)stage);
            const struct expo_label labels[] = { { "module", mods[i]->name },
                                                 { "stage", stage_name((enum stage)stage) } };
            if (time)
                expo_ns(out, "weir_module_seconds_total", labels, 2, cost.ns);
            else
                expo_u64(out, "weir_module_calls_total", labels, 2, cost.calls);
        }
}

static void put_declared(struct out *out, const weir_mod *mod)
{
    for (uint32_t i = 0; i < mod->desc.metrics.count; i++) {
        const struct weir_metric *metric = (const struct weir_metric *)(const void *)(
            (const char *)mod->desc.metrics.base + (size_t)i * mod->desc.metrics.stride);
        char name[128];
        snprintf(name, sizeof(name), "weir_%s_%s", mod->desc.name, metric->name);
        for (char *p = name; *p; p++)
            if (*p == '-')
                *p = '_';
        expo_family(out, name, metric->kind == WEIR_GAUGE ? "gauge" : "counter", metric->doc);
        expo_i64(out, name, NULL, 0, metric_sum(mod, i));
    }
}

void metrics_put_modules(struct out *out, weir_mod *const *mods, uint32_t count)
{
    expo_family(out, "weir_module_quarantined", "gauge", "1 for a module that is kept from running after crashes.");
    for (uint32_t i = 0; i < count; i++) {
        const struct expo_label label = { "module", mods[i]->name };
        if (mods[i]->path.n) /* what is built in is never kept from running */
            expo_u64(out, "weir_module_quarantined", &label, 1, mods[i]->quarantine != NULL);
    }
    expo_family(out, "weir_would_refuse_total", "counter", "Refusals that `enforce off` let through.");
    for (uint32_t i = 0; i < count; i++) {
        const struct expo_label label = { "module", mods[i]->name };
        uint64_t let_through = __atomic_load_n(&mods[i]->would_refuse, __ATOMIC_RELAXED);
        if (module_decides(mods[i]))
            expo_u64(out, "weir_would_refuse_total", &label, 1, let_through);
    }
    expo_family(out, "weir_module_calls_total", "counter", "Calls of a module's hooks.");
    put_costs(out, mods, count, false);
    expo_family(out, "weir_module_seconds_total", "counter",
                "Time in a module's hooks: one request in 64 is timed, and its time counts 64 times.");
    put_costs(out, mods, count, true);
    for (uint32_t i = 0; i < count; i++)
        put_declared(out, mods[i]);
}
