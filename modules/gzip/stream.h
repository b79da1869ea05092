/* SPDX-License-Identifier: BSD-2-Clause */
/* stream.h: one gzip member being written, and the pool its state comes from. The only place that knows zlib.
 *
 * Shape:   the pool is a worker's stack of idle states (260 kB each), at most STREAMS_IDLE; taking one resets it.
 * Owner:   a request owns the stream it took until stream_release; NULL pool: it is freed instead.
 * Thread:  one worker.
 * Errors:  stream_run answers false when zlib refuses; the body is then lost. */
#ifndef GZIP_STREAM_H
#define GZIP_STREAM_H

#include <weir/weir.h>

enum { STREAMS_IDLE = 16 };

struct stream;
struct stream_pool {
    struct stream *idle;
    uint32_t count;
};

struct stream *stream_take(struct stream_pool *pool, int level); /* NULL without memory; pool may be NULL */
void stream_release(struct stream_pool *pool, struct stream *stream);
void stream_pool_clear(struct stream_pool *pool);

enum stream_outcome {
    STREAM_BROKEN = -1, /* zlib refused, or no memory for output */
    STREAM_WAITING,     /* all input taken; what is held back stays until there is more, a flush or the end */
    STREAM_FULL,        /* no room; call again when there is some, even without input */
    STREAM_ENDED,       /* the member is whole and handed on */
};

/* Moves from in to the end of out within the flow's room. how: WEIR_END, WEIR_FLUSH; both are remembered until done. */
enum stream_outcome stream_run(struct stream *stream, weir_flow *flow, weir_chain *in, weir_chain *out, uint32_t how);

uint64_t stream_in(const struct stream *stream);  /* bytes taken */
uint64_t stream_out(const struct stream *stream); /* bytes handed on */

#endif
