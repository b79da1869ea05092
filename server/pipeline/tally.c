/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/tally.h"

#include "base/hash.h"
#include "base/mem.h"
#include "loop/worker.h"
#include "pipeline/crumb.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BUCKETS = 1024, GROUP = 16, GROUPS = CRUMBS_MOST / GROUP + 1 }; /* the main thread's worker has the last index */

struct group { /* most machines have few workers: room is made for sixteen at a time */
    _Atomic(uint64_t *) rows[GROUP];
};

struct tally {
    struct tally *next;
    char *key;
    uint32_t users, count; /* users by the lock */
    _Atomic(struct group *) groups[GROUPS];
};

static struct {
    pthread_mutex_t lock;
    struct tally *buckets[BUCKETS];
    uint32_t count;
} house = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* -- the register -------------------------------------------------------------------------------------------------- */

static struct tally *tally_new(str key, uint32_t count)
{
    struct tally *tally = mem_zalloc(sizeof(*tally));
    char *copy = str_dup(key);

    if (!tally || !copy) {
        mem_free(tally);
        mem_free(copy);
        return NULL;
    }
    tally->key = copy;
    tally->count = count;
    return tally;
}

struct tally *tally_get(str key, uint32_t count)
{
    struct tally **bucket = &house.buckets[hash_str(key) % BUCKETS], *tally;

    pthread_mutex_lock(&house.lock);
    for (tally = *bucket; tally && !str_equal(str_of(tally->key), key); tally = tally->next)
        ;
    if (!tally && (tally = tally_new(key, count)) != NULL) {
        tally->next = *bucket;
        *bucket = tally;
        house.count++;
    }
    if (tally)
        tally->users++;
    pthread_mutex_unlock(&house.lock);
    return tally;
}

struct tally *tally_ref(struct tally *tally)
{
    if (!tally)
        return NULL;
    pthread_mutex_lock(&house.lock);
    tally->users++;
    pthread_mutex_unlock(&house.lock);
    return tally;
}

static void tally_free(struct tally *tally)
{
    for (unsigned g = 0; g < GROUPS; g++) {
        struct group *group = atomic_load(&tally->groups[g]);
        for (unsigned i = 0; group && i < GROUP; i++)
            mem_free(atomic_load(&group->rows[i]));
        mem_free(group);
    }
    mem_free(tally->key);
    mem_free(tally);
}

void tally_release(struct tally *tally)
{
    if (!tally)
        return;
    pthread_mutex_lock(&house.lock);
    bool last = --tally->users == 0;
    if (last) {
        struct tally **at = &house.buckets[hash_str(str_of(tally->key)) % BUCKETS];
        while (*at != tally)
            at = &(*at)->next;
        *at = tally->next;
        house.count--;
    }
    pthread_mutex_unlock(&house.lock);
    if (last)
        tally_free(tally);
}

uint32_t tallies_count(void)
{
    pthread_mutex_lock(&house.lock);
    uint32_t count = house.count;
    pthread_mutex_unlock(&house.lock);
    return count;
}

/* -- counting ------------------------------------------------------------------------------------------------------ */

static struct group *group_make(struct tally *tally, unsigned g)
{
    struct group *fresh = mem_zalloc(sizeof(*fresh)), *other = NULL;

    if (!fresh || atomic_compare_exchange_strong(&tally->groups[g], &other, fresh))
        return fresh;
    mem_free(fresh); /* another worker was faster */
    return other;
}

static uint64_t *row_make(struct tally *tally, unsigned index)
{
    struct group *group = atomic_load_explicit(&tally->groups[index / GROUP], memory_order_acquire);

    if (!group)
        group = group_make(tally, index / GROUP);
    uint64_t *row = group ? mem_array(tally->count, sizeof(*row)) : NULL;
    if (row)
        atomic_store_explicit(&group->rows[index % GROUP], row, memory_order_release);
    return row;
}

static inline uint64_t *row_of(struct tally *tally)
{
    struct worker *worker = tally ? worker_self() : NULL;
    unsigned index = worker ? worker_index(worker) : 0;

    if (!worker || index >= GROUPS * GROUP)
        return NULL;
    struct group *group = atomic_load_explicit(&tally->groups[index / GROUP], memory_order_acquire);
    uint64_t *row = group ? atomic_load_explicit(&group->rows[index % GROUP], memory_order_relaxed) : NULL;
    return row ? row : row_make(tally, index);
}

uint64_t *tally_here(struct tally *tally)
{
    return row_of(tally);
}

void tally_add(struct tally *tally, uint32_t i, int64_t by)
{
    uint64_t *row = row_of(tally);

    if (row)
        cell_add(&row[i], (uint64_t)by);
}

void tally_time(struct tally *tally, uint32_t i, uint64_t us)
{
    uint64_t *row = row_of(tally);

    if (row)
        latency_add(&row[i], us);
}

static void add_up(const struct tally *tally, uint32_t from, uint32_t count, uint64_t *sums)
{
    memset(sums, 0, count * sizeof(*sums));
    for (unsigned g = 0; tally && g < GROUPS; g++) {
        struct group *group = atomic_load_explicit(&tally->groups[g], memory_order_acquire);
        for (unsigned i = 0; group && i < GROUP; i++) {
            const uint64_t *row = atomic_load_explicit(&group->rows[i], memory_order_acquire);
            for (uint32_t k = 0; row && k < count; k++)
                sums[k] += cell_read(&row[from + k]);
        }
    }
}

void tally_sum(const struct tally *tally, uint64_t *sums)
{
    if (tally)
        add_up(tally, 0, tally->count, sums);
}

uint64_t tally_sum_of(const struct tally *tally, uint32_t i)
{
    uint64_t sum;

    add_up(tally, i, 1, &sum);
    return sum;
}
