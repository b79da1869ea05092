/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/module.h"

#include "base/mem.h"
#include "pipeline/crumb.h"
#include "pipeline/metrics.h"
#include "pipeline/module_check.h"
#include "pipeline/quarantine.h"

struct modules modules;

static weir_mod *failed;

static uint32_t take_room(uint32_t *sum, uint32_t size)
{
    uint32_t offset = *sum;
    *sum += (size + 15u) & ~15u;
    return offset;
}

/* Tables of an older module have narrower elements: they are copied once, and the copies live as long as the module. */
static const char *grow_tables(struct weir_module *desc)
{
    const char *why = module_grow_table(&desc->directives, sizeof(struct weir_directive), desc->name, "directives");
    if (!why)
        why = module_grow_table(&desc->hooks, sizeof(struct weir_hook), desc->name, "hooks");
    if (!why)
        why = module_grow_table(&desc->variables, sizeof(struct weir_variable), desc->name, "variables");
    if (!why)
        why = module_grow_table(&desc->metrics, sizeof(struct weir_metric), desc->name, "metrics");
    if (!why)
        why = module_grow_table(&desc->commands, sizeof(struct weir_command), desc->name, "commands");
    return why;
}

static void free_if_grown(const weir_table *grown, const weir_table *given)
{
    if (grown->base != given->base)
        mem_free((void *)(uintptr_t)grown->base);
}

static void free_tables(const struct weir_module *desc, const struct weir_module *given)
{
    free_if_grown(&desc->directives, &given->directives);
    free_if_grown(&desc->hooks, &given->hooks);
    free_if_grown(&desc->variables, &given->variables);
    free_if_grown(&desc->metrics, &given->metrics);
    free_if_grown(&desc->commands, &given->commands);
}

static const char *check_place(const struct weir_module *desc)
{
    const weir_mod *other = module_find(str_of(desc->name));
    if (other)
        return module_reason("module %s is loaded already%s" STR_FMT, desc->name,
                             other->path.n ? ", from " : " (built in)", STR_ARG(other->path));
    if (modules.count == MODULES_MOST)
        return module_reason("module %s: at most %d modules can be loaded", desc->name, MODULES_MOST);
    if (desc->metrics.count > METRICS_MOST - modules.metric_count)
        return module_reason("module %s: more than %d metrics in all", desc->name, METRICS_MOST);
    return NULL;
}

static weir_mod *create(const struct weir_module *desc, str path, str build)
{
    weir_mod *mod = mem_zalloc(sizeof(*mod) + path.n + build.n + 2);
    if (!mod)
        return NULL;
    mod->desc = *desc;
    mod->index = modules.count;
    mod->name = str_of(desc->name);
    if (path.n) {
        char *copy = (char *)(mod + 1);
        memcpy(copy, path.p, path.n);
        mod->path = (str){ copy, path.n };
    }
    if (build.n) {
        char *copy = (char *)(mod + 1) + path.n + 1;
        memcpy(copy, build.p, build.n);
        mod->build = (str){ copy, build.n };
    }
    mod->quarantine = quarantine_find(mod->name, mod->build);
    mod->owner = (struct owner){ .name = mod->name, .index = mod->index, .conf_size = desc->conf_size,
                                 .directives = desc->directives, .check = desc->check, .drop = desc->drop, .mod = mod };
    if (mod->quarantine && mod->quarantine->is_deep) {
        mod->owner.check = NULL;
        mod->owner.drop = NULL;
    }
    return mod;
}

static int load(weir_mod *mod)
{
    crumb_enter_main(mod);
    int rc = mod->desc.load(mod);
    crumb_leave_main();
    return rc;
}

uint32_t module_cost_index(const weir_mod *mod, uint32_t hook)
{
    return mod->cost_base ? mod->cost_base + hook : 0;
}

/* load() may already use its metrics and dictionaries, so the module is in the register when it runs. */
static const char *enlist(weir_mod *mod)
{
    struct modules before = modules;
    mod->ctx_offset = take_room(&modules.ctx_size, mod->desc.ctx_size);
    mod->conn_ctx_offset = take_room(&modules.conn_ctx_size, mod->desc.conn_ctx_size);
    mod->thread_offset = take_room(&modules.thread_size, mod->desc.thread_size);
    mod->metric_base = modules.metric_count;
    modules.metric_count += mod->desc.metrics.count;
    if (mod->desc.hooks.count < COSTS_MOST - modules.cost_count) {
        mod->cost_base = modules.cost_count + 1;
        modules.cost_count += mod->desc.hooks.count;
    }
    modules.all[modules.count++] = mod;
    crumb_name(mod->index, mod->name, mod->build);
    *mod->desc.api = &module_api;
    if (!mod->desc.load || (mod->quarantine && mod->quarantine->is_deep) || load(mod) == 0)
        return NULL;
    modules = before;
    mod->next_failed = failed;
    failed = mod;
    if (!mod->error[0])
        return module_reason("module " STR_FMT ": load() failed and did not say why", STR_ARG(mod->name));
    return module_reason("module " STR_FMT ": %s", STR_ARG(mod->name), mod->error);
}

const char *module_register(const struct weir_module *descriptor, str path, weir_mod **out)
{
    return module_register_build(descriptor, path, STR_NONE, out);
}

const char *module_register_build(const struct weir_module *descriptor, str path, str build, weir_mod **out)
{
    struct weir_module desc, given;
    const char *why = module_check_abi(descriptor, path, &desc);
    if (why)
        return why;
    given = desc;
    why = grow_tables(&desc);
    if (!why)
        why = module_check_tables(&desc);
    if (!why)
        why = check_place(&desc);
    if (why) {
        free_tables(&desc, &given);
        return why;
    }
    weir_mod *mod = create(&desc, path, build);
    if (!mod) {
        free_tables(&desc, &given);
        return "no memory";
    }
    why = enlist(mod);
    if (why)
        return why;
    *out = mod;
    return NULL;
}

weir_mod *module_find(str name)
{
    for (uint32_t i = 0; i < modules.count; i++)
        if (str_equal(modules.all[i]->name, name))
            return modules.all[i];
    return NULL;
}

const struct weir_hook *module_hook(const weir_mod *mod, uint32_t i)
{
    return (const struct weir_hook *)(const void *)((const char *)mod->desc.hooks.base +
                                                    (size_t)i * mod->desc.hooks.stride);
}

bool module_decides(const weir_mod *mod)
{
    for (uint32_t i = 0; i < mod->desc.hooks.count; i++)
        if (module_hook(mod, i)->flags & WEIR_DECIDES)
            return true;
    return false;
}
