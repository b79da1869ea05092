/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "app/house/settings.h"

#include "app/house/builtin.h"
#include "base/log.h"
#include "config/args.h"
#include "loop/resolver.h"
#include "net/addr.h"

#include <grp.h>
#include <pwd.h>
#include <sched.h>

struct wish_record {
    weir_str stage;
    weir_table names; /* of weir_str */
    const struct statement *statement;
};

struct process_conf {
    weir_str workers, user, group;
    weir_str state_dir, modules_dir, control, error_log;
    uint32_t error_level;
    uint64_t shutdown_timeout;
    weir_table modules; /* of struct module_statement */
    weir_table resolvers; /* of weir_str */
    str resolver_text;  /* as resolver_use wants it */
    weir_table wishes;  /* of struct wish_record */
};

/* -- what a statement may say -------------------------------------------------------------------------------------- */

__attribute__((format(printf, 4, 5))) static int refuse(weir_conf *c, uint32_t word, str hint, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    diag_add(c->binder->diags, SEVERITY_ERROR, word_place(c->statement, &c->statement->args[word]), hint, fmt, ap);
    va_end(ap);
    c->failed = true;
    return -1;
}

static bool read_workers(str text, uint64_t *count)
{
    return str_to_u64(text, count) && *count >= 1 && *count <= WORKERS_MOST;
}

static int set_workers(weir_conf *c, const struct weir_directive *directive, void *to)
{
    const struct process_conf *conf = to;
    uint64_t count;

    (void)directive;
    if (str_equal(conf->workers, S("auto")) || read_workers(conf->workers, &count))
        return 0;
    return refuse(c, 0, S("auto, or 1 to 256"), "workers: \"%.*s\" is no number of threads",
                  STR_ARG(str_upto(conf->workers, 100)));
}

static int set_user(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct process_conf *conf = to;

    (void)directive;
    if (c->statement->arg_count < 2)
        conf->group = STR_NONE;
    if (!getpwnam(conf->user.p))
        return refuse(c, 0, STR_NONE, "user: \"%.*s\" is not known on this machine",
                      STR_ARG(str_upto(conf->user, 100)));
    if (conf->group.n && !getgrnam(conf->group.p))
        return refuse(c, 1, STR_NONE, "user: group \"%.*s\" is not known on this machine",
                      STR_ARG(str_upto(conf->group, 100)));
    return 0;
}

/* "ADDR" or "ADDR:PORT" of each, joined by commas. */
static int set_resolver(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct process_conf *conf = to;
    const weir_str *names = conf->resolvers.base;
    str all = STR_NONE;

    (void)directive;
    for (uint32_t i = 0; i < conf->resolvers.count; i++) {
        struct addr addr;
        char room[ADDR_TEXT];
        if (!addr_parse(names[i], &addr) && !addr_parse_ip(names[i], RESOLVER_PORT, &addr))
            return refuse(c, i, S("127.0.0.1, 127.0.0.1:5353 or [::1]:53"), "resolver: \"%.*s\" is no address",
                          STR_ARG(str_upto(names[i], 100)));
        if (addr_is_unix(&addr))
            return refuse(c, i, S("127.0.0.1, 127.0.0.1:5353 or [::1]:53"), "resolver: a socket is asked by no DNS");
        str parts[] = { all, all.n ? S(",") : S(""), addr_text(&addr, room) };
        all = arena_concat(c->binder->arena, parts, 3);
        if (!all.p)
            return refuse(c, i, STR_NONE, "no memory");
    }
    if (all.n >= RESOLVER_TEXT)
        return refuse(c, 0, STR_NONE, "resolver: too many");
    conf->resolver_text = all;
    return 0;
}

/* A word that is one of the special ones stays, any other is a path beside the file that says it. */
static int make_path(weir_conf *c, str *value, str word, str other)
{
    if (str_equal(*value, word) || (other.n && str_equal(*value, other)))
        return 0;
    if (value->n == 0)
        return refuse(c, 0, STR_NONE, "%.*s: the path is empty", STR_ARG(c->statement->name.text));
    *value = path_beside(c->binder->arena, c->statement->source->path, *value);
    return value->p ? 0 : refuse(c, 0, STR_NONE, "no memory");
}

static int set_control(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct process_conf *conf = to;

    (void)directive;
    return make_path(c, &conf->control, S("off"), STR_NONE);
}

static int set_error_log(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct process_conf *conf = to;

    (void)directive;
    return make_path(c, &conf->error_log, S("stderr"), S("syslog"));
}

