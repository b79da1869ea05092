/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/request.h"

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/crumb.h"
#include "pipeline/fetch.h"
#include "pipeline/metrics.h"
#include "pipeline/overload.h"
#include "pipeline/run.h"
#include "pipeline/session.h"
#include "pipeline/suspension.h"
#include "pipeline/trace.h"

enum { REQUEST_CHUNK = 8 * 1024, REQUEST_CAP = 4 * 1024 * 1024 };

/* -- memory -------------------------------------------------------------------------------------------------------- */

static struct arena *arena_take(struct pipeline_worker *pw)
{
    if (pw->spare_count)
        return pw->spare_arenas[--pw->spare_count];
    return arena_create(REQUEST_CHUNK, REQUEST_CAP);
}

static void arena_give(struct pipeline_worker *pw, struct arena *arena)
{
    arena_reset(arena);
    if (pw->spare_count < sizeof(pw->spare_arenas) / sizeof(pw->spare_arenas[0]))
        pw->spare_arenas[pw->spare_count++] = arena;
    else
        arena_destroy(arena);
}

static void request_free(struct deferred *deferred)
{
    struct weir_req *r = list_entry(deferred, struct weir_req, ended);
    struct snapshot *snapshot = r->snapshot;

    body_clear(&r->up);
    body_clear(&r->down);
    chain_clear(&r->reply);
    arena_give(pipeline_worker_self(), r->arena);
    snapshot_release(snapshot);
}

/* All modules' contexts at once: no hook looks whether it has one. */
static bool ctx_create(struct weir_req *r, struct arena *arena)
{
    uint32_t size = __atomic_load_n(&modules.ctx_size, __ATOMIC_RELAXED);

    return size == 0 || (r->ctx = arena_zalloc(arena, size)) != NULL;
}

struct weir_req *request_create(struct weir_conn *conn, const struct codec_calls *codec, void *stream)
{
    struct pipeline_worker *pw = pipeline_worker_self();
    struct arena *arena = arena_take(pw);
    struct weir_req *r = arena ? arena_new(arena, struct weir_req) : NULL;
    struct snapshot *snapshot = r && ctx_create(r, arena) ? snapshot_take() : NULL;

    if (!snapshot) {
        if (arena)
            arena_give(pw, arena);
        return NULL;
    }
    r->arena = arena;
    r->conn = conn;
    r->codec = codec;
    r->stream = stream;
    r->snapshot = snapshot;
    r->plan = snapshot->top_plan;
    r->tally = snapshot->no_site;
    r->is_timed = cost_is_timed(pw);
    r->number = ((uint64_t)pw->index << 48) | ++pw->next_request;
    r->started_us = clock_us();
    r->scheme = conn->is_tls ? S("https") : S("http");
    fields_init(&r->fields, arena);
    fields_init(&r->trailers, arena);
    fields_init(&r->rsp, arena);
    fields_init(&r->rsp_trailers, arena);
    fields_init(&r->up_fields, arena);
    body_init(&r->up, r);
    body_init(&r->down, r);
    chain_init(&r->reply);
    list_init(&r->fetches);
    deferred_init(&r->ended, request_free);
    return r;
}

void request_discard(struct weir_req *r)
{
    r->ending = true;
    worker_defer(&r->ended);
}

void *request_ctx(struct weir_req *r, const weir_mod *mod)
{
    if (mod->desc.ctx_size == 0)
        return NULL;
    if (!r->ctx) {
        r->ctx = arena_zalloc(r->arena, __atomic_load_n(&modules.ctx_size, __ATOMIC_RELAXED));
        if (!r->ctx)
            return NULL;
    }
    return r->ctx + mod->ctx_offset;
}

/* -- from the codec ------------------------------------------------------------------------------------------------ */

/* Before any hook of the request's stages: it costs next to nothing. */
static void shed(struct weir_req *r)
{
    r->is_shed = true;
    r->up.in_end = true;
    fields_append(&r->rsp, FIELD_RETRY_AFTER, S("Retry-After"), S("1"));
    request_refuse(r, 503, "too much memory in use");
    response_start_reply(r);
}

void request_take_head(struct weir_req *r, const struct h1_request *head)
{
    r->method = head->method;
    r->uri = head->uri;
    r->host = head->host;
    r->host_port = head->host_port;
    r->host_field = head->host_field;
    r->version = 10 + head->minor;
    r->body_kind = head->body;
    r->content_length = head->content_length;
    r->is_head = str_equal(head->method, S("HEAD"));
    r->expects_continue = head->expects_continue && head->body != BODY_NONE;
    r->upgrade = head->upgrade;
}

void request_start(struct weir_req *r)
{
    figure_add(&pipeline_worker_self()->requests_total, 1);
    if (!request_identify(r)) {
        request_refuse(r, 500, "no memory");
        response_start_reply(r);
        return;
    }
    if (__builtin_expect(r->snapshot->is_traced, 0))
        trace_begin(r);
    if (!r->is_dry && overload_sheds(r)) {
        shed(r);
        return;
    }
    if (r->body_kind == BODY_NONE || (r->body_kind == BODY_LENGTH && r->content_length == 0))
        r->up.in_end = true;
    request_enter(r, STAGE_IDENTIFY);
    request_run(r);
}

void request_bad(struct weir_req *r, int status, const char *why)
{
    figure_add(&pipeline_worker_self()->requests_total, 1);
    if (request_identify(r) && r->snapshot->is_traced)
        trace_begin(r);
    r->up.in_end = true;
    log_info("client %.*s: %s (%d)", STR_ARG(client_address_text(r)), why, status);
    request_refuse(r, status, why);
    response_start_reply(r);
}

