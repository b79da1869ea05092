/* SPDX-License-Identifier: BSD-2-Clause */
/* from_text.h: configurations written as text, bound from a folder of their own that goes with the test. */
#ifndef TESTS_APP_FROM_TEXT_H
#define TESTS_APP_FROM_TEXT_H

#define _GNU_SOURCE 1 /* nftw; this header comes first */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/house/configuration.h"
#include "pipeline/session.h"

#ifndef COUNT
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#endif

static char folder[64];

static inline int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/weir-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *path_in_folder(const char *name)
{
    static char path[2][512];
    static unsigned turn;

    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
    return path[turn];
}

static inline void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_in_folder(name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline struct configuration *load_file(const char *name)
{
    struct configuration_options options = { .path = str_of(path_in_folder(name)), .is_rehearsal = true };
    struct configuration *c = configuration_load(&options);

    assert_non_null(c);
    return c;
}

/* As the file t.conf; there may be errors. */
static inline struct configuration *load_text(const char *text)
{
    write_file("t.conf", text);
    return load_file("t.conf");
}

/* What `weir check` would print, without the folder. */
static inline str errors_of(const struct configuration *c)
{
    str text = diags_render(&c->diags, c->arena), out = { arena_zalloc(c->arena, text.n + 1), 0 };
    char prefix[sizeof(folder) + 1];

    snprintf(prefix, sizeof(prefix), "%s/", folder);
    while (text.n) {
        if (str_has_prefix(text, str_of(prefix))) {
            text = str_from(text, strlen(prefix));
            continue;
        }
        ((char *)(uintptr_t)out.p)[out.n++] = *text.p;
        text = str_from(text, 1);
    }
    return out;
}

/* Without errors, or the test ends with them. */
static inline struct configuration *bind_text(const char *text)
{
    struct configuration *c = load_text(text);

    if (!c->snapshot)
        fail_msg("%s\n%s", text, errors_of(c).p);
    return c;
}

static inline const struct listen_point *point_of(const struct configuration *c, const char *key)
{
    for (uint32_t i = 0; i < c->listen_count; i++)
        if (str_equal(c->listens[i].point->key, str_of(key)))
            return c->listens[i].point;
    fail_msg("nothing listens on %s", key);
    return NULL;
}

/* A request as far as choosing a site and a route looks at it. */
struct asked {
    struct weir_conn conn;
    struct weir_req r;
    struct arena *arena;
};

static inline struct weir_req *ask(struct asked *asked, const struct configuration *c, const char *key,
                                   const char *host, const char *method, const char *path)
{
    memset(asked, 0, sizeof(*asked));
    asked->arena = arena_create(1024, 0);
    asked->conn.point = point_of(c, key);
    asked->r.conn = &asked->conn;
    asked->r.snapshot = c->snapshot;
    asked->r.arena = asked->arena;
    asked->r.host = str_of(host);
    asked->r.method = str_of(method);
    fields_init(&asked->r.fields, asked->arena);
    assert_null(uri_normalize_path(str_of(path), asked->arena, &asked->r.uri.path, &asked->r.uri.match));
    return &asked->r;
}

#define assert_text(got, expected)                                                                                     \
    do {                                                                                                               \
        str got_ = (got);                                                                                              \
        assert_int_equal(got_.n, strlen(expected));                                                                    \
        assert_memory_equal(got_.p ? got_.p : "", expected, got_.n);                                                   \
    } while (0)

#endif
