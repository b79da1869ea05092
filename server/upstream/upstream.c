/* SPDX-License-Identifier: BSD-2-Clause */
/* From directives and URLs to upstreams. */
#include "upstream/upstream.h"

#include "base/hash.h"
#include "pipeline/quarantine.h"
#include "upstream/pool.h"
#include "upstream/server_figures.h"
#include "upstream/version.h"

#include <weir/conf_api.h>

/* -- servers ------------------------------------------------------------------------------------------------------- */

static bool split_host_port(str text, str *host, uint16_t *port)
{
    uint64_t number = 0;

    if (text.n && text.p[0] == '[') {
        size_t close = str_find(text, ']');
        if (close >= text.n)
            return false;
        *host = (str){ text.p + 1, close - 1 };
        text = str_from(text, close + 1);
        if (text.n == 0)
            return true;
        if (text.p[0] != ':')
            return false;
        text = str_from(text, 1);
    } else {
        size_t colon = str_find(text, ':');
        *host = str_upto(text, colon);
        if (colon >= text.n)
            return host->n > 0;
        text = str_from(text, colon + 1);
    }
    if (!str_to_u64(text, &number) || number == 0 || number > 65535)
        return false;
    *port = (uint16_t)number;
    return host->n > 0;
}

/* NULL, or what is wrong. */
static const char *server_address(struct arena *arena, struct server *server, str text, uint16_t default_port)
{
    str host = STR_NONE;

    server->name = text;
    if (str_has_prefix(text, S("unix:")))
        return addr_parse(text, &server->addr) ? NULL : "socket path empty or too long";
    server->port = default_port;
    if (!split_host_port(text, &host, &server->port))
        return "no address: HOST, HOST:PORT, [IPV6]:PORT or unix:PATH are";
    if (addr_parse_ip(host, server->port, &server->addr))
        return NULL;
    for (size_t i = 0; i < host.n; i++)
        if (!isalnum((unsigned char)host.p[i]) && host.p[i] != '.' && host.p[i] != '-' && host.p[i] != '_')
            return "no host name";
    server->host = arena_str(arena, host);
    return server->host.p ? NULL : "no memory";
}

static str server_key(struct arena *arena, const struct server *server, const struct weir_upstream *u)
{
    char room[ADDR_TEXT];
    str address = server->host.n ? arena_printf(arena, "%.*s:%u", STR_ARG(server->host), server->port)
                                 : addr_text(&server->addr, room);

    return arena_printf(arena, "%s %.*s %.*s", u->tls ? "tls" : "plain", STR_ARG(address), STR_ARG(u->tls_identity));
}

static const char *fill_server(struct arena *arena, const struct server_conf *conf, uint16_t default_port,
                               struct server *server)
{
    *server = (struct server){
        .weight = (uint32_t)conf->weight,
        .backup = conf->backup,
        .down = conf->down,
        .rules = { conf->max_conns, conf->max_fails, conf->fail_timeout, conf->slow_start },
    };
    return server_address(arena, server, conf->address, default_port);
}

const char *upstream_server(struct arena *arena, const struct weir_upstream *u, const struct server_conf *conf,
                            struct server *server)
{
    const char *why = fill_server(arena, conf, u->tls ? 443 : 80, server);

    if (why)
        return why;
    server->key = server_key(arena, server, u);
    return server->key.p ? NULL : "no memory";
}

bool upstream_server_state(struct arena *arena, const struct weir_upstream *u, struct server *server)
{
    str parts[] = { u->name, S(" "), server->key }, key = arena_concat(arena, parts, 3);

    server->state = key.p ? server_state_get(u->name, server->name, key) : NULL;
    return server->state != NULL;
}

/* -- TLS ----------------------------------------------------------------------------------------------------------- */

/* The first server's host name or address; none for a unix socket. */
static str name_to_verify(struct arena *arena, const struct weir_upstream *u)
{
    const struct server *first = &u->servers[0];
    char room[ADDR_TEXT];
    uint8_t bytes[16];

    if (first->host.n || addr_is_unix(&first->addr))
        return first->host;
    addr_bytes(&first->addr, bytes);
    return arena_str(arena, addr_ip_text(bytes, room));
}

