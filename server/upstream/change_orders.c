/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/change_orders.h"

#include "base/out.h"
#include "upstream/version.h"

static const str verb_names[] = { WEIR_S("add"), WEIR_S("add"), WEIR_S("remove"), WEIR_S("drain"),
                                  WEIR_S("down"), WEIR_S("up"), WEIR_S("weight") };

bool change_refuse(struct change_call *d, int status, const char *fmt, ...)
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

bool change_no_memory(struct change_call *d)
{
    return change_refuse(d, 503, "no memory");
}

/* -- orders as text ------------------------------------------------------------------------------------------------ */

str change_verb_name(enum change_verb verb)
{
    return verb_names[verb];
}

enum change_verb change_verb_of(str name)
{
    for (unsigned i = VERB_ADD; i < sizeof(verb_names) / sizeof(verb_names[0]); i++)
        if (str_equal(verb_names[i], name))
            return (enum change_verb)i;
    return VERB_NONE;
}

/* Addresses and options: nothing that the configuration's language or the record would read as something else. */
bool change_word_is_plain(str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] <= ' ' || (unsigned char)text.p[i] >= 0x7f || strchr(";{}\"'#\\$", text.p[i]))
            return false;
    return text.n > 0 && text.n <= CHANGE_WORD_MOST;
}

bool change_orders_read(str text, struct change *orders, uint32_t *count)
{
    str one, verb;

    for (*count = 0; text.n && str_split(&text, '\t', &one); ++*count) {
        struct change *order = &orders[*count];
        if (*count == CHANGE_ORDERS_MOST || !str_split(&one, ' ', &verb))
            return false;
        order->verb = change_verb_of(verb);
        size_t space = str_find(one, ' ');
        order->server = str_upto(one, space);
        order->options = space < one.n ? str_from(one, space + 1) : STR_NONE;
        if (order->verb == VERB_NONE || !change_word_is_plain(order->server))
            return false;
    }
    return true;
}

str change_orders_write(struct arena *arena, const struct change *orders, uint32_t count)
{
    char *room = arena_alloc(arena, CHANGE_TEXT_MOST);
    struct out out = { .p = room, .room = CHANGE_TEXT_MOST };

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

static bool bind_server(struct change_call *d, const struct change *order, struct server_conf *conf)
{
    str text = arena_printf(d->arena, "server %.*s %.*s;", STR_ARG(order->server), STR_ARG(order->options));
    struct diags diags;
    struct tree tree = { 0 };

    diags_init(&diags, d->arena);
    if (!text.p)
        return change_no_memory(d);
    struct binder binder = { .arena = d->arena, .diags = &diags, .schema = d->schema };
    bool fine = tree_parse(&tree, S("(add)"), text, d->arena, &diags) && tree.first && !tree.first->next &&
                bind_args(&binder, NULL, tree.first, 0, upstream_server_args, conf);
    if (fine)
        return true;
    if (!diags.first)
        return change_no_memory(d);
    str hint = diags.first->hint;
    return change_refuse(d, 400, "%.*s%s%.*s%s", STR_ARG(diags.first->message), hint.n ? " (" : "", STR_ARG(hint),
                         hint.n ? ")" : "");
}

static bool add_server(struct change_call *d, struct weir_upstream *u, const struct change *order)
{
    struct arena *arena = u->version->arena;
    struct server_conf conf = { 0 };
    struct server server;

    if (!bind_server(d, order, &conf))
        return false;
    if (u->server_count == UPSTREAM_SERVERS_MOST)
        return change_refuse(d, 409, "upstream %.*s has %d servers, more cannot be", STR_ARG(u->name),
                             UPSTREAM_SERVERS_MOST);
    conf.address = arena_str(arena, order->server);
    if (!conf.address.p)
        return change_no_memory(d);
    const char *why = upstream_server(arena, u, &conf, &server);
    if (why)
        return change_refuse(d, 400, "server \"%.*s\": %s", STR_ARG(order->server), why);
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

static bool set_weight(struct change_call *d, struct server *server, str text)
{
    uint64_t weight;

    if (!str_to_u64(text, &weight) || weight < 1 || weight > 1000)
        return change_refuse(d, 400, "weight \"%.*s\": a number from 1 to 1000 is", STR_ARG(str_upto(text, 100)));
    server->weight = (uint32_t)weight;
    return true;
}

static bool apply_order(struct change_call *d, struct weir_upstream *u, const struct change *order)
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
struct weir_upstream *change_orders_build(struct change_call *d, struct weir_upstream *first,
                                          const struct change *orders, uint32_t count)
{
    struct weir_upstream *u = version_create(first, UPSTREAM_SERVERS_MOST);
    bool fine = u != NULL;

    if (!u) {
        change_no_memory(d);
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
        change_no_memory(d);
    version_drop(u);
    return NULL;
}

/* -- one more order ------------------------------------------------------------------------------------------------ */

static bool is_about_service(enum change_verb verb)
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

struct weir_upstream *change_orders_build_with(struct change_call *d, struct weir_upstream *first,
                                               struct change *orders, uint32_t *count, const struct change *fresh)
{
    *count = thin_out(orders, *count, fresh);
    struct weir_upstream *u = change_orders_build(d, first, orders, *count);
    if (!u || is_so(u, fresh))
        return u;
    version_drop(u);
    orders[(*count)++] = *fresh;
    return change_orders_build(d, first, orders, *count);
}
