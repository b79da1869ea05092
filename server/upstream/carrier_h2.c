/* SPDX-License-Identifier: BSD-2-Clause */
/* Exchanges in HTTP/2: each is a stream of a link. */
#include "upstream/exchange.h"
#include "upstream/hop.h"
#include "upstream/link.h"
#include "upstream/server_figures.h"

#include "base/log.h"
#include "base/small.h"
#include "http/websocket.h"

#define stream_of(h2_stream) list_entry(h2_stream, struct link_stream, h2)

static bool has_begun(const struct exchange *x)
{
    return x->phase == EXCHANGE_HEAD || x->phase == EXCHANGE_BODY || x->phase == EXCHANGE_RAW;
}

/* -- leasing ------------------------------------------------------------------------------------------------------- */

static struct link_stream *stream_create(struct exchange *x)
{
    struct link_stream *s = small_zalloc(sizeof(*s));

    if (!s)
        return NULL;
    s->x = x;
    list_init(&s->at);
    list_init(&s->paused);
    list_init(&s->h2.touched);
    chain_init(&s->early);
    chain_init(&s->nothing);
    fields_init(&s->fields, x->r->arena);
    x->stream = s;
    return s;
}

void stream_free(struct link_stream *s)
{
    list_remove(&s->at);
    list_remove(&s->paused);
    chain_clear(&s->early);
    chain_clear(&s->nothing);
    small_free(s, sizeof(*s));
}

/* The codec may still have it: nothing of the request's is left in it. */
static void detach(struct link_stream *s)
{
    s->x = NULL;
    s->h2.arena = NULL;
    s->h2.source = &s->nothing;
    s->h2.source_ended = false;
    s->h2.source_trailers = NULL;
    list_remove(&s->paused);
    chain_clear(&s->early);
}

/* The codec has it no longer, or never had. */
static void stream_over(struct link_stream *s)
{
    struct link *link = s->of;

    link->open--;
    tally_add(link->pool->tally, POOL_STREAMS, -1);
    link_later(link);
    stream_free(s);
}

static void let_go(struct exchange *x)
{
    struct link_stream *s = x->stream;

    x->stream = NULL;
    deadline_cancel(&x->deadline);
    if (!s)
        return;
    if (!s->begun) {
        link_leave(s);
        stream_free(s);
        return;
    }
    bool ends = s->is_connect && s->h2.received_end && s->h2.source_ended && !s->h2.reset;
    if (ends) /* a tunnel that both sides have ended: what is left of it goes out */
        chain_move_all(&s->nothing, s->h2.source);
    detach(s);
    s->h2.source_ended = ends;
    if (!s->h2.session) { /* its head was never made */
        stream_over(s);
        return;
    }
    if (s->of->dead)
        return;
    if (!s->h2.source_ended)
        h2_reset(&s->h2, H2_CANCEL);
    link_later(s->of);
}

static void give_back(struct exchange *x, bool reusable)
{
    struct link_stream *s = x->stream;

    if (!reusable || !s->h2.sent_end) { /* the rest of the request is nobody's */
        let_go(x);
        return;
    }
    x->stream = NULL;
    deadline_cancel(&x->deadline);
    detach(s);
    link_later(s->of);
}

static void set_due(struct exchange *x, uint64_t ms)
{
    if (ms)
        deadline_set(&x->deadline, ms);
    else
        deadline_cancel(&x->deadline);
}

static bool has_due(const struct exchange *x)
{
    return deadline_is_set(&x->deadline);
}

/* RFC 8441: WebSocket is what has a name there. 501 is none of the server's failures. */
static bool refuses_upgrade(struct exchange *x, const struct link *link)
{
    if (!str_equal_nocase(x->r->upgrade, S("websocket")))
        exchange_fail(x, 501, "upgrade to a protocol that cannot go over HTTP/2");
    else if (link && link->settled && !h2_takes_connect(link->codec))
        exchange_fail(x, 501, "the server takes no WebSockets over HTTP/2 (RFC 8441)");
    else
        return false;
    return true;
}

