/* SPDX-License-Identifier: BSD-2-Clause */
/* block.h: refcounted pieces of buffer memory, recycled per thread.
 *
 * Shape:   a header and `size` bytes behind it; BLOCK_SMALL for heads and slow peers, BLOCK_MEDIUM for an answer of
 *          common size with its head, BLOCK_LARGE for bodies that stream.
 * Owner:   whoever holds a reference; the last block_unref puts it on the calling thread's free list (or frees it).
 * Thread:  references may be dropped on any thread; the bytes are written by one thread only, before they are shared.
 * Errors:  NULL without memory. */
#ifndef BASE_BLOCK_H
#define BASE_BLOCK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { BLOCK_SMALL = 16 * 1024, BLOCK_MEDIUM = 32 * 1024, BLOCK_LARGE = 128 * 1024 };

struct block {
    atomic_uint refs;
    uint32_t size; /* bytes at data */
    uint32_t used; /* bytes filled so far: its writer's note */
    uint32_t pad;
    struct block *next; /* free list */
    uint8_t data[];
};

struct block *block_create(uint32_t size); /* one of these is recycled, any other size is not */

/* By a holder: the only one needs no locked instruction, as nobody else can count at the same time. */
static inline struct block *block_ref(struct block *block)
{
    if (atomic_load_explicit(&block->refs, memory_order_relaxed) == 1)
        atomic_store_explicit(&block->refs, 2, memory_order_relaxed);
    else
        atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

void block_unref(struct block *block); /* NULL is fine */
static inline int block_is_shared(const struct block *block)
{
    return atomic_load_explicit(&((struct block *)block)->refs, memory_order_acquire) > 1;
}

/* One that is written behind `used` by whoever comes next: a hundred small answers lie in a few blocks, which are still
 * in the cache, and not in one each. */
void block_set_aside(struct block *block); /* in place of block_unref; the thread keeps one, that with the most room */
struct block *block_take_aside(uint32_t least); /* it, if it has so much room; nobody else's: used is 0. Or NULL */

void block_drop_free_lists(void);     /* this thread's, and what it set aside; at thread end */
uint64_t block_bytes_in_use(void);    /* whole process, without free lists; approximate */

#endif
