/* SPDX-License-Identifier: BSD-2-Clause */
/* session.h: a client connection from accept to close: conn hooks, transport, then a codec. The handle behind
 * weir_conn.
 *
 * Owner:   itself: made by session_accept, freed when closed, at the end of the turn.
 * Thread:  the worker that accepted it. */
#ifndef PIPELINE_SESSION_H
#define PIPELINE_SESSION_H

#include "http/h2_guard.h"
#include "loop/deadline.h"
#include "net/conn.h"
#include "net/proxy_header.h"
#include "pipeline/request.h"

struct h1;
struct h2_conn;
struct trace;

/* What a protocol does for its connections. */
struct session_calls {
    void (*start)(struct weir_conn *c);
    void (*readable)(struct weir_conn *c);
    void (*flush)(struct weir_conn *c);
    void (*due)(struct weir_conn *c);     /* its deadline passed */
    void (*drain)(struct weir_conn *c);   /* closes it if it is idle; again, for those that become so */
    bool (*is_busy)(const struct weir_conn *c); /* a request is under way */
    void (*gone)(struct weir_conn *c, const char *why); /* its requests are told that the connection is */
    void (*end)(struct weir_conn *c);     /* closed: let go of buffers */
    void (*destroy)(struct weir_conn *c); /* at the end of the turn */
};
extern const struct session_calls session_h1, session_h2;

struct weir_conn {
    struct conn conn;
    const struct session_calls *codec; /* NULL while it is set up */
    struct list link;          /* among this worker's: busy ones, or idle ones, the longest idle first */
    const struct listen_point *point;
    struct snapshot *setup;    /* while conn hooks and the handshake run */
    struct suspension *suspension; /* of a conn hook */
    struct proxy_ends *announced; /* by the peer's PROXY header; NULL: there was none */
    uint8_t *ctx;              /* modules' connection contexts; NULL: none wants any */
    union {                    /* the codec's */
        struct h1 *h1;         /* NULL while nothing is under way */
        struct h2_conn *h2;
    };
    uint32_t ctx_size;
    uint32_t client_place;     /* where its address is counted */
    uint32_t idle_since;       /* ms, as far as they fit */
    uint32_t requests;
    uint8_t peer[16];
    uint16_t peer_port, local_port;
    uint16_t step;             /* of the conn hooks of this stage */
    enum stage stage : 8;
    bool is_idle : 1, is_tls : 1, is_unix : 1, closing : 1, reaped : 1, awaits_proxy_header : 1;
    bool is_timed : 1;
};

/* Per worker; slot WORKER_SLOT_PIPELINE. */
struct pipeline_worker {
    struct worker *worker;
    unsigned index;
    struct list busy, idle;         /* its connections */
    struct list listeners;          /* that overload may pause */
    struct deadline retry;          /* when paused ones are looked at again */
    bool has_place;                 /* a connection that is being accepted was counted ahead */
    uint64_t connection_count;
    struct snapshot *current;
    bool draining;
    void *thread_slots[MODULES_MOST]; /* modules' per-thread memory, by index; NULL: none wanted */
    _Atomic int64_t *metrics;       /* modules' metrics, this worker's share */
    struct cost *costs;             /* what their hooks cost, likewise (metrics.h) */
    uint32_t untimed;               /* how many requests and connections until one's hooks are timed */
    uint64_t random;                /* for the next such distance */
    struct crumb *crumb;            /* where the watchdog and the supervisor look */
    uint64_t next_request;
    struct arena *spare_arenas[32]; /* recycled request memory */
    unsigned spare_count;
    struct trace *spare_traces;     /* recycled likewise */
    unsigned spare_trace_count;
    struct h1 *spare_h1;
    unsigned spare_h1_count;
    struct suspensions *suspensions;
    uint32_t module_count;          /* how many modules have come up on it; a reload may bring more */
    struct deferred finish;         /* pipeline_worker_down's last part */
    uint64_t requests_total, accepted_total; /* figures */
    uint64_t h2_connections_total, h2_stalls_total, h2_abuses[H2_ABUSE_COUNT];
};
/* before the first accept; runs thread_up of modules */
struct pipeline_worker *pipeline_worker_up(struct worker *worker, unsigned index);
bool pipeline_worker_new_modules(struct pipeline_worker *pw, uint32_t count); /* up to count; false: one cannot start */
/* closes all sessions; thread_down and the rest at the end of the turn */
void pipeline_worker_down(struct pipeline_worker *pw);
struct pipeline_worker *pipeline_worker_self(void); /* NULL on threads that are no pipeline worker */

void session_accept(const struct listen_point *point, int fd, const struct addr *peer); /* takes fd */
void sessions_drain(struct pipeline_worker *pw); /* idle ones close now, others after their present response */
void sessions_close(struct pipeline_worker *pw); /* all, at once */
void session_close(struct weir_conn *c);         /* now; a running request is told */
void session_note_idle(struct weir_conn *c, bool is_idle); /* nothing is under way on it from now on, or something */
void session_local_address(const struct weir_conn *c, uint8_t out[16]); /* a system call */
/* Whom the connection is for: whom its PROXY header names, else the peer. False: no address is known of it (a local
 * socket, or a header that says nothing); out and port are the peer's then. */
bool session_client(const struct weir_conn *c, uint8_t out[16], uint16_t *port);
void *session_ctx(struct weir_conn *c, const weir_mod *mod); /* the module's; NULL when it has none or without memory */


#endif