/* What stands in a file is part of what a connection was made with: a renewed one means new connections. */
static str file_identity(struct weir_conf *c, str path)
{
    weir_str content;

    if (!path.n || weir_conf_read_file(c, path, &content) != 0)
        return S("-");
    return arena_printf(c->binder->arena, "%.*s#%016llx", STR_ARG(path), (unsigned long long)hash_str(content));
}

static bool prepare_tls(struct upstream_binding *b, struct weir_upstream *u, const struct upstream_conf *conf,
                        const struct scope *scope,
                        struct place place)
{
    struct weir_transport_wish wish = { .server_name = conf->tls_server_name, .ca_file = conf->tls_ca,
                                        .verify = conf->tls_verify, .certificate = conf->tls_certificate,
                                        .key = conf->tls_key,
                                        .alpn = conf->protocol == PROTOCOL_H2 ? S("h2") : STR_NONE };

    if (!b->tls || !b->tls_mod) {
        diag_error(b->binder->diags, place, S("module tls; is missing"), "https needs a module that speaks TLS");
        return false;
    }
    if (!wish.server_name.n)
        wish.server_name = name_to_verify(b->binder->arena, u);
    if (!wish.server_name.n && wish.verify) {
        diag_error(b->binder->diags, place, S("tls_server_name NAME;"),
                   "upstream %.*s: no name to verify the certificate against",
                   STR_ARG(u->name));
        return false;
    }
    struct weir_conf handle = { .binder = b->binder, .scope = (struct scope *)(uintptr_t)scope,
                               .owner = &b->tls_mod->owner, .statement = conf->tls_certificate_statement };
    u->tls = b->tls;
    u->tls_prepared = b->tls->prepare(&handle, &wish);
    if (!u->tls_prepared)
        return false;
    str parts[] = { file_identity(&handle, conf->tls_ca), S(" "), file_identity(&handle, conf->tls_certificate), S(" "),
                    file_identity(&handle, conf->tls_key) };
    u->tls_files = arena_concat(b->binder->arena, parts, 5);
    return u->tls_files.p != NULL;
}

/* What was said of TLS would be ignored, and the operator believe it were not. */
static bool tls_words_have_tls(struct upstream_binding *b, const struct weir_upstream *u,
                               const struct upstream_conf *conf, struct place place)
{
    const char *word = conf->tls_certificate.n ? "tls_client_certificate"
                       : conf->tls_ca.n        ? "tls_ca"
                       : conf->tls_server_name.n ? "tls_server_name"
                                                 : NULL;
    if (!word)
        return true;
    diag_error(b->binder->diags, place, S("tls on;"), "upstream %.*s: %s, but no TLS is spoken to it",
               STR_ARG(u->name), word);
    return false;
}

/* -- both ways to an upstream -------------------------------------------------------------------------------------- */

static const struct weir_balancer *balancer_find(const struct order *order, str name)
{
    for (uint32_t i = 0; i < order->count[STAGE_BALANCE]; i++) {
        const struct weir_balancer *balancer = order->at[STAGE_BALANCE][i].hook->balance;
        if (str_equal(str_of(balancer->name), name))
            return order->at[STAGE_BALANCE][i].mod->quarantine ? &quarantine_balancer : balancer;
    }
    return NULL;
}

static void unknown_balancer(struct upstream_binding *b, struct place place, str name)
{
    str known[64], hint = STR_NONE;
    size_t count = 0;

    for (uint32_t i = 0; i < b->order->count[STAGE_BALANCE] && count < 64; i++)
        known[count++] = str_of(b->order->at[STAGE_BALANCE][i].hook->balance->name);
    str nearest = diag_nearest(name, known, count);
    if (nearest.n)
        hint = arena_printf(b->binder->arena, "did you mean \"%.*s\"?", STR_ARG(nearest));
    diag_error(b->binder->diags, place, hint, "unknown balancer \"%.*s\"", STR_ARG(name));
}

static struct weir_upstream *upstream_new(struct upstream_binding *b, str name, uint32_t server_count)
{
    struct arena *arena = b->binder->arena;
    struct weir_upstream *u = arena_new(arena, struct weir_upstream);

