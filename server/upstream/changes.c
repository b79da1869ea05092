/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/changes.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "upstream/version.h"

#include <stdio.h>

enum { ORDERS_MOST = 1024, TEXT_MOST = 48 * 1024, WORD_MOST = 300, KNOWN_SHOWN = 5 };

enum verb { VERB_NONE, VERB_ADD, VERB_REMOVE, VERB_DRAIN, VERB_DOWN, VERB_UP, VERB_WEIGHT };

static const str verb_names[] = { WEIR_S("add"), WEIR_S("add"), WEIR_S("remove"), WEIR_S("drain"),
                                  WEIR_S("down"), WEIR_S("up"), WEIR_S("weight") };

struct change {
    enum verb verb;
    str server, options;
};

struct record { /* of one upstream */
    struct record *next;
    char *name;
    uint64_t fingerprint;
    char *text; /* its orders */
};

static struct record *records;

/* What is being done: the place, and where to say what is wrong. */
struct doing {
    const struct schema *schema;
    struct arena *arena;
    str why;
    int status;
};

static bool refuse(struct doing *d, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static bool refuse(struct doing *d, int status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    d->why = arena_vprintf(d->arena, fmt, ap);
    va_end(ap);
    d->status = status;
    if (!d->why.n)
        d->why = S("no memory");
    return false;
}

static bool no_memory(struct doing *d)
{
    return refuse(d, 503, "no memory");
}

/* -- records ------------------------------------------------------------------------------------------------------- */

static struct record **record_find(str name)
{
    struct record **at = &records;

    while (*at && !str_equal(str_of((*at)->name), name))
        at = &(*at)->next;
    return at;
}

static void record_free(struct record *record)
{
    mem_free(record->name);
    mem_free(record->text);
    mem_free(record);
}

static void record_forget(str name)
{
    struct record **at = record_find(name), *record = *at;

    if (!record)
        return;
    *at = record->next;
    record_free(record);
}

static struct record *record_new(str name, uint64_t fingerprint, str text)
{
    struct record *record = mem_zalloc(sizeof(*record));

    if (!record)
        return NULL;
    record->name = str_dup(name);
    record->text = str_dup(text);
    record->fingerprint = fingerprint;
    if (record->name && record->text)
        return record;
    record_free(record);
    return NULL;
}

static void record_put(struct record *record)
{
    record_forget(str_of(record->name));
    record->next = records;
    records = record;
}

bool changes_remember(str rest)
{
    str name, mark;
    uint64_t fingerprint;

    if (!str_split(&rest, ' ', &name) || !str_split(&rest, ' ', &mark) || !str_to_u64(mark, &fingerprint))
        return false;
    if (!rest.n) {
        record_forget(name);
        return true;
    }
    struct record *record = record_new(name, fingerprint, rest);
    if (!record)
        return false;
    record_put(record);
    return true;
}

void changes_finish(void)
{
    while (records) {
        struct record *record = records;
        records = record->next;
        record_free(record);
    }
}

str changes_told(const struct weir_upstream *u)
{
    const struct record *record = *record_find(u->name);

    return record && record->fingerprint == u->fingerprint ? str_of(record->text) : STR_NONE;
}

/* -- orders as text ------------------------------------------------------------------------------------------------ */

static enum verb verb_of(str name)
{
    for (unsigned i = VERB_ADD; i < sizeof(verb_names) / sizeof(verb_names[0]); i++)
        if (str_equal(verb_names[i], name))
            return (enum verb)i;
    return VERB_NONE;
}

/* Addresses and options: nothing that the configuration's language or the record would read as something else. */
static bool is_plain(str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] <= ' ' || (unsigned char)text.p[i] >= 0x7f || strchr(";{}\"'#\\$", text.p[i]))
            return false;
    return text.n > 0 && text.n <= WORD_MOST;
}

static bool read_orders(str text, struct change orders[ORDERS_MOST], uint32_t *count)
{
    str one, verb;

    for (*count = 0; text.n && str_split(&text, '\t', &one); ++*count) {
        struct change *order = &orders[*count];
        if (*count == ORDERS_MOST || !str_split(&one, ' ', &verb))
            return false;
        order->verb = verb_of(verb);
        size_t space = str_find(one, ' ');
        order->server = str_upto(one, space);
        order->options = space < one.n ? str_from(one, space + 1) : STR_NONE;
        if (order->verb == VERB_NONE || !is_plain(order->server))
            return false;
    }
    return true;
}

