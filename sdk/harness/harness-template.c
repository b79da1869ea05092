/* SPDX-License-Identifier: BSD-2-Clause */
/* harness-template.c: templates and variables: the module's own, those a test has set, and what every request has. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct part {
    struct part *next;
    weir_str text;
    bool is_variable;
};

struct weir_tmpl {
    struct part *parts;
};

/* Known without a value until a test sets one. */
static const char *const known[] = {
    "host", "site", "route", "method", "uri", "path", "query", "scheme", "client_addr", "client_port", "peer_addr",
    "server_port", "request_id", "status", "bytes_sent", "bytes_received", "upstream_addr", "upstream_status",
    "upstream_time", "request_time", "auth_user", "cache_status", "error_module", "refuse_reason", "time_iso8601",
    "time_local", "msec",
};
static const char *const prefixes[] = { "http_", "response_", "cookie_", "arg_", "tls_" };

static const struct weir_variable *own_variable(const struct harness *h, weir_str name, weir_str *rest)
{
    const weir_table *variables = &h->module->variables;

    for (uint32_t i = 0; i < variables->count; i++) {
        const struct weir_variable *v =
            (const struct weir_variable *)(const void *)((const char *)variables->base + (size_t)i * variables->stride);
        size_t n = strlen(v->name);
        bool is_prefix = (v->flags & WEIR_VAR_PREFIX) != 0;
        if (name.n < n || memcmp(name.p, v->name, n) != 0 || (!is_prefix && name.n != n))
            continue;
        *rest = (weir_str){ name.p + n, name.n - n };
        return v;
    }
    return NULL;
}

static bool is_known(const struct harness *h, weir_str name)
{
    weir_str rest;

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (str_is(name, str_of(known[i])))
            return true;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (name.n > strlen(prefixes[i]) && memcmp(name.p, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return named_find(h->variables, name) || own_variable(h, name, &rest);
}

static int refuse(weir_conf *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    conf_api_error(c, NULL, fmt, ap);
    va_end(ap);
    return -1;
}

static void part_add(weir_conf *c, struct part ***end, weir_str text, bool is_variable)
{
    if (text.n == 0)
        return;
    struct part *part = pieces_alloc(&c->h->memory, sizeof(*part));
    part->text = pieces_dup(&c->h->memory, text);
    part->is_variable = is_variable;
    **end = part;
    *end = &part->next;
}

static size_t name_length(const char *p, size_t n)
{
    size_t i = 0;

    while (i < n && ((p[i] >= '0' && p[i] <= '9') || ((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'z') || p[i] == '_'))
        i++;
    return i;
}

weir_tmpl *template_compile(weir_conf *c, weir_str text, bool is_literal)
{
    if (fails_now(c->h))
        return refuse(c, "no memory"), NULL;
    weir_tmpl *tmpl = pieces_alloc(&c->h->memory, sizeof(*tmpl));
    struct part **end = &tmpl->parts;
    size_t from = 0, i = 0;

    while (!is_literal && i < text.n) {
        if (text.p[i] != '$') {
            i++;
            continue;
        }
        part_add(c, &end, (weir_str){ text.p + from, i - from }, false);
        bool has_brace = i + 1 < text.n && text.p[i + 1] == '{';
        const char *p = text.p + i + 1 + has_brace;
        weir_str name = { p, name_length(p, text.n - i - 1 - has_brace) };
        if (name.n == 0 || !is_known(c->h, name))
            return refuse(c, "unknown variable \"$%.*s\"", (int)name.n, name.p), NULL;
        part_add(c, &end, name, true);
        from = i += 1 + name.n + 2u * has_brace;
    }
    if (from < text.n)
        part_add(c, &end, (weir_str){ text.p + from, text.n - from }, false);
    return tmpl;
}

weir_tmpl *template_api_compile(weir_conf *c, weir_str text)
{
    return template_compile(c, text, false);
}

int template_api_constant(const weir_tmpl *tmpl, weir_str *text)
{
    if (tmpl->parts && (tmpl->parts->is_variable || tmpl->parts->next))
        return -1;
    *text = tmpl->parts ? tmpl->parts->text : (weir_str){ "", 0 };
    return 0;
}

static int field_value(weir_req *r, uint32_t where, weir_str name, weir_str *value)
{
    char field[256];

    if (name.n >= sizeof(field))
        return -1;
    for (size_t i = 0; i < name.n; i++)
        field[i] = name.p[i] == '_' ? '-' : name.p[i];
    *value = field_api_get(r, where, (weir_str){ field, name.n });
    return value->p ? 0 : -1;
}

static int core_value(weir_req *r, weir_str name, weir_str *value)
{
    static const char *const parts[] = { "method", "path",  "query",      "host", "scheme",
                                         "site",   "route", "request_id", "uri" };
    char status[12];

    for (uint32_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (str_is(name, str_of(parts[i]))) {
            *value = req_api_part(r, i);
            return 0;
        }
    if (name.n > 5 && memcmp(name.p, "http_", 5) == 0)
        return field_value(r, WEIR_OF_REQUEST, (weir_str){ name.p + 5, name.n - 5 }, value);
    if (name.n > 9 && memcmp(name.p, "response_", 9) == 0)
        return field_value(r, WEIR_OF_RESPONSE, (weir_str){ name.p + 9, name.n - 9 }, value);
    if (!str_is(name, WEIR_S("status")) || r->status == 0)
        return -1;
    snprintf(status, sizeof(status), "%u", r->status);
    *value = pieces_dup(&r->memory, str_of(status));
    return 0;
}

int template_api_variable(weir_req *r, weir_str name, weir_str *value)
{
    weir_str rest;
    const struct named *set = named_find(r->h->variables, name);
    const struct weir_variable *own = own_variable(r->h, name, &rest);

    if (set) {
        *value = set->value;
        return set->has_value ? 0 : -1;
    }
    return own ? own->get(r, r->scope->conf, r->ctx, rest, value) : core_value(r, name, value);
}

weir_str template_api_eval(weir_req *r, const weir_tmpl *tmpl)
{
    struct text text = { NULL, 0, 0 };
    weir_str value;

    if (fails_now(r->h))
        return (weir_str){ NULL, 0 };
    for (const struct part *part = tmpl->parts; part; part = part->next) {
        value = part->text;
        if (!part->is_variable || template_api_variable(r, part->text, &value) == 0)
            text_add(&text, value.p, value.n);
    }
    value = pieces_dup(&r->memory, (weir_str){ text.p, text.n });
    free(text.p);
    return value;
}
