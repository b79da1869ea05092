/* SPDX-License-Identifier: BSD-2-Clause */
/* toy.h: a small world to bind in: owners that have each kind of directive there is, variables, upstreams.
 * Thread:  one; a test program has one toy at a time. */
#ifndef TEST_CONFIG_TOY_H
#define TEST_CONFIG_TOY_H

#include "config/bind.h"

#include <assert.h>
#include <weir/module.h>

struct server_conf {
    uint64_t workers;
    weir_str state_dir;
    uint64_t max_body;
    uint64_t header, body, send; /* timeout */
    weir_upstream *proxy;
    bool maintenance;
    weir_table bypass;  /* of weir_cidr */
    weir_table trusted; /* of weir_cidr */
    weir_table listens; /* of listen */
    weir_table names;   /* of weir_str */
    struct weir_place health;
    uint64_t status;
    weir_tmpl *text;
    weir_table header_rules; /* of header_rule */
    bool is_checked;
};
struct listen {
    weir_str address;
    bool tls;
    struct weir_place place;
};
struct header_rule {
    uint32_t action;
    weir_str name;
    weir_tmpl *value;
};
struct gzip_conf {
    bool on;
    uint64_t level, min_length;
    weir_table types; /* of weir_str */
    uint32_t mode;
    unsigned checks;
};
struct access_conf {
    weir_table rules; /* of access_rule */
};
struct access_rule {
    weir_table networks; /* of weir_cidr */
    bool allows;
};
struct limit_conf {
    weir_table limits; /* of limit */
};
struct limit {
    struct weir_rate rate;
    uint64_t burst, status;
    bool delay;
    weir_tmpl *key;
    weir_str zone;
};

__attribute__((format(printf, 2, 3))) static inline int toy_error(weir_conf *conf, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = conf_report(conf, SEVERITY_ERROR, NULL, fmt, ap);
    va_end(ap);
    return rc;
}

static inline int set_allows(weir_conf *conf, const struct weir_directive *directive, void *to)
{
    (void)conf;
    ((struct access_rule *)to)->allows = directive->tag == 1;
    return 0;
}

static inline int set_status(weir_conf *conf, const struct weir_directive *directive, void *to)
{
    const struct server_conf *server = to;
    (void)directive;
    if (server->status == 418)
        return toy_error(conf, "respond: %d is no status of a proxy", 418);
    return 0;
}

#define FIELD(Struct, Name, Type) WEIR_FIELD(struct Struct, Name, Type)

