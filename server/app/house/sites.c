/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/house/sites.h"

#include "http/uri.h"
#include "pipeline/session.h"

enum { NAME_MOST = 255 };

struct site_name { /* one name of one site; the same name elsewhere is chained */
    struct site_name *next;
    const struct site *site;
    const struct listen_set *points;
};

void sites_init(struct sites *sites)
{
    *sites = (struct sites){ .end = &sites->first };
}

/* -- names of a site ----------------------------------------------------------------------------------------------- */

static bool refuse(struct binder *binder, const struct statement *statement, uint32_t word, str hint, const char *why)
{
    const struct word *name = &statement->args[word];

    diag_error(binder->diags, word_place(statement, name), hint, "site name \"%.*s\": %s",
               STR_ARG(str_upto(name->text, NAME_MOST)), why);
    return false;
}

static bool read_name(struct binder *binder, const struct statement *statement, uint32_t word, str *name)
{
    str text = statement->args[word].text, host;
    bool wildcard = str_has_prefix(text, S("*."));
    uint16_t port;

    if (str_equal(text, S("_"))) {
        *name = S("_");
        return true;
    }
    if (str_equal(text, S("*")))
        return refuse(binder, statement, word, S("\"_\" stands for any other name"),
                      "a star stands before a suffix, as in *.example.org");
    if (str_find_str(text, S("://")) < text.n)
        return refuse(binder, statement, word, S("a name alone: example.org"), "it is an URL");
    const char *why = authority_parse(str_from(text, wildcard ? 2 : 0), binder->arena, &host, &port);
    if (why)
        return refuse(binder, statement, word, STR_NONE, why);
    if (str_find(text, ':') < text.n && text.p[0] != '[')
        return refuse(binder, statement, word, S("ports are said with listen"), "a name has no port");
    if (wildcard && host.p[0] == '[')
        return refuse(binder, statement, word, STR_NONE, "an address has no suffix");
    str parts[] = { wildcard ? S("*.") : STR_NONE, host };
    *name = arena_concat(binder->arena, parts, 2);
    return name->p || refuse(binder, statement, word, STR_NONE, "no memory");
}

struct site *site_read(struct sites *sites, struct binder *binder, const struct statement *statement)
{
    struct site *site = arena_new(binder->arena, struct site);
    weir_str *names = arena_array(binder->arena, weir_str, statement->arg_count + 1);
    bool fine = true;

    if (!site || !names) {
        diag_error(binder->diags, statement_place(statement), STR_NONE, "no memory");
        return NULL;
    }
    if (statement->arg_count == 0) {
        diag_error(binder->diags, statement_place(statement), S("usage: site NAME... { ... }"),
                   "site: NAME is missing");
        return NULL;
    }
    for (uint32_t i = 0; i < statement->arg_count; i++)
        fine &= read_name(binder, statement, i, &names[i]);
    site->names = (weir_table){ names, statement->arg_count, sizeof(*names) };
    site->name = names[0];
    site->statement = statement;
    if (!fine)
        return NULL;
    *sites->end = site;
    sites->end = &site->next;
    sites->count++;
    return site;
}

/* -- the tables ---------------------------------------------------------------------------------------------------- */

static uint32_t find_shared(const struct listen_set *a, const struct listen_set *b)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (listen_set_has(b, a->ids[i]))
            return a->ids[i];
    return UINT32_MAX;
}

/* Whether the name is free on all points of the site; reports where it is not. */
static bool is_free(const struct sites *sites, const struct site_name *others, const struct site *site, uint32_t word,
                    struct arena *arena, struct diags *diags)
{
    for (; others; others = others->next) {
        uint32_t id = find_shared(site->listens, others->points);
        if (id == UINT32_MAX)
            continue;
        struct place first = statement_place(others->site->statement);
        diag_error(diags, word_place(site->statement, &site->statement->args[word]),
                   arena_printf(arena, "first at %.*s:%u", STR_ARG(first.file), first.line),
                   "site name \"%.*s\" stands twice on %.*s", STR_ARG(((const weir_str *)site->names.base)[word]),
                   STR_ARG(vec_at(&sites->listens.uses, struct listen_use, id)->point->key));
        return false;
    }
    return true;
}

static bool add_name(struct sites *sites, const struct site *site, uint32_t word, struct arena *arena,
                     struct diags *diags)
{
    str name = ((const weir_str *)site->names.base)[word];
    bool rest = str_equal(name, S("_")), wildcard = name.p[0] == '*';
    struct strmap *map = wildcard ? &sites->suffixes : &sites->exact;
    str key = wildcard ? str_from(name, 1) : name;
    struct site_name *known = rest ? sites->rest : strmap_find(map, key);

    if (!is_free(sites, known, site, word, arena, diags))
        return true;
    struct site_name *entry = arena_new(arena, struct site_name);
    if (!entry)
        return false;
    *entry = (struct site_name){ NULL, site, site->listens };
    if (wildcard && key.n > sites->longest_suffix)
        sites->longest_suffix = key.n;
    if (known) {
        entry->next = known->next;
        known->next = entry;
        return true;
    }
    if (rest) {
        sites->rest = entry;
        return true;
    }
    return strmap_put(arena, map, key, entry);
}

