/* SPDX-License-Identifier: BSD-2-Clause */
/* api_http.c: what modules ask and change of a request: memory, parts, fields. */
#include "pipeline/api.h"

#include "http/chars.h"
#include "pipeline/session.h"

/* -- memory -------------------------------------------------------------------------------------------------------- */

void *api_req_alloc(weir_req *r, size_t n)
{
    return arena_zalloc(r->arena, n);
}

weir_str api_req_printf(weir_req *r, const char *fmt, va_list ap)
{
    return arena_vprintf(r->arena, fmt, ap);
}

bool api_req_on_end(weir_req *r, void (*fn)(void *), void *arg)
{
    return arena_on_reset(r->arena, fn, arg);
}

/* -- parts --------------------------------------------------------------------------------------------------------- */

weir_str api_req_part(weir_req *r, uint32_t part)
{
    switch (part) {
    case WEIR_PART_METHOD: return r->method;
    case WEIR_PART_PATH: return r->uri.path;
    case WEIR_PART_QUERY: return r->uri.query;
    case WEIR_PART_HOST: return r->host;
    case WEIR_PART_SCHEME: return r->scheme;
    case WEIR_PART_SITE: return r->site;
    case WEIR_PART_ROUTE: return r->route;
    case WEIR_PART_ID: return r->id;
    case WEIR_PART_URI: return request_uri_text(r);
    default: return STR_NONE;
    }
}

static bool is_before_upstream(const struct weir_req *r)
{
    return r->phase == PHASE_HOOKS && r->stage >= STAGE_IDENTIFY && r->stage <= STAGE_SERVE && !r->ending;
}

/* $request_uri goes on saying what was received. */
static bool keep_received_uri(struct weir_req *r)
{
    if (r->uri_received.n)
        return true;
    str text = request_uri_text(r);
    if (text.n == 0)
        return false;
    r->uri_received = text;
    return true;
}

static int set_method(struct weir_req *r, str value)
{
    if (!field_name_is_valid(value)) /* a method is a token too (RFC 9110 9.1) */
        return -1;
    str copy = arena_str(r->arena, value);
    if (!copy.p)
        return -1;
    r->method = copy;
    return 0;
}

static int set_path(struct weir_req *r, str value)
{
    str path, match, copy = arena_str(r->arena, value);
    if (!copy.p || uri_normalize_path(copy, r->arena, &path, &match) != NULL || !keep_received_uri(r))
        return -1;
    r->uri.path = path;
    r->uri.match = match;
    r->proxy_path = STR_NONE; /* the module has said what the upstream is asked for */
    return 0;
}

static int set_query(struct weir_req *r, str value)
{
    if (value.n && chars_span(value.p, value.p + value.n, CHAR_QUERY) != value.p + value.n)
        return -1;
    str copy = arena_str(r->arena, value);
    if (!copy.p || !keep_received_uri(r))
        return -1;
    r->uri.query = copy;
    r->uri.has_query = copy.n > 0;
    return 0;
}

int api_req_set_part(weir_req *r, uint32_t part, weir_str value)
{
    if (!is_before_upstream(r))
        return -1;
    switch (part) {
    case WEIR_PART_METHOD: return set_method(r, value);
    case WEIR_PART_PATH: return set_path(r, value);
    case WEIR_PART_QUERY: return set_query(r, value);
    default: return -1;
    }
}

/* -- fields -------------------------------------------------------------------------------------------------------- */

static struct fields *fields_of(struct weir_req *r, uint32_t where)
{
    switch (where) {
    case WEIR_OF_REQUEST: return &r->fields;
    case WEIR_OF_RESPONSE: return &r->rsp;
    case WEIR_OF_UPSTREAM: return request_upstream_fields(r);
    default: return NULL;
    }
}

/* LOG changes nothing, and a head that has gone out cannot be changed. */
static struct fields *fields_to_change(struct weir_req *r, uint32_t where)
{
    if (r->stage == STAGE_LOG || r->ending || (where == WEIR_OF_RESPONSE && r->head_sent))
        return NULL;
    return fields_of(r, where);
}

weir_str api_field_get(weir_req *r, uint32_t where, weir_str name)
{
    const struct fields *fields = fields_of(r, where);
    const struct field *field = fields ? fields_find(fields, name) : NULL;
    if (!field)
        return STR_NONE;
    return field->value.p ? field->value : S("");
}

bool api_field_next(weir_req *r, uint32_t where, uint32_t *cursor, weir_str *name, weir_str *value)
{
    const struct fields *fields = fields_of(r, where);
    if (!fields || *cursor >= fields->count)
        return false;
    const struct field *field = &fields->items[(*cursor)++];
    *name = field->name;
    *value = field->value;
    return true;
}

/* Checked first, so that what HTTP does not allow costs the request no memory. */
static bool copy_field(struct weir_req *r, str *name, str *value)
{
    if (!field_name_is_valid(*name) || !field_value_is_valid(*value))
        return false;
    *name = arena_str(r->arena, *name);
    *value = arena_str(r->arena, *value);
    return name->p && value->p;
}

int api_field_set(weir_req *r, uint32_t where, weir_str name, weir_str value)
{
    struct fields *fields = fields_to_change(r, where);
    if (!fields || !copy_field(r, &name, &value))
        return -1;
    return fields_set(fields, name, value) ? 0 : -1;
}

int api_field_add(weir_req *r, uint32_t where, weir_str name, weir_str value)
{
    struct fields *fields = fields_to_change(r, where);
    if (!fields || !copy_field(r, &name, &value))
        return -1;
    return fields_add(fields, name, value) ? 0 : -1;
}

uint32_t api_field_remove(weir_req *r, uint32_t where, weir_str name)
{
    struct fields *fields = fields_to_change(r, where);
    return fields ? fields_remove(fields, name) : 0;
}
