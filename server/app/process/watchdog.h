/* SPDX-License-Identifier: BSD-2-Clause */
/* watchdog.h: what the watchdog concludes from one look at the crumbs; the thread around it is in crash.h.
 *
 * Shape:   a callback that two looks find running is the same one when its worker's count of calls has not moved.
 * Units:   milliseconds of any clock that only goes forward.
 * Thread:  one; crumbs are read as atomics, their writers do not wait. */
#ifndef APP_WATCHDOG_H
#define APP_WATCHDOG_H

#include "pipeline/crumb.h"
#include "pipeline/module.h"

enum { WATCHDOG_LOOK = 25, WATCHDOG_IDLE = 100, WATCHDOG_IDLE_AFTER = 1000, WATCHDOG_LIMIT = 50 };

struct watchdog {
    struct watched {
        uint64_t calls, since;
        uint32_t module; /* index + 1; 0: none was running */
        bool is_told;
    } at[CRUMBS_MOST];
    uint64_t calls_sum, moved_at; /* when anything was last seen to happen */
};

struct watchdog_finding {
    unsigned worker;
    uint32_t module, stage;
    uint64_t held;
};

/* Calls told() once for each callback that has been running for WATCHDOG_LIMIT. How long to sleep until the next look:
 * WATCHDOG_IDLE when nothing has happened for a while. */
uint64_t watchdog_look(struct watchdog *watchdog, const struct crumbs *crumbs, uint64_t now,
                       void (*told)(void *arg, const struct watchdog_finding *), void *arg);

#endif
