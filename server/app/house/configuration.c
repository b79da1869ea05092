/* SPDX-License-Identifier: BSD-2-Clause */
/* The order of steps matters for users: everything that can still be looked at after a mistake is, so that one run
 * shows them all. */
#include "app/house/configuration.h"

#include "app/house/builtin.h"
#include "app/house/loader.h"
#include "app/house/loading.h"
#include "pipeline/quarantine.h"
#include "pipeline/session.h"
#include "pipeline/variables.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <unistd.h>

enum { CONFIGURATION_CHUNK = 256 * 1024 };

static bool no_memory(struct loading *l)
{
    diag_error(&l->c.diags, (struct place){ .file = l->options->path }, STR_NONE, "no memory");
    return false;
}

/* -- the text ------------------------------------------------------------------------------------------------------ */

static bool read_tree(struct loading *l)
{
    struct tree_reader reader = {
        .read = bindhost_read_config, .list = l->options->list_files ? bindhost_list_config : NULL, .arg = l
    };

    l->c.tree = arena_new(l->c.arena, struct tree);
    if (!l->c.tree)
        return no_memory(l);
    struct tree_reader *read_by = l->options->open_file ? &reader : NULL;
    bool fine = tree_load(l->c.tree, l->options->path, read_by, l->c.arena, &l->c.diags);
    if (!fine && l->c.diags.errors == 0)
        return no_memory(l);
    for (const struct source *source = l->c.tree->sources; source; source = source->next)
        if (!bindhost_note_file(l, source->path, false))
            return no_memory(l);
    return l->c.tree->first || l->c.diags.errors == 0; /* else there is nothing to be looked at */
}

/* -- modules ------------------------------------------------------------------------------------------------------- */

static bool is_bare_name(str name)
{
    return str_find(name, '/') == name.n;
}

static void report_unloadable(struct loading *l, const struct module_statement *module, str why)
{
    str folder = l->process.values.modules_dir, hint = STR_NONE;
    str path = arena_printf(l->c.arena, "%.*s/%.*s.so", STR_ARG(folder), STR_ARG(module->name));

    if (is_bare_name(module->name) && path.p && access(path.p, F_OK) != 0)
        hint = loader_hint(module->name, folder, l->c.arena);
    diag_error(&l->c.diags, word_place(module->statement, &module->statement->args[0]), hint, "module: %.*s",
               STR_ARG(why));
}

/* Fills the house's list of modules: built-in ones and those named, in the order of their numbers. */
static void load_modules(struct loading *l)
{
    const struct module_statement *named = l->process.modules.base;
    bool wanted[MODULES_MOST] = { 0 };
    str why;

    for (uint32_t i = 0; i < l->process.modules.count; i++) {
        weir_mod *mod = loader_load(named[i].name, l->process.values.modules_dir, l->c.arena, &why);
        if (!mod) {
            report_unloadable(l, &named[i], why);
            continue;
        }
        wanted[mod->index] = true;
        l->module_statement[mod->index] = named[i].statement;
    }
    for (uint32_t i = 0; i < modules.count; i++)
        if (wanted[i] || !modules.all[i]->path.n)
            l->house->mods[l->house->mod_count++] = modules.all[i];
}

static struct place place_of_module(const struct loading *l, const weir_mod *mod)
{
    const struct statement *statement = l->module_statement[mod->index];

    return statement ? word_place(statement, &statement->args[0]) : (struct place){ .file = S("(built in)") };
}

static bool register_blocks(struct schema *schema)
{
    static const char route_words[] = "[=|~] PATH [method=A,B] [header=NAME:VALUE] [client=CIDR,...]";
    const struct schema_block blocks[] = {
        { S("site"), WEIR_IN_TOP, WEIR_IN_SITE, "NAME...",
          "a virtual host: exact names, *.suffix, or _ for any other name" },
        { S("route"), WEIR_IN_SITE, WEIR_IN_ROUTE, route_words,
          "part of a site: an exact path, a pattern (in written order), or the longest prefix" },
        { S("upstream"), WEIR_IN_TOP, WEIR_IN_UPSTREAM, "NAME", "a group of servers to proxy to" },
    };

    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
        if (!schema_add_block(schema, blocks[i]))
            return false;
    return true;
}