static str write_orders(struct arena *arena, const struct change *orders, uint32_t count)
{
    char *room = arena_alloc(arena, TEXT_MOST);
    struct out out = { .p = room, .room = TEXT_MOST };

    if (!room)
        return STR_NONE;
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            out_char(&out, '\t');
        out_str(&out, verb_names[orders[i].verb]);
        out_char(&out, ' ');
        out_str(&out, orders[i].server);
        if (orders[i].options.n) {
            out_char(&out, ' ');
            out_str(&out, orders[i].options);
        }
    }
    return out.full ? STR_NONE : (str){ room, out.n };
}

/* -- orders applied ------------------------------------------------------------------------------------------------ */

static bool bind_server(struct doing *d, const struct change *order, struct server_conf *conf)
{
    str text = arena_printf(d->arena, "server %.*s %.*s;", STR_ARG(order->server), STR_ARG(order->options));
    struct diags diags;
    struct tree tree = { 0 };

    diags_init(&diags, d->arena);
    if (!text.p)
        return no_memory(d);
    struct binder binder = { .arena = d->arena, .diags = &diags, .schema = d->schema };
    bool fine = tree_parse(&tree, S("(add)"), text, d->arena, &diags) && tree.first && !tree.first->next &&
                bind_args(&binder, NULL, tree.first, 0, upstream_server_args, conf);
    if (fine)
        return true;
    if (!diags.first)
        return no_memory(d);
    str hint = diags.first->hint;
    return refuse(d, 400, "%.*s%s%.*s%s", STR_ARG(diags.first->message), hint.n ? " (" : "", STR_ARG(hint),
                  hint.n ? ")" : "");
}

static bool add_server(struct doing *d, struct weir_upstream *u, const struct change *order)
{
    struct arena *arena = u->version->arena;
    struct server_conf conf = { 0 };
    struct server server;

    if (!bind_server(d, order, &conf))
        return false;
    if (u->server_count == UPSTREAM_SERVERS_MOST)
        return refuse(d, 409, "upstream %.*s has %d servers, more cannot be", STR_ARG(u->name), UPSTREAM_SERVERS_MOST);
    conf.address = arena_str(arena, order->server);
    if (!conf.address.p)
        return no_memory(d);
    const char *why = upstream_server(arena, u, &conf, &server);
    if (why)
        return refuse(d, 400, "server \"%.*s\": %s", STR_ARG(order->server), why);
    u->servers[u->server_count++] = server;
    return true;
}

static void remove_servers(struct weir_upstream *u, str name)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < u->server_count; i++)
        if (!str_equal(u->servers[i].name, name))
            u->servers[kept++] = u->servers[i];
    u->server_count = kept;
}

static bool set_weight(struct doing *d, struct server *server, str text)
{
    uint64_t weight;

    if (!str_to_u64(text, &weight) || weight < 1 || weight > 1000)
        return refuse(d, 400, "weight \"%.*s\": a number from 1 to 1000 is", STR_ARG(str_upto(text, 100)));
    server->weight = (uint32_t)weight;
    return true;
}

static bool apply_order(struct doing *d, struct weir_upstream *u, const struct change *order)
{
    if (order->verb == VERB_ADD)
        return add_server(d, u, order);
    if (order->verb == VERB_REMOVE) {
        remove_servers(u, order->server);
        return true;
    }
    for (uint32_t i = 0; i < u->server_count; i++) {
        struct server *server = &u->servers[i];
        if (!str_equal(server->name, order->server))
            continue;
        if (order->verb == VERB_WEIGHT && !set_weight(d, server, order->options))
            return false;
        if (order->verb == VERB_WEIGHT)
            continue;
        server->draining = order->verb == VERB_DRAIN;
        server->down = order->verb == VERB_DOWN;
    }
    return true;
}

static bool get_states(struct weir_upstream *u)
{
    for (uint32_t i = 0; i < u->server_count; i++)
        u->servers[i].state = NULL;
    for (uint32_t i = 0; i < u->server_count; i++) {
        u->has_slow_start |= u->servers[i].rules.slow_start > 0;
        if (!upstream_server_state(u->version->arena, u, &u->servers[i]))
            return false;
    }
    return true;
}

/* The file's servers with the orders applied; NULL: why says so. */
static struct weir_upstream *build(struct doing *d, struct weir_upstream *first, const struct change *orders,
                                   uint32_t count)
{
    struct weir_upstream *u = version_create(first, UPSTREAM_SERVERS_MOST);
    bool fine = u != NULL;

    if (!u) {
        no_memory(d);
        return NULL;
    }
    memcpy(u->servers, first->servers, first->server_count * sizeof(struct server));
    u->server_count = first->server_count;
    for (uint32_t i = 0; i < count && fine; i++)
        fine = apply_order(d, u, &orders[i]);
    if (!fine)
        u->server_count = 0; /* their states are not ours yet */
    else if (get_states(u))
        return u;
    else
        no_memory(d);
    version_drop(u);
    return NULL;
}

