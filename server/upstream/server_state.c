/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/server_state.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "upstream/server_figures.h"

#include <pthread.h>
#include <stdio.h>

enum { STATE_BUCKETS = 256, EARLY_TRIAL_MS = 1000, WHYS_MOST = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct server_state *buckets[STATE_BUCKETS];

/* Each thread has its own reading of the clock: another's may be a little ahead. */
static uint64_t since(uint64_t then)
{
    uint64_t now = clock_ms();

    return now > then ? now - then : 0;
}

/* -- the register -------------------------------------------------------------------------------------------------- */

static struct server_state *state_new(str upstream, str server, str key)
{
    struct server_state *state = mem_zalloc(sizeof(*state));
    size_t label_n = upstream.n + server.n + 2;

    if (!state)
        return NULL;
    state->key = str_dup(key);
    state->label = mem_alloc(label_n);
    if (!state->key || !state->label) {
        mem_free(state->key);
        mem_free(state->label);
        mem_free(state);
        return NULL;
    }
    state->tally = server_tally(key);
    snprintf(state->label, label_n, "%.*s %.*s", STR_ARG(upstream), STR_ARG(server));
    return state;
}

struct server_state *server_state_get(str upstream, str server, str key)
{
    struct server_state **bucket = &buckets[hash_str(key) % STATE_BUCKETS], *state;

    pthread_mutex_lock(&lock);
    for (state = *bucket; state && !str_equal(str_of(state->key), key); state = state->next)
        ;
    if (!state && (state = state_new(upstream, server, key)) != NULL) {
        state->next = *bucket;
        *bucket = state;
    }
    if (state)
        state->users++;
    pthread_mutex_unlock(&lock);
    return state;
}

void server_state_release(struct server_state *state)
{
    pthread_mutex_lock(&lock);
    bool last = --state->users == 0;
    struct server_state **at = &buckets[hash_str(str_of(state->key)) % STATE_BUCKETS];
    while (last && *at != state)
        at = &(*at)->next;
    if (last)
        *at = state->next;
    pthread_mutex_unlock(&lock);
    if (!last)
        return;
    tally_release(state->tally);
    mem_free(state->key);
    mem_free(state->label);
    mem_free(state);
}

/* Reasons come from requests' arenas: the few different ones are kept for ever. */
static const char *why_kept(const char *why)
{
    static char *kept[WHYS_MOST];
    static unsigned count;
    const char *found = NULL;
    size_t n = strlen(why);

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < count && !found; i++)
        if (strcmp(kept[i], why) == 0)
            found = kept[i];
    if (!found && count < WHYS_MOST && (kept[count] = mem_alloc(n + 1)) != NULL)
        found = memcpy(kept[count++], why, n + 1);
    pthread_mutex_unlock(&lock);
    return found ? found : "failed";
}

/* -- in flight ----------------------------------------------------------------------------------------------------- */

bool server_state_enter(struct server_state *state, const struct server_rules *rules)
{
    uint32_t before = atomic_fetch_add_explicit(&state->active, 1, memory_order_relaxed);

    if (rules->max_conns && before >= rules->max_conns) {
        atomic_fetch_sub_explicit(&state->active, 1, memory_order_relaxed);
        return false;
    }
    atomic_fetch_add_explicit(&state->requests, 1, memory_order_relaxed);
    return true;
}

void server_state_leave(struct server_state *state)
{
    atomic_fetch_sub_explicit(&state->active, 1, memory_order_relaxed);
}

/* -- in service or not --------------------------------------------------------------------------------------------- */

enum server_word server_state_word(struct server_state *state, const struct server_rules *rules)
{
    uint64_t until = atomic_load_explicit(&state->out_until, memory_order_relaxed);

    if (atomic_load_explicit(&state->checked_down, memory_order_relaxed))
        return SERVER_CHECKED_DOWN;
    if (until && (clock_ms() < until || atomic_load_explicit(&state->on_trial, memory_order_relaxed)))
        return SERVER_OUT;
    if (rules->max_conns && atomic_load_explicit(&state->active, memory_order_relaxed) >= rules->max_conns)
        return SERVER_FULL;
    return until ? SERVER_TRIAL : SERVER_IN;
}

