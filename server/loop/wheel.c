/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/wheel.h"

#include <assert.h>
#include <string.h>

static_assert((WHEEL_SLOTS & (WHEEL_SLOTS - 1)) == 0, "a slot's number is masked out of its tick");

enum { WORDS = WHEEL_SLOTS / 64 };

static inline unsigned slot_of(uint64_t tick)
{
    return (unsigned)(tick & (WHEEL_SLOTS - 1));
}

static bool has_no_busy_slot(const struct wheel *wheel)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < WORDS; i++)
        any |= wheel->busy[i];
    return any == 0;
}

void wheel_init(struct wheel *wheel, uint64_t ms)
{
    wheel->now = ms / DEADLINE_TICK;
    memset(wheel->busy, 0, sizeof(wheel->busy));
    for (unsigned i = 0; i < WHEEL_SLOTS; i++)
        list_init(&wheel->slots[i]);
}

/* Rounded up, so that nothing fires early. */
static uint64_t tick_behind(uint64_t ms)
{
    return ms / DEADLINE_TICK + (ms % DEADLINE_TICK != 0);
}

uint64_t wheel_put(struct wheel *wheel, struct deadline *deadline, uint64_t ms)
{
    uint64_t present = ms / DEADLINE_TICK;
    if (present > wheel->now && has_no_busy_slot(wheel))
        wheel->now = present; /* nobody turned it while it was empty */

    uint64_t tick = tick_behind(deadline->at);
    if (tick <= wheel->now)
        tick = wheel->now + 1;
    if (tick > wheel->now + WHEEL_SLOTS - 1)
        tick = wheel->now + WHEEL_SLOTS - 1;

    uint64_t looked_at = tick * DEADLINE_TICK;
    deadline->queued = looked_at < deadline->at ? looked_at : deadline->at;
    unsigned slot = slot_of(tick);
    list_remove(&deadline->link);
    list_push(&wheel->slots[slot], &deadline->link);
    wheel->busy[slot / 64] |= UINT64_C(1) << (slot % 64);
    return looked_at;
}

static void take_slot(struct wheel *wheel, unsigned slot, struct list *into)
{
    struct list *link;
    while ((link = list_first(&wheel->slots[slot]))) {
        list_remove(link);
        list_push(into, link);
    }
    wheel->busy[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

void wheel_advance(struct wheel *wheel, uint64_t ms)
{
    uint64_t until = ms / DEADLINE_TICK;
    if (until <= wheel->now)
        return;

    struct list due;
    list_init(&due);
    uint64_t steps = until - wheel->now;
    if (steps > WHEEL_SLOTS)
        steps = WHEEL_SLOTS;
    for (uint64_t tick = wheel->now + 1; steps; tick++, steps--) {
        unsigned slot = slot_of(tick);
        if (wheel->busy[slot / 64] & UINT64_C(1) << (slot % 64))
            take_slot(wheel, slot, &due);
    }
    wheel->now = until; /* before the callbacks: what they set goes behind it */

    struct list *link;
    while ((link = list_first(&due))) { /* a callback may take any of them out */
        struct deadline *deadline = list_entry(link, struct deadline, link);
        if (deadline->at > ms) {
            wheel_put(wheel, deadline, ms);
            continue;
        }
        list_remove(link);
        deadline->at = 0;
        deadline->on_due(deadline);
    }
}

/* The first busy slot's distance from `from`, going round; WHEEL_SLOTS when there is none. */
static unsigned distance_to_busy(const struct wheel *wheel, unsigned from)
{
    for (unsigned i = 0; i <= WORDS; i++) { /* the first word twice: its upper part, at last its lower one */
        unsigned word = (from / 64 + i) % WORDS;
        uint64_t bits = wheel->busy[word];
        if (i == 0)
            bits &= ~UINT64_C(0) << (from % 64);
        if (bits)
            return (word * 64 + (unsigned)__builtin_ctzll(bits) - from) & (WHEEL_SLOTS - 1);
    }
    return WHEEL_SLOTS;
}

uint64_t wheel_next(struct wheel *wheel)
{
    unsigned first = slot_of(wheel->now + 1);
    for (;;) {
        unsigned distance = distance_to_busy(wheel, first);
        if (distance == WHEEL_SLOTS)
            return 0;
        unsigned slot = (first + distance) & (WHEEL_SLOTS - 1);
        if (!list_is_empty(&wheel->slots[slot]))
            return (wheel->now + 1 + distance) * DEADLINE_TICK;
        wheel->busy[slot / 64] &= ~(UINT64_C(1) << (slot % 64)); /* all were cancelled */
    }
}
