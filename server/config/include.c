/* SPDX-License-Identifier: BSD-2-Clause */
/* include.c: files: how they are found, read and put in the place of their `include`. */
#include "base/mem.h"
#include "config/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

static str error_text(struct arena *arena)
{
    return arena_str(arena, str_of(strerror(errno)));
}

/* At most FILE_MOST + 1 bytes: the caller sees that there was more. */
static bool read_fd(int fd, struct arena *arena, str *text, str *why)
{
    size_t room = 16 * 1024;
    char *p = mem_alloc(room);
    size_t n = 0;
    ssize_t got = -1;
    errno = ENOMEM;
    while (p && n <= FILE_MOST && (got = read(fd, p + n, room - n)) > 0) {
        n += (size_t)got;
        if (n < room)
            continue;
        char *more = mem_realloc(p, room * 2);
        got = more ? 0 : -1;
        if (!more)
            break;
        p = more;
        room *= 2;
    }
    if (p && got >= 0)
        *text = arena_str(arena, (str){ p, n });
    else
        *why = error_text(arena);
    mem_free(p);
    return got >= 0 && text->p;
}

static bool read_path(void *arg, str path, struct arena *arena, str *text, str *why)
{
    (void)arg;
    int fd = open(path.p, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        *why = error_text(arena);
        return false;
    }
    bool read = read_fd(fd, arena, text, why);
    close(fd);
    return read;
}

/* Two names of one file are one file; names that are none on this machine are compared as they are. */
static str identity_of(str path, struct arena *arena)
{
    char *real = realpath(path.p, NULL);
    str identity = real ? arena_str(arena, str_of(real)) : path;
    free(real);
    return identity;
}

static bool is_being_read(const struct parser *parser, str identity)
{
    for (const struct include_frame *frame = parser->frame; frame; frame = frame->outer)
        if (str_equal(frame->identity, identity))
            return true;
    return false;
}

static bool fits(struct parser *parser, struct place place, str path, str text)
{
    if (text.n > FILE_MOST)
        diag_error(parser->diags, place, STR_NONE, "\"" STR_FMT "\" is larger than %d bytes", STR_ARG(path), FILE_MOST);
    else if (++parser->files > FILES_MOST)
        diag_error(parser->diags, place, STR_NONE, "more than %d files", FILES_MOST);
    else if ((parser->bytes += text.n) > FILES_BYTES_MOST)
        diag_error(parser->diags, place, STR_NONE, "all files together are larger than %d bytes", FILES_BYTES_MOST);
    else
        return true;
    return false;
}