bool stream_needs_settings(const struct link_stream *s)
{
    return s->x->r->upgrade.n > 0;
}

static bool take(struct exchange *x, const struct addr *to)
{
    if (x->r->upgrade.n && refuses_upgrade(x, NULL))
        return true;
    struct link_stream *s = stream_create(x);
    if (!s) {
        exchange_fail(x, 503, "no memory");
        return true;
    }
    if (link_take(s, to))
        return true;
    x->stream = NULL;
    stream_free(s);
    return false;
}

static bool connect_to(struct exchange *x, const struct addr *to)
{
    struct link_stream *s = stream_create(x);

    if (!s || !link_join(s, x->target >= 0 ? to : NULL, to)) {
        x->stream = NULL;
        if (s)
            stream_free(s);
        return false;
    }
    if (s->of && x->target < 0)
        exchange_goes_along(x, to, &s->of->to);
    if (x->local->pools[x->server]->queued > LINK_QUEUE_MOST)
        exchange_fail(x, 503, "too many wait for a stream to the server");
    else
        set_due(x, x->r->plan->core->timeout_connect);
    return true;
}

static struct conn *conn_of(const struct exchange *x)
{
    return x->stream && x->stream->of ? &x->stream->of->conn : NULL;
}

void stream_begin(struct link_stream *s, bool reused, bool made)
{
    struct exchange *x = s->x;

    if (x->r->upgrade.n && refuses_upgrade(x, s->of))
        return;
    exchange_begin(x, reused, made);
}

/* -- the request --------------------------------------------------------------------------------------------------- */

static bool add_fields(struct exchange *x, struct fields *fields, bool wants_trailers)
{
    if (x->r->upgrade.n) /* RFC 8441 5.1 */
        fields_remove(fields, S("Sec-WebSocket-Key"));
    if (wants_trailers && !fields_append(fields, FIELD_TE, S("TE"), S("trailers")))
        return false;
    return exchange_add_length(x, fields);
}

static str path_of(const struct weir_req *r)
{
    str path = r->proxy_path.n ? r->proxy_path : r->uri.path;

    if (!r->uri.has_query)
        return path;
    str parts[] = { path, S("?"), r->uri.query };
    return arena_concat(r->arena, parts, 3);
}

static bool put_head(struct exchange *x)
{
    struct weir_req *r = x->r;
    struct link_stream *s = x->stream;
    struct h2_target target = {
        .method = r->method,
        .scheme = x->upstream->tls ? S("https") : S("http"),
        .authority = fields_get(&r->up_fields, FIELD_HOST),
        .path = path_of(r),
    };

    s->is_connect = r->upgrade.n > 0;
    if (s->is_connect) {
        target.method = S("CONNECT");
        target.protocol = x->upgrade = S("websocket");
    }
    s->h2.arena = r->arena;
    s->h2.fields = &s->fields;
    s->h2.trailers = &r->rsp_trailers;
    s->h2.source = &r->up.out;
    s->h2.asked = (struct h2_asked){ .head = r->is_head, .connect = s->is_connect };
    bool end = !s->is_connect && r->up.out_end && !r->up.out.n && !r->trailers.count;
    if (!target.path.p || !h2_request(s->of->codec, &s->h2, &target, &r->up_fields, end))
        return false;
    x->body_done = end || s->is_connect;
    x->wrote_bytes = true; /* as far as is known from now on */
    return true;
}

static void send_content(struct exchange *x)
{
    struct weir_req *r = x->r;
    struct link_stream *s = x->stream;

    if (!has_begun(x) || x->body_done || (s->is_connect && x->phase != EXCHANGE_RAW))
        return;
    if (r->up.out_end && !s->h2.source_ended && !s->is_connect) {
        hop_drop_named(&r->trailers, fields_join(&r->fields, FIELD_CONNECTION, r->arena));
        s->h2.source_trailers = &r->trailers;
    }
    s->h2.source_ended = r->up.out_end;
    if (!r->up.out.n && !r->up.out_end)
        return;
    h2_wake(&s->h2);
    link_later(s->of);
}

