/* SPDX-License-Identifier: BSD-2-Clause */
/* What the HTTP/2 codec tells of streams, brought to the request engine. */
#include "base/log.h"
#include "base/small.h"
#include "http/websocket.h"
#include "pipeline/http2.h"
#include "pipeline/metrics.h"

#define stream_of(h2_stream) list_entry(h2_stream, struct client_stream, h2)

/* -- waiting ------------------------------------------------------------------------------------------------------- */

static uint64_t wait_ms(const struct client_stream *s, enum stream_wait wait)
{
    const struct core_conf *core = s->r->plan->core;

    switch (wait) {
    case STREAM_WAITS_BODY:
        return core->timeout_body;
    case STREAM_WAITS_TUNNEL:
        return core->timeout_tunnel;
    default:
        return core->timeout_send;
    }
}

static bool is_too_slow(const struct client_stream *s, enum stream_wait wait)
{
    uint64_t rate = s->r->plan->core->min_rate;
    uint64_t moved = s->h2.received + s->h2.moved - s->waited_from;

    return rate && wait != STREAM_WAITS_TUNNEL && moved < rate * wait_ms(s, wait) / 1000;
}

/* moved: bytes went while it waited; the wait begins anew then, unless min_rate asks for more within one. */
void stream_wait(struct client_stream *s, enum stream_wait wait, bool moved)
{
    if (!s->r || wait == STREAM_WAITS_NOTHING) {
        s->wait = STREAM_WAITS_NOTHING;
        if (deadline_is_set(&s->deadline))
            deadline_cancel(&s->deadline);
        return;
    }
    if (s->wait == wait && (!moved || is_too_slow(s, wait)))
        return;
    s->wait = wait;
    s->waited_from = s->h2.received + s->h2.moved;
    deadline_set(&s->deadline, wait_ms(s, wait));
}

static void on_deadline(struct deadline *deadline)
{
    struct client_stream *s = list_entry(deadline, struct client_stream, deadline);
    enum stream_wait wait = s->wait;

    s->wait = STREAM_WAITS_NOTHING;
    if (!s->r)
        return;
    if (wait == STREAM_WAITS_BODY) {
        s->no_more = true;
        request_timed_out(s->r, 408, "request body stalled");
    } else {
        figure_add(&pipeline_worker_self()->h2_stalls_total, 1);
        h2_reset(&s->h2, H2_CANCEL);
        s->gone = wait == STREAM_WAITS_TUNNEL ? "tunnel idle" : "nothing taken in time";
        stream_over(s);
    }
    conn_later(&s->of->c->conn);
}

static void settle_body_wait(struct client_stream *s, bool moved)
{
    if (s->wait != STREAM_WAITS_NOTHING && s->wait != STREAM_WAITS_BODY)
        return;
    bool waits = s->r && !s->h2.received_end && !s->is_connect && body_room(&s->r->up) > 0;
    stream_wait(s, waits ? STREAM_WAITS_BODY : STREAM_WAITS_NOTHING, moved);
}

void stream_grant(struct client_stream *s)
{
    if (!s->r || s->no_more || (s->is_connect && !s->is_joined))
        return;
    h2_grant(&s->h2, body_room(&s->r->up));
    settle_body_wait(s, false);
}

/* -- opening ------------------------------------------------------------------------------------------------------- */

/* What one connection's streams may hold together is bounded by their number: the more, the less for each. */
static uint64_t share_of(const struct h2_conn *h2)
{
    uint64_t share = H2_SHARE / (h2->open + 1);

    return share < H2_SHARE_LEAST ? H2_SHARE_LEAST : share > BODY_CREDIT ? BODY_CREDIT : share;
}

static void prepare_request(struct client_stream *s)
{
    struct weir_req *r = s->r;

    r->method = S("-");
    r->uri.path = r->uri.match = S("/");
    r->version = 20;
    r->up.credit = r->down.credit = share_of(s->of);
    s->h2.arena = r->arena;
    s->h2.fields = &r->fields;
    s->h2.trailers = &r->trailers;
    s->h2.source = &r->down.out;
}

