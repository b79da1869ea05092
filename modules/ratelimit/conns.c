/* SPDX-License-Identifier: BSD-2-Clause */
/* conns.c: conn_limit: how many requests of a key are under way at one time; a tunnel counts as long as it stands.
 * Only keys with a request under way have an entry, so the dictionary is as large as the server is busy. */
#include "ratelimit.h"

#include <string.h>

enum { COUNTS_BYTES = 16 << 20 };

static weir_dict *counts;

int conns_load(weir_mod *mod)
{
    counts = weir_dict_open(mod, "under-way", COUNTS_BYTES, 0);
    return counts ? 0 : weir_mod_error(mod, "no memory for counters");
}

static void leave(void *subject)
{
    uint64_t left;

    weir_dict_add(counts, *(const weir_str *)subject, -1, 0, &left);
}

/* Counts the request until it ends. 0, or -1 without memory: then it is not counted. */
static int enter(weir_req *r, weir_str subject, uint64_t *under_way)
{
    weir_str *kept = weir_alloc(r, sizeof(*kept) + subject.n);

    if (!kept)
        return -1;
    kept->p = memcpy(kept + 1, subject.p, subject.n);
    kept->n = subject.n;
    if (weir_dict_add(counts, *kept, 1, 0, under_way) != 0)
        return -1;
    if (weir_on_end(r, leave, kept))
        return 0;
    leave(kept);
    return -1;
}

static uint64_t look(weir_str subject)
{
    uint64_t under_way = 0;
    size_t n = 0;

    if (weir_dict_get(counts, subject, (weir_span){ &under_way, sizeof(under_way) }, &n) != 0)
        return 0;
    return under_way;
}

weir_verdict conns_judge(weir_req *r, const struct conf *conf, struct ctx *ctx)
{
    for (uint32_t i = 0; i < conf->conns.count; i++) {
        const struct limit *limit = limit_at(&conf->conns, i);
        struct subject subject;
        uint64_t under_way;

        if (ctx_has_taken(ctx, limit->id) || !subject_make(r, conf, limit, &subject))
            continue;
        if (weir_is_dry(r))
            under_way = look(subject_str(&subject)) + 1;
        else if (enter(r, subject_str(&subject), &under_way) != 0)
            return weir_fail(r, "no memory to count a request");
        ctx_note_taken(ctx, limit->id);
        if (under_way <= limit->most)
            continue;
        if (!weir_is_dry(r))
            weir_count(r, METRIC_CONN_REFUSED, 1);
        return weir_refuse(r, (uint32_t)limit->status, limit->reason);
    }
    return WEIR_NEXT;
}
