/* SPDX-License-Identifier: BSD-2-Clause */
/* link.h: one worker's HTTP/2 connections to one server: each carries the streams of many exchanges.
 *
 *     exchange --link_join--> [pool->queue] --> link->waiting --> link->streams --http/h2.h--> bytes, once a turn
 *
 * Shape:   connecting (no codec) -> open -> leaving (no new streams) -> closed. A link takes streams up to what the
 *          server allows; where one is full another is made, up to LINKS_MOST, and then exchanges wait in the pool's
 *          queue.
 * Owner:   the pool. A link_stream belongs to its link, and points to its exchange as long as that wants to hear of it.
 * Thread:  its worker. What the codec calls may end no link in place: it is done at the end of the turn.
 * Errors:  a link that breaks tells all of its exchanges (exchange_conn_broken), one that cannot be made likewise.
 * Source:  RFC 9113 3.3, 5.1.2, 6.7, 6.8, 8.7. */
#ifndef UPSTREAM_LINK_H
#define UPSTREAM_LINK_H

#include "http/h2.h"
#include "upstream/pool.h"

enum {
    LINKS_MOST = 8,           /* to one server, on one worker (with proxy_protocol: for one client) */
    LINK_STREAMS_MOST = 256,  /* of one link at one time, whatever more the server would take */
    LINK_QUEUE_MOST = 1024,   /* exchanges that wait for a stream, per worker and server */
    LINK_QUIET_MS = 10 * 1000, /* streams wait, and nothing was heard for so long: a PING */
    LINK_QUIET_PONGED_MS = 310 * 1000, /* behind a pong; gRPC's servers allow one in 5 minutes without content */
};

struct link {
    struct conn conn;
    struct addr to;
    struct pool *pool;
    struct list at;           /* in pool->links */
    struct h2_session *codec; /* NULL: not open yet */
    struct intake in;
    struct chain out;
    struct list waiting;      /* of link_stream: until it is open, or its server's SETTINGS are known */
    struct list streams;      /* of link_stream: begun, and not closed by the codec */
    struct list paused;       /* of them: whose hooks may hold back what came in this turn */
    unsigned coming, open;    /* how many wait, and have begun */
    uint64_t uses;            /* streams that there were */
    struct proxy_ends announced;
    uint64_t keepalive, keepalive_ms; /* of the exchange that came last */
    uint64_t heard_ms, pinged_ms;     /* anything; a PING that has no answer yet, 0: none */
    uint64_t quiet_ms;        /* how long nothing need be heard before the next PING */
    bool settled;             /* the server's SETTINGS have come */
    bool leaving, dead, closed, idle;
    bool has_more;            /* to be framed, behind what the last flush took */
    bool inside;              /* the codec is at work: it cannot go now */
};

struct link_stream {
    struct h2_stream h2;
    struct link *of;    /* NULL: in the pool's queue */
    struct exchange *x; /* NULL: it was let go of */
    struct list at;     /* in of->waiting, of->streams or pool->queue */
    struct list paused; /* in of->paused */
    bool begun;
    bool is_connect;    /* an extended CONNECT */
    uint64_t counted;   /* of h2.moved: told to the exchange */
    struct fields fields; /* of the head that came */
    struct chain early;   /* came before the tunnel was open */
    struct chain nothing; /* what is sent when the exchange has gone */
};

/* -- for carrier_h2.c: stream->x is set, stream->of gets set */
bool link_take(struct link_stream *stream, const struct addr *to); /* begun on one that is open; false: none has room */
/* Begun, or told that it failed, later; false: it failed at once. to NULL: where `fallback` is, or any that is under
 * way. */
bool link_join(struct link_stream *stream, const struct addr *to, const struct addr *fallback);
void link_leave(struct link_stream *stream); /* its exchange wants no more of it: it may be freed */
static inline void link_later(struct link *link)
{
    conn_later(&link->conn);
}

/* -- link.c, for link_places.c */
struct link *link_create(struct pool *pool, const struct addr *to); /* NULL: failed at once */
void link_set_idle(struct link *link, bool idle);
void link_watch(struct link *link); /* it is due when it has been quiet for too long */
void link_ping(struct link *link);

/* -- link_places.c, for link.c */
void link_serve_waiting(struct link *link); /* who waits for it begins, or goes elsewhere */
void links_serve_queue(struct pool *pool);  /* who waits for any place tries again, as far as there may be some */

/* -- for the pool */
void links_close_idle(struct pool *pool);
void links_close(struct pool *pool); /* all of them, in the middle of whatever they do */
void links_leave_addresses(struct pool *pool); /* those to addresses that its name no longer has take no more streams */

/* -- carrier_h2.c, for link.c */
extern const struct h2_calls link_calls; /* owner: the link */
void stream_begin(struct link_stream *stream, bool reused, bool made); /* its link is open */
void stream_moved(struct link_stream *stream);   /* the codec took content, or sent its end */
void stream_pauses(struct link_stream *stream);
void stream_free(struct link_stream *stream);    /* of->streams no longer has it, nor the codec */
bool stream_needs_settings(const struct link_stream *stream); /* it cannot begin before they are known */

#endif
