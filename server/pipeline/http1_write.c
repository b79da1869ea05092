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
};

/* -- the head ------------------------------------------------------------------------------------------------------ */

static bool queue_head(struct weir_conn *c, int status, str reason, const struct fields *fields)
{
    size_t size = HEAD_EXTRA + reason.n + h1_fields_size(fields);
    struct block *block = block_create(size <= BLOCK_SMALL ? BLOCK_SMALL : (uint32_t)size);

    if (!block)
        return false;
    struct out out = { .p = (char *)block->data, .room = block->size };
    h1_put_response(&out, status, reason, fields);
    block->used = (uint32_t)out.n;
    bool fine = !out.full && chain_append_block(&c->out, block, block->data, out.n);
    block_unref(block);
    if (fine)
        worker_defer(&c->flush);
    return fine;
}

/* May another request follow although this one's body has not come whole? Only when little of it is left. */
static bool body_can_be_skipped(const struct weir_conn *c, const struct weir_req *r)
{
    if (c->body_done)
        return true;
    if (r->expects_continue) /* it will never come, or it will: nobody knows */
        return false;
    return c->decoder.kind == BODY_LENGTH && c->decoder.left <= SKIP_MOST;
}

static bool set_connection(struct weir_conn *c, struct weir_req *r)
{
    bool offers = r->status == 426 && fields_find_id(&r->rsp, FIELD_UPGRADE); /* RFC 9110 7.8, 15.5.22 */

    fields_remove_id(&r->rsp, FIELD_CONNECTION);
    if (r->status == 101)
        return fields_append(&r->rsp, FIELD_CONNECTION, S("Connection"), S("Upgrade"));
    if (!body_can_be_skipped(c, r) || r->is_shed || pipeline_worker_self()->draining)
        c->keep_alive = false;
    if (!c->keep_alive)
        return fields_append(&r->rsp, FIELD_CONNECTION, S("Connection"), offers ? S("close, Upgrade") : S("close"));
    if (offers)
        return fields_append(&r->rsp, FIELD_CONNECTION, S("Connection"), S("Upgrade"));
    return r->version >= 11 || fields_append(&r->rsp, FIELD_CONNECTION, S("Connection"), S("keep-alive"));
}

static bool set_framing(struct weir_conn *c, struct weir_req *r)
{
    if (r->rsp_no_content || r->rsp_body != BODY_UNTIL_CLOSE)
        return true;
    c->chunked_out = r->version >= 11;
    if (c->chunked_out)
        return fields_append(&r->rsp, FIELD_TRANSFER_ENCODING, S("Transfer-Encoding"), S("chunked"));
    c->keep_alive = false;
    return true;
}

static void codec_head(struct weir_req *r)
{
    struct weir_conn *c = r->stream;

    c->head_queued = true;
    if (!set_framing(c, r) || !set_connection(c, r) ||
        !queue_head(c, r->status, r->reason.n ? r->reason : status_reason(r->status), &r->rsp))
        session_close(c);
}

static void codec_info(struct weir_req *r, int status, const struct fields *fields)
{
    struct weir_conn *c = r->stream;

    if (!c->head_queued)
        queue_head(c, status, status_reason(status), fields);
}

static void codec_send_continue(struct weir_req *r)
{
    struct weir_conn *c = r->stream;

    if (r->version < 11 || c->head_queued)
        return;
    str text = S("HTTP/1.1 100 Continue\r\n\r\n");
    chain_append_static(&c->out, text.p, text.n);
    worker_defer(&c->flush);
}

/* -- the body ------------------------------------------------------------------------------------------------------ */

static bool queue_trailers(struct weir_conn *c, const struct fields *trailers)
{
    if (trailers->count == 0)
        return chain_append_static(&c->out, "0\r\n\r\n", 5);
    size_t size = 16 + h1_fields_size(trailers);
    struct block *block = block_create(size <= BLOCK_SMALL ? BLOCK_SMALL : (uint32_t)size);
    if (!block)
        return false;
    struct out out = { .p = (char *)block->data, .room = block->size };
    h1_put_trailers(&out, trailers);
    block->used = (uint32_t)out.n;
    bool fine = !out.full && chain_append_block(&c->out, block, block->data, out.n);
    block_unref(block);
    return fine;
}

