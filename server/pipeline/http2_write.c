/* SPDX-License-Identifier: BSD-2-Clause */
/* The HTTP/2 codec's way out: what the engine asks of a stream. Heads are framed at once; content waits in its request
 * until the connection's flush takes it. */
#include "base/log.h"
#include "pipeline/http2.h"

static void later(struct client_stream *s)
{
    conn_later(&s->of->c->conn);
}

/* It cannot be ended in place. */
static void give_up(struct client_stream *s, uint32_t code, const char *why)
{
    h2_reset(&s->h2, code);
    s->no_more = true;
    if (!s->gone)
        s->gone = why;
    stream_over(s);
}

/* -- heads --------------------------------------------------------------------------------------------------------- */

/* RFC 8441 5: success opens the stream. Of the HTTP/1.1 handshake nothing is left. */
static bool respond_to_connect(struct client_stream *s, struct weir_req *r)
{
    if (r->status == 101) {
        fields_remove(&r->rsp, S("Sec-WebSocket-Accept"));
        return h2_respond(&s->h2, 200, &r->rsp, false);
    }
    if (r->status >= 300)
        return h2_respond(&s->h2, r->status, &r->rsp, r->rsp_no_content);
    /* The origin has answered as if nothing was to be upgraded: to the client that would open the stream. */
    log_info("request %.*s: the origin did not upgrade (%d)", STR_ARG(r->id), r->status);
    r->status = 502;
    r->rsp.count = 0;
    bool fine = h2_respond(&s->h2, 502, &r->rsp, true);
    s->h2.source = &s->nothing;
    s->no_more = true;
    return fine;
}

static void codec_head(struct weir_req *r)
{
    struct client_stream *s = r->stream;
    bool end = r->rsp_no_content || r->rsp_body == BODY_NONE ||
               (r->rsp_body == BODY_LENGTH && r->rsp_length == 0 && r->rsp_trailers.count == 0);

    if (s->reset_with) {
        give_up(s, s->reset_with, r->refuse_reason ? r->refuse_reason : "malformed");
        return;
    }
    s->h2.source_trailers = &r->rsp_trailers;
    bool fine = s->is_connect ? respond_to_connect(s, r) : h2_respond(&s->h2, r->status, &r->rsp, end);
    if (!fine)
        give_up(s, H2_INTERNAL_ERROR, "no memory");
    later(s);
}

static void codec_info(struct weir_req *r, int status, const struct fields *fields)
{
    struct client_stream *s = r->stream;

    h2_inform(&s->h2, status, fields); /* one that is lost hurts nobody */
    later(s);
}

static void codec_send_continue(struct weir_req *r)
{
    const struct fields none = { 0 };

    codec_info(r, 100, &none);
}

/* -- content ------------------------------------------------------------------------------------------------------- */

static void codec_abort(struct weir_req *r)
{
    struct client_stream *s = r->stream;

    give_up(s, s->reset_with ? s->reset_with : r->is_reset ? H2_CANCEL : H2_INTERNAL_ERROR, "response broken off");
}

static void codec_body(struct weir_req *r)
{
    struct client_stream *s = r->stream;

    if (s->gone || s->h2.source != &r->down.out)
        return;
    r->body_sent = s->h2.moved;
    if (!request_length_is_kept(r, r->down.out_end)) {
        log_warn("request %.*s: content and Content-Length differ", STR_ARG(r->id));
        codec_abort(r);
        return;
    }
    s->h2.source_ended = r->down.out_end;
    h2_wake(&s->h2);
    if (list_is_empty(&s->fresh))
        list_push(&s->of->fresh, &s->fresh);
    later(s);
}

void stream_join(struct client_stream *s)
{
    struct chain early = s->early;

    s->is_joined = true;
    chain_init(&s->early);
    if (early.n || s->h2.received_end)
        request_body(s->r, &early, s->h2.received_end);
    chain_clear(&early);
    stream_grant(s);
}

static void codec_tunnel(struct weir_req *r)
{
    struct client_stream *s = r->stream;

    s->is_tunnel = true;
    s->h2.source_ended = false;
    stream_wait(s, STREAM_WAITS_TUNNEL, true);
    stream_over(s); /* what came early is passed on when the origin is ready for it: in the flush */
}

