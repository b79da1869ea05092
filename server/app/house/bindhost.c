/* SPDX-License-Identifier: BSD-2-Clause */
/* bindhost.c: what binding asks of the world: files to read, logs to write, folders to keep things in, upstreams by
 * name. */
#include "app/house/loading.h"
#include "base/mem.h"
#include "pipeline/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_MOST = 16 * 1024 * 1024 };

/* -- files --------------------------------------------------------------------------------------------------------- */

bool bindhost_note_file(struct loading *l, str path, bool is_log)
{
    struct strmap *known = &l->files_known[is_log];
    if (strmap_find(known, path))
        return true;
    struct configuration_file *file = vec_push(l->c.arena, &l->files, sizeof(*file));
    if (!file)
        return false;
    *file = (struct configuration_file){ arena_str(l->c.arena, path), is_log };
    return file->path.p && strmap_put(l->c.arena, known, file->path, l);
}

static int open_for_reading(struct loading *l, str path)
{
    if (l->options->open_file)
        return l->options->open_file(l->options->arg, path);
    return open(path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* At most `most` bytes and one, so that the caller sees there was more. */
static bool read_fd(int fd, size_t most, char **text, size_t *n)
{
    size_t room = 16 * 1024;
    ssize_t got = 1;

    *n = 0;
    *text = mem_alloc(room);
    while (*text && got != 0 && *n <= most) {
        if (*n == room) {
            char *more = mem_realloc(*text, 2 * room);
            if (!more)
                return false;
            *text = more;
            room *= 2;
        }
        got = read(fd, *text + *n, room - *n);
        if (got < 0 && errno != EINTR)
            return false;
        *n += got > 0 ? (size_t)got : 0;
    }
    return *text != NULL;
}

static bool read_whole(struct loading *l, str path, size_t most, struct arena *arena, str *content, str *why)
{
    str name = arena_str(arena, path);
    struct stat st;
    char *text = NULL;
    size_t n = 0;
    int fd = name.p ? open_for_reading(l, name) : -1;
    bool fine = fd >= 0 && fstat(fd, &st) == 0;

    if (fine && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        fine = false;
    }
    fine = fine && read_fd(fd, most, &text, &n);
    if (!fine)
        *why = arena_str(arena, str_of(strerror(errno)));
    else if (n > most)
        *why = arena_printf(arena, "larger than %zu MiB", most >> 20);
    else
        *content = arena_str(arena, (str){ text, n });
    if (fine && n <= most && !content->p)
        *why = S("no memory");
    fine = fine && n <= most && content->p;
    mem_free(text);
    if (fd >= 0)
        close(fd);
    return fine;
}

static bool read_file(void *arg, str path, struct arena *arena, str *content, str *why)
{
    struct loading *l = arg;

    if (!bindhost_note_file(l, path, false)) {
        *why = S("no memory");
        return false;
    }
    return read_whole(l, path, READ_MOST, arena, content, why);
}

/* Its own limit is the tree's to enforce. */
bool bindhost_read_config(void *arg, str path, struct arena *arena, str *text, str *why)
{
    return read_whole(arg, path, READ_MOST, arena, text, why);
}

void bindhost_list_config(void *arg, str pattern, void (*found)(void *to, str path), void *to)
{
    struct loading *l = arg;

    l->options->list_files(l->options->arg, pattern, found, to);
}

/* -- logs and state ------------------------------------------------------------------------------------------------ */

static weir_sink *get_sink(void *arg, str target, const void *options, str *why)
{
    struct loading *l = arg;

    if (target.n && target.p[0] == '/' && !bindhost_note_file(l, target, true)) {
        *why = S("no memory");
        return NULL;
    }
    return sink_get(target, options, l->host.is_rehearsal, why);
}

static bool make_folder(str path)
{
    return mkdir(path.p, 0700) == 0 || errno == EEXIST;
}

static str state_path(void *arg, str owner, str name, struct arena *arena)
{
    struct loading *l = arg;
    str folder = arena_printf(arena, "%.*s/%.*s", STR_ARG(l->process.values.state_dir), STR_ARG(owner));

    if (!folder.p)
        return STR_NONE;
    if (!l->host.is_rehearsal && !(make_folder(l->process.values.state_dir) && make_folder(folder)))
        return STR_NONE;
    return arena_printf(arena, "%.*s/%.*s", STR_ARG(folder), STR_ARG(name));
}

/* -- upstreams ----------------------------------------------------------------------------------------------------- */

static bool is_url(str text)
{
    return str_find_str(text, S("://")) < text.n || str_has_prefix(text, S("unix:"));
}

static const struct upstream_block *find_block(const struct house *house, str name)
{
    for (uint32_t i = 0; i < house->blocks.count; i++) {
        const struct upstream_block *block = vec_at(&house->blocks, struct upstream_block, i);
        if (str_equal(block->name, name))
            return block;
    }
    return NULL;
}

static weir_upstream *report_unknown(struct loading *l, str name, struct place place)
{
    struct arena *arena = l->c.arena;
    uint32_t count = l->house->blocks.count;
    str *names = arena_array(arena, str, count + 1);
    str nearest = STR_NONE;
    str hint =
        arena_printf(arena, "upstream %.*s { server ADDR:PORT; } or an URL: http://%.*s", STR_ARG(name), STR_ARG(name));

    for (uint32_t i = 0; names && i < count; i++)
        names[i] = vec_at(&l->house->blocks, struct upstream_block, i)->name;
    if (names)
        nearest = diag_nearest(name, names, count);
    if (nearest.n)
        hint = arena_printf(arena, "did you mean \"%.*s\"?", STR_ARG(nearest));
    diag_error(&l->c.diags, place, hint, "unknown upstream \"%.*s\"", STR_ARG(str_upto(name, 200)));
    return NULL;
}

static weir_upstream *get_upstream(void *arg, str name_or_url, struct place place, const struct scope *scope)
{
    struct loading *l = arg;
    weir_upstream *upstream = upstream_find(&l->house->upstreams, name_or_url);
    uint32_t errors = l->c.diags.errors;

    if (upstream)
        return upstream;
    if (is_url(name_or_url)) {
        upstream = upstream_of_url(&l->house->upstreams, name_or_url, place, scope);
    } else {
        const struct upstream_block *block = find_block(l->house, name_or_url);
        if (!block)
            return report_unknown(l, name_or_url, place);
        upstream = arena_new(l->c.arena, struct weir_upstream); /* its block was reported: nothing more to say here */
    }
    if (!upstream && l->c.diags.errors == errors)
        diag_error(&l->c.diags, place, STR_NONE, "no memory");
    return upstream;
}

void bindhost_init(struct loading *l)
{
    l->host = (struct bind_host){
        .arg = l,
        .upstream = get_upstream,
        .read_file = read_file,
        .sink = get_sink,
        .state_path = state_path,
        .is_rehearsal = l->options->is_rehearsal,
    };
}