    if (!u)
        return NULL;
    u->name = arena_str(arena, name);
    u->servers = arena_array(arena, struct server, server_count + 1);
    u->worker_count = b->worker_count;
    u->local = arena_array(arena, struct upstream_local *, b->worker_count + 1);
    u->budget = arena_new(arena, struct retry_budget);
    u->balancer = balancer_find(b->order, S("round_robin"));
    if (!u->servers || !u->local || !u->budget || !u->balancer || !strmap_put(arena, &b->by_name, u->name, u))
        return NULL;
    u->next = b->all;
    b->all = u;
    u->tally = upstream_tally(u->name);
    return u;
}

static struct place place_of(const struct weir_place *at)
{
    return (struct place){ .file = at->file, .line = at->line, .column = at->column };
}

static bool add_servers(struct upstream_binding *b, struct weir_upstream *u, const struct upstream_conf *conf)
{
    const char *at = conf->servers.base;
    bool fine = true;

    for (uint32_t i = 0; i < conf->servers.count; i++, at += conf->servers.stride) {
        const struct server_conf *from = (const struct server_conf *)at;
        struct server *server = &u->servers[u->server_count++];
        const char *why = fill_server(b->binder->arena, from, conf->tls ? 443 : 80, server);
        u->has_slow_start |= from->slow_start > 0;
        if (why) {
            diag_error(b->binder->diags, place_of(&from->place), STR_NONE, "server \"%.*s\": %s",
                       STR_ARG(from->address), why);
            fine = false;
        }
    }
    return fine;
}

static bool set_keys(struct upstream_binding *b, struct weir_upstream *u, const struct upstream_conf *conf)
{
    struct arena *arena = b->binder->arena;

    u->tls_identity = arena_printf(arena, "%.*s %d %.*s proxy%u%s", STR_ARG(conf->tls_server_name), conf->tls_verify,
                                   STR_ARG(u->tls_files), u->proxy_version, u->protocol == PROTOCOL_H2 ? " h2" : "");
    if (!u->tls_identity.p)
        return false;
    for (uint32_t i = 0; i < u->server_count; i++) {
        u->servers[i].key = server_key(arena, &u->servers[i], u);
        if (!u->servers[i].key.p || !upstream_server_state(arena, u, &u->servers[i]))
            return false;
    }
    return true;
}

/* The same for the same statements, whatever comments and blanks stand between them, and in each process. */
static uint64_t fingerprint_of(const struct statement *statement, uint64_t mark)
{
    static const uint8_t fixed_key[16] = "weir fingerprint";

    for (; statement; statement = statement->next) {
        uint64_t words[] = { mark, siphash13(fixed_key, statement->name.text.p, statement->name.text.n),
                             statement->arg_count };
        mark = siphash13(fixed_key, words, sizeof(words));
        for (uint32_t i = 0; i < statement->arg_count; i++) {
            str text = statement->args[i].text;
            uint64_t word[] = { mark, siphash13(fixed_key, text.p, text.n), statement->args[i].quote };
            mark = siphash13(fixed_key, word, sizeof(word));
        }
        mark = fingerprint_of(statement->children, mark);
    }
    return mark;
}

struct weir_upstream *upstream_of_block(struct upstream_binding *b, str name, const struct scope *scope)
{
    const struct upstream_conf *conf = scope->confs[b->owner_index];
    struct diags *diags = b->binder->diags;

