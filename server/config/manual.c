/* SPDX-License-Identifier: BSD-2-Clause */
/* manual.c: the reference pages, made from the tables that the server binds by. */
#include "config/schema.h"
#include "config/usage.h"
#include "config/value.h"

#include <inttypes.h>

static const char *merge_in_words(const struct weir_directive *directive)
{
    bool is_list = directive->record_size != 0;
    switch (directive->merge) {
    case WEIR_MERGE_APPEND: return "what an inner scope says is added behind the outer scope's";
    case WEIR_MERGE_INNER_FIRST: return "what an inner scope says is asked before the outer scope's";
    case WEIR_MERGE_REPLACE: return "what an inner scope says replaces all of the outer scope's";
    case WEIR_MERGE_LOCAL: return "holds only in the scope that says it";
    default: break;
    }
    if (is_list)
        return "what an inner scope says is added behind the outer scope's";
    return directive->args.count > 1 ? "what an inner scope says replaces the outer scope's, argument by argument"
                                     : "what an inner scope says replaces the outer scope's";
}

static void print_bounds(const struct weir_arg *arg, struct arena *arena, FILE *out)
{
    bool is_number = arg->type == WEIR_TYPE_UINT || arg->type == WEIR_TYPE_SIZE || arg->type == WEIR_TYPE_DURATION;
    if (!is_number || (arg->min == 0 && arg->max == 0))
        return;
    str min = value_print(arg->type, NULL, &arg->min, arena), max = value_print(arg->type, NULL, &arg->max, arena);
    if (arg->max == 0)
        fprintf(out, "- `%s`: at least " STR_FMT "\n", arg->name, STR_ARG(min));
    else
        fprintf(out, "- `%s`: from " STR_FMT " to " STR_FMT "\n", arg->name, STR_ARG(min), STR_ARG(max));
}

static void print_entry(const struct schema_entry *entry, struct arena *arena, FILE *out)
{
    const struct weir_directive *directive = entry->directive;
    uint32_t count = directive->args.count;
    str usage = usage_line(arena, str_of(directive->name), entry->args, count);
    str fallback = usage_default(arena, entry->args, count);
    str where = scopes_in_words(arena, directive->scopes, "and");
    fprintf(out, "## %s\n\n    " STR_FMT "\n\n", directive->name, STR_ARG(usage));
    if (directive->doc && *directive->doc)
        fprintf(out, "%s\n\n", directive->doc);
    fprintf(out, "- where: " STR_FMT "\n", STR_ARG(where));
    if (fallback.n)
        fprintf(out, "- default: `" STR_FMT "`\n", STR_ARG(fallback));
    for (uint32_t i = 0; i < count; i++)
        print_bounds(&entry->args[i], arena, out);
    fprintf(out, "- inner scopes: %s\n", merge_in_words(directive));
    if (directive->record_size || (directive->flags & WEIR_DIR_REPEATABLE))
        fprintf(out, "- may stand several times in one scope\n");
    fprintf(out, "\n");
}

void schema_print_manual(const struct schema *schema, const struct owner *owner, FILE *out)
{
    struct arena *arena = arena_create(4096, 0);
    if (!arena)
        return;
    fprintf(out, "# " STR_FMT "\n\n", STR_ARG(owner->name));
    for (uint32_t i = 0; i < schema->entries.count; i++) {
        const struct schema_entry *entry = *vec_at(&schema->entries, struct schema_entry *, i);
        if (entry->owner == owner)
            print_entry(entry, arena, out);
    }
    arena_destroy(arena);
}