/* -- finding ------------------------------------------------------------------------------------------------------- */

struct weir_upstream *changes_find(struct weir_upstream *all, str name, struct arena *arena, str *why)
{
    uint32_t count = 0;

    for (struct weir_upstream *u = all; u; u = u->next, count++)
        if (str_equal(u->name, name))
            return u;
    str *known = arena_array(arena, str, count + 1);
    count = 0;
    for (const struct weir_upstream *u = all; u && known; u = u->next)
        known[count++] = u->name;
    str nearest = known ? diag_nearest(name, known, count) : STR_NONE;
    *why = arena_printf(arena, nearest.n ? "unknown upstream \"%.*s\": did you mean \"%.*s\"?"
                                         : "unknown upstream \"%.*s\"%.*s",
                        STR_ARG(str_upto(name, 200)), STR_ARG(nearest));
    return NULL;
}

/* By its name, or by another spelling of the same address; UINT32_MAX: none. */
static uint32_t find_server(struct arena *arena, const struct weir_upstream *u, str name)
{
    struct server_conf conf = { .address = name, .weight = 1 };
    struct server same;

    for (uint32_t i = 0; i < u->server_count; i++)
        if (str_equal(u->servers[i].name, name))
            return i;
    if (upstream_server(arena, u, &conf, &same))
        return UINT32_MAX;
    for (uint32_t i = 0; i < u->server_count; i++)
        if (str_equal(u->servers[i].key, same.key))
            return i;
    return UINT32_MAX;
}

static bool unknown_server(struct doing *d, const struct weir_upstream *u, str name)
{
    str known[UPSTREAM_SERVERS_MOST], list = STR_NONE;

    for (uint32_t i = 0; i < u->server_count; i++)
        known[i] = u->servers[i].name;
    str nearest = diag_nearest(name, known, u->server_count);
    if (nearest.n)
        return refuse(d, 404, "upstream %.*s has no server \"%.*s\": did you mean \"%.*s\"?", STR_ARG(u->name),
                      STR_ARG(name), STR_ARG(nearest));
    for (uint32_t i = 0; i < u->server_count && i < KNOWN_SHOWN; i++)
        list = arena_printf(d->arena, "%.*s%s%.*s", STR_ARG(list), i ? ", " : "", STR_ARG(known[i]));
    return refuse(d, 404, "upstream %.*s has no server \"%.*s\", but %.*s%s", STR_ARG(u->name), STR_ARG(name),
                  STR_ARG(u->server_count ? list : S("none")), u->server_count > KNOWN_SHOWN ? ", ..." : "");
}

/* -- one more order ------------------------------------------------------------------------------------------------ */

static bool is_about_service(enum verb verb)
{
    return verb == VERB_DRAIN || verb == VERB_DOWN || verb == VERB_UP;
}

/* Orders that the new one makes pointless go. */
static uint32_t thin_out(struct change *orders, uint32_t count, const struct change *fresh)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct change *old = &orders[i];
        bool same = str_equal(old->server, fresh->server);
        bool overtaken = fresh->verb == VERB_REMOVE || (is_about_service(fresh->verb) && is_about_service(old->verb)) ||
                         (fresh->verb == VERB_WEIGHT && old->verb == VERB_WEIGHT);
        if (!same || !overtaken || (old->verb == VERB_REMOVE && fresh->verb != VERB_REMOVE))
            orders[kept++] = *old;
    }
    return kept;
}

/* Whether all is as the order wants it without it. */
static bool is_so(const struct weir_upstream *u, const struct change *order)
{
    uint64_t weight;

    for (uint32_t i = 0; i < u->server_count; i++) {
        const struct server *server = &u->servers[i];
        if (!str_equal(server->name, order->server))
            continue;
        if (order->verb == VERB_REMOVE)
            return false;
        if (order->verb == VERB_WEIGHT && (!str_to_u64(order->options, &weight) || server->weight != weight))
            return false;
        if (is_about_service(order->verb) && (server->down != (order->verb == VERB_DOWN) ||
                                              server->draining != (order->verb == VERB_DRAIN)))
            return false;
    }
    return order->verb != VERB_ADD;
}

