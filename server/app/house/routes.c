/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/house/routes.h"

#include "pipeline/request.h"

#include <stdlib.h>

/* -- reading ------------------------------------------------------------------------------------------------------- */

struct route_args {
    weir_str path, header;
    weir_table methods, clients;
};

static const struct weir_arg route_args[] = {
    { .name = "PATH", .type = WEIR_TYPE_STR, .offset = WEIR_FIELD(struct route_args, path, WEIR_C_STR) },
    { .name = "method",
      .type = WEIR_TYPE_STR,
      .flags = WEIR_ARG_OPTION | WEIR_ARG_LIST,
      .offset = offsetof(struct route_args, methods) },
    { .name = "header",
      .type = WEIR_TYPE_STR,
      .flags = WEIR_ARG_OPTION,
      .offset = WEIR_FIELD(struct route_args, header, WEIR_C_STR) },
    { .name = "client",
      .type = WEIR_TYPE_CIDR,
      .flags = WEIR_ARG_OPTION | WEIR_ARG_LIST,
      .offset = offsetof(struct route_args, clients) },
};

struct reading {
    struct binder *binder;
    const struct statement *statement;
    struct route *route;
    uint32_t skip; /* words before the path */
};

static const struct word *word_of(const struct reading *reading, str key)
{
    const struct statement *statement = reading->statement;
    uint32_t i = reading->skip;

    for (; i < statement->arg_count; i++)
        if (str_equal(statement->args[i].key, key))
            return &statement->args[i];
    return NULL;
}

__attribute__((format(printf, 4, 5))) static bool refuse(const struct reading *reading, const struct word *word,
                                                         str hint, const char *fmt, ...)
{
    const struct statement *statement = reading->statement;
    va_list ap;

    va_start(ap, fmt);
    diag_add(reading->binder->diags, SEVERITY_ERROR, word ? word_place(statement, word) : statement_place(statement),
             hint, fmt, ap);
    va_end(ap);
    return false;
}

static bool read_regex(const struct reading *reading, str pattern)
{
    const struct word *word = word_of(reading, STR_NONE);
    size_t offset;
    str why;

    reading->route->regex = regex_compile(pattern, reading->binder->arena, &why, &offset);
    if (reading->route->regex)
        return true;
    struct place place = word ? word_place(reading->statement, word) : statement_place(reading->statement);
    if (word && word->quote == WORD_BARE && offset <= place.length) {
        place.column += (uint32_t)offset;
        place.length = 1;
    }
    diag_error(reading->binder->diags, place, STR_NONE, "route: %.*s", STR_ARG(why));
    return false;
}

static bool read_path(const struct reading *reading, str path)
{
    const struct word *word = word_of(reading, STR_NONE);
    struct arena *arena = reading->binder->arena;
    str forwarded;

    if (path.n > 1 && (path.p[0] == '=' || path.p[0] == '~')) {
        str rest = str_trim(str_from(path, 1));
        return refuse(reading, word, arena_printf(arena, "write \"%c %.*s\"", path.p[0], STR_ARG(rest)),
                      "route: a path begins with '/'");
    }
    if (path.n == 0 || path.p[0] != '/')
        return refuse(reading, word, path.n && path.p[0] == '.' ? S("a pattern is written behind \"~\"") : STR_NONE,
                      "route: a path begins with '/'");
    if (str_find(path, '?') < path.n || str_find(path, '#') < path.n)
        return refuse(reading, word, STR_NONE, "route: a path has no query and no fragment");
    const char *why = uri_normalize_path(path, arena, &forwarded, &reading->route->path);
    if (why)
        return refuse(reading, word, STR_NONE, "route: %s", why);
    reading->route->path = arena_str(arena, reading->route->path);
    return reading->route->path.p || refuse(reading, word, STR_NONE, "no memory");
}

/* `method=` would be a condition that always holds. */
static bool names_one(const struct reading *reading, str key, const weir_table *values)
{
    const struct word *word = word_of(reading, key);

    if (!word || values->count)
        return true;
    return refuse(reading, word, STR_NONE, "route: nothing stands behind %.*s=", STR_ARG(key));
}

