/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/house/listens.h"

#include "app/house/builtin.h"
#include "base/mem.h"
#include "config/args.h"
#include "pipeline/session.h"

enum { FAMILIES = 2 };

struct listen_conf { /* record of `listen [ADDR:]PORT|unix:PATH [tls] [proxy_protocol=CIDR,...];` */
    struct weir_place place;
    weir_str address;
    bool tls;
    weir_table balancer_words; /* of weir_str */
    const struct listen_balancers *balancers;
    bool is_implied; /* a bare port */
    const struct statement *statement;
    struct addr addr[FAMILIES];
    uint32_t count;
};

struct site_conf {
    weir_table listens; /* of struct listen_conf; this scope's alone */
    uint64_t http_port, https_port;
    bool redirect;
};

/* -- listen points ------------------------------------------------------------------------------------------------- */

static struct {
    struct listen_point **at;
    uint32_t count, room;
} points;

static struct listen_point *point_create(str key, const struct addr *addr)
{
    struct listen_point *point = mem_zalloc(sizeof(*point) + key.n + 1);

    if (!point)
        return NULL;
    char *copy = (char *)(point + 1);
    memcpy(copy, key.p, key.n);
    point->id = points.count;
    point->key = (str){ copy, key.n };
    point->addr = *addr;
    return point;
}

const struct listen_point *listen_point_get(str key, const struct addr *addr)
{
    for (uint32_t i = 0; i < points.count; i++)
        if (str_equal(points.at[i]->key, key))
            return points.at[i];
    if (points.count == points.room) {
        uint32_t room = points.room ? 2 * points.room : 16;
        struct listen_point **at = mem_realloc(points.at, room * sizeof(struct listen_point *));
        if (!at)
            return NULL;
        points.at = at;
        points.room = room;
    }
    struct listen_point *point = point_create(key, addr);
    if (point)
        points.at[points.count++] = point;
    return point;
}

/* -- `listen` ------------------------------------------------------------------------------------------------------ */

static bool is_port(str text, uint16_t *port)
{
    uint64_t number;

    if (text.n > 5 || !str_to_u64(text, &number) || number < 1 || number > 65535)
        return false;
    *port = (uint16_t)number;
    return true;
}

static uint32_t every_address(uint16_t port, struct addr to[FAMILIES])
{
    addr_parse_ip(S("0.0.0.0"), port, &to[0]);
    addr_parse_ip(S("::"), port, &to[1]);
    return FAMILIES;
}

static str cure_for(str text)
{
    if (str_has_prefix(text, S("*:")))
        return S("a port alone means every address");
    for (size_t i = 0; i < text.n; i++)
        if (!strchr("0123456789abcdefABCDEF.:[]", text.p[i]))
            return S("PORT, ADDRESS:PORT, [IPV6]:PORT or unix:PATH; an address, not a name");
    return S("PORT, ADDRESS:PORT, [IPV6]:PORT or unix:PATH; ports are 1 to 65535");
}

static int read_balancers(weir_conf *c, struct listen_conf *listen)
{
    bool is_unix = addr_is_unix(&listen->addr[0]);

    return listen_balancers_read(c, &listen->balancer_words, is_unix, &listen->balancers) ? 0 : -1;
}

static int set_listen(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct listen_conf *listen = to;
    str text = listen->address;
    uint16_t port;

    (void)directive;
    listen->statement = c->statement;
    if (is_port(text, &port)) {
        listen->is_implied = true;
        listen->count = every_address(port, listen->addr);
        return read_balancers(c, listen);
    }
    if (str_has_prefix(text, S("unix:")) && text.n > 5) {
        str parts[] = { S("unix:"), path_beside(c->binder->arena, c->statement->source->path, str_from(text, 5)) };
        text = arena_concat(c->binder->arena, parts, 2);
    }
    listen->count = 1;
    if (addr_parse(text, &listen->addr[0]) && (addr_is_unix(&listen->addr[0]) || addr_port(&listen->addr[0]) != 0))
        return read_balancers(c, listen);
    diag_error(c->binder->diags, word_place(c->statement, &c->statement->args[0]), cure_for(listen->address),
               "listen: \"%.*s\" is no address to listen on", STR_ARG(str_upto(listen->address, 200)));
    c->failed = true;
    return -1;
}

/* -- who listens where --------------------------------------------------------------------------------------------- */

struct spot { /* one point of one site */
    struct place place;
    bool is_tls, is_implied;
    const struct listen_balancers *balancers;
};

static struct listen_use *use_at(struct listen_table *table, const struct listening *l, uint32_t id)
{
    while (table->uses.count <= id)
        if (!vec_push(l->arena, &table->uses, sizeof(struct listen_use)))
            return NULL;
    return vec_at(&table->uses, struct listen_use, id);
}