static struct weir_upstream *build_with(struct doing *d, struct weir_upstream *first, struct change *orders,
                                        uint32_t *count, const struct change *fresh)
{
    *count = thin_out(orders, *count, fresh);
    struct weir_upstream *u = build(d, first, orders, *count);
    if (!u || is_so(u, fresh))
        return u;
    version_drop(u);
    orders[(*count)++] = *fresh;
    return build(d, first, orders, *count);
}

static bool has_one_in_service(const struct weir_upstream *u)
{
    for (uint32_t i = 0; i < u->server_count; i++)
        if (!u->servers[i].down && !u->servers[i].draining)
            return true;
    return false;
}

static void keep(const struct changes_place *place, const struct weir_upstream *first, str text, struct arena *arena)
{
    str record = arena_printf(arena, "%.*s %llu %.*s", STR_ARG(first->name), (unsigned long long)first->fingerprint,
                              STR_ARG(text));

    if (record.p)
        place->keep(record);
}

static bool make_live(struct doing *d, const struct changes_place *place, struct weir_upstream *first,
                      struct weir_upstream *version, str text)
{
    struct weir_upstream *former = upstream_now(first);
    struct record *record = text.n ? record_new(first->name, first->fingerprint, text) : NULL;

    if (text.n && !record)
        return no_memory(d);
    if (!version_publish(first, version, place->main, place->workers)) {
        if (record)
            record_free(record);
        return no_memory(d);
    }
    health_checks_follow(former, version);
    if (record)
        record_put(record);
    else
        record_forget(first->name);
    keep(place, first, text, d->arena);
    return true;
}

/* The order's server by the name it has; of a new one the name that was given. */
static bool name_server(struct doing *d, const struct weir_upstream *now, struct change *order)
{
    if (!is_plain(order->server))
        return refuse(d, 400, "which server: an address without blanks, quotes and control bytes");
    uint32_t at = find_server(d->arena, now, order->server);
    if (order->verb == VERB_ADD)
        return at == UINT32_MAX || refuse(d, 409, "upstream %.*s has a server %.*s already", STR_ARG(now->name),
                                          STR_ARG(now->servers[at].name));
    if (at == UINT32_MAX)
        return unknown_server(d, now, str_upto(order->server, WORD_MOST));
    order->server = arena_str(d->arena, now->servers[at].name);
    return order->server.p ? true : no_memory(d);
}

static bool check_order(struct doing *d, const struct weir_upstream *first, const struct change *order)
{
    str rest = order->options, word;

    if (first->fingerprint == 0)
        return refuse(d, 409, "\"%.*s\" is a URL in a route: only what has an upstream block can be changed",
                      STR_ARG(first->name));
    if (order->verb == VERB_WEIGHT && !order->options.n)
        return refuse(d, 400, "which weight: a number from 1 to 1000 is");
    if (order->options.n && order->verb != VERB_ADD && order->verb != VERB_WEIGHT)
        return refuse(d, 400, "%.*s takes nothing but a server", STR_ARG(verb_names[order->verb]));
    while (rest.n && str_split(&rest, ' ', &word))
        if (!is_plain(word))
            return refuse(d, 400, "options with blanks, quotes or control bytes are none");
    return true;
}

/* What the operator does with a server says more than its past. */
static void begin_anew(const struct weir_upstream *u, const struct change *order)
{
    for (uint32_t i = 0; i < u->server_count; i++)
        if (str_equal(u->servers[i].name, order->server)) {
            if (order->verb == VERB_UP)
                server_state_forgive(u->servers[i].state);
            else if (order->verb == VERB_ADD)
                server_state_begin(u->servers[i].state);
        }
}

static bool make(struct doing *d, const struct changes_place *place, struct weir_upstream *first, struct change fresh)
{
    struct change *orders = arena_array(d->arena, struct change, ORDERS_MOST + 1);
    uint32_t count = 0;

    if (!orders)
        return no_memory(d);
    if (!check_order(d, first, &fresh) || !name_server(d, upstream_now(first), &fresh))
        return false;
    if (!read_orders(changes_told(first), orders, &count) || count == ORDERS_MOST)
        return refuse(d, 409, "upstream %.*s was changed too often: write it into the file", STR_ARG(first->name));
    struct weir_upstream *version = build_with(d, first, orders, &count, &fresh);
    if (!version)
        return false;
    str text = write_orders(d->arena, orders, count);
    if (!text.p)
        refuse(d, 409, "upstream %.*s was changed too often: write it into the file", STR_ARG(first->name));
    if (!text.p || !make_live(d, place, first, version, text)) {
        version_drop(version);
        return false;
    }
    begin_anew(version, &fresh);
    log_notice("upstream %.*s: %.*s %.*s%s%.*s (by the control socket)", STR_ARG(first->name),
               STR_ARG(verb_names[fresh.verb]), STR_ARG(fresh.server), fresh.options.n ? " " : "",
               STR_ARG(fresh.options));
    if (!has_one_in_service(version))
        refuse(d, 200, "upstream %.*s has no server in service now: its requests are answered 503",
               STR_ARG(first->name));
    return true;
}

