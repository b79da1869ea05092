/* SPDX-License-Identifier: BSD-2-Clause */
/* merge.c: what an inner scope has from the outer one: copied structs, joined lists, defaults put back. */
#include "config/binding.h"
#include "config/value.h"

static weir_table *table_at(void *conf, uint32_t offset)
{
    return (weir_table *)(void *)((char *)conf + offset);
}

static void fail_owner(struct binding *binding, const struct owner *owner)
{
    binding->scope->state[owner->index] |= SCOPE_FAILED;
}

static void reset_args(struct binding *binding, const struct schema_entry *entry, void *conf)
{
    struct arg_target target = { .binder = binding->binder, .scope = binding->scope, .to = conf };
    for (uint32_t i = 0; i < entry->directive->args.count; i++)
        if (!args_reset_one(&target, &entry->args[i], entry->owner->name))
            fail_owner(binding, entry->owner);
}

void reset_directive(struct binding *binding, const struct schema_entry *entry)
{
    void *conf = own_conf(binding, entry->owner);
    if (!conf)
        return;
    if (entry->directive->record_size)
        *table_at(conf, entry->directive->offset) = (weir_table){ 0 };
    else
        reset_args(binding, entry, conf);
    bool adds = entry->directive->merge == WEIR_MERGE_APPEND || entry->directive->merge == WEIR_MERGE_INNER_FIRST;
    for (uint32_t i = 0; adds && entry->directive->record_size == 0 && i < entry->directive->args.count; i++)
        if (entry->args[i].flags & (WEIR_ARG_REST | WEIR_ARG_LIST))
            *table_at(conf, entry->args[i].offset) = (weir_table){ 0 }; /* a list is emptied */
}

/* The struct as statements left it: check() may have put things into it that are its own. */
static const void *merged_outer(const struct scope *outer, uint32_t i)
{
    while (outer->outer && !(outer->state[i] & SCOPE_OWN))
        outer = outer->outer; /* whose struct it shares */
    return outer->unchecked && outer->unchecked[i] ? outer->unchecked[i] : outer->confs[i];
}

static void reset_locals(struct binding *binding, const struct owner *owner)
{
    const struct schema *schema = binding->binder->schema;
    for (uint32_t i = 0; i < schema->entries.count; i++) {
        const struct schema_entry *entry = entry_at(schema, i);
        if (entry->owner == owner && entry->directive->merge == WEIR_MERGE_LOCAL)
            reset_directive(binding, entry);
    }
}

void *own_conf(struct binding *binding, const struct owner *owner)
{
    struct scope *scope = binding->scope;
    uint32_t i = owner->index;
    if ((scope->state[i] & SCOPE_OWN) || owner->conf_size == 0)
        return scope->confs[i];
    void *conf = arena_dup(binding->binder->arena, merged_outer(scope->outer, i), owner->conf_size);
    if (!conf) {
        binding->out_of_memory = true;
        return NULL;
    }
    scope->confs[i] = conf;
    scope->state[i] |= SCOPE_OWN;
    if (scope->outer->state[i] & SCOPE_LOCAL)
        reset_locals(binding, owner);
    return conf;
}

struct own_list *own_list(struct binding *binding, const struct owner *owner, uint32_t offset, uint32_t merge,
                          uint32_t item_size)
{
    for (uint32_t i = 0; i < binding->lists.count; i++) {
        struct own_list *list = vec_at(&binding->lists, struct own_list, i);
        if (list->owner == owner && list->offset == offset)
            return list;
    }
    void *conf = own_conf(binding, owner);
    struct own_list *list = conf ? vec_push(binding->binder->arena, &binding->lists, sizeof(*list)) : NULL;
    if (list)
        *list = (struct own_list){
            .owner = owner, .offset = offset, .merge = merge, .item_size = item_size, .outer = *table_at(conf, offset)
        };
    else
        binding->out_of_memory = true;
    return list;
}

static weir_table joined(struct binding *binding, weir_table first, weir_table second, uint32_t item_size)
{
    if (first.count == 0 || second.count == 0)
        return first.count ? first : second;
    size_t n = (size_t)first.count * item_size, m = (size_t)second.count * item_size;
    char *to = arena_alloc(binding->binder->arena, n + m);
    if (!to) {
        binding->out_of_memory = true;
        return first;
    }
    memcpy(to, first.base, n);
    memcpy(to + n, second.base, m);
    return (weir_table){ to, first.count + second.count, item_size };
}

void join_lists(struct binding *binding)
{
    for (uint32_t i = 0; i < binding->lists.count; i++) {
        struct own_list *list = vec_at(&binding->lists, struct own_list, i);
        weir_table own = { list->items.items, list->items.count, list->item_size };
        weir_table *to = table_at(binding->scope->confs[list->owner->index], list->offset);
        switch (list->merge) {
        case WEIR_MERGE_INNER_FIRST: *to = joined(binding, own, list->outer, list->item_size); break;
        case WEIR_MERGE_REPLACE: *to = own.count ? own : list->outer; break;
        case WEIR_MERGE_LOCAL: *to = own; break;
        default: *to = joined(binding, list->outer, own, list->item_size); break; /* "a list set inside adds" */
        }
    }
}

static void begin_top(struct binding *binding)
{
    struct binder *binder = binding->binder;
    struct scope *scope = binding->scope;
    for (uint32_t i = 0; i < binder->schema->owners.count; i++) {
        const struct owner *owner = owner_at(binder->schema, i);
        if (owner->conf_size == 0)
            continue;
        scope->confs[owner->index] = arena_zalloc(binder->arena, owner->conf_size);
        scope->state[owner->index] = SCOPE_OWN;
        binding->out_of_memory |= !scope->confs[owner->index];
    }
    for (uint32_t i = 0; i < binder->schema->entries.count && !binding->out_of_memory; i++) {
        const struct schema_entry *entry = entry_at(binder->schema, i);
        if (entry->directive->record_size == 0 && entry->owner->conf_size)
            reset_args(binding, entry, scope->confs[entry->owner->index]);
    }
}

void begin_confs(struct binding *binding)
{
    struct scope *scope = binding->scope;
    const struct scope *outer = scope->outer;
    if (!outer) {
        begin_top(binding);
        return;
    }
    memcpy(scope->confs, outer->confs, scope->owner_count * sizeof(void *));
    for (uint32_t i = 0; i < binding->binder->schema->owners.count; i++) {
        const struct owner *owner = owner_at(binding->binder->schema, i);
        scope->state[owner->index] = outer->state[owner->index] & SCOPE_FAILED;
        if (outer->state[owner->index] & SCOPE_LOCAL)
            own_conf(binding, owner);
    }
}
