/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/intake.h"

/* An answer of common size and its head fit behind what others have left in a block. */
enum { SHARED_LEAST = BLOCK_SMALL + 1024 };

static bool begin_block(struct intake *in, uint32_t size)
{
    uint32_t rest = intake_n(in);

    if (rest >= size / 2)
        size = rest * 2;
    struct block *fresh = rest == 0 && size == BLOCK_MEDIUM ? block_take_aside(SHARED_LEAST) : NULL;
    if (fresh) {
        block_unref(in->block);
        *in = (struct intake){ .block = fresh, .at = fresh->used };
        return true;
    }
    fresh = block_create(size);
    if (!fresh)
        return false;
    if (rest)
        memcpy(fresh->data, in->block->data + in->at, rest);
    fresh->used = rest;
    block_unref(in->block);
    *in = (struct intake){ .block = fresh };
    return true;
}

static bool make_room(struct intake *in, uint32_t size)
{
    struct block *block = in->block;

    if (block && in->at == block->used && !block_is_shared(block))
        in->at = block->used = 0;
    return (block && block->used < block->size) || begin_block(in, size);
}

int64_t intake_read(struct intake *in, struct conn *conn, uint32_t size)
{
    if (!make_room(in, size))
        return INTAKE_NO_MEMORY;
    struct block *block = in->block;
    int64_t n = conn_read(conn, block->data + block->used, block->size - block->used);
    if (n > 0)
        block->used += (uint32_t)n;
    return n;
}

bool intake_pin(const struct intake *in, struct arena *arena)
{
    if (arena_on_reset(arena, (void (*)(void *))block_unref, block_ref(in->block)))
        return true;
    block_unref(in->block);
    return false;
}

enum h1_event intake_decode(struct intake *in, struct h1_body *decoder, struct chain *content, struct h1_error *error)
{
    for (;;) {
        str rest = intake_rest(in), data = STR_NONE;
        size_t used = 0;
        enum h1_event event = h1_body_feed(decoder, rest.p, rest.n, &used, &data, error);
        intake_use(in, used);
        if (event != H1_BODY_DATA)
            return event;
        if (!content)
            continue;
        const uint8_t *bytes = (const uint8_t *)data.p;
        bool fine = decoder->kind == BODY_CHUNKED ? chain_append_part(content, in->block, bytes, data.n)
                                                  : chain_append_block(content, in->block, bytes, data.n);
        if (!fine) {
            *error = (struct h1_error){ 503, "no memory" };
            return H1_BODY_BAD;
        }
    }
}

bool intake_pass_raw(struct intake *in, struct chain *content)
{
    str rest = intake_rest(in);

    if (!chain_append_block(content, in->block, (const uint8_t *)rest.p, rest.n))
        return false;
    intake_use(in, rest.n);
    return true;
}

void intake_drop(struct intake *in)
{
    block_unref(in->block);
    *in = (struct intake){ 0 };
}

void intake_leave(struct intake *in)
{
    struct block *block = in->block;

    *in = (struct intake){ 0 };
    if (block && block->size == BLOCK_MEDIUM)
        block_set_aside(block);
    else
        block_unref(block);
}
