/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* memfd_create */
#include "app/process/child.h"

#include "app/process/channel.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void become_server(const char *program, int channel)
{
    char number[16];
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    fcntl(channel, F_SETFD, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    snprintf(number, sizeof(number), "%d", channel);
    execl(program, "weir", "--serve", number, (char *)NULL);
    log_error("server cannot be started: %s: %s", program, strerror(errno));
    _exit(127);
}

/* An older or newer weir may lay crumbs out otherwise: then nothing is read from it. */
static bool map_crumbs(struct child *child)
{
    struct stat st;
    bool fits = fstat(child->crumbs_fd, &st) == 0 && st.st_size == sizeof(struct crumbs);
    int flags = fits ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;

    void *at = mmap(NULL, sizeof(struct crumbs), PROT_READ | PROT_WRITE, flags, fits ? child->crumbs_fd : -1, 0);
    child->crumbs = at == MAP_FAILED ? NULL : at;
    return child->crumbs != NULL;
}

static struct child *create(void)
{
    struct child *child = mem_zalloc(sizeof(*child));

    if (child)
        child->channel = child->crumbs_fd = -1;
    return child;
}

struct child *child_start(const char *program, uint64_t now)
{
    struct child *child = create();
    int pair[2];

    if (!child)
        return NULL;
    child->crumbs_fd = memfd_create("weir-crumbs", MFD_CLOEXEC);
    if (child->crumbs_fd < 0 || ftruncate(child->crumbs_fd, sizeof(struct crumbs)) != 0 || !map_crumbs(child) ||
        !channel_pair(pair)) {
        child_finish(child);
        return NULL;
    }
    child->channel = pair[0];
    child->started_ms = now;
    child->pid = fork();
    if (child->pid == 0)
        become_server(program, pair[1]);
    close(pair[1]);
    if (child->pid < 0) {
        child_finish(child);
        return NULL;
    }
    return child;
}

struct child *child_adopt(pid_t pid, int channel, int crumbs_fd)
{
    struct child *child = create();

    if (!child)
        return NULL;
    child->pid = pid;
    child->channel = channel;
    child->crumbs_fd = crumbs_fd;
    if (map_crumbs(child))
        return child;
    child_finish(child);
    return NULL;
}

void child_finish(struct child *child)
{
    if (child->crumbs)
        munmap(child->crumbs, sizeof(*child->crumbs));
    if (child->crumbs_fd >= 0)
        close(child->crumbs_fd);
    if (child->channel >= 0)
        close(child->channel);
    mem_free(child);
}
