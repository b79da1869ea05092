/* SPDX-License-Identifier: BSD-2-Clause */
/* dict.h: the shared dictionary behind the SDK's weir_dict: bounded in bytes, exact under concurrency.
 *
 * Shape:   shards by the key's hash; each has a lock, a chained table and a list by last use. An entry's time to live
 *          ends by itself.
 * Units:   bytes count keys, values, the entries' own overhead and the tables; times are in milliseconds unless named
 *          otherwise.
 * Owner:   the register, for the process's life; dict_create and dict_destroy are for dictionaries outside of it
 *          (tests).
 * Thread:  any; one shard's lock for the length of a call.
 * Errors:  as documented in weir/share.h: 0, -1, WEIR_ABSENT, WEIR_DIFFERS. Full: the entry idle the longest in the
 *          shard goes. */
#ifndef PIPELINE_DICT_H
#define PIPELINE_DICT_H

#include "pipeline/module.h"

enum {
    DICT_SHARDS_LEAST = 16,
    DICT_SHARDS_MOST = 64,
    DICT_KEY_MOST = 1024,
    DICT_VALUE_MOST = 64 * 1024,
    DICT_BYTES_LEAST = 64 * 1024, /* a smaller dictionary is made this large */
};

/* the same one for the same module and name; NULL without memory */
weir_dict *dict_open(weir_mod *mod, const char *name, uint64_t bytes);
weir_dict *dict_create(uint64_t bytes);
void dict_destroy(weir_dict *d);
void dict_set_clock(weir_dict *d, uint64_t (*now_us)(void)); /* for tests; any monotonic clock */

int dict_get(weir_dict *d, str key, weir_span room, size_t *n);
int dict_put(weir_dict *d, str key, str value, uint64_t ttl);
int dict_remove(weir_dict *d, str key);
int dict_add(weir_dict *d, str key, int64_t by, uint64_t window, uint64_t *sum);
int dict_compare_and_set(weir_dict *d, str key, uint64_t expect, uint64_t value, uint64_t ttl);
int dict_take(weir_dict *d, str key, struct weir_rate rate, uint64_t burst, uint64_t cost, uint64_t *wait_us);

struct weir_bucket;
int dict_spend(weir_dict *d, str key, struct weir_rate rate, uint64_t burst, int64_t cost, struct weir_bucket *after);

uint64_t dict_bytes(weir_dict *d);   /* held now; never above what it was made for */
uint64_t dict_entries(weir_dict *d); /* expired ones that nobody has met yet included */

#endif
