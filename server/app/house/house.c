/* SPDX-License-Identifier: BSD-2-Clause */
/* house.c: from blocks to scopes, and from scopes to plans: upstreams, sites, routes. */
#include "app/house/loading.h"

#include "pipeline/metrics.h"

static bool no_memory(struct loading *l, struct place place)
{
    diag_error(&l->c.diags, place, STR_NONE, "no memory");
    return false;
}

/* Bound, and noted for the end. NULL without memory (reported). */
static struct scope *bind_scope(struct loading *l, const struct scope *outer, uint32_t kind,
                                const struct statement *statements, struct place place)
{
    struct scope *scope = scope_bind(&l->binder, outer, kind, statements, place);
    struct scope **slot = scope ? vec_push(l->c.arena, &l->house->scopes, sizeof(*slot)) : NULL;

    if (!slot) {
        no_memory(l, place);
        return NULL;
    }
    *slot = scope;
    return scope;
}

static bool is_block(const struct statement *statement, str name)
{
    return statement->has_block && str_equal(statement->name.text, name);
}

/* -- upstream blocks ----------------------------------------------------------------------------------------------- */

static bool is_upstream_name(str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!isalnum((unsigned char)name.p[i]) && !strchr("_-.", name.p[i]))
            return false;
    return name.n > 0;
}

static bool read_upstream_name(struct loading *l, const struct statement *statement, str *name)
{
    if (statement->arg_count != 1) {
        diag_error(&l->c.diags, statement_place(statement), S("usage: upstream NAME { ... }"),
                   "upstream: one name is needed");
        return false;
    }
    *name = word_plain(&statement->args[0], l->c.arena);
    if (is_upstream_name(*name))
        return true;
    diag_error(&l->c.diags, word_place(statement, &statement->args[0]), S("letters, digits, '_', '-' and '.'"),
               "upstream: \"%.*s\" cannot be a name", STR_ARG(str_upto(*name, 200)));
    return false;
}

static void report_upstream_twice(struct loading *l, const struct upstream_block *block)
{
    for (uint32_t i = 0; i < l->house->blocks.count; i++) {
        const struct upstream_block *other = vec_at(&l->house->blocks, struct upstream_block, i);
        if (!str_equal(other->name, block->name))
            continue;
        struct place first = statement_place(other->statement);
        diag_error(&l->c.diags, word_place(block->statement, &block->statement->args[0]),
                   arena_printf(l->c.arena, "first at %.*s:%u", STR_ARG(first.file), first.line),
                   "upstream \"%.*s\" stands twice", STR_ARG(block->name));
        return;
    }
}

static bool bind_upstream(struct loading *l, const struct statement *statement)
{
    struct upstream_block block = { .statement = statement };
    uint32_t errors = l->c.diags.errors;
    bool named = read_upstream_name(l, statement, &block.name);

    block.scope = bind_scope(l, l->bare, WEIR_IN_UPSTREAM, statement->children, statement_place(statement));
    if (!block.scope)
        return false;
    scope_check(&l->binder, block.scope);
    if (!named)
        return true;
    if (upstream_find(&l->house->upstreams, block.name))
        report_upstream_twice(l, &block);
    if (l->c.diags.errors == errors && !upstream_of_block(&l->house->upstreams, block.name, block.scope) &&
        l->c.diags.errors == errors)
        return no_memory(l, statement_place(statement));
    block.is_broken = l->c.diags.errors != errors;
    struct upstream_block *slot = vec_push(l->c.arena, &l->house->blocks, sizeof(*slot));
    if (!slot)
        return no_memory(l, statement_place(statement));
    *slot = block;
    return true;
}

bool house_bind_upstreams(struct loading *l)
{
    l->bare = scope_bind(&l->binder, NULL, WEIR_IN_TOP, NULL, (struct place){ 0 });
    if (!l->bare)
        return no_memory(l, (struct place){ 0 });
    for (const struct statement *s = l->c.tree->first; s; s = s->next)
        if (is_block(s, S("upstream")) && !bind_upstream(l, s))
            return false;
    return true;
}

/* -- one answer a scope -------------------------------------------------------------------------------------------- */