static bool read_methods(const struct reading *reading, const weir_table *methods)
{
    const weir_str *method = methods->base;

    for (uint32_t i = 0; i < methods->count; i++)
        if (!field_name_is_valid(method[i])) /* both are tokens */
            return refuse(reading, word_of(reading, S("method")), STR_NONE, "route: \"%.*s\" is no method",
                          STR_ARG(str_upto(method[i], 100)));
    reading->route->methods = *methods;
    return true;
}

static bool read_header(const struct reading *reading, str text)
{
    struct route *route = reading->route;
    size_t colon = str_find(text, ':');

    if (!word_of(reading, S("header")))
        return true;
    route->header = str_trim(str_upto(text, colon));
    route->value = str_trim(str_from(text, colon + 1));
    route->any_value = colon == text.n;
    if (field_name_is_valid(route->header))
        return true;
    return refuse(reading, word_of(reading, S("header")), S("header=NAME:VALUE, or header=NAME when any value will do"),
                  "route: \"%.*s\" is no header name", STR_ARG(str_upto(route->header, 100)));
}

static enum route_kind kind_of(const struct statement *statement)
{
    str first = statement->arg_count && statement->args[0].quote == WORD_BARE ? statement->args[0].text : STR_NONE;

    if (str_equal(first, S("=")))
        return ROUTE_EXACT;
    return str_equal(first, S("~")) ? ROUTE_REGEX : ROUTE_PREFIX;
}

struct route *route_read(struct binder *binder, const struct scope *site, const struct statement *statement)
{
    static const char *const signs[] = { [ROUTE_EXACT] = "= ", [ROUTE_REGEX] = "~ ", [ROUTE_PREFIX] = "" };
    struct route_args args = { 0 };
    struct route *route = arena_new(binder->arena, struct route);
    struct reading reading = { binder, statement, route, 0 };

    if (!route) {
        refuse(&reading, NULL, STR_NONE, "no memory");
        return NULL;
    }
    route->kind = kind_of(statement);
    route->statement = statement;
    reading.skip = route->kind == ROUTE_PREFIX ? 0 : 1;
    if (!word_of(&reading, STR_NONE)) {
        refuse(&reading, NULL, S("usage: route [=|~] PATH [method=A,B] [header=NAME:VALUE] [client=CIDR,...] { ... }"),
               "route: PATH is missing");
        return NULL;
    }
    if (!bind_args(binder, site, statement, reading.skip, (weir_table)WEIR_TABLE(route_args), &args))
        return NULL;
    route->text = arena_printf(binder->arena, "%s%.*s", signs[route->kind], STR_ARG(args.path));
    if (!route->text.p) {
        refuse(&reading, NULL, STR_NONE, "no memory");
        return NULL;
    }
    route->path = args.path;
    route->clients = args.clients;
    bool fine = names_one(&reading, S("method"), &args.methods);
    fine &= names_one(&reading, S("client"), &args.clients);
    fine &= route->kind == ROUTE_REGEX ? read_regex(&reading, args.path) : read_path(&reading, args.path);
    fine &= read_methods(&reading, &args.methods);
    fine &= read_header(&reading, args.header);
    return fine ? route : NULL;
}

/* -- sorting ------------------------------------------------------------------------------------------------------- */

static bool has_conditions(const struct route *route)
{
    return route->methods.count || route->clients.count || route->header.n;
}

static int by_path(const void *a, const void *b)
{
    return str_compare(((const struct route_path *)a)->path, ((const struct route_path *)b)->path);
}

static struct route_path *find_path(struct route_path *paths, uint32_t count, str path)
{
    struct route_path key = { .path = path };

    return count ? bsearch(&key, paths, count, sizeof(*paths), by_path) : NULL;
}

