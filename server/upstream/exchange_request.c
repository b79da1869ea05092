/* SPDX-License-Identifier: BSD-2-Clause */
/* The request's way out, as far as it is the same in each version: which fields it has, what its body is counted by. */
#include "upstream/exchange.h"
#include "upstream/forwarded.h"
#include "upstream/hop.h"

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

bool exchange_add_length(struct exchange *x, struct fields *fields)
{
    struct weir_req *r = x->r;
    char digits[24];
    struct out out = { .p = digits, .room = sizeof(digits) };

    fields_remove_id(fields, FIELD_CONTENT_LENGTH);
    if (r->body_kind != BODY_LENGTH)
        return true;
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
    return x->carrier->add_fields(x, fields, wants_trailers);
}

bool exchange_put_head(struct exchange *x)
{
    return make_fields(x) && request_run_up_head(x->r) && x->carrier->put_head(x);
}

bool exchange_body_taken(struct exchange *x, uint64_t n)
{
    struct weir_req *r = x->r;

    x->body_taken += n;
    r->up.taken += n;
    body_run(&r->up, false);
    if (r->up.failed)
        exchange_fail(x, 503, r->up.why);
    return !r->up.failed;
}
