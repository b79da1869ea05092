/* SPDX-License-Identifier: BSD-2-Clause */
/* share.h: what several workers share: dictionaries, metrics, services.
 *
 * Thread:  any worker; a dictionary takes one shard's lock for the length of a call.
 * Life:    a dictionary and a metric live as long as the process, over every reload. */
#ifndef WEIR_SHARE_H
#define WEIR_SHARE_H

#include <weir/api.h>

/* A dictionary of this module's, by name; opened again with the same name it is the same one (its size is the first's).
 * bytes caps keys, values and overhead together: when full, the entry idle the longest goes. Keys up to 1024 bytes,
 * values up to 64 KiB. NULL without memory. In load(). */
static inline weir_dict *weir_dict_open(weir_mod *mod, const char *name, uint64_t bytes, uint32_t flags)
{
    return weir_api_->dict_open(mod, name, bytes, flags);
}
#define WEIR_ABSENT (-2)
#define WEIR_DIFFERS (-3)
/* 0 and *n bytes in room (cut to it; *n tells the whole size), or WEIR_ABSENT. */
static inline int weir_dict_get(weir_dict *d, weir_str key, weir_span room, size_t *n)
{
    return weir_api_->dict_get(d, key, room, n);
}
/* ttl in milliseconds, 0: for ever. 0, or -1: too large, no memory. */
static inline int weir_dict_put(weir_dict *d, weir_str key, weir_str value, uint64_t ttl)
{
    return weir_api_->dict_put(d, key, value, ttl);
}
/* 0 or WEIR_ABSENT */
static inline int weir_dict_remove(weir_dict *d, weir_str key)
{
    return weir_api_->dict_remove(d, key);
}
/* A counter: adds `by` and tells the sum. The window (ms, 0: for ever) begins at the first add and is not moved by
 * later ones. */
static inline int weir_dict_add(weir_dict *d, weir_str key, int64_t by, uint64_t window, uint64_t *sum)
{
    return weir_api_->dict_add(d, key, by, window, sum);
}
/* For 8-byte values; expect 0 also stands for absent. 0, WEIR_DIFFERS, or -1. */
static inline int weir_dict_compare_and_set(weir_dict *d, weir_str key, uint64_t expect, uint64_t value, uint64_t ttl)
{
    return weir_api_->dict_compare_and_set(d, key, expect, value, ttl);
}
/* A token bucket that holds 1 + burst and refills at rate: takes cost out of it. 0 and *wait_us = 0 when there was
 * enough, else WEIR_DIFFERS, nothing taken, and *wait_us says when there will be. */
static inline int weir_dict_take(weir_dict *d, weir_str key, struct weir_rate rate, uint64_t burst, uint64_t cost,
                                 uint64_t *wait_us)
{
    return weir_api_->dict_take(d, key, rate, burst, cost, wait_us);
}

/* What a bucket is like behind a call. */
struct weir_bucket {
    uint64_t wait_us; /* how long until there is enough; 0: there was; UINT64_MAX: never */
    uint64_t full_us; /* until it is full again */
    uint64_t left;    /* whole tokens in it */
};
/* The same, telling more. A negative cost gives back what was taken; 0 takes nothing and tells what a cost of 1 would
 * meet. */
static inline int weir_dict_spend(weir_dict *d, weir_str key, struct weir_rate rate, uint64_t burst, int64_t cost,
                                  struct weir_bucket *after)
{
    return weir_api_->dict_spend(d, key, rate, burst, cost, after);
}

/* Adds to a metric of the calling module's table, by its index there. Gauges go down too. mod_count is for callbacks
 * without a request. */
static inline void weir_count(weir_req *r, uint32_t metric, int64_t by) { weir_api_->count(r, metric, by); }
static inline void weir_mod_count(weir_mod *mod, uint32_t metric, int64_t by) { weir_api_->mod_count(mod, metric, by); }

/* A table of functions that other modules may use, by name and version; agreed on between their authors. Published in
 * load(); found from
 * check() on. 0, or -1: that name and version are taken. */
static inline int weir_service_publish(weir_mod *mod, const char *name, uint32_t version, const void *table)
{
    return weir_api_->service_publish(mod, name, version, table);
}
static inline const void *weir_service_find(weir_mod *mod, const char *name, uint32_t version)
{
    return weir_api_->service_find(mod, name, version);
}

#endif