    if (strmap_find(&b->by_name, name)) {
        diag_error(diags, scope->place, STR_NONE, "upstream \"%.*s\" stands twice", STR_ARG(name));
        return NULL;
    }
    if (conf->servers.count == 0 || conf->servers.count > UPSTREAM_SERVERS_MOST) {
        diag_error(diags, scope->place, S("server ADDR:PORT;"), "upstream \"%.*s\" has %s", STR_ARG(name),
                   conf->servers.count ? "more than 256 servers" : "no server");
        return NULL;
    }
    struct weir_upstream *u = upstream_new(b, name, conf->servers.count);
    if (!u || !add_servers(b, u, conf))
        return NULL;
    u->place = (struct weir_place){ scope->place.file, scope->place.line, scope->place.column };
    u->fingerprint = fingerprint_of(scope->statements, 1);
    u->keepalive = conf->keepalive;
    u->keepalive_timeout = conf->keepalive_timeout;
    if (conf->balance_statement) {
        u->balancer = balancer_find(b->order, conf->balance);
        if (!u->balancer) {
            unknown_balancer(b, word_place(conf->balance_statement, &conf->balance_statement->args[0]), conf->balance);
            return NULL;
        }
    }
    if (conf->balance_statement) {
        u->balancer_conf = arena_zalloc(b->binder->arena, u->balancer->conf_size + 1);
        if (!u->balancer_conf ||
            !bind_args(b->binder, scope, conf->balance_statement, 1, u->balancer->args, u->balancer_conf))
            return NULL;
    }
    if (conf->check_statement && !health_bind(b->binder, &conf->check, conf->check_statement, &u->check))
        return NULL;
    if (conf->sticky_statement && !sticky_bind(b->binder, &conf->sticky, conf->sticky_statement, &u->sticky))
        return NULL;
    if (conf->retry_statement && !retry_bind(b->binder, &conf->retry, conf->retry_statement, &u->retry))
        return NULL;
    u->proxy_version = conf->proxy_version;
    u->protocol = (enum upstream_protocol)conf->protocol;
    if (!conf->tls && !tls_words_have_tls(b, u, conf, scope->place))
        return NULL;
    if (conf->tls && !prepare_tls(b, u, conf, scope, scope->place))
        return NULL;
    return set_keys(b, u, conf) ? u : NULL;
}

struct weir_upstream *upstream_of_url(struct upstream_binding *b, str text, struct place place,
                                      const struct scope *scope)
{
    struct weir_upstream *u = strmap_find(&b->by_name, text);
    struct upstream_conf conf = { .keepalive = 64, .keepalive_timeout = 60000, .tls_verify = true };
    struct url url;

    if (u)
        return u;
    const char *why = url_parse(text, b->binder->arena, &url);
    if (why) {
        diag_error(b->binder->diags, place,
                   S("an upstream's name, http://HOST[:PORT][/PATH], https://... or unix:PATH"), "\"%.*s\": %s",
                   STR_ARG(text), why);
        return NULL;
    }
    u = upstream_new(b, text, 1);
    if (!u)
        return NULL;
    struct server *server = &u->servers[u->server_count++];
    bool is_v6 = str_find(url.host, ':') < url.host.n;
    str address = url.is_unix ? arena_printf(b->binder->arena, "unix:%.*s", STR_ARG(url.host))
                              : arena_printf(b->binder->arena, is_v6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(url.host),
                                             url.port);
    why = server_address(b->binder->arena, server, address, url.port);
    if (why) {
        diag_error(b->binder->diags, place, STR_NONE, "\"%.*s\": %s", STR_ARG(text), why);
        return NULL;
    }
    server->weight = 1;
    u->keepalive = conf.keepalive;
    u->keepalive_timeout = conf.keepalive_timeout;
    u->path = url.path;
    u->has_path = url.path.n > 0;
    if (url.is_tls && !prepare_tls(b, u, &conf, scope, place))
        return NULL;
    return set_keys(b, u, &conf) ? u : NULL;
}

struct weir_upstream *upstream_find(const struct upstream_binding *b, str name)
{
    return strmap_find(&b->by_name, name);
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

static void leave(struct weir_upstream *u, unsigned index)
{
    if (u->local[index])
        upstream_local_free(u, u->local[index]);
    u->local[index] = NULL;
}

void upstreams_leave(struct weir_upstream *all)
{
    unsigned index = worker_index(worker_self());

    for (struct weir_upstream *u = all; u; u = u->next)
        if (index < u->worker_count) {
            leave(u, index);
            leave(upstream_now(u), index);
        }
}

void upstreams_drop(struct weir_upstream *all)
{
    for (struct weir_upstream *u = all; u; u = u->next) {
        if (u->now)
            version_drop(u->now);
        if (u->tls_prepared)
            u->tls->release(u->tls_prepared);
        tally_release(u->tally);
        for (uint32_t i = 0; i < u->server_count; i++)
            if (u->servers[i].state)
                server_state_release(u->servers[i].state);
    }
}
