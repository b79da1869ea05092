/* SPDX-License-Identifier: BSD-2-Clause */
/* cli_module_new.c: `weir module new`: a copy of the template, with the module's name in it. */
#define _GNU_SOURCE 1
#include "app/cli/cli.h"

#include "app/house/configuration.h"
#include "pipeline/module.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MOST = 31, FILES_MOST = 64, FILE_MOST = 1024 * 1024 };

struct copying {
    struct arena *arena;
    str name, id;         /* as in the configuration; as in C and in directives */
    str from, to;         /* folders */
    str made[FILES_MOST]; /* paths, to be taken away after a mistake */
    unsigned made_count;
};

static bool fail(const char *what, str path)
{
    fprintf(stderr, "weir: %s " STR_FMT ": %s\n", what, STR_ARG(path), strerror(errno));
    return false;
}

/* -- the name ------------------------------------------------------------------------------------------------------ */

static bool check_name(str name)
{
    bool ok = name.n > 0 && name.n <= NAME_MOST && name.p[0] >= 'a' && name.p[0] <= 'z';

    for (size_t i = 0; i < name.n; i++)
        ok &= (name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9') || name.p[i] == '-' ||
              name.p[i] == '_';
    if (!ok) {
        fprintf(stderr,
                "weir: \"" STR_FMT
                "\" is no name for a module: a to z first, then also 0 to 9, '-' and '_', at most %d\n",
                STR_ARG(name), NAME_MOST);
        return false;
    }
    loader_register_builtin();
    if (!module_find(name))
        return true;
    fprintf(stderr, "weir: \"" STR_FMT "\" is a part of weir itself: take another name\n", STR_ARG(name));
    return false;
}

static str identifier_of(str name, struct arena *arena)
{
    str id = arena_str(arena, name);

    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] == '-')
            ((char *)(uintptr_t)id.p)[i] = '_';
    return id;
}

/* -- one file ------------------------------------------------------------------------------------------------------ */

/* Text with @name@ and @id@ replaced. */
static void write_filled(const struct copying *copying, str text, FILE *out)
{
    while (text.n) {
        size_t plain = str_find(text, '@');
        fwrite(text.p, 1, plain, out);
        text = str_from(text, plain);
        if (str_has_prefix(text, S("@name@"))) {
            fwrite(copying->name.p, 1, copying->name.n, out);
            text = str_from(text, 6);
        } else if (str_has_prefix(text, S("@id@"))) {
            fwrite(copying->id.p, 1, copying->id.n, out);
            text = str_from(text, 4);
        } else if (text.n) {
            fputc('@', out);
            text = str_from(text, 1);
        }
    }
}

static bool read_file(str path, struct arena *arena, str *text, mode_t *mode)
{
    struct stat st;
    int fd = open(path.p, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MOST) {
        if (fd >= 0) {
            close(fd);
            errno = EINVAL;
        }
        return fail("cannot read", path);
    }
    char *room = arena_alloc(arena, (size_t)st.st_size + 1);
    ssize_t n = room ? read(fd, room, (size_t)st.st_size) : -1;
    close(fd);
    if (n < 0)
        return fail("cannot read", path);
    *text = (str){ room, (size_t)n };
    *mode = st.st_mode & 0777;
    return true;
}

/* module.c and its like take the module's name. */
static str target_of(const struct copying *copying, str file)
{
    str parts[] = { copying->to, S("/"), copying->name, str_from(file, S("module").n) };

    if (str_has_prefix(file, S("module.")))
        return arena_concat(copying->arena, parts, 4);
    parts[2] = file;
    return arena_concat(copying->arena, parts, 3);
}

static bool copy_file(struct copying *copying, str file)
{
    str parts[] = { copying->from, S("/"), file }, text = STR_NONE;
    str source = arena_concat(copying->arena, parts, 3), target = target_of(copying, file);
    mode_t mode = 0;

    if (!source.p || !target.p || copying->made_count == FILES_MOST) {
        errno = ENOMEM;
        return fail("cannot copy", file);
    }
    if (!read_file(source, copying->arena, &text, &mode))
        return false;
    int fd = open(target.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!out)
        return fail("cannot write", target);
    copying->made[copying->made_count++] = target;
    write_filled(copying, text, out);
    bool ok = !ferror(out);
    ok &= fclose(out) == 0;
    return ok || fail("cannot write", target);
}

/* -- all of them --------------------------------------------------------------------------------------------------- */

static bool copy_all(struct copying *copying)
{
    DIR *dir = opendir(copying->from.p);

    if (!dir)
        return fail("no template in", copying->from);
    bool ok = true;
    unsigned before = copying->made_count;
    for (struct dirent *entry = readdir(dir); ok && entry; entry = readdir(dir))
        if (entry->d_name[0] != '.')
            ok = copy_file(copying, str_of(entry->d_name));
    closedir(dir);
    if (ok && copying->made_count == before) {
        errno = ENOENT;
        return fail("no template in", copying->from);
    }
    return ok;
}

static void take_away(const struct copying *copying)
{
    for (unsigned i = 0; i < copying->made_count; i++)
        unlink(copying->made[i].p);
    rmdir(copying->to.p);
}

static bool make_module(struct copying *copying)
{
    if (mkdir(copying->to.p, 0777) != 0)
        return fail(errno == EEXIST ? "will not touch" : "cannot make", copying->to);
    if (!copy_all(copying)) {
        take_away(copying);
        return false;
    }
    printf(STR_FMT " is begun. Next: cd " STR_FMT " && make && make check\n", STR_ARG(copying->name),
           STR_ARG(copying->to));
    return fflush(stdout) == 0;
}

int cli_module_new(const struct cli_call *call)
{
    str name = str_of(call->args[0]);
    const char *template = getenv("WEIR_TEMPLATE");
    struct arena *arena = arena_create(16 * 1024, 0);

    if (!arena)
        return CLI_FAILED;
    str parts[] = { call->arg_count > 1 ? str_of(call->args[1]) : S("."), S("/"), name };
    struct copying copying = {
        .arena = arena,
        .name = name,
        .id = identifier_of(name, arena),
        .from = template && template[0] ? str_of(template) : S(WEIR_DATADIR "/template"),
        .to = call->arg_count > 1 ? arena_concat(arena, parts, 3) : arena_str(arena, name),
    };
    bool ok = copying.to.p && copying.id.p && check_name(name) && make_module(&copying);
    arena_destroy(arena);
    return ok ? CLI_OK : CLI_FAILED;
}