bool server_state_try(struct server_state *state, bool early)
{
    uint64_t last = atomic_load(&state->trial_at);
    bool none = false;

    if (early && last && since(last) < EARLY_TRIAL_MS)
        return false;
    if (!atomic_compare_exchange_strong(&state->on_trial, &none, true))
        return false;
    atomic_store(&state->trial_at, clock_ms());
    return true;
}

void server_state_untry(struct server_state *state)
{
    atomic_store(&state->on_trial, false);
}

void server_state_worked(struct server_state *state)
{
    if (atomic_load_explicit(&state->fails, memory_order_relaxed))
        atomic_store_explicit(&state->fails, 0, memory_order_relaxed);
    if (!atomic_load_explicit(&state->out_until, memory_order_relaxed))
        return;
    if (!atomic_exchange(&state->out_until, 0))
        return;
    atomic_store(&state->in_since, clock_ms());
    log_notice("upstream %s: answers again, back in service", state->label);
}

/* Fails count within a window of fail_timeout from the first one on. */
static uint32_t count_fail(struct server_state *state, const struct server_rules *rules, uint64_t now)
{
    uint64_t from = atomic_load(&state->window_from);

    if (since(from) > rules->fail_timeout && atomic_compare_exchange_strong(&state->window_from, &from, now))
        atomic_store(&state->fails, 0);
    return atomic_fetch_add(&state->fails, 1) + 1;
}

void server_state_failed(struct server_state *state, const struct server_rules *rules, const char *why)
{
    uint64_t now = clock_ms(), until = now + rules->fail_timeout;
    char seconds[32];

    atomic_fetch_add_explicit(&state->failures, 1, memory_order_relaxed);
    atomic_store(&state->why, why_kept(why));
    if (rules->max_fails == 0)
        return;
    uint32_t fails = count_fail(state, rules, now);
    uint64_t before = atomic_load(&state->out_until);
    bool again = before && atomic_load(&state->on_trial);
    if (!again && (before || fails < rules->max_fails))
        return;
    if (!atomic_compare_exchange_strong(&state->out_until, &before, until ? until : 1))
        return;
    if (again) /* still out: no change, no line */
        return;
    atomic_store(&state->out_since, now);
    if (rules->fail_timeout % 1000)
        snprintf(seconds, sizeof(seconds), "%llums", (unsigned long long)rules->fail_timeout);
    else
        snprintf(seconds, sizeof(seconds), "%llus", (unsigned long long)(rules->fail_timeout / 1000));
    log_warn("upstream %s: %s, out for %s (fails=%u/%llu)", state->label, why, seconds, fails,
             (unsigned long long)rules->max_fails);
}

void server_state_checked(struct server_state *state, bool up, const char *why)
{
    bool changed = atomic_exchange(&state->checked_down, !up) != !up;

    if (!changed && !(up && atomic_load(&state->out_until)))
        return;
    if (!up) {
        atomic_store(&state->why, why_kept(why));
        atomic_store(&state->out_since, clock_ms());
        log_warn("upstream %s: check: %s, out", state->label, why);
        return;
    }
    atomic_store(&state->fails, 0);
    atomic_store(&state->out_until, 0);
    atomic_store(&state->in_since, clock_ms());
    log_notice("upstream %s: check: %s, back in service", state->label, why);
}

void server_state_begin(struct server_state *state)
{
    atomic_store(&state->in_since, clock_ms());
}

void server_state_forgive(struct server_state *state)
{
    atomic_store(&state->fails, 0);
    if (atomic_exchange(&state->out_until, 0))
        atomic_store(&state->in_since, clock_ms());
}

uint32_t server_state_percent(const struct server_state *state, const struct server_rules *rules)
{
    uint64_t from = atomic_load_explicit(&state->in_since, memory_order_relaxed);

    if (!rules->slow_start || !from || since(from) >= rules->slow_start)
        return 100;
    uint64_t percent = since(from) * 100 / rules->slow_start;
    return percent ? (uint32_t)percent : 1;
}

uint64_t server_state_returns(const struct server_state *state)
{
    uint64_t until = atomic_load_explicit(&state->out_until, memory_order_relaxed), now = clock_ms();

    return until > now ? until - now : 0;
}
