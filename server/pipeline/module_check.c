/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/module_check.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { NAME_MOST = 31, HOOKS_MOST = 64, CONTEXT_MOST = 1024 * 1024, TABLE_MOST = 4096 };

static char reason[MODULE_REASON];

const char *module_reason(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(reason, sizeof(reason), fmt, ap);
    va_end(ap);
    return reason;
}

/* -- the descriptor itself ----------------------------------------------------------------------------------------- */

static bool is_word(const char *name, const char *more, size_t most)
{
    size_t n = 0;
    if (!name || name[0] < 'a' || name[0] > 'z')
        return false;
    for (; name[n]; n++) {
        bool fine = (name[n] >= 'a' && name[n] <= 'z') || (name[n] >= '0' && name[n] <= '9') || strchr(more, name[n]);
        if (!fine || n >= most)
            return false;
    }
    return true;
}

/* "tally" of "/usr/lib/weir/modules/tally.so": for descriptors whose fields cannot be read. */
static str name_of_path(str path)
{
    size_t from = path.n;
    while (from && path.p[from - 1] != '/')
        from--;
    str name = str_from(path, from);
    return str_has_suffix(name, S(".so")) ? str_upto(name, name.n - 3) : name;
}

static bool is_zero(const void *p, size_t n)
{
    const uint8_t *bytes = p;
    for (size_t i = 0; i < n; i++)
        if (bytes[i])
            return false;
    return true;
}

/* Newer headers make wider structs even when WEIR_TARGET is old: what lies beyond our end must then be unused. */
static const char *check_size(const struct weir_module *descriptor, str file)
{
    size_t least = offsetof(struct weir_module, conf_size), known = sizeof(*descriptor);
    if (descriptor->size < least)
        return module_reason("module " STR_FMT ": descriptor of %u bytes, at least %zu are needed", STR_ARG(file),
                             descriptor->size, least);
    if (descriptor->size > known && !is_zero((const char *)descriptor + known, descriptor->size - known))
        return module_reason("module %s uses fields that this weir does not know: upgrade weir", descriptor->name);
    return NULL;
}

const char *module_check_abi(const struct weir_module *descriptor, str path, struct weir_module *grown)
{
    str file = path.n ? name_of_path(path) : S("(built in)");
    if (descriptor->magic != WEIR_ABI_MAGIC)
        return module_reason("module " STR_FMT ": not a weir module (its descriptor begins with 0x%08x)", STR_ARG(file),
                             descriptor->magic);
    if (descriptor->abi_major != WEIR_ABI_MAJOR)
        return module_reason("module " STR_FMT " was built for ABI %u.%u, this weir offers %u.%u: the two do not fit "
                             "together, rebuild it with this weir's headers", STR_ARG(file), descriptor->abi_major,
                             descriptor->abi_minor, WEIR_ABI_MAJOR, WEIR_ABI_MINOR);
    if (descriptor->size >= offsetof(struct weir_module, conf_size) && !is_word(descriptor->name, "-_", NAME_MOST))
        return module_reason("module " STR_FMT ": its name must be a to z, 0 to 9, '-' and '_', at most %d bytes",
                             STR_ARG(file), NAME_MOST);
    if (descriptor->abi_minor > WEIR_ABI_MINOR)
        return module_reason(
            "module %s was built for ABI %u.%u, this weir offers %u.%u: rebuild it for an older target "
            "(WEIR_TARGET) or upgrade weir",
            descriptor->name, descriptor->abi_major, descriptor->abi_minor, WEIR_ABI_MAJOR, WEIR_ABI_MINOR);
    const char *why = check_size(descriptor, file);
    if (why)
        return why;
    if (!descriptor->api)
        return module_reason("module %s: no place for the host's table (.api)", descriptor->name);
    *grown = (struct weir_module){ 0 };
    memcpy(grown, descriptor, descriptor->size < sizeof(*grown) ? descriptor->size : sizeof(*grown));
    grown->size = sizeof(*grown);
    return NULL;
}

/* -- tables -------------------------------------------------------------------------------------------------------- */

const char *module_grow_table(weir_table *table, size_t size, const char *module, const char *what)
{
    const char *base = table->base;
    if (table->count == 0)
        return NULL;
    if (!base || !table->stride || table->count > TABLE_MOST)
        return module_reason("module %s: its table of %s is broken", module, what);
    if (table->stride >= size) {
        for (uint32_t i = 0; i < table->count; i++)
            if (!is_zero(base + (size_t)i * table->stride + size, table->stride - size))
                return module_reason("module %s: its table of %s uses fields that this weir does not know", module,
                                     what);
        return NULL;
    }
    char *wide = mem_array(table->count, size);
    if (!wide)
        return "no memory";
    for (uint32_t i = 0; i < table->count; i++)
        memcpy(wide + i * size, base + (size_t)i * table->stride, table->stride);
    *table = (weir_table){ wide, table->count, (uint32_t)size };
    return NULL;
}

static const void *element(const weir_table *table, uint32_t i)
{
    return (const char *)table->base + (size_t)i * table->stride;
}

