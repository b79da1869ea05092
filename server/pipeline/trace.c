/* SPDX-License-Identifier: BSD-2-Clause */
/* Copying is all that is done while requests run; words are made of it when somebody asks. */
#include "pipeline/trace.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/out.h"
#include "pipeline/choice.h"
#include "pipeline/session.h"

#include <stdatomic.h>
#include <stddef.h>

enum { SPARE_MOST = 32, ID_MOST = 128, NAME_MOST = 200, TARGET_MOST = 600, REASON_MOST = 240, FILE_MOST = 200 };

#define CUT "...[cut]"

_Static_assert(sizeof(struct trace) < TRACE_BYTES - 1200, "texts need room");

/* -- texts --------------------------------------------------------------------------------------------------------- */

static size_t room_of(const struct trace *trace)
{
    return TRACE_BYTES - sizeof(struct trace) - trace->text_used;
}

/* What goes beyond `most`, or beyond the room there is, is cut. */
static struct trace_text put_text(struct trace *trace, str text, size_t most)
{
    size_t mark = sizeof(CUT) - 1, room = room_of(trace);
    struct trace_text at = { .at = trace->text_used };

    if (text.n == 0)
        return at;
    most = most < room ? most : room;
    if (text.n > most && most < mark) {
        trace->is_cut = true;
        return at;
    }
    size_t n = text.n <= most ? text.n : most - mark;
    memcpy(trace->text + at.at, text.p, n);
    if (n < text.n) {
        memcpy(trace->text + at.at + n, CUT, mark);
        n += mark;
        trace->is_cut = true;
    }
    at.n = (uint16_t)n;
    trace->text_used = (uint16_t)(at.at + n);
    return at;
}

/* Most steps are said by lines of a few files, and each file's name is one text in memory. */
static struct trace_place put_place(struct trace *trace, str file, uint32_t line)
{
    struct trace_place place = { .line = line };
    size_t i = 0, count = sizeof(trace->files) / sizeof(trace->files[0]);

    if (file.n == 0)
        return (struct trace_place){ 0 };
    while (i < count && trace->files[i].p && trace->files[i].p != file.p)
        i++;
    if (i < count && trace->files[i].p) {
        place.file = trace->files[i].text;
        return place;
    }
    place.file = put_text(trace, file, FILE_MOST);
    if (i < count) {
        trace->files[i].p = file.p;
        trace->files[i].text = place.file;
    }
    return place;
}

static void put_upto(struct out *out, str text)
{
    size_t room = out->room - out->n;

    out->full |= text.n > room;
    out_str(out, str_upto(text, room));
}

/* "?id=*&*": values may be passwords, tokens and names of people; a pair without '=' may be all value. */
static void put_query(struct out *out, str query)
{
    str before = S("?"), pair;

    if (query.n == 0)
        put_upto(out, before);
    while (!out->full && str_split(&query, '&', &pair)) {
        size_t equals = str_find(pair, '=');
        put_upto(out, before);
        if (equals < pair.n)
            put_upto(out, str_upto(pair, equals + 1));
        if (equals + 1 < pair.n || (equals == pair.n && pair.n))
            put_upto(out, S("*"));
        before = S("&");
    }
}

static struct trace_text put_target(struct trace *trace, str path, bool has_query, str query)
{
    char room[TARGET_MOST];
    struct out out = { .p = room, .room = sizeof(room) };

    put_upto(&out, path);
    if (has_query)
        put_query(&out, query);
    if (out.full) {
        memcpy(room + sizeof(room) - sizeof(CUT) + 1, CUT, sizeof(CUT) - 1);
        trace->is_cut = true;
    }
    return put_text(trace, (str){ room, out.n }, TARGET_MOST);
}

/* Without its fragment, which may be a token. */
static struct trace_text put_url(struct trace *trace, str url)
{
    str sent = str_upto(url, str_find(url, '#'));
    size_t mark = str_find(sent, '?');

    return put_target(trace, str_upto(sent, mark), mark < sent.n, str_from(sent, mark + 1));
}

/* -- memory -------------------------------------------------------------------------------------------------------- */

static struct trace *take(struct pipeline_worker *pw)
{
    struct trace *trace = pw->spare_traces;

    if (!trace)
        return mem_alloc(TRACE_BYTES);
    pw->spare_traces = trace->next;
    pw->spare_trace_count--;
    return trace;
}

static void give(struct pipeline_worker *pw, struct trace *trace)
{
    if (!trace || pw->spare_trace_count == SPARE_MOST) {
        mem_free(trace);
        return;
    }
    trace->next = pw->spare_traces;
    pw->spare_traces = trace;
    pw->spare_trace_count++;
}

void trace_worker_down(struct pipeline_worker *pw)
{
    while (pw->spare_traces)
        mem_free(take(pw));
}

/* -- the ring ------------------------------------------------------------------------------------------------------ */

static struct {
    struct trace **slots;  /* TRACE_RING_MOST of them; made once, by main, before size becomes more than 0 */
    _Atomic uint32_t size; /* how many are in use */
    _Atomic uint64_t next;
} ring;

