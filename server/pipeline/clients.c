/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/clients.h"

#include "base/hash.h"

#include <stdatomic.h>
#include <string.h>

enum { BUCKET = 8, BUCKETS = CLIENT_SLOTS / BUCKET, COUNT_BITS = 24, TRIES = 64 };

static const uint64_t count_mask = (1u << COUNT_BITS) - 1;

static uint64_t hash_of(const uint8_t address[16])
{
    static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

    return hash_bytes(address, memcmp(address, v4_mapped, sizeof(v4_mapped)) == 0 ? 16 : 8);
}

static uint64_t tag_of(uint64_t hash)
{
    return hash & ~count_mask;
}

/* The i-th slot that an address of this hash may have. */
static uint32_t slot_at(uint64_t hash, unsigned i)
{
    uint64_t first = hash % BUCKETS, second = hash >> 13 & (BUCKETS - 1);

    return (uint32_t)(i < BUCKET ? first * BUCKET + i : second * BUCKET + (i - BUCKET));
}

struct view { /* what the two buckets held when they were looked at */
    uint32_t mine, spare; /* CLIENT_UNCOUNTED: none */
    uint64_t value;       /* mine's */
    uint64_t total;
};

static struct view look(struct clients *clients, uint64_t hash)
{
    struct view view = { CLIENT_UNCOUNTED, CLIENT_UNCOUNTED, 0, 0 };
    bool is_one = slot_at(hash, 0) == slot_at(hash, BUCKET);

    for (unsigned i = 0; i < (is_one ? BUCKET : 2 * BUCKET); i++) {
        uint32_t at = slot_at(hash, i);
        uint64_t value = atomic_load_explicit(&clients->slots[at], memory_order_relaxed);
        if (value == 0) {
            view.spare = view.spare == CLIENT_UNCOUNTED ? at : view.spare;
        } else if (tag_of(value) == tag_of(hash)) {
            view.total += value & count_mask;
            view.mine = at;
            view.value = value;
        }
    }
    return view;
}

static bool change(struct clients *clients, uint32_t at, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(&clients->slots[at], &from, to, memory_order_relaxed,
                                                   memory_order_relaxed);
}

bool clients_enter(struct clients *clients, const uint8_t address[16], uint32_t most, uint32_t *place)
{
    uint64_t hash = hash_of(address);

    for (int i = 0; i < TRIES; i++) {
        struct view view = look(clients, hash);
        if (view.total >= most || view.total >= count_mask)
            return false;
        uint32_t at = view.mine != CLIENT_UNCOUNTED ? view.mine : view.spare;
        if (at == CLIENT_UNCOUNTED)
            break;
        if (change(clients, at, view.value, view.value ? view.value + 1 : tag_of(hash) | 1)) {
            *place = at;
            return true;
        }
    }
    *place = CLIENT_UNCOUNTED;
    return true;
}

void clients_leave(struct clients *clients, uint32_t place)
{
    if (place == CLIENT_UNCOUNTED)
        return;
    uint64_t value = atomic_load_explicit(&clients->slots[place], memory_order_relaxed);
    while (!change(clients, place, value, (value & count_mask) > 1 ? value - 1 : 0))
        value = atomic_load_explicit(&clients->slots[place], memory_order_relaxed);
}

uint32_t clients_count(struct clients *clients, const uint8_t address[16])
{
    return (uint32_t)look(clients, hash_of(address)).total;
}

bool clients_may_log(struct clients *clients, const uint8_t address[16], uint64_t now_ms)
{
    _Atomic uint64_t *line = &clients->lines[hash_of(address) % CLIENT_LINES];
    uint64_t now = now_ms / 1000 + 1, last = atomic_load_explicit(line, memory_order_relaxed);

    if (last && now - last < 60)
        return false;
    return atomic_compare_exchange_strong_explicit(line, &last, now, memory_order_relaxed, memory_order_relaxed);
}
