/* SPDX-License-Identifier: BSD-2-Clause */
/* arena.h: memory that dies together, with cleanups that run in reverse.
 *
 * Shape:   a list of chunks cut from the front; nothing is freed singly.
 * Units:   bytes; what is returned is aligned for any type.
 * Owner:   whoever created the arena; a pointer from it is valid until arena_reset or arena_destroy.
 * Thread:  one at a time; there is no lock.
 * Errors:  NULL when the machine has no memory or the arena's cap is reached.
 * Drawback: memory given back early is not reused; do not loop over arena_alloc without bound.
 * Sanitized builds: every allocation is a malloc of its own, so that overflows are seen. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

#include <stdarg.h>

struct arena;

/* chunk: first chunk's size; cap 0: none. One with a cap is filled by what peers say: it counts in mem_held. */
struct arena *arena_create(size_t chunk, size_t cap);
void arena_destroy(struct arena *arena);              /* NULL is fine */
void arena_reset(struct arena *arena);                /* runs cleanups, keeps the first chunk */

void *arena_alloc(struct arena *arena, size_t n);  /* not zeroed */
void *arena_zalloc(struct arena *arena, size_t n); /* zeroed */
void *arena_dup(struct arena *arena, const void *p, size_t n);
str arena_str(struct arena *arena, str s);          /* a copy, with a NUL behind it; {NULL, 0} on failure */
str arena_lower(struct arena *arena, str s);        /* a lower-case copy (ASCII), with a NUL behind it */
str arena_concat(struct arena *arena, const str *parts, size_t count);
str arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
str arena_vprintf(struct arena *arena, const char *fmt, va_list ap);

/* fn(arg) runs at reset or destroy, last registered first. False when it could not be registered (fn was not run). */
bool arena_on_reset(struct arena *arena, void (*fn)(void *), void *arg);

size_t arena_used(const struct arena *arena); /* bytes held from the system, headers aside: what the cap bounds */

#define arena_new(arena, type) ((type *)arena_zalloc((arena), sizeof(type)))
#define arena_array(arena, type, count) ((type *)arena_zalloc((arena), sizeof(type) * (count)))

/* A vector in an arena: grows by doubling, so at most half of what it holds is left behind. */
struct vec {
    void *items;
    uint32_t count, room;
};
void *vec_push(struct arena *arena, struct vec *vec, size_t item_size); /* a zeroed new last item, or NULL */
#define vec_at(vec, type, i) (&((type *)(vec)->items)[i])

#endif