/* The index of the module whose directive of the same name answers requests; UINT32_MAX when it is none of these. */
static uint32_t serving_module(const struct loading *l, const struct statement *statement)
{
    bool clears = statement->arg_count == 1 && statement->args[0].quote == WORD_BARE &&
                  str_equal(statement->args[0].text, S("clear"));

    for (uint32_t i = 0; i < l->serving_count && !clears; i++)
        if (str_equal(modules.all[l->serving[i]]->name, statement->name.text))
            return l->serving[i];
    return UINT32_MAX;
}

static void report_two(struct loading *l, const struct statement *first, const struct statement *second)
{
    struct place place = statement_place(first);

    diag_error(&l->c.diags, statement_place(second),
               arena_printf(l->c.arena, "%.*s at %.*s:%u answers already", STR_ARG(first->name.text),
                            STR_ARG(place.file), place.line),
               "\"%.*s\" and \"%.*s\" cannot both answer in one scope", STR_ARG(second->name.text),
               STR_ARG(first->name.text));
}

/* What answers here replaces what would answer by inheritance. True: this scope says who. */
static bool settle_serving(struct loading *l, struct scope *scope)
{
    const struct statement *chosen = NULL;
    uint32_t chosen_module = UINT32_MAX;

    for (const struct statement *s = scope->statements; s; s = s->next) {
        uint32_t module = s->has_block ? UINT32_MAX : serving_module(l, s);
        if (module == UINT32_MAX)
            continue;
        if (chosen && module != chosen_module)
            report_two(l, chosen, s);
        else if (!chosen) {
            chosen = s;
            chosen_module = module;
        }
    }
    for (uint32_t i = 0; chosen && i < l->serving_count; i++)
        if (l->serving[i] != chosen_module)
            scope->state[l->serving[i]] |= SCOPE_INACTIVE;
    return chosen != NULL;
}

/* -- sites and routes ---------------------------------------------------------------------------------------------- */

static void set_redirect(const struct loading *l, struct scope *scope, bool redirects)
{
    uint8_t *state = &scope->state[l->site_owner];

    *state = (uint8_t)(redirects ? *state & ~SCOPE_INACTIVE : *state | SCOPE_INACTIVE);
}

static const struct plan *build_plan(struct loading *l, const struct scope *scope, const struct plan *outer)
{
    struct snapshot *snapshot = l->snapshot;
    const struct plan *plan = plan_build(&snapshot->order, scope, outer, snapshot->core_index, l->c.arena);

    if (!plan)
        no_memory(l, scope->place);
    return plan;
}

static bool bind_route(struct loading *l, struct scope *site_scope, struct routes *routes,
                       const struct statement *statement)
{
    struct route *route = route_read(&l->binder, site_scope, statement);
    struct scope *scope = bind_scope(l, site_scope, WEIR_IN_ROUTE, statement->children, statement_place(statement));

    if (!scope)
        return false;
    if (!route)
        return true; /* reported; what stands inside was looked at all the same */
    scope->site_names = site_scope->site_names;
    scope->user = route;
    route->scope = scope;
    struct route **slot = vec_push(l->c.arena, &routes->all, sizeof(*slot));
    if (!slot)
        return no_memory(l, statement_place(statement));
    *slot = route;
    return true;
}

static bool bind_routes(struct loading *l, struct scope *site_scope, const struct statement *statement,
                        struct routes **routes)
{
    *routes = NULL;
    for (const struct statement *s = statement->children; s; s = s->next) {
        if (!is_block(s, S("route")))
            continue;
        if (!*routes)
            *routes = arena_new(l->c.arena, struct routes);
        if (!*routes)
            return no_memory(l, statement_place(s));
        if (!bind_route(l, site_scope, *routes, s))
            return false;
    }
    return !*routes || routes_sort(*routes, l->c.arena, &l->c.diags) || no_memory(l, statement_place(statement));
}

static struct route *route_at(const struct routes *routes, uint32_t i)
{
    return *vec_at(&routes->all, struct route *, i);
}

static bool plan_site(struct loading *l, struct site *site)
{
    site->plan = build_plan(l, site->scope, l->snapshot->top_plan);
    for (uint32_t i = 0; site->plan && site->routes && i < site->routes->all.count; i++) {
        struct route *route = route_at(site->routes, i);
        route->plan = route->scope->statements ? build_plan(l, route->scope, site->plan) : site->plan;
        if (!route->plan)
            return false;
    }
    return site->plan != NULL;
}

