/* SPDX-License-Identifier: BSD-2-Clause */
/* configuration_print.c: a configuration as the command line shows it: dump, pipeline, modules. */
#include "app/house/configuration.h"

#include "app/house/loading.h"

#include <stdlib.h>

static int status_of(FILE *out)
{
    return fflush(out) == 0 && !ferror(out) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* -- dump ---------------------------------------------------------------------------------------------------------- */

static void print_indent(unsigned indent, FILE *out)
{
    fprintf(out, "%*s", (int)(4 * indent), "");
}

static void open_block(const struct statement *statement, unsigned indent, FILE *out)
{
    fputc('\n', out);
    print_indent(indent, out);
    statement_print(statement, out);
    fprintf(out, " { # %.*s:%u\n", STR_ARG(statement->source->path), statement->name.line);
}

static void close_block(unsigned indent, FILE *out)
{
    print_indent(indent, out);
    fputs("}\n", out);
}

static void dump_site(const struct schema *schema, const struct site *site, FILE *out)
{
    open_block(site->statement, 0, out);
    scope_dump(schema, site->scope, site->scope->statements, 1, out);
    for (uint32_t i = 0; site->routes && i < site->routes->all.count; i++) {
        const struct route *route = *vec_at(&site->routes->all, struct route *, i);
        open_block(route->statement, 1, out);
        scope_dump(schema, route->scope, route->scope->statements, 2, out);
        close_block(1, out);
    }
    close_block(0, out);
}

int configuration_print_dump(const struct configuration *configuration, FILE *out)
{
    const struct snapshot *snapshot = configuration->snapshot;
    const struct house *house = loading_of(configuration)->house;

    if (!snapshot)
        return EXIT_FAILURE;
    scope_dump(snapshot->schema, snapshot->top, snapshot->top->statements, 0, out);
    for (uint32_t i = 0; i < house->blocks.count; i++) {
        const struct upstream_block *block = vec_at(&house->blocks, struct upstream_block, i);
        open_block(block->statement, 0, out);
        scope_dump(snapshot->schema, block->scope, block->scope->statements, 1, out);
        close_block(0, out);
    }
    for (const struct site *site = house->sites.first; site; site = site->next)
        dump_site(snapshot->schema, site, out);
    return status_of(out);
}

/* -- pipeline and modules ------------------------------------------------------------------------------------------ */

int configuration_print_pipeline(const struct configuration *configuration, FILE *out)
{
    if (!configuration->snapshot)
        return EXIT_FAILURE;
    order_print(&configuration->snapshot->order, out);
    return status_of(out);
}

static void print_module(const weir_mod *mod, FILE *out)
{
    const struct weir_module *desc = &mod->desc;
    const char *at = desc->directives.base;

    fprintf(out, "%-12.*s %-10s ABI %u.%u  %s", STR_ARG(mod->name), desc->version ? desc->version : "-",
            desc->abi_major, desc->abi_minor, desc->license ? desc->license : "-");
    if (mod->path.n)
        fprintf(out, "  %.*s", STR_ARG(mod->path));
    fprintf(out, "\n    %s\n", desc->summary ? desc->summary : "");
    for (uint32_t i = 0; i < desc->directives.count; i++, at += desc->directives.stride) {
        const struct weir_directive *directive = (const struct weir_directive *)(const void *)at;
        fprintf(out, "    %-20s %s\n", directive->name, directive->doc ? directive->doc : "");
    }
}

int configuration_print_modules(const struct configuration *configuration, FILE *out, bool manual)
{
    const struct snapshot *snapshot = configuration->snapshot;
    const struct house *house = loading_of(configuration)->house;

    if (!snapshot)
        return EXIT_FAILURE;
    for (uint32_t i = 0; i < house->mod_count; i++) {
        if (manual)
            schema_print_manual(snapshot->schema, &house->mods[i]->owner, out);
        else
            print_module(house->mods[i], out);
    }
    return status_of(out);
}
