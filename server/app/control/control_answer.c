/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/control/control_answer.h"

#include "base/clock.h"
#include "base/mem.h"
#include "pipeline/metrics.h"
#include "pipeline/module.h"
#include "pipeline/notes.h"
#include "pipeline/quarantine.h"
#include "pipeline/overload.h"
#include "upstream/changes.h"

#include <weir/log.h>

#include <unistd.h>

enum { ROOM_FIRST = 4096, ROOM_MOST = 16 * 1024 * 1024 };

bool answer_make(struct out *out, void (*write)(struct out *out, const void *arg), const void *arg)
{
    for (size_t room = ROOM_FIRST; room <= ROOM_MOST; room *= 4) {
        *out = (struct out){ .p = mem_alloc(room), .room = room };
        if (!out->p)
            return false;
        write(out, arg);
        if (!out->full)
            return true;
        mem_free(out->p);
    }
    *out = (struct out){ 0 };
    return false;
}

/* -- pieces: each member but the first brings its comma ------------------------------------------------------------ */

static void put_name(struct out *out, const char *name)
{
    char before = out->n ? out->p[out->n - 1] : '{';

    if (before != '{' && before != '[')
        out_char(out, ',');
    out_json_str(out, str_of(name));
    out_char(out, ':');
}

static void put_u64(struct out *out, const char *name, uint64_t value)
{
    put_name(out, name);
    out_u64(out, value);
}

static void put_bool(struct out *out, const char *name, bool value)
{
    put_name(out, name);
    out_str(out, value ? S("true") : S("false"));
}

static void put_str(struct out *out, const char *name, str value)
{
    put_name(out, name);
    out_json_str(out, value);
}

static void put_str_or_null(struct out *out, const char *name, str value)
{
    if (value.n) {
        put_str(out, name, value);
        return;
    }
    put_name(out, name);
    out_str(out, S("null"));
}

static void next_item(struct out *out)
{
    if (out->n && out->p[out->n - 1] != '[')
        out_char(out, ',');
}

static void put_hooks(struct out *out, const weir_mod *mod)
{
    put_name(out, "stages");
    out_char(out, '[');
    for (uint32_t i = 0; i < mod->desc.hooks.count; i++) {
        next_item(out);
        out_json_str(out, stage_name(stage_of(module_hook(mod, i)->stage)));
    }
    out_char(out, ']');
}

static void put_directives(struct out *out, const weir_mod *mod)
{
    const char *at = mod->desc.directives.base;

    put_name(out, "directives");
    out_char(out, '[');
    for (uint32_t i = 0; i < mod->desc.directives.count; i++, at += mod->desc.directives.stride) {
        next_item(out);
        out_json_str(out, str_of(((const struct weir_directive *)(const void *)at)->name));
    }
    out_char(out, ']');
}

static void put_cost(struct out *out, const weir_mod *mod)
{
    struct cost cost = cost_sum(mod, STAGE_NONE);

    put_u64(out, "calls", cost.calls);
    put_u64(out, "time_us", cost.ns / 1000);
}

static void put_modules(struct out *out, bool in_full)
{
    put_name(out, "modules");
    out_char(out, '[');
    for (uint32_t i = 0; i < modules.count; i++) {
        const weir_mod *mod = modules.all[i];
        next_item(out);
        out_char(out, '{');
        put_str(out, "name", mod->name);
        put_str(out, "version", str_of(mod->desc.version));
        put_str_or_null(out, "path", mod->path); /* null: built in */
        put_cost(out, mod);
        if (in_full) {
            put_str(out, "summary", str_of(mod->desc.summary));
            put_str(out, "license", str_of(mod->desc.license));
            put_u64(out, "abi_major", mod->desc.abi_major);
            put_u64(out, "abi_minor", mod->desc.abi_minor);
            put_hooks(out, mod);
            put_directives(out, mod);
        }
        out_char(out, '}');
    }
    out_char(out, ']');
}

static void put_site(str name, const struct tally *tally, void *arg)
{
    struct out *out = arg;

    next_item(out);
    out_char(out, '{');
    put_str(out, "name", name);
    put_u64(out, "requests", site_requests(tally));
    put_u64(out, "errors", tally_sum_of(tally, SITE_ENDED + 5));
    out_char(out, '}');
}

