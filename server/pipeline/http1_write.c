/* SPDX-License-Identifier: BSD-2-Clause */
/* The HTTP/1 codec's way out: heads, framed bodies, interim responses, tunnels. Everything is queued and written once a
 * turn. */
#include "base/log.h"
#include "pipeline/http1.h"

enum {
    OUT_MOST = 256 * 1024,
    OUT_LOW = 64 * 1024,
    SKIP_MOST = 64 * 1024, /* of a request body nobody wants: read and dropped rather than closed upon */
    HEAD_EXTRA = 256,
    JOIN_MOST = 2048,      /* content so small is copied behind its head: one piece costs less than two */
    WARM_LEAST = 4096,     /* so much is written while it is in the cache, before others' content is read */
};

/* -- the head ------------------------------------------------------------------------------------------------------ */

static bool queue_head(struct h1 *h, int status, str reason, const struct fields *fields)
{
    size_t size = HEAD_EXTRA + reason.n + h1_fields_size(fields);
    struct block *block = block_create(size <= BLOCK_SMALL ? BLOCK_SMALL : (uint32_t)size);

    if (!block)
        return false;
    struct out out = { .p = (char *)block->data, .room = block->size };
    h1_put_response(&out, status, reason, fields);
    block->used = (uint32_t)out.n;
    bool fine = !out.full && chain_append_block(&h->out, block, block->data, out.n);
    block_unref(block);
    if (fine)
        conn_later(&h->c->conn);
    return fine;
}

/* May another request follow although this one's body has not come whole? Only when little of it is left. */
static bool body_can_be_skipped(const struct h1 *h, const struct weir_req *r)
{
    if (h->body_done)
        return true;
    if (r->expects_continue) /* it will never come, or it will: nobody knows */
        return false;
    return h->decoder.kind == BODY_LENGTH && h->decoder.left <= SKIP_MOST;
}

static bool set_connection(struct h1 *h, struct weir_req *r)
{
    bool offers = r->status == 426 && fields_find_id(&r->rsp, FIELD_UPGRADE); /* RFC 9110 7.8, 15.5.22 */

    fields_remove_id(&r->rsp, FIELD_CONNECTION);
    if (r->status == 101)
        return fields_append(&r->rsp, FIELD_CONNECTION, S("Connection"), S("Upgrade"));
    if (!body_can_be_skipped(h, r) || r->is_shed || pipeline_worker_self()->draining)
        h->keep_alive = false;
    if (!h->keep_alive)
        return fields_append(&r->rsp, FIELD_CONNECTION, S("Connection"), offers ? S("close, Upgrade") : S("close"));
    if (offers)
        return fields_append(&r->rsp, FIELD_CONNECTION, S("Connection"), S("Upgrade"));
    return r->version >= 11 || fields_append(&r->rsp, FIELD_CONNECTION, S("Connection"), S("keep-alive"));
}

static bool set_framing(struct h1 *h, struct weir_req *r)
{
    if (r->rsp_no_content || r->rsp_body != BODY_UNTIL_CLOSE)
        return true;
    h->chunked_out = r->version >= 11;
    if (h->chunked_out)
        return fields_append(&r->rsp, FIELD_TRANSFER_ENCODING, S("Transfer-Encoding"), S("chunked"));
    h->keep_alive = false;
    return true;
}

static void codec_head(struct weir_req *r)
{
    struct h1 *h = r->stream;

    h->head_queued = true;
    if (!set_framing(h, r) || !set_connection(h, r) ||
        !queue_head(h, r->status, r->reason.n ? r->reason : status_reason(r->status), &r->rsp))
        session_close(h->c);
}

static void codec_info(struct weir_req *r, int status, const struct fields *fields)
{
    struct h1 *h = r->stream;

    if (!h->head_queued)
        queue_head(h, status, status_reason(status), fields);
}

static void codec_send_continue(struct weir_req *r)
{
    struct h1 *h = r->stream;

    if (r->version < 11 || h->head_queued)
        return;
    str text = S("HTTP/1.1 100 Continue\r\n\r\n");
    chain_append_static(&h->out, text.p, text.n);
    conn_later(&h->c->conn);
}

/* -- the body ------------------------------------------------------------------------------------------------------ */

static bool queue_trailers(struct h1 *h, const struct fields *trailers)
{
    if (trailers->count == 0)
        return chain_append_static(&h->out, "0\r\n\r\n", 5);
    size_t size = 16 + h1_fields_size(trailers);
    struct block *block = block_create(size <= BLOCK_SMALL ? BLOCK_SMALL : (uint32_t)size);
    if (!block)
        return false;
    struct out out = { .p = (char *)block->data, .room = block->size };
    h1_put_trailers(&out, trailers);
    block->used = (uint32_t)out.n;
    bool fine = !out.full && chain_append_block(&h->out, block, block->data, out.n);
    block_unref(block);
    return fine;
}

