/* SPDX-License-Identifier: BSD-2-Clause */
/* trace.h: what happened to requests that are over, the last N of them, for `weir why` (`why_ring N;`).
 *
 * Shape:   while a request runs its worker writes into a trace of its own, of TRACE_BYTES whatever the request is
 *          like: numbers, and texts that are copied at once, so that nothing points into a snapshot. At its end the
 *          trace is exchanged for the oldest one of the ring, which then serves the next request of that worker.
 *
 *     request_start --trace_begin--> r->trace <--- what the engine and the proxy tell
 *     request_finish --trace_end--> the ring <--trace_newest-- the main thread
 *
 * Off:     r->trace is NULL: each of the calls below is one branch.
 * Secrets: no field of a request or an answer is kept, but for the path of Location; of a query the names only.
 * Units:   microseconds of the worker's clock, which is read once a turn of its loop; what lasts less is 0.
 * Thread:  a trace: its worker; the ring: any, without a lock: a slot is a pointer, taken and put back by exchange.
 * Errors:  without memory a request is not remembered; what exceeds a trace's room is cut and marked. */
#ifndef PIPELINE_TRACE_H
#define PIPELINE_TRACE_H

#include "base/clock.h"
#include "pipeline/hook_answer.h"

enum { TRACE_BYTES = 4096, TRACE_STEPS_MOST = 40, TRACE_TRIES_MOST = 8, TRACE_RING_MOST = 65536 };

struct trace_text { /* in the trace's room; n 0: none */
    uint16_t at, n;
};
struct trace_place { /* file empty: no line decided it */
    struct trace_text file;
    uint32_t line;
};
enum trace_kind { TRACE_SITE, TRACE_ROUTE, TRACE_HOOK };

struct trace_step {
    uint8_t kind;   /* enum trace_kind */
    uint8_t stage;  /* of a hook: the other fields up to status, too */
    uint8_t module; /* index: modules stay for ever */
    bool is_shadow;
    uint8_t verdict, counts;
    uint16_t status;
    uint32_t waited; /* us */
    struct trace_text name, why; /* of a hook: why alone */
    struct trace_place place;
};
struct trace_try { /* one server; times since the request began, 0: it did not come to that */
    struct trace_text server, why; /* why: it failed */
    uint32_t began, sent, answered;
    uint16_t status;
    bool reused; /* the connection */
};

struct trace {
    struct trace *next; /* among spare ones */
    uint64_t sequence;  /* by the ring, from 1 */
    uint64_t wall_ms, duration; /* when it began */
    uint64_t bytes_in, bytes_out;
    uint64_t wait_from; /* while a hook waits */
    uint8_t client[16];
    uint16_t status, version, page_status; /* version: 10, 11, 20 */
    uint16_t text_used;
    uint8_t step_count, try_count;
    bool is_https, from_origin, is_closed, is_broken, is_cut; /* broken: the client did not get all of it */
    bool asked_origin;
    struct trace_text id, method, host, target, site, route;
    struct trace_text reason, module, would_refuse, error; /* as the variables of these names */
    struct trace_text listener, upstream, balancer;
    struct trace_place listener_place, upstream_place, page_place;
    struct { /* file names that were copied already */
        const char *p;
        struct trace_text text;
    } files[4];
    struct trace_step steps[TRACE_STEPS_MOST];
    struct trace_try tries[TRACE_TRIES_MOST];
    char text[];
};

static inline str trace_str(const struct trace *trace, struct trace_text text)
{
    return (str){ trace->text + text.at, text.n };
}

/* -- for the engine: a request, until it is over ------------------------------------------------------------------- */
#define trace_is_on(r) __builtin_expect((r)->trace != NULL, 0)

void trace_begin(struct weir_req *r); /* it has an id, and the head that its client sent */
void trace_end(struct weir_req *r);
void trace_put_choice(struct weir_req *r, bool is_found);
void trace_put_hook(struct weir_req *r, const struct hook_answer *answer);
void trace_put_page(struct weir_req *r, const struct weir_place *place, int status);
static inline void trace_wait(struct weir_req *r)
{
    if (r->trace->wait_from == 0)
        r->trace->wait_from = clock_us();
}

/* -- for origins --------------------------------------------------------------------------------------------------- */
void trace_put_upstream(struct weir_req *r, str name, const char *balancer, const struct weir_place *place);
void trace_put_try(struct weir_req *r, str server);
void trace_put_sent(struct weir_req *r, bool is_reused);
void trace_put_answered(struct weir_req *r, int status);
void trace_put_failed(struct weir_req *r, const char *why);

static inline void trace_try(struct weir_req *r, str server)
{
    if (trace_is_on(r))
        trace_put_try(r, server);
}
static inline void trace_sent(struct weir_req *r, bool is_reused)
{
    if (trace_is_on(r))
        trace_put_sent(r, is_reused);
}
static inline void trace_answered(struct weir_req *r, int status)
{
    if (trace_is_on(r))
        trace_put_answered(r, status);
}
static inline void trace_failed(struct weir_req *r, const char *why)
{
    if (trace_is_on(r))
        trace_put_failed(r, why);
}

/* -- the ring ------------------------------------------------------------------------------------------------------ */
bool trace_ring_use(uint32_t size); /* main: from now on; 0: none, and what there was goes. False without memory */
void trace_ring_finish(void);       /* main, after the last worker */
uint32_t trace_ring_size(void);
uint64_t trace_ring_seen(void);     /* how many came to it since the start */
/* main: a copy of the i-th newest one; false: that slot is empty, or is written right now */
bool trace_newest(uint32_t i, struct trace *to);

void trace_worker_down(struct pipeline_worker *pw);

#endif
