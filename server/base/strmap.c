/* SPDX-License-Identifier: BSD-2-Clause */
/* strmap.c: the string-keyed map of hash.h. */
#include "base/arena.h"
#include "base/hash.h"

/* Open addressing with linear probing; room is a power of two and at most three quarters full. */
struct strmap_slot {
    uint64_t hash;
    str key;
    void *value;
    bool taken;
};

/* The slot that holds key, or the free one where it belongs. */
static struct strmap_slot *probe(struct strmap_slot *slots, uint32_t room, uint64_t hash, str key)
{
    for (uint32_t i = (uint32_t)hash & (room - 1);; i = (i + 1) & (room - 1)) {
        struct strmap_slot *slot = &slots[i];
        if (!slot->taken || (slot->hash == hash && str_equal(slot->key, key)))
            return slot;
    }
}

void *strmap_find(const struct strmap *map, str key)
{
    if (map->count == 0)
        return NULL;
    const struct strmap_slot *slot = probe(map->slots, map->room, hash_str(key), key);
    return slot->taken ? slot->value : NULL;
}

static bool grow(struct arena *arena, struct strmap *map)
{
    uint32_t room = map->room ? map->room * 2 : 8;
    if (room <= map->room)
        return false;
    struct strmap_slot *slots = arena_array(arena, struct strmap_slot, room);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < map->room; i++) {
        const struct strmap_slot *old = &map->slots[i];
        if (old->taken)
            *probe(slots, room, old->hash, old->key) = *old;
    }
    map->slots = slots;
    map->room = room;
    return true;
}

bool strmap_put(struct arena *arena, struct strmap *map, str key, void *value)
{
    uint64_t hash = hash_str(key);
    struct strmap_slot *slot = map->room ? probe(map->slots, map->room, hash, key) : NULL;
    if (slot && slot->taken) {
        slot->value = value;
        return true;
    }
    if (!slot || map->count >= map->room / 4 * 3) {
        if (!grow(arena, map))
            return false;
        slot = probe(map->slots, map->room, hash, key);
    }
    *slot = (struct strmap_slot){ .hash = hash, .key = key, .value = value, .taken = true };
    map->count++;
    return true;
}
