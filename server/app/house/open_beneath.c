/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* O_PATH */
#include "app/house/open_beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TRIES = 4, READING = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

static void close_keeping_errno(int fd)
{
    int saved = errno;

    close(fd);
    errno = saved;
}

static int walk_into(int folder, const char *segment, size_t n, int flags)
{
    char name[NAME_MAX + 1];

    if (n > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, segment, n);
    name[n] = '\0';
    return openat(folder, name, flags | O_NOFOLLOW | O_CLOEXEC);
}

int open_by_walking(int folder, const char *path)
{
    int at = folder;

    if (!*path)
        return openat(folder, ".", READING);
    for (;;) {
        size_t n = strcspn(path, "/");
        int next = walk_into(at, path, n, path[n] ? O_PATH | O_DIRECTORY : READING);

        if (at != folder)
            close_keeping_errno(at);
        if (next < 0 || !path[n])
            return next;
        at = next;
        path += n + 1;
    }
}

/* EAGAIN: something was renamed on the way, and the kernel cannot say whether the way led out (openat2(2)). */
static int open_in(int folder, const char *path)
{
    struct open_how how = { .flags = READING, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

    for (int i = 0; i < TRIES; i++) {
        int fd = (int)syscall(SYS_openat2, folder, *path ? path : ".", &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            return fd;
    }
    return -1;
}

int open_beneath(const char *folder, const char *path)
{
    int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        return errno == ENOTDIR && !*path ? open(folder, READING) : -1;
    int fd = open_in(root, path);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* an old kernel, or a filter for system calls */
        fd = open_by_walking(root, path);
    close_keeping_errno(root);
    return fd;
}
