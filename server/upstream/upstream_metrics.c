/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/upstream_metrics.h"

#include "base/mem.h"
#include "pipeline/exposition.h"
#include "upstream/server_figures.h"

enum { UPSTREAMS_TOLD = 1000, SERVERS_TOLD = 1000 };

struct line { /* one server and what was counted of it */
    const struct weir_upstream *upstream;
    const struct server *server;
    uint64_t sums[SERVER_COUNTERS];
};
struct lines {
    struct out *out;
    const struct weir_upstream **upstreams;
    uint32_t upstream_count;
    struct line *at;
    uint32_t count;
};

/* The files' order: the last one made stands first in the list. */
static bool list_upstreams(struct lines *lines, const struct weir_upstream *all)
{
    for (const struct weir_upstream *u = all; u; u = u->next)
        lines->upstream_count++;
    lines->upstreams = mem_array(lines->upstream_count, sizeof(*lines->upstreams));
    uint32_t left = lines->upstreams ? lines->upstream_count : 0;
    for (const struct weir_upstream *u = all; u && left; u = u->next) /* as it was changed at run time */
        lines->upstreams[--left] = upstream_now((struct weir_upstream *)(uintptr_t)u);
    if (lines->upstream_count > UPSTREAMS_TOLD)
        lines->upstream_count = UPSTREAMS_TOLD;
    return lines->upstreams != NULL;
}

/* A server that stands twice in an upstream has one state, and one row. */
static bool is_twin(const struct weir_upstream *u, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (u->servers[k].state == u->servers[i].state)
            return true;
    return false;
}

static void read_upstream(struct lines *lines, const struct weir_upstream *u)
{
    for (uint32_t i = 0; i < u->server_count && lines->count < SERVERS_TOLD; i++) {
        struct line *line = &lines->at[lines->count];
        if (is_twin(u, i))
            continue;
        line->upstream = u;
        line->server = &u->servers[i];
        tally_sum(line->server->state->tally, line->sums);
        lines->count++;
    }
}

static bool read_lines(struct lines *lines, const struct weir_upstream *all)
{
    uint32_t servers = 0;

    if (!list_upstreams(lines, all))
        return false;
    for (uint32_t i = 0; i < lines->upstream_count; i++)
        servers += lines->upstreams[i]->server_count;
    lines->at = mem_array(servers < SERVERS_TOLD ? servers : SERVERS_TOLD, sizeof(*lines->at));
    for (uint32_t i = 0; lines->at && i < lines->upstream_count; i++)
        read_upstream(lines, lines->upstreams[i]);
    return lines->at != NULL;
}

/* -- families ------------------------------------------------------------------------------------------------------ */

enum { OWN_LABELS = 2 };

static void put_server_labels(const struct line *line, struct expo_label *labels)
{
    labels[0] = (struct expo_label){ "upstream", line->upstream->name };
    labels[1] = (struct expo_label){ "server", line->server->name };
}

static void put_counter(const struct lines *lines, const char *name, const char *help, uint32_t cell)
{
    expo_family(lines->out, name, "counter", help);
    for (uint32_t i = 0; i < lines->count; i++) {
        struct expo_label labels[OWN_LABELS];
        put_server_labels(&lines->at[i], labels);
        expo_u64(lines->out, name, labels, OWN_LABELS, lines->at[i].sums[cell]);
    }
}

/* One sample for each of `count` cells, told apart by a label. */
static void put_counters(const struct lines *lines, const char *name, const char *help, const char *label,
                         const char *const *values, uint32_t cell, uint32_t count)
{
    expo_family(lines->out, name, "counter", help);
    for (uint32_t i = 0; i < lines->count; i++)
        for (uint32_t k = 0; k < count; k++) {
            struct expo_label labels[OWN_LABELS + 1];
            put_server_labels(&lines->at[i], labels);
            labels[OWN_LABELS] = (struct expo_label){ label, str_of(values[k]) };
            expo_u64(lines->out, name, labels, OWN_LABELS + 1, lines->at[i].sums[cell + k]);
        }
}

static void put_latency(const struct lines *lines, const char *name, const char *help, uint32_t cell)
{
    expo_family(lines->out, name, "histogram", help);
    for (uint32_t i = 0; i < lines->count; i++) {
        struct expo_label labels[OWN_LABELS];
        put_server_labels(&lines->at[i], labels);
        expo_latency(lines->out, name, labels, OWN_LABELS, &lines->at[i].sums[cell]);
    }
}

static void put_value(const struct lines *lines, const char *name, const char *kind, const char *help,
                      uint64_t (*value)(const struct line *line))
{
    expo_family(lines->out, name, kind, help);
    for (uint32_t i = 0; i < lines->count; i++) {
        struct expo_label labels[OWN_LABELS];
        put_server_labels(&lines->at[i], labels);
        expo_u64(lines->out, name, labels, OWN_LABELS, value(&lines->at[i]));
    }
}

static uint64_t requests_of(const struct line *line)
{
    return atomic_load_explicit(&line->server->state->requests, memory_order_relaxed);
}

static uint64_t active_of(const struct line *line)
{
    return atomic_load_explicit(&line->server->state->active, memory_order_relaxed);
}

static uint64_t of_pool(const struct line *line, unsigned figure)
{
    struct tally *pool = pool_tally(line->server->key);
    uint64_t sum = tally_sum_of(pool, figure);

    tally_release(pool);
    return sum;
}

