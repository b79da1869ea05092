/* SPDX-License-Identifier: BSD-2-Clause */
/* explain.h: what a request would meet: listener, site, route, each hook's verdict, the upstream, and which line of the
 * configuration says so. The request is run dry (pipeline/dry_run.h) against the worker's current snapshot.
 *
 * Owner:   all of an explanation lies in the arena it was made with, nothing points into the snapshot.
 * Thread:  a pipeline worker's: modules' per-thread memory is there alone. Writing: any.
 * Errors:  explain_check and explain_run say what is wrong with the question; NULL: nothing is. */
#ifndef APP_EXPLAIN_H
#define APP_EXPLAIN_H

#include "base/arena.h"
#include "base/out.h"

enum { EXPLAIN_HEADERS_MOST = 32 };

struct explain_question {
    str method, url, client;          /* client empty: 127.0.0.1 */
    str headers[EXPLAIN_HEADERS_MOST]; /* NAME:VALUE */
    uint32_t header_count;
};

struct explain_step {
    const char *stage, *verdict;
    str module, reason, file; /* file empty: no line decided it */
    uint32_t line;
};

struct explanation {
    struct arena *arena;
    struct vec steps;    /* of struct explain_step */
    const char *outcome; /* "answered", "proxied", "closed" or "unreachable" (why.h: and others) */
    int status;          /* of an answer */
    bool depends;        /* on what only a real request can tell */
    str site, route, upstream, reason;
    bool no_memory;
};

/* name: "method", "url", "client" or "header". False: another one, or given too often. */
bool explain_ask(struct explain_question *question, str name, str value);
/* What is wrong with it, as far as that is known without a configuration. On any thread. */
const char *explain_check(const struct explain_question *question, struct arena *arena);
const char *explain_run(const struct explain_question *question, struct arena *arena, struct explanation *explanation);

void explanation_write_text(struct out *out, const void *explanation);
void explanation_write_json(struct out *out, const void *explanation);
void explanation_put_members(struct out *out, const struct explanation *explanation); /* of a JSON object */

#endif