/* A client that resets its streams as fast as it opens them has few streams, and as many requests as it likes: they
 * count until they are through. */
static struct h2_stream *on_open(void *owner, uint32_t id)
{
    struct weir_conn *c = owner;
    struct h2_conn *h2 = c->h2;
    struct client_stream *s = small_zalloc(sizeof(*s));

    (void)id;
    if (!s || c->reaped || h2->ended || h2->open >= h2->open_most) {
        small_free(s, sizeof(*s));
        return NULL;
    }
    s->of = h2;
    s->r = request_create(c, &h2_codec, s);
    if (!s->r) {
        small_free(s, sizeof(*s));
        return NULL;
    }
    prepare_request(s);
    chain_init(&s->early);
    chain_init(&s->nothing);
    list_init(&s->fresh);
    list_init(&s->over);
    list_init(&s->finished);
    deadline_init(&s->deadline, on_deadline);
    list_push(&h2->streams, &s->link);
    h2->open++;
    s->r->of_connection = ++c->requests;
    if (pipeline_worker_self()->draining)
        h2_session_leave(c);
    return &s->h2;
}

/* -- heads --------------------------------------------------------------------------------------------------------- */

/* RFC 8441 5.1: the key is the handshake's of HTTP/1.1; the origin's answer to it is looked at where it comes in. */
static bool add_key(struct weir_req *r)
{
    char *text = arena_alloc(r->arena, WEBSOCKET_KEY);

    if (!text)
        return false;
    websocket_make_key(text);
    r->websocket_key = (str){ text, WEBSOCKET_KEY };
    return fields_set(&r->fields, S("Sec-WebSocket-Key"), r->websocket_key);
}

/* To hooks, routes and origins it is the upgrade that it would be in HTTP/1.1. */
static bool become_upgrade(struct client_stream *s, const struct h2_request *head, struct h2_head *said)
{
    struct weir_req *r = s->r;

    if (!str_equal_nocase(head->protocol, S("websocket"))) {
        said->status = 501;
        said->why = "extended CONNECT for another protocol than websocket";
        return false;
    }
    s->is_connect = true;
    r->method = S("GET");
    r->upgrade = S("websocket");
    r->body_kind = BODY_NONE;
    r->content_length = 0;
    r->expects_continue = false;
    if (add_key(r))
        return true;
    said->status = 500;
    said->why = "out of memory";
    return false;
}

static bool fill_request(struct client_stream *s, struct h2_head *said)
{
    struct weir_req *r = s->r;
    struct h2_request head;

    if (!h2_head_request(said, s->h2.received_end, r->arena, &r->fields, &head))
        return false;
    r->method = head.method;
    r->uri = head.uri;
    r->host = head.host;
    r->host_port = head.host_port;
    r->host_field = head.host_field;
    r->body_kind = head.body;
    r->content_length = head.content_length;
    r->is_head = str_equal(head.method, S("HEAD"));
    r->expects_continue = head.expects_continue;
    return head.protocol.n == 0 || become_upgrade(s, &head, said);
}

static void on_head(struct h2_stream *h2_stream, struct h2_head *head)
{
    struct client_stream *s = stream_of(h2_stream);
    struct weir_req *r = s->r;

    if (!r)
        return;
    s->started = true;
    if (fill_request(s, head)) {
        request_start(r);
        settle_body_wait(s, false);
        return;
    }
    s->no_more = true;
    if (head->method.n && !head->malformed)
        r->method = head->method;
    r->is_head = str_equal(r->method, S("HEAD"));
    r->fields.count = 0;
    if (head->malformed)
        s->reset_with = H2_PROTOCOL_ERROR;
    request_bad(r, head->malformed ? 400 : head->status, head->malformed ? head->malformed : head->why);
}

/* -- content ------------------------------------------------------------------------------------------------------- */

