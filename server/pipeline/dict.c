/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/dict.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "loop/worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <weir/share.h>

/* What malloc adds to a piece, roughly; and the least that a shard's table begins with. */
enum { MALLOC_COST = 16, BUCKETS_LEAST = 16, SHARD_BYTES_WANTED = 128 * 1024, SWEEP_STEP = 2 };

struct entry {
    struct list used;      /* most recently used first */
    struct entry *next;    /* in its bucket */
    uint64_t hash;
    uint64_t expires_us;   /* 0: never */
    uint32_t key_n, value_n;
    _Alignas(8) uint8_t bytes[]; /* value, then key: numbers are aligned */
};

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    struct entry **buckets;
    uint32_t bucket_count; /* a power of two */
    uint32_t sweep;        /* the next bucket to be looked through for expired entries */
    uint64_t entry_count;
    uint64_t bytes, cap;
    struct list used;
};

struct weir_dict {
    weir_dict *next; /* in the register */
    const weir_mod *mod;
    char *name;
    uint64_t (*now_us)(void);
    uint32_t shard_count; /* a power of two */
    struct shard *shards;
};

/* A bucket of tokens: how full of debt it is, in tokens times the period it was counted with, and when that was so.
 * Whole numbers throughout: nothing is lost by rounding. */
struct debt {
    uint64_t level, at_us, period_us;
};

/* -- making and finding dictionaries ------------------------------------------------------------------------------- */

static uint64_t now_on_any_thread(void)
{
    return worker_self() ? clock_us() : clock_us_now(); /* other threads have no turn that would renew the reading */
}

static bool shard_init(struct shard *shard, uint64_t cap)
{
    shard->buckets = mem_array(BUCKETS_LEAST, sizeof(*shard->buckets));
    if (!shard->buckets)
        return false;
    pthread_mutex_init(&shard->lock, NULL);
    list_init(&shard->used);
    shard->bucket_count = BUCKETS_LEAST;
    shard->bytes = BUCKETS_LEAST * sizeof(*shard->buckets);
    shard->cap = cap;
    return true;
}

static uint32_t shards_for(uint64_t bytes)
{
    uint32_t count = DICT_SHARDS_LEAST;
    while (count < DICT_SHARDS_MOST && bytes / count > SHARD_BYTES_WANTED)
        count *= 2;
    return count;
}

weir_dict *dict_create(uint64_t bytes)
{
    if (bytes < DICT_BYTES_LEAST)
        bytes = DICT_BYTES_LEAST;
    weir_dict *d = mem_zalloc(sizeof(*d));
    if (!d)
        return NULL;
    d->now_us = now_on_any_thread;
    uint32_t count = shards_for(bytes);
    void *shards = NULL;
    if (posix_memalign(&shards, _Alignof(struct shard), count * sizeof(struct shard)) != 0) {
        mem_free(d);
        return NULL;
    }
    d->shards = memset(shards, 0, count * sizeof(struct shard));
    for (; d->shard_count < count; d->shard_count++)
        if (!shard_init(&d->shards[d->shard_count], bytes / count)) {
            dict_destroy(d);
            return NULL;
        }
    return d;
}

void dict_destroy(weir_dict *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; i < d->shard_count; i++) {
        struct shard *shard = &d->shards[i];
        list_each(link, &shard->used)
            mem_free(list_entry(link, struct entry, used));
        mem_free(shard->buckets);
        pthread_mutex_destroy(&shard->lock);
    }
    mem_free(d->shards);
    mem_free(d->name);
    mem_free(d);
}

weir_dict *dict_open(weir_mod *mod, const char *name, uint64_t bytes)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static weir_dict *all;
    weir_dict *d;
    pthread_mutex_lock(&lock);
    for (d = all; d; d = d->next)
        if (d->mod == mod && strcmp(d->name, name) == 0)
            goto done;
    d = dict_create(bytes);
    if (!d)
        goto done;
    d->name = mem_alloc(strlen(name) + 1);
    if (!d->name) {
        dict_destroy(d);
        d = NULL;
        goto done;
    }
    memcpy(d->name, name, strlen(name) + 1);
    d->mod = mod;
    d->next = all;
    all = d;
done:
    pthread_mutex_unlock(&lock);
    return d;
}

void dict_set_clock(weir_dict *d, uint64_t (*now_us)(void))
{
    d->now_us = now_us;
}

/* -- entries; the shard's lock is held ----------------------------------------------------------------------------- */

