/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/args.h"
#include "config/usage.h"
#include "config/value.h"

#include <unistd.h>

enum { ARGS_IN_TABLE = 64 };

void *arg_field(const struct weir_arg *arg, void *to)
{
    return (char *)to + arg->offset;
}

static bool is_positional(const struct weir_arg *arg)
{
    return !(arg->flags & (WEIR_ARG_OPTION | WEIR_ARG_WORD)) && arg->type != WEIR_TYPE_PLACE;
}

static bool takes_options(const struct arg_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->args[i].flags & WEIR_ARG_OPTION)
            return true;
    return false;
}

static bool find_named(const struct arg_list *list, uint32_t flag, str name, uint32_t *index)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (!(list->args[i].flags & flag) || !str_equal(str_of(list->args[i].name), name))
            continue;
        *index = i;
        return true;
    }
    return false;
}

static bool find_position(const struct arg_list *list, uint32_t position, uint32_t *index)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (!is_positional(&list->args[i]))
            continue;
        if (seen != position && !(list->args[i].flags & WEIR_ARG_REST)) {
            seen++;
            continue;
        }
        *index = i;
        return true;
    }
    return false;
}

enum arg_match args_match(const struct arg_list *list, const struct word *word, uint32_t *position, uint32_t *index)
{
    if (word->key.n && find_named(list, WEIR_ARG_OPTION, word->key, index))
        return MATCH_OPTION;
    if (word->key.n && takes_options(list))
        return MATCH_UNKNOWN_OPTION;
    if (word->quote == WORD_BARE && find_named(list, WEIR_ARG_WORD, word->text, index))
        return MATCH_WORD;
    if (!find_position(list, *position, index))
        return MATCH_TOO_MANY;
    ++*position;
    return MATCH_POSITIONAL;
}

str path_beside(struct arena *arena, str file, str path)
{
    char cwd[4096];
    str parts[4] = { STR_NONE, STR_NONE, STR_NONE, path };
    if (path.n && path.p[0] == '/')
        return arena_str(arena, path);
    while (file.n > 0 && file.p[file.n - 1] != '/')
        file.n--;
    if ((file.n == 0 || file.p[0] != '/') && getcwd(cwd, sizeof(cwd))) {
        parts[0] = str_of(cwd);
        parts[1] = S("/");
    }
    parts[2] = file;
    return arena_concat(arena, parts, 4);
}

static struct place place_of(const struct arg_target *target, const struct word *word)
{
    if (target->statement && word)
        return word_place(target->statement, word);
    return target->statement ? statement_place(target->statement) : target->scope->place;
}

/* "rate_limit", or "balance hash" when words in front belong to somebody else. */
static str lead_of(const struct arg_target *target)
{
    struct arena *arena = target->binder->arena;
    str lead = str_upto(target->statement->name.text, 100);
    for (uint32_t i = 0; i < target->skip && i < target->statement->arg_count; i++)
        lead = arena_printf(arena, STR_FMT " " STR_FMT, STR_ARG(lead),
                            STR_ARG(str_upto(target->statement->args[i].text, 100)));
    return lead;
}

/* "rate_limit", "rate_limit burst"; of a default only the argument's name. */
static str subject_of(const struct arg_target *target, const struct weir_arg *arg)
{
    if (!target->statement)
        return str_of(arg->name);
    str lead = lead_of(target);
    bool option = arg->flags & WEIR_ARG_OPTION;
    return option ? arena_printf(target->binder->arena, STR_FMT " %s", STR_ARG(lead), arg->name) : lead;
}

static str usage_of(const struct arg_target *target, const struct arg_list *list)
{
    struct arena *arena = target->binder->arena;
    str line = usage_line(arena, lead_of(target), list->args, list->count);
    return arena_printf(arena, "usage: " STR_FMT, STR_ARG(line));
}

