/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/chars.h"
#include "http/field.h"

#include <assert.h>
#include <stdlib.h>

/* A known name, ready to be compared eight bytes at a time without case: (received | mask) == lower. The mask is 0x20
 * under letters and 0 elsewhere, so nothing but the two cases of a letter compares equal. */
enum { LONGEST = 32, SLOTS = 512, SLOT_BITS = 9, TRIES_MOST = 10000000 };

struct name {
    char lower[LONGEST], mask[LONGEST];
    str canonical;
};

static struct name names[FIELD_COUNT] = {
#define X(id, text) [FIELD_##id] = { .canonical = { text, sizeof(text) - 1 } },
    FIELD_NAMES(X)
#undef X
};

static uint8_t slots[SLOTS]; /* enum field_id, 0: empty */
static uint32_t multiplier;

_Static_assert(FIELD_COUNT <= 128, "a fuller table takes too long to be found");

static inline uint32_t slot_of(const char *p, size_t n, uint32_t factor)
{
    uint32_t key = (uint32_t)(uint8_t)p[0] | (uint32_t)(uint8_t)p[n / 2] << 8 | (uint32_t)(uint8_t)p[n - 2] << 16 |
                   (uint32_t)(uint8_t)p[n - 1] << 24;

    return (((key | 0x20202020u) ^ (uint32_t)n) * factor) >> (32 - SLOT_BITS);
}

static bool fill_slots(uint32_t factor)
{
    memset(slots, 0, sizeof slots);
    for (unsigned id = 1; id < FIELD_COUNT; id++) {
        uint8_t *slot = &slots[slot_of(names[id].canonical.p, names[id].canonical.n, factor)];

        if (*slot)
            return false;
        *slot = (uint8_t)id;
    }
    multiplier = factor;
    return true;
}

/* Before main(): finds a multiplier under which no two names share a slot. The list of names thus needs no care beyond
 * length and four characters telling them apart. */
__attribute__((constructor)) static void build_slots(void)
{
    uint32_t factor = 0x9e3779b1u;
    unsigned tries = 0;

    for (unsigned id = 1; id < FIELD_COUNT; id++) {
        str name = names[id].canonical;

        assert(name.n >= 2 && name.n <= LONGEST);
        for (size_t i = 0; i < name.n; i++) {
            names[id].lower[i] = char_lower(name.p[i]);
            names[id].mask[i] = names[id].lower[i] >= 'a' && names[id].lower[i] <= 'z' ? 0x20 : 0;
        }
    }
    while (!fill_slots(factor)) {
        factor = (factor * 1664525u + 1013904223u) | 1u;
        if (++tries == TRIES_MOST) /* two names are alike in length and all the characters that are hashed */
            abort();
    }
}

static inline uint64_t load8(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline bool same8(const struct name *name, const char *p, size_t at)
{
    return (load8(p + at) | load8(name->mask + at)) == load8(name->lower + at);
}

static inline bool name_is(const struct name *name, const char *p, size_t n)
{
    size_t i = 0;

    if (n >= 8) {
        for (; i + 8 <= n; i += 8) {
            if (!same8(name, p, i))
                return false;
        }
        return same8(name, p, n - 8);
    }
    for (; i < n; i++) {
        if ((p[i] | name->mask[i]) != name->lower[i])
            return false;
    }
    return true;
}

enum field_id field_intern(str name)
{
    enum field_id id;

    if (name.n < 2 || name.n > LONGEST)
        return FIELD_OTHER;
    id = (enum field_id)slots[slot_of(name.p, name.n, multiplier)];
    if (id == FIELD_OTHER || names[id].canonical.n != name.n || !name_is(&names[id], name.p, name.n))
        return FIELD_OTHER;
    return id;
}

str field_name(enum field_id id)
{
    return (unsigned)id < FIELD_COUNT ? names[id].canonical : STR_NONE;
}