static uint64_t cost_of(size_t key_n, size_t value_n)
{
    return ((sizeof(struct entry) + key_n + value_n + 15) & ~(uint64_t)15) + MALLOC_COST;
}

static const uint8_t *key_of(const struct entry *entry)
{
    return entry->bytes + entry->value_n;
}

static struct entry **bucket_of(const struct shard *shard, uint64_t hash)
{
    return &shard->buckets[hash & (shard->bucket_count - 1)];
}

static void entry_remove(struct shard *shard, struct entry *entry)
{
    struct entry **link = bucket_of(shard, entry->hash);
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    list_remove(&entry->used);
    shard->bytes -= cost_of(entry->key_n, entry->value_n);
    shard->entry_count--;
    mem_free(entry);
}

static bool is_expired(const struct entry *entry, uint64_t now_us)
{
    return entry->expires_us && entry->expires_us <= now_us;
}

/* The live entry of that key, now the most recently used; NULL: none. */
static struct entry *entry_find(struct shard *shard, uint64_t hash, str key, uint64_t now_us)
{
    struct entry *entry = *bucket_of(shard, hash);
    while (entry &&
           (entry->hash != hash || entry->key_n != key.n || (key.n && memcmp(key_of(entry), key.p, key.n) != 0)))
        entry = entry->next;
    if (!entry)
        return NULL;
    if (is_expired(entry, now_us)) {
        entry_remove(shard, entry);
        return NULL;
    }
    list_remove(&entry->used);
    list_push_front(&shard->used, &entry->used);
    return entry;
}

/* A few buckets at each insertion: expired entries go soon although nobody asks for them. */
static void sweep(struct shard *shard, uint64_t now_us)
{
    for (unsigned i = 0; i < SWEEP_STEP; i++) {
        struct entry *next, *entry = shard->buckets[shard->sweep++ & (shard->bucket_count - 1)];
        for (; entry; entry = next) {
            next = entry->next;
            if (is_expired(entry, now_us))
                entry_remove(shard, entry);
        }
    }
}

static void grow_table(struct shard *shard)
{
    uint64_t more = (uint64_t)shard->bucket_count * sizeof(*shard->buckets);
    if (shard->entry_count < shard->bucket_count || shard->bytes + more > shard->cap ||
        shard->bucket_count > UINT32_MAX / 2)
        return; /* without it chains get longer: slower, still right */
    struct entry **wide = mem_array((size_t)shard->bucket_count * 2, sizeof(*wide));
    if (!wide)
        return;
    mem_free(shard->buckets);
    shard->buckets = wide;
    shard->bucket_count *= 2;
    shard->bytes += more;
    list_each(link, &shard->used) {
        struct entry *entry = list_entry(link, struct entry, used);
        struct entry **bucket = bucket_of(shard, entry->hash);
        entry->next = *bucket;
        *bucket = entry;
    }
}

static bool evict_idlest(struct shard *shard)
{
    if (list_is_empty(&shard->used))
        return false;
    entry_remove(shard, list_entry(shard->used.prev, struct entry, used));
    return true;
}

/* A new entry in place of any of that key; its value is zeroed. NULL: larger than the shard, or no memory. */
static struct entry *entry_add(struct shard *shard, uint64_t hash, str key, size_t value_n, uint64_t now_us)
{
    uint64_t cost = cost_of(key.n, value_n);
    sweep(shard, now_us);
    if (cost + shard->bucket_count * sizeof(*shard->buckets) > shard->cap)
        return NULL;
    while (shard->bytes + cost > shard->cap && evict_idlest(shard))
        ;
    struct entry *entry = mem_alloc(sizeof(*entry) + value_n + key.n);
    if (!entry)
        return NULL;
    *entry = (struct entry){ .hash = hash, .key_n = (uint32_t)key.n, .value_n = (uint32_t)value_n };
    memset(entry->bytes, 0, value_n);
    if (key.n)
        memcpy(entry->bytes + value_n, key.p, key.n);
    struct entry **bucket = bucket_of(shard, hash);
    entry->next = *bucket;
    *bucket = entry;
    list_init(&entry->used);
    list_push_front(&shard->used, &entry->used);
    shard->bytes += cost;
    shard->entry_count++;
    grow_table(shard);
    return entry;
}

static uint64_t expiry(uint64_t now_us, uint64_t ttl_ms)
{
    if (ttl_ms == 0)
        return 0;
    uint64_t us, at;
    if (__builtin_mul_overflow(ttl_ms, 1000, &us) || __builtin_add_overflow(now_us, us, &at))
        return 0;
    return at;
}