static bool fail(const struct arg_target *target, const struct word *word, str hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static bool fail(const struct arg_target *target, const struct word *word, str hint, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diag_add(target->binder->diags, SEVERITY_ERROR, place_of(target, word), hint, fmt, ap);
    va_end(ap);
    return false;
}

static str did_you_mean(struct arena *arena, str nearest)
{
    return nearest.n ? arena_printf(arena, "did you mean \"" STR_FMT "\"?", STR_ARG(nearest)) : STR_NONE;
}

static bool read_upstream(const struct arg_target *target, const struct word *word, str text, weir_upstream **to)
{
    const struct bind_host *host = target->binder->host;
    if (!host || !host->upstream)
        return fail(target, word, STR_NONE, "upstreams cannot be named here");
    weir_upstream *upstream = host->upstream(host->arg, text, place_of(target, word), target->scope);
    if (upstream)
        *to = upstream;
    return upstream;
}

static bool read_template(const struct arg_target *target, const struct word *word, str text, weir_tmpl **to)
{
    struct binder *binder = target->binder;
    bool literal = word && word->quote == WORD_SINGLE;
    weir_tmpl *tmpl = template_compile(text, literal, binder->host ? binder->host->variables : NULL, binder->arena,
                                       binder->diags, place_of(target, word));
    if (tmpl)
        *to = tmpl;
    return tmpl;
}

static bool check_bounds(const struct arg_target *target, const struct weir_arg *arg, const struct word *word,
                         uint64_t value)
{
    struct arena *arena = target->binder->arena;
    bool low = value < arg->min, high = arg->max && value > arg->max;
    if (!low && !high)
        return true;
    str min = value_print(arg->type, NULL, &arg->min, arena), max = value_print(arg->type, NULL, &arg->max, arena);
    str bounds = arg->max ? arena_printf(arena, "from " STR_FMT " to " STR_FMT, STR_ARG(min), STR_ARG(max))
                          : arena_printf(arena, "at least " STR_FMT, STR_ARG(min));
    str text = value_print(arg->type, NULL, &value, arena), subject = subject_of(target, arg);
    return fail(target, word, bounds, STR_FMT ": " STR_FMT " is too %s", STR_ARG(subject), STR_ARG(text),
                low ? "small" : "large");
}

bool arg_read(const struct arg_target *target, const struct weir_arg *arg, const struct word *word, str text,
              void *field)
{
    struct arena *arena = target->binder->arena;
    struct value_error error = { STR_NONE, STR_NONE };
    if (arg->type == WEIR_TYPE_UPSTREAM)
        return read_upstream(target, word, text, field);
    if (arg->type == WEIR_TYPE_TEMPLATE)
        return read_template(target, word, text, field);
    if (arg->type == WEIR_TYPE_PATH && text.n && target->statement)
        text = path_beside(arena, target->statement->source->path, text);
    union {
        uint64_t number;
        struct weir_rate rate;
        struct weir_cidr cidr;
        weir_str text;
        bool flag;
        uint32_t choice;
    } value;
    if (!value_read(arg->type, arg->choices, text, arena, &value, &error)) {
        str subject = subject_of(target, arg);
        return fail(target, word, error.hint, STR_FMT ": " STR_FMT, STR_ARG(subject), STR_ARG(error.message));
    }
    bool is_number = arg->type == WEIR_TYPE_UINT || arg->type == WEIR_TYPE_SIZE || arg->type == WEIR_TYPE_DURATION;
    if (is_number && !check_bounds(target, arg, word, value.number))
        return false;
    memcpy(field, &value, value_size(arg->type));
    return true;
}

/* A table's values are gathered in a vector first. */
static bool push_value(const struct arg_target *target, const struct weir_arg *arg, const struct word *word, str text,
                       struct vec *vec)
{
    uint32_t size = value_size(arg->type);
    void *slot = vec_push(target->binder->arena, vec, size);
    if (!slot)
        return fail(target, word, STR_NONE, "out of memory");
    if (arg_read(target, arg, word, text, slot))
        return true;
    vec->count--;
    return false;
}

static bool push_list(const struct arg_target *target, const struct weir_arg *arg, const struct word *word, str text,
                      char by, struct vec *vec)
{
    struct arena *arena = target->binder->arena;
    str item;
    bool ok = true;
    while (str_split(&text, by, &item)) {
        if (by == ' ' && item.n == 0)
            continue;
        str z = arena_str(arena, item);
        ok &= z.p ? push_value(target, arg, word, z, vec) : fail(target, word, STR_NONE, "out of memory");
    }
    return ok;
}

static void set_table(const struct weir_arg *arg, void *to, const struct vec *vec)
{
    *(weir_table *)arg_field(arg, to) = (weir_table){ vec->items, vec->count, value_size(arg->type) };
}

static bool is_table(const struct weir_arg *arg)
{
    return arg->flags & (WEIR_ARG_REST | WEIR_ARG_LIST);
}

bool args_reset_one(const struct arg_target *target, const struct weir_arg *arg, str name)
{
    uint32_t size = is_table(arg) ? (uint32_t)sizeof(weir_table) : value_size(arg->type);
    memset(arg_field(arg, target->to), 0, size);
    if (!arg->fallback)
        return true;
    struct arg_target from_table = *target;
    struct scope place_of_table = { .place = { .file = name } };
    from_table.statement = NULL; /* a path's folder and a place are a statement's, and this is none */
    from_table.scope = &place_of_table;
    if (!is_table(arg))
        return arg_read(&from_table, arg, NULL, str_of(arg->fallback), arg_field(arg, target->to));
    struct vec values = { 0 };
    bool ok = push_list(&from_table, arg, NULL, str_of(arg->fallback), arg->flags & WEIR_ARG_LIST ? ',' : ' ', &values);
    set_table(arg, target->to, &values);
    return ok;
}

/* One statement being stored. */
struct storing {
    const struct arg_target *target;
    const struct arg_list *list;
    const struct word *given[ARGS_IN_TABLE]; /* the word that filled this argument */
    struct vec rest;
    const struct weir_arg *rest_arg;
};

static bool store_word(struct storing *storing, uint32_t index, const struct word *word)
{
    const struct arg_target *target = storing->target;
    const struct weir_arg *arg = &storing->list->args[index];
    void *field = arg_field(arg, target->to);
    bool is_rest = arg->flags & WEIR_ARG_REST, is_option = arg->flags & WEIR_ARG_OPTION;
    if (storing->given[index] && !is_rest)
        return fail(target, word, STR_NONE, STR_FMT ": \"%s\" is given twice", STR_ARG(lead_of(target)), arg->name);
    storing->given[index] = word;
    if (arg->flags & WEIR_ARG_WORD) {
        *(bool *)field = true;
        return true;
    }
    struct word whole = *word;
    if (!is_option)
        whole.key = STR_NONE; /* it only looked like an option */
    str text = arg->type == WEIR_TYPE_TEMPLATE ? (is_option ? word->value : word->text)
                                               : word_plain(&whole, target->binder->arena);
    if (!text.p)
        return fail(target, word, STR_NONE, "out of memory");
    if (is_rest) {
        storing->rest_arg = arg;
        return push_value(target, arg, word, text, &storing->rest);
    }
    if (!(arg->flags & WEIR_ARG_LIST))
        return arg_read(target, arg, word, text, field);
    struct vec values = { 0 };
    bool ok = push_list(target, arg, word, text, ',', &values);
    if (ok)
        set_table(arg, target->to, &values);
    return ok;
}

static str nearest_named(const struct arg_list *list, uint32_t flags, str name)
{
    str candidates[ARGS_IN_TABLE];
    size_t count = 0;
    for (uint32_t i = 0; i < list->count; i++)
        if (list->args[i].flags & flags)
            candidates[count++] = str_of(list->args[i].name);
    return diag_nearest(name, candidates, count);
}

static bool report_unknown_option(const struct storing *storing, const struct word *word)
{
    const struct arg_target *target = storing->target;
    struct arena *arena = target->binder->arena;
    uint32_t index;
    str nearest = nearest_named(storing->list, WEIR_ARG_OPTION | WEIR_ARG_WORD, word->key);
    str hint = nearest.n ? did_you_mean(arena, nearest) : usage_of(target, storing->list);
    if (find_named(storing->list, WEIR_ARG_WORD, word->key, &index))
        hint = arena_printf(arena, "write \"%s\" alone", storing->list->args[index].name);
    return fail(target, word, hint, STR_FMT ": unknown option \"" STR_FMT "\"", STR_ARG(lead_of(target)),
                STR_ARG(str_upto(word->key, 100)));
}

static bool report_too_many(const struct storing *storing, const struct word *word)
{
    const struct arg_target *target = storing->target;
    struct arena *arena = target->binder->arena;
    uint32_t index;
    str text = str_upto(word->text, 100);
    str nearest = word->quote == WORD_BARE ? nearest_named(storing->list, WEIR_ARG_WORD, text) : STR_NONE;
    str hint = nearest.n ? did_you_mean(arena, nearest) : usage_of(target, storing->list);
    if (find_named(storing->list, WEIR_ARG_OPTION, text, &index)) {
        str type = usage_of_type(&storing->list->args[index]);
        hint = arena_printf(arena, "write " STR_FMT "=" STR_FMT, STR_ARG(text), STR_ARG(type));
    }
    return fail(target, word, hint, STR_FMT ": too many arguments", STR_ARG(lead_of(target)));
}

static bool check_missing(const struct storing *storing)
{
    const struct arg_target *target = storing->target;
    bool ok = true;
    for (uint32_t i = 0; i < storing->list->count; i++) {
        const struct weir_arg *arg = &storing->list->args[i];
        bool needed = is_positional(arg) ? !(arg->flags & WEIR_ARG_OPTIONAL) : (arg->flags & WEIR_ARG_REQUIRED) != 0;
        if (storing->given[i] || !needed || !ok)
            continue;
        bool unnamed = is_positional(arg) && str_equal(str_of(arg->name), S("VALUE"));
        ok = fail(target, NULL, usage_of(target, storing->list), STR_FMT ": %s%s is missing", STR_ARG(lead_of(target)),
                  unnamed ? "its value" : arg->name, is_positional(arg) ? "" : "=");
    }
    return ok;
}

bool args_store(const struct arg_target *target, const struct arg_list *list)
{
    struct storing storing = { .target = target, .list = list };
    const struct statement *statement = target->statement;
    uint32_t position = 0;
    bool ok = true, told_many = false;
    for (uint32_t i = target->skip; i < statement->arg_count; i++) {
        const struct word *word = &statement->args[i];
        uint32_t index = 0;
        enum arg_match match = args_match(list, word, &position, &index);
        if (match == MATCH_UNKNOWN_OPTION) {
            ok = report_unknown_option(&storing, word);
        } else if (match == MATCH_TOO_MANY) {
            ok = told_many ? false : report_too_many(&storing, word);
            told_many = true;
        } else {
            ok &= store_word(&storing, index, word);
        }
    }
    ok &= check_missing(&storing);
    if (ok && storing.rest_arg)
        set_table(storing.rest_arg, target->to, &storing.rest);
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->args[i].type != WEIR_TYPE_PLACE)
            continue;
        *(struct weir_place *)arg_field(&list->args[i], target->to) =
            (struct weir_place){ statement->source->path, statement->name.line, statement->name.column };
    }
    return ok;
}

