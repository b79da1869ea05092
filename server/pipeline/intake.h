/* SPDX-License-Identifier: BSD-2-Clause */
/* intake.h: what was read from a connection and is not used yet; one block at a time.
 *
 * Shape:   block: | used up | waits | room |
 *                           at      block->used
 *          What was used up may lie in a head or in a chain and stays where it is: then the next block begins with what
 *          waits. Zeroed is empty.
 * Owner:   holds one reference to its block; chains and requests hold their own.
 * Thread:  the connection's worker.
 * Errors:  INTAKE_NO_MEMORY, false, or H1_BODY_BAD: without memory. */
#ifndef PIPELINE_INTAKE_H
#define PIPELINE_INTAKE_H

#include "base/arena.h"
#include "base/block.h"
#include "http/h1.h"
#include "net/conn.h"

enum { INTAKE_NO_MEMORY = -3 };

struct intake {
    struct block *block; /* NULL: nothing waits, and no room is kept */
    uint32_t at;
};

static inline uint32_t intake_n(const struct intake *in)
{
    return in->block ? in->block->used - in->at : 0;
}

static inline str intake_rest(const struct intake *in)
{
    return in->block ? (str){ (const char *)in->block->data + in->at, in->block->used - in->at } : STR_NONE;
}

static inline void intake_use(struct intake *in, size_t n) /* no more than waits */
{
    in->at += (uint32_t)n;
}

static inline void intake_use_all(struct intake *in)
{
    if (in->block)
        in->at = in->block->used;
}

/* One conn_read behind what waits: its answer, or INTAKE_NO_MEMORY. A new block has `size` bytes, or twice what waits,
 * if that is more; or, for BLOCK_MEDIUM, it is what another intake_leave left of one. */
int64_t intake_read(struct intake *in, struct conn *conn, uint32_t size);
/* The block stays until the arena is reset: a head that lies in it is parsed in place. */
bool intake_pin(const struct intake *in, struct arena *arena);
/* Feeds what waits to the decoder; content goes by reference behind what `content` holds, or nowhere when that is NULL.
 * Never H1_BODY_DATA. */
enum h1_event intake_decode(struct intake *in, struct h1_body *decoder, struct chain *content, struct h1_error *error);
bool intake_pass_raw(struct intake *in, struct chain *content); /* all that waits */
void intake_drop(struct intake *in); /* with what waits */
void intake_leave(struct intake *in); /* nothing waits; the room in its block serves another connection */

#endif
