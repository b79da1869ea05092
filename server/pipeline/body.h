/* SPDX-License-Identifier: BSD-2-Clause */
/* body.h: one body on its way from its source through bytes hooks to its sink, with bounded memory.
 *
 *     source --push--> in -> [hook] -> [hook] -> out --taken by--> sink
 *
 * Shape:   a chain between each two hooks; without hooks, in and out are one.
 * Units:   bytes of content. room: how much the source may push before it has to wait for the sink.
 * Owner:   embedded in the request; filters lie in its arena.
 * Errors:  BODY_FAILED: a hook broke the body off. */
#ifndef PIPELINE_BODY_H
#define PIPELINE_BODY_H

#include "base/chain.h"
#include "pipeline/plan.h"

enum { BODY_CREDIT = 256 * 1024, BODY_HOOK_ROOM = 64 * 1024 };

struct weir_flow { /* one bytes hook in one body */
    const struct step *step;
    struct weir_req *r;
    struct body *body;
    struct weir_flow *next;
    struct chain in;         /* what it may take */
    struct chain *out;       /* the next one's in, or the body's out */
    uint64_t want_in, want_room;
    bool in_end;             /* in gets no more */
    bool finished;           /* its output has ended */
    bool out_of_room;        /* when it was called last: it may hold more */
    bool flush;              /* the source paused and it has not been told with success */
    bool passing;            /* SKIP: everything goes through untouched */
};

struct body {
    struct weir_req *r;
    struct weir_flow *first;
    struct chain out;
    struct chain held;  /* what came before body_open */
    bool is_open;       /* hooks are known: bytes may flow */
    bool in_end, out_end;
    bool failed, running;
    const char *why;    /* when failed */
    uint64_t pushed, taken; /* content bytes in and out, for figures and limits */
    uint64_t credit;
    uint64_t hook_room; /* what each hook may have waiting behind it */
};

void body_init(struct body *body, struct weir_req *r);
bool body_add_hook(struct body *body, const struct step *step, struct arena *arena); /* before body_open; in order */
void body_open(struct body *body); /* no more hooks come: what was held begins to flow */
/* takes all; runs the hooks. pause: the source has no more now */
void body_push(struct body *body, struct chain *chain, bool end, bool pause);
void body_run(struct body *body, bool pause);                                 /* again, after the sink took something */
uint64_t body_room(const struct body *body);
uint64_t body_flow_room(const struct weir_flow *flow);     /* how much the hook may put now */
uint64_t body_chain_room(const struct chain *out);         /* the same, by the running hook's output */
void body_clear(struct body *body); /* drops everything held */

#endif
