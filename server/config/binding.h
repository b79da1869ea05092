/* SPDX-License-Identifier: BSD-2-Clause */
/* binding.h: one scope while it is being bound: between bind.c (statements) and merge.c (what comes from outside). */
#ifndef CONFIG_BINDING_H
#define CONFIG_BINDING_H

#include "config/args.h"

/* A list of this scope's own, to be joined with the outer scope's when all statements are in. */
struct own_list {
    const struct owner *owner;
    uint32_t offset; /* of its weir_table in conf */
    uint32_t merge, item_size;
    weir_table outer; /* what it is joined with */
    struct vec items;
};

struct binding {
    struct binder *binder;
    struct scope *scope;
    struct vec lists;              /* of struct own_list */
    const struct statement **said; /* by entry index: where it was said first in this scope */
    bool out_of_memory;
};

/* This scope's own struct of the owner: made on first use from the outer one. NULL without memory. */
void *own_conf(struct binding *binding, const struct owner *owner);
/* The list at offset in the owner's conf; made on first use. NULL without memory. */
struct own_list *own_list(struct binding *binding, const struct owner *owner, uint32_t offset, uint32_t merge,
                          uint32_t item_size);
void join_lists(struct binding *binding);
/* Defaults back (lists: emptied), in this scope's own struct. */
void reset_directive(struct binding *binding, const struct schema_entry *entry);
/* For top: every owner's struct with defaults. Else: outer structs shared, those with local values as own ones. */
void begin_confs(struct binding *binding);

static inline const struct schema_entry *entry_at(const struct schema *schema, uint32_t i)
{
    return *vec_at(&schema->entries, struct schema_entry *, i);
}
static inline const struct owner *owner_at(const struct schema *schema, uint32_t i)
{
    return *vec_at(&schema->owners, const struct owner *, i);
}

/* Several statements of it in one scope add up, or may stand there for another reason. */
static inline bool may_repeat(const struct weir_directive *directive)
{
    bool adds = directive->merge == WEIR_MERGE_APPEND || directive->merge == WEIR_MERGE_INNER_FIRST;
    return directive->record_size || adds || (directive->flags & WEIR_DIR_REPEATABLE);
}
/* `NAME clear;` */
static inline bool is_clear(const struct statement *statement)
{
    return statement->arg_count == 1 && !statement->has_block && statement->args[0].quote == WORD_BARE &&
           str_equal(statement->args[0].text, S("clear"));
}

#endif