void stream_moved(struct link_stream *s)
{
    struct exchange *x = s->x;
    uint64_t n = s->h2.moved - s->counted;

    s->counted = s->h2.moved;
    if (!x)
        return;
    if (n && !exchange_body_taken(x, n))
        return;
    x->body_done |= s->h2.sent_end;
    if (!n)
        return;
    if (x->phase != EXCHANGE_RAW)
        set_due(x, x->r->plan->core->timeout_response);
    if (!x->r->up.in_end)
        x->r->codec->want_body(x->r);
    if (x->stream == s)
        send_content(x);
}

static bool is_all_sent(const struct exchange *x)
{
    return !x->r->up.out.n && !x->stream->of->out.n;
}

/* -- the response -------------------------------------------------------------------------------------------------- */

static void receive(struct exchange *x)
{
    struct link_stream *s = x->stream;

    h2_grant(&s->h2, body_room(&x->r->down));
    link_later(s->of);
}

/* The other side's way ends; what the request still has goes on in a tunnel, and is over otherwise. */
static void end_received(struct exchange *x)
{
    struct weir_req *r = x->r;
    struct chain nothing;

    chain_init(&nothing);
    if (x->phase != EXCHANGE_RAW)
        exchange_complete(x, true);
    request_origin_body(r, &nothing, true, true);
}

/* To hooks and clients it is what HTTP/1.1 would have answered (RFC 8441 5). */
static bool become_upgrade(struct link_stream *s, struct h1_response *head)
{
    struct weir_req *r = s->x->r;
    char accept[WEBSOCKET_ACCEPT];

    head->status = 101;
    head->upgrade = S("websocket");
    head->body = BODY_NONE;
    fields_remove(&s->fields, S("Sec-WebSocket-Accept"));
    const struct field *key = fields_find(&r->fields, S("Sec-WebSocket-Key"));
    if (!key || !websocket_answer(key->value, accept))
        return true; /* it never had a key: the client will see to that */
    str value = arena_str(r->arena, (str){ accept, sizeof(accept) });
    return value.p && fields_add(&s->fields, S("Sec-WebSocket-Accept"), value);
}

static void on_response(struct h2_stream *h2, const struct h1_response *response)
{
    struct link_stream *s = stream_of(h2);
    struct exchange *x = s->x;
    struct h1_response head = *response;

    if (!x)
        return;
    x->got_bytes = true;
    set_due(x, x->r->plan->core->timeout_response);
    if (head.status < 200) {
        exchange_interim_head(x, head.status, &s->fields);
        return;
    }
    if (s->is_connect && head.status < 300 && !become_upgrade(s, &head)) {
        exchange_fail(x, 503, "no memory");
        return;
    }
    s->of->quiet_ms = LINK_QUIET_MS;
    exchange_final_head(x, &head, &s->fields);
    if (x->stream == s && head.status != 101 && (h2->received_end || head.body == BODY_NONE))
        end_received(x); /* of a head without content the end may come later: it is not waited for */
}

static void on_data(struct h2_stream *h2, const uint8_t *p, size_t n)
{
    struct link_stream *s = stream_of(h2);
    struct exchange *x = s->x;
    struct chain content;

    if (!x)
        return;
    chain_init(&content);
    bool waits = x->phase == EXCHANGE_BODY && x->r->status == 101; /* until the tunnel is open */
    if (!chain_append_part(waits ? &s->early : &content, s->of->in.block, p, n)) {
        exchange_fail(x, 503, "no memory");
        return;
    }
    s->of->quiet_ms = LINK_QUIET_MS;
    if (waits)
        return;
    if (x->phase != EXCHANGE_RAW)
        set_due(x, x->r->plan->core->timeout_response);
    request_origin_body(x->r, &content, false, x->phase == EXCHANGE_RAW);
    if (x->stream != s)
        return;
    h2_grant(h2, body_room(&x->r->down));
    if (x->r->down.first && list_is_empty(&s->paused))
        list_push(&s->of->paused, &s->paused);
}

