/* SPDX-License-Identifier: BSD-2-Clause */
/* http1.h: the HTTP/1 codec on a session: bytes of the connection to requests of the engine, and back.
 *
 * Shape:   one request at a time; what a client sends behind it (pipelining) waits in the buffer or in the kernel.
 *          Output is queued and goes out once a turn of the loop.
 * Owner:   the session; `in` is pinned by the requests whose heads lie in it.
 * Source:  RFC 9112 2.2, 6, 7, 9 (messages, framing, connection management). */
#ifndef PIPELINE_HTTP1_H
#define PIPELINE_HTTP1_H

#include "pipeline/intake.h"
#include "pipeline/session.h"

enum h1_waits { H1_WAITS_NOTHING, H1_WAITS_HEAD, H1_WAITS_BODY, H1_WAITS_SEND, H1_WAITS_IDLE, H1_WAITS_LINGER,
                H1_WAITS_TUNNEL, H1_WAITS_HALF_CLOSED };

/* There from the first byte of a request until the connection is idle again. */
struct h1 {
    struct weir_conn *c;
    struct h1 *next;           /* among the spare ones */
    struct intake in;
    struct h1_scan scan;
    struct h1_body decoder;
    struct chain out;
    struct weir_req *current;
    enum h1_waits waits;
    uint64_t moved;            /* bytes since that wait began: for min_rate */
    bool keep_alive, in_body, body_done, head_queued, end_queued, chunked_out, raw, lingering, refused, saw_eof,
        aborting, skipped_line, is_h2;
    uint64_t linger_bytes;
};

/* http1_state.c */
struct h1 *h1_take(struct weir_conn *c); /* NULL without memory */
void h1_give(struct weir_conn *c);       /* fine when it has none */
void h1_worker_down(struct pipeline_worker *pw);


/* http1_write.c */
void h1_write_out(struct h1 *h);
void h1_tunnel_check(struct h1 *h);  /* closes a tunnel whose ways have both ended */
extern const struct codec_calls h1_codec;
void h1_response_over(struct h1 *h); /* http1.c: the request is forgotten: next one, or close */

void h1_wait(struct h1 *h, enum h1_waits kind);
/* So many bytes moved while it waited: the wait begins anew, unless min_rate asks for more within one. */
void h1_moved(struct h1 *h, enum h1_waits kind, uint64_t bytes);

#endif