/* A file is named from the file that names it, a bare name is looked for in modules_dir. */
static int set_module(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct module_statement *module = to;

    (void)directive;
    module->statement = c->statement;
    if (module->name.n == 0)
        return refuse(c, 0, STR_NONE, "module: the name is empty");
    if (str_find(module->name, '/') < module->name.n || str_has_suffix(module->name, S(".so")))
        module->name = path_beside(c->binder->arena, c->statement->source->path, module->name);
    return module->name.p ? 0 : refuse(c, 0, STR_NONE, "no memory");
}

static int set_pipeline(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct wish_record *wish = to;
    str names[STAGE_COUNT], hint = S("weir pipeline prints the stages");

    (void)directive;
    wish->statement = c->statement;
    if (stage_by_name(wish->stage) != STAGE_NONE)
        return 0;
    for (unsigned i = 0; i < STAGE_COUNT; i++)
        names[i] = stage_name((enum stage)i);
    str nearest = diag_nearest(wish->stage, names, STAGE_COUNT);
    if (nearest.n)
        hint = arena_printf(c->binder->arena, "did you mean \"%.*s\"?", STR_ARG(nearest));
    return refuse(c, 0, hint, "pipeline: unknown stage \"%.*s\"", STR_ARG(str_upto(wish->stage, 100)));
}

/* -- tables -------------------------------------------------------------------------------------------------------- */

static const struct weir_arg workers_args[] = {
    { .name = "auto|N",
      .type = WEIR_TYPE_STR,
      .fallback = "auto",
      .offset = WEIR_FIELD(struct process_conf, workers, WEIR_C_STR) },
};
static const struct weir_arg user_args[] = {
    { .name = "NAME", .type = WEIR_TYPE_STR, .offset = WEIR_FIELD(struct process_conf, user, WEIR_C_STR) },
    { .name = "GROUP",
      .type = WEIR_TYPE_STR,
      .flags = WEIR_ARG_OPTIONAL,
      .offset = WEIR_FIELD(struct process_conf, group, WEIR_C_STR) },
};
static const struct weir_arg state_dir_args[] = {
    { .name = "PATH",
      .type = WEIR_TYPE_PATH,
      .fallback = WEIR_STATEDIR,
      .offset = WEIR_FIELD(struct process_conf, state_dir, WEIR_C_PATH) },
};
static const struct weir_arg modules_dir_args[] = {
    { .name = "PATH",
      .type = WEIR_TYPE_PATH,
      .fallback = WEIR_MODULEDIR,
      .offset = WEIR_FIELD(struct process_conf, modules_dir, WEIR_C_PATH) },
};
static const struct weir_arg control_args[] = {
    { .name = "PATH|off",
      .type = WEIR_TYPE_STR,
      .fallback = WEIR_RUNDIR "/weir/control.sock",
      .offset = WEIR_FIELD(struct process_conf, control, WEIR_C_STR) },
};
static const struct weir_arg error_log_args[] = {
    { .name = "PATH|stderr|syslog",
      .type = WEIR_TYPE_STR,
      .fallback = "stderr",
      .offset = WEIR_FIELD(struct process_conf, error_log, WEIR_C_STR) },
    { .name = "LEVEL",
      .type = WEIR_TYPE_ENUM,
      .flags = WEIR_ARG_OPTIONAL,
      .choices = "debug|info|notice|warn|error",
      .fallback = "info",
      .offset = WEIR_FIELD(struct process_conf, error_level, WEIR_C_ENUM) },
};
static const struct weir_arg module_args[] = {
    { .name = "NAME|PATH.so", .type = WEIR_TYPE_STR, .offset = WEIR_FIELD(struct module_statement, name, WEIR_C_STR) },
};
static const struct weir_arg pipeline_args[] = {
    { .name = "STAGE", .type = WEIR_TYPE_STR, .offset = WEIR_FIELD(struct wish_record, stage, WEIR_C_STR) },
    { .name = "NAME", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_REST, .offset = offsetof(struct wish_record, names) },
};

static const struct weir_arg resolver_args[] = {
    { .name = "ADDR", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_REST,
      .offset = WEIR_FIELD(struct process_conf, resolvers, weir_table) },
};