static const struct weir_arg workers_args[] = {
    { "N", WEIR_TYPE_UINT, 0, FIELD(server_conf, workers, uint64_t), NULL, "1", 1, 256 },
};
static const struct weir_arg timeout_args[] = {
    { "header", WEIR_TYPE_DURATION, WEIR_ARG_OPTION, FIELD(server_conf, header, uint64_t), NULL, "10s", 0, 0 },
    { "body", WEIR_TYPE_DURATION, WEIR_ARG_OPTION, FIELD(server_conf, body, uint64_t), NULL, "30s", 0, 0 },
    { "send", WEIR_TYPE_DURATION, WEIR_ARG_OPTION, FIELD(server_conf, send, uint64_t), NULL, "30s", 0, 0 },
};
static const struct weir_arg maintenance_args[] = {
    { "VALUE", WEIR_TYPE_FLAG, 0, FIELD(server_conf, maintenance, bool), NULL, "off", 0, 0 },
    { "bypass", WEIR_TYPE_CIDR, WEIR_ARG_OPTION | WEIR_ARG_LIST, FIELD(server_conf, bypass, weir_table), NULL, NULL, 0,
      0 },
};
static const struct weir_arg trusted_args[] = {
    { "CIDR", WEIR_TYPE_CIDR, WEIR_ARG_REST, FIELD(server_conf, trusted, weir_table), NULL, NULL, 0, 0 },
};
static const struct weir_arg names_args[] = {
    { "NAME", WEIR_TYPE_STR, WEIR_ARG_REST | WEIR_ARG_OPTIONAL, FIELD(server_conf, names, weir_table), NULL,
      "red  blue", 0, 0 },
};
static const struct weir_arg proxy_args[] = {
    { "UPSTREAM", WEIR_TYPE_UPSTREAM, 0, FIELD(server_conf, proxy, weir_upstream *), NULL, NULL, 0, 0 },
};
static const struct weir_arg health_args[] = {
    { NULL, WEIR_TYPE_PLACE, 0, FIELD(server_conf, health, struct weir_place), NULL, NULL, 0, 0 },
};
static const struct weir_arg respond_args[] = {
    { "STATUS", WEIR_TYPE_UINT, 0, FIELD(server_conf, status, uint64_t), NULL, NULL, 100, 599 },
    { "TEXT", WEIR_TYPE_TEMPLATE, WEIR_ARG_OPTIONAL, FIELD(server_conf, text, weir_tmpl *), NULL, NULL, 0, 0 },
};
static const struct weir_arg listen_args[] = {
    { "ADDRESS", WEIR_TYPE_STR, 0, FIELD(listen, address, weir_str), NULL, NULL, 0, 0 },
    { "tls", WEIR_TYPE_FLAG, WEIR_ARG_WORD, FIELD(listen, tls, bool), NULL, NULL, 0, 0 },
    { NULL, WEIR_TYPE_PLACE, 0, FIELD(listen, place, struct weir_place), NULL, NULL, 0, 0 },
};
static const struct weir_arg rule_args[] = {
    { "ACTION", WEIR_TYPE_ENUM, 0, FIELD(header_rule, action, uint32_t), "set|add|remove", NULL, 0, 0 },
    { "NAME", WEIR_TYPE_STR, 0, FIELD(header_rule, name, weir_str), NULL, NULL, 0, 0 },
    { "VALUE", WEIR_TYPE_TEMPLATE, WEIR_ARG_OPTIONAL, FIELD(header_rule, value, weir_tmpl *), NULL, NULL, 0, 0 },
};
static const struct weir_directive server_directives[] = {
    { "workers", "how many threads serve", WEIR_IN_TOP, 0, 0, 0, WEIR_TABLE(workers_args), 0, 0, NULL },
    WEIR_DIR(struct server_conf, state_dir, PATH, "state_dir", WEIR_IN_TOP, "/var/lib/toy", "what is kept"),
    WEIR_DIR(struct server_conf, max_body, SIZE, "max_body", WEIR_IN_HTTP, "0", "largest request body; 0 is no limit"),
    { "timeout", "idle times", WEIR_IN_HTTP, 0, 0, 0, WEIR_TABLE(timeout_args), 0, 0, NULL },
    { "maintenance", "answer 503", WEIR_IN_HTTP, 0, 0, 0, WEIR_TABLE(maintenance_args), 0, 0, NULL },
    { "trusted_proxies", "whose fields are believed", WEIR_IN_HTTP, WEIR_MERGE_APPEND, 0, 0, WEIR_TABLE(trusted_args),
      0, 0, NULL },
    { "names", "some names", WEIR_IN_HTTP, 0, 0, 0, WEIR_TABLE(names_args), 0, 0, NULL },
    { "proxy", "where requests go", WEIR_IN_SITE | WEIR_IN_ROUTE, 0, 0, 0, WEIR_TABLE(proxy_args), 0, 0, NULL },
    { "health", "200 while up", WEIR_IN_SITE | WEIR_IN_ROUTE, WEIR_MERGE_LOCAL, 0, 0, WEIR_TABLE(health_args), 0, 0,
      NULL },
    { "respond", "answer without an upstream", WEIR_IN_SITE | WEIR_IN_ROUTE, WEIR_MERGE_LOCAL, 0, 0,
      WEIR_TABLE(respond_args), 0, 0, set_status },
    { "listen", "where a site listens", WEIR_IN_SITE, WEIR_MERGE_APPEND, sizeof(struct listen),
      FIELD(server_conf, listens, weir_table), WEIR_TABLE(listen_args), 0, 0, NULL },
    { "response_header", "fields of the answer", WEIR_IN_HTTP, WEIR_MERGE_REPLACE, sizeof(struct header_rule),
      FIELD(server_conf, header_rules, weir_table), WEIR_TABLE(rule_args), 0, 0, NULL },
};

