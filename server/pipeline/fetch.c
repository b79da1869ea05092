/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/fetch.h"

#include "base/mem.h"
#include "pipeline/crumb.h"
#include "pipeline/timer.h"

enum { LIMIT_DEFAULT = 64 * 1024, TIMEOUT_MOST = 60 * 60 * 1000 };

struct fetch {
    struct list link;       /* among its owner's */
    struct weir_req *child; /* the request that goes out; NULL: it has ended */
    struct weir_req *owner; /* NULL: the module's */
    weir_mod *mod;
    struct step step;       /* whose callback done is */
    weir_fetched_fn done;
    weir_mod_fetched_fn mod_done;
    void *arg;
    uint64_t limit;
    struct plan plan;       /* no hooks: only what the engine itself asks for */
    struct deadline deadline;
    struct deferred turn;
    struct chain content;
    const char *why;        /* it failed */
    bool is_whole;
};

static const struct origin_calls *fetch_origin;
static str (*upstream_path)(const weir_upstream *upstream);
static _Thread_local struct list of_modules;
static _Thread_local struct weir_conn nobody = { .is_unix = true }; /* whom a fetch for no client comes from */

void fetch_serve_by(const struct origin_calls *origin, str (*path)(const weir_upstream *upstream))
{
    fetch_origin = origin;
    upstream_path = path;
}

/* -- its end ------------------------------------------------------------------------------------------------------- */

static void cancel(struct fetch *fetch)
{
    struct weir_req *child = fetch->child;

    fetch->child = NULL;
    list_remove(&fetch->link);
    deadline_cancel(&fetch->deadline);
    list_remove(&fetch->turn.link);
    chain_clear(&fetch->content);
    if (child)
        request_gone(child, "cancelled"); /* frees the fetch too, at the end of the turn */
}

void fetches_cancel(struct weir_req *r)
{
    while (!list_is_empty(&r->fetches))
        cancel(list_entry(list_first(&r->fetches), struct fetch, link));
}

void fetches_worker_down(void)
{
    while (of_modules.next && !list_is_empty(&of_modules))
        cancel(list_entry(list_first(&of_modules), struct fetch, link));
}

static void tell_owner(struct weir_req *r, void *told)
{
    const struct fetch *fetch = ((const void **)told)[0];

    fetch->done(r, ((const void **)told)[1], fetch->arg);
}

static void tell_module(const struct fetch *fetch, const struct weir_fetched *answer)
{
    struct pipeline_worker *pw = pipeline_worker_self();

    crumb_enter(pw, fetch->mod, STAGE_NONE, NULL);
    fetch->mod_done(fetch->mod, answer, fetch->arg);
    crumb_leave(pw);
}

/* The content in one piece, as the answer shows it, to be freed. Not in the arena: limits may be larger than that. */
static char *join_content(const struct fetch *fetch)
{
    size_t n = (size_t)fetch->content.n;
    char *room = mem_alloc(n);

    if (room)
        chain_copy_out(&fetch->content, room, n);
    return room;
}

static void deliver(struct fetch *fetch)
{
    struct weir_req *child = fetch->child;
    struct weir_fetched answer = { .size = sizeof(answer), .why = fetch->why };
    char *content = fetch->why ? NULL : join_content(fetch);

    deadline_cancel(&fetch->deadline);
    list_remove(&fetch->link);
    list_remove(&fetch->turn.link);
    if (!fetch->why && !content)
        answer.why = "no memory";
    if (!answer.why) {
        answer.content = (weir_str){ content, (size_t)fetch->content.n };
        answer.status = (uint32_t)child->status;
        answer.fields = (weir_table){ child->rsp.items, child->rsp.count, sizeof(struct field) };
    }
    if (fetch->owner)
        request_call_as(fetch->owner, &fetch->step, tell_owner, (const void *[]){ fetch, &answer });
    else
        tell_module(fetch, &answer);
    mem_free(content);
    fetch->child = NULL;
    chain_clear(&fetch->content);
    if (fetch->is_whole)
        request_sent(child);
    else
        request_gone(child, fetch->why);
}

/* -- the codec: a buffer ------------------------------------------------------------------------------------------- */

static void fail(struct fetch *fetch, const char *why)
{
    if (!fetch->child || fetch->why || fetch->is_whole)
        return;
    fetch->why = why;
    worker_defer(&fetch->turn);
}