static const char *check_transport(const char *module, const struct weir_transport *transport)
{
    if (transport->size < sizeof(*transport))
        return module_reason("module %s: transport of %u bytes, %zu are needed", module, transport->size,
                             sizeof(*transport));
    if (!transport->name || !transport->handshake || !transport->readv || !transport->writev || !transport->shutdown ||
        !transport->close || !transport->pending || !transport->alpn)
        return module_reason("module %s: transport %s lacks calls that both roles need", module,
                             transport->name ? transport->name : "without a name");
    if (!transport->accept && !(transport->prepare && transport->release && transport->open))
        return module_reason("module %s: transport %s can neither accept nor open", module, transport->name);
    return NULL;
}

static const char *check_shape(const char *module, uint32_t i, const struct weir_hook *hook)
{
    static const char *const shapes[] = { "conn", "req", "bytes", "transport", "balance" };
    const bool set[] = { hook->conn != NULL, hook->req != NULL, hook->bytes != NULL, hook->transport != NULL,
                         hook->balance != NULL };
    enum stage stage = stage_of(hook->stage);
    if (stage == STAGE_NONE)
        return module_reason("module %s: hook %u stands at stage %u, which this weir does not have", module, i,
                             hook->stage);
    enum stage_shape shape = stage_shape(stage);
    str name = stage_name(stage);
    int count = set[0] + set[1] + set[2] + set[3] + set[4];
    if (count != 1)
        return module_reason("module %s: hook %u (" STR_FMT ") has %d callbacks, exactly one is allowed", module, i,
                             STR_ARG(name), count);
    if (!set[shape])
        return module_reason("module %s: hook %u stands at " STR_FMT ", which takes a .%s callback", module, i,
                             STR_ARG(name), shapes[shape]);
    return NULL;
}

static const char *check_hook(const char *module, uint32_t i, const struct weir_hook *hook)
{
    const uint32_t known =
        WEIR_FAIL_OPEN | WEIR_EXCLUSIVE | WEIR_CHANGES_LENGTH | WEIR_DRY_OK | WEIR_ENGAGED | WEIR_DECIDES;
    const char *why = check_shape(module, i, hook);
    if (why)
        return why;
    if (hook->flags & ~known)
        return module_reason("module %s: hook %u has flags that this weir does not know (0x%x)", module, i,
                             hook->flags & ~known);
    if (hook->transport)
        return check_transport(module, hook->transport);
    if (hook->balance && (!hook->balance->name || !hook->balance->pick))
        return module_reason("module %s: hook %u: a balancer needs a name and pick()", module, i);
    return NULL;
}

/* Names that others meet begin with the module's own, '-' as '_'. */
static bool begins_with_module(const char *name, const char *module)
{
    size_t i = 0;
    for (; module[i]; i++)
        if (name[i] != (module[i] == '-' ? '_' : module[i]))
            return false;
    return name[i] == '\0' || name[i] == '_';
}

static const char *check_variable(const char *module, const struct weir_variable *variable)
{
    if (!is_word(variable->name, "_", 64))
        return module_reason("module %s: variable names are a to z, 0 to 9 and '_'", module);
    if (!begins_with_module(variable->name, module))
        return module_reason("module %s: variable $%s must begin with the module's name", module, variable->name);
    if (!variable->get)
        return module_reason("module %s: variable $%s has no getter", module, variable->name);
    if (variable->flags & ~(WEIR_VAR_PREFIX | WEIR_VAR_VOLATILE))
        return module_reason("module %s: variable $%s has flags that this weir does not know", module, variable->name);
    return NULL;
}

static const char *check_metric(const char *module, const struct weir_metric *metric)
{
    if (!is_word(metric->name, "_", 64))
        return module_reason("module %s: metric names are a to z, 0 to 9 and '_'", module);
    if (metric->kind > WEIR_GAUGE)
        return module_reason("module %s: metric %s is of a kind that this weir does not know", module, metric->name);
    if ((metric->kind == WEIR_COUNTER) != str_has_suffix(str_of(metric->name), S("_total")))
        return module_reason("module %s: metric %s: counters, and only they, end in _total", module, metric->name);
    return NULL;
}

static const char *check_command(const char *module, const struct weir_command *command)
{
    if (!is_word(command->name, "-", 64))
        return module_reason("module %s: command names are a to z, 0 to 9 and '-'", module);
    if (!command->run || !command->usage || !command->doc)
        return module_reason("module %s: command %s lacks its function, usage or doc", module, command->name);
    return NULL;
}

const char *module_check_tables(const struct weir_module *module)
{
    const char *why = NULL;
    if (module->ctx_size > CONTEXT_MOST || module->conn_ctx_size > CONTEXT_MOST || module->thread_size > CONTEXT_MOST)
        return module_reason("module %s: a context of more than %d bytes", module->name, CONTEXT_MOST);
    if (module->hooks.count > HOOKS_MOST)
        return module_reason("module %s: %u hooks, at most %d are possible", module->name, module->hooks.count,
                             HOOKS_MOST);
    for (uint32_t i = 0; !why && i < module->hooks.count; i++)
        why = check_hook(module->name, i, element(&module->hooks, i));
    for (uint32_t i = 0; !why && i < module->variables.count; i++)
        why = check_variable(module->name, element(&module->variables, i));
    for (uint32_t i = 0; !why && i < module->metrics.count; i++)
        why = check_metric(module->name, element(&module->metrics, i));
    for (uint32_t i = 0; !why && i < module->commands.count; i++)
        why = check_command(module->name, element(&module->commands, i));
    return why;
}