static void on_data(struct h2_stream *h2_stream, const uint8_t *p, size_t n)
{
    struct client_stream *s = stream_of(h2_stream);
    struct chain content;

    if (!s->r || s->no_more)
        return;
    chain_init(&content);
    struct chain *to = s->is_connect && !s->is_joined ? &s->early : &content;
    if (!chain_append_part(to, s->of->in.block, p, n)) {
        s->no_more = true;
        request_broken_body(s->r, 503, "no memory");
        return;
    }
    if (to != &content)
        return;
    request_body(s->r, &content, false);
    if (!s->r)
        return;
    if (s->is_tunnel)
        stream_wait(s, STREAM_WAITS_TUNNEL, true);
    else
        settle_body_wait(s, true);
    stream_grant(s);
}

static void on_end(struct h2_stream *h2_stream)
{
    struct client_stream *s = stream_of(h2_stream);
    struct chain nothing;

    if (!s->r || s->no_more || (s->is_connect && !s->is_joined))
        return;
    settle_body_wait(s, false);
    chain_init(&nothing);
    request_body(s->r, &nothing, true);
}

static void on_broken(struct h2_stream *h2_stream, const char *why)
{
    struct client_stream *s = stream_of(h2_stream);

    s->reset_with = H2_PROTOCOL_ERROR;
    s->no_more = true;
    if (s->r && s->started)
        request_broken_body(s->r, 400, why);
    if (!s->r)
        return;
    s->gone = why;
    stream_over(s);
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

void stream_over(struct client_stream *s)
{
    if (list_is_empty(&s->over))
        list_push(&s->of->over, &s->over);
    conn_later(&s->of->c->conn);
}

static void on_closed(struct h2_stream *h2_stream, uint32_t code)
{
    struct client_stream *s = stream_of(h2_stream);

    (void)code;
    s->closed = true;
    if (!s->gone && !s->h2.sent_end)
        s->gone = "stream reset by client";
    stream_over(s);
}

static void on_pong(void *owner)
{
    struct weir_conn *c = owner;

    if (c->h2->announced && !c->h2->left) {
        deadline_set(&c->h2->drain, 1); /* not from inside the codec */
    }
}

static void end_request(struct client_stream *s, const char *why)
{
    struct weir_req *r = s->r;

    if (!r)
        return;
    if (s->started) {
        request_gone(r, why);
        return;
    }
    h2_codec.done(r);
    request_discard(r);
}

static void stream_free(struct client_stream *s)
{
    list_remove(&s->link);
    list_remove(&s->fresh);
    list_remove(&s->over);
    list_remove(&s->finished);
    deadline_cancel(&s->deadline);
    chain_clear(&s->early);
    small_free(s, sizeof(*s));
}

void streams_settle(struct h2_conn *h2)
{
    for (struct list *link = list_first(&h2->over); link && !h2->c->reaped; link = list_first(&h2->over)) {
        struct client_stream *s = list_entry(link, struct client_stream, over);
        list_remove(link);
        if (s->gone)
            end_request(s, s->gone);
        if (s->is_tunnel && !s->is_joined && s->r)
            stream_join(s);
        if (s->closed && s->h2.sent_end && s->r && list_is_empty(&s->finished)) {
            s->end_at = h2->queued;
            list_push(&h2->finished, &s->finished);
        }
        if (s->closed && !s->r)
            stream_free(s);
    }
}

void streams_end(struct h2_conn *h2, const char *why)
{
    list_each(link, &h2->streams) {
        struct client_stream *s = list_entry(link, struct client_stream, link);
        end_request(s, why);
        deadline_cancel(&s->deadline);
        list_remove(&s->fresh);
        list_remove(&s->over);
        list_remove(&s->finished);
        chain_clear(&s->early);
    }
}

const struct h2_calls h2_stream_calls = {
    .open = on_open,
    .head = on_head,
    .data = on_data,
    .end = on_end,
    .broken = on_broken,
    .closed = on_closed,
    .pong = on_pong,
};
