/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/variables.h"

#include "base/clock.h"
#include "pipeline/crumb.h"
#include "pipeline/session.h"

/* -- values -------------------------------------------------------------------------------------------------------- */

static int text(str s, str *value)
{
    if (s.n == 0)
        return -1;
    *value = s;
    return 0;
}

static int number(struct weir_req *r, uint64_t n, str *value)
{
    return text(arena_printf(r->arena, "%llu", (unsigned long long)n), value);
}

/* Seconds with milliseconds: "0.012". */
static int seconds(struct weir_req *r, uint64_t us, str *value)
{
    unsigned long long ms = us / 1000;
    return text(arena_printf(r->arena, "%llu.%03llu", ms / 1000, ms % 1000), value);
}

/* Clock texts change under us with the next second: a request keeps its own copy. */
static int copied(struct weir_req *r, str s, str *value)
{
    return text(arena_str(r->arena, s), value);
}

static str protocol_of(const struct weir_req *r)
{
    switch (r->version) {
    case 10: return S("HTTP/1.0");
    case 11: return S("HTTP/1.1");
    case 20: return S("HTTP/2.0");
    default: return STR_NONE;
    }
}

/* -- the server's own, by name ------------------------------------------------------------------------------------- */

enum builtin {
    HOST, SITE, ROUTE, METHOD, URI, REQUEST_URI, PATH, QUERY, SCHEME, PROTOCOL, REQUEST_ID,
    CLIENT_ADDR, CLIENT_PORT, PEER_ADDR, SERVER_PORT, CONNECTION_REQUESTS,
    STATUS, BYTES_SENT, BYTES_RECEIVED, BODY_BYTES_SENT, REQUEST_TIME,
    UPSTREAM_ADDR, UPSTREAM_STATUS, UPSTREAM_TIME, ERROR_MODULE, REFUSE_REASON, WOULD_REFUSE,
    TIME_ISO8601, TIME_LOCAL, MSEC
};

static int get_text(struct weir_req *r, enum builtin what, str *value)
{
    switch (what) {
    case HOST: return text(r->host, value);
    case SITE: return text(r->site, value);
    case ROUTE: return text(r->route, value);
    case METHOD: return text(r->method, value);
    case URI: return text(request_uri_text(r), value);
    case REQUEST_URI: return text(r->uri_received.n ? r->uri_received : request_uri_text(r), value);
    case PATH: return text(r->uri.path, value);
    case QUERY: return text(r->uri.query, value);
    case SCHEME: return text(r->scheme, value);
    case PROTOCOL: return text(protocol_of(r), value);
    case REQUEST_ID: return text(r->id, value);
    case UPSTREAM_ADDR: return text(r->upstream_addr, value);
    case ERROR_MODULE: return text(r->error_module, value);
    case REFUSE_REASON: return text(str_of(r->refuse_reason), value);
    case WOULD_REFUSE: return text(r->would_refuse, value);
    case TIME_ISO8601: return copied(r, clock_iso8601(), value);
    case TIME_LOCAL: return copied(r, clock_log_time(), value);
    default: return -1;
    }
}

static int get_number(struct weir_req *r, enum builtin what, str *value)
{
    switch (what) {
    case STATUS: return r->status ? number(r, (uint64_t)r->status, value) : -1;
    case BYTES_SENT: return number(r, r->bytes_sent, value);
    case BYTES_RECEIVED: return number(r, r->bytes_received, value);
    case BODY_BYTES_SENT: return number(r, r->body_sent, value);
    case REQUEST_TIME: return seconds(r, clock_us() - r->started_us, value);
    case UPSTREAM_STATUS: return r->upstream_status ? number(r, (uint64_t)r->upstream_status, value) : -1;
    case UPSTREAM_TIME: return r->upstream_addr.n ? seconds(r, r->upstream_us, value) : -1;
    case MSEC: return seconds(r, clock_wall_ms() * 1000, value);
    default: return -1;
    }
}

static int get_address(struct weir_req *r, enum builtin what, str *value)
{
    const struct weir_conn *c = r->conn;
    char room[ADDR_TEXT];
    switch (what) {
    case CLIENT_ADDR: return text(client_address_text(r), value);
    case CLIENT_PORT: return r->client_port ? number(r, r->client_port, value) : -1;
    case PEER_ADDR:
        return !c ? -1 : c->is_unix ? text(S("unix:"), value) : copied(r, addr_ip_text(c->peer, room), value);
    case SERVER_PORT:
        return c && c->point && addr_port(&c->point->addr) ? number(r, addr_port(&c->point->addr), value) : -1;
    case CONNECTION_REQUESTS: return r->of_connection ? number(r, r->of_connection, value) : -1;
    default: return -1;
    }
}

