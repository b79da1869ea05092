/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/block.h"
#include "base/mem.h"

#include <assert.h>

/* What a thread keeps at most: 1 MiB of small, 1 MiB of medium and 2 MiB of large blocks. */
enum { KEEP_SMALL = 64, KEEP_MEDIUM = 32, KEEP_LARGE = 16 };

/* A thread tells the process what it took and gave only in steps of this size: no cache line shared on every block. */
enum { REPORT_STEP = 1024 * 1024 };

struct free_list {
    struct block *first;
    unsigned count, most;
};

static _Thread_local struct free_list small_blocks = { .most = KEEP_SMALL };
static _Thread_local struct free_list medium_blocks = { .most = KEEP_MEDIUM };
static _Thread_local struct free_list large_blocks = { .most = KEEP_LARGE };
static _Thread_local struct block *aside;
static _Thread_local int64_t unreported;
static _Atomic int64_t in_use;

static void report(void)
{
    atomic_fetch_add_explicit(&in_use, unreported, memory_order_relaxed);
    unreported = 0;
}

static void count_bytes(int64_t n)
{
    unreported += n;
    if (unreported >= REPORT_STEP || unreported <= -REPORT_STEP)
        report();
}

static struct free_list *list_of(uint32_t size)
{
    switch (size) {
    case BLOCK_SMALL:
        return &small_blocks;
    case BLOCK_MEDIUM:
        return &medium_blocks;
    case BLOCK_LARGE:
        return &large_blocks;
    default:
        return NULL;
    }
}

static struct block *take_free(struct free_list *list)
{
    struct block *block = list->first;
    list->first = block->next;
    list->count--;
    mem_unpoison(block->data, block->size);
    return block;
}

struct block *block_create(uint32_t size)
{
    struct free_list *list = list_of(size);
    struct block *block;
    if (list && list->first) {
        block = take_free(list);
    } else {
        block = mem_alloc(sizeof(*block) + size);
        if (!block)
            return NULL;
        block->size = size;
        block->pad = 0;
    }
    atomic_init(&block->refs, 1);
    block->used = 0;
    block->next = NULL;
    count_bytes((int64_t)size);
    return block;
}

static void retire(struct block *block)
{
    count_bytes(-(int64_t)block->size);
    struct free_list *list = list_of(block->size);
    if (!list || list->count == list->most) {
        mem_free(block);
        return;
    }
    block->next = list->first;
    list->first = block;
    list->count++;
    mem_poison(block->data, block->size);
}

void block_unref(struct block *block)
{
    if (!block)
        return;
    /* The only holder needs no locked instruction; acquire sees what the other holders did before they let go. */
    if (atomic_load_explicit(&block->refs, memory_order_acquire) != 1) {
        unsigned before = atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel);
        assert(before > 0);
        if (before != 1)
            return;
    }
    retire(block);
}

static uint32_t room_in(struct block *block)
{
    if (!block_is_shared(block))
        block->used = 0;
    return block->size - block->used;
}

void block_set_aside(struct block *block)
{
    struct block *other = aside;
    if (other && room_in(other) >= room_in(block)) {
        block_unref(block);
        return;
    }
    aside = block;
    block_unref(other);
}

struct block *block_take_aside(uint32_t least)
{
    struct block *block = aside;
    if (!block || room_in(block) < least)
        return NULL;
    aside = NULL;
    return block;
}

static void drop(struct free_list *list)
{
    while (list->first)
        mem_free(take_free(list));
}

void block_drop_free_lists(void)
{
    block_unref(aside);
    aside = NULL;
    drop(&small_blocks);
    drop(&medium_blocks);
    drop(&large_blocks);
    report();
    mem_hold_report();
}

uint64_t block_bytes_in_use(void)
{
    int64_t n = atomic_load_explicit(&in_use, memory_order_relaxed) + unreported;
    return n > 0 ? (uint64_t)n : 0;
}