/* The first bytes of a connection come before anybody knows which site it is for. */
static bool agree(const struct listening *l, const struct listen_use *use, const struct spot *spot)
{
    const struct listen_point *point = use->point;

    if (use->is_tls != spot->is_tls) {
        diag_error(l->diags, spot->place,
                   arena_printf(l->arena, "%s at %.*s:%u", use->is_tls ? "with tls" : "without tls",
                                STR_ARG(use->place.file), use->place.line),
                   "%.*s is listened on both with and without tls", STR_ARG(point->key));
        return false;
    }
    if (!listen_balancers_equal(use->balancers, spot->balancers)) {
        diag_error(l->diags, spot->place,
                   arena_printf(l->arena, "%s at %.*s:%u", use->balancers ? "with proxy_protocol=" : "without it",
                                STR_ARG(use->place.file), use->place.line),
                   "%.*s is listened on with different proxy_protocol=", STR_ARG(point->key));
        return false;
    }
    return true;
}

static bool use_point(struct listen_table *table, const struct listening *l, const struct addr *addr,
                      const struct spot *spot, uint32_t *id)
{
    char room[ADDR_TEXT];
    const struct listen_point *point = listen_point_get(addr_text(addr, room), addr);
    struct listen_use *use = point ? use_at(table, l, point->id) : NULL;

    if (!use) {
        diag_error(l->diags, spot->place, STR_NONE, "no memory");
        return false;
    }
    if (!use->point)
        *use = (struct listen_use){
            .point = point, .is_tls = spot->is_tls, .balancers = spot->balancers,
            .is_implied = spot->is_implied, .place = spot->place
        };
    if (!agree(l, use, spot))
        return false;
    use->is_implied &= spot->is_implied;
    *id = point->id;
    return true;
}

static void count_tls_site(struct listen_table *table, const struct listen_set *set, const void *site)
{
    for (uint32_t i = 0; i < set->count; i++) {
        struct listen_use *use = vec_at(&table->uses, struct listen_use, set->ids[i]);
        if (!use->is_tls)
            continue;
        use->one = use->tls_sites++ ? NULL : site;
    }
}

static const struct listen_set *default_set(struct listen_table *table, const struct listening *l,
                                            const struct site_conf *conf, bool tls)
{
    const struct listen_set **known = tls ? &table->both : &table->plain;
    struct addr addr[FAMILIES];
    struct listen_set *set;

    if (*known)
        return *known;
    set = arena_zalloc(l->arena, sizeof(*set) + 2 * FAMILIES * sizeof(set->ids[0]));
    for (uint32_t kind = 0; set && kind < (tls ? 2u : 1u); kind++) {
        struct spot spot = { l->scope->place, kind == 1, true, NULL };
        uint32_t count = every_address((uint16_t)(kind ? conf->https_port : conf->http_port), addr);
        for (uint32_t i = 0; i < count; i++)
            if (!use_point(table, l, &addr[i], &spot, &set->ids[set->count++]))
                return NULL;
    }
    *known = set;
    return set;
}

static struct place tls_word_place(const struct listen_conf *listen)
{
    const struct statement *statement = listen->statement;

    for (uint32_t i = 0; i < statement->arg_count; i++)
        if (str_equal(statement->args[i].text, S("tls")))
            return word_place(statement, &statement->args[i]);
    return statement_place(statement);
}

static bool add_listen(struct listen_table *table, const struct listening *l, const struct listen_conf *listen,
                       struct listen_set *set)
{
    struct spot spot = { statement_place(listen->statement), listen->tls, listen->is_implied, listen->balancers };

    if (listen->tls && !l->scope->offers_tls) {
        diag_error(l->diags, tls_word_place(listen),
                   l->has_tls_module ? S("tls_certificate CERT KEY; or tls_certificate internal;")
                                     : S("module tls; is missing"),
                   "listen: tls without a certificate in this site");
        return false;
    }
    for (uint32_t i = 0; i < listen->count; i++) {
        uint32_t id;
        if (!use_point(table, l, &listen->addr[i], &spot, &id))
            return false;
        if (listen_set_has(set, id)) {
            diag_error(l->diags, spot.place, STR_NONE, "listen: %.*s stands twice in this site",
                       STR_ARG(vec_at(&table->uses, struct listen_use, id)->point->key));
            return false;
        }
        set->ids[set->count++] = id;
    }
    return true;
}

static const struct listen_set *own_set(struct listen_table *table, const struct listening *l,
                                        const weir_table *listens)
{
    const struct listen_conf *from = listens->base;
    struct listen_set *set = arena_zalloc(l->arena, sizeof(*set) + FAMILIES * listens->count * sizeof(set->ids[0]));
    bool fine = set != NULL;

    for (uint32_t i = 0; set && i < listens->count; i++)
        fine &= add_listen(table, l, &from[i], set);
    return fine ? set : NULL;
}

const struct listen_set *listen_table_add(struct listen_table *table, const struct listening *l, bool *redirects)
{
    const struct site_conf *conf = l->scope->confs[l->owner_index];
    bool own = conf->listens.count > 0;
    bool said_wrongly = !own && (l->scope->state[l->owner_index] & SCOPE_FAILED); /* reported already */
    const struct listen_set *set = NULL;
    uint32_t errors = l->diags->errors;

    *redirects = !own && l->scope->offers_tls && conf->redirect;
    if (own)
        set = own_set(table, l, &conf->listens);
    else if (!said_wrongly)
        set = default_set(table, l, conf, l->scope->offers_tls);
    if (set)
        count_tls_site(table, set, l->site);
    else if (!said_wrongly && l->diags->errors == errors)
        diag_error(l->diags, l->scope->place, STR_NONE, "no memory");
    return set;
}

