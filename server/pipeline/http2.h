/* SPDX-License-Identifier: BSD-2-Clause */
/* http2.h: the HTTP/2 codec on a session: frames of the connection to requests of the engine, and back.
 *
 *     bytes --http2.c--> http/h2.h --http2_stream.c--> requests
 *     requests --http2_write.c--> http/h2.h --http2.c--> bytes, once a turn of the loop
 *
 * Shape:   many streams, each with one request. Content that comes goes to its request at once and is bounded by its
 *          window, which follows the room there; content that goes waits in the request until its turn.
 * Owner:   the session; a stream lives until its connection has closed it and its request is through.
 * Errors:  of a stream: it is reset; of the connection: GOAWAY, and the end.
 * Source:  RFC 9113, RFC 8441, RFC 9218. */
#ifndef PIPELINE_HTTP2_H
#define PIPELINE_HTTP2_H

#include "http/h2.h"
#include "pipeline/http1.h"
#include "pipeline/intake.h"

enum {
    H2_SHARE = 2 * 1024 * 1024, /* of each direction's content, for all streams of a connection */
    H2_SHARE_LEAST = 64 * 1024, /* for one of many */
    H2_WINDOW = 2 * 1024 * 1024,
    H2_OUT_MOST = 128 * 1024,   /* framed and not written: what is urgent waits behind no more */
};

struct h2_conn {
    struct weir_conn *c;
    struct h2_session *codec;
    struct intake in;
    struct chain out;
    enum h1_waits waits;
    uint32_t head_of;          /* the stream whose head is waited for; 0: none */
    bool lingering, saw_eof;
    uint64_t linger_bytes;
    struct list streams;       /* all of them */
    struct list fresh;         /* that have had something to send since the last flush */
    struct list over;          /* that the codec or the request has ended since */
    struct list finished;      /* whose response lies in out to its end, the first one first */
    unsigned preface_have;
    unsigned open;             /* streams with a request that is not through */
    unsigned open_most;        /* of these: max_streams, and as many whose streams have ended meanwhile */
    uint64_t queued, written;  /* bytes through out, in all */
    struct deadline drain;
    bool announced, left;      /* the first and the second GOAWAY */
    bool ended;                /* nothing is taken in any more */
    bool has_more;             /* to be framed, behind what the last flush took */
    bool wide_reads;
};

enum stream_wait { STREAM_WAITS_NOTHING, STREAM_WAITS_BODY, STREAM_WAITS_SEND, STREAM_WAITS_TUNNEL };

struct client_stream {
    struct h2_stream h2;
    struct h2_conn *of;
    struct weir_req *r;        /* NULL: it is through */
    struct list link, fresh, over, finished;
    struct deadline deadline;
    enum stream_wait wait;
    uint64_t waited_from;      /* bytes that had moved when the wait began */
    uint64_t end_at;           /* of the connection's output: where its own ends */
    uint32_t reset_with;       /* malformed: instead of any answer; 0: it is not */
    const char *gone;          /* the request is to be ended so */
    bool started;              /* the engine knows of it */
    bool is_connect, is_tunnel, is_joined; /* CONNECT; behind its 101; content flows */
    bool no_more;              /* content behind its end, or that nobody may see, is dropped */
    bool closed;               /* by the codec */
    struct chain early;        /* came before the tunnel was open */
    struct chain nothing;      /* what is sent when the request is gone */
};

extern const struct codec_calls h2_codec; /* http2_write.c */
extern const struct h2_calls h2_stream_calls; /* http2_stream.c */

/* http2_stream.c */
void stream_wait(struct client_stream *s, enum stream_wait wait, bool moved);
void stream_grant(struct client_stream *s); /* its window follows its request's room */
void stream_over(struct client_stream *s);  /* looked at with the next flush */
void streams_settle(struct h2_conn *h2);    /* those that are over: told, and freed when both sides are; tunnels join */
void streams_end(struct h2_conn *h2, const char *why); /* all requests: the connection is over */

/* http2_write.c */
void stream_join(struct client_stream *s);   /* the tunnel's ways are open: what came early goes first */
void streams_moved(struct h2_conn *h2);     /* behind h2_produce: requests hear what was taken from them */
void streams_written(struct h2_conn *h2);   /* behind a write: responses that are out */

/* http2.c */
void h2_session_start(struct weir_conn *c, struct intake in); /* in: what was read already, the preface first */
void h2_session_leave(struct weir_conn *c); /* GOAWAY in two steps, then the end when the last stream has ended */

#endif