bool sites_add_names(struct sites *sites, const struct site *site, struct arena *arena, struct diags *diags)
{
    bool fine = true;

    for (uint32_t i = 0; i < site->names.count; i++)
        fine &= add_name(sites, site, i, arena, diags);
    return fine;
}

static const struct site *on_point(const struct site_name *name, uint32_t id)
{
    for (; name; name = name->next)
        if (listen_set_has(name->points, id))
            return name->site;
    return NULL;
}

static const struct site *find_wildcard(const struct sites *sites, uint32_t id, str host)
{
    if (sites->suffixes.count == 0 || host.n < 2)
        return NULL;
    for (size_t i = host.n > sites->longest_suffix ? host.n - sites->longest_suffix : 1; i < host.n; i++) {
        if (host.p[i] != '.')
            continue;
        const struct site *site = on_point(strmap_find(&sites->suffixes, str_from(host, i)), id);
        if (site)
            return site;
    }
    return NULL;
}

const struct site *site_find(const struct sites *sites, const struct listen_point *point, str host)
{
    const struct site *site = NULL;

    if (host.n)
        site = on_point(strmap_find(&sites->exact, host), point->id);
    if (!site && host.n)
        site = find_wildcard(sites, point->id, host);
    return site ? site : on_point(sites->rest, point->id);
}

/* -- what the snapshot is asked ------------------------------------------------------------------------------------ */

static void take_site(struct weir_req *r, const struct site *site)
{
    r->site = site->name;
    r->site_of = site;
    r->tally = site->tally;
    r->plan = site->plan;
    r->route = STR_NONE;
    r->route_of = site; /* it has been chosen, even where no route is */
    r->route_prefix = STR_NONE;
}

bool sites_choose(const struct sites *sites, struct weir_req *r)
{
    const struct site *site = site_find(sites, r->conn->point, r->host);
    bool gave_up;

    if (!site) {
        r->site = r->route = r->route_prefix = STR_NONE;
        r->site_of = r->route_of = NULL;
        r->tally = r->snapshot->no_site;
        r->plan = r->snapshot->top_plan;
        r->status = 404;
        r->refuse_reason = "no site of this name";
        return false;
    }
    take_site(r, site);
    const struct route *route = site->routes ? route_choose(site->routes, r, &gave_up) : NULL;
    if (route) {
        r->route = route->text;
        r->route_of = route;
        r->route_prefix = route->prefix;
        r->plan = route->plan;
        return true;
    }
    if (!site->routes || !gave_up)
        return true;
    r->status = 500;
    r->refuse_reason = "a route's pattern gave up on this path";
    return false;
}

static const char *why_site(const struct site *site, str host)
{
    const weir_str *name = site->names.base;
    const char *why = "_, any other name";

    for (uint32_t i = 0; i < site->names.count; i++) {
        if (host.n && str_equal(name[i], host))
            return "exact name";
        if (name[i].p[0] == '*' && str_has_suffix(host, str_from(name[i], 1)) && host.n >= name[i].n)
            why = "wildcard";
    }
    return why;
}

static struct choice_part part_of(str name, const char *why, const struct statement *statement)
{
    return (struct choice_part){ name, why, statement->source->path, statement->name.line };
}

void sites_tell_choice(const struct sites *sites, const struct weir_req *r, bool is_found, struct choice *choice)
{
    static const char *const kinds[] = { [ROUTE_EXACT] = "exact path", [ROUTE_REGEX] = "pattern",
                                         [ROUTE_PREFIX] = "longest prefix" };
    const struct listen_use *use = listen_use_of(&sites->listens, r->conn->point);
    const struct site *site = r->site_of;
    const struct route *route = is_found && site && r->route_of != site ? r->route_of : NULL;

    *choice = (struct choice){ 0 };
    choice->listener.name = r->conn->point->key;
    if (use && use->point) {
        choice->listener.file = use->place.file;
        choice->listener.line = use->place.line;
    }
    if (!site) {
        choice->site.why = "no site of this name here, and no site _";
        return;
    }
    choice->site = part_of(site->name, why_site(site, r->host), site->statement);
    if (route)
        choice->route = part_of(route->text, kinds[route->kind], route->statement);
    else
        choice->route = part_of(STR_NONE,
                                is_found ? site->routes ? "no route matches: the site itself" : "the site has no routes"
                                         : r->refuse_reason ? r->refuse_reason : "refused",
                                site->statement);
}

const struct scope *sites_tls(const struct sites *sites, const struct listen_point *point, str server_name)
{
    char lower[NAME_MOST];

    if (server_name.n == 0) {
        const struct site *site = on_point(sites->rest, point->id);
        const struct listen_use *use = listen_use_of(&sites->listens, point);
        if (!site && use && use->tls_sites == 1)
            site = use->one;
        return site ? site->scope : NULL;
    }
    if (server_name.n > sizeof(lower))
        return NULL;
    for (size_t i = 0; i < server_name.n; i++)
        lower[i] = char_lower(server_name.p[i]);
    size_t n = lower[server_name.n - 1] == '.' ? server_name.n - 1 : server_name.n;
    const struct site *site = site_find(sites, point, (str){ lower, n });
    return site ? site->scope : NULL;
}
