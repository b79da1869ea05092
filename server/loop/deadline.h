/* SPDX-License-Identifier: BSD-2-Clause */
/* deadline.h: coarse timers: a stored time that a wheel looks at, so that moving one later costs a store.
 *
 * Units:   milliseconds of clock_ms(); fires at most DEADLINE_TICK late (plus the loop's own delay), never early.
 * Owner:   embedded; cancelled before its memory goes.
 * Thread:  the worker it was first set on. */
#ifndef LOOP_DEADLINE_H
#define LOOP_DEADLINE_H

#include "base/list.h"

#include <stdint.h>

enum { DEADLINE_TICK = 16 };

struct deadline {
    struct list link;
    uint64_t at;      /* when it is due; 0: not set */
    uint64_t queued;  /* the time it stands under in the wheel; never later than `at` */
    void (*on_due)(struct deadline *deadline); /* unset when called; may set it again or free its owner */
};

void deadline_init(struct deadline *deadline, void (*on_due)(struct deadline *));
void deadline_set(struct deadline *deadline, uint64_t ms_from_now);
uint64_t deadline_time(uint64_t ms_from_now); /* as a time for deadline_set_at; never 0 */
void deadline_cancel(struct deadline *deadline); /* fine when not set */
void deadline_queue(struct deadline *deadline); /* for deadline_set_at: under an earlier time than before */
static inline void deadline_set_at(struct deadline *deadline, uint64_t at) /* of clock_ms(); not 0 */
{
    deadline->at = at;
    if (list_is_empty(&deadline->link) || deadline->queued > at)
        deadline_queue(deadline); /* else the wheel meets it early enough and puts it where it belongs */
}
static inline bool deadline_is_set(const struct deadline *deadline)
{
    return deadline->at != 0;
}

#endif
