/* SPDX-License-Identifier: BSD-2-Clause */
/* h2.h: one HTTP/2 connection: bytes in, events out; heads and content in, bytes out. The one door to libnghttp2.
 *
 *     bytes --h2_receive--> [guard: frame headers, limits] --> nghttp2 --> calls (open, head, data, ...) --> owner
 *     owner --h2_request, h2_respond, source, h2_wake--> nghttp2 --h2_produce--> chain
 *
 * Shape:   nghttp2 frames, packs heads (HPACK), counts windows and chooses whose DATA goes next; what it lets pass is
 *          looked at before (h2_guard.h), what heads mean behind it (h2_head.h).
 * Owner:   of the session: whoever created it. A stream is embedded in something of the owner's, given in calls.open
 *          or to h2_request, and forgotten behind calls.closed. Content that is sent is moved by reference out of
 *          stream->source.
 * Thread:  one. None of the calls may end in h2_receive, h2_produce or h2_destroy; the other functions may be used.
 * Errors:  of a stream: it is reset. Of the connection: h2_receive says false, and h2_produce ends with a GOAWAY.
 * Source:  RFC 9113, RFC 7541, RFC 8441, RFC 9218. */
#ifndef HTTP_H2_H
#define HTTP_H2_H

#include "base/chain.h"
#include "base/list.h"
#include "http/h2_guard.h"
#include "http/h2_head.h"

#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
enum { H2_PREFACE_BYTES = 24, H2_WINDOW_FIRST = 65535 };

struct h2_session;

struct h2_stream {
    uint32_t id;
    struct h2_session *session; /* NULL: not open yet, or closed */
    /* set in calls.open, or before h2_request */
    struct arena *arena; /* NULL later on: nothing is received any more */
    struct h2_asked asked; /* of a server */
    struct fields *fields, *trailers; /* where received ones go */
    /* what is sent behind the head */
    struct chain *source;
    const struct fields *source_trailers; /* looked at when the source has ended; NULL: none */
    bool source_ended;
    /* what has been said */
    bool received_end, answered, sent_end, reset; /* answered: a final head was sent, or received */
    bool opened;      /* as a client: its head has gone out */
    bool waits;       /* its source was found empty: h2_wake */
    bool has_length;  /* Content-Length was there */
    uint64_t length, received, consumed; /* bytes of content: announced, come, given back to its window */
    uint64_t moved;   /* taken out of the source */
    uint64_t bytes_in, bytes_out; /* of all its frames */
    uint32_t window;  /* as large as the peer's share was made */
    struct list touched; /* among those that h2_produce took from or ended */
};

struct h2_calls {
    /* Of servers. A peer's request begins: the stream with arena, fields and trailers set; NULL: it is refused. */
    struct h2_stream *(*open)(void *owner, uint32_t id);
    /* The head is whole; stream->received_end: and so is the message. A malformed one carries head->malformed. */
    void (*head)(struct h2_stream *stream, struct h2_head *head);
    /* Of clients. A response's head, interim ones too; behind a final one the stream is `answered`. received_end as
     * above. One that is malformed or beyond a limit is `broken`. */
    void (*response)(struct h2_stream *stream, const struct h1_response *response);
    void (*settled)(void *owner); /* the server's SETTINGS: what h2_streams_most and h2_takes_connect say */
    void (*leaving)(void *owner, uint32_t code); /* GOAWAY: no new streams; what it excludes is `closed` as refused */
    void (*data)(struct h2_stream *stream, const uint8_t *p, size_t n); /* a slice of what h2_receive got */
    void (*end)(struct h2_stream *stream);  /* content and trailers are whole */
    void (*broken)(struct h2_stream *stream, const char *why); /* malformed behind its head: to be reset */
    /* forget it; code: H2_NO_ERROR when in order, H2_REFUSED_STREAM when the peer has not looked at it */
    void (*closed)(struct h2_stream *stream, uint32_t code);
    void (*pong)(void *owner); /* the answer to h2_ping */
};

struct h2_limits {
    struct h2_head_limits head;
    uint32_t streams; /* of the peer's at one time; a server's are none */
    uint32_t window;  /* of the connection */
};

/* The receiving side of requests, or the one that makes them (its preface goes out first). NULL without memory. */
struct h2_session *h2_create_server(const struct h2_calls *calls, void *owner, const struct h2_limits *limits);
struct h2_session *h2_create_client(const struct h2_calls *calls, void *owner, const struct h2_limits *limits);
void h2_destroy(struct h2_session *session); /* streams are forgotten without a call; NULL is fine */

/* False: the connection is broken (or ended by us): h2_produce, then close. What is behind the preface. */
bool h2_receive(struct h2_session *session, const uint8_t *p, size_t n, uint64_t now_ms);
/* Frames behind what `out` holds, until that is `most` or nothing goes. False without memory. */
bool h2_produce(struct h2_session *session, struct chain *out, uint64_t most);
bool h2_is_over(const struct h2_session *session); /* nothing is to be read or written any more */
uint32_t h2_head_of(const struct h2_session *session); /* the stream whose head has begun and is not whole; 0: none */
const struct h2_fault *h2_fault(const struct h2_session *session); /* of the connection; why is NULL: none */
const char *h2_why(const struct h2_session *session); /* the peer's error that ended it; NULL: none */
struct list *h2_touched(struct h2_session *session); /* of h2_stream.touched; take them off */

/* -- streams: false without memory, then reset it; nothing happens on one that is closed */
bool h2_inform(struct h2_stream *stream, int status, const struct fields *fields); /* 1xx */
bool h2_respond(struct h2_stream *stream, int status, const struct fields *fields, bool end);
struct h2_target { /* of a request; protocol: an extended CONNECT, else empty */
    str method, scheme, authority, path, protocol;
};
/* A client's stream begins; it was zeroed, and what is set before is set. Of fields of the connection TE alone is
 * sent, Host never. False: nothing has begun (no memory, or h2_may_request says no). */
bool h2_request(struct h2_session *session, struct h2_stream *stream, const struct h2_target *target,
                const struct fields *fields, bool end);
void h2_wake(struct h2_stream *stream); /* the source has more, or has ended */
void h2_reset(struct h2_stream *stream, uint32_t code);
/* The peer may send so much, counted from now, at most; what was granted already is not taken back. */
void h2_grant(struct h2_stream *stream, uint64_t room);

/* -- the connection */
bool h2_may_request(const struct h2_session *session); /* no GOAWAY came, and there are numbers left */
uint32_t h2_streams_most(const struct h2_session *session); /* that the server takes at one time */
bool h2_takes_connect(const struct h2_session *session); /* the server knows extended CONNECT; once it is settled */
void h2_ping(struct h2_session *session);
void h2_break(struct h2_session *session, uint32_t code, const char *why);
void h2_announce_goaway(struct h2_session *session); /* RFC 9113 6.8: first of two */
void h2_goaway(struct h2_session *session);          /* no stream behind those that came is taken */
const char *h2_code_name(uint32_t code);

#endif
