/* SPDX-License-Identifier: BSD-2-Clause */
/* h2_session.h: the inside of a session (h2.h): what its files share. No other header sees libnghttp2.
 *
 * Shape:   h2_codec.c makes and ends it, h2_receive.c and h2_send.c are its two ways, h2_memory.c is nghttp2's memory.
 * Errors:  once broken (fault.why) nghttp2 is not called any more: it may be in any state. */
#ifndef HTTP_H2_SESSION_H
#define HTTP_H2_SESSION_H

#include "http/h2.h"

#include <nghttp2/nghttp2.h>

struct h2_session {
    nghttp2_session *ng;
    const struct h2_calls *calls;
    void *owner;
    struct h2_limits limits;
    struct h2_guard guard;
    uint8_t frame_head[H2_FRAME_HEAD];
    uint32_t head_have;  /* of it */
    uint32_t left;       /* of the frame's payload */
    bool dropping;       /* it goes nowhere */
    uint32_t frame_bytes; /* of it, its head included */
    uint64_t now_ms;
    struct h2_fault fault; /* the connection's end, when why is set */
    const char *why; /* of the GOAWAY that nghttp2 sent by itself */
    bool greeted;        /* as a server: our own SETTINGS are out, */
    bool is_known;       /* and the peer has acknowledged them */
    bool said_goodbye;
    bool no_memory;
    struct h2_head head; /* one header block at a time */
    struct h2_stream *head_of;
    struct chain *out;   /* while h2_produce runs */
    struct block *pen;   /* where frames are written */
    uint32_t open;       /* streams of the peer's */
    struct list touched;
    struct list pieces;  /* of nghttp2's memory */
};

/* h2_codec.c */
void h2_broke(struct h2_session *session, enum h2_code code, enum h2_abuse abuse, const char *why);
void h2_fatal(struct h2_session *session, int rc); /* nghttp2 said so */
void h2_heed(struct h2_session *session, int rc);  /* that, when it is one of its fatal ones */
static inline bool h2_is_broken(const struct h2_session *session) /* nothing but our own GOAWAY follows then */
{
    return session->fault.why;
}
static inline bool h2_is_client(const struct h2_session *session)
{
    return session->guard.role == H2_CLIENT;
}
static inline struct h2_stream *h2_stream_of(struct h2_session *session, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(session->ng, id) : NULL;
}

/* h2_memory.c */
nghttp2_mem h2_memory(struct h2_session *session);
void h2_memory_drop(struct h2_session *session); /* all of it */

/* h2_receive.c, h2_send.c */
void h2_attach(struct h2_session *session, struct h2_stream *stream, uint32_t id); /* it is open from now on */
void h2_hear(nghttp2_session_callbacks *callbacks);
void h2_tell(nghttp2_session_callbacks *callbacks);

#endif
