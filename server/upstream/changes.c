/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/changes.h"

#include "base/log.h"
#include "base/mem.h"
#include "upstream/change_orders.h"
#include "upstream/version.h"

#include <stdio.h>

enum { KNOWN_SHOWN = 5 };

struct record { /* of one upstream */
    struct record *next;
    char *name;
    uint64_t fingerprint;
    char *text; /* its orders */
};

static struct record *records;

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

static bool unknown_server(struct change_call *d, const struct weir_upstream *u, str name)
{
    str known[UPSTREAM_SERVERS_MOST] = { 0 }, list = STR_NONE;

    for (uint32_t i = 0; i < u->server_count; i++)
        known[i] = u->servers[i].name;
    str nearest = diag_nearest(name, known, u->server_count);
    if (nearest.n)
        return change_refuse(d, 404, "upstream %.*s has no server \"%.*s\": did you mean \"%.*s\"?", STR_ARG(u->name),
                             STR_ARG(name), STR_ARG(nearest));
    for (uint32_t i = 0; i < u->server_count && i < KNOWN_SHOWN; i++)
        list = arena_printf(d->arena, "%.*s%s%.*s", STR_ARG(list), i ? ", " : "", STR_ARG(known[i]));
    return change_refuse(d, 404, "upstream %.*s has no server \"%.*s\", but %.*s%s", STR_ARG(u->name), STR_ARG(name),
                         STR_ARG(u->server_count ? list : S("none")), u->server_count > KNOWN_SHOWN ? ", ..." : "");
}

/* -- one more order ------------------------------------------------------------------------------------------------ */

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

static bool make_live(struct change_call *d, const struct changes_place *place, struct weir_upstream *first,
                      struct weir_upstream *version, str text)
{
    struct weir_upstream *former = upstream_now(first);
    struct record *record = text.n ? record_new(first->name, first->fingerprint, text) : NULL;

    if (text.n && !record)
        return change_no_memory(d);
    if (!version_publish(first, version, place->main, place->workers)) {
        if (record)
            record_free(record);
        return change_no_memory(d);
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
static bool name_server(struct change_call *d, const struct weir_upstream *now, struct change *order)
{
    if (!change_word_is_plain(order->server))
        return change_refuse(d, 400, "which server: an address without blanks, quotes and control bytes");
    uint32_t at = find_server(d->arena, now, order->server);
    if (order->verb == VERB_ADD)
        return at == UINT32_MAX || change_refuse(d, 409, "upstream %.*s has a server %.*s already", STR_ARG(now->name),
                                                 STR_ARG(now->servers[at].name));
    if (at == UINT32_MAX)
        return unknown_server(d, now, str_upto(order->server, CHANGE_WORD_MOST));
    order->server = arena_str(d->arena, now->servers[at].name);
    return order->server.p ? true : change_no_memory(d);
}

static bool check_order(struct change_call *d, const struct weir_upstream *first, const struct change *order)
{
    str rest = order->options, word;

    if (first->fingerprint == 0)
        return change_refuse(d, 409, "\"%.*s\" is a URL in a route: only what has an upstream block can be changed",
                             STR_ARG(first->name));
    if (order->verb == VERB_WEIGHT && !order->options.n)
        return change_refuse(d, 400, "which weight: a number from 1 to 1000 is");
    if (order->options.n && order->verb != VERB_ADD && order->verb != VERB_WEIGHT)
        return change_refuse(d, 400, "%.*s takes nothing but a server", STR_ARG(change_verb_name(order->verb)));
    while (rest.n && str_split(&rest, ' ', &word))
        if (!change_word_is_plain(word))
            return change_refuse(d, 400, "options with blanks, quotes or control bytes are none");
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

static bool make(struct change_call *d, const struct changes_place *place, struct weir_upstream *first,
                 struct change fresh)
{
    struct change *orders = arena_array(d->arena, struct change, CHANGE_ORDERS_MOST + 1);
    uint32_t count = 0;

    if (!orders)
        return change_no_memory(d);
    if (!check_order(d, first, &fresh) || !name_server(d, upstream_now(first), &fresh))
        return false;
    if (!change_orders_read(changes_told(first), orders, &count) || count == CHANGE_ORDERS_MOST)
        return change_refuse(d, 409, "upstream %.*s was changed too often: write it into the file",
                             STR_ARG(first->name));
    struct weir_upstream *version = change_orders_build_with(d, first, orders, &count, &fresh);
    if (!version)
        return false;
    str text = change_orders_write(d->arena, orders, count);
    if (!text.p)
        change_refuse(d, 409, "upstream %.*s was changed too often: write it into the file",
                      STR_ARG(first->name));
    if (!text.p || !make_live(d, place, first, version, text)) {
        version_drop(version);
        return false;
    }
    begin_anew(version, &fresh);
    log_notice("upstream %.*s: %.*s %.*s%s%.*s (by the control socket)", STR_ARG(first->name),
               STR_ARG(change_verb_name(fresh.verb)), STR_ARG(fresh.server), fresh.options.n ? " " : "",
               STR_ARG(fresh.options));
    if (!has_one_in_service(version))
        change_refuse(d, 200, "upstream %.*s has no server in service now: its requests are answered 503",
                      STR_ARG(first->name));
    return true;
}

int changes_make(const struct changes_place *place, const struct change_order *order, struct arena *arena, str *text)
{
    struct change_call d = { .schema = place->schema, .arena = arena, .status = 200 };
    struct change fresh = { change_verb_of(order->verb), order->server, order->options };
    struct weir_upstream *first = changes_find(place->all, order->upstream, arena, &d.why);

    if (!first)
        d.status = 404;
    else if (fresh.verb == VERB_NONE)
        change_refuse(&d, 404, "\"%.*s\" is nothing to do with a server: add, remove, drain, down, up and weight are",
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
    struct change_call d = { .schema = schema, .arena = arena };
    struct change *orders = arena_array(arena, struct change, CHANGE_ORDERS_MOST + 1);
    uint32_t count = 0;

    if (!orders || !change_orders_read(text, orders, &count))
        change_refuse(&d, 503, "it cannot be read");
    struct weir_upstream *version = d.why.n ? NULL : change_orders_build(&d, u, orders, count);
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
    struct arena *arena = changes_remember(record) ? arena_create(CHANGE_TEXT_MOST, 0) : NULL;
    str name = str_upto(record, str_find(record, ' ')), why;
    struct weir_upstream *u = arena ? changes_find(place->all, name, arena, &why) : NULL;

    if (u)
        follow(place, u, arena);
    arena_destroy(arena);
}

void changes_carry_over(struct weir_upstream *all, const struct schema *schema)
{
    struct arena *arena = records ? arena_create(CHANGE_TEXT_MOST, 0) : NULL;

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
    char room[CHANGE_WORD_MOST + 32];

    for (struct record **at = &records; *at;) {
        struct record *record = *at;
        if (find_changed(all, record)) {
            at = &record->next;
            continue;
        }
        tell_dropped(record);
        *at = record->next;
        int n = snprintf(room, sizeof(room), "%.*s 0 ", CHANGE_WORD_MOST, record->name);
        keep_record((str){ room, (size_t)n });
        record_free(record);
    }
}
