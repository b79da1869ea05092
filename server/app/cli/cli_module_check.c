/* SPDX-License-Identifier: BSD-2-Clause */
/* cli_module_check.c: `weir module check`: what a module's file says of itself, and whether this weir would load it. */
#define _GNU_SOURCE 1
#include "pipeline/module_check.h"

#include "app/cli/cli.h"
#include "app/house/configuration.h"
#include "app/cli/elf_symbols.h"
#include "app/house/loader.h"
#include "base/mem.h"
#include "config/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct checking {
    struct arena *arena;
    str path, file; /* its bytes */
    struct elf_symbols symbols;
    struct loader_look look;
    struct weir_module module; /* grown to this weir's size */
    struct schema schema;      /* its directives beside weir's own */
    struct owner owner;
    bool is_refused;
};

static void refuse(struct checking *checking, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct checking *checking, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, STR_FMT ": error: ", STR_ARG(checking->path));
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    checking->is_refused = true;
}

/* -- its file ------------------------------------------------------------------------------------------------------ */

static bool map_file(struct checking *checking)
{
    struct stat st;
    str path = arena_str(checking->arena, checking->path);
    int fd = path.p ? open(path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    void *p = MAP_FAILED;

    if (fd >= 0 && fstat(fd, &st) == 0) {
        if (S_ISREG(st.st_mode) && st.st_size > 0)
            p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        else
            errno = S_ISDIR(st.st_mode) ? EISDIR : ENOEXEC;
    }
    if (p == MAP_FAILED)
        refuse(checking, "%s", strerror(errno));
    else
        checking->file = (str){ p, (size_t)st.st_size };
    if (fd >= 0)
        close(fd);
    return p != MAP_FAILED;
}

/* What linkers and sanitizers put there by themselves. */
static bool is_tool_symbol(str name)
{
    static const char *const whole[] = { "_init", "_fini", "_edata", "_end", "__bss_start" };
    static const char *const begins[] = { "__odr_asan", "__asan_", "__start_", "__stop_" };

    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        if (str_equal(name, str_of(whole[i])))
            return true;
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
        if (str_has_prefix(name, str_of(begins[i])))
            return true;
    return false;
}

static bool has_descriptor(const struct checking *checking)
{
    for (uint32_t i = 0; i < checking->symbols.exports.count; i++)
        if (str_equal(*vec_at(&checking->symbols.exports, str, i), S("weir_module")))
            return true;
    return false;
}

static void check_symbols(struct checking *checking)
{
    for (uint32_t i = 0; i < checking->symbols.exports.count; i++) {
        str name = *vec_at(&checking->symbols.exports, str, i);
        if (!str_equal(name, S("weir_module")) && !is_tool_symbol(name))
            refuse(checking, "exports " STR_FMT ": weir_module must be the only one (static, or -fvisibility=hidden)",
                   STR_ARG(name));
    }
    for (uint32_t i = 0; i < checking->symbols.imports.count; i++) {
        str name = vec_at(&checking->symbols.imports, struct elf_import, i)->name;
        if (str_has_prefix(name, S("weir_")))
            refuse(checking, "imports " STR_FMT ": weir exports nothing, its calls come through <weir/weir.h>",
                   STR_ARG(name));
    }
}

static void check_imports(struct checking *checking)
{
    for (uint32_t i = 0; i < checking->symbols.imports.count; i++) {
        const struct elf_import *import = vec_at(&checking->symbols.imports, struct elf_import, i);
        str name = arena_str(checking->arena, import->name);
        if (import->is_weak || !name.p || str_has_prefix(name, S("weir_")) ||
            loader_look_finds(&checking->look, name.p))
            continue;
        refuse(checking,
               "imports " STR_FMT ", which neither libc nor the libraries it names have (link with -Wl,-z,defs)",
               STR_ARG(name));
    }
}

/* -- its descriptor ------------------------------------------------------------------------------------------------ */

static const char *grow_tables(struct weir_module *m)
{
    const char *why = module_grow_table(&m->directives, sizeof(struct weir_directive), m->name, "directives");

    if (!why)
        why = module_grow_table(&m->hooks, sizeof(struct weir_hook), m->name, "hooks");
    if (!why)
        why = module_grow_table(&m->variables, sizeof(struct weir_variable), m->name, "variables");
    if (!why)
        why = module_grow_table(&m->metrics, sizeof(struct weir_metric), m->name, "metrics");
    return why;
}

static void free_if_grown(const weir_table *table, const weir_table *given)
{
    if (table->base != given->base)
        mem_free((void *)(uintptr_t)table->base);
}

/* Beside those of weir itself, as they would stand in a configuration. */
static const char *check_directives(struct checking *checking)
{
    const struct weir_module *m = &checking->module;
    const char *why = NULL;

    schema_init(&checking->schema, checking->arena);
    for (uint32_t i = 0; !why && i < modules.count; i++)
        why = schema_add(&checking->schema, &modules.all[i]->owner);
    checking->owner = (struct owner){
        .name = str_of(m->name), .index = modules.count, .conf_size = m->conf_size, .directives = m->directives
    };
    return why ? why : schema_add(&checking->schema, &checking->owner);
}

static bool check_descriptor(struct checking *checking)
{
    const char *why = module_check_abi(checking->look.descriptor, checking->path, &checking->module);

    if (why) {
        refuse(checking, "%s", why);
        return false;
    }
    loader_register_builtin();
    why = grow_tables(&checking->module);
    if (!why)
        why = module_check_tables(&checking->module);
    if (!why && module_find(str_of(checking->module.name)))
        why = module_reason("a part of weir itself is called %s: take another name", checking->module.name);
    if (!why)
        why = check_directives(checking);
    if (why)
        refuse(checking, "%s", why);
    return !why;
}

/* -- printing ------------------------------------------------------------------------------------------------------ */

static const char *text_or(const char *text, const char *other)
{
    return text && text[0] ? text : other;
}

static const void *element(const weir_table *table, uint32_t i)
{
    return (const char *)table->base + (size_t)i * table->stride;
}

static void print_directives(const struct checking *checking)
{
    bool is_first = true;

    for (uint32_t i = 0; i < checking->schema.entries.count; i++) {
        const struct schema_entry *entry = *vec_at(&checking->schema.entries, struct schema_entry *, i);
        if (entry->owner != &checking->owner)
            continue;
        const struct weir_directive *directive = entry->directive;
        str line = usage_line(checking->arena, str_of(directive->name), entry->args, directive->args.count);
        str scopes = scopes_in_words(checking->arena, directive->scopes, "or");
        printf("%s" STR_FMT "\n                %s (" STR_FMT ")\n", is_first ? "  directives  " : "              ",
               STR_ARG(line), text_or(directive->doc, "no documentation"), STR_ARG(scopes));
        is_first = false;
    }
}

static void print_words(const char *before, const char *words)
{
    if (words && words[0])
        printf(", %s %s", before, words);
}

static void print_hooks(const struct checking *checking)
{
    const weir_table *table = &checking->module.hooks;

    for (uint32_t i = 0; i < table->count; i++) {
        const struct weir_hook *hook = element(table, i);
        str stage = stage_name(stage_of(hook->stage));
        printf("%s%-10.*s %s, fails %s", i ? "              " : "  hooks       ", STR_ARG(stage),
               text_or(hook->name, checking->module.name), hook->flags & WEIR_FAIL_OPEN ? "open" : "closed");
        print_words("provides", hook->provides);
        print_words("after", hook->after);
        print_words("before", hook->before);
        printf("\n");
    }
}

static void print_variables(const struct checking *checking)
{
    const weir_table *table = &checking->module.variables;

    for (uint32_t i = 0; i < table->count; i++) {
        const struct weir_variable *variable = element(table, i);
        printf("%s$%s%s: %s\n", i ? "              " : "  variables   ", variable->name,
               variable->flags & WEIR_VAR_PREFIX ? "..." : "", text_or(variable->doc, "no documentation"));
    }
}

static void print_metrics(const struct checking *checking)
{
    const weir_table *table = &checking->module.metrics;
    str module = arena_str(checking->arena, str_of(checking->module.name));

    for (size_t i = 0; i < module.n; i++)
        if (module.p[i] == '-')
            ((char *)(uintptr_t)module.p)[i] = '_';
    for (uint32_t i = 0; i < table->count; i++) {
        const struct weir_metric *metric = element(table, i);
        printf("%sweir_" STR_FMT "_%s (%s): %s\n", i ? "              " : "  metrics     ", STR_ARG(module),
               metric->name, metric->kind == WEIR_GAUGE ? "gauge" : "counter",
               text_or(metric->doc, "no documentation"));
    }
}

static void print_module(const struct checking *checking)
{
    const struct weir_module *m = &checking->module;

    printf("%s %s: %s\n", m->name, text_or(m->version, "(no version)"), text_or(m->summary, "(no summary)"));
    printf("  licence     %s\n", text_or(m->license, "(not said)"));
    printf("  ABI         needs %u.%u, this weir offers %u.%u\n", m->abi_major, m->abi_minor, WEIR_ABI_MAJOR,
           WEIR_ABI_MINOR);
    print_directives(checking);
    print_hooks(checking);
    print_variables(checking);
    print_metrics(checking);
    printf("  libraries  ");
    for (uint32_t i = 0; i < checking->symbols.libraries.count; i++) {
        str library = *vec_at(&checking->symbols.libraries, str, i);
        printf(" " STR_FMT, STR_ARG(library));
    }
    printf("%s, %u symbols of theirs\n", checking->symbols.libraries.count ? "" : " none",
           checking->symbols.imports.count);
}

/* -- the command --------------------------------------------------------------------------------------------------- */

static void look_inside(struct checking *checking)
{
    struct weir_module given;
    str why;

    if (!loader_look(checking->path, checking->arena, &checking->look, &why)) {
        refuse(checking, "cannot be loaded: " STR_FMT, STR_ARG(why));
        return;
    }
    check_imports(checking);
    given = *checking->look.descriptor;
    if (check_descriptor(checking))
        print_module(checking);
    free_if_grown(&checking->module.directives, &given.directives);
    free_if_grown(&checking->module.hooks, &given.hooks);
    free_if_grown(&checking->module.variables, &given.variables);
    free_if_grown(&checking->module.metrics, &given.metrics);
    loader_look_end(&checking->look);
}

static void check(struct checking *checking)
{
    if (!map_file(checking))
        return;
    const char *why = elf_read_symbols(checking->file, checking->arena, &checking->symbols);
    if (why) {
        refuse(checking, "%s", why);
    } else if (!has_descriptor(checking)) {
        refuse(checking, "is no weir module: it exports no weir_module, which WEIR_MODULE(...) makes");
    } else {
        check_symbols(checking);
        look_inside(checking);
    }
    munmap((void *)(uintptr_t)checking->file.p, checking->file.n);
}

int cli_module_check(const struct cli_call *call)
{
    struct checking checking = { .arena = arena_create(64 * 1024, 0), .path = str_of(call->args[0]) };

    if (!checking.arena)
        return CLI_FAILED;
    check(&checking);
    arena_destroy(checking.arena);
    if (!checking.is_refused)
        printf("%s: ok\n", call->args[0]);
    return fflush(stdout) == 0 && !checking.is_refused ? CLI_OK : CLI_FAILED;
}
