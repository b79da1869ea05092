/* SPDX-License-Identifier: BSD-2-Clause */
/* chain.h: body bytes on their way through the pipeline.
 *
 * Shape:   an ordered list of slices; a slice is bytes in a refcounted block, bytes that live elsewhere for ever
 *          (static), or a range of a file.
 * Units:   bytes after transfer decoding.
 * Owner:   the chain owns its references; a slice read with chain_peek is valid until chain_eat.
 * Thread:  the worker that owns the request.
 * Errors:  false (or 0 bytes taken) without memory; the chain is then unchanged.
 * Source:  RFC 9110 6.4 (content); chunked framing (RFC 9112 7.1) is the codec's job. */
#ifndef BASE_CHAIN_H
#define BASE_CHAIN_H

#include "base/block.h"
#include "base/str.h"

#include <sys/uio.h>

struct slice {
    struct slice *next;
    struct block *block; /* NULL for static bytes and files */
    const uint8_t *p;    /* NULL for a file range */
    size_t n;
    struct chain_file *file; /* shared, refcounted */
    uint64_t offset;         /* in the file */
};

struct chain_file { /* an open file that several slices may share */
    atomic_uint refs;
    int fd;
};
struct chain_file *chain_file_create(int fd); /* takes fd; without memory NULL, and fd stays the caller's */
void chain_file_unref(struct chain_file *file);

struct chain {
    struct slice *head, *tail;
    uint64_t n; /* bytes in all slices */
};

static inline void chain_init(struct chain *chain)
{
    chain->head = chain->tail = NULL;
    chain->n = 0;
}
static inline bool chain_is_empty(const struct chain *chain)
{
    return chain->n == 0;
}
void chain_clear(struct chain *chain); /* drops all references; the chain is empty and usable afterwards */

/* Takes its own reference; the caller keeps his. */
bool chain_append_block(struct chain *chain, struct block *block, const uint8_t *p, size_t n);
/* The same for one of many pieces (chunks, as a peer cuts them): copied where a slice would cost more than they. */
bool chain_append_part(struct chain *chain, struct block *block, const uint8_t *p, size_t n);
bool chain_append_static(struct chain *chain, const void *p, size_t n);
bool chain_append_copy(struct chain *chain, const void *p, size_t n); /* into the tail's spare room, then new blocks */
bool chain_append_file(struct chain *chain, struct chain_file *file, uint64_t offset, uint64_t n);
bool chain_prepend_copy(struct chain *chain, const void *p, size_t n);
/* Never fails. By reference; one small slice is copied where to has room behind its last byte. */
void chain_move_all(struct chain *to, struct chain *from);
uint64_t chain_move(struct chain *to, struct chain *from, uint64_t n); /* up to n bytes by reference; how many went */

weir_str chain_peek(const struct chain *chain); /* first slice's bytes; {NULL, n} for a file range; n = 0 when empty */
void chain_eat(struct chain *chain, uint64_t n); /* drops the first n bytes (n <= chain->n) */
/* Leading memory slices, at most max of them and most bytes; how many were filled. */
int chain_iovec(const struct chain *chain, struct iovec *iov, int max, size_t most);
/* Copies the first bytes (memory and file); fewer than n and the chain's only when a file was cut short meanwhile. */
size_t chain_copy_out(const struct chain *chain, void *p, size_t n);

/* Room behind the last byte, at least `least` of it (BLOCK_SMALL at most): *p and how much, or 0 without memory. What
 * was written there is appended by chain_commit, before the chain is touched otherwise. Room that is not committed
 * costs nothing. */
size_t chain_reserve(struct chain *chain, size_t least, uint8_t **p);
void chain_commit(struct chain *chain, size_t n);
/* Reads the beginning of a leading file range into memory, so that chain_peek shows it; true as well when it is there
 * already or the chain is empty. False without memory, or when the file was cut short. */
bool chain_load_head(struct chain *chain);

void chain_drop_free_list(void); /* this thread's recycled slices; at thread end */

#endif
