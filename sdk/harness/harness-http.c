/* SPDX-License-Identifier: BSD-2-Clause */
/* harness-http.c: requests, responses and their fields, in memory. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *req_api_alloc(weir_req *r, size_t n)
{
    return fails_now(r->h) ? NULL : pieces_alloc(&r->memory, n);
}

weir_str req_api_printf(weir_req *r, const char *fmt, va_list ap)
{
    struct text text = { NULL, 0, 0 };

    if (fails_now(r->h))
        return (weir_str){ NULL, 0 };
    text_vprintf(&text, fmt, ap);
    weir_str s = pieces_dup(&r->memory, (weir_str){ text.p, text.n });
    free(text.p);
    return s;
}

bool req_api_on_end(weir_req *r, void (*fn)(void *), void *arg)
{
    if (fails_now(r->h))
        return false;
    struct ending *ending = pieces_alloc(&r->memory, sizeof(*ending));
    *ending = (struct ending){ r->endings, fn, arg };
    r->endings = ending;
    return true;
}

/* -- fields -------------------------------------------------------------------------------------------------------- */

static bool is_allowed(weir_str name, weir_str value)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", name.p[i]))
            return false;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] == '\r' || value.p[i] == '\n' || value.p[i] == '\0')
            return false;
    return name.n != 0;
}

static void append(weir_req *r, uint32_t where, weir_str name, weir_str value)
{
    struct field *field = pieces_alloc(&r->memory, sizeof(*field)), **at = &r->fields[where];

    field->name = pieces_dup(&r->memory, name);
    field->value = pieces_dup(&r->memory, value);
    while (*at)
        at = &(*at)->next;
    *at = field;
}

weir_str field_api_get(weir_req *r, uint32_t where, weir_str name)
{
    for (struct field *field = r->fields[where]; field; field = field->next)
        if (str_is_nocase(field->name, name))
            return field->value;
    return (weir_str){ NULL, 0 };
}

bool field_api_next(weir_req *r, uint32_t where, uint32_t *cursor, weir_str *name, weir_str *value)
{
    struct field *field = r->fields[where];

    for (uint32_t i = 0; field && i < *cursor; i++)
        field = field->next;
    if (!field)
        return false;
    ++*cursor;
    *name = field->name;
    *value = field->value;
    return true;
}

uint32_t field_api_remove(weir_req *r, uint32_t where, weir_str name)
{
    uint32_t count = 0;

    for (struct field **at = &r->fields[where]; *at;) {
        if (str_is_nocase((*at)->name, name)) {
            *at = (*at)->next;
            count++;
        } else {
            at = &(*at)->next;
        }
    }
    return count;
}

int field_api_add(weir_req *r, uint32_t where, weir_str name, weir_str value)
{
    if (!is_allowed(name, value) || fails_now(r->h))
        return -1;
    append(r, where, name, value);
    return 0;
}

/* The first field of that name keeps its place. */
int field_api_set(weir_req *r, uint32_t where, weir_str name, weir_str value)
{
    struct field **at = &r->fields[where];

    if (!is_allowed(name, value) || fails_now(r->h))
        return -1;
    while (*at && !str_is_nocase((*at)->name, name))
        at = &(*at)->next;
    if (!*at) {
        append(r, where, name, value);
        return 0;
    }
    struct field *field = *at, *behind = field->next;
    field->value = pieces_dup(&r->memory, value);
    struct field **rest = &behind;
    while (*rest)
        if (str_is_nocase((*rest)->name, name))
            *rest = (*rest)->next;
        else
            rest = &(*rest)->next;
    field->next = behind;
    return 0;
}

static void read_fields(weir_req *r, uint32_t where, const char *lines)
{
    while (lines && *lines) {
        size_t n = strcspn(lines, "\n");
        const char *colon = memchr(lines, ':', n);
        if (!colon)
            harness_die("\"%.*s\" is no field", (int)n, lines);
        const char *value = colon + 1 + strspn(colon + 1, " ");
        append(r, where, (weir_str){ lines, (size_t)(colon - lines) },
               (weir_str){ value, (size_t)(lines + n - value) });
        lines += lines[n] ? n + 1 : n;
    }
}

uint32_t harness_field_count(weir_req *r, uint32_t where, const char *name)
{
    uint32_t count = 0;

    for (struct field *field = r->fields[where]; field; field = field->next)
        count += str_is_nocase(field->name, str_of(name));
    return count;
}

/* -- the request --------------------------------------------------------------------------------------------------- */

weir_req *harness_request(struct harness *h, struct harness_scope *scope, const char *method, const char *target,
                          const char *fields)
{
    weir_req *r = calloc(1, sizeof(*r));
    size_t path = strcspn(target, "?");

    if (!r)
        harness_die("no memory");
    r->h = h;
    r->scope = scope;
    r->method = pieces_dup(&r->memory, str_of(method));
    r->path = pieces_dup(&r->memory, (weir_str){ target, path });
    r->query = pieces_dup(&r->memory, str_of(target + path + (target[path] == '?')));
    r->site = str_of("test.example");
    r->numbers[WEIR_NUM_HTTP_VERSION] = 11;
    r->ctx = pieces_alloc(&r->memory, h->module->ctx_size);
    parse_address("192.0.2.1", r->client);
    read_fields(r, WEIR_OF_REQUEST, fields);
    r->next = h->requests;
    h->requests = r;
    return r;
}

