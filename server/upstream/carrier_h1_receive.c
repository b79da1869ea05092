/* SPDX-License-Identifier: BSD-2-Clause */
/* The response in HTTP/1: interim heads, the head, the body; checked as strictly as a client's. */
#include "upstream/carrier_h1.h"
#include "upstream/hop.h"

enum { ROOM_LEAST = 1024 };

static const struct h1_limits limits = { .head_bytes = RESPONSE_HEAD_MOST, .fields = RESPONSE_FIELDS_MOST };

/* -- input buffer -------------------------------------------------------------------------------------------------- */

/* A head and what comes with it at once; 16 KB of content are common, and a second read for the last bytes is dear. */
static uint32_t block_size_wanted(const struct exchange *x)
{
    if (x->phase != EXCHANGE_BODY)
        return BLOCK_MEDIUM;
    const struct h1_body *decoder = &x->uc->decoder;
    return decoder->kind == BODY_LENGTH && decoder->left <= BLOCK_SMALL ? BLOCK_SMALL : BLOCK_LARGE;
}

/* -- the head ------------------------------------------------------------------------------------------------------ */

static bool take_head(struct exchange *x)
{
    struct upstream_conn *uc = x->uc;
    struct weir_req *r = x->r;
    struct h1_error error = { 502, "malformed response" };
    struct h1_response head = { 0 };
    struct fields fields;
    str text = intake_rest(&uc->in);
    size_t head_bytes = 0;

    enum h1_rc rc = h1_scan(&uc->scan, text.p, text.n, &limits, &head_bytes, &error);
    if (rc == H1_MORE)
        return false;
    fields_init(&fields, r->arena);
    if (rc == H1_DONE) {
        uc->scan = (struct h1_scan){ 0 };
        if (!intake_pin(&uc->in, r->arena)) {
            exchange_fail(x, 503, "no memory");
            return false;
        }
        intake_use(&uc->in, head_bytes);
        rc = h1_parse_response((str){ text.p, head_bytes }, &limits, r->is_head, r->arena, &fields, &head, &error);
    }
    if (rc == H1_BAD) { /* h1_scan has a client in mind */
        exchange_malformed(x, error.status == 431 ? "response head of more than 64 KB" : error.why);
        return false;
    }
    if (head.status < 200 && head.status != 101) {
        exchange_interim_head(x, head.status, &fields);
        return x->uc == uc;
    }
    uc->keep = head.keep_alive && head.body != BODY_UNTIL_CLOSE && head.status != 101;
    h1_body_init(&uc->decoder, head.body, head.content_length, &limits, r->arena, &r->rsp_trailers);
    exchange_final_head(x, &head, &fields);
    return x->uc == uc;
}

/* -- the body ------------------------------------------------------------------------------------------------------ */

static bool take_body(struct exchange *x)
{
    struct upstream_conn *uc = x->uc;
    struct weir_req *r = x->r;
    struct h1_error error = { 502, "malformed chunk" };
    struct chain content;

    chain_init(&content);
    enum h1_event event = intake_decode(&uc->in, &uc->decoder, &content, &error);
    if (event == H1_BODY_BAD) {
        chain_clear(&content);
        exchange_malformed(x, error.why);
        return false;
    }
    bool end = event == H1_BODY_END;
    if (end) {
        hop_drop_named(&r->rsp_trailers, x->connection);
        exchange_complete(x, uc->keep);
    }
    if (content.n || end)
        request_origin_body(r, &content, end, !uc->conn.can_read);
    return x->uc == uc;
}

static bool take_raw(struct exchange *x)
{
    struct upstream_conn *uc = x->uc;
    struct chain content;

    chain_init(&content);
    if (!intake_pass_raw(&uc->in, &content)) {
        exchange_fail(x, 503, "no memory");
        return false;
    }
    request_origin_body(x->r, &content, false, true);
    return x->uc == uc;
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static bool body_is_complete(const struct exchange *x)
{
    const struct h1_body *decoder = &x->uc->decoder;

    return decoder->kind == BODY_NONE || (decoder->kind == BODY_LENGTH && decoder->left == 0);
}

/* True: go on reading. */
static bool process(struct exchange *x)
{
    struct upstream_conn *uc = x->uc;
    bool more = true;

    while (more && x->uc == uc && (intake_n(&uc->in) > 0 || (x->phase == EXCHANGE_BODY && x->r->status != 101 &&
                                                     body_is_complete(x)))) {
        if (x->phase == EXCHANGE_HEAD)
            more = take_head(x);
        else if (x->phase == EXCHANGE_RAW)
            more = take_raw(x);
        else if (x->phase == EXCHANGE_BODY && x->r->status != 101)
            more = take_body(x);
        else
            more = false;
    }
    return x->uc == uc;
}

static bool wants_input(const struct exchange *x)
{
    if (!x->uc || x->phase < EXCHANGE_HEAD || x->uc->conn.saw_eof)
        return false;
    if (x->phase == EXCHANGE_HEAD)
        return true;
    if (x->phase == EXCHANGE_BODY && x->r->status == 101)
        return false; /* until the tunnel is open */
    return body_room(&x->r->down) > 0;
}

static void input_ended(struct exchange *x)
{
    struct weir_req *r = x->r;
    struct chain nothing;

    chain_init(&nothing);
    if (x->phase == EXCHANGE_RAW) {
        request_origin_body(r, &nothing, true, true);
    } else if (x->phase == EXCHANGE_BODY && x->uc->decoder.kind == BODY_UNTIL_CLOSE) {
        exchange_complete(x, false);
        request_origin_body(r, &nothing, true, true);
    } else if (x->phase == EXCHANGE_HEAD) {
        exchange_conn_broken(x, x->got_bytes ? "connection closed in the middle of a head"
                             : "connection closed without a response");
    } else {
        exchange_fail(x, 502, "connection closed in the middle of a body");
    }
}

/* Hooks that hold content back (a compressor) hand it on now. */
static void origin_pauses(struct exchange *x)
{
    struct chain nothing;

    chain_init(&nothing);
    if (x->phase == EXCHANGE_BODY && x->r->down.first)
        request_origin_body(x->r, &nothing, false, true);
}

/* One that the client still has to take, with hardly any room left: no use to wait with. */
static void drop_full_input(struct intake *in)
{
    const struct block *block = in->block;

    if (block && in->at == block->used && block->size - block->used < ROOM_LEAST && block_is_shared(block))
        intake_drop(in);
}

void carrier_h1_receive(struct exchange *x)
{
    struct upstream_conn *uc = x->uc;

    if (!uc || x->phase < EXCHANGE_HEAD || !process(x))
        return;
    while (x->uc == uc && wants_input(x) && conn_may_read(&uc->conn)) {
        int64_t n = intake_read(&uc->in, &uc->conn, block_size_wanted(x));
        if (n == INTAKE_NO_MEMORY) {
            exchange_fail(x, 503, "no memory");
            return;
        }
        if (n == CONN_AGAIN) {
            origin_pauses(x);
            break;
        }
        if (n == CONN_EOF) {
            input_ended(x);
            return;
        }
        if (n < 0) {
            exchange_conn_broken(x, uc->conn.why ? uc->conn.why : "connection broke");
            return;
        }
        x->got_bytes = true;
        if (x->phase != EXCHANGE_RAW)
            conn_set_due(&uc->conn, x->r->plan->core->timeout_response);
        if (!process(x))
            return;
    }
    if (x->uc == uc)
        drop_full_input(&uc->in);
}
