/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/chain.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

enum { KEEP_SLICES = 512, SMALL_PART = 512 };

static _Thread_local struct slice *free_slices;
static _Thread_local unsigned free_count;

/* On the free list a slice keeps only its link. */
static void poison(struct slice *slice)
{
    mem_poison(&slice->block, sizeof(*slice) - offsetof(struct slice, block));
}

static struct slice *take_free(void)
{
    struct slice *slice = free_slices;
    mem_unpoison(slice, sizeof(*slice));
    free_slices = slice->next;
    free_count--;
    return slice;
}

static struct slice *slice_create(void)
{
    struct slice *slice = free_slices ? take_free() : mem_alloc(sizeof(*slice));
    if (slice)
        *slice = (struct slice){ 0 };
    return slice;
}

static void slice_destroy(struct slice *slice)
{
    block_unref(slice->block);
    chain_file_unref(slice->file);
    if (free_count == KEEP_SLICES) {
        mem_free(slice);
        return;
    }
    slice->next = free_slices;
    free_slices = slice;
    free_count++;
    poison(slice);
}

/* Room handed out in a block that is in no chain yet: the slice that will hold it. One a thread: it is filled or
 * forgotten at once. */
static _Thread_local struct slice *reserved;
static _Thread_local struct chain *reserved_for;

void chain_drop_free_list(void)
{
    if (reserved)
        slice_destroy(reserved);
    reserved = NULL;
    reserved_for = NULL;
    while (free_slices)
        mem_free(take_free());
}

struct chain_file *chain_file_create(int fd)
{
    struct chain_file *file = mem_alloc(sizeof(*file));
    if (!file)
        return NULL;
    atomic_init(&file->refs, 1);
    file->fd = fd;
    return file;
}

static struct chain_file *file_ref(struct chain_file *file)
{
    atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
    return file;
}

void chain_file_unref(struct chain_file *file)
{
    if (!file || atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel) != 1)
        return;
    close(file->fd);
    mem_free(file);
}

/* Whether n more bytes that start at p (of block) or offset (of file) simply lengthen the last slice. */
static bool lengthens_tail(const struct chain *chain, const struct slice *more)
{
    const struct slice *tail = chain->tail;
    if (!tail || tail->n > SIZE_MAX - more->n)
        return false;
    if (more->file)
        return tail->file == more->file && tail->offset + tail->n == more->offset;
    return more->block && tail->block == more->block && tail->p + tail->n == more->p;
}

static void link_tail(struct chain *chain, struct slice *slice)
{
    slice->next = NULL;
    if (chain->tail)
        chain->tail->next = slice;
    else
        chain->head = slice;
    chain->tail = slice;
    chain->n += slice->n;
}

static void lengthen_tail(struct chain *chain, size_t n)
{
    chain->tail->n += n;
    chain->n += n;
}

/* Appends what *what describes; references are taken here. */
static bool append(struct chain *chain, const struct slice *what)
{
    if (what->n == 0)
        return true;
    if (lengthens_tail(chain, what)) {
        lengthen_tail(chain, what->n);
        return true;
    }
    struct slice *slice = slice_create();
    if (!slice)
        return false;
    *slice = *what;
    if (slice->block)
        block_ref(slice->block);
    if (slice->file)
        file_ref(slice->file);
    link_tail(chain, slice);
    return true;
}

static struct slice *unlink_head(struct chain *chain)
{
    struct slice *slice = chain->head;
    chain->head = slice->next;
    if (!chain->head)
        chain->tail = NULL;
    chain->n -= slice->n;
    return slice;
}

void chain_clear(struct chain *chain)
{
    while (chain->head)
        slice_destroy(unlink_head(chain));
    assert(chain->n == 0);
}

bool chain_append_block(struct chain *chain, struct block *block, const uint8_t *p, size_t n)
{
    return append(chain, &(struct slice){ .block = block, .p = p, .n = n });
}

bool chain_append_static(struct chain *chain, const void *p, size_t n)
{
    return append(chain, &(struct slice){ .p = p, .n = n });
}