/* place: where the file is named. */
static void load_file(struct parser *parser, str path, struct place place, struct statement *outer, uint32_t depth,
                      struct statement_list *list)
{
    struct include_frame frame = { .outer = parser->frame, .identity = identity_of(path, parser->arena) };
    frame.depth = frame.outer ? frame.outer->depth + 1 : 0;
    if (is_being_read(parser, frame.identity)) {
        diag_error(parser->diags, place, S("a file cannot bring itself in, neither directly nor through others"),
                   "include cycle: \"" STR_FMT "\" is being read already", STR_ARG(path));
        return;
    }
    if (frame.depth > LEVELS_MOST) {
        diag_error(parser->diags, place, STR_NONE, "includes more than %d levels deep", LEVELS_MOST);
        return;
    }
    str text = STR_NONE, why = STR_NONE;
    bool read = parser->reader->read ? parser->reader->read(parser->reader->arg, path, parser->arena, &text, &why)
                                     : read_path(NULL, path, parser->arena, &text, &why);
    if (!read) {
        diag_error(parser->diags, place, STR_NONE, "cannot read \"" STR_FMT "\": " STR_FMT, STR_ARG(path),
                   STR_ARG(why));
        return;
    }
    if (!fits(parser, place, path, text))
        return;
    struct source *source = parser_add_source(parser, path, text);
    if (parser->out_of_memory)
        return;
    parser->frame = &frame;
    parse_source(parser, source, outer, depth, list);
    parser->frame = frame.outer;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The folder of a file, up to its last '/'. */
static str folder_of(str file)
{
    while (file.n > 0 && file.p[file.n - 1] != '/')
        file.n--;
    return file;
}

/* The folder is meant as it is, only the pattern is one. */
static str beside_pattern(struct arena *arena, str file, str pattern)
{
    str folder = pattern.p[0] == '/' ? STR_NONE : folder_of(file);
    char *to = arena_alloc(arena, 2 * folder.n + pattern.n + 1);
    size_t n = 0;
    if (!to)
        return STR_NONE;
    for (size_t i = 0; i < folder.n; i++) {
        if (memchr("*?[\\", folder.p[i], 4))
            to[n++] = '\\';
        to[n++] = folder.p[i];
    }
    memcpy(to + n, pattern.p, pattern.n + 1);
    return (str){ to, n + pattern.n };
}

struct listing { /* what the reader finds for a pattern */
    struct arena *arena;
    struct vec paths; /* of char * */
};

static void list_found(void *to, str path)
{
    struct listing *listing = to;
    char **last = vec_push(listing->arena, &listing->paths, sizeof(char *));
    if (last)
        *last = (char *)(uintptr_t)arena_str(listing->arena, path).p;
}

static void load_listed(struct parser *parser, str pattern, const struct statement *include,
                        struct statement_list *list)
{
    struct listing listing = { .arena = parser->arena };
    parser->reader->list(parser->reader->arg, pattern, list_found, &listing);
    for (uint32_t i = 0; i < listing.paths.count; i++)
        if (!*vec_at(&listing.paths, char *, i)) {
            parser->out_of_memory = true;
            return;
        }
    if (listing.paths.count)
        qsort(listing.paths.items, listing.paths.count, sizeof(char *), compare_paths);
    for (uint32_t i = 0; i < listing.paths.count && !parser->out_of_memory; i++)
        load_file(parser, str_of(*vec_at(&listing.paths, char *, i)), word_place(include, &include->args[0]),
                  include->outer, include->depth, list);
}

static void load_pattern(struct parser *parser, str pattern, const struct statement *include,
                         struct statement_list *list)
{
    glob_t found = { 0 };
    struct place place = word_place(include, &include->args[0]);
    int rc = glob(pattern.p, GLOB_MARK | GLOB_NOSORT, NULL, &found);
    if (rc != 0 && rc != GLOB_NOMATCH)
        diag_error(parser->diags, place, STR_NONE, "cannot look for \"" STR_FMT "\"", STR_ARG(pattern));
    if (rc == 0) /* bytewise: the same order whatever the locale */
        qsort(found.gl_pathv, found.gl_pathc, sizeof(char *), compare_paths);
    for (size_t i = 0; rc == 0 && i < found.gl_pathc && !parser->out_of_memory && parser->files <= FILES_MOST; i++) {
        str path = arena_str(parser->arena, str_of(found.gl_pathv[i]));
        if (path.p && !str_has_suffix(path, S("/"))) /* folders hold files, but are none */
            load_file(parser, path, place, include->outer, include->depth, list);
    }
    globfree(&found);
}

void include_files(struct parser *parser, const struct statement *include, struct statement_list *list)
{
    struct word whole = include->args[0];
    whole.key = STR_NONE; /* a path may hold '=' */
    str path = word_plain(&whole, parser->arena);
    struct place place = word_place(include, &include->args[0]);
    if (path.n == 0 || memchr(path.p, '\0', path.n)) {
        diag_error(parser->diags, place, STR_NONE, "include: a file is named here");
        return;
    }
    bool is_pattern = strpbrk(path.p, "*?[");
    str folder = path.p[0] == '/' ? STR_NONE : folder_of(include->source->path);
    str joined = is_pattern ? beside_pattern(parser->arena, include->source->path, path)
                            : arena_concat(parser->arena, (str[]){ folder, path }, 2);
    if (!joined.p)
        parser->out_of_memory = true;
    else if (is_pattern && parser->reader->list)
        load_listed(parser, joined, include, list);
    else if (is_pattern)
        load_pattern(parser, joined, include, list);
    else
        load_file(parser, joined, place, include->outer, include->depth, list);
}

bool tree_load(struct tree *tree, str path, const struct tree_reader *reader, struct arena *arena, struct diags *diags)
{
    static const struct tree_reader from_disk = { 0 };
    uint32_t errors = diags->errors;
    struct parser parser = { .tree = tree, .arena = arena, .diags = diags, .reader = reader ? reader : &from_disk };
    *tree = (struct tree){ .arena = arena };
    struct statement_list list = { .end = &tree->first };
    struct place nowhere = { .file = STR_NONE };
    str own_path = arena_str(arena, path);
    if (own_path.p)
        load_file(&parser, own_path, nowhere, NULL, 0, &list);
    if (!own_path.p || parser.out_of_memory)
        diag_error(diags, nowhere, STR_NONE, "out of memory");
    return diags->errors == errors;
}
