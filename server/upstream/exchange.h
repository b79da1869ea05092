/* SPDX-License-Identifier: BSD-2-Clause */
/* exchange.h: one request's way to an upstream and back: choose a server, lease a connection, send, receive, retry,
 * give back.
 *
 *     exchange.c, _choose.c, _request.c, _response.c: whatever version is spoken
 *        |  ^
 *        v  | struct carrier_calls: carrier_h1*.c, carrier_h2.c over link.h
 *
 * Shape:   IDLE -> [QUEUED] -> RESOLVING -> CONNECTING -> HEAD -> BODY -> OVER; or RAW, behind a 101.
 * Owner:   the request's arena.
 * Thread:  the request's worker.
 * Errors:  502 for broken or refused connections and malformed responses, 504 for deadlines, 503 when no server is
 *          left.
 * Source:  RFC 9112 6, 9; RFC 9110 7.6, 9.2.2 (idempotent methods, safe to repeat), 10.1.1, 15.2. */
#ifndef UPSTREAM_EXCHANGE_H
#define UPSTREAM_EXCHANGE_H

#include "upstream/pool.h"
#include "upstream/retry.h"

enum exchange_phase { EXCHANGE_IDLE, EXCHANGE_QUEUED, EXCHANGE_RESOLVING,
                      EXCHANGE_CONNECTING, EXCHANGE_HEAD, EXCHANGE_BODY,
                      EXCHANGE_RAW, EXCHANGE_OVER };

struct exchange;

/* What the version of HTTP that the servers speak makes of an exchange: something is leased that carries it. */
struct carrier_calls {
    /* From what is open: exchange_begin was called. False: there is nothing, or nothing that goes there (NULL: anywhere
     * will do). */
    bool (*take)(struct exchange *x, const struct addr *to);
    /* exchange_begin or exchange_connect_failed follows, or exchange_due. False: it failed at once. */
    bool (*connect)(struct exchange *x, const struct addr *to);
    struct conn *(*conn)(const struct exchange *x); /* what it runs over, or waits for; NULL: none (yet) */
    bool (*add_fields)(struct exchange *x, struct fields *fields, bool wants_trailers); /* what only this version has */
    bool (*put_head)(struct exchange *x); /* r->up_fields; false without memory */
    void (*send)(struct exchange *x);     /* content as far as it goes */
    void (*receive)(struct exchange *x);  /* the response has room (again) */
    void (*tunnel)(struct exchange *x);   /* EXCHANGE_RAW from now on */
    bool (*is_all_sent)(const struct exchange *x); /* of what came */
    void (*set_due)(struct exchange *x, uint64_t ms); /* exchange_due then; 0: not any more */
    bool (*has_due)(const struct exchange *x);
    void (*give_back)(struct exchange *x, bool reusable); /* the response is whole */
    void (*let_go)(struct exchange *x);   /* the rest of it is unwanted; fine when nothing is leased */
};
extern const struct carrier_calls carrier_h1, carrier_h2;

struct exchange {
    struct weir_req *r;
    struct weir_upstream *upstream;
    struct upstream_local *local;
    const struct carrier_calls *carrier;
    struct upstream_conn *uc;   /* HTTP/1: leased; NULL before and after */
    struct link_stream *stream; /* HTTP/2: likewise */
    struct list waiting;        /* for a place, or for the server's addresses */
    struct deadline deadline;   /* while there is no connection */
    enum exchange_phase phase;
    int32_t server;             /* index; -1: none yet */
    unsigned attempts, interim; /* servers tried; interim responses seen */
    unsigned refusals;          /* by servers that had not looked at it */
    uint8_t tried[UPSTREAM_SERVERS_MOST / 8];
    uint64_t started_us;
    uint64_t connect_us;          /* when a new connection was wanted */
    uint64_t attempt_us, head_us; /* at this server; its response head, 0: none yet */
    uint64_t body_taken;        /* content bytes of the request taken from the pipeline: they cannot be had again */
    bool leased;                /* a carrier has it */
    bool renewed;               /* a connection that was there already broke: the next one is new */
    bool chunked, body_done, reused, got_bytes, wrote_bytes, write_failed, counted;
    bool is_malformed;          /* what the server sent is no HTTP */
    int32_t sticks_to; /* the server that the client's cookie names; -1: none that holds */
    unsigned addresses_tried; /* of the server's name */
    uint32_t targets_tried;   /* of them, or of its SRV records, a bit each */
    int target;               /* the one it goes to; -1: the name has no such records */
    bool renews_cookie;
    bool on_trial;     /* this request tells whether the server is back */
    str upgrade;       /* the protocol that its head asks for; empty: none */
    str connection;    /* what the response's Connection says, while trailers may come */
    int failed_status;          /* of the last server tried */
    const char *failed_why;
};

extern const struct origin_calls exchange_origin; /* r->origin_data: the struct weir_upstream, until start */

/* exchange_choose.c */
void exchange_choose(struct exchange *x); /* the next server, or the end */
/* May this failure be tried elsewhere, and is there an elsewhere? Takes from the budget. */
bool exchange_may_retry(struct exchange *x, unsigned class);
void exchange_leave_queue(struct exchange *x);
void exchange_queue_due(struct exchange *x);
bool exchange_is_repeatable(const struct exchange *x);

/* exchange_request.c */
bool exchange_put_head(struct exchange *x); /* false: not enough memory, or a hook refused (then answered) */
/* A turn of the body: what a carrier took was counted. False: the exchange failed. */
bool exchange_body_taken(struct exchange *x, uint64_t n);
bool exchange_add_length(struct exchange *x, struct fields *fields); /* Content-Length, when it is known */

/* exchange_response.c; behind each of them the exchange may be over or elsewhere */
enum { RESPONSE_HEAD_MOST = 64 * 1024, RESPONSE_FIELDS_MOST = 500 };
void exchange_interim_head(struct exchange *x, int status, struct fields *fields);
void exchange_final_head(struct exchange *x, const struct h1_response *head, struct fields *fields);
void exchange_malformed(struct exchange *x, const char *why);

/* exchange.c, for carriers */
/* It is leased: the request may go. reused: it runs over what was there before; made: a connection was made for it. */
void exchange_begin(struct exchange *x, bool reused, bool made);
void exchange_connect_failed(struct exchange *x, const char *why); /* what was leased is let go of */
void exchange_connected(struct exchange *x); /* as far as TCP goes */
/* It waits for a connection to another of the name's addresses than it had chosen. */
void exchange_goes_along(struct exchange *x, const struct addr *wanted, const struct addr *to);
void exchange_connect_again(struct exchange *x); /* what it waited for is not to be had */
void exchange_refused(struct exchange *x); /* unseen by the server: any request may go again */
void exchange_reset(struct exchange *x, const char *why); /* by the server, which has seen it */
void exchange_due(struct exchange *x);

/* exchange.c, for the others */
void exchange_use_local(struct exchange *x, struct upstream_local *local); /* lets go of the one it had */
void exchange_find_sticky(struct exchange *x); /* which server its cookie names */
void exchange_go(struct exchange *x); /* to the server that was chosen */
void exchange_count_out(struct exchange *x, uint32_t outcome);
void exchange_fail(struct exchange *x, int status, const char *why); /* for good */
/* false: nothing was done, and it is the end */
bool exchange_try_elsewhere(struct exchange *x, unsigned class, int status, const char *why);
void exchange_conn_broken(struct exchange *x, const char *why);      /* retries when that is safe */
/* the response is whole: gives the connection back */
void exchange_complete(struct exchange *x, bool reusable);
void exchange_let_go(struct exchange *x);

#endif