static bool join_content(struct h1 *h, struct chain *content)
{
    char copy[JOIN_MOST];
    size_t n = chain_copy_out(content, copy, sizeof(copy));

    if (n != content->n)
        return false;
    chain_clear(content);
    return chain_append_copy(&h->out, copy, n);
}

static bool queue_content(struct h1 *h, struct weir_req *r)
{
    uint64_t n = r->down.out.n;

    if (n == 0)
        return true;
    r->body_sent += n;
    r->down.taken += n;
    if (h->chunked_out)
        return h1_append_chunk(&h->out, &r->down.out);
    if (n <= JOIN_MOST && h->out.n && h->out.n <= JOIN_MOST)
        return join_content(h, &r->down.out);
    chain_move_all(&h->out, &r->down.out);
    return true;
}

static void codec_abort(struct weir_req *r)
{
    struct h1 *h = r->stream;

    h->keep_alive = false;
    h->aborting = true;
    conn_later(&h->c->conn);
}

static void codec_body(struct weir_req *r)
{
    struct h1 *h = r->stream;

    if (h->end_queued || h->aborting || h->c->reaped || h->out.n >= OUT_MOST)
        return;
    bool end = r->down.out_end;
    if (!request_length_is_kept(r, end)) {
        log_warn("request %.*s: content and Content-Length differ", STR_ARG(r->id));
        codec_abort(r);
        return;
    }
    if (!queue_content(h, r) || (end && h->chunked_out && !queue_trailers(h, &r->rsp_trailers))) {
        codec_abort(r);
        return;
    }
    h->end_queued = end;
    if (end && h->out.n >= WARM_LEAST)
        conn_soon(&h->c->conn);
    else
        conn_later(&h->c->conn);
}

static void codec_tunnel(struct weir_req *r)
{
    struct h1 *h = r->stream;

    h->raw = true;
    h->keep_alive = false;
    h->body_done = true;
    conn_later(&h->c->conn);
}

static void codec_want_body(struct weir_req *r)
{
    struct h1 *h = r->stream;

    conn_later(&h->c->conn); /* reads on, if there is anything */
}

static void codec_done(struct weir_req *r)
{
    struct h1 *h = r->stream;

    if (h->current == r)
        h->current = NULL;
    h->raw = false;
}

const struct codec_calls h1_codec = {
    .info = codec_info,
    .head = codec_head,
    .body = codec_body,
    .tunnel = codec_tunnel,
    .want_body = codec_want_body,
    .send_continue = codec_send_continue,
    .abort = codec_abort,
    .done = codec_done,
};

/* -- writing ------------------------------------------------------------------------------------------------------- */

/* A tunnel ends when both ways have ended. */
void h1_tunnel_check(struct h1 *h)
{
    if (h->c->reaped || !h->raw || !h->end_queued || h->out.n)
        return;
    if (!h->c->conn.write_shut)
        conn_shutdown_write(&h->c->conn);
    if (!h->saw_eof)
        return;
    request_sent(h->current);
    session_close(h->c);
}

static void aborted(struct h1 *h)
{
    struct weir_req *r = h->current;
    bool unframed = r && r->head_sent && r->rsp_body == BODY_UNTIL_CLOSE && !h->chunked_out;

    if (unframed || (r && r->is_reset) || h->out.n)
        conn_reset(&h->c->conn); /* an orderly end would look like the end of the content */
    session_close(h->c);
}

static void all_written(struct h1 *h)
{
    struct weir_req *r = h->current;

    if (!r)
        return;
    if (h->raw) {
        request_drained(r);
        h1_tunnel_check(h);
        return;
    }
    if (h->end_queued) {
        request_sent(r);
        h1_response_over(h);
        return;
    }
    request_drained(r);
}

void h1_write_out(struct h1 *h)
{
    uint64_t before = h->out.n;
    int rc = before ? conn_write_chain(&h->c->conn, &h->out) : 1;

    if (h->current)
        h->current->bytes_sent += before - h->out.n;
    if (rc == CONN_BROKEN) {
        session_close(h->c);
        return;
    }
    if (h->aborting) {
        aborted(h);
        return;
    }
    if (rc == 1) {
        all_written(h);
        return;
    }
    if (h->raw)
        h1_wait(h, H1_WAITS_TUNNEL);
    else if (h->out.n != before || h->waits != H1_WAITS_SEND)
        h1_moved(h, H1_WAITS_SEND, before - h->out.n);
    if (h->out.n < OUT_LOW && h->current)
        request_drained(h->current);
}
