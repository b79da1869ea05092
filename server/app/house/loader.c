/* SPDX-License-Identifier: BSD-2-Clause */
/* The register of what was loaded tells a file by device, inode and time of change: a module replaced on disk is not
 * the one that runs. */
#include "app/house/loader.h"

#include "app/house/builtin.h"
#include "app/house/configuration.h"
#include "app/process/crash.h"
#include "app/house/module_build.h"
#include "base/diag.h"
#include "base/log.h"
#include "base/mem.h"
#include "pipeline/quarantine.h"
#include "upstream/balancers.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

const struct weir_api *weir_api_; /* the built-in parts' */

enum { FOLDER_MOST = 256 }; /* modules of one folder that are looked at */

/* -- built in ------------------------------------------------------------------------------------------------------ */

static const struct weir_module *const builtin[] = {
    &core_module,     &process_module,  &site_module,    &maintenance_module, &respond_module,
    &redirect_module, &health_module,   &metrics_module, &files_module,       &proxy_module,
    &upstream_module, &round_robin_module, &least_conn_module, &random_module, &hash_module,
    &ip_hash_module,  &ewma_module,
};

void loader_register_builtin(void)
{
    static bool done;

    if (done)
        return;
    done = true;
    for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++) {
        struct weir_module module = *builtin[i];
        weir_mod *mod;
        if (!module.api)
            module.api = &weir_api_;
        const char *why = module_register(&module, STR_NONE, &mod);
        if (!why)
            continue;
        log_error("built-in module %s: %s", module.name, why);
        abort(); /* our own table is wrong */
    }
}

/* -- from disk ----------------------------------------------------------------------------------------------------- */

static struct {
    struct loaded {
        weir_mod *mod;
        dev_t device;
        ino_t inode;
        struct timespec changed;
    } at[MODULES_MOST];
    uint32_t count;
} files;