bool bind_args(struct binder *binder, const struct scope *scope, const struct statement *statement, uint32_t skip,
               weir_table args, void *to)
{
    struct weir_arg copies[ARGS_IN_TABLE];
    size_t size = args.stride < sizeof(copies[0]) ? args.stride : sizeof(copies[0]);
    struct arg_target target = { binder, scope, statement, skip, to };
    bool ok = true;
    if (args.count > ARGS_IN_TABLE)
        return fail(&target, NULL, STR_NONE, "more than %d arguments in its table", ARGS_IN_TABLE);
    memset(copies, 0, sizeof(copies));
    for (uint32_t i = 0; i < args.count; i++) {
        memcpy(&copies[i], (const char *)args.base + (size_t)i * args.stride, size);
        ok &= args_reset_one(&target, &copies[i], statement->name.text);
    }
    return args_store(&target, &(struct arg_list){ copies, args.count }) && ok;
}

bool value_parse(uint32_t type, const char *choices, str text, struct arena *arena, void *to, const char **why)
{
    struct value_error error = { STR_NONE, STR_NONE };
    if (type == WEIR_TYPE_PATH && text.n)
        text = path_beside(arena, STR_NONE, text);
    if (value_read(type, choices, text, arena, to, &error))
        return true;
    *why = error.message.p ? error.message.p : "out of memory";
    if (error.hint.n && error.message.n)
        *why = arena_printf(arena, STR_FMT " (" STR_FMT ")", STR_ARG(error.message), STR_ARG(error.hint)).p;
    return false;
}

const struct word *find_unended(const struct schema *schema, const struct statement *statement, bool tolerant)
{
    const struct word *before = &statement->name;
    for (uint32_t i = 0; i < statement->arg_count; before = &statement->args[i++]) {
        const struct word *word = &statement->args[i];
        bool begins_line = word->line > before->line && word->quote == WORD_BARE && word->key.n == 0;
        if (!begins_line || (!tolerant && word->column > statement->name.column))
            continue;
        if (schema_find(schema, word->text, 0) || schema_find_block(schema, word->text))
            return before;
    }
    return NULL;
}