static struct trace *exchange(uint32_t slot, struct trace *trace)
{
    return __atomic_exchange_n(&ring.slots[slot], trace, __ATOMIC_ACQ_REL);
}

/* The one that was there before. */
static struct trace *remember(struct trace *trace)
{
    uint32_t size = atomic_load_explicit(&ring.size, memory_order_acquire);

    if (size == 0)
        return trace;
    uint64_t ticket = atomic_fetch_add_explicit(&ring.next, 1, memory_order_relaxed);
    trace->sequence = ticket + 1;
    return exchange((uint32_t)(ticket % size), trace);
}

/* Where its number belongs; of two the newer one stays. */
static void put_back(struct trace *trace, uint32_t size)
{
    uint64_t sequence = trace->sequence; /* once it is back, a worker may have it */
    uint32_t slot = (uint32_t)((sequence - 1) % size);
    struct trace *other = exchange(slot, trace);

    if (other && other->sequence > sequence)
        other = exchange(slot, other);
    mem_free(other);
}

bool trace_ring_use(uint32_t size)
{
    struct trace *all = NULL, *trace;

    if (size == trace_ring_size())
        return true;
    if (!ring.slots && !(ring.slots = mem_array(TRACE_RING_MOST, sizeof(struct trace *))))
        return false;
    atomic_store_explicit(&ring.size, size, memory_order_release);
    for (uint32_t i = 0; i < TRACE_RING_MOST; i++) {
        if (!(trace = exchange(i, NULL)))
            continue;
        trace->next = all;
        all = trace;
    }
    while ((trace = all) != NULL) {
        all = trace->next;
        if (size)
            put_back(trace, size);
        else
            mem_free(trace);
    }
    return true;
}

void trace_ring_finish(void)
{
    trace_ring_use(0);
    for (uint32_t i = 0; ring.slots && i < TRACE_RING_MOST; i++)
        mem_free(ring.slots[i]); /* of a worker that had not seen a change of the size yet */
    mem_free(ring.slots);
    ring.slots = NULL;
}

uint32_t trace_ring_size(void)
{
    return atomic_load_explicit(&ring.size, memory_order_relaxed);
}

uint64_t trace_ring_seen(void)
{
    return atomic_load_explicit(&ring.next, memory_order_relaxed);
}

