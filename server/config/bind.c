/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/bind.h"
#include "base/mem.h"
#include "config/binding.h"
#include "config/usage.h"
#include "config/value.h"

#include <assert.h>

enum { NAME_SHOWN = 100 };

static void report(struct binding *binding, struct place place, str hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void report(struct binding *binding, struct place place, str hint, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diag_add(binding->binder->diags, SEVERITY_ERROR, place, hint, fmt, ap);
    va_end(ap);
}

static str name_shown(const struct statement *statement)
{
    return str_upto(statement->name.text, NAME_SHOWN);
}

/* Where a name that is unknown here may stand: of all directives of this name, and of a block. */
static uint32_t scopes_of(const struct schema *schema, str name)
{
    const struct schema_block *block = schema_find_block(schema, name);
    uint32_t scopes = block ? block->scopes : 0;
    for (const struct schema_entry *entry = schema_find(schema, name, 0); entry; entry = entry->same_name)
        scopes |= entry->directive->scopes;
    return scopes;
}

static void report_wrong_scope(struct binding *binding, const struct statement *statement, uint32_t scopes)
{
    struct arena *arena = binding->binder->arena;
    str where = scopes_in_words(arena, scopes, "or");
    report(binding, statement_place(statement), arena_printf(arena, "it belongs in: " STR_FMT, STR_ARG(where)),
           "\"" STR_FMT "\" cannot stand %s", STR_ARG(name_shown(statement)), scope_in_words(binding->scope->kind));
}

static void report_unknown(struct binding *binding, const struct statement *statement)
{
    const struct schema *schema = binding->binder->schema;
    struct arena *arena = binding->binder->arena;
    str name = name_shown(statement), hint = STR_NONE;
    const str *module = strmap_find(&schema->unloaded, statement->name.text);
    if (module) {
        hint = arena_printf(arena,
                            "it is a directive of module " STR_FMT ", which is not loaded: add \"module " STR_FMT ";\"",
                            STR_ARG(*module), STR_ARG(*module));
    } else {
        str nearest = schema_nearest(schema, name, binding->scope->kind);
        if (!nearest.n)
            nearest = schema_nearest(schema, name, 0);
        if (nearest.n)
            hint = arena_printf(arena, "did you mean \"" STR_FMT "\"?", STR_ARG(nearest));
    }
    report(binding, statement_place(statement), hint, "unknown directive \"" STR_FMT "\"", STR_ARG(name));
}

static void check_block(struct binding *binding, const struct statement *statement, const struct schema_block *block)
{
    if (!(block->scopes & binding->scope->kind))
        report_wrong_scope(binding, statement, block->scopes);
    else if (!statement->has_block)
        report(binding, statement_place(statement),
               arena_printf(binding->binder->arena, "usage: " STR_FMT " %s { ... }", STR_ARG(block->name),
                            block->arguments ? block->arguments : ""),
               "\"" STR_FMT "\" needs a block", STR_ARG(block->name));
}

/* The directive that a statement is of; NULL after what is wrong was reported, or for a block. */
static const struct schema_entry *entry_of(struct binding *binding, const struct statement *statement, bool silent)
{
    const struct schema *schema = binding->binder->schema;
    const struct schema_entry *entry = schema_find(schema, statement->name.text, binding->scope->kind);
    if (entry || silent)
        return entry;
    const struct schema_block *block = schema_find_block(schema, statement->name.text);
    uint32_t scopes = scopes_of(schema, statement->name.text);
    if (block)
        check_block(binding, statement, block);
    else if (scopes)
        report_wrong_scope(binding, statement, scopes);
    else
        report_unknown(binding, statement);
    return NULL;
}

static void mark_failed(struct binding *binding, const struct schema_entry *entry)
{
    binding->scope->state[entry->owner->index] |= SCOPE_FAILED;
}

static bool is_said_twice(struct binding *binding, const struct statement *statement, const struct schema_entry *entry)
{
    const struct statement **said = &binding->said[entry->index];
    const struct statement *first = *said;
    if (!first)
        *said = statement;
    if (!first || may_repeat(entry->directive))
        return false;
    str hint =
        arena_printf(binding->binder->arena, "first at " STR_FMT ":%u", STR_ARG(first->source->path), first->name.line);
    report(binding, statement_place(statement), hint, "\"%s\" stands twice in this scope", entry->directive->name);
    return true;
}

/* The field of a table that several statements or scopes add to, in a directive without records. */
static bool adds_up(const struct weir_directive *directive, const struct weir_arg *arg)
{
    bool adds = directive->merge == WEIR_MERGE_APPEND || directive->merge == WEIR_MERGE_INNER_FIRST;
    return adds && directive->record_size == 0 && (arg->flags & (WEIR_ARG_REST | WEIR_ARG_LIST));
}

/* What the statement put into such a field goes behind this scope's own values; the field shows these until lists are
 * joined. */
static void gather_tables(struct binding *binding, const struct schema_entry *entry, char *conf,
                          const weir_table *before)
{
    struct arena *arena = binding->binder->arena;
    for (uint32_t i = 0; i < entry->directive->args.count; i++) {
        const struct weir_arg *arg = &entry->args[i];
        weir_table *field = (weir_table *)(void *)(conf + arg->offset);
        if (!adds_up(entry->directive, arg))
            continue;
        weir_table now = *field;
        *field = before[i];
        if (now.base == before[i].base)
            continue; /* an option that this statement does not give */
        uint32_t size = value_size(arg->type);
        struct own_list *list = own_list(binding, entry->owner, arg->offset, entry->directive->merge, size);
        for (uint32_t k = 0; list && k < now.count; k++) {
            void *slot = vec_push(arena, &list->items, size);
            if (!slot) {
                binding->out_of_memory = true;
                return;
            }
            memcpy(slot, (const char *)now.base + (size_t)k * size, size);
        }
        if (list)
            *field = (weir_table){ list->items.items, list->items.count, size };
    }
}

static bool store_values(struct binding *binding, const struct arg_target *target, const struct schema_entry *entry)
{
    weir_table before[64];
    const struct weir_directive *directive = entry->directive;
    for (uint32_t i = 0; i < directive->args.count; i++)
        if (adds_up(directive, &entry->args[i]))
            before[i] = *(const weir_table *)arg_field(&entry->args[i], target->to);
    bool ok = args_store(target, &(struct arg_list){ entry->args, directive->args.count });
    gather_tables(binding, entry, target->to, before);
    return ok;
}

/* A new record with its defaults, at the end of this scope's own list. */
static void *begin_record(struct binding *binding, struct arg_target *target, const struct schema_entry *entry,
                          struct own_list *list)
{
    target->to = vec_push(binding->binder->arena, &list->items, list->item_size);
    if (!target->to) {
        binding->out_of_memory = true;
        return NULL;
    }
    for (uint32_t i = 0; i < entry->directive->args.count; i++)
        if (!args_reset_one(target, &entry->args[i], entry->owner->name))
            mark_failed(binding, entry);
    return target->to;
}

static bool call_set(struct binding *binding, const struct arg_target *target, const struct schema_entry *entry)
{
    struct weir_conf conf = { binding->binder, binding->scope, entry->owner, target->statement, target->to, false };
    if (!entry->directive->set)
        return true;
    int rc = entry->directive->set(&conf, entry->directive, target->to);
    if (rc != 0 && !conf.failed)
        report(binding, statement_place(target->statement), STR_NONE, "\"%s\" was refused without a reason",
               entry->directive->name);
    return rc == 0 && !conf.failed;
}

static void store_statement(struct binding *binding, const struct statement *statement,
                            const struct schema_entry *entry)
{
    const struct weir_directive *directive = entry->directive;
    struct arg_target target = { .binder = binding->binder, .scope = binding->scope, .statement = statement };
    struct own_list *list = NULL;
    target.to = own_conf(binding, entry->owner);
    if (binding->out_of_memory)
        return;
    if (directive->record_size) {
        list = own_list(binding, entry->owner, directive->offset, directive->merge, directive->record_size);
        if (!list || !begin_record(binding, &target, entry, list))
            return;
    }
    if (directive->merge == WEIR_MERGE_LOCAL)
        binding->scope->state[entry->owner->index] |= SCOPE_LOCAL;
    uint32_t errors = binding->binder->diags->errors;
    bool ok = directive->record_size ? args_store(&target, &(struct arg_list){ entry->args, directive->args.count })
                                     : store_values(binding, &target, entry);
    if (ok && call_set(binding, &target, entry))
        return;
    mark_failed(binding, entry);
    if (list)
        list->items.count--;
    if (binding->binder->diags->errors == errors)
        report(binding, statement_place(statement), STR_NONE, "\"%s\" could not be stored", directive->name);
}

static bool has_surplus(const struct statement *statement, const struct schema_entry *entry)
{
    const struct arg_list list = { entry->args, entry->directive->args.count };
    uint32_t position = 0, index;
    for (uint32_t i = 0; i < statement->arg_count; i++) {
        enum arg_match match = args_match(&list, &statement->args[i], &position, &index);
        if (match == MATCH_TOO_MANY || match == MATCH_UNKNOWN_OPTION)
            return true;
    }
    return false;
}

/* Ends the statement behind its word `last`; the rest becomes a statement of its own. */
static void split_behind(struct binding *binding, struct statement *statement, const struct word *last)
{
    uint32_t keep = last == &statement->name ? 0 : (uint32_t)(last - statement->args) + 1;
    struct statement *rest = arena_dup(binding->binder->arena, statement, sizeof(*statement));
    if (!rest) {
        binding->out_of_memory = true;
        return;
    }
    rest->name = statement->args[keep];
    rest->args = statement->args + keep + 1;
    rest->arg_count = statement->arg_count - keep - 1;
    rest->comment = STR_NONE;
    for (struct statement *child = rest->children; child; child = child->next)
        child->outer = rest;
    statement->next = rest;
    statement->arg_count = keep;
    statement->has_block = false;
    statement->children = NULL;
}

/* A forgotten ';' makes one statement of two. Both are taken for what they were meant to be, so that what else is
 * wrong in them, and in the block that the second may open, is found at once. */
static void part_unended(struct binding *binding, struct statement *statement)
{
    const struct schema *schema = binding->binder->schema;
    const struct schema_entry *entry = entry_of(binding, statement, true);
    bool wrong = entry && (statement->has_block || has_surplus(statement, entry));
    const struct word *last = find_unended(schema, statement, wrong);
    if (!last)
        return;
    report(binding, word_end_place(statement, last), S("did you forget ';'?"), "\"" STR_FMT "\" is not ended",
           STR_ARG(name_shown(statement)));
    split_behind(binding, statement, last);
}

static void bind_statement(struct binding *binding, const struct statement *statement)
{
    const struct schema_entry *entry = entry_of(binding, statement, false);
    if (!entry)
        return;
    if (!binding->scope->first[entry->owner->index])
        ((const struct statement **)binding->scope->first)[entry->owner->index] = statement;
    if (statement->has_block) {
        report(binding, statement_place(statement), S("end it with ';'"), "\"%s\" takes no block",
               entry->directive->name);
        mark_failed(binding, entry);
        return;
    }
    if (!is_clear(statement) && !is_said_twice(binding, statement, entry))
        store_statement(binding, statement, entry);
}

/* `NAME clear;` comes before everything else the scope says, wherever it stands. */
static void clear_first(struct binding *binding, const struct statement *statements)
{
    for (const struct statement *s = statements; s && !binding->out_of_memory; s = s->next) {
        const struct schema_entry *entry = is_clear(s) ? entry_of(binding, s, true) : NULL;
        if (entry)
            reset_directive(binding, entry);
    }
}

static struct scope *create_scope(struct binder *binder, const struct scope *outer, uint32_t kind)
{
    struct scope *scope = arena_new(binder->arena, struct scope);
    uint32_t count = binder->owner_count;
    if (!scope)
        return NULL;
    *scope = (struct scope){ .outer = outer, .kind = kind, .owner_count = count };
    scope->confs = arena_array(binder->arena, void *, count + 1);
    scope->state = arena_array(binder->arena, uint8_t, count + 1);
    scope->skipped = arena_array(binder->arena, uint64_t, count + 1);
    scope->first = arena_array(binder->arena, const struct statement *, count + 1);
    return scope->confs && scope->state && scope->skipped && scope->first ? scope : NULL;
}

struct scope *scope_bind(struct binder *binder, const struct scope *outer, uint32_t kind,
                         const struct statement *statements, struct place place)
{
    struct binding binding = { .binder = binder, .scope = create_scope(binder, outer, kind) };
    assert(binder->owner_count >= binder->schema->owners.count);
    if (!binding.scope)
        return NULL;
    binding.scope->place = place;
    binding.scope->statements = statements;
    if (outer)
        binding.scope->site_names = outer->site_names;
    binding.said = mem_zalloc((binder->schema->entries.count + 1) * sizeof(*binding.said));
    if (!binding.said)
        return NULL;
    begin_confs(&binding);
    for (const struct statement *s = statements; s && !binding.out_of_memory; s = s->next)
        part_unended(&binding, (struct statement *)s);
    clear_first(&binding, statements);
    for (const struct statement *s = statements; s && !binding.out_of_memory; s = s->next)
        bind_statement(&binding, s);
    if (!binding.out_of_memory)
        join_lists(&binding);
    mem_free(binding.said);
    return binding.out_of_memory ? NULL : binding.scope;
}