static int get_builtin(void *subject, const struct variable *variable, str rest, str *value)
{
    struct weir_req *r = subject;
    enum builtin what = (enum builtin)(uintptr_t)variable->arg;
    (void)rest;
    if (get_text(r, what, value) == 0 || get_number(r, what, value) == 0)
        return 0;
    return get_address(r, what, value);
}

/* -- prefixes: fields, cookies, query arguments -------------------------------------------------------------------- */

/* "user_agent" stands for User-Agent. */
static bool is_field_named(str name, str rest)
{
    if (name.n != rest.n)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (char_lower(name.p[i] == '-' ? '_' : name.p[i]) != char_lower(rest.p[i]))
            return false;
    return true;
}

/* Several lines of one name are one list (RFC 9110 5.3); Cookie has its own separator (RFC 6265 5.4). */
static int get_from_fields(struct weir_req *r, const struct fields *fields, str rest, str *value)
{
    str joined = STR_NONE;
    bool found = false;
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        if (!is_field_named(field->name, rest))
            continue;
        if (!found) {
            joined = field->value;
        } else {
            str parts[] = { joined, field->id == FIELD_COOKIE ? S("; ") : S(", "), field->value };
            joined = arena_concat(r->arena, parts, 3);
        }
        found = true;
    }
    if (!found)
        return -1;
    *value = joined.p ? joined : S("");
    return 0;
}

static int get_http(void *subject, const struct variable *variable, str rest, str *value)
{
    struct weir_req *r = subject;
    (void)variable;
    return get_from_fields(r, &r->fields, rest, value);
}

static int get_response(void *subject, const struct variable *variable, str rest, str *value)
{
    struct weir_req *r = subject;
    (void)variable;
    return get_from_fields(r, &r->rsp, rest, value);
}

/* NAME=VALUE among pieces that `by` separates; the first of that name. */
static bool find_pair(str list, char by, str name, str *value)
{
    str pair;
    while (str_split(&list, by, &pair)) {
        pair = str_trim(pair);
        size_t equals = str_find(pair, '=');
        if (!str_equal(str_upto(pair, equals), name))
            continue;
        *value = str_from(pair, equals + 1);
        if (!value->p)
            *value = S("");
        return true;
    }
    return false;
}

static int get_cookie(void *subject, const struct variable *variable, str rest, str *value)
{
    struct weir_req *r = subject;
    (void)variable;
    for (uint32_t i = 0; i < r->fields.count; i++)
        if (r->fields.items[i].id == FIELD_COOKIE && find_pair(r->fields.items[i].value, ';', rest, value))
            return 0;
    return -1;
}

static int get_arg(void *subject, const struct variable *variable, str rest, str *value)
{
    struct weir_req *r = subject;
    (void)variable;
    return find_pair(r->uri.query, '&', rest, value) ? 0 : -1;
}

/* -- registers ----------------------------------------------------------------------------------------------------- */

enum { FIXED, VOLATILE };

static const struct {
    const char *name;
    enum builtin what;
    int changes; /* VOLATILE: asked for each time */
    const char *doc;
} builtins[] = {
    { "host", HOST, FIXED, "the request's host, lower case, without port" },
    { "site", SITE, VOLATILE, "first name of the site that serves the request" },
    { "route", ROUTE, VOLATILE, "the route, as written" },
    { "method", METHOD, VOLATILE, "the request's method" },
    { "uri", URI, VOLATILE, "path and query, as they stand" },
    { "request_uri", REQUEST_URI, VOLATILE, "path and query as received, in normal form; modules change $uri only" },
    { "path", PATH, VOLATILE, "the path, in normal form" },
    { "query", QUERY, VOLATILE, "the query, without '?'" },
    { "scheme", SCHEME, FIXED, "http or https" },
    { "protocol", PROTOCOL, FIXED, "HTTP/1.1 and the like" },
    { "request_id", REQUEST_ID, FIXED, "names the request in logs and to the upstream" },
    { "client_addr", CLIENT_ADDR, FIXED, "the client's address, from trusted proxies' fields when the peer is one" },
    { "client_port", CLIENT_PORT, FIXED, "the client's port, when it is known" },
    { "peer_addr", PEER_ADDR, FIXED, "the address at the other end of the connection; unix: for a unix socket" },
    { "server_port", SERVER_PORT, FIXED, "the port that the connection came in through" },
    { "connection_requests", CONNECTION_REQUESTS, FIXED, "which request of its connection this is, from 1" },
    { "status", STATUS, VOLATILE, "the response's status, as the client sees it: a WebSocket over HTTP/2 ends as 200" },
    { "bytes_sent", BYTES_SENT, VOLATILE, "bytes sent to the client, heads and framing included" },
    { "bytes_received", BYTES_RECEIVED, VOLATILE, "bytes received from the client, likewise" },
    { "body_bytes_sent", BODY_BYTES_SENT, VOLATILE, "bytes of content sent to the client" },
    { "request_time", REQUEST_TIME, VOLATILE, "seconds since the request's first byte: 0.012" },
    { "upstream_addr", UPSTREAM_ADDR, VOLATILE, "the server that was asked" },
    { "upstream_status", UPSTREAM_STATUS, VOLATILE, "what it answered" },
    { "upstream_time", UPSTREAM_TIME, VOLATILE, "seconds that it took: 0.012" },
    { "error_module", ERROR_MODULE, VOLATILE, "the module that failed or refused" },
    { "refuse_reason", REFUSE_REASON, VOLATILE, "why the request was refused" },
    { "would_refuse", WOULD_REFUSE, VOLATILE, "what `enforce off` let through: module, status and reason" },
    { "time_iso8601", TIME_ISO8601, VOLATILE, "now: 2026-11-21T05:31:51+00:00" },
    { "time_local", TIME_LOCAL, VOLATILE, "now: 21/Nov/2026:05:31:51 +0000" },
    { "msec", MSEC, VOLATILE, "now: seconds since 1970, with milliseconds" },
};

