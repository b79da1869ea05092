/* SPDX-License-Identifier: BSD-2-Clause */
/* The request in HTTP/1.1: its head in normal form, its body framed anew. */
#include "upstream/carrier_h1.h"
#include "upstream/hop.h"

enum { OUT_MOST = 256 * 1024, HEAD_EXTRA = 64 };

/* -- the head ------------------------------------------------------------------------------------------------------ */

static bool add_connection(struct weir_req *r, struct fields *fields, bool wants_trailers)
{
    if (r->upgrade.n)
        return fields_append(fields, FIELD_CONNECTION, S("Connection"), S("Upgrade")) &&
               fields_append(fields, FIELD_UPGRADE, S("Upgrade"), r->upgrade);
    if (wants_trailers)
        return fields_append(fields, FIELD_CONNECTION, S("Connection"), S("TE")) &&
               fields_append(fields, FIELD_TE, S("TE"), S("trailers"));
    return true;
}

static bool add_framing(struct exchange *x, struct fields *fields)
{
    x->chunked = x->r->body_kind == BODY_CHUNKED;
    if (!exchange_add_length(x, fields))
        return false;
    return !x->chunked || fields_append(fields, FIELD_TRANSFER_ENCODING, S("Transfer-Encoding"), S("chunked"));
}

bool carrier_h1_add_fields(struct exchange *x, struct fields *fields, bool wants_trailers)
{
    return add_connection(x->r, fields, wants_trailers) && add_framing(x, fields);
}

bool carrier_h1_put_head(struct exchange *x)
{
    struct weir_req *r = x->r;

    x->upgrade = fields_get(&r->up_fields, FIELD_UPGRADE);
    str path = r->proxy_path.n ? r->proxy_path : r->uri.path;
    size_t size = HEAD_EXTRA + r->method.n + path.n + r->uri.query.n + h1_fields_size(&r->up_fields);
    struct block *block = block_create(size <= BLOCK_SMALL ? BLOCK_SMALL : (uint32_t)size);
    if (!block)
        return false;
    struct out out = { .p = (char *)block->data, .room = block->size };
    h1_put_request(&out, r->method, path, r->uri.query, r->uri.has_query, &r->up_fields);
    block->used = (uint32_t)out.n;
    bool fine = !out.full && chain_append_block(&x->uc->out, block, block->data, out.n);
    block_unref(block);
    return fine;
}

/* -- the body ------------------------------------------------------------------------------------------------------ */

static bool put_content(struct exchange *x)
{
    struct weir_req *r = x->r;
    struct chain *out = &x->uc->out;
    if (r->up.out.n == 0)
        return true;
    if (!x->chunked || x->phase == EXCHANGE_RAW) {
        chain_move_all(out, &r->up.out);
        return true;
    }
    return h1_append_chunk(out, &r->up.out);
}

static bool put_end(struct exchange *x)
{
    struct weir_req *r = x->r;

    x->body_done = true;
    if (!x->chunked || x->phase == EXCHANGE_RAW)
        return true;
    hop_drop_named(&r->trailers, fields_join(&r->fields, FIELD_CONNECTION, r->arena));
    if (r->trailers.count == 0)
        return chain_append_static(&x->uc->out, "0\r\n\r\n", 5);
    size_t size = HEAD_EXTRA + h1_fields_size(&r->trailers);
    struct block *block = block_create(size <= BLOCK_SMALL ? BLOCK_SMALL : (uint32_t)size);
    if (!block)
        return false;
    struct out out = { .p = (char *)block->data, .room = block->size };
    h1_put_trailers(&out, &r->trailers);
    block->used = (uint32_t)out.n;
    bool fine = !out.full && chain_append_block(&x->uc->out, block, block->data, out.n);
    block_unref(block);
    return fine;
}

static void send_body(struct exchange *x)
{
    struct weir_req *r = x->r;

    if (!x->uc || x->body_done || x->uc->out.n >= OUT_MOST)
        return;
    if (x->write_failed) {
        chain_clear(&r->up.out);
        return;
    }
    uint64_t n = r->up.out.n;
    if (!put_content(x)) {
        exchange_fail(x, 503, "no memory");
        return;
    }
    if (!exchange_body_taken(x, n))
        return;
    if (r->up.out_end && !r->up.out.n && !put_end(x)) {
        exchange_fail(x, 503, "no memory");
        return;
    }
    if (n) {
        conn_set_due(&x->uc->conn, r->plan->core->timeout_response);
        if (!r->up.in_end)
            r->codec->want_body(r);
    }
}

/* The origin may have answered and closed before it read everything (RFC 9112 9.6): its answer counts, if there is
 * one. */
static void write_broke(struct exchange *x)
{
    const struct upstream_conn *uc = x->uc;

    x->write_failed = true;
    chain_clear(&x->uc->out);
    if (x->phase == EXCHANGE_RAW) {
        exchange_fail(x, 502, "connection broke");
        return;
    }
    carrier_h1_receive(x);
    if (x->uc == uc && x->phase == EXCHANGE_HEAD && !x->got_bytes)
        exchange_conn_broken(x, uc->conn.transport && uc->conn.why ? uc->conn.why : "connection broke while sending");
}

void carrier_h1_write(struct exchange *x)
{
    struct upstream_conn *uc = x->uc;

    if (!uc || uc->out.n == 0) {
        if (uc && x->phase == EXCHANGE_RAW && x->body_done && !uc->conn.write_shut)
            conn_shutdown_write(&uc->conn);
        return;
    }
    uint64_t before = uc->out.n;
    int rc = conn_write_chain(&uc->conn, &uc->out);
    if (uc->out.n != before) {
        x->wrote_bytes = true;
        if (x->phase != EXCHANGE_RAW && rc == CONN_AGAIN)
            conn_set_due(&uc->conn, x->r->plan->core->timeout_response);
    }
    if (rc == CONN_BROKEN)
        write_broke(x);
    else if (rc == 1 && x->phase == EXCHANGE_RAW && x->body_done)
        conn_shutdown_write(&uc->conn);
}

/* A hook makes more as soon as its output is taken; when all of that was written nobody else would ask for it. */
void carrier_h1_send(struct exchange *x)
{
    struct upstream_conn *uc = x->uc;
    const struct body *up = &x->r->up;

    if (x->phase != EXCHANGE_HEAD && x->phase != EXCHANGE_BODY && x->phase != EXCHANGE_RAW)
        return;
    do {
        send_body(x);
        carrier_h1_write(x);
    } while (x->uc && x->uc == uc && !x->body_done && !x->write_failed && !uc->out.n && (up->out.n || up->out_end));
}