/* -- calls --------------------------------------------------------------------------------------------------------- */

struct place_in_dict {
    struct shard *shard;
    uint64_t hash, now_us;
};

static struct place_in_dict enter(weir_dict *d, str key)
{
    struct place_in_dict in = { .hash = hash_str(key), .now_us = d->now_us() };
    in.shard = &d->shards[in.hash >> 32 & (d->shard_count - 1)];
    pthread_mutex_lock(&in.shard->lock);
    return in;
}

static int leave(const struct place_in_dict *in, int rc)
{
    pthread_mutex_unlock(&in->shard->lock);
    return rc;
}

int dict_get(weir_dict *d, str key, weir_span room, size_t *n)
{
    struct place_in_dict in = enter(d, key);
    const struct entry *entry = entry_find(in.shard, in.hash, key, in.now_us);
    if (!entry)
        return leave(&in, WEIR_ABSENT);
    size_t part = entry->value_n < room.n ? entry->value_n : room.n;
    if (part)
        memcpy(room.p, entry->bytes, part);
    if (n)
        *n = entry->value_n;
    return leave(&in, 0);
}

int dict_put(weir_dict *d, str key, str value, uint64_t ttl)
{
    if (key.n > DICT_KEY_MOST || value.n > DICT_VALUE_MOST)
        return -1;
    struct place_in_dict in = enter(d, key);
    struct entry *entry = entry_find(in.shard, in.hash, key, in.now_us);
    if (entry && entry->value_n != value.n) {
        entry_remove(in.shard, entry);
        entry = NULL;
    }
    if (!entry)
        entry = entry_add(in.shard, in.hash, key, value.n, in.now_us);
    if (!entry)
        return leave(&in, -1);
    if (value.n)
        memcpy(entry->bytes, value.p, value.n);
    entry->expires_us = expiry(in.now_us, ttl);
    return leave(&in, 0);
}

int dict_remove(weir_dict *d, str key)
{
    struct place_in_dict in = enter(d, key);
    struct entry *entry = entry_find(in.shard, in.hash, key, in.now_us);
    if (!entry)
        return leave(&in, WEIR_ABSENT);
    entry_remove(in.shard, entry);
    return leave(&in, 0);
}

/* Stays within 0 and the largest number: a counter that lost its beginning to eviction must not come out huge. */
static uint64_t add_saturated(uint64_t value, int64_t by)
{
    if (by < 0) {
        uint64_t less = 0 - (uint64_t)by;
        return value > less ? value - less : 0;
    }
    return value > UINT64_MAX - (uint64_t)by ? UINT64_MAX : value + (uint64_t)by;
}

int dict_add(weir_dict *d, str key, int64_t by, uint64_t window, uint64_t *sum)
{
    if (key.n > DICT_KEY_MOST)
        return -1;
    struct place_in_dict in = enter(d, key);
    struct entry *entry = entry_find(in.shard, in.hash, key, in.now_us);
    uint64_t value = 0;
    if (entry && entry->value_n != sizeof(value))
        return leave(&in, -1);
    if (!entry && by > 0) {
        entry = entry_add(in.shard, in.hash, key, sizeof(value), in.now_us);
        if (!entry)
            return leave(&in, -1);
        entry->expires_us = expiry(in.now_us, window);
    }
    if (entry) {
        memcpy(&value, entry->bytes, sizeof(value));
        value = add_saturated(value, by);
        memcpy(entry->bytes, &value, sizeof(value));
        if (value == 0 && entry->expires_us == 0)
            entry_remove(in.shard, entry); /* as good as absent */
    }
    if (sum)
        *sum = value;
    return leave(&in, 0);
}

int dict_compare_and_set(weir_dict *d, str key, uint64_t expect, uint64_t value, uint64_t ttl)
{
    if (key.n > DICT_KEY_MOST)
        return -1;
    struct place_in_dict in = enter(d, key);
    struct entry *entry = entry_find(in.shard, in.hash, key, in.now_us);
    uint64_t now = 0;
    if (entry && entry->value_n != sizeof(now))
        return leave(&in, -1);
    if (entry)
        memcpy(&now, entry->bytes, sizeof(now));
    if (now != expect)
        return leave(&in, WEIR_DIFFERS);
    if (!entry)
        entry = entry_add(in.shard, in.hash, key, sizeof(value), in.now_us);
    if (!entry)
        return leave(&in, -1);
    memcpy(entry->bytes, &value, sizeof(value));
    entry->expires_us = expiry(in.now_us, ttl);
    return leave(&in, 0);
}

