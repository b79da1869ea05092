/* SPDX-License-Identifier: BSD-2-Clause */
/* why.h: what a request that is over met, out of its trace (pipeline/trace.h), as an explanation (explain.h): each step
 * with the line that decided it.
 *
 * Owner:   texts lie in the trace, in the arena, or are static.
 * Thread:  any that has the trace to itself. */
#ifndef APP_WHY_H
#define APP_WHY_H

#include "app/house/explain.h"
#include "pipeline/trace.h"

struct why {
    struct explanation e; /* outcome: "answered", "proxied", "closed", or "abandoned" by the client */
    const struct trace *trace;
    str time, client, url, version;
    str refused_by; /* the module; "weir": the server itself, "upstream": the proxy; empty: nobody refused */
};

bool why_is_refusal(const struct trace *trace); /* or would be one, were it enforced */
/* Without its steps: for a list. False without memory. */
bool why_begin(struct why *why, const struct trace *trace, struct arena *arena);
bool why_tell(struct why *why, const struct trace *trace, struct arena *arena);

struct why_list {
    const struct why *items; /* the newest first */
    uint32_t count;
    uint32_t size; /* of the ring */
    uint64_t seen;
    bool only_refused;
};

/* For answer_make: a struct why, a struct why_list. */
void why_write_text(struct out *out, const void *why);
void why_write_json(struct out *out, const void *why);
void why_list_write_text(struct out *out, const void *list);
void why_list_write_json(struct out *out, const void *list);

#endif
