/* SPDX-License-Identifier: BSD-2-Clause */
/* rates.c: rate_limit: each key has a bucket of 1 + burst tokens that refills at the rate; a request takes one of each
 * limit, or, when one is empty, none of any. */
#include "ratelimit.h"

enum { BUCKETS_BYTES = 32 << 20, DELAY_MOST_MS = 3600 * 1000 };

static weir_dict *buckets;

int rates_load(weir_mod *mod)
{
    buckets = weir_dict_open(mod, "buckets", BUCKETS_BYTES, 0);
    return buckets ? 0 : weir_mod_error(mod, "no memory for buckets");
}

/* What the answer's fields tell: the limit that is nearest to its end. */
static void show(struct ctx *ctx, const struct limit *limit, const struct weir_bucket *bucket)
{
    if (ctx->shown && bucket->left >= ctx->bucket.left)
        return;
    ctx->shown = limit;
    ctx->bucket = *bucket;
}

/* How long until this request's own token would have been there without the burst. */
static uint64_t own_delay_us(const struct limit *limit, const struct weir_bucket *bucket)
{
    uint64_t each_us = limit->rate.period * 1000 / limit->rate.events;

    return limit->delays && bucket->full_us > each_us ? bucket->full_us - each_us : 0;
}

/* The first `count` limits get back what they gave to a request that is refused by the next. */
static void give_back(weir_req *r, const struct conf *conf, struct ctx *ctx, uint32_t count, uint32_t kept)
{
    struct weir_bucket bucket;
    struct subject subject;

    for (uint32_t i = 0; i < count; i++) {
        const struct limit *limit = limit_at(&conf->rates, i);
        bool was_before = false;
        for (uint32_t k = 0; k < kept; k++)
            was_before |= ctx->taken[k] == limit->id;
        if (!was_before && subject_make(r, conf, limit, &subject))
            weir_dict_spend(buckets, subject_str(&subject), limit->rate, limit->burst, -1, &bucket);
    }
    ctx->taken_count = kept;
}

static weir_verdict refuse(weir_req *r, struct ctx *ctx, const struct limit *limit, const struct weir_bucket *bucket)
{
    ctx->shown = limit;
    ctx->bucket = *bucket;
    ctx->refused = true;
    if (!weir_is_dry(r))
        weir_count(r, METRIC_RATE_REFUSED, 1);
    return weir_refuse(r, (uint32_t)limit->status, limit->reason);
}

static weir_verdict wait_for(weir_req *r, uint64_t delay_us)
{
    uint64_t ms = (delay_us + 999) / 1000;

    weir_count(r, METRIC_DELAYED, 1);
    weir_suspend(r, ms < DELAY_MOST_MS ? ms : DELAY_MOST_MS, WEIR_NEXT);
    return WEIR_SUSPEND;
}

weir_verdict rates_judge(weir_req *r, const struct conf *conf, struct ctx *ctx)
{
    uint64_t delay_us = 0;
    uint32_t kept = ctx->taken_count;
    bool is_dry = weir_is_dry(r);

    for (uint32_t i = 0; i < conf->rates.count; i++) {
        const struct limit *limit = limit_at(&conf->rates, i);
        struct weir_bucket bucket;
        struct subject subject;

        if (ctx_has_taken(ctx, limit->id) || !subject_make(r, conf, limit, &subject))
            continue;
        int rc = weir_dict_spend(buckets, subject_str(&subject), limit->rate, limit->burst, is_dry ? 0 : 1, &bucket);
        if (rc == WEIR_DIFFERS) {
            if (!is_dry)
                give_back(r, conf, ctx, i, kept);
            return refuse(r, ctx, limit, &bucket);
        }
        if (rc != 0)
            return weir_fail(r, "no memory to count a request");
        ctx_note_taken(ctx, limit->id);
        show(ctx, limit, &bucket);
        uint64_t own = own_delay_us(limit, &bucket);
        delay_us = own > delay_us ? own : delay_us;
    }
    return delay_us && !is_dry && !ctx->is_shadow ? wait_for(r, delay_us) : WEIR_NEXT;
}