static uint64_t idle_of(const struct line *line)
{
    return of_pool(line, POOL_IDLE);
}

static uint64_t links_of(const struct line *line)
{
    return of_pool(line, POOL_LINKS);
}

static uint64_t streams_of(const struct line *line)
{
    return of_pool(line, POOL_STREAMS);
}

static const char *const stands[] = { "up", "trial", "full", "out", "checked_down", "draining", "down" };
enum { STAND_DRAINING = 5, STAND_DOWN, STANDS };

static unsigned stand_of(const struct server *server)
{
    enum server_word word = server_state_word(server->state, &server->rules);

    if (server->down)
        return STAND_DOWN;
    if (server->draining && word <= SERVER_FULL)
        return STAND_DRAINING;
    switch (word) {
    case SERVER_IN: return 0;
    case SERVER_TRIAL: return 1;
    case SERVER_FULL: return 2;
    case SERVER_OUT: return 3;
    case SERVER_CHECKED_DOWN: return 4;
    }
    return STAND_DOWN;
}

static void put_states(const struct lines *lines)
{
    static const char name[] = "weir_upstream_server_state";

    expo_family(lines->out, name, "gauge",
                "1 for the state a server is in: up; trial: tried again after failures; full: max_conns; out: for its "
                "failures; checked_down: by health_check; draining; down: by configuration or at run time.");
    for (uint32_t i = 0; i < lines->count; i++)
        for (unsigned k = 0; k < STANDS; k++) {
            struct expo_label labels[OWN_LABELS + 1];
            put_server_labels(&lines->at[i], labels);
            labels[OWN_LABELS] = (struct expo_label){ "state", str_of(stands[k]) };
            expo_u64(lines->out, name, labels, OWN_LABELS + 1, stand_of(lines->at[i].server) == k);
        }
}

static void put_servers(const struct lines *lines)
{
    static const char *const codes[] = { "1xx", "2xx", "3xx", "4xx", "5xx" };
    static const char *const results[] = { "good", "bad" };

    put_value(lines, "weir_upstream_requests_total", "counter", "Requests given to a server, repeated ones included.",
              requests_of);
    put_counters(lines, "weir_upstream_responses_total", "Response heads, by the class of their status.", "code", codes,
                 SERVER_ANSWERED, 5);
    put_counters(lines, "weir_upstream_failures_total", "Requests that a server failed, by how it did.", "kind",
                 server_failure_names, SERVER_FAILED, FAILED_KINDS);
    put_counter(lines, "weir_upstream_retries_total", "Requests that came here after another server failed them.",
                SERVER_RETRIES);
    put_counter(lines, "weir_upstream_connections_total", "Connections made for requests.", SERVER_CONNECTED);
    put_counter(lines, "weir_upstream_connections_reused_total", "Requests that went over an idle connection.",
                SERVER_REUSED);
    put_counters(lines, "weir_upstream_checks_total", "Active health checks.", "result", results, SERVER_CHECKS_GOOD,
                 2);
    put_latency(lines, "weir_upstream_connect_seconds", "Until a new connection was ready, with its name and TLS.",
                SERVER_CONNECT_TIME);
    put_latency(lines, "weir_upstream_response_seconds", "From the choice of the server to its response's head.",
                SERVER_RESPONSE_TIME);
    put_value(lines, "weir_upstream_active", "gauge", "Requests under way.", active_of);
    put_value(lines, "weir_upstream_idle_connections", "gauge",
              "Idle connections; upstreams that name the same server have them in common.", idle_of);
    put_value(lines, "weir_upstream_http2_connections", "gauge",
              "HTTP/2 connections, idle ones too; upstreams that name the same server have them in common.", links_of);
    put_value(lines, "weir_upstream_http2_streams", "gauge", "Streams on them.", streams_of);
    put_states(lines);
}

/* -- upstreams ----------------------------------------------------------------------------------------------------- */

static void put_upstreams(const struct lines *lines)
{
    static const char *const reasons[] = { "full", "none" };
    struct out *out = lines->out;

    expo_family(out, "weir_upstream_queued", "gauge", "Requests that wait until a server has room.");
    for (uint32_t i = 0; i < lines->upstream_count; i++) {
        const struct expo_label label = { "upstream", lines->upstreams[i]->name };
        expo_u64(out, "weir_upstream_queued", &label, 1, tally_sum_of(lines->upstreams[i]->tally, UPSTREAM_QUEUED));
    }
    expo_family(out, "weir_upstream_refused_total", "counter",
                "Requests that no server took: all were full, or none was in service.");
    for (uint32_t i = 0; i < lines->upstream_count; i++)
        for (unsigned k = 0; k < 2; k++) {
            const struct expo_label labels[] = { { "upstream", lines->upstreams[i]->name },
                                                 { "reason", str_of(reasons[k]) } };
            uint64_t refused = tally_sum_of(lines->upstreams[i]->tally, UPSTREAM_REFUSED_FULL + k);
            expo_u64(out, "weir_upstream_refused_total", labels, 2, refused);
        }
}

bool upstream_metrics_put(struct out *out, const struct weir_upstream *all)
{
    struct lines lines = { .out = out };
    bool fine = read_lines(&lines, all);

    if (fine) {
        put_upstreams(&lines);
        put_servers(&lines);
    }
    mem_free(lines.upstreams);
    mem_free(lines.at);
    return fine;
}
