/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "app/process/received_files.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

struct received {
    struct received *next;
    char *path;
    int fd;
    bool is_log;
};
/* Changed by the main thread alone, under the lock, as workers that rotate a log look into it. */
static struct received *all;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct received *find(str path, bool is_log)
{
    for (struct received *r = all; r; r = r->next)
        if (r->is_log == is_log && str_equal(str_of(r->path), path))
            return r;
    return NULL;
}

static void replace(struct received *r, int fd)
{
    pthread_mutex_lock(&lock);
    close(r->fd);
    r->fd = fd;
    pthread_mutex_unlock(&lock);
}

static void put(struct received *r)
{
    pthread_mutex_lock(&lock);
    r->next = all;
    all = r;
    pthread_mutex_unlock(&lock);
}

void received_file_add(str path, int fd, bool is_log)
{
    struct received *r = find(path, is_log);

    if (r) {
        replace(r, fd);
        return;
    }
    r = mem_zalloc(sizeof(*r));
    char *copy = str_dup(path);
    if (!r || !copy) {
        mem_free(r);
        mem_free(copy);
        close(fd);
        return;
    }
    *r = (struct received){ .path = copy, .fd = fd, .is_log = is_log };
    put(r);
}

int received_file_open(void *arg, str path)
{
    struct received *r = find(path, false);
    char copy[4096];

    (void)arg;
    if (r) {
        int fd = fcntl(r->fd, F_DUPFD_CLOEXEC, 3);
        if (fd >= 0)
            lseek(fd, 0, SEEK_SET);
        return fd;
    }
    if (path.n >= sizeof(copy))
        return -1;
    memcpy(copy, path.p, path.n);
    copy[path.n] = 0;
    return open(copy, O_RDONLY | O_CLOEXEC);
}

/* Not after a rotation: then the descriptor is that of the renamed file. */
static bool is_still_there(int fd, const char *path)
{
    struct stat ours, theirs;

    if (fstat(fd, &ours) != 0 || stat(path, &theirs) != 0)
        return false;
    return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

int received_log_open(const char *path)
{
    pthread_mutex_lock(&lock);
    struct received *r = find(str_of(path), true);
    int fd = -1;
    if (!r || !is_still_there(r->fd, path))
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0 && r)
        fd = fcntl(r->fd, F_DUPFD_CLOEXEC, 3);
    int why = errno;
    pthread_mutex_unlock(&lock);
    errno = why;
    return fd;
}

void received_files_list(void *arg, str pattern, void (*found)(void *to, str path), void *to)
{
    (void)arg;
    for (const struct received *r = all; r; r = r->next)
        if (!r->is_log && fnmatch(pattern.p, r->path, FNM_PATHNAME | FNM_PERIOD) == 0)
            found(to, str_of(r->path));
}

void received_files_forget(bool logs_too)
{
    pthread_mutex_lock(&lock);
    for (struct received **at = &all; *at;) {
        struct received *r = *at;
        if (r->is_log && !logs_too) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        close(r->fd);
        mem_free(r->path);
        mem_free(r);
    }
    pthread_mutex_unlock(&lock);
}
