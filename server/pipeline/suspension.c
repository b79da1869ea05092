/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/suspension.h"

#include "base/mem.h"
#include "pipeline/crumb.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>

enum { SLOTS_A_CHUNK = 128, CHUNKS_MOST = 1024 };

/* The life of a slot's generation. Only the owner's worker begins and ends it; who turns WAITING into POSTED may send
 * the one message. */
enum phase { PHASE_FREE, PHASE_WAITING, PHASE_POSTED };

struct suspension {
    _Atomic uint64_t state; /* generation * 4 + phase */
    struct message message;
    struct suspensions *table;
    uint32_t index;
    weir_verdict verdict, on_timeout;
    bool cancelled;         /* its owner is gone while the message is under way */
    struct weir_req *r;     /* one of these two */
    struct weir_conn *c;
    struct deadline deadline;
    struct suspension *next_free;
};

struct suspensions {
    _Atomic(struct worker *) worker;
    atomic_uint posting; /* threads between the look at `worker` and the end of their post */
    unsigned index;
    _Atomic(struct suspension *) chunks[CHUNKS_MOST];
    uint32_t chunk_count;
    struct suspension *free;
    uint32_t waiting;
};

/* By worker index; made once, kept for ever. */
static _Atomic(struct suspensions *) tables[CRUMBS_MOST];

static uint64_t generation_of(uint64_t state)
{
    return state >> 2;
}

static uint64_t state_of(uint64_t generation, enum phase phase)
{
    return generation << 2 | phase;
}

/* -- slots --------------------------------------------------------------------------------------------------------- */

static void on_due(struct deadline *deadline);
static void on_message(struct message *message);

static bool add_chunk(struct suspensions *table)
{
    if (table->chunk_count == CHUNKS_MOST)
        return false;
    struct suspension *chunk = mem_array(SLOTS_A_CHUNK, sizeof(*chunk));
    if (!chunk)
        return false;
    for (uint32_t i = SLOTS_A_CHUNK; i-- > 0;) {
        chunk[i].table = table;
        chunk[i].index = table->chunk_count * SLOTS_A_CHUNK + i;
        chunk[i].message.run = on_message;
        deadline_init(&chunk[i].deadline, on_due);
        chunk[i].next_free = table->free;
        table->free = &chunk[i];
    }
    atomic_store_explicit(&table->chunks[table->chunk_count++], chunk, memory_order_release);
    return true;
}

static struct suspension *slot_take(struct suspensions *table)
{
    if (!table->free && !add_chunk(table))
        return NULL;
    struct suspension *slot = table->free;
    table->free = slot->next_free;
    slot->r = NULL;
    slot->c = NULL;
    slot->cancelled = false;
    table->waiting++;
    return slot;
}

static void slot_give(struct suspension *slot)
{
    uint64_t generation = generation_of(atomic_load_explicit(&slot->state, memory_order_relaxed));
    atomic_store_explicit(&slot->state, state_of(generation, PHASE_FREE), memory_order_relaxed);
    slot->next_free = slot->table->free;
    slot->table->free = slot;
}

/* Ends the wait from the owner's side. False: a resume was quicker, and the slot is free when its message has come. */
static bool stop_waiting(struct suspension *slot)
{
    uint64_t generation = generation_of(atomic_load_explicit(&slot->state, memory_order_relaxed));
    uint64_t expect = state_of(generation, PHASE_WAITING);
    return atomic_compare_exchange_strong_explicit(&slot->state, &expect, state_of(generation, PHASE_FREE),
                                                   memory_order_acq_rel, memory_order_relaxed);
}

/* -- delivery: the owner's worker ---------------------------------------------------------------------------------- */

static weir_verdict sane(weir_verdict verdict)
{
    switch (verdict) {
    case WEIR_NEXT:
    case WEIR_SKIP:
    case WEIR_REPLY:
    case WEIR_REROUTE:
    case WEIR_CLOSE:
        return verdict;
    default:
        return WEIR_FAIL; /* nothing to wait for any more, or a word we do not know */
    }
}

static void deliver(struct suspension *slot, weir_verdict verdict)
{
    struct weir_req *r = slot->r;
    struct weir_conn *c = slot->c;
    slot->table->waiting--;
    deadline_cancel(&slot->deadline);
    slot_give(slot);
    if (r) {
        r->suspension = NULL;
        request_resume(r, sane(verdict));
    } else {
        c->suspension = NULL;
        session_resume(c, sane(verdict));
    }
}

