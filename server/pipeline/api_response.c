/* SPDX-License-Identifier: BSD-2-Clause */
/* api_response.c: how modules answer, fail, and look at what stands of the response; templates and variables. */
#include "pipeline/api.h"
#include "pipeline/run.h"

#include "base/clock.h"
#include "pipeline/session.h"

uint32_t api_rsp_status(weir_req *r)
{
    return r->status > 0 ? (uint32_t)r->status : 0;
}

static bool is_final(uint32_t status)
{
    return status >= 200 && status <= 599;
}

/* An interim status, or one where the connection has become a tunnel, is not a module's to give or take. */
int api_rsp_set_status(weir_req *r, uint32_t status)
{
    if (r->stage != STAGE_RSP_HEAD || r->head_sent || !is_final(status) || !is_final((uint32_t)r->status))
        return -1;
    r->status = (int)status;
    r->reason = status_reason((int)status);
    return 0;
}

static weir_verdict failed(weir_req *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static weir_verdict failed(weir_req *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    weir_verdict verdict = api_fail(r, fmt, ap);
    va_end(ap);
    return verdict;
}

weir_verdict api_reply(weir_req *r, uint32_t status, weir_str body)
{
    if (!is_final(status))
        return failed(r, "answered with status %u, which is none of 200 to 599", status);
    return request_reply(r, (int)status, body);
}

weir_verdict api_refuse(weir_req *r, uint32_t status, const char *reason)
{
    if (status < 400 || status > 599)
        return failed(r, "refused with status %u, which is none of 400 to 599", status);
    return request_refuse(r, (int)status, reason);
}

static bool is_redirect(uint32_t status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

weir_verdict api_redirect(weir_req *r, uint32_t status, weir_str location)
{
    if (!is_redirect(status))
        return failed(r, "redirected with status %u", status);
    if (location.n == 0 || !field_value_is_valid(location))
        return failed(r, "redirected to what is no field value");
    str copy = arena_str(r->arena, location);
    /* The reply first: it drops an origin's fields when it takes their place. */
    weir_verdict verdict = copy.p ? request_reply(r, (int)status, STR_NONE) : WEIR_FAIL;
    if (verdict == WEIR_REPLY && !fields_set_id(&r->rsp, FIELD_LOCATION, copy))
        return failed(r, "no memory");
    return verdict;
}

/* The line in the log is written by the engine, which also knows what the hook's policy makes of it. */
weir_verdict api_fail(weir_req *r, const char *fmt, va_list ap)
{
    r->error_text = arena_vprintf(r->arena, fmt, ap);
    if (r->calling)
        r->error_module = r->calling->mod->name;
    return WEIR_FAIL;
}

static uint64_t response_length(const struct weir_req *r)
{
    switch (r->rsp_body) {
    case BODY_NONE: return 0;
    case BODY_LENGTH: return r->rsp_length;
    default: return UINT64_MAX;
    }
}

uint64_t api_req_number(weir_req *r, uint32_t which)
{
    switch (which) {
    case WEIR_NUM_BYTES_SENT: return r->bytes_sent;
    case WEIR_NUM_BYTES_RECEIVED: return r->bytes_received;
    case WEIR_NUM_BODY_SENT: return r->body_sent;
    case WEIR_NUM_REQUEST_US: return clock_us() - r->started_us;
    case WEIR_NUM_HTTP_VERSION: return (uint64_t)r->version;
    case WEIR_NUM_RSP_LENGTH: return response_length(r);
    default: return 0;
    }
}

void api_client_address(weir_req *r, uint8_t out[16])
{
    memcpy(out, r->client, 16);
}

bool api_client_is_trusted(weir_req *r)
{
    return request_client_is_trusted(r);
}

weir_str api_eval(weir_req *r, const weir_tmpl *tmpl)
{
    return request_eval(r, tmpl);
}

int api_variable(weir_req *r, weir_str name, weir_str *value)
{
    str rest = STR_NONE, got;
    const struct variable *variable = variables_find(r->snapshot->variables, name, &rest);
    if (!variable || request_variable(r, variable, rest, &got) != 0)
        return -1;
    *value = got;
    return 0;
}

bool api_is_shadow(weir_req *r)
{
    return r->calling && r->calling->is_shadow;
}

bool api_is_dry(weir_req *r)
{
    return r->is_dry;
}

void *api_req_ctx(weir_req *r, weir_mod *mod)
{
    return request_ctx(r, mod);
}

const void *api_req_conf(weir_req *r, weir_mod *mod)
{
    const struct scope *scope = r->plan->scope;
    return mod->index < scope->owner_count ? scope->confs[mod->index] : NULL;
}

weir_conn *api_req_conn(weir_req *r)
{
    return r->conn;
}
