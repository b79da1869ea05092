/* SPDX-License-Identifier: BSD-2-Clause */
#include "stream.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Below this much room zlib writes into `spill` instead: a flush that always fills its output exactly would start again
 * with another marker each time (zlib.h, deflate: avail_out must be more than six). */
enum { ROOM_DIRECT = 64, ROOM_ASKED = 1024 };

struct stream {
    struct stream *next;
    z_stream z;
    int level;
    bool is_ending, is_flushing, is_whole;
    uint64_t in, out;
    uint32_t spill_at, spill_n; /* spill[spill_at .. spill_n) waits for room */
    unsigned char spill[256];
};

static struct stream *stream_create(int level)
{
    struct stream *stream = calloc(1, sizeof(*stream));

    if (stream && deflateInit2(&stream->z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(stream);
        stream = NULL;
    }
    if (stream)
        stream->level = level;
    return stream;
}

static void stream_destroy(struct stream *stream)
{
    deflateEnd(&stream->z);
    free(stream);
}

static bool stream_reset(struct stream *stream, int level)
{
    if (deflateReset(&stream->z) != Z_OK)
        return false;
    if (stream->level != level && deflateParams(&stream->z, level, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    stream->level = level;
    stream->is_ending = stream->is_flushing = stream->is_whole = false;
    stream->in = stream->out = 0;
    stream->spill_at = stream->spill_n = 0;
    return true;
}

struct stream *stream_take(struct stream_pool *pool, int level)
{
    struct stream *stream = pool ? pool->idle : NULL;

    if (!stream)
        return stream_create(level);
    pool->idle = stream->next;
    pool->count--;
    if (!stream_reset(stream, level)) {
        stream_destroy(stream);
        return NULL;
    }
    return stream;
}

void stream_release(struct stream_pool *pool, struct stream *stream)
{
    if (!pool || pool->count >= STREAMS_IDLE) {
        stream_destroy(stream);
        return;
    }
    stream->next = pool->idle;
    pool->idle = stream;
    pool->count++;
}

void stream_pool_clear(struct stream_pool *pool)
{
    while (pool->idle) {
        struct stream *stream = pool->idle;
        pool->idle = stream->next;
        stream_destroy(stream);
    }
    pool->count = 0;
}

/* Hands on what waits in spill; false when some of it still waits. */
static bool spill_drain(struct stream *stream, weir_flow *flow, weir_chain *out)
{
    while (stream->spill_at < stream->spill_n) {
        uint64_t room = weir_room(flow);
        size_t n = stream->spill_n - stream->spill_at;
        if (n > room)
            n = (size_t)room;
        size_t gone = n ? weir_put(out, stream->spill + stream->spill_at, n) : 0;
        if (gone == 0)
            return false;
        stream->spill_at += (uint32_t)gone;
        stream->out += gone;
    }
    return true;
}

/* One call of deflate with this input and this output. */
static bool deflate_piece(struct stream *stream, weir_chain *in, weir_span to, int mode, size_t *written)
{
    weir_str from = weir_peek(in);
    uInt given = from.n > UINT_MAX ? UINT_MAX : (uInt)from.n;

    stream->z.next_in = (Bytef *)(uintptr_t)from.p;
    stream->z.avail_in = given;
    stream->z.next_out = to.p;
    stream->z.avail_out = (uInt)to.n;
    int rc = deflate(&stream->z, mode);
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        return false;

    *written = to.n - stream->z.avail_out;
    if (stream->z.avail_out && mode == Z_SYNC_FLUSH)
        stream->is_flushing = false;
    stream->is_whole = rc == Z_STREAM_END;
    stream->in += given - stream->z.avail_in;
    weir_eat(in, given - stream->z.avail_in);
    return true;
}

/* Where deflate may write: the chain itself, or spill when there is little room. {NULL, 0}: no memory. */
static weir_span output_for(struct stream *stream, weir_chain *out, uint64_t room)
{
    if (room < ROOM_DIRECT) {
        stream->spill_at = stream->spill_n = 0;
        return (weir_span){ stream->spill, sizeof(stream->spill) };
    }
    weir_span to = weir_reserve(out, room < ROOM_ASKED ? (size_t)room : ROOM_ASKED);
    if (to.n > room)
        to.n = (size_t)room;
    if (to.n > UINT_MAX)
        to.n = UINT_MAX;
    return to;
}

enum stream_outcome stream_run(struct stream *stream, weir_flow *flow, weir_chain *in, weir_chain *out, uint32_t how)
{
    stream->is_ending |= (how & WEIR_END) != 0;
    stream->is_flushing |= (how & WEIR_FLUSH) != 0;
    for (;;) {
        if (!spill_drain(stream, flow, out))
            return weir_room(flow) ? STREAM_BROKEN : STREAM_FULL;
        if (stream->is_whole)
            return STREAM_ENDED;

        weir_str from = weir_peek(in);
        bool is_last = from.n == weir_size(in) && from.n <= UINT_MAX;
        int mode = Z_NO_FLUSH;
        if (is_last && (stream->is_ending || stream->is_flushing))
            mode = stream->is_ending ? Z_FINISH : Z_SYNC_FLUSH;
        if (from.n == 0 && !is_last)
            return STREAM_BROKEN; /* bytes that cannot be shown: a file that could not be read */
        if (from.n == 0 && mode == Z_NO_FLUSH)
            return STREAM_WAITING;
        uint64_t room = weir_room(flow);
        if (room == 0)
            return STREAM_FULL;

        size_t written;
        weir_span to = output_for(stream, out, room);
        if (to.n == 0 || !deflate_piece(stream, in, to, mode, &written))
            return STREAM_BROKEN;
        if (to.p == stream->spill) {
            stream->spill_n = (uint32_t)written;
        } else {
            weir_commit(out, written);
            stream->out += written;
        }
    }
}

uint64_t stream_in(const struct stream *stream)
{
    return stream->in;
}

uint64_t stream_out(const struct stream *stream)
{
    return stream->out;
}