/* Certificates are known: who listens where, and which plain requests are sent to https. */
static bool settle_listens(struct loading *l, struct site *site)
{
    struct listening listening = {
        .arena = l->c.arena,
        .diags = &l->c.diags,
        .site = site,
        .scope = site->scope,
        .owner_index = l->site_owner,
        .has_tls_module = l->has_tls_module,
    };
    bool redirects;

    site->listens = listen_table_add(&l->house->sites.listens, &listening, &redirects);
    set_redirect(l, site->scope, redirects);
    for (uint32_t i = 0; site->routes && i < site->routes->all.count; i++)
        set_redirect(l, route_at(site->routes, i)->scope, redirects);
    return !site->listens || sites_add_names(&l->house->sites, site, l->c.arena, &l->c.diags) ||
           no_memory(l, site->scope->place);
}

static void check_site(struct loading *l, struct scope *scope, const struct routes *routes)
{
    scope_check(&l->binder, scope);
    settle_serving(l, scope);
    for (uint32_t i = 0; routes && i < routes->all.count; i++) {
        struct route *route = route_at(routes, i);
        scope_check(&l->binder, route->scope);
        if (settle_serving(l, route->scope) && route->kind != ROUTE_REGEX)
            route->prefix = route->path;
    }
}

/* What has this name counts together, also over reloads; sites of the same name on other addresses too. */
static struct tally *tally_of(struct loading *l, str name)
{
    struct tally *known = strmap_find(&l->tallied, name);
    str rest = S("(others)");

    if (known)
        return known;
    if (l->house->tallies.count > TALLIED_SITES_MOST && !str_equal(name, rest))
        return tally_of(l, rest);
    str parts[] = { S("site "), name }, key = arena_concat(l->c.arena, parts, 2);
    struct site_tally *slot = key.p ? vec_push(l->c.arena, &l->house->tallies, sizeof(*slot)) : NULL;
    if (!slot)
        return NULL;
    *slot = (struct site_tally){ name, tally_get(key, SITE_COUNTERS) };
    if (slot->tally && !strmap_put(l->c.arena, &l->tallied, name, slot->tally))
        return NULL; /* the slot keeps it until the house goes */
    return slot->tally;
}

static bool bind_site(struct loading *l, const struct statement *statement)
{
    struct site *site = site_read(&l->house->sites, &l->binder, statement);
    struct scope *scope =
        bind_scope(l, l->snapshot->top, WEIR_IN_SITE, statement->children, statement_place(statement));
    struct routes *routes;

    if (!scope)
        return false;
    if (site) {
        site->scope = scope;
        site->tally = tally_of(l, site->name);
        scope->site_names = site->names;
        scope->user = site;
    }
    if (!bind_routes(l, scope, statement, &routes))
        return false;
    check_site(l, scope, routes);
    if (!site)
        return true;
    site->routes = routes;
    if (!settle_listens(l, site))
        return false;
    return l->c.diags.errors > 0 || plan_site(l, site);
}

bool house_bind_sites(struct loading *l)
{
    struct snapshot *snapshot = l->snapshot;

    snapshot->no_site = tally_of(l, S("-"));
    struct scope *top = bind_scope(l, NULL, WEIR_IN_TOP, l->c.tree->first, (struct place){ .file = l->options->path });

    if (!top)
        return false;
    snapshot->top = top;
    scope_check(&l->binder, top);
    set_redirect(l, top, false);
    snapshot->top_plan = build_plan(l, top, NULL);
    if (!snapshot->top_plan)
        return false;
    for (const struct statement *s = l->c.tree->first; s; s = s->next)
        if (is_block(s, S("site")) && !bind_site(l, s))
            return false;
    return true;
}

void house_drop(struct house *house, const struct schema *schema)
{
    for (uint32_t i = house->scopes.count; i-- > 0;)
        scope_drop(schema, *vec_at(&house->scopes, struct scope *, i));
    upstreams_drop(house->upstreams.all);
    for (uint32_t i = 0; i < house->tallies.count; i++)
        tally_release(vec_at(&house->tallies, struct site_tally, i)->tally);
}