static const struct weir_arg types_args[] = {
    { "TYPE", WEIR_TYPE_STR, WEIR_ARG_REST, FIELD(gzip_conf, types, weir_table), NULL, "text/html text/css", 0, 0 },
};
static const struct weir_directive gzip_directives[] = {
    WEIR_DIR(struct gzip_conf, on, FLAG, "gzip", WEIR_IN_HTTP, "off", "compress answers"),
    WEIR_DIR_BOUND(struct gzip_conf, level, UINT, "gzip_level", WEIR_IN_HTTP, "4", 1, 9,
                   "higher is smaller and slower"),
    WEIR_DIR_BOUND(struct gzip_conf, min_length, SIZE, "gzip_min_length", WEIR_IN_HTTP, "1k", 16, 1 << 20,
                   "shorter ones stay"),
    { "gzip_types", "which types", WEIR_IN_HTTP, 0, 0, 0, WEIR_TABLE(types_args), 0, 0, NULL },
    WEIR_DIR_ENUM(struct gzip_conf, mode, "gzip_mode", WEIR_IN_HTTP, "off|fast|small", "fast", "how"),
};

static const struct weir_arg access_args[] = {
    { "CIDR", WEIR_TYPE_CIDR, WEIR_ARG_REST, FIELD(access_rule, networks, weir_table), NULL, NULL, 0, 0 },
};
static const struct weir_directive access_directives[] = {
    { "allow", "who may ask", WEIR_IN_HTTP, WEIR_MERGE_INNER_FIRST, sizeof(struct access_rule),
      FIELD(access_conf, rules, weir_table), WEIR_TABLE(access_args), 1, 0, set_allows },
    { "deny", "who may not", WEIR_IN_HTTP, WEIR_MERGE_INNER_FIRST, sizeof(struct access_rule),
      FIELD(access_conf, rules, weir_table), WEIR_TABLE(access_args), 2, 0, set_allows },
};

static const struct weir_arg limit_args[] = {
    { "RATE", WEIR_TYPE_RATE, 0, FIELD(limit, rate, struct weir_rate), NULL, NULL, 0, 0 },
    { "burst", WEIR_TYPE_UINT, WEIR_ARG_OPTION, FIELD(limit, burst, uint64_t), NULL, "0", 0, 1000 },
    { "delay", WEIR_TYPE_FLAG, WEIR_ARG_WORD, FIELD(limit, delay, bool), NULL, NULL, 0, 0 },
    { "key", WEIR_TYPE_TEMPLATE, WEIR_ARG_OPTION, FIELD(limit, key, weir_tmpl *), NULL, "$client_addr", 0, 0 },
    { "status", WEIR_TYPE_UINT, WEIR_ARG_OPTION, FIELD(limit, status, uint64_t), NULL, "429", 400, 599 },
    { "zone", WEIR_TYPE_STR, WEIR_ARG_OPTION, FIELD(limit, zone, weir_str), NULL, NULL, 0, 0 },
};
static const struct weir_directive limit_directives[] = {
    { "rate_limit", "how many requests", WEIR_IN_HTTP, WEIR_MERGE_APPEND, sizeof(struct limit),
      FIELD(limit_conf, limits, weir_table), WEIR_TABLE(limit_args), 0, 0, NULL },
};

/* What a check saw, for tests of when it is called. */
static struct {
    unsigned server_checks, gzip_checks, gzip_drops;
} toy_seen;

static inline int check_server(weir_conf *conf, void *scope)
{
    (void)conf;
    toy_seen.server_checks++;
    /* an inner scope starts from what was merged, not from what it became */
    assert(!((struct server_conf *)scope)->is_checked);
    ((struct server_conf *)scope)->is_checked = true;
    return WEIR_CONF_OK;
}