void harness_set_client(weir_req *r, const char *address)
{
    parse_address(address, r->client);
}

void harness_set_trusted(weir_req *r, bool is_trusted)
{
    r->is_trusted = is_trusted;
}

void harness_set_shadow(weir_req *r, bool is_shadow)
{
    r->is_shadow = is_shadow;
}

void harness_set_dry(weir_req *r, bool is_dry)
{
    r->is_dry = is_dry;
}

void harness_set_number(weir_req *r, uint32_t which, uint64_t value)
{
    r->numbers[which] = value;
}

void harness_respond(weir_req *r, uint32_t status, const char *fields)
{
    r->status = status;
    r->fields[WEIR_OF_RESPONSE] = NULL;
    read_fields(r, WEIR_OF_RESPONSE, fields);
}

void harness_end(weir_req *r)
{
    weir_req **at = &r->h->requests;

    events_forget(r->h, r);
    fetches_forget(r->h, r);
    while (r->endings) {
        struct ending *ending = r->endings;
        r->endings = ending->next;
        ending->fn(ending->arg);
    }
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    pieces_free(&r->memory);
    free(r);
}

weir_str req_api_part(weir_req *r, uint32_t part)
{
    switch (part) {
    case WEIR_PART_METHOD: return r->method;
    case WEIR_PART_PATH: return r->path;
    case WEIR_PART_QUERY: return r->query;
    case WEIR_PART_HOST: return field_api_get(r, WEIR_OF_REQUEST, WEIR_S("Host"));
    case WEIR_PART_SCHEME: return WEIR_S("http");
    case WEIR_PART_SITE: return r->site;
    case WEIR_PART_ROUTE: return WEIR_S("/");
    case WEIR_PART_ID: return WEIR_S("0123456789abcdef");
    case WEIR_PART_URI: break;
    default: harness_die("part %u of a request", part);
    }
    struct text uri = { NULL, 0, 0 };
    text_add(&uri, r->path.p, r->path.n);
    if (r->query.n) {
        text_add(&uri, "?", 1);
        text_add(&uri, r->query.p, r->query.n);
    }
    weir_str whole = pieces_dup(&r->memory, (weir_str){ uri.p, uri.n });
    free(uri.p);
    return whole;
}

int req_api_set_part(weir_req *r, uint32_t part, weir_str value)
{
    weir_str *to = part == WEIR_PART_METHOD ? &r->method : part == WEIR_PART_PATH ? &r->path : &r->query;

    if (part > WEIR_PART_QUERY)
        harness_die("part %u of a request cannot be set", part);
    if (fails_now(r->h))
        return -1;
    *to = pieces_dup(&r->memory, value);
    return 0;
}

uint64_t req_api_number(weir_req *r, uint32_t which)
{
    if (which >= sizeof(r->numbers) / sizeof(r->numbers[0]))
        harness_die("number %u of a request", which);
    if (which != WEIR_NUM_RSP_LENGTH)
        return r->numbers[which];
    weir_str length = field_api_get(r, WEIR_OF_RESPONSE, WEIR_S("Content-Length"));
    return length.n ? strtoull(length.p, NULL, 10) : UINT64_MAX;
}

/* -- the response -------------------------------------------------------------------------------------------------- */

uint32_t rsp_api_status(weir_req *r)
{
    return r->status;
}

int rsp_api_set_status(weir_req *r, uint32_t status)
{
    if (status < 200 || status > 599)
        return -1;
    r->status = status;
    return 0;
}

weir_verdict rsp_api_reply(weir_req *r, uint32_t status, weir_str body)
{
    if (rsp_api_set_status(r, status) != 0)
        harness_die("weir_reply with status %u", status);
    r->body = pieces_dup(&r->memory, body);
    return WEIR_REPLY;
}

weir_verdict rsp_api_refuse(weir_req *r, uint32_t status, const char *reason)
{
    r->reason = reason;
    return rsp_api_reply(r, status, (weir_str){ NULL, 0 });
}

weir_verdict rsp_api_redirect(weir_req *r, uint32_t status, weir_str location)
{
    if (field_api_set(r, WEIR_OF_RESPONSE, WEIR_S("Location"), location) != 0)
        return WEIR_FAIL;
    return rsp_api_reply(r, status, (weir_str){ NULL, 0 });
}

weir_verdict rsp_api_fail(weir_req *r, const char *fmt, va_list ap)
{
    struct text text = { NULL, 0, 0 };

    text_vprintf(&text, fmt, ap);
    r->reason = pieces_dup(&r->memory, (weir_str){ text.p, text.n }).p;
    free(text.p);
    return WEIR_FAIL;
}

weir_str harness_reply_body(weir_req *r)
{
    return r->body;
}

const char *harness_refuse_reason(weir_req *r)
{
    return r->reason;
}