static void codec_want_body(struct weir_req *r)
{
    struct client_stream *s = r->stream;

    stream_grant(s);
    later(s);
}

static void codec_done(struct weir_req *r)
{
    struct client_stream *s = r->stream;

    r->bytes_received = s->h2.bytes_in;
    r->bytes_sent = s->h2.bytes_out;
    r->body_sent = s->h2.moved;
    if (s->is_connect && r->status == 101)
        r->status = 200; /* what the client saw; a tunnel is a 101 until here */
    stream_wait(s, STREAM_WAITS_NOTHING, false);
    s->r = NULL;
    s->h2.arena = NULL;
    s->no_more = true;
    s->of->open--;
    s->h2.source = &s->nothing;
    s->h2.source_trailers = NULL;
    list_remove(&s->fresh);
    if (!s->h2.sent_end)
        h2_reset(&s->h2, H2_INTERNAL_ERROR);
    stream_over(s);
}

const struct codec_calls h2_codec = {
    .info = codec_info,
    .head = codec_head,
    .body = codec_body,
    .tunnel = codec_tunnel,
    .want_body = codec_want_body,
    .send_continue = codec_send_continue,
    .abort = codec_abort,
    .done = codec_done,
};

/* -- behind producing and writing ---------------------------------------------------------------------------------- */

static void response_queued(struct client_stream *s)
{
    struct h2_conn *h2 = s->of;

    stream_wait(s, STREAM_WAITS_NOTHING, false);
    if (list_is_empty(&s->finished)) {
        s->end_at = h2->queued;
        list_push(&h2->finished, &s->finished);
    }
    if (!s->h2.received_end) { /* RFC 9113 8.1: the rest of the request is not needed */
        s->no_more = true;
        h2_reset(&s->h2, H2_NO_ERROR);
        conn_later(&h2->c->conn);
    }
}

static void moved(struct client_stream *s)
{
    struct weir_req *r = s->r;

    if (!r)
        return;
    r->down.taken = r->body_sent = s->h2.moved;
    if (s->h2.sent_end && !(s->is_tunnel && !s->h2.received_end)) {
        response_queued(s);
        return;
    }
    if (s->is_tunnel)
        stream_wait(s, STREAM_WAITS_TUNNEL, true);
    request_drained(r);
}

/* Something is left to be sent, and no window for it. */
static void settle_fresh(struct h2_conn *h2)
{
    for (struct list *link = list_first(&h2->fresh); link; link = list_first(&h2->fresh)) {
        struct client_stream *s = list_entry(link, struct client_stream, fresh);
        list_remove(link);
        if (s->r && !s->is_tunnel && !s->h2.sent_end && (s->r->down.out.n || s->h2.source_ended))
            stream_wait(s, STREAM_WAITS_SEND, false);
    }
}

void streams_moved(struct h2_conn *h2)
{
    struct list *touched = h2_touched(h2->codec);

    for (struct list *link = list_first(touched); link && !h2->c->reaped; link = list_first(touched)) {
        struct h2_stream *h2_stream = list_entry(link, struct h2_stream, touched);
        struct client_stream *s = list_entry(h2_stream, struct client_stream, h2);
        list_remove(link);
        bool waits = s->wait == STREAM_WAITS_SEND;
        moved(s);
        if (waits && s->r && s->wait == STREAM_WAITS_SEND)
            stream_wait(s, s->r->down.out.n || s->h2.source_ended ? STREAM_WAITS_SEND : STREAM_WAITS_NOTHING, true);
    }
    if (!h2->c->reaped)
        settle_fresh(h2);
}

void streams_written(struct h2_conn *h2)
{
    for (struct list *link = list_first(&h2->finished); link && !h2->c->reaped; link = list_first(&h2->finished)) {
        struct client_stream *s = list_entry(link, struct client_stream, finished);
        if (s->end_at > h2->written)
            return;
        list_remove(link);
        if (s->r)
            request_sent(s->r);
    }
}