static inline int check_gzip(weir_conf *conf, void *scope)
{
    const struct gzip_conf *gzip = scope;
    toy_seen.gzip_checks++;
    if (gzip->mode == 0 && gzip->on)
        return toy_error(conf, "gzip is on, but its mode is off");
    if (gzip->mode == 2)
        conf->scope->offers_tls = true; /* any owner may say so */
    return gzip->on ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static inline void drop_gzip(void *scope)
{
    (void)scope;
    toy_seen.gzip_drops++;
}

enum { SERVER, GZIP, ACCESS, LIMIT, OWNERS };
static const struct owner toy_owners[OWNERS] = {
    { S("server"), SERVER, sizeof(struct server_conf), WEIR_TABLE(server_directives), check_server, NULL, NULL },
    { S("gzip"), GZIP, sizeof(struct gzip_conf), WEIR_TABLE(gzip_directives), check_gzip, drop_gzip, NULL },
    { S("access"), ACCESS, sizeof(struct access_conf), WEIR_TABLE(access_directives), NULL, NULL, NULL },
    { S("limit"), LIMIT, sizeof(struct limit_conf), WEIR_TABLE(limit_directives), NULL, NULL, NULL },
};

struct toy {
    struct arena *arena;
    struct diags diags;
    struct schema schema;
    struct variables variables;
    struct bind_host host;
    struct binder binder;
    struct tree tree;
};

/* An upstream is the name it was given. */
static inline weir_upstream *toy_upstream(void *arg, str name, struct place place, const struct scope *scope)
{
    struct toy *toy = arg;
    (void)scope;
    if (str_has_prefix(name, S("http://")) || str_equal(name, S("docs")))
        return (weir_upstream *)(void *)arena_str(toy->arena, name).p;
    diag_error(&toy->diags, place, STR_NONE, "no upstream \"" STR_FMT "\"", STR_ARG(name));
    return NULL;
}

static inline int toy_get(void *subject, const struct variable *variable, str rest, str *value)
{
    (void)rest;
    *value = variable->name;
    return subject ? 0 : -1;
}

static inline bool toy_add_variables(struct variables *variables)
{
    static const char *const names[] = { "client_addr", "uri", "host", "status" };
    bool ok = true;
    for (size_t i = 0; i < 4; i++)
        ok &= !variables_add(variables, &(struct variable){ .name = str_of(names[i]), .get = toy_get });
    return ok & !variables_add(variables, &(struct variable){ .name = S("http_"), .is_prefix = true, .get = toy_get });
}

static inline bool toy_add_schema(struct schema *schema)
{
    bool ok = true;
    for (size_t i = 0; i < OWNERS; i++)
        ok &= !schema_add(schema, &toy_owners[i]);
    ok &= schema_add_block(schema, (struct schema_block){ S("site"), WEIR_IN_TOP, WEIR_IN_SITE, "NAME...", "a site" });
    ok &= schema_add_block(schema, (struct schema_block){ S("route"), WEIR_IN_SITE, WEIR_IN_ROUTE, "PATH", "a route" });
    return ok & schema_know(schema, S("waf"), S("waf"));
}

/* False without memory. Everything lies in toy->arena. */
static inline bool toy_init(struct toy *toy)
{
    memset(toy, 0, sizeof(*toy));
    toy->arena = arena_create(64 * 1024, 0);
    if (!toy->arena)
        return false;
    diags_init(&toy->diags, toy->arena);
    schema_init(&toy->schema, toy->arena);
    variables_init(&toy->variables, toy->arena);
    toy->host = (struct bind_host){ .arg = toy, .upstream = toy_upstream, .variables = &toy->variables };
    toy->binder = (struct binder){ toy->arena, &toy->diags, &toy->schema, &toy->host, OWNERS };
    return toy_add_variables(&toy->variables) && toy_add_schema(&toy->schema);
}

static inline void toy_finish(struct toy *toy)
{
    arena_destroy(toy->arena);
}

/* As the server does it: each block a scope, checked outer ones first; the inner scopes by their blocks' order. */
struct toy_scopes {
    struct scope *scopes[64];
    const struct statement *blocks[64]; /* NULL: top */
    unsigned count;
};

static inline struct scope *toy_bind_scope(struct toy *toy, struct toy_scopes *all, const struct scope *outer,
                                           uint32_t kind, const struct statement *block)
{
    const struct statement *statements = block ? block->children : toy->tree.first;
    struct place place = block ? statement_place(block) : (struct place){ 0 };
    struct scope *scope = scope_bind(&toy->binder, outer, kind, statements, place);
    if (!scope)
        return NULL;
    scope_check(&toy->binder, scope);
    if (all->count < 64) {
        all->blocks[all->count] = block;
        all->scopes[all->count++] = scope;
    }
    for (const struct statement *s = statements; s; s = s->next) {
        const struct schema_block *known = s->has_block ? schema_find_block(&toy->schema, s->name.text) : NULL;
        if (known && (known->scopes & kind) && !toy_bind_scope(toy, all, scope, known->inside, s))
            return NULL;
    }
    return scope;
}

/* NULL without memory only. */
static inline struct scope *toy_bind(struct toy *toy, struct toy_scopes *all, const char *text)
{
    all->count = 0;
    tree_parse(&toy->tree, S("toy.conf"), str_of(text), toy->arena, &toy->diags);
    return toy_bind_scope(toy, all, NULL, WEIR_IN_TOP, NULL);
}

static inline void toy_drop(struct toy *toy, struct toy_scopes *all)
{
    while (all->count > 0)
        scope_drop(&toy->schema, all->scopes[--all->count]);
}

#endif
