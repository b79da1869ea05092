/* SPDX-License-Identifier: BSD-2-Clause */
/* hash.h: SipHash-1-3 keyed once per process, for every table whose keys a peer can choose.
 * Source:  Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

/* Once, before threads start and tables are filled; a second call changes nothing. Until then the key is 0. */
void hash_seed(void);
uint64_t hash_bytes(const void *p, size_t n);
static inline uint64_t hash_str(str s)
{
    return hash_bytes(s.p, s.n);
}
uint64_t hash_nocase(str s);           /* as if lower-cased (ASCII) */
uint64_t siphash13(const uint8_t key[16], const void *p, size_t n);
void random_bytes(void *p, size_t n);  /* getrandom(2); aborts when the kernel has none */

/* A string-keyed map in an arena: insert and find, no removal. Keys are not copied. */
struct arena;
struct strmap {
    struct strmap_slot *slots;
    uint32_t count, room;
};
void *strmap_find(const struct strmap *map, str key);
bool strmap_put(struct arena *arena, struct strmap *map, str key, void *value); /* replaces; false without memory */

#endif