static bool join_content(struct weir_conn *c, struct chain *content)
{
    char copy[JOIN_MOST];
    size_t n = chain_copy_out(content, copy, sizeof(copy));

    if (n != content->n)
        return false;
    chain_clear(content);
    return chain_append_copy(&c->out, copy, n);
}

static bool queue_content(struct weir_conn *c, struct weir_req *r)
{
    uint64_t n = r->down.out.n;

    if (n == 0)
        return true;
    r->body_sent += n;
    r->down.taken += n;
    if (c->chunked_out)
        return h1_append_chunk(&c->out, &r->down.out);
    if (n <= JOIN_MOST && c->out.n && c->out.n <= JOIN_MOST)
        return join_content(c, &r->down.out);
    chain_move_all(&c->out, &r->down.out);
    return true;
}

static bool length_is_kept(const struct weir_req *r, bool end)
{
    if (r->rsp_body != BODY_LENGTH || r->rsp_no_content || r->phase == PHASE_TUNNEL)
        return true;
    uint64_t n = r->body_sent + r->down.out.n;
    return end ? n == r->rsp_length : n <= r->rsp_length;
}

static void codec_abort(struct weir_req *r)
{
    struct weir_conn *c = r->stream;

    c->keep_alive = false;
    c->aborting = true;
    worker_defer(&c->flush);
}

static void codec_body(struct weir_req *r)
{
    struct weir_conn *c = r->stream;

    if (c->end_queued || c->aborting || c->reaped || c->out.n >= OUT_MOST)
        return;
    bool end = r->down.out_end;
    if (!length_is_kept(r, end)) {
        log_warn("request %.*s: content and Content-Length differ", STR_ARG(r->id));
        codec_abort(r);
        return;
    }
    if (!queue_content(c, r) || (end && c->chunked_out && !queue_trailers(c, &r->rsp_trailers))) {
        codec_abort(r);
        return;
    }
    c->end_queued = end;
    worker_defer(&c->flush);
}

static void codec_tunnel(struct weir_req *r)
{
    struct weir_conn *c = r->stream;

    c->raw = true;
    c->keep_alive = false;
    c->body_done = true;
    worker_defer(&c->flush);
}

static void codec_want_body(struct weir_req *r)
{
    struct weir_conn *c = r->stream;

    worker_defer(&c->flush); /* reads on, if there is anything */
}

static void codec_done(struct weir_req *r)
{
    struct weir_conn *c = r->stream;

    if (c->current == r)
        c->current = NULL;
    c->raw = false;
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
void h1_tunnel_check(struct weir_conn *c)
{
    if (c->reaped || !c->raw || !c->end_queued || c->out.n)
        return;
    if (!c->conn.write_shut)
        conn_shutdown_write(&c->conn);
    if (!c->saw_eof)
        return;
    request_sent(c->current);
    session_close(c);
}

static void aborted(struct weir_conn *c)
{
    struct weir_req *r = c->current;
    bool unframed = r && r->head_sent && r->rsp_body == BODY_UNTIL_CLOSE && !c->chunked_out;

    if (unframed || (r && r->is_reset) || c->out.n)
        conn_reset(&c->conn); /* an orderly end would look like the end of the content */
    session_close(c);
}

static void all_written(struct weir_conn *c)
{
    struct weir_req *r = c->current;

    if (!r)
        return;
    if (c->raw) {
        request_drained(r);
        h1_tunnel_check(c);
        return;
    }
    if (c->end_queued) {
        request_sent(r);
        h1_response_over(c);
        return;
    }
    request_drained(r);
}

void h1_write_out(struct weir_conn *c)
{
    uint64_t before = c->out.n;
    int rc = before ? conn_write_chain(&c->conn, &c->out) : 1;

    if (c->current)
        c->current->bytes_sent += before - c->out.n;
    if (rc == CONN_BROKEN) {
        session_close(c);
        return;
    }
    if (c->aborting) {
        aborted(c);
        return;
    }
    if (rc == 1) {
        all_written(c);
        return;
    }
    if (c->raw)
        h1_wait(c, H1_WAITS_TUNNEL);
    else if (c->out.n != before || c->deadline_kind != H1_WAITS_SEND)
        h1_moved(c, H1_WAITS_SEND, before - c->out.n);
    if (c->out.n < OUT_LOW && c->current)
        request_drained(c->current);
}