static const struct weir_directive directives[] = {
    { .name = "workers",
      .scopes = WEIR_IN_TOP,
      .args = WEIR_TABLE(workers_args),
      .set = set_workers,
      .doc = "worker threads; auto: one for each usable core" },
    { .name = "user",
      .scopes = WEIR_IN_TOP,
      .args = WEIR_TABLE(user_args),
      .set = set_user,
      .doc = "whom the server becomes when it is started as root" },
    { .name = "state_dir",
      .scopes = WEIR_IN_TOP,
      .args = WEIR_TABLE(state_dir_args),
      .doc = "what weir keeps for itself, as its local certificate authority" },
    { .name = "modules_dir", .scopes = WEIR_IN_TOP, .args = WEIR_TABLE(modules_dir_args), .doc = "where modules are" },
    { .name = "module",
      .scopes = WEIR_IN_TOP,
      .merge = WEIR_MERGE_APPEND,
      .args = WEIR_TABLE(module_args),
      .set = set_module,
      .record_size = sizeof(struct module_statement),
      .offset = offsetof(struct process_conf, modules),
      .doc = "load NAME.so from modules_dir, or that file" },
    { .name = "control",
      .scopes = WEIR_IN_TOP,
      .args = WEIR_TABLE(control_args),
      .set = set_control,
      .doc = "unix socket of the control API" },
    { .name = "error_log",
      .scopes = WEIR_IN_TOP,
      .args = WEIR_TABLE(error_log_args),
      .set = set_error_log,
      .doc = "where the server writes what happens to it, and from which level on" },
    { .name = "pipeline",
      .scopes = WEIR_IN_TOP,
      .merge = WEIR_MERGE_APPEND,
      .args = WEIR_TABLE(pipeline_args),
      .set = set_pipeline,
      .record_size = sizeof(struct wish_record),
      .offset = offsetof(struct process_conf, wishes),
      .doc = "modules that come first inside one stage, in this order; what they need of each other still holds" },
    { .name = "resolver",
      .scopes = WEIR_IN_TOP,
      .args = WEIR_TABLE(resolver_args),
      .set = set_resolver,
      .doc = "DNS servers to ask for the names of upstreams' servers; those of the system unless said" },
    WEIR_DIR(struct process_conf, shutdown_timeout, DURATION, "shutdown_timeout", WEIR_IN_TOP, "10s",
             "how long a stop waits for running requests before it closes them"),
};

const struct weir_module process_module = {
    BUILTIN_MODULE("process", "threads, identity, logs and modules of the process"),
    .conf_size = sizeof(struct process_conf),
    .directives = WEIR_TABLE(directives),
};

/* -- reading them ahead -------------------------------------------------------------------------------------------- */

unsigned usable_cores(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > WORKERS_MOST ? WORKERS_MOST : (unsigned)count;
}

static bool gather_wishes(const weir_table *records, struct arena *arena, struct process_settings *to)
{
    const struct wish_record *from = records->base;

    to->wish_count = 0;
    to->wishes = arena_array(arena, struct order_wish, records->count + 1);
    if (!to->wishes)
        return false;
    for (uint32_t i = 0; i < records->count; i++) {
        enum stage stage = stage_by_name(from[i].stage);
        if (stage == STAGE_NONE)
            continue;
        to->wishes[to->wish_count++] = (struct order_wish){
            .stage = stage,
            .names = from[i].names,
            .place = statement_place(from[i].statement),
        };
    }
    return true;
}

static void fill(const struct process_conf *conf, struct settings *to)
{
    uint64_t workers = 0;

    *to = (struct settings){
        .workers = read_workers(conf->workers, &workers) ? (unsigned)workers : usable_cores(),
        .user = conf->user,
        .group = conf->group,
        .modules_dir = conf->modules_dir,
        .control = str_equal(conf->control, S("off")) ? STR_NONE : conf->control,
        .error_log = conf->error_log,
        .error_level = conf->error_level,
        .state_dir = conf->state_dir,
        .shutdown_timeout = conf->shutdown_timeout,
        .resolver = conf->resolver_text,
    };
}

/* The tree's statements of the process alone. */
static bool own_statements(const struct tree *tree, const struct schema *schema, struct arena *arena,
                           struct statement **first)
{
    struct statement **end = first;

    *first = NULL;
    for (const struct statement *from = tree->first; from; from = from->next) {
        if (!schema_find(schema, from->name.text, WEIR_IN_TOP))
            continue;
        struct statement *copy = arena_dup(arena, from, sizeof(*from));
        if (!copy)
            return false;
        copy->next = NULL;
        *end = copy;
        end = &copy->next;
    }
    return true;
}

bool settings_read(const struct tree *tree, struct arena *arena, struct process_settings *to)
{
    const weir_mod *mod = module_find(S("process"));
    struct schema schema;
    struct diags unheard; /* reported when the top scope is bound */
    struct bind_host host = { .is_rehearsal = true };
    struct statement *statements;

    schema_init(&schema, arena);
    diags_init(&unheard, arena);
    if (!mod || schema_add(&schema, &mod->owner) != NULL || !own_statements(tree, &schema, arena, &statements))
        return false;
    struct binder binder = { arena, &unheard, &schema, &host, modules.count };
    struct scope *scope = scope_bind(&binder, NULL, WEIR_IN_TOP, statements, (struct place){ 0 });
    if (!scope)
        return false;
    const struct process_conf *conf = scope->confs[mod->index];
    fill(conf, &to->values);
    to->modules = conf->modules;
    to->has_errors = unheard.errors > 0;
    return gather_wishes(&conf->wishes, arena, to);
}
