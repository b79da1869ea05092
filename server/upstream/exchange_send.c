/* SPDX-License-Identifier: BSD-2-Clause */
/* The request's way out: its head in normal form, its body framed anew. */
#include "base/log.h"
#include "upstream/exchange.h"
#include "upstream/forwarded.h"
#include "upstream/hop.h"

enum { OUT_MOST = 256 * 1024, HEAD_EXTRA = 64 };

/* -- the head ------------------------------------------------------------------------------------------------------ */

/* "a:" was read as "a". */
static bool is_host_as_received(str field, str host)
{
    return str_has_prefix(field, host) && (field.n == host.n || str_equal(str_from(field, host.n), S(":")));
}

static str host_for(const struct exchange *x)
{
    const struct weir_req *r = x->r;
    const struct server *server = &x->upstream->servers[x->server];
    str field = fields_get(&r->fields, FIELD_HOST);

    if (field.n && !is_host_as_received(field, r->host_field)) /* a hook has set another */
        return field;
    if (r->host_field.n)
        return r->host_field;
    return !server->host.n && addr_is_unix(&server->addr) ? S("localhost") : server->name; /* a path is no host */
}

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
    struct weir_req *r = x->r;
    char digits[24];
    struct out out = { .p = digits, .room = sizeof(digits) };

    x->chunked = r->body_kind == BODY_CHUNKED;
    fields_remove_id(fields, FIELD_CONTENT_LENGTH);
    if (r->body_kind == BODY_NONE)
        return true;
    if (x->chunked)
        return fields_append(fields, FIELD_TRANSFER_ENCODING, S("Transfer-Encoding"), S("chunked"));
    out_u64(&out, r->content_length);
    str length = arena_str(r->arena, (str){ digits, out.n });
    return length.p && fields_append(fields, FIELD_CONTENT_LENGTH, S("Content-Length"), length);
}

static bool make_fields(struct exchange *x)
{
    struct weir_req *r = x->r;
    struct fields *fields = &r->up_fields;

    fields_init(fields, r->arena);
    fields->items = arena_array(r->arena, struct field, r->fields.count + 16);
    if (!fields->items)
        return false;
    fields->room = r->fields.count + 16;
    fields->count = r->fields.count;
    if (r->fields.count) /* an HTTP/1.0 request may have none */
        memcpy(fields->items, r->fields.items, sizeof(struct field) * r->fields.count);
    bool wants_trailers = fields_has_token(fields, FIELD_TE, S("trailers"));
    fields_remove_hop_by_hop(fields);
    if (!r->expects_continue)
        fields_remove_id(fields, FIELD_EXPECT);
    hop_drop_aliases(fields);
    forwarded_drop_untrusted(r, fields);
    if (!fields_set_id(fields, FIELD_HOST, host_for(x)) || !forwarded_set(r, fields) ||
        !hop_count_down(r, fields) || !hop_add_via(r, fields))
        return false;
    return add_connection(r, fields, wants_trailers) && add_framing(x, fields);
}

bool exchange_put_head(struct exchange *x)
{
    struct weir_req *r = x->r;
    struct upstream_conn *uc = x->uc;

    if (!make_fields(x))
        return false;
    if (!request_run_up_head(r))
        return false;
    x->upgrade = fields_get(&r->up_fields, FIELD_UPGRADE);
    str path = r->proxy_path.n ? r->proxy_path : r->uri.path;
    size_t size = HEAD_EXTRA + r->method.n + path.n + r->uri.query.n + h1_fields_size(&r->up_fields);
    struct block *block = block_create(size <= BLOCK_SMALL ? BLOCK_SMALL : (uint32_t)size);
    if (!block)
        return false;
    struct out out = { .p = (char *)block->data, .room = block->size };
    h1_put_request(&out, r->method, path, r->uri.query, r->uri.has_query, &r->up_fields);
    block->used = (uint32_t)out.n;
    bool fine = !out.full && chain_append_block(&uc->out, block, block->data, out.n);
    block_unref(block);
    return fine;
}

/* -- the body ------------------------------------------------------------------------------------------------------ */

static bool put_content(struct exchange *x)
{
    struct weir_req *r = x->r;
    struct chain *out = &x->uc->out;
    uint64_t n = r->up.out.n;

    if (n == 0)
        return true;
    x->body_taken += n;
    r->up.taken += n;
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
    bool had = r->up.out.n > 0;
    if (!put_content(x)) {
        exchange_fail(x, 503, "no memory");
        return;
    }
    body_run(&r->up, false);
    if (r->up.failed) {
        exchange_fail(x, 503, r->up.why);
        return;
    }
    if (r->up.out_end && !r->up.out.n && !put_end(x)) {
        exchange_fail(x, 503, "no memory");
        return;
    }
    if (had) {
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
    exchange_receive(x);
    if (x->uc == uc && x->phase == EXCHANGE_HEAD && !x->got_bytes)
        exchange_conn_broken(x, uc->conn.transport && uc->conn.why ? uc->conn.why : "connection broke while sending");
}

void exchange_write(struct exchange *x)
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
void exchange_send(struct exchange *x)
{
    struct upstream_conn *uc = x->uc;
    const struct body *up = &x->r->up;

    do {
        send_body(x);
        exchange_write(x);
    } while (x->uc && x->uc == uc && !x->body_done && !x->write_failed && !uc->out.n && (up->out.n || up->out_end));
}