bool chain_append_file(struct chain *chain, struct chain_file *file, uint64_t offset, uint64_t n)
{
    if (n != (size_t)n || offset > UINT64_MAX - n)
        return false;
    return append(chain, &(struct slice){ .file = file, .offset = offset, .n = (size_t)n });
}

/* Room behind the last slice that nobody else sees: its block is ours alone and filled just up to the slice's end. */
static size_t spare_room(const struct chain *chain)
{
    const struct slice *tail = chain->tail;
    if (!tail || !tail->block || block_is_shared(tail->block))
        return 0;
    const struct block *block = tail->block;
    return tail->p + tail->n == block->data + block->used ? block->size - block->used : 0;
}

/* Fills an empty chain with a copy in blocks of its own. */
static bool fill_copy(struct chain *chain, const uint8_t *p, size_t n)
{
    while (n) {
        struct block *block = block_create(n > 2 * BLOCK_SMALL ? BLOCK_LARGE : BLOCK_SMALL);
        if (!block)
            return false;
        size_t part = n < block->size ? n : block->size;
        memcpy(block->data, p, part);
        block->used = (uint32_t)part;
        bool done = chain_append_block(chain, block, block->data, part);
        block_unref(block); /* the chain holds its own now */
        if (!done)
            return false;
        p += part;
        n -= part;
    }
    return true;
}

bool chain_append_copy(struct chain *chain, const void *p, size_t n)
{
    const uint8_t *from = p;
    size_t spare = spare_room(chain);
    if (spare > n)
        spare = n;
    struct chain rest;
    chain_init(&rest);
    if (n > spare && !fill_copy(&rest, from + spare, n - spare)) {
        chain_clear(&rest);
        return false;
    }
    if (spare) {
        struct block *block = chain->tail->block;
        memcpy(block->data + block->used, from, spare);
        block->used += (uint32_t)spare;
        lengthen_tail(chain, spare);
    }
    chain_move_all(chain, &rest);
    return true;
}

bool chain_append_part(struct chain *chain, struct block *block, const uint8_t *p, size_t n)
{
    return n < SMALL_PART ? chain_append_copy(chain, p, n) : chain_append_block(chain, block, p, n);
}

bool chain_prepend_copy(struct chain *chain, const void *p, size_t n)
{
    struct chain front;
    chain_init(&front);
    if (!fill_copy(&front, p, n)) {
        chain_clear(&front);
        return false;
    }
    chain_move_all(&front, chain);
    *chain = front;
    return true;
}

/* Without this, content that comes byte by byte would hold a slice and perhaps a block for each of them. */
static bool join_small(struct chain *to, struct chain *from)
{
    size_t n = from->head->n;
    if (from->head != from->tail || n >= SMALL_PART || from->head->file || spare_room(to) < n)
        return false;
    struct block *block = to->tail->block;
    memcpy(block->data + block->used, from->head->p, n);
    block->used += (uint32_t)n;
    lengthen_tail(to, n);
    chain_clear(from);
    return true;
}

void chain_move_all(struct chain *to, struct chain *from)
{
    assert(to != from);
    if (!from->head || join_small(to, from))
        return;
    if (lengthens_tail(to, from->head)) {
        struct slice *first = unlink_head(from);
        lengthen_tail(to, first->n);
        slice_destroy(first);
    }
    if (!from->head)
        return;
    if (to->tail)
        to->tail->next = from->head;
    else
        to->head = from->head;
    to->tail = from->tail;
    to->n += from->n;
    chain_init(from);
}

/* Drops the first n bytes of the first slice; n is below its length. */
static void cut_head(struct chain *chain, size_t n)
{
    struct slice *head = chain->head;
    if (head->file)
        head->offset += n;
    else
        head->p += n;
    head->n -= n;
    chain->n -= n;
}

uint64_t chain_move(struct chain *to, struct chain *from, uint64_t n)
{
    assert(to != from);
    uint64_t moved = 0;
    while (from->head && moved < n) {
        struct slice *head = from->head;
        if (head->n > n - moved) {
            size_t part = (size_t)(n - moved);
            struct slice what = *head;
            what.n = part;
            if (!append(to, &what))
                break;
            cut_head(from, part);
            moved += part;
            break;
        }
        unlink_head(from);
        moved += head->n;
        if (lengthens_tail(to, head)) {
            lengthen_tail(to, head->n);
            slice_destroy(head);
        } else {
            link_tail(to, head);
        }
    }
    return moved;
}