/* Behind the others with conditions, but before the one without. */
static void join_path(struct route_path *at, struct route *route, struct diags *diags, struct arena *arena)
{
    struct route **link = &at->first;

    while (*link && has_conditions(*link))
        link = &(*link)->next;
    if (*link && !has_conditions(route)) {
        struct place first = statement_place((*link)->statement);
        diag_error(diags, statement_place(route->statement),
                   arena_printf(arena, "first at %.*s:%u", STR_ARG(first.file), first.line),
                   "route %.*s stands twice in this site", STR_ARG(route->text));
        return;
    }
    route->next = *link;
    *link = route;
}

static struct route_path *sort_kind(const struct routes *routes, enum route_kind kind, uint32_t *count,
                                    struct arena *arena, struct diags *diags)
{
    struct route_path *paths = arena_array(arena, struct route_path, routes->all.count + 1);
    uint32_t n = 0, distinct = 0;

    if (!paths)
        return NULL;
    for (uint32_t i = 0; i < routes->all.count; i++) {
        const struct route *route = *vec_at(&routes->all, struct route *, i);
        if (route->kind == kind)
            paths[n++].path = route->path;
    }
    if (n)
        qsort(paths, n, sizeof(*paths), by_path);
    for (uint32_t i = 0; i < n; i++)
        if (distinct == 0 || !str_equal(paths[distinct - 1].path, paths[i].path))
            paths[distinct++] = paths[i];
    for (uint32_t i = 0; i < routes->all.count; i++) {
        struct route *route = *vec_at(&routes->all, struct route *, i);
        if (route->kind == kind)
            join_path(find_path(paths, distinct, route->path), route, diags, arena);
    }
    *count = distinct;
    return paths;
}

/* In sorted order the prefixes of a path stand before it, nested: those still open form a chain. */
static void link_prefixes(struct route_path *prefixes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t open = i ? i - 1 : ROUTE_NONE;
        while (open != ROUTE_NONE && !str_has_prefix(prefixes[i].path, prefixes[open].path))
            open = prefixes[open].shorter;
        prefixes[i].shorter = open;
    }
}

bool routes_sort(struct routes *routes, struct arena *arena, struct diags *diags)
{
    routes->exact = sort_kind(routes, ROUTE_EXACT, &routes->exact_count, arena, diags);
    routes->prefixes = sort_kind(routes, ROUTE_PREFIX, &routes->prefix_count, arena, diags);
    routes->regexes = arena_array(arena, struct route *, routes->all.count + 1);
    if (!routes->exact || !routes->prefixes || !routes->regexes)
        return false;
    link_prefixes(routes->prefixes, routes->prefix_count);
    for (uint32_t i = 0; i < routes->all.count; i++) {
        struct route *route = *vec_at(&routes->all, struct route *, i);
        if (route->kind == ROUTE_REGEX)
            routes->regexes[routes->regex_count++] = route;
    }
    return true;
}

/* -- choosing ------------------------------------------------------------------------------------------------------ */

static bool method_holds(const struct route *route, const struct weir_req *r)
{
    const weir_str *method = route->methods.base;

    for (uint32_t i = 0; i < route->methods.count; i++)
        if (str_equal(method[i], r->method))
            return true;
    return route->methods.count == 0;
}

static bool header_holds(const struct route *route, const struct weir_req *r)
{
    if (route->header.n == 0)
        return true;
    for (uint32_t i = 0; i < r->fields.count; i++) {
        const struct field *field = &r->fields.items[i];
        if (str_equal_nocase(field->name, route->header) && (route->any_value || str_equal(field->value, route->value)))
            return true;
    }
    return false;
}

static bool client_holds(const struct route *route, const struct weir_req *r)
{
    const struct weir_cidr *net = route->clients.base;

    for (uint32_t i = 0; i < route->clients.count; i++)
        if (cidr_contains(&net[i], r->client))
            return true;
    return route->clients.count == 0;
}

static bool conditions_hold(const struct route *route, const struct weir_req *r)
{
    return method_holds(route, r) && header_holds(route, r) && client_holds(route, r);
}

static const struct route *first_that_holds(const struct route *route, const struct weir_req *r)
{
    while (route && !conditions_hold(route, r))
        route = route->next;
    return route;
}