void stream_pauses(struct link_stream *s)
{
    struct chain nothing;

    chain_init(&nothing);
    if (s->x && s->x->phase == EXCHANGE_BODY)
        request_origin_body(s->x->r, &nothing, false, true);
}

static void tunnel(struct exchange *x)
{
    struct link_stream *s = x->stream;
    struct chain early = s->early;

    chain_init(&s->early);
    if (early.n)
        request_origin_body(x->r, &early, false, true);
    chain_clear(&early);
    if (x->stream == s && s->h2.received_end)
        end_received(x);
    if (x->stream == s)
        send_content(x);
}

static void on_end(struct h2_stream *h2)
{
    struct exchange *x = stream_of(h2)->x;

    if (!x || (x->phase == EXCHANGE_BODY && x->r->status == 101))
        return;
    end_received(x);
}

static void on_broken(struct h2_stream *h2, const char *why)
{
    struct exchange *x = stream_of(h2)->x;

    h2_reset(h2, H2_PROTOCOL_ERROR);
    if (x)
        exchange_malformed(x, why);
}

/* -- ends ---------------------------------------------------------------------------------------------------------- */

enum { HTTP_1_1_REQUIRED = 13 };

static void was_reset(struct exchange *x, uint32_t code)
{
    str parts[] = { S("stream reset by the server: "), str_of(h2_code_name(code)),
                    code == HTTP_1_1_REQUIRED ? S(" (`protocol http1;` is what it wants)") : S("") };
    str why = arena_concat(x->r->arena, parts, 3);

    exchange_reset(x, why.p ? why.p : "stream reset by the server");
}

static void on_closed(struct h2_stream *h2, uint32_t code)
{
    struct link_stream *s = stream_of(h2);

    if (s->x && s->x->phase == EXCHANGE_RAW && h2->sent_end && h2->received_end && code == H2_NO_ERROR)
        exchange_complete(s->x, true); /* a tunnel that both sides have ended; its client may still have some to take */
    struct exchange *x = s->x;
    if (x) {
        x->stream = NULL;
        deadline_cancel(&x->deadline);
    }
    stream_over(s);
    if (!x)
        return;
    if (code == H2_REFUSED_STREAM && x->phase == EXCHANGE_HEAD && !x->got_bytes)
        exchange_refused(x);
    else
        was_reset(x, code);
}

static void on_settled(void *owner)
{
    struct link *link = owner;

    link->settled = true;
    link->pool->streams_most = h2_streams_most(link->codec);
    link_later(link); /* who waits for it */
}

static void on_leaving(void *owner, uint32_t code)
{
    struct link *link = owner;
    char room[ADDR_TEXT];

    if (code != H2_NO_ERROR)
        log_warn("HTTP/2 connection to %.*s: ended by the server: %s", STR_ARG(addr_text(&link->to, room)),
                 h2_code_name(code));
    link->leaving = true;
}

static void on_pong(void *owner)
{
    struct link *link = owner;

    link->pinged_ms = 0;
    link->quiet_ms = LINK_QUIET_PONGED_MS;
}

const struct h2_calls link_calls = {
    .response = on_response,
    .settled = on_settled,
    .leaving = on_leaving,
    .data = on_data,
    .end = on_end,
    .broken = on_broken,
    .closed = on_closed,
    .pong = on_pong,
};

const struct carrier_calls carrier_h2 = {
    .take = take,
    .connect = connect_to,
    .conn = conn_of,
    .add_fields = add_fields,
    .put_head = put_head,
    .send = send_content,
    .receive = receive,
    .tunnel = tunnel,
    .is_all_sent = is_all_sent,
    .set_due = set_due,
    .has_due = has_due,
    .give_back = give_back,
    .let_go = let_go,
};