weir_str chain_peek(const struct chain *chain)
{
    const struct slice *head = chain->head;
    return head ? (weir_str){ (const char *)head->p, head->n } : (weir_str){ NULL, 0 };
}

void chain_eat(struct chain *chain, uint64_t n)
{
    assert(n <= chain->n);
    while (n) {
        if (chain->head->n > n) {
            cut_head(chain, (size_t)n);
            return;
        }
        struct slice *slice = unlink_head(chain);
        n -= slice->n;
        slice_destroy(slice);
    }
}

int chain_iovec(const struct chain *chain, struct iovec *iov, int max, size_t most)
{
    int count = 0;
    const struct slice *slice = chain->head;
    for (; slice && !slice->file && count < max && most; slice = slice->next) {
        size_t n = slice->n < most ? slice->n : most;
        iov[count].iov_base = (void *)(uintptr_t)slice->p; /* writev does not write */
        iov[count].iov_len = n;
        most -= n;
        count++;
    }
    return count;
}

static size_t read_file(const struct slice *slice, uint8_t *p, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(slice->file->fd, p + done, n - done, (off_t)(slice->offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

size_t chain_copy_out(const struct chain *chain, void *p, size_t n)
{
    uint8_t *to = p;
    size_t done = 0;
    for (const struct slice *slice = chain->head; slice && done < n; slice = slice->next) {
        size_t part = slice->n < n - done ? slice->n : n - done;
        size_t got = part;
        if (slice->file)
            got = read_file(slice, to + done, part);
        else
            memcpy(to + done, slice->p, part);
        done += got;
        if (got < part)
            break; /* the file was cut short: nothing behind it is at its place */
    }
    return done;
}

static bool reserve_block(void)
{
    if (reserved)
        return true;
    struct slice *slice = slice_create();
    struct block *block = slice ? block_create(BLOCK_SMALL) : NULL;
    if (!block) {
        if (slice)
            slice_destroy(slice);
        return false;
    }
    slice->block = block;
    slice->p = block->data;
    reserved = slice;
    return true;
}

size_t chain_reserve(struct chain *chain, size_t least, uint8_t **p)
{
    assert(least <= BLOCK_SMALL);
    size_t spare = spare_room(chain);
    reserved_for = NULL;
    if (spare && spare >= least) {
        *p = chain->tail->block->data + chain->tail->block->used;
        return spare;
    }
    if (!reserve_block())
        return 0;
    reserved_for = chain;
    *p = reserved->block->data;
    return reserved->block->size;
}

void chain_commit(struct chain *chain, size_t n)
{
    if (n == 0)
        return;
    if (reserved_for != chain) {
        assert(n <= spare_room(chain));
        chain->tail->block->used += (uint32_t)n;
        lengthen_tail(chain, n);
        return;
    }
    struct slice *slice = reserved;
    assert(n <= slice->block->size);
    reserved = NULL;
    reserved_for = NULL;
    slice->block->used = (uint32_t)n;
    slice->n = n;
    link_tail(chain, slice);
}

bool chain_load_head(struct chain *chain)
{
    struct slice *head = chain->head;
    if (!head || !head->file)
        return true;
    struct slice *slice = slice_create();
    struct block *block = slice ? block_create(head->n > BLOCK_SMALL ? BLOCK_LARGE : BLOCK_SMALL) : NULL;
    size_t n = block ? read_file(head, block->data, head->n < block->size ? head->n : block->size) : 0;
    if (slice)
        slice->block = block;
    if (n == 0) {
        if (slice)
            slice_destroy(slice);
        return false;
    }
    block->used = (uint32_t)n;
    slice->p = block->data;
    slice->n = n;
    chain_eat(chain, n); /* what is now in memory */
    slice->next = chain->head;
    chain->head = slice;
    if (!chain->tail)
        chain->tail = slice;
    chain->n += n;
    return true;
}