static bool body_is_too_large(struct weir_req *r)
{
    uint64_t most = r->plan->core->max_body;

    return most != 0 && r->route_of && r->up.pushed > most;
}

void request_body(struct weir_req *r, struct chain *chain, bool end)
{
    if (r->ending) {
        chain_clear(chain);
        return;
    }
    if (r->phase != PHASE_TUNNEL && (r->aborted || (r->answered && !r->from_origin))) {
        chain_clear(chain); /* an answer of our own stands: nobody wants the rest */
        return;
    }
    body_push(&r->up, chain, end, false);
    if (r->phase != PHASE_TUNNEL && body_is_too_large(r)) {
        request_origin_failed(r, 413, "request body over max_body");
        return;
    }
    if (r->up.failed) {
        request_origin_failed(r, 503, r->up.why);
        return;
    }
    if (r->wait_body && !r->suspension)
        request_run(r);
    else if (r->origin_started && !r->origin_abandoned)
        r->origin->more_body(r);
}

void request_broken_body(struct weir_req *r, int status, const char *why)
{
    if (r->ending)
        return;
    log_info("client %.*s: %s (%d)", STR_ARG(client_address_text(r)), why, status);
    request_origin_failed(r, status, why);
}

void request_drained(struct weir_req *r)
{
    if (r->ending || !r->head_sent)
        return;
    body_run(&r->down, false);
    response_pump(r);
    if (!r->ending && r->origin_started && !r->origin_abandoned && body_room(&r->down) > 0)
        r->origin->more_room(r);
}

void request_sent(struct weir_req *r)
{
    if (r->ending)
        return;
    r->phase = PHASE_SENT;
    request_finish(r);
}

void request_gone(struct weir_req *r, const char *why)
{
    if (r->ending)
        return;
    r->aborted = true;
    if (!r->error_text.n)
        r->error_text = str_of(why);
    if (!r->head_sent)
        r->status = 499; /* nobody is there to read one: the log's mark for it */
    request_finish(r);
}

void request_timed_out(struct weir_req *r, int status, const char *why)
{
    if (r->ending)
        return;
    log_info("client %.*s: %s", STR_ARG(client_address_text(r)), why);
    request_origin_failed(r, status, why);
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

void request_abandon_origin(struct weir_req *r)
{
    if (!r->origin || r->origin_abandoned)
        return;
    r->origin_abandoned = true;
    if (r->origin_started)
        r->origin->abandon(r);
}

void request_forget_suspension(struct weir_req *r)
{
    if (!r->suspension)
        return;
    suspension_cancel(r->suspension);
    r->suspension = NULL;
}

static void request_log(struct weir_req *r)
{
    const struct steps *steps = &r->plan->stages[STAGE_LOG];
    struct pipeline_worker *pw = pipeline_worker_self();

    r->stage = STAGE_LOG;
    for (uint32_t i = 0; i < steps->count; i++) {
        const struct step *step = &steps->at[i];
        r->calling = step;
        crumb_enter(pw, step->mod, STAGE_LOG, r);
        uint64_t since = cost_begin(pw, step, r->is_timed);
        step->hook->req(r, step->conf, request_ctx(r, step->mod));
        cost_end(pw, step, since);
        crumb_leave(pw);
    }
    r->calling = NULL;
}

void request_finish(struct weir_req *r)
{
    if (r->ending)
        return;
    r->ending = true;
    request_forget_suspension(r);
    fetches_cancel(r);
    request_abandon_origin(r);
    r->codec->done(r); /* sets the final figures */
    if (!r->is_dry)
        site_count(r);
    request_log(r);
    if (trace_is_on(r))
        trace_end(r);
    worker_defer(&r->ended);
}

/* -- small answers about a request --------------------------------------------------------------------------------- */

static int variable_get(void *subject, const struct variable *variable, str rest, str *value)
{
    return request_variable(subject, variable, rest, value);
}

int request_variable(struct weir_req *r, const struct variable *variable, str rest, str *value)
{
    if (variable->is_volatile || variable->is_prefix)
        return variable->get(r, variable, rest, value);
    if (!r->cached) {
        uint32_t count = r->snapshot->variables->all.count;
        r->cached = arena_array(r->arena, str, count);
        if (!r->cached)
            return variable->get(r, variable, rest, value);
    }
    str *cached = &r->cached[variable->index];
    if (!cached->p) {
        str fresh = STR_NONE;
        if (variable->get(r, variable, rest, &fresh) != 0)
            return -1;
        *cached = fresh.p ? fresh : S("");
    }
    *value = *cached;
    return 0;
}

str request_eval(struct weir_req *r, const weir_tmpl *tmpl)
{
    return template_eval(tmpl, variable_get, r, r->arena, 64 * 1024);
}

str request_uri_text(struct weir_req *r)
{
    if (!r->uri.has_query)
        return r->uri.path;
    str parts[] = { r->uri.path, S("?"), r->uri.query };
    return arena_concat(r->arena, parts, 3);
}

str client_address_text(struct weir_req *r)
{
    char room[ADDR_TEXT];

    return arena_str(r->arena, addr_ip_text(r->client, room));
}

struct fields *request_upstream_fields(struct weir_req *r)
{
    return r->up_head_open ? &r->up_fields : NULL;
}
