/* SPDX-License-Identifier: BSD-2-Clause */
/* wheel.h: where deadlines stand until they are due. Pure logic: the time is passed in.
 *
 * Shape:   WHEEL_SLOTS lists, one a tick; a deadline stands under the first tick that is not before `at`. One that is
 *          further away than the wheel is wide, or that was moved later, is met before its time and put in again.
 *              ticks   now  now+1  now+2  ...  now+1023
 *              slots    -    [a]    [ ]         [b c d]
 * Units:   milliseconds; a tick is DEADLINE_TICK of them.
 * Owner:   nobody: the links lie in the deadlines. Taking one out is list_remove on its link. */
#ifndef LOOP_WHEEL_H
#define LOOP_WHEEL_H

#include "loop/deadline.h"

enum { WHEEL_SLOTS = 1024 };

struct wheel {
    uint64_t now;                    /* the last tick that was looked at */
    uint64_t busy[WHEEL_SLOTS / 64]; /* a bit a slot; may still be set when all its deadlines were taken out */
    struct list slots[WHEEL_SLOTS];
};

void wheel_init(struct wheel *wheel, uint64_t ms);
/* Puts it in by its `at`; answers when it will be looked at. */
uint64_t wheel_put(struct wheel *wheel, struct deadline *deadline, uint64_t ms);
void wheel_advance(struct wheel *wheel, uint64_t ms); /* calls what is due by then */
uint64_t wheel_next(struct wheel *wheel);             /* when to advance next; 0: nothing stands in it */

#endif