static const struct {
    const char *name, *doc;
    int (*get)(void *, const struct variable *, str, str *);
} prefixes[] = {
    { "http_", "a request field: $http_user_agent; several lines are joined", get_http },
    { "response_", "a response field: $response_content_type; several lines are joined", get_response },
    { "cookie_", "a cookie of the request, by its exact name", get_cookie },
    { "arg_", "an argument of the query, by its exact name, as received (not decoded)", get_arg },
};

const char *variables_add_builtin(struct variables *variables)
{
    const char *why = NULL;
    for (size_t i = 0; !why && i < sizeof(builtins) / sizeof(builtins[0]); i++) {
        struct variable variable = { .name = str_of(builtins[i].name), .doc = str_of(builtins[i].doc),
                                     .is_volatile = builtins[i].changes == VOLATILE, .owner = UINT32_MAX,
                                     .get = get_builtin, .arg = (void *)(uintptr_t)builtins[i].what };
        why = variables_add(variables, &variable);
    }
    for (size_t i = 0; !why && i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        struct variable variable = { .name = str_of(prefixes[i].name), .doc = str_of(prefixes[i].doc),
                                     .is_prefix = true, .is_volatile = true, .owner = UINT32_MAX,
                                     .get = prefixes[i].get };
        why = variables_add(variables, &variable);
    }
    return why;
}

/* -- modules' ------------------------------------------------------------------------------------------------------ */

/* The getter may run inside another module's hook: what it counts or fails is its own module's all the same. */
static int get_from_module(void *subject, const struct variable *variable, str rest, str *value)
{
    struct weir_req *r = subject;
    weir_mod *mod = modules.all[variable->owner];
    if (mod->quarantine)
        return -1;
    const struct weir_variable *of = variable->arg;
    const struct scope *scope = r->plan->scope;
    const struct step *outer = r->calling;
    const struct step step = { .conf = mod->index < scope->owner_count ? scope->confs[mod->index] : NULL, .mod = mod };
    struct pipeline_worker *pw = pipeline_worker_self();
    struct crumb_mark mark = { 0 };
    str got = STR_NONE;
    if (pw) {
        mark = crumb_mark(pw);
        crumb_enter(pw, mod, r->stage, r);
    }
    r->calling = &step;
    int rc = of->get(r, step.conf, request_ctx(r, mod), rest, &got);
    r->calling = outer;
    if (pw)
        crumb_return(pw, mark);
    if (rc != 0 || (!got.p && got.n))
        return -1;
    *value = got;
    return 0;
}

const char *variables_add_module(struct variables *variables, weir_mod *mod)
{
    const char *why = NULL;
    for (uint32_t i = 0; !why && i < mod->desc.variables.count; i++) {
        const struct weir_variable *of = (const struct weir_variable *)(const void *)(
            (const char *)mod->desc.variables.base + (size_t)i * mod->desc.variables.stride);
        struct variable variable = { .name = str_of(of->name), .doc = str_of(of->doc), .owner = mod->index,
                                     .is_prefix = of->flags & WEIR_VAR_PREFIX,
                                     .is_volatile = of->flags & WEIR_VAR_VOLATILE,
                                     .get = get_from_module, .arg = (void *)(uintptr_t)of };
        why = variables_add(variables, &variable);
    }
    return why;
}