static bool register_owners(struct loading *l)
{
    l->snapshot->schema = arena_new(l->c.arena, struct schema);
    if (!l->snapshot->schema)
        return no_memory(l);
    schema_init(l->snapshot->schema, l->c.arena);
    if (!register_blocks(l->snapshot->schema))
        return no_memory(l);
    for (uint32_t i = 0; i < l->house->mod_count; i++) {
        const weir_mod *mod = l->house->mods[i];
        const char *why = schema_add(l->snapshot->schema, &mod->owner);
        if (why && str_equal(str_of(why), S("out of memory")))
            return no_memory(l); /* the register may not be whole */
        if (!why)
            continue;
        diag_error(&l->c.diags, place_of_module(l, mod), STR_NONE, "module: %s", why);
        return false; /* some of its directives are in the register, and nobody has room for what they say */
    }
    return true;
}

static bool register_variables(struct loading *l)
{
    l->snapshot->variables = arena_new(l->c.arena, struct variables);
    if (!l->snapshot->variables)
        return no_memory(l);
    variables_init(l->snapshot->variables, l->c.arena);
    const char *why = variables_add_builtin(l->snapshot->variables);
    if (why) {
        diag_error(&l->c.diags, (struct place){ .file = S("(built in)") }, STR_NONE, "variables: %s", why);
        return false;
    }
    for (uint32_t i = 0; i < l->house->mod_count; i++) {
        why = variables_add_module(l->snapshot->variables, l->house->mods[i]);
        if (!why)
            continue;
        diag_error(&l->c.diags, place_of_module(l, l->house->mods[i]), STR_NONE, "module: %s", why);
        return false;
    }
    l->host.variables = l->snapshot->variables;
    return true;
}

static bool has_unknown(const struct schema *schema, const struct statement *statements)
{
    for (const struct statement *s = statements; s; s = s->next) {
        if (!schema_find(schema, s->name.text, 0) && !schema_find_block(schema, s->name.text))
            return true;
        if (s->children && has_unknown(schema, s->children))
            return true;
    }
    return false;
}

/* -- what other steps need to know --------------------------------------------------------------------------------- */

static void find_parts(struct loading *l)
{
    static const char *const serving[] = { "proxy", "respond", "redirect", "health", "metrics", "files" };
    struct order *order = &l->snapshot->order;

    for (size_t i = 0; i < sizeof(serving) / sizeof(serving[0]); i++)
        for (uint32_t k = 0; k < l->house->mod_count; k++)
            if (str_equal(l->house->mods[k]->name, str_of(serving[i])))
                l->serving[l->serving_count++] = l->house->mods[k]->index;
    l->site_owner = module_find(S("site"))->index;
    l->snapshot->core_index = module_find(S("core"))->index;
    l->snapshot->health_index = module_find(S("health"))->index;
    for (uint32_t i = 0; i < order->count[STAGE_TRANSPORT]; i++) {
        const struct ordered_hook *hook = &order->at[STAGE_TRANSPORT][i];
        if (!str_equal(str_of(hook->hook->transport->name), S("tls")))
            continue;
        l->has_tls_module = true;
        l->snapshot->tls = hook->mod->quarantine ? &quarantine_transport : hook->hook->transport;
        l->house->upstreams.tls = l->snapshot->tls;
        l->house->upstreams.tls_mod = (weir_mod *)(uintptr_t)hook->mod;
    }
}

static void prepare_binding(struct loading *l)
{
    unsigned workers = l->options->worker_count;

    l->binder = (struct binder){
        .arena = l->c.arena,
        .diags = &l->c.diags,
        .schema = l->snapshot->schema,
        .host = &l->host,
        .owner_count = modules.count,
    };
    l->house->upstreams.binder = &l->binder;
    l->house->upstreams.order = &l->snapshot->order;
    l->house->upstreams.worker_count = workers ? workers : l->process.values.workers;
    l->house->upstreams.owner_index = module_find(S("upstream"))->index;
}

/* -- the snapshot -------------------------------------------------------------------------------------------------- */

static bool choose(const struct snapshot *snapshot, struct weir_req *r)
{
    return sites_choose(&((const struct house *)snapshot->house)->sites, r);
}

static void tell_choice(const struct snapshot *snapshot, const struct weir_req *r, bool is_found,
                        struct choice *choice)
{
    sites_tell_choice(&((const struct house *)snapshot->house)->sites, r, is_found, choice);
}

static const struct scope *tls_site(const struct snapshot *snapshot, const struct listen_point *point, str server_name)
{
    return sites_tls(&((const struct house *)snapshot->house)->sites, point, server_name);
}

static bool is_tls(const struct snapshot *snapshot, const struct listen_point *point)
{
    const struct listen_use *use = listen_use_of(&((const struct house *)snapshot->house)->sites.listens, point);

    return use && use->is_tls;
}

static bool sends_proxy_header(const struct snapshot *snapshot, const struct listen_point *point,
                               const struct addr *peer)
{
    const struct listen_use *use = listen_use_of(&((const struct house *)snapshot->house)->sites.listens, point);

    return use && use->balancers && listen_balancers_have(use->balancers, peer);
}

