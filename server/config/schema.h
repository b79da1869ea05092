/* SPDX-License-Identifier: BSD-2-Clause */
/* schema.h: all directives there are, by name: the core's and the modules', in one register.
 *
 * Owner:   the register lies in its arena; directive tables belong to their modules (constant, for ever).
 * Errors:  a name declared twice for the same scope is refused with both owners' names. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "base/arena.h"
#include "base/hash.h"

#include <stdio.h>

#include <weir/conf.h>

struct owner { /* a module or a part of the core, as far as configuration is concerned */
    str name;
    uint32_t index; /* into a scope's confs */
    uint32_t conf_size;
    weir_table directives;
    int (*check)(weir_conf *conf, void *scope);
    void (*drop)(void *scope);
    weir_mod *mod; /* for the SDK's conf_mod; NULL for the core */
};

struct schema_entry {
    const struct owner *owner;
    const struct weir_directive *directive; /* a copy in which every element has today's size (see weir_table) */
    const struct weir_arg *args;            /* likewise */
    uint32_t index;                         /* into entries */
    struct schema_entry *same_name;         /* another one of this name, for other scopes */
};

struct schema_block { /* `site NAME... { }` and the like: structure, not values; their meaning is the app's */
    str name;
    uint32_t scopes;             /* where it may stand */
    uint32_t inside;             /* which scope it opens */
    const char *arguments, *doc; /* for the manual: "NAME..." */
};

struct schema {
    struct arena *arena;
    struct strmap by_name;  /* of struct schema_entry */
    struct vec owners;      /* of const struct owner * */
    struct vec blocks;      /* of struct schema_block */
    struct vec entries;     /* of struct schema_entry *, as they were added */
    struct strmap unloaded; /* directive name -> str *, the module that would bring it */
};

void schema_init(struct schema *schema, struct arena *arena);
/* NULL, or why not (text in the arena). Also checks the table itself: known types, offsets within conf_size, sane
 * defaults. */
const char *schema_add(struct schema *schema, const struct owner *owner);
bool schema_add_block(struct schema *schema, struct schema_block block);
const struct schema_entry *schema_find(const struct schema *schema, str name, uint32_t scope); /* scope 0: any */
const struct schema_block *schema_find_block(const struct schema *schema, str name);
/* Tells of a directive whose module is not loaded, so that a message can say so. False without memory. */
bool schema_know(struct schema *schema, str directive, str module);
str schema_nearest(const struct schema *schema, str name, uint32_t scope);                   /* for "did you mean" */
void schema_print_manual(const struct schema *schema, const struct owner *owner, FILE *out); /* Markdown, one owner */

#endif