static weir_mod *refuse(struct arena *arena, str *why, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static weir_mod *refuse(struct arena *arena, str *why, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    *why = arena_vprintf(arena, fmt, ap);
    va_end(ap);
    if (!why->p)
        *why = S("no memory");
    return NULL;
}

static bool is_path(str name_or_path)
{
    return str_find(name_or_path, '/') < name_or_path.n || str_has_suffix(name_or_path, S(".so"));
}

static bool is_same_file(const struct loaded *loaded, const struct stat *st)
{
    return loaded->device == st->st_dev && loaded->inode == st->st_ino &&
           loaded->changed.tv_sec == st->st_mtim.tv_sec && loaded->changed.tv_nsec == st->st_mtim.tv_nsec;
}

/* A file that stands where one was loaded from, or is the loaded one with another content. */
static bool is_replacement(const struct loaded *loaded, const struct stat *st, str path)
{
    return str_equal(loaded->mod->path, path) || (loaded->device == st->st_dev && loaded->inode == st->st_ino);
}

/* dlerror() begins with the path, which the message has already. */
static const char *dl_reason(str path)
{
    const char *text = dlerror();

    if (!text)
        return "cannot be loaded";
    if (strncmp(text, path.p, path.n) == 0 && text[path.n] == ':')
        text += path.n + 1;
    return text + strspn(text, " ");
}

static weir_mod *open_file(str path, const struct stat *st, struct arena *arena, str *why)
{
    weir_mod *mod;
    char build[QUARANTINE_BUILD];
    void *handle = dlopen(path.p, RTLD_NOW | RTLD_LOCAL);

    if (!handle)
        return refuse(arena, why, "%.*s: %s", STR_ARG(path), dl_reason(path));
    const struct weir_module *descriptor = dlsym(handle, "weir_module");
    if (!descriptor) {
        dlclose(handle);
        return refuse(arena, why, "%.*s is no weir module: it exports no weir_module", STR_ARG(path));
    }
    if (files.count == MODULES_MOST) {
        dlclose(handle);
        return refuse(arena, why, "more than %d modules", MODULES_MOST);
    }
    module_build(descriptor, st, build, sizeof(build));
    crash_note_code(modules.count, descriptor); /* load() may be what crashes */
    const char *reason = module_register_build(descriptor, path, str_of(build), &mod);
    if (reason) /* it stays open: load() may have left pointers to it */
        return refuse(arena, why, "%.*s: %s", STR_ARG(path), reason);
    files.at[files.count++] = (struct loaded){ mod, st->st_dev, st->st_ino, st->st_mtim };
    if (mod->quarantine)
        log_error("module " STR_FMT " is in quarantine: %s", STR_ARG(mod->name), mod->quarantine->why);
    return mod;
}

weir_mod *loader_load(str name_or_path, str modules_dir, struct arena *arena, str *why)
{
    str parts[] = { modules_dir, S("/"), name_or_path, S(".so") };
    str path = is_path(name_or_path) ? arena_str(arena, name_or_path) : arena_concat(arena, parts, 4);
    struct stat st;

    if (!path.p)
        return refuse(arena, why, "no memory");
    if (stat(path.p, &st) != 0)
        return refuse(arena, why, "%.*s: %s", STR_ARG(path), strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(arena, why, "%.*s is no file", STR_ARG(path));
    for (uint32_t i = 0; i < files.count; i++) {
        if (is_same_file(&files.at[i], &st))
            return files.at[i].mod;
        if (is_replacement(&files.at[i], &st, path))
            return refuse(arena, why, "%.*s was replaced since it was loaded: needs weir upgrade or a restart",
                          STR_ARG(path));
    }
    return open_file(path, &st, arena, why);
}

/* -- what else there is -------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return str_compare(*(const str *)a, *(const str *)b);
}

static uint32_t list_folder(str modules_dir, struct arena *arena, str names[FOLDER_MOST])
{
    str folder = arena_str(arena, modules_dir);
    DIR *dir = folder.p ? opendir(folder.p) : NULL;
    uint32_t count = 0;

    if (!dir)
        return 0;
    for (struct dirent *entry = readdir(dir); entry && count < FOLDER_MOST; entry = readdir(dir)) {
        str name = str_of(entry->d_name);
        if (name.n > 3 && str_has_suffix(name, S(".so")))
            names[count] = arena_str(arena, str_upto(name, name.n - 3));
        else
            continue;
        count += names[count].p != NULL;
    }
    closedir(dir);
    qsort(names, count, sizeof(names[0]), by_name);
    return count;
}

str loader_hint(str name, str modules_dir, struct arena *arena)
{
    str names[FOLDER_MOST], list = STR_NONE;
    uint32_t count = list_folder(modules_dir, arena, names);

    if (count == 0)
        return arena_printf(arena, "there are no modules in %.*s", STR_ARG(modules_dir));
    str nearest = diag_nearest(name, names, count);
    if (nearest.n)
        return arena_printf(arena, "did you mean \"%.*s\"?", STR_ARG(nearest));
    for (uint32_t i = 0; i < count; i++)
        list = arena_printf(arena, "%.*s%s%.*s", STR_ARG(list), i ? ", " : "", STR_ARG(names[i]));
    return arena_printf(arena, "%.*s holds %.*s", STR_ARG(modules_dir), STR_ARG(list));
}

static void know_directives(struct schema *schema, str module, const struct weir_module *descriptor,
                            struct arena *arena)
{
    if (descriptor->magic != WEIR_ABI_MAGIC || descriptor->abi_major != WEIR_ABI_MAJOR ||
        descriptor->size < offsetof(struct weir_module, hooks))
        return;
    const char *at = descriptor->directives.base;
    for (uint32_t i = 0; i < descriptor->directives.count; i++, at += descriptor->directives.stride) {
        str name = arena_str(arena, str_of(((const struct weir_directive *)(const void *)at)->name));
        if (name.n && !schema_find(schema, name, 0))
            schema_know(schema, name, module);
    }
}

void loader_know(struct schema *schema, str modules_dir, struct arena *arena)
{
    str names[FOLDER_MOST];
    uint32_t count = list_folder(modules_dir, arena, names);

    for (uint32_t i = 0; i < count; i++) {
        str path = arena_printf(arena, "%.*s/%.*s.so", STR_ARG(modules_dir), STR_ARG(names[i]));
        void *handle = path.p ? dlopen(path.p, RTLD_LAZY | RTLD_LOCAL) : NULL;
        const struct weir_module *descriptor = handle ? dlsym(handle, "weir_module") : NULL;
        if (descriptor)
            know_directives(schema, names[i], descriptor, arena);
        if (handle)
            dlclose(handle);
    }
}

/* -- looked at, not loaded ----------------------------------------------------------------------------------------- */

/* Lazy: a function that nobody has shall be named by `weir module check`, not end its look. */
bool loader_look(str path, struct arena *arena, struct loader_look *look, str *why)
{
    str parts[] = { S("./"), path }; /* without a slash dlopen would search the system's folders */
    str file = str_find(path, '/') < path.n ? arena_str(arena, path) : arena_concat(arena, parts, 2);

    *look = (struct loader_look){ .handle = file.p ? dlopen(file.p, RTLD_LAZY | RTLD_LOCAL) : NULL };
    if (!look->handle) {
        refuse(arena, why, "%s", file.p ? dl_reason(file) : "no memory");
        return false;
    }
    look->descriptor = dlsym(look->handle, "weir_module");
    if (look->descriptor)
        return true;
    refuse(arena, why, "it exports no weir_module");
    loader_look_end(look);
    return false;
}

bool loader_look_finds(const struct loader_look *look, const char *symbol)
{
    return dlsym(look->handle, symbol) || dlsym(RTLD_DEFAULT, symbol);
}

void loader_look_end(struct loader_look *look)
{
    dlclose(look->handle);
    look->handle = NULL;
}