static void leave(struct snapshot *snapshot)
{
    upstreams_leave(((const struct house *)snapshot->house)->upstreams.all);
}

static void drop(struct snapshot *snapshot)
{
    house_drop(snapshot->house, snapshot->schema);
    arena_destroy(snapshot->arena);
#ifdef __GLIBC__
    malloc_trim(0); /* a house of 10,000 sites is megabytes that only the next reload would need again */
#endif
}

static bool create_parts(struct loading *l)
{
    static uint64_t generation;

    l->snapshot = arena_new(l->c.arena, struct snapshot);
    l->house = arena_new(l->c.arena, struct house);
    if (!l->snapshot || !l->house)
        return no_memory(l);
    sites_init(&l->house->sites);
    *l->snapshot = (struct snapshot){
        .arena = l->c.arena,
        .generation = ++generation,
        .house = l->house,
        .choose = choose,
        .tell_choice = tell_choice,
        .tls_site = tls_site,
        .is_tls = is_tls,
        .sends_proxy_header = sends_proxy_header,
        .leave = leave,
        .drop = drop,
    };
    return true;
}

static bool finish(struct loading *l)
{
    str log = l->process.values.error_log;

    if (l->process.has_errors && l->c.diags.errors == 0)
        return no_memory(l); /* bound twice, and only once without a mistake */
    if (log.n && log.p[0] == '/' && !bindhost_note_file(l, log, true))
        return no_memory(l);
    if (!listen_table_list(&l->house->sites.listens, l->c.arena, &l->c.listens, &l->c.listen_count))
        return no_memory(l);
    l->snapshot->is_traced = l->snapshot->top_plan->core->why_ring > 0;
    l->c.files = l->files.items;
    l->c.file_count = l->files.count;
    return true;
}

static bool load(struct loading *l)
{
    if (!create_parts(l) || !read_tree(l))
        return false;
    if (!settings_read(l->c.tree, l->c.arena, &l->process))
        return no_memory(l);
    l->c.settings = l->process.values;
    load_modules(l);
    if (!register_owners(l) || !register_variables(l))
        return false;
    if (has_unknown(l->snapshot->schema, l->c.tree->first))
        loader_know(l->snapshot->schema, l->process.values.modules_dir, l->c.arena);
    order_compute(&l->snapshot->order, l->house->mods, l->house->mod_count, l->process.wishes, l->process.wish_count,
                  l->c.arena, &l->c.diags);
    find_parts(l);
    prepare_binding(l);
    return house_bind_upstreams(l) && house_bind_sites(l) && finish(l);
}

void configuration_each_site(const struct configuration *configuration,
                             void (*look)(str name, const struct tally *tally, void *arg), void *arg)
{
    const struct vec *tallies = &loading_of(configuration)->house->tallies;

    for (uint32_t i = 0; i < tallies->count; i++) {
        const struct site_tally *site = vec_at(tallies, struct site_tally, i);
        look(site->name, site->tally, arg);
    }
}

struct weir_upstream *configuration_upstreams(const struct configuration *configuration)
{
    return loading_of(configuration)->house->upstreams.all;
}

struct configuration *configuration_load(const struct configuration_options *options)
{
    struct arena *arena = arena_create(CONFIGURATION_CHUNK, 0);
    struct loading *l = arena ? arena_new(arena, struct loading) : NULL;
    struct configuration_options *own = l ? arena_dup(arena, options, sizeof(*options)) : NULL;

    if (!own) {
        arena_destroy(arena);
        return NULL;
    }
    loader_register_builtin();
    l->options = own;
    l->c.arena = arena;
    diags_init(&l->c.diags, arena);
    bindhost_init(l);
    if (load(l) && l->c.diags.errors == 0)
        l->c.snapshot = l->snapshot;
    else if (l->c.diags.errors == 0)
        no_memory(l);
    return &l->c;
}

void configuration_free(struct configuration *configuration)
{
    struct loading *l = loading_of(configuration);

    if (!l)
        return;
    if (l->snapshot && l->house && l->snapshot->schema)
        house_drop(l->house, l->snapshot->schema);
    arena_destroy(l->c.arena);
}

/* -- for the command line ------------------------------------------------------------------------------------------ */

str configuration_find_control(str path, struct arena *arena)
{
    struct diags unheard;
    struct tree tree = { 0 };
    struct process_settings process = { 0 };

    loader_register_builtin();
    diags_init(&unheard, arena);
    tree_load(&tree, path, NULL, arena, &unheard);
    if (!settings_read(&tree, arena, &process))
        return STR_NONE;
    return process.values.control;
}