int changes_make(const struct changes_place *place, const struct change_order *order, struct arena *arena, str *text)
{
    struct doing d = { .schema = place->schema, .arena = arena, .status = 200 };
    struct change fresh = { verb_of(order->verb), order->server, order->options };
    struct weir_upstream *first = changes_find(place->all, order->upstream, arena, &d.why);

    if (!first)
        d.status = 404;
    else if (fresh.verb == VERB_NONE)
        refuse(&d, 404, "\"%.*s\" is nothing to do with a server: add, remove, drain, down, up and weight are",
               STR_ARG(str_upto(order->verb, 100)));
    else
        make(&d, place, first, fresh);
    if (d.status == 200 && d.why.n)
        log_warn("%.*s", STR_ARG(d.why));
    *text = d.why;
    return d.status;
}

/* -- a new configuration ------------------------------------------------------------------------------------------- */

/* NULL after it was told. */
static struct weir_upstream *build_told(struct weir_upstream *u, const struct schema *schema, struct arena *arena,
                                        str text)
{
    struct doing d = { .schema = schema, .arena = arena };
    struct change *orders = arena_array(arena, struct change, ORDERS_MOST + 1);
    uint32_t count = 0;

    if (!orders || !read_orders(text, orders, &count))
        refuse(&d, 503, "it cannot be read");
    struct weir_upstream *version = d.why.n ? NULL : build(&d, u, orders, count);
    if (!version)
        log_error("upstream %.*s: what was changed at run time cannot be done again: %.*s", STR_ARG(u->name),
                  STR_ARG(d.why));
    return version;
}

static void carry(struct weir_upstream *u, const struct schema *schema, struct arena *arena, str text)
{
    struct weir_upstream *version = build_told(u, schema, arena, text);

    if (version)
        version_install(u, version);
}

static void follow(const struct changes_place *place, struct weir_upstream *u, struct arena *arena)
{
    struct weir_upstream *former = upstream_now(u);
    struct weir_upstream *version = build_told(u, place->schema, arena, changes_told(u));

    if (version && version_publish(u, version, place->main, place->workers))
        health_checks_follow(former, version);
    else if (version)
        version_drop(version);
}

void changes_follow(const struct changes_place *place, str record)
{
    struct arena *arena = changes_remember(record) ? arena_create(TEXT_MOST, 0) : NULL;
    str name = str_upto(record, str_find(record, ' ')), why;
    struct weir_upstream *u = arena ? changes_find(place->all, name, arena, &why) : NULL;

    if (u)
        follow(place, u, arena);
    arena_destroy(arena);
}

void changes_carry_over(struct weir_upstream *all, const struct schema *schema)
{
    struct arena *arena = records ? arena_create(TEXT_MOST, 0) : NULL;

    for (struct weir_upstream *u = all; u && arena; u = u->next) {
        str text = changes_told(u);
        if (text.n)
            carry(u, schema, arena, text);
    }
    arena_destroy(arena);
}

static const struct weir_upstream *find_changed(const struct weir_upstream *all, const struct record *record)
{
    while (all && !(str_equal(all->name, str_of(record->name)) && all->fingerprint == record->fingerprint && all->now))
        all = all->next;
    return all;
}

static void tell_dropped(const struct record *record)
{
    char *text = str_dup(str_of(record->text));

    for (char *p = text; p && *p; p++)
        if (*p == '\t')
            *p = ';';
    log_notice("upstream %s: its block in the files was changed, so what was changed at run time is dropped: %s",
               record->name, text ? text : "-");
    mem_free(text);
}

void changes_settle(struct weir_upstream *all, void (*keep_record)(str record))
{
    char room[WORD_MOST + 32];

    for (struct record **at = &records; *at;) {
        struct record *record = *at;
        if (find_changed(all, record)) {
            at = &record->next;
            continue;
        }
        tell_dropped(record);
        *at = record->next;
        int n = snprintf(room, sizeof(room), "%.*s 0 ", WORD_MOST, record->name);
        keep_record((str){ room, (size_t)n });
        record_free(record);
    }
}
