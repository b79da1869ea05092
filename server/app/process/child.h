/* SPDX-License-Identifier: BSD-2-Clause */
/* child.h: one server process as its supervisor sees it. Usually there is one; while a new one takes over there are
 * two, and former ones stay until their last connection has ended.
 *
 * Owner:   the supervisor. child_finish after the process was reaped. */
#ifndef APP_CHILD_H
#define APP_CHILD_H

#include "pipeline/crumb.h"

#include <sys/types.h>

enum child_state {
    CHILD_STARTING,
    CHILD_READY,
    CHILD_LEAVING /* accepts nothing any more */
};

struct child {
    struct child *next;
    pid_t pid;
    int channel;   /* -1: it has gone, and is to be reaped */
    int crumbs_fd;
    struct crumbs *crumbs; /* shared with it */
    enum child_state state;
    uint64_t started_ms;
    uint64_t kill_at; /* 0: not planned */
};

/* Forks and executes `program --serve FD`. NULL without memory, processes or descriptors. */
struct child *child_start(const char *program, uint64_t now);
/* One that a former supervisor started (takeover.h); takes the descriptors. */
struct child *child_adopt(pid_t pid, int channel, int crumbs_fd);
void child_finish(struct child *child);

#endif
