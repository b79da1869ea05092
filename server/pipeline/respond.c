/* SPDX-License-Identifier: BSD-2-Clause */
/* The response's way: replies of our own, the origin's head and body, and what must be mended before the codec frames
 * them. */
#include "base/clock.h"
#include "base/log.h"
#include "pipeline/run.h"
#include "pipeline/session.h"

/* -- replies of our own -------------------------------------------------------------------------------------------- */

/* What was set on the response before is kept, unless the origin set it. */
static void response_reset(struct weir_req *r, int status)
{
    if (r->from_origin) {
        r->rsp.count = 0;
        r->rsp_trailers.count = 0;
        r->from_origin = false;
    }
    fields_remove_id(&r->rsp, FIELD_CONTENT_LENGTH);
    chain_clear(&r->reply);
    r->status = status;
    r->reason = STR_NONE;
    r->answered = true;
    r->rsp_body = status == 304 ? BODY_NONE : BODY_LENGTH; /* RFC 9110 8.6: a 304's length would be that of the 200 */
    r->rsp_length = 0;
    request_abandon_origin(r);
}

weir_verdict request_reply(struct weir_req *r, int status, str body)
{
    if (status < 200 || status > 599 || r->head_sent)
        return WEIR_FAIL;
    response_reset(r, status);
    if (!chain_append_copy(&r->reply, body.p, body.n))
        return WEIR_FAIL;
    r->rsp_length = body.n;
    if (body.n && !fields_find_id(&r->rsp, FIELD_CONTENT_TYPE))
        fields_append(&r->rsp, FIELD_CONTENT_TYPE, S("Content-Type"), S("text/plain; charset=utf-8"));
    return WEIR_REPLY;
}

weir_verdict request_reply_content(struct weir_req *r, int status, struct chain *content, uint64_t length)
{
    if (r->head_sent)
        return WEIR_FAIL;
    response_reset(r, status);
    chain_move_all(&r->reply, content);
    r->rsp_length = length;
    return WEIR_REPLY;
}

weir_verdict request_refuse(struct weir_req *r, int status, const char *reason)
{
    if (r->head_sent)
        return WEIR_FAIL;
    response_reset(r, status);
    r->refuse_reason = reason;
    if (r->calling)
        r->error_module = r->calling->mod->name;
    fields_remove_id(&r->rsp, FIELD_CONTENT_TYPE);
    request_error_body(r, status);
    return WEIR_REPLY;
}

void response_start_reply(struct weir_req *r)
{
    request_forget_suspension(r);
    r->wait_body = 0;
    r->phase = PHASE_RSP_HOOKS;
    request_enter(r, STAGE_RSP_HEAD);
    request_run(r);
}

/* -- the head that goes out ---------------------------------------------------------------------------------------- */

static bool has_no_content(const struct weir_req *r)
{
    return r->is_head || r->status == 204 || r->status == 304 || r->status < 200;
}

static bool weaken_etag(struct weir_req *r)
{
    str etag = fields_get(&r->rsp, FIELD_ETAG);

    if (!etag.n || str_has_prefix(etag, S("W/")))
        return true;
    str parts[] = { S("W/"), etag };
    str weak = arena_concat(r->arena, parts, 2);
    return weak.p && fields_set_id(&r->rsp, FIELD_ETAG, weak);
}

/* RFC 9110 8.6, 8.8.3, 14.3: another content has another length, no byte-for-byte tag and no ranges. */
static bool length_changes(struct weir_req *r)
{
    r->rsp_body = BODY_UNTIL_CLOSE;
    fields_remove_id(&r->rsp, FIELD_ACCEPT_RANGES);
    return weaken_etag(r);
}

static bool body_open_down(struct weir_req *r)
{
    static const enum stage slots[] = { STAGE_REQ_BODY, STAGE_STORE, STAGE_TRANSFORM, STAGE_ENCODE };

    for (unsigned slot = 1; slot < 4; slot++) {
        const struct steps *steps = &r->plan->stages[slots[slot]];
        for (uint32_t i = 0; i < steps->count; i++) {
            bool engaged = (steps->at[i].hook->flags & WEIR_ENGAGED) || (i < 64 && (r->engaged[slot] >> i & 1));
            if (!engaged || (slots[slot] == STAGE_STORE && !r->from_origin))
                continue;
            if (steps->at[i].hook->flags & WEIR_CHANGES_LENGTH && !length_changes(r))
                return false;
            if (!r->rsp_no_content && !body_add_hook(&r->down, &steps->at[i], r->arena))
                return false;
        }
    }
    return true;
}

