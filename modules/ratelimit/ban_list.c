/* SPDX-License-Identifier: BSD-2-Clause */
/* ban_list.c: a hash of networks; a look-up asks once for each length of prefix that is in the list. */
#include "bans.h"
#include "network.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BUCKETS = 16384 };

struct entry {
    struct entry *next;
    struct ban ban;
};

static struct {
    pthread_rwlock_t lock;
    struct entry **buckets;   /* NULL: nobody was ever banned */
    uint32_t of_length[129];  /* how many there are */
    uint8_t lengths[129];     /* those that occur */
    uint32_t length_count;
    uint64_t secret[2];       /* attackers choose addresses: they are not to choose buckets */
} list = { .lock = PTHREAD_RWLOCK_INITIALIZER };
static atomic_uint ban_count;
static atomic_bool has_changed;

/* -- the table; the lock is held ----------------------------------------------------------------------------------- */

typedef unsigned __int128 wide;

static uint64_t fold(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static struct entry **bucket_of(const uint8_t address[16], uint32_t bits)
{
    uint64_t half[2];

    memcpy(half, address, sizeof(half));
    uint64_t hash = fold(half[0] ^ list.secret[0], half[1] ^ list.secret[1]);
    return &list.buckets[fold(hash ^ bits, list.secret[0] | 1) % BUCKETS];
}

static struct entry **find(const uint8_t address[16], uint32_t bits)
{
    struct entry **at = bucket_of(address, bits);

    while (*at && ((*at)->ban.bits != bits || memcmp((*at)->ban.address, address, 16) != 0))
        at = &(*at)->next;
    return at;
}

static void note_lengths(void)
{
    list.length_count = 0;
    for (uint32_t bits = 0; bits <= 128; bits++)
        if (list.of_length[bits])
            list.lengths[list.length_count++] = (uint8_t)bits;
}

static void remove_at(struct entry **at)
{
    struct entry *entry = *at;

    *at = entry->next;
    if (--list.of_length[entry->ban.bits] == 0)
        note_lengths();
    atomic_fetch_sub_explicit(&ban_count, 1, memory_order_relaxed);
    free(entry);
}

static bool has_ended(const struct ban *ban, uint64_t now)
{
    return ban->until && ban->until <= now;
}

static bool make_table(void)
{
    if (list.buckets)
        return true;
    if (getrandom(list.secret, sizeof(list.secret), 0) != sizeof(list.secret))
        return false;
    list.buckets = calloc(BUCKETS, sizeof(struct entry *));
    return list.buckets != NULL;
}

static int put(const struct ban *ban)
{
    if (!make_table())
        return -1;
    struct entry **at = find(ban->address, ban->bits);
    if (*at) {
        (*at)->ban = *ban;
        return 0;
    }
    struct entry *entry = atomic_load_explicit(&ban_count, memory_order_relaxed) < BANS_MOST ? malloc(sizeof(*entry))
                                                                                             : NULL;
    if (!entry)
        return -1;
    *entry = (struct entry){ .ban = *ban };
    *at = entry;
    if (list.of_length[ban->bits]++ == 0)
        note_lengths();
    atomic_fetch_add_explicit(&ban_count, 1, memory_order_relaxed);
    return 0;
}

/* -- calls --------------------------------------------------------------------------------------------------------- */

bool ban_list_holds(const uint8_t address[16], uint64_t now)
{
    bool holds = false;

    if (atomic_load_explicit(&ban_count, memory_order_relaxed) == 0)
        return false;
    pthread_rwlock_rdlock(&list.lock);
    for (uint32_t i = list.length_count; i-- > 0 && !holds;) {
        uint8_t network[16];
        memcpy(network, address, sizeof(network));
        network_mask(network, list.lengths[i]);
        const struct entry *entry = *find(network, list.lengths[i]);
        holds = entry && !has_ended(&entry->ban, now);
    }
    pthread_rwlock_unlock(&list.lock);
    return holds;
}

int ban_list_put(const struct ban *ban)
{
    pthread_rwlock_wrlock(&list.lock);
    int rc = put(ban);
    pthread_rwlock_unlock(&list.lock);
    if (rc == 0)
        atomic_store(&has_changed, true);
    return rc;
}

int ban_list_remove(const uint8_t address[16], uint32_t bits)
{
    pthread_rwlock_wrlock(&list.lock);
    struct entry **at = list.buckets ? find(address, bits) : NULL;
    bool is_there = at && *at;
    if (is_there)
        remove_at(at);
    pthread_rwlock_unlock(&list.lock);
    if (is_there)
        atomic_store(&has_changed, true);
    return is_there ? 0 : -1;
}

void ban_list_forget_ended(uint64_t now)
{
    if (atomic_load_explicit(&ban_count, memory_order_relaxed) == 0)
        return;
    pthread_rwlock_wrlock(&list.lock);
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (struct entry **at = &list.buckets[i]; *at;) {
            if (has_ended(&(*at)->ban, now))
                remove_at(at);
            else
                at = &(*at)->next;
        }
    pthread_rwlock_unlock(&list.lock);
}

void ban_list_each(uint64_t now, void (*tell)(const struct ban *ban, void *arg), void *arg)
{
    pthread_rwlock_rdlock(&list.lock);
    for (uint32_t i = 0; list.buckets && i < BUCKETS; i++)
        for (const struct entry *entry = list.buckets[i]; entry; entry = entry->next)
            if (!has_ended(&entry->ban, now))
                tell(&entry->ban, arg);
    pthread_rwlock_unlock(&list.lock);
}

bool ban_list_take_changes(void)
{
    return atomic_load_explicit(&has_changed, memory_order_relaxed) && atomic_exchange(&has_changed, false);
}