static void gather(struct fetch *fetch)
{
    struct weir_req *child = fetch->child;

    if (child->down.out.n > fetch->limit - fetch->content.n) {
        fetch->why = "answer too large";
        return;
    }
    child->body_sent += child->down.out.n;
    child->down.taken += child->down.out.n;
    chain_move_all(&fetch->content, &child->down.out);
    fetch->is_whole = child->down.out_end;
    if (!fetch->is_whole)
        request_drained(child);
}

static void on_turn(struct deferred *deferred)
{
    struct fetch *fetch = list_entry(deferred, struct fetch, turn);

    if (!fetch->child)
        return;
    if (!fetch->why)
        gather(fetch);
    if (fetch->child && (fetch->why || fetch->is_whole))
        deliver(fetch);
}

static void on_due(struct deadline *deadline)
{
    fail(list_entry(deadline, struct fetch, deadline), "no answer in time");
}

static void codec_info(struct weir_req *r, int status, const struct fields *fields)
{
    (void)r;
    (void)status;
    (void)fields;
}

static void codec_head(struct weir_req *r)
{
    if (!r->from_origin) /* an error page of ours stands for what went wrong */
        fail(r->stream, r->refuse_reason ? r->refuse_reason : "no answer");
}

static void codec_body(struct weir_req *r)
{
    struct fetch *fetch = r->stream;

    worker_defer(&fetch->turn);
}

static void codec_abort(struct weir_req *r)
{
    fail(r->stream, "answer broken off");
}

static void codec_nothing(struct weir_req *r)
{
    (void)r;
}

static const struct codec_calls fetch_codec = {
    .info = codec_info,
    .head = codec_head,
    .body = codec_body,
    .tunnel = codec_abort, /* nobody asked for one */
    .want_body = codec_nothing,
    .send_continue = codec_nothing,
    .abort = codec_abort,
    .done = codec_nothing,
};

/* -- its start ----------------------------------------------------------------------------------------------------- */

static str copy_or(struct arena *arena, weir_str text, str otherwise)
{
    return text.n ? arena_str(arena, text) : otherwise;
}

static bool set_target(struct weir_req *child, const struct weir_fetch *what)
{
    str target = what->target.n ? what->target : upstream_path(what->upstream);
    target = copy_or(child->arena, target, S("/"));
    size_t mark = str_find(target, '?');
    const char *why = uri_normalize_path(str_upto(target, mark), child->arena, &child->uri.path, &child->uri.match);

    child->uri.has_query = mark < target.n;
    if (child->uri.has_query)
        child->uri.query = str_from(target, mark + 1);
    for (size_t i = 0; i < child->uri.query.n; i++)
        if ((unsigned char)child->uri.query.p[i] <= ' ' || child->uri.query.p[i] == 0x7f)
            return false;
    return !why && target.p;
}

static bool add_fields(struct weir_req *child, const weir_table *fields)
{
    const char *at = fields->base;

    for (uint32_t i = 0; i < fields->count; i++, at += fields->stride) {
        const struct weir_field *field = (const struct weir_field *)(const void *)at;
        str name = arena_str(child->arena, field->name), value = copy_or(child->arena, field->value, S(""));
        if (!name.p || !value.p || !fields_add(&child->fields, name, value))
            return false;
    }
    return true;
}

/* As if this request's client had asked: what X-Forwarded-* say goes on from what they said to us. */
static bool speak_for(struct weir_req *child, struct weir_req *owner)
{
    memcpy(child->client, owner->client, sizeof(child->client));
    child->client_port = owner->client_port;
    child->scheme = owner->scheme;
    if (owner->client_is_trusted_proxy) {
        str before = fields_join(&owner->fields, FIELD_X_FORWARDED_FOR, child->arena);
        if (before.n && !fields_set_id(&child->fields, FIELD_X_FORWARDED_FOR, before))
            return false;
    }
    str proto = owner->client_is_trusted_proxy ? fields_get(&owner->fields, FIELD_X_FORWARDED_PROTO) : STR_NONE;
    str host = owner->client_is_trusted_proxy ? fields_get(&owner->fields, FIELD_X_FORWARDED_HOST) : STR_NONE;
    child->client_is_trusted_proxy = true;
    return fields_set_id(&child->fields, FIELD_X_FORWARDED_PROTO, proto.n ? proto : owner->scheme) &&
           fields_set_id(&child->fields, FIELD_X_FORWARDED_HOST, host.n ? host : owner->host_field);
}