/* The last path that is not behind the one asked for; ROUTE_NONE when all are. */
static uint32_t find_last_upto(const struct route_path *paths, uint32_t count, str path)
{
    uint32_t from = 0, to = count;

    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (str_compare(paths[middle].path, path) <= 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from ? from - 1 : ROUTE_NONE;
}

static const struct route *choose_exact(const struct routes *routes, const struct weir_req *r)
{
    uint32_t i = find_last_upto(routes->exact, routes->exact_count, r->uri.match);

    if (i == ROUTE_NONE || !str_equal(routes->exact[i].path, r->uri.match))
        return NULL;
    return first_that_holds(routes->exact[i].first, r);
}

static const struct route *choose_regex(const struct routes *routes, const struct weir_req *r, bool *gave_up)
{
    for (uint32_t i = 0; i < routes->regex_count; i++) {
        const struct route *route = routes->regexes[i];
        if (!conditions_hold(route, r))
            continue;
        enum regex_answer answer = regex_match(route->regex, r->uri.match);
        if (answer == REGEX_YES)
            return route;
        if (answer == REGEX_GAVE_UP) {
            *gave_up = true;
            return NULL;
        }
    }
    return NULL;
}

static const struct route *choose_prefix(const struct routes *routes, const struct weir_req *r)
{
    uint32_t i = find_last_upto(routes->prefixes, routes->prefix_count, r->uri.match);

    for (; i != ROUTE_NONE; i = routes->prefixes[i].shorter) {
        if (!str_has_prefix(r->uri.match, routes->prefixes[i].path))
            continue;
        const struct route *route = first_that_holds(routes->prefixes[i].first, r);
        if (route)
            return route;
    }
    return NULL;
}

const struct route *route_choose(const struct routes *routes, const struct weir_req *r, bool *gave_up)
{
    const struct route *route = choose_exact(routes, r);

    *gave_up = false;
    if (!route)
        route = choose_regex(routes, r, gave_up);
    if (!route && !*gave_up)
        route = choose_prefix(routes, r);
    return route;
}

/* -- weir explain -------------------------------------------------------------------------------------------------- */

static const char *failed_condition(const struct route *route, const struct weir_req *r)
{
    return !method_holds(route, r) ? "method" : !header_holds(route, r) ? "header" : !client_holds(route, r) ? "client"
                                                                                                              : NULL;
}

struct passing {
    const struct weir_req *r;
    const struct route *chosen;
    void (*tell)(const struct route *route, const char *why, void *arg);
    void *arg;
};

/* True: the chosen one is reached. */
static bool pass(const struct passing *passing, const struct route *route)
{
    if (route == passing->chosen)
        return true;
    const char *why = failed_condition(route, passing->r);
    if (why)
        passing->tell(route, why, passing->arg);
    return false;
}

static bool pass_all(const struct passing *passing, const struct route *route)
{
    for (; route; route = route->next)
        if (pass(passing, route))
            return true;
    return false;
}

void routes_passed_over(const struct routes *routes, const struct weir_req *r, const struct route *chosen,
                        void (*tell)(const struct route *route, const char *why, void *arg), void *arg)
{
    const struct passing passing = { r, chosen, tell, arg };
    uint32_t i = find_last_upto(routes->exact, routes->exact_count, r->uri.match);

    if (i != ROUTE_NONE && str_equal(routes->exact[i].path, r->uri.match) && pass_all(&passing, routes->exact[i].first))
        return;
    for (i = 0; i < routes->regex_count; i++)
        if (regex_match(routes->regexes[i]->regex, r->uri.match) == REGEX_YES && pass(&passing, routes->regexes[i]))
            return;
    i = find_last_upto(routes->prefixes, routes->prefix_count, r->uri.match);
    for (; i != ROUTE_NONE; i = routes->prefixes[i].shorter)
        if (str_has_prefix(r->uri.match, routes->prefixes[i].path) && pass_all(&passing, routes->prefixes[i].first))
            return;
}
