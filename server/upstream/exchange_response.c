/* SPDX-License-Identifier: BSD-2-Clause */
/* The response's head, as far as it is the same in each version: what it means for the server, the retries, and the
 * client. */
#include "base/clock.h"
#include "http/websocket.h"
#include "pipeline/trace.h"
#include "upstream/exchange.h"
#include "upstream/hop.h"
#include "upstream/server_figures.h"

enum { INTERIM_MOST = 16 };

/* What hooks set on the response before the origin answered stays, in front of what the origin says. */
static bool join_fields(struct weir_req *r, struct fields *from)
{
    if (r->rsp.count == 0) {
        r->rsp = *from;
        return true;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        const struct field *field = &from->items[i];
        if (!fields_append(&r->rsp, field->id, field->name, field->value))
            return false;
    }
    return true;
}

static void take_framing(struct weir_req *r, const struct h1_response *head)
{
    r->rsp_length = head->content_length;
    if (head->has_length)
        r->rsp_body = BODY_LENGTH;
    else if (head->body == BODY_CHUNKED || head->body == BODY_UNTIL_CLOSE)
        r->rsp_body = BODY_UNTIL_CLOSE;
    else
        r->rsp_body = BODY_NONE;
}

/* RFC 6455 4.1: one Sec-WebSocket-Accept, and that of the key. A client with a key of its own looks itself. */
static bool accepts_key(str key, const struct fields *fields)
{
    str accept = STR_NONE;

    for (uint32_t i = 0; i < fields->count; i++) {
        if (!str_equal_nocase(fields->items[i].name, S("Sec-WebSocket-Accept")))
            continue;
        if (accept.p)
            return false;
        accept = fields->items[i].value;
    }
    return websocket_fits(key, accept);
}

/* RFC 9110 7.8, 15.2.2: only to the protocol that was asked for, and behind a whole request: else what is left of it
 * would be read as something else. */
static const char *why_no_switch(const struct exchange *x, const struct h1_response *head,
                                 const struct fields *fields)
{
    if (!x->upgrade.n)
        return "upgrade that nobody asked for";
    if (!str_equal_nocase(head->upgrade, x->upgrade))
        return "upgrade to another protocol than was asked for";
    if (x->r->websocket_key.n && !accepts_key(x->r->websocket_key, fields))
        return "Sec-WebSocket-Accept does not fit the key";
    return x->body_done ? NULL : "upgrade before the request was whole";
}

/* A status that `retry` names is the server's failure; NULL: it is none, as where there is no other server: then this
 * answer is better than ours. */
static const char *why_failure(const struct exchange *x, int status)
{
    const struct weir_upstream *u = x->upstream;

    if (u->server_count < 2 || !(u->retry.on & retry_class_of(status)))
        return NULL;
    return status == 502 ? "status 502" : status == 503 ? "status 503" : "status 504";
}

void exchange_malformed(struct exchange *x, const char *why)
{
    x->is_malformed = true;
    exchange_fail(x, 502, why);
}

void exchange_interim_head(struct exchange *x, int status, struct fields *fields)
{
    if (++x->interim > INTERIM_MOST) {
        exchange_malformed(x, "too many interim responses");
        return;
    }
    fields_remove_hop_by_hop(fields);
    fields_remove_id(fields, FIELD_CONTENT_LENGTH); /* RFC 9110 8.6: never in an interim response */
    request_origin_info(x->r, status, fields);
}

void exchange_final_head(struct exchange *x, const struct h1_response *head, struct fields *fields)
{
    struct weir_req *r = x->r;

    if (head->status == 101) {
        const char *why = why_no_switch(x, head, fields);
        if (why) {
            exchange_malformed(x, why);
            return;
        }
    }
    x->connection = head->body == BODY_CHUNKED ? fields_join(fields, FIELD_CONNECTION, r->arena) : STR_NONE;
    str upgrade = head->status == 101 ? head->upgrade : head->status == 426 ? hop_upgrade_offered(fields) : S("");
    fields_remove_hop_by_hop(fields);
    if (upgrade.n && !fields_append(fields, FIELD_UPGRADE, S("Upgrade"), upgrade)) {
        exchange_fail(x, 503, "no memory");
        return;
    }
    x->head_us = clock_us();
    server_count_answer(x, head->status);
    trace_answered(x->r, head->status);
    const struct server *server = &x->upstream->servers[x->server];
    const char *why = why_failure(x, head->status);
    if (why && exchange_try_elsewhere(x, retry_class_of(head->status), head->status, why))
        return;
    if (why)
        server_state_failed(server->state, &server->rules, why);
    else
        server_state_worked(server->state);
    r->status = head->status;
    r->reason = head->reason;
    r->upstream_status = head->status;
    take_framing(r, head);
    if (!join_fields(r, fields)) {
        exchange_fail(x, 503, "no memory");
        return;
    }
    const struct weir_upstream *u = x->upstream;
    if (u->sticky.cookie.n && (x->server != x->sticks_to || x->renews_cookie) &&
        !sticky_set(u, r, (uint32_t)x->server)) {
        exchange_fail(x, 503, "no memory");
        return;
    }
    x->phase = EXCHANGE_BODY;
    request_origin_head(r);
}