static bool settle_length(struct weir_req *r)
{
    char digits[24];
    struct out out = { .p = digits, .room = sizeof(digits) };

    if (r->status < 200 || r->status == 204 || (r->status == 304 && r->rsp_body != BODY_LENGTH)) {
        fields_remove_id(&r->rsp, FIELD_CONTENT_LENGTH);
        return true;
    }
    if (r->rsp_body == BODY_UNTIL_CLOSE || (r->rsp_body == BODY_NONE && r->rsp_no_content)) {
        fields_remove_id(&r->rsp, FIELD_CONTENT_LENGTH);
        return true;
    }
    if (r->rsp_body == BODY_NONE)
        r->rsp_length = 0;
    out_u64(&out, r->rsp_length);
    str length = arena_str(r->arena, (str){ digits, out.n });
    return length.p && fields_set_id(&r->rsp, FIELD_CONTENT_LENGTH, length);
}

static bool add_date(struct weir_req *r)
{
    if (fields_find_id(&r->rsp, FIELD_DATE))
        return true;
    str date = arena_str(r->arena, clock_http_date());
    return date.p && fields_append(&r->rsp, FIELD_DATE, S("Date"), date);
}

/* Behind a 101 both bodies begin anew, raw, and no hook looks into them. */
static void start_tunnel(struct weir_req *r)
{
    struct body *ways[] = { &r->up, &r->down };

    for (int i = 0; i < 2; i++) {
        ways[i]->first = NULL;
        ways[i]->is_open = true;
        ways[i]->in_end = ways[i]->out_end = false;
    }
    r->codec->tunnel(r);
    if (!r->ending && r->origin_started && !r->origin_abandoned)
        r->origin->more_room(r);
}

void response_begin(struct weir_req *r)
{
    if (r->ending)
        return;
    r->rsp_no_content = has_no_content(r);
    if (!body_open_down(r) || !settle_length(r) || !add_date(r)) {
        response_broken(r, "no memory");
        return;
    }
    r->head_sent = true;
    r->phase = r->status == 101 ? PHASE_TUNNEL : PHASE_BODY;
    r->codec->head(r);
    if (r->ending)
        return;
    if (r->status == 101) {
        start_tunnel(r);
        return;
    }
    if (r->rsp_no_content) {
        chain_clear(&r->reply);
        chain_clear(&r->down.held);
    }
    body_open(&r->down);
    if (!r->from_origin || r->rsp_no_content)
        body_push(&r->down, &r->reply, true, false);
    response_pump(r);
    if (!r->ending && r->from_origin && r->origin_started && !r->origin_abandoned && !r->down.in_end)
        r->origin->more_room(r);
}

bool request_length_is_kept(const struct weir_req *r, bool end)
{
    if (r->rsp_body != BODY_LENGTH || r->rsp_no_content || r->phase == PHASE_TUNNEL)
        return true;
    uint64_t n = r->body_sent + r->down.out.n;
    return end ? n == r->rsp_length : n <= r->rsp_length;
}

void response_pump(struct weir_req *r)
{
    if (r->ending || !r->head_sent || r->aborted)
        return;
    if (r->down.failed) {
        response_broken(r, r->down.why);
        return;
    }
    if (r->down.out.n || r->down.out_end)
        r->codec->body(r);
}

void response_broken(struct weir_req *r, const char *why)
{
    if (r->ending || r->aborted)
        return;
    r->aborted = true;
    if (!r->error_text.n)
        r->error_text = str_of(why);
    log_warn("request %.*s: response broken off: %s", STR_ARG(r->id), why);
    request_abandon_origin(r);
    r->codec->abort(r);
}

/* -- from the origin ----------------------------------------------------------------------------------------------- */

void request_origin_info(struct weir_req *r, int status, const struct fields *fields)
{
    if (r->ending || r->head_sent || r->answered)
        return;
    if (status == 100)
        r->expects_continue = false;
    if (r->version >= 11)
        r->codec->info(r, status, fields);
}

void request_origin_head(struct weir_req *r)
{
    if (r->ending || r->answered)
        return;
    r->answered = true;
    r->from_origin = true;
    r->phase = PHASE_RSP_HOOKS;
    request_enter(r, STAGE_UP_RSP);
    request_run(r);
}

void request_origin_body(struct weir_req *r, struct chain *chain, bool end, bool pause)
{
    bool unwanted = r->head_sent && r->rsp_no_content && r->phase != PHASE_TUNNEL;

    if (r->ending || r->aborted || !r->from_origin || unwanted) {
        chain_clear(chain);
        return;
    }
    body_push(&r->down, chain, end, pause);
    response_pump(r);
}

void request_origin_failed(struct weir_req *r, int status, const char *why)
{
    if (r->ending)
        return;
    request_abandon_origin(r);
    if (r->head_sent) {
        response_broken(r, why);
        return;
    }
    r->error_text = str_of(why);
    request_refuse(r, status, why);
    response_start_reply(r);
}