/* -- token buckets ------------------------------------------------------------------------------------------------- */

typedef unsigned __int128 wide;

static uint64_t narrow(wide n)
{
    return n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}

/* The debt as of now, counted with this period. An older reading than the last one (another thread's) pays nothing. */
static wide debt_now(const struct debt *debt, uint64_t now_us, uint64_t events, uint64_t period_us)
{
    wide level = debt->level;
    if (debt->period_us != period_us)
        level = level * period_us / debt->period_us; /* the rate was changed: as many tokens as before */
    wide paid = now_us > debt->at_us ? (wide)(now_us - debt->at_us) * events : 0;
    return level > paid ? level - paid : 0;
}

/* What the bucket says once its debt is this level. */
static void tell(struct weir_bucket *after, wide level, wide room, uint64_t events, uint64_t period_us)
{
    after->full_us = narrow((level + events - 1) / events);
    after->left = level < room ? narrow((room - level) / period_us) : 0;
}

static bool read_period(struct weir_rate rate, uint64_t *period_us)
{
    return rate.events && rate.period && !__builtin_mul_overflow(rate.period, 1000, period_us);
}

/* asked: 0 looks only, and says how long until one token is there. */
static int bucket_change(weir_dict *d, str key, struct weir_rate rate, uint64_t burst, uint64_t asked, uint64_t back,
                         struct weir_bucket *after)
{
    uint64_t period_us;
    if (key.n > DICT_KEY_MOST || !read_period(rate, &period_us))
        return -1;
    struct place_in_dict in = enter(d, key);
    struct entry *entry = entry_find(in.shard, in.hash, key, in.now_us);
    struct debt debt = { .at_us = in.now_us, .period_us = period_us };
    if (entry && entry->value_n != sizeof(debt))
        return leave(&in, -1);
    if (entry)
        memcpy(&debt, entry->bytes, sizeof(debt));
    wide room = ((wide)burst + 1) * period_us, level = debt_now(&debt, in.now_us, rate.events, period_us);
    wide given = (wide)back * period_us, more = (wide)(asked ? asked : !back) * period_us;
    level -= given < level ? given : level;
    if (more > room)
        after->wait_us = UINT64_MAX; /* never */
    else
        after->wait_us = level + more > room ? narrow((level + more - room + rate.events - 1) / rate.events) : 0;
    if (asked && !after->wait_us) {
        level += more;
        if (!entry)
            entry = entry_add(in.shard, in.hash, key, sizeof(debt), in.now_us);
        if (!entry)
            return leave(&in, -1);
    }
    tell(after, level, room, rate.events, period_us);
    if (after->wait_us)
        return leave(&in, WEIR_DIFFERS);
    if (!entry || (!asked && !back))
        return leave(&in, 0);
    debt = (struct debt){ narrow(level), in.now_us > debt.at_us ? in.now_us : debt.at_us, period_us };
    memcpy(entry->bytes, &debt, sizeof(debt));
    /* Paid back, it says no more than an absent one. */
    entry->expires_us = narrow((wide)debt.at_us + (level + rate.events - 1) / rate.events);
    return leave(&in, 0);
}

int dict_take(weir_dict *d, str key, struct weir_rate rate, uint64_t burst, uint64_t cost, uint64_t *wait_us)
{
    struct weir_bucket after = { 0 };
    int rc = cost ? bucket_change(d, key, rate, burst, cost, 0, &after) : 0;
    if (wait_us && rc != -1)
        *wait_us = after.wait_us;
    return rc;
}

int dict_spend(weir_dict *d, str key, struct weir_rate rate, uint64_t burst, int64_t cost, struct weir_bucket *after)
{
    uint64_t asked = cost > 0 ? (uint64_t)cost : 0, back = cost < 0 ? 0 - (uint64_t)cost : 0;
    return bucket_change(d, key, rate, burst, asked, back, after);
}

/* -- figures ------------------------------------------------------------------------------------------------------- */

uint64_t dict_bytes(weir_dict *d)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->shard_count; i++) {
        pthread_mutex_lock(&d->shards[i].lock);
        sum += d->shards[i].bytes;
        pthread_mutex_unlock(&d->shards[i].lock);
    }
    return sum;
}

uint64_t dict_entries(weir_dict *d)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->shard_count; i++) {
        pthread_mutex_lock(&d->shards[i].lock);
        sum += d->shards[i].entry_count;
        pthread_mutex_unlock(&d->shards[i].lock);
    }
    return sum;
}
