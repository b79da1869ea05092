/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/schema.h"
#include "base/diag.h"
#include "config/value.h"

void schema_init(struct schema *schema, struct arena *arena)
{
    *schema = (struct schema){ .arena = arena };
}

/* Element i as it would be had it been written today: a module's may be shorter (older). */
static void copy_element(weir_table table, uint32_t i, void *to, size_t size)
{
    size_t n = table.stride < size ? table.stride : size;
    memset(to, 0, size);
    memcpy(to, (const char *)table.base + (size_t)i * table.stride, n);
}

static const char *refuse(struct schema *schema, const struct owner *owner, const char *directive, const char *what)
{
    str why = arena_printf(schema->arena, STR_FMT ": directive \"%s\": %s", STR_ARG(owner->name),
                           directive ? directive : "", what);
    return why.p ? why.p : "out of memory";
}

static bool is_table_arg(const struct weir_arg *arg)
{
    return arg->flags & (WEIR_ARG_REST | WEIR_ARG_LIST);
}

/* What is wrong with where the value goes. */
static const char *check_field(const struct weir_arg *arg, uint32_t size)
{
    uint32_t need = is_table_arg(arg) ? (uint32_t)sizeof(weir_table) : value_size(arg->type);
    uint32_t align = need >= 8 ? (arg->type == WEIR_TYPE_CIDR && !is_table_arg(arg) ? 4 : 8) : need;
    if (arg->offset > size || size - arg->offset < need)
        return "a field lies outside its struct";
    return arg->offset % align ? "a field is not aligned for its type" : NULL;
}

static const char *check_default_word(const struct weir_arg *arg, str word, struct arena *arena)
{
    struct value_error error = { 0 };
    union {
        uint64_t number;
        struct weir_rate rate;
        struct weir_cidr cidr;
        weir_str text;
        bool flag;
        uint32_t choice;
    } value;
    if (arg->type == WEIR_TYPE_TEMPLATE)
        return NULL; /* its variables are not known yet */
    if (!value_read(arg->type, arg->choices, word, arena, &value, &error))
        return error.message.p ? error.message.p : "out of memory";
    bool is_number = arg->type == WEIR_TYPE_UINT || arg->type == WEIR_TYPE_SIZE || arg->type == WEIR_TYPE_DURATION;
    if (is_number && (value.number < arg->min || (arg->max && value.number > arg->max)))
        return "its default is out of its own bounds";
    return NULL;
}

static const char *check_default(const struct weir_arg *arg, struct arena *arena)
{
    str rest = str_of(arg->fallback), word;
    if (!arg->fallback)
        return NULL;
    if (arg->type == WEIR_TYPE_UPSTREAM || arg->type == WEIR_TYPE_PLACE)
        return "this type takes no default";
    if (!is_table_arg(arg))
        return check_default_word(arg, rest, arena);
    char by = arg->flags & WEIR_ARG_LIST ? ',' : ' ';
    while (str_split(&rest, by, &word)) {
        const char *why = word.n || by == ',' ? check_default_word(arg, word, arena) : NULL;
        if (why)
            return why;
    }
    return NULL;
}

static const char *check_arg(const struct weir_arg *arg, uint32_t size, struct arena *arena)
{
    bool option = arg->flags & WEIR_ARG_OPTION, word = arg->flags & WEIR_ARG_WORD;
    if (value_size(arg->type) == 0)
        return "an argument has an unknown type";
    if (!arg->name && arg->type != WEIR_TYPE_PLACE)
        return "an argument has no name";
    if (word && (arg->type != WEIR_TYPE_FLAG || option))
        return "a word fills a flag and is no option";
    if ((arg->flags & WEIR_ARG_LIST) && !option)
        return "only options take comma separated lists";
    if ((arg->flags & WEIR_ARG_REST) && option)
        return "an option takes no rest";
    if (is_table_arg(arg) && arg->type == WEIR_TYPE_PLACE)
        return "there is one place a statement";
    if (arg->type == WEIR_TYPE_ENUM && (!arg->choices || !*arg->choices))
        return "an enum has no choices";
    if (arg->max && arg->min > arg->max)
        return "an argument's least is above its most";
    const char *why = check_field(arg, size);
    return why ? why : check_default(arg, arena);
}

static const char *check_args(const struct weir_directive *directive, const struct weir_arg *args, uint32_t size,
                              struct arena *arena)
{
    bool ended = false;
    for (uint32_t i = 0; i < directive->args.count; i++) {
        const char *why = check_arg(&args[i], size, arena);
        if (why)
            return why;
        if (args[i].type == WEIR_TYPE_PLACE || (args[i].flags & (WEIR_ARG_OPTION | WEIR_ARG_WORD)))
            continue;
        if (ended)
            return "nothing positional can follow the rest";
        ended = args[i].flags & WEIR_ARG_REST;
    }
    return directive->args.count > 64 ? "more than 64 arguments" : NULL;
}

/* Directives that feed one list agree about its records and how it meets the outer one. */
static const char *check_list(const struct schema *schema, const struct owner *owner,
                              const struct weir_directive *directive)
{
    if (directive->record_size == 0)
        return NULL;
    if (directive->offset > owner->conf_size || owner->conf_size - directive->offset < sizeof(weir_table) ||
        directive->offset % 8)
        return "its list lies outside the conf struct";
    for (uint32_t i = 0; i < schema->entries.count; i++) {
        const struct schema_entry *entry = *vec_at(&schema->entries, struct schema_entry *, i);
        const struct weir_directive *other = entry->directive;
        if (entry->owner != owner || other->record_size == 0 || other->offset != directive->offset)
            continue;
        if (other->record_size != directive->record_size || other->merge != directive->merge)
            return "it feeds a list together with another one of other records or another merge rule";
    }
    return NULL;
}