static void put_sites(struct out *out, const struct configuration *c)
{
    put_name(out, "sites");
    out_char(out, '[');
    configuration_each_site(c, put_site, out);
    out_char(out, ']');
}

static void put_overload(struct out *out, const struct configuration *c)
{
    struct overload_figures figures = overload_figures(c && c->snapshot ? c->snapshot->top_plan->core : NULL);

    put_name(out, "overload");
    out_char(out, '{');
    put_u64(out, "max_connections", figures.max_connections);
    put_u64(out, "per_client", figures.per_client);
    put_u64(out, "max_memory", figures.max_memory);
    put_u64(out, "memory", figures.memory);
    put_u64(out, "connections_refused", figures.refused);
    put_u64(out, "idle_closed", figures.idle_closed);
    put_u64(out, "requests_shed", figures.shed);
    put_u64(out, "accept_pauses", figures.pauses);
    put_u64(out, "accept_failures", figures.stalls);
    out_char(out, '}');
}

static const char *server_word(const struct server *server)
{
    static const char *const words[] = { "up", "trial", "full", "out", "down" };
    enum server_word word = server_state_word(server->state, &server->rules);

    return server->down ? "down" : server->draining && word <= SERVER_FULL ? "draining" : words[word];
}

static bool is_down_in_file(const struct weir_upstream *first, const struct server *server)
{
    for (uint32_t i = 0; i < first->server_count; i++)
        if (str_equal(first->servers[i].name, server->name))
            return first->servers[i].down;
    return false;
}

/* Of one that gets no requests, or not all of its part. */
static str server_reason(const struct weir_upstream *first, const struct server *server, const char *word)
{
    const char *why = atomic_load(&server->state->why);

    if (strcmp(word, "up") == 0 || strcmp(word, "full") == 0)
        return STR_NONE;
    if (server->down)
        return is_down_in_file(first, server) ? S("configured") : S("set at run time");
    return strcmp(word, "draining") == 0 ? S("set at run time") : str_of(why ? why : "");
}

static void put_server(struct out *out, const struct weir_upstream *first, const struct server *server)
{
    struct server_state *state = server->state;
    const char *word = server_word(server);

    next_item(out);
    out_char(out, '{');
    put_str(out, "name", server->name);
    put_str(out, "state", str_of(word));
    put_str_or_null(out, "reason", server_reason(first, server, word));
    put_u64(out, "weight", server->weight);
    put_bool(out, "backup", server->backup);
    put_u64(out, "active", atomic_load(&state->active));
    put_u64(out, "requests", atomic_load(&state->requests));
    put_u64(out, "failures", atomic_load(&state->failures));
    out_char(out, '}');
}

/* What differs from the files. */
static void put_changes(struct out *out, const struct weir_upstream *first)
{
    str rest = first->now ? changes_told(first) : STR_NONE, order;

    put_name(out, "changes");
    out_char(out, '[');
    while (str_split(&rest, '\t', &order)) {
        next_item(out);
        out_json_str(out, order);
    }
    out_char(out, ']');
}

static void put_upstream(struct out *out, const struct weir_upstream *first)
{
    const struct weir_upstream *u = upstream_now((struct weir_upstream *)(uintptr_t)first);

    put_str(out, "name", u->name);
    put_name(out, "servers");
    out_char(out, '[');
    for (uint32_t i = 0; i < u->server_count; i++)
        put_server(out, first, &u->servers[i]);
    out_char(out, ']');
    put_changes(out, first);
}

/* The last one made stands first in the list: told in the order of the file. */
static void put_upstreams(struct out *out, const struct weir_upstream *all)
{
    uint32_t count = 0;

    for (const struct weir_upstream *u = all; u; u = u->next)
        count++;
    put_name(out, "upstreams");
    out_char(out, '[');
    while (count--) {
        const struct weir_upstream *u = all;
        for (uint32_t i = 0; i < count; i++)
            u = u->next;
        next_item(out);
        out_char(out, '{');
        put_upstream(out, u);
        out_char(out, '}');
    }
    out_char(out, ']');
}

/* -- whole answers ------------------------------------------------------------------------------------------------- */