bool listen_table_list(const struct listen_table *table, struct arena *arena, struct configuration_listen **listens,
                       uint32_t *count)
{
    *count = 0;
    *listens = arena_array(arena, struct configuration_listen, table->uses.count + 1);
    for (uint32_t i = 0; *listens && i < table->uses.count; i++) {
        const struct listen_use *use = vec_at(&table->uses, struct listen_use, i);
        if (use->point)
            (*listens)[(*count)++] = (struct configuration_listen){
                .point = use->point, .is_tls = use->is_tls, .is_implied = use->is_implied, .place = use->place
            };
    }
    return *listens != NULL;
}

/* -- plain requests to sites with a certificate -------------------------------------------------------------------- */

/* A proxy in front that we trust may have ended TLS already. */
static bool came_by_https(weir_req *r)
{
    if (str_equal(weir_part(r, WEIR_PART_SCHEME), S("https")))
        return true;
    return r->client_is_trusted_proxy && str_equal_nocase(weir_req_get(r, S("X-Forwarded-Proto")), S("https"));
}

static weir_verdict send_to_https(weir_req *r, const void *conf_, void *ctx)
{
    const struct site_conf *conf = conf_;
    weir_str method = weir_method(r), host = weir_host(r), uri = weir_part(r, WEIR_PART_URI), target;

    (void)ctx;
    if (came_by_https(r))
        return WEIR_NEXT;
    if (host.n == 0)
        return weir_refuse(r, 400, "https only, and no host to send the client to");
    if (uri.n == 0 || uri.p[0] != '/') /* OPTIONS * */
        uri = S("/");
    if (conf->https_port == 443)
        target = weir_printf(r, "https://%.*s%.*s", STR_ARG(host), STR_ARG(uri));
    else
        target = weir_printf(r, "https://%.*s:%u%.*s", STR_ARG(host), (unsigned)conf->https_port, STR_ARG(uri));
    bool safe = str_equal(method, S("GET")) || str_equal(method, S("HEAD"));
    return weir_redirect(r, safe ? 301 : 308, target); /* 308: the method stays (RFC 9110 15.4.9) */
}

static const struct weir_arg listen_args[] = {
    { .name = "[ADDR:]PORT|unix:PATH",
      .type = WEIR_TYPE_STR,
      .offset = WEIR_FIELD(struct listen_conf, address, WEIR_C_STR) },
    { .name = "tls",
      .type = WEIR_TYPE_FLAG,
      .flags = WEIR_ARG_WORD,
      .offset = WEIR_FIELD(struct listen_conf, tls, WEIR_C_FLAG) },
    { .name = "proxy_protocol",
      .type = WEIR_TYPE_STR,
      .flags = WEIR_ARG_OPTION | WEIR_ARG_LIST,
      .offset = WEIR_FIELD(struct listen_conf, balancer_words, weir_table) },
    { .name = "PLACE", .type = WEIR_TYPE_PLACE, .offset = WEIR_FIELD(struct listen_conf, place, WEIR_C_PLACE) },
};
static const struct weir_directive directives[] = {
    { .name = "listen",
      .scopes = WEIR_IN_SITE,
      .merge = WEIR_MERGE_LOCAL,
      .args = WEIR_TABLE(listen_args),
      .set = set_listen,
      .record_size = sizeof(struct listen_conf),
      .offset = offsetof(struct site_conf, listens),
      .doc = "where the site is served; a port alone means every address of both families. proxy_protocol: addresses "
             "of balancers (on unix sockets: unix) whose connections have to begin with a PROXY header, version 1 or "
             "2, within timeout header=; $client_addr is whom it names. Other peers are clients themselves, and "
             "headers from them are never believed" },
    WEIR_DIR_BOUND(struct site_conf, http_port, UINT, "http_port", WEIR_IN_TOP, "80", 1, 65535,
                   "the port of sites without listen"),
    WEIR_DIR_BOUND(struct site_conf, https_port, UINT, "https_port", WEIR_IN_TOP, "443", 1, 65535,
                   "the TLS port of sites without listen that have a certificate"),
    WEIR_DIR(struct site_conf, redirect, FLAG, "https_redirect", WEIR_IN_TOP | WEIR_IN_SITE, "on",
             "send plain requests to https, for sites without listen that have a certificate"),
};
static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_GUARD,
      .slot = 2 * WEIR_EARLY,
      .flags = WEIR_DRY_OK,
      .name = "https-redirect",
      .provides = "https-redirect",
      .req = send_to_https },
};

const struct weir_module site_module = {
    BUILTIN_MODULE("site", "addresses, default ports and the way to https"),
    .conf_size = sizeof(struct site_conf),
    .directives = WEIR_TABLE(directives),
    .hooks = WEIR_TABLE(hooks),
};