static void on_due(struct deadline *deadline)
{
    struct suspension *slot = list_entry(deadline, struct suspension, deadline);
    if (stop_waiting(slot))
        deliver(slot, slot->on_timeout);
}

static void on_message(struct message *message)
{
    struct suspension *slot = list_entry(message, struct suspension, message);
    if (slot->cancelled)
        slot_give(slot);
    else
        deliver(slot, slot->verdict);
}

void suspension_cancel(struct suspension *slot)
{
    slot->table->waiting--;
    deadline_cancel(&slot->deadline);
    if (stop_waiting(slot))
        slot_give(slot);
    else
        slot->cancelled = true;
}

/* -- tokens -------------------------------------------------------------------------------------------------------- */

static weir_token start(struct suspension *slot, uint64_t ms, weir_verdict on_timeout)
{
    uint64_t generation = generation_of(atomic_load_explicit(&slot->state, memory_order_relaxed)) + 1;
    slot->on_timeout = on_timeout;
    atomic_store_explicit(&slot->state, state_of(generation, PHASE_WAITING), memory_order_release);
    deadline_set(&slot->deadline, ms == 0 ? 1 : ms > SUSPENSION_MS_MOST ? SUSPENSION_MS_MOST : ms);
    return (weir_token){ (uint64_t)(slot->table->index + 1) << 32 | slot->index, generation };
}

static struct suspension *slot_for_caller(void)
{
    struct pipeline_worker *pw = pipeline_worker_self();
    return pw && pw->suspensions ? slot_take(pw->suspensions) : NULL;
}

weir_token suspension_create(struct weir_req *r, uint64_t ms, weir_verdict on_timeout)
{
    struct suspension *slot = slot_for_caller();
    if (!slot)
        return (weir_token){ 0, 0 };
    if (r->suspension)
        suspension_cancel(r->suspension);
    slot->r = r;
    r->suspension = slot;
    return start(slot, ms, on_timeout);
}

weir_token suspension_create_conn(struct weir_conn *c, uint64_t ms, weir_verdict on_timeout)
{
    struct suspension *slot = slot_for_caller();
    if (!slot)
        return (weir_token){ 0, 0 };
    if (c->suspension)
        suspension_cancel(c->suspension);
    slot->c = c;
    c->suspension = slot;
    return start(slot, ms, on_timeout);
}

static struct suspension *slot_of_token(weir_token token)
{
    uint64_t worker = token.id >> 32, index = token.id & UINT32_MAX;
    if (worker == 0 || worker > CRUMBS_MOST || index >= (uint64_t)SLOTS_A_CHUNK * CHUNKS_MOST)
        return NULL;
    struct suspensions *table = atomic_load_explicit(&tables[worker - 1], memory_order_acquire);
    if (!table)
        return NULL;
    struct suspension *chunk = atomic_load_explicit(&table->chunks[index / SLOTS_A_CHUNK], memory_order_acquire);
    return chunk ? &chunk[index % SLOTS_A_CHUNK] : NULL;
}

void suspension_resume(weir_token token, weir_verdict verdict)
{
    struct suspension *slot = slot_of_token(token);
    if (!slot)
        return;
    /* suspensions_close waits for us between these two, so the worker is there when we post. */
    atomic_fetch_add(&slot->table->posting, 1);
    struct worker *worker = atomic_load(&slot->table->worker);
    uint64_t expect = state_of(token.generation, PHASE_WAITING);
    if (worker &&
        atomic_compare_exchange_strong_explicit(&slot->state, &expect, state_of(token.generation, PHASE_POSTED),
                                                memory_order_acq_rel, memory_order_relaxed)) {
        slot->verdict = verdict;
        worker_post(worker, &slot->message);
    }
    atomic_fetch_sub(&slot->table->posting, 1);
}

/* -- tables -------------------------------------------------------------------------------------------------------- */

struct suspensions *suspensions_open(struct worker *worker)
{
    unsigned index = worker_index(worker);
    if (index >= CRUMBS_MOST)
        return NULL;
    struct suspensions *table = atomic_load_explicit(&tables[index], memory_order_acquire);
    if (!table) {
        table = mem_zalloc(sizeof(*table));
        if (!table)
            return NULL;
        table->index = index;
        atomic_store_explicit(&tables[index], table, memory_order_release);
    }
    atomic_store(&table->worker, worker);
    return table;
}

void suspensions_close(struct suspensions *table)
{
    assert(table->waiting == 0);
    atomic_store(&table->worker, NULL);
    while (atomic_load(&table->posting) > 0)
        sched_yield();
}

uint32_t suspensions_waiting(const struct suspensions *table)
{
    return table->waiting;
}
