/* SPDX-License-Identifier: BSD-2-Clause */
/* http1_state.c: what a connection holds only while something is under way on it, recycled per worker. */
#include "base/mem.h"
#include "pipeline/http1.h"

enum { SPARE_MOST = 64 };

struct h1 *h1_take(struct weir_conn *c)
{
    struct pipeline_worker *pw = pipeline_worker_self();
    struct h1 *h = pw->spare_h1;

    if (h) {
        pw->spare_h1 = h->next;
        pw->spare_h1_count--;
    } else {
        h = mem_alloc(sizeof(*h));
        if (!h)
            return NULL;
    }
    *h = (struct h1){ .c = c, .waits = H1_WAITS_IDLE, .body_done = true };
    return h;
}

void h1_give(struct weir_conn *c)
{
    struct pipeline_worker *pw = pipeline_worker_self();
    struct h1 *h = c->h1;

    c->h1 = NULL;
    if (!h)
        return;
    if (pw->spare_h1_count == SPARE_MOST) {
        mem_free(h);
        return;
    }
    h->next = pw->spare_h1;
    pw->spare_h1 = h;
    pw->spare_h1_count++;
}

void h1_worker_down(struct pipeline_worker *pw)
{
    for (struct h1 *h = pw->spare_h1, *next; h; h = next) {
        next = h->next;
        mem_free(h);
    }
    pw->spare_h1 = NULL;
    pw->spare_h1_count = 0;
}