/* What does not run, why, and what helps. */
static void put_quarantine(struct out *out)
{
    put_name(out, "quarantine");
    out_char(out, '[');
    for (uint32_t i = 0; i < modules.count; i++) {
        const weir_mod *mod = modules.all[i];
        if (!mod->quarantine)
            continue;
        next_item(out);
        out_char(out, '{');
        put_str(out, "module", mod->name);
        put_str(out, "build", mod->build);
        put_str(out, "path", mod->path);
        put_str(out, "reason", str_of(mod->quarantine->why));
        put_str(out, "cure", S("replace the file and weir reload, or weir unquarantine NAME"));
        out_char(out, '}');
    }
    out_char(out, ']');
}

struct notes_told {
    struct out *out;
    const weir_mod *mod;
};

static void put_note(const struct note *note, void *notes_told)
{
    const struct notes_told *told = notes_told;

    next_item(told->out);
    out_char(told->out, '{');
    put_str(told->out, "module", told->mod->name);
    put_str(told->out, "subject", str_of(note->subject));
    put_bool(told->out, "warning", note->level >= WEIR_LOG_WARN);
    put_str(told->out, "text", str_of(note->text));
    out_char(told->out, '}');
}

static void put_notes(struct out *out)
{
    put_name(out, "notes");
    out_char(out, '[');
    for (uint32_t i = 0; i < modules.count; i++)
        notes_walk(modules.all[i], put_note, &(struct notes_told){ out, modules.all[i] });
    out_char(out, ']');
}

static void put_configuration(struct out *out, const struct configuration *c)
{
    if (c->tree && c->tree->sources)
        put_str(out, "configuration", c->tree->sources->path);
    put_u64(out, "shutdown_timeout_ms", c->settings.shutdown_timeout);
    put_name(out, "listen");
    out_char(out, '[');
    for (uint32_t i = 0; i < c->listen_count; i++) {
        next_item(out);
        out_char(out, '{');
        put_str(out, "address", c->listens[i].point->key);
        put_bool(out, "tls", c->listens[i].is_tls);
        out_char(out, '}');
    }
    out_char(out, ']');
}

void answer_status(struct out *out, const void *server_status)
{
    const struct server_status *s = server_status;
    char room[CLOCK_ROOM];
    uint64_t now = clock_wall_ms();

    out_char(out, '{');
    put_str(out, "version", S(WEIR_VERSION));
    put_u64(out, "pid", (uint64_t)getpid());
    put_str(out, "started", clock_format(CLOCK_ISO8601, s->started_ms / 1000, room));
    put_u64(out, "uptime", now > s->started_ms ? (now - s->started_ms) / 1000 : 0);
    put_u64(out, "workers", s->workers);
    put_u64(out, "generation", s->generation);
    put_u64(out, "snapshots_alive", s->snapshots);
    put_u64(out, "reloads", s->reloads);
    put_u64(out, "failed_reloads", s->failed_reloads);
    put_u64(out, "connections", s->connections);
    put_u64(out, "accepted", s->accepted);
    put_u64(out, "requests", s->requests);
    put_overload(out, s->configuration);
    put_bool(out, "draining", s->draining);
    put_bool(out, "stopping", s->stopping);
    if (s->configuration)
        put_configuration(out, s->configuration);
    if (s->configuration && s->configuration->snapshot)
        put_sites(out, s->configuration);
    put_upstreams(out, s->upstreams);
    put_quarantine(out);
    put_notes(out);
    put_modules(out, false);
    out_str(out, S("}\n"));
}

void answer_modules(struct out *out, const void *unused)
{
    (void)unused;
    out_char(out, '{');
    put_modules(out, true);
    out_str(out, S("}\n"));
}

void answer_reload(struct out *out, const void *reload_answer)
{
    const struct reload_answer *reload = reload_answer;

    out_char(out, '{');
    put_bool(out, "ok", reload->ok);
    put_u64(out, "generation", reload->generation);
    put_str(out, reload->ok ? "warnings" : "errors", reload->text);
    out_str(out, S("}\n"));
}

void answer_upstream(struct out *out, const void *upstream_answer)
{
    const struct upstream_answer *answer = upstream_answer;

    out_char(out, '{');
    put_upstream(out, answer->upstream);
    if (answer->is_order)
        put_str_or_null(out, "warning", answer->warning);
    out_str(out, S("}\n"));
}

void answer_upstreams(struct out *out, const void *all)
{
    out_char(out, '{');
    put_upstreams(out, all);
    out_str(out, S("}\n"));
}

void answer_error(struct out *out, const void *text)
{
    out_char(out, '{');
    put_str(out, "error", str_of(text));
    out_str(out, S("}\n"));
}