bool trace_newest(uint32_t i, struct trace *to)
{
    uint32_t size = trace_ring_size();
    uint64_t next = trace_ring_seen();

    if (i >= size || i >= next)
        return false;
    uint32_t slot = (uint32_t)((next - 1 - i) % size);
    struct trace *trace = exchange(slot, NULL), *none = NULL;
    if (!trace)
        return false;
    memcpy(to, trace, TRACE_BYTES);
    /* A newer one may stand there meanwhile. */
    if (!__atomic_compare_exchange_n(&ring.slots[slot], &none, trace, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        mem_free(trace);
    return true;
}

/* -- the engine tells ---------------------------------------------------------------------------------------------- */

void trace_begin(struct weir_req *r)
{
    struct trace *trace = take(pipeline_worker_self());

    if (!trace)
        return;
    memset(trace, 0, offsetof(struct trace, steps)); /* steps and tries are filled in as they come */
    mem_hold(TRACE_BYTES);
    r->trace = trace;
    trace->wall_ms = clock_wall_ms();
    trace->version = (uint16_t)r->version;
    trace->is_https = str_equal(r->scheme, S("https"));
    memcpy(trace->client, r->client, sizeof(trace->client));
    trace->id = put_text(trace, r->id, ID_MOST);
    trace->method = put_text(trace, r->method, NAME_MOST);
    trace->host = put_text(trace, r->host_field.n ? r->host_field : r->host, NAME_MOST);
    trace->target = put_target(trace, r->uri.path, r->uri.has_query, r->uri.query);
}

static struct trace_step *add_step(struct trace *trace, enum trace_kind kind)
{
    if (trace->step_count == TRACE_STEPS_MOST) {
        trace->is_cut = true;
        return NULL;
    }
    struct trace_step *step = &trace->steps[trace->step_count++];
    *step = (struct trace_step){ .kind = (uint8_t)kind };
    return step;
}

static void put_part(struct trace *trace, enum trace_kind kind, const struct choice_part *part)
{
    struct trace_step *step = add_step(trace, kind);

    if (!step)
        return;
    step->name = put_text(trace, part->name, NAME_MOST);
    step->why = put_text(trace, str_of(part->why), REASON_MOST);
    step->place = put_place(trace, part->file, part->line);
}

static void put_listener(struct weir_req *r, bool is_found, struct choice *choice)
{
    struct trace *trace = r->trace;

    *choice = (struct choice){ 0 };
    if (!r->snapshot->tell_choice)
        return;
    r->snapshot->tell_choice(r->snapshot, r, is_found, choice);
    if (trace->listener.n)
        return;
    trace->listener = put_text(trace, choice->listener.name, NAME_MOST);
    trace->listener_place = put_place(trace, choice->listener.file, choice->listener.line);
}

void trace_end(struct weir_req *r)
{
    struct trace *trace = r->trace;
    struct choice choice;

    trace->duration = clock_us() - r->started_us;
    trace->bytes_in = r->bytes_received;
    trace->bytes_out = r->bytes_sent;
    trace->status = (uint16_t)r->status;
    trace->from_origin = r->from_origin;
    trace->is_closed = r->is_reset;
    trace->is_broken = r->aborted;
    trace->asked_origin = r->origin_started;
    trace->site = put_text(trace, r->site, NAME_MOST);
    trace->route = put_text(trace, r->route, NAME_MOST);
    trace->reason = put_text(trace, str_of(r->refuse_reason), REASON_MOST);
    trace->module = put_text(trace, r->error_module, NAME_MOST);
    trace->would_refuse = put_text(trace, r->would_refuse, REASON_MOST);
    trace->error = put_text(trace, r->error_text, REASON_MOST);
    if (!trace->listener.n) /* it never got to a route */
        put_listener(r, false, &choice);
    memset(trace->files, 0, sizeof(trace->files)); /* names in a configuration that may go */
    r->trace = NULL;
    mem_hold(-TRACE_BYTES);
    give(pipeline_worker_self(), remember(trace));
}

void trace_put_choice(struct weir_req *r, bool is_found)
{
    struct trace *trace = r->trace;
    struct choice choice;

    put_listener(r, is_found, &choice);
    put_part(trace, TRACE_SITE, &choice.site);
    if (choice.site.name.n)
        put_part(trace, TRACE_ROUTE, &choice.route);
}

static uint8_t verdict_byte(weir_verdict verdict)
{
    return (uint8_t)(verdict >= WEIR_NEXT && verdict <= WEIR_CLOSE ? verdict : WEIR_FAIL);
}

void trace_put_hook(struct weir_req *r, const struct hook_answer *answer)
{
    struct trace *trace = r->trace;
    struct trace_step *step = add_step(trace, TRACE_HOOK);
    const struct statement *statement = plan_statement(r->plan, answer->mod);
    bool is_redirect = answer->status / 100 == 3;

    uint64_t waited = trace->wait_from ? clock_us() - trace->wait_from : 0;
    trace->wait_from = 0;
    if (!step)
        return;
    step->stage = (uint8_t)answer->stage;
    step->module = (uint8_t)answer->mod->index;
    step->is_shadow = answer->is_shadow;
    step->verdict = verdict_byte(answer->verdict);
    step->counts = verdict_byte(answer->counts);
    step->status = (uint16_t)answer->status;
    step->waited = (uint32_t)waited;
    step->why = is_redirect ? put_url(trace, answer->reason) : put_text(trace, answer->reason, REASON_MOST);
    if (statement)
        step->place = put_place(trace, statement->source->path, statement->name.line);
}

void trace_put_page(struct weir_req *r, const struct weir_place *place, int status)
{
    r->trace->page_status = (uint16_t)status;
    r->trace->page_place = put_place(r->trace, place->file, place->line);
}

/* -- the proxy tells ----------------------------------------------------------------------------------------------- */

void trace_put_upstream(struct weir_req *r, str name, const char *balancer, const struct weir_place *place)
{
    struct trace *trace = r->trace;
    const weir_mod *proxy = module_find(S("proxy"));
    const struct statement *said = proxy ? plan_statement(r->plan, proxy) : NULL;

    trace->upstream = put_url(trace, name);
    trace->balancer = put_text(trace, str_of(balancer), NAME_MOST);
    if (place->file.n)
        trace->upstream_place = put_place(trace, place->file, place->line);
    else if (said)
        trace->upstream_place = put_place(trace, said->source->path, said->name.line);
}

static uint32_t since_start(const struct weir_req *r)
{
    uint64_t us = clock_us() - r->started_us;

    return us < 1 ? 1 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* NULL: no server was tried, or more than there is room for. */
static struct trace_try *last_try(struct trace *trace)
{
    return trace->try_count && trace->try_count <= TRACE_TRIES_MOST ? &trace->tries[trace->try_count - 1] : NULL;
}

void trace_put_try(struct weir_req *r, str server)
{
    struct trace *trace = r->trace;

    if (trace->try_count == TRACE_TRIES_MOST) {
        trace->is_cut = true;
        return;
    }
    struct trace_try *try = &trace->tries[trace->try_count++];
    *try = (struct trace_try){ .began = since_start(r) };
    try->server = put_text(trace, server, NAME_MOST);
}

void trace_put_sent(struct weir_req *r, bool is_reused)
{
    struct trace_try *try = last_try(r->trace);

    if (!try)
        return;
    try->sent = since_start(r);
    try->reused = is_reused;
}

void trace_put_answered(struct weir_req *r, int status)
{
    struct trace_try *try = last_try(r->trace);

    if (!try)
        return;
    try->answered = since_start(r);
    try->status = (uint16_t)status;
}

void trace_put_failed(struct weir_req *r, const char *why)
{
    struct trace_try *try = last_try(r->trace);

    if (try && !try->why.n)
        try->why = put_text(r->trace, str_of(why), REASON_MOST);
}
