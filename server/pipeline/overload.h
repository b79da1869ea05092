/* SPDX-License-Identifier: BSD-2-Clause */
/* overload.h: how much the process takes on: connections in all and per client, and memory that traffic holds.
 *
 *     max_connections   connections idle for a second give way, the longest idle first (one that is a second into the
 *                       head of a request is idle); with none so idle accepting pauses: the kernel's queue waits
 *     per_client        closed at once, before a byte is read
 *     max_memory        from 7/8 of it on idle connections are closed, the longest idle first; above it requests are
 *                       answered 503 before any hook sees them; health checks are, and accepting pauses, only 1/8 above
 *
 * Shape:   the limits are those of the present snapshot; counters are the process's and its life's.
 * Thread:  workers; figures: any. No lock; atomics once an accept and once a close, a plain read once a request.
 * Note:    per_client counts who came since it was set, but for peers in trusted_proxies and on unix sockets; behind a
 *          PROXY header it is the announced client that counts. */
#ifndef PIPELINE_OVERLOAD_H
#define PIPELINE_OVERLOAD_H

#include "net/listener.h"
#include "pipeline/session.h"

enum { OVERLOAD_AUTO = 0 };                 /* of max_connections and max_memory */
#define OVERLOAD_NO_LIMIT UINT64_MAX        /* of max_memory */

/* -- listeners of this worker: before listener_open, and before listener_close */
void overload_watch(struct listener *listener);
void overload_unwatch(struct listener *listener);

/* -- connections. enter: false: it has to be closed (its client has enough). leave: *place as enter gave it. Without a
 * peer it is not yet known who the client is: enter_client counts it once it is. */
bool overload_enter(const struct addr *peer, uint32_t *place);
bool overload_enter_client(const uint8_t address[16], uint32_t *place);
void overload_leave(uint32_t place);

/* -- requests. True: answer 503; the plan of the request's site is chosen then. */
bool overload_sheds(struct weir_req *r);

void overload_worker_up(struct pipeline_worker *pw);
void overload_worker_down(struct pipeline_worker *pw);
void overload_limits_changed(void); /* this worker has a new snapshot */

struct overload_figures {
    uint64_t max_connections, per_client, max_memory; /* in force; 0: no limit */
    uint64_t memory;                                  /* held by traffic now; approximate */
    /* since the start */
    uint64_t refused; /* connections over per_client */
    uint64_t pauses;  /* of accepting, for max_connections or max_memory */
    uint64_t stalls;  /* of accepting, for want of descriptors or memory */
    uint64_t idle_closed, shed;
};
struct overload_figures overload_figures(const struct core_conf *core); /* of the snapshot that is in force */

#endif
