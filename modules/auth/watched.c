/* SPDX-License-Identifier: BSD-2-Clause */
#include "watched.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 16 * 1024 * 1024 };

struct identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct watched {
    unsigned users; /* scopes; 0: the place is free */
    const struct watched_kind *kind;
    char *path;
    void *held;
    struct identity tried, seen;
};

static struct watched files[FILES_MOST];
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

static struct identity identity_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return (struct identity){ 0 };
    return (struct identity){ st.st_dev, st.st_ino, st.st_size, st.st_mtim };
}

static bool identity_equal(const struct identity *a, const struct identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static struct watched *find_place(const struct watched_kind *kind, const char *path)
{
    struct watched *unused = NULL;

    for (unsigned i = 0; i < FILES_MOST; i++) {
        if (files[i].users && files[i].kind == kind && strcmp(files[i].path, path) == 0)
            return &files[i];
        if (!files[i].users && !unused)
            unused = &files[i];
    }
    return unused;
}

/* A reload brings the newest content for those that are open already. */
static bool hold(struct watched *at, const struct watched_kind *kind, const char *path, void *held)
{
    if (!at->users && !(at->path = strdup(path)))
        return false;
    if (at->users)
        at->kind->free(at->held);
    at->kind = kind;
    at->held = held;
    at->tried = at->seen = identity_of(path);
    at->users++;
    return true;
}

struct watched *watched_open(const struct watched_kind *kind, const char *path, weir_str content, char why[WHY_MOST])
{
    void *held = kind->read(content, why);
    if (!held)
        return NULL;
    pthread_rwlock_wrlock(&lock);
    struct watched *at = find_place(kind, path);
    if (!at || !hold(at, kind, path, held)) {
        snprintf(why, WHY_MOST, at ? "no memory" : "more than %d files", FILES_MOST);
        kind->free(held);
        at = NULL;
    }
    pthread_rwlock_unlock(&lock);
    return at;
}

void watched_close(struct watched *file)
{
    if (!file)
        return;
    pthread_rwlock_wrlock(&lock);
    if (--file->users == 0) {
        file->kind->free(file->held);
        free(file->path);
        file->held = NULL;
        file->path = NULL;
    }
    pthread_rwlock_unlock(&lock);
}

const void *watched_lock(struct watched *file)
{
    pthread_rwlock_rdlock(&lock);
    return file->held;
}

void watched_unlock(void)
{
    pthread_rwlock_unlock(&lock);
}

/* -- files that were replaced -------------------------------------------------------------------------------------- */

static bool read_whole(const char *path, weir_str *content, char why[WHY_MOST])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    char *text = NULL;
    size_t n = 0;
    bool fine = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < FILE_MOST &&
                (text = malloc((size_t)st.st_size + 1));

    while (fine && n < (size_t)st.st_size) {
        ssize_t got = read(fd, text + n, (size_t)st.st_size - n);
        fine = got > 0 || (got < 0 && errno == EINTR);
        n += got > 0 ? (size_t)got : 0;
    }
    if (!fine) {
        snprintf(why, WHY_MOST, "%s", errno ? strerror(errno) : "cannot be read whole");
        free(text);
        text = NULL;
    }
    if (fd >= 0)
        close(fd);
    *content = (weir_str){ text, n };
    return fine;
}

static void read_anew(struct watched *file, const struct watched_kind *kind, const char *path,
                      void (*told)(const char *path, const char *why))
{
    char why[WHY_MOST];
    weir_str content;
    void *unused = NULL;

    errno = 0;
    if (read_whole(path, &content, why)) {
        unused = kind->read(content, why);
        OPENSSL_cleanse((void *)(uintptr_t)content.p, content.n);
        free((void *)(uintptr_t)content.p);
    }
    bool fine = unused != NULL;
    pthread_rwlock_wrlock(&lock);
    bool is_open = file->users && file->kind == kind && strcmp(file->path, path) == 0;
    if (fine && is_open) {
        void *before = file->held;
        file->held = unused;
        unused = before;
    }
    pthread_rwlock_unlock(&lock);
    if (unused)
        kind->free(unused);
    if (is_open)
        told(path, fine ? NULL : why);
}

void watched_look(void (*told)(const char *path, const char *why))
{
    for (unsigned i = 0; i < FILES_MOST; i++) {
        pthread_rwlock_rdlock(&lock);
        char *path = files[i].users ? strdup(files[i].path) : NULL;
        const struct watched_kind *kind = files[i].kind;
        pthread_rwlock_unlock(&lock);
        if (!path)
            continue;
        struct identity now = identity_of(path);
        pthread_rwlock_wrlock(&lock);
        bool is_due = now.inode && files[i].users && files[i].kind == kind && !identity_equal(&now, &files[i].tried) &&
                      identity_equal(&now, &files[i].seen);
        files[i].seen = now;
        if (is_due)
            files[i].tried = now;
        pthread_rwlock_unlock(&lock);
        if (is_due)
            read_anew(&files[i], kind, path, told);
        free(path);
    }
}