static const char *check_name(struct schema *schema, const struct weir_directive *directive)
{
    str name = str_of(directive->name);
    const struct schema_entry *same = schema_find(schema, name, directive->scopes);
    const char *taken = NULL;
    if (same)
        taken = arena_printf(schema->arena, "it is a directive of " STR_FMT " already", STR_ARG(same->owner->name)).p;
    else if (schema_find_block(schema, name) || str_equal(name, S("include")))
        taken = "the name is a block's or the language's own";
    for (size_t i = 0; i < name.n && !taken; i++)
        if (!(name.p[i] >= 'a' && name.p[i] <= 'z') && !(name.p[i] >= '0' && name.p[i] <= '9') && name.p[i] != '_')
            taken = "names are made of a-z, 0-9 and '_'";
    return taken;
}

static const char *add_directive(struct schema *schema, const struct owner *owner, uint32_t i)
{
    struct schema_entry *entry = arena_new(schema->arena, struct schema_entry);
    struct weir_directive *directive = arena_new(schema->arena, struct weir_directive);
    if (!entry || !directive)
        return "out of memory";
    copy_element(owner->directives, i, directive, sizeof(*directive));
    struct weir_arg *args = arena_array(schema->arena, struct weir_arg, directive->args.count + 1);
    if (!args)
        return "out of memory";
    for (uint32_t k = 0; k < directive->args.count; k++)
        copy_element(directive->args, k, &args[k], sizeof(args[k]));
    directive->args = (weir_table){ args, directive->args.count, sizeof(*args) };
    const char *why = NULL;
    if (!directive->name || !*directive->name || !(directive->scopes & 15))
        why = "it has no name or no scope";
    else if (directive->merge > WEIR_MERGE_LOCAL)
        why = "it has an unknown merge rule";
    if (!why)
        why = check_name(schema, directive);
    if (!why)
        why = check_args(directive, args, directive->record_size ? directive->record_size : owner->conf_size,
                         schema->arena);
    if (!why)
        why = check_list(schema, owner, directive);
    if (why)
        return refuse(schema, owner, directive->name, why);
    *entry =
        (struct schema_entry){ .owner = owner, .directive = directive, .args = args, .index = schema->entries.count };
    entry->same_name = strmap_find(&schema->by_name, str_of(directive->name));
    struct schema_entry **slot = vec_push(schema->arena, &schema->entries, sizeof(*slot));
    if (!slot || !strmap_put(schema->arena, &schema->by_name, str_of(directive->name), entry))
        return "out of memory";
    *slot = entry;
    return NULL;
}

const char *schema_add(struct schema *schema, const struct owner *owner)
{
    for (uint32_t i = 0; i < schema->owners.count; i++) {
        const struct owner *other = *vec_at(&schema->owners, const struct owner *, i);
        if (other->index == owner->index || str_equal(other->name, owner->name))
            return refuse(schema, owner, "", "an owner of this name or number is there already");
    }
    for (uint32_t i = 0; i < owner->directives.count; i++) {
        const char *why = add_directive(schema, owner, i);
        if (why)
            return why;
    }
    const struct owner **slot = vec_push(schema->arena, &schema->owners, sizeof(*slot));
    if (!slot)
        return "out of memory";
    *slot = owner;
    return NULL;
}

bool schema_add_block(struct schema *schema, struct schema_block block)
{
    struct schema_block *slot = vec_push(schema->arena, &schema->blocks, sizeof(*slot));
    if (slot)
        *slot = block;
    return slot;
}

bool schema_know(struct schema *schema, str directive, str module)
{
    str *value = arena_dup(schema->arena, &module, sizeof(module));
    return value && strmap_put(schema->arena, &schema->unloaded, directive, value);
}

const struct schema_entry *schema_find(const struct schema *schema, str name, uint32_t scope)
{
    const struct schema_entry *entry = strmap_find(&schema->by_name, name);
    while (entry && scope != 0 && !(entry->directive->scopes & scope))
        entry = entry->same_name;
    return entry;
}

const struct schema_block *schema_find_block(const struct schema *schema, str name)
{
    for (uint32_t i = 0; i < schema->blocks.count; i++) {
        const struct schema_block *block = vec_at(&schema->blocks, struct schema_block, i);
        if (str_equal(block->name, name))
            return block;
    }
    return NULL;
}

str schema_nearest(const struct schema *schema, str name, uint32_t scope)
{
    enum { AT_ONCE = 64 };
    str candidates[AT_ONCE + 1];
    str best = STR_NONE;
    size_t count = 0;
    for (uint32_t i = 0; i < schema->blocks.count; i++) {
        const struct schema_block *block = vec_at(&schema->blocks, struct schema_block, i);
        if ((scope == 0 || (block->scopes & scope)) && count < AT_ONCE)
            candidates[count++] = block->name;
    }
    /* In helpings; the best of each takes part in the next. */
    for (uint32_t i = 0; i < schema->entries.count; i++) {
        const struct weir_directive *directive = (*vec_at(&schema->entries, struct schema_entry *, i))->directive;
        if (scope != 0 && !(directive->scopes & scope))
            continue;
        candidates[count++] = str_of(directive->name);
        if (count < AT_ONCE)
            continue;
        best = diag_nearest(name, candidates, count);
        count = 0;
        if (best.n)
            candidates[count++] = best;
    }
    candidates[count++] = S("include");
    return diag_nearest(name, candidates, count);
}