static bool set_content(struct weir_req *child, weir_str content)
{
    struct chain chain;

    chain_init(&chain);
    if (content.n && !chain_append_copy(&chain, content.p, content.n))
        return false;
    bool has_any = content.n || !(str_equal(child->method, S("GET")) || child->is_head);
    child->body_kind = has_any ? BODY_LENGTH : BODY_NONE;
    child->content_length = content.n;
    body_push(&child->up, &chain, true, false);
    body_open(&child->up);
    return true;
}

static bool fill(struct weir_req *child, struct weir_req *owner, const struct weir_fetch *what)
{
    child->version = 11;
    child->method = copy_or(child->arena, what->method, S("GET"));
    child->is_head = str_equal(child->method, S("HEAD"));
    child->id = owner ? arena_str(child->arena, owner->id)
                      : arena_printf(child->arena, "%016llx", (unsigned long long)child->number);
    return field_name_is_valid(child->method) && child->id.p && set_target(child, what) &&
           add_fields(child, &what->fields) &&
           (!(what->flags & WEIR_FETCH_FOR_CLIENT) || speak_for(child, owner)) && set_content(child, what->content);
}

/* The upstream and the rules are those of the owner's configuration, which need not be the newest one. */
static void use_snapshot(struct weir_req *child, struct snapshot *snapshot)
{
    struct snapshot *newest = child->snapshot;

    child->snapshot = snapshot_share(snapshot);
    snapshot_release(newest);
}

static struct fetch *create(struct weir_req *owner, const struct weir_fetch *what)
{
    bool for_client = what->flags & WEIR_FETCH_FOR_CLIENT;

    if (!fetch_origin || !what->upstream || !pipeline_worker_self() || what->timeout == 0 ||
        what->timeout > TIMEOUT_MOST || (for_client && !owner))
        return NULL;
    struct weir_req *child = request_create(for_client ? owner->conn : &nobody, &fetch_codec, NULL);
    if (child && owner)
        use_snapshot(child, owner->snapshot);
    struct fetch *fetch = child ? arena_new(child->arena, struct fetch) : NULL;
    if (!fetch || !fill(child, owner, what)) {
        if (child)
            request_discard(child);
        return NULL;
    }
    const struct plan *plan = owner ? owner->plan : child->snapshot->top_plan;
    fetch->plan = (struct plan){ .scope = plan->scope, .core = plan->core };
    fetch->child = child;
    fetch->limit = what->limit ? what->limit : LIMIT_DEFAULT;
    child->plan = &fetch->plan;
    child->stream = fetch;
    child->tally = NULL; /* no client's request: no site counts it */
    child->is_module_own = !owner;
    child->stage = STAGE_NONE;
    chain_init(&fetch->content);
    list_init(&fetch->link);
    deferred_init(&fetch->turn, on_turn);
    deadline_init(&fetch->deadline, on_due);
    deadline_set(&fetch->deadline, what->timeout);
    return fetch;
}

static int begin(struct fetch *fetch, const struct weir_fetch *what)
{
    struct weir_req *child = fetch->child;

    child->origin = fetch_origin;
    child->origin_data = (void *)(uintptr_t)what->upstream;
    child->phase = PHASE_ORIGIN;
    child->origin_started = true;
    child->origin->start(child);
    return 0;
}

int fetch_start(struct weir_req *r, const struct weir_fetch *what, weir_fetched_fn done, void *arg)
{
    struct fetch *fetch = r->is_dry || r->ending ? NULL : create(r, what);

    if (!fetch)
        return -1;
    fetch->owner = r;
    fetch->step = request_caller(r);
    fetch->done = done;
    fetch->arg = arg;
    list_push(&r->fetches, &fetch->link);
    return begin(fetch, what);
}

int fetch_start_for(weir_mod *mod, const struct weir_fetch *what, weir_mod_fetched_fn done, void *arg)
{
    struct fetch *fetch = create(NULL, what);

    if (!fetch)
        return -1;
    if (!of_modules.next)
        list_init(&of_modules);
    fetch->mod = mod;
    fetch->mod_done = done;
    fetch->arg = arg;
    list_push(&of_modules, &fetch->link);
    return begin(fetch, what);
}
