/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/version.h"

#include "base/mem.h"
#include "upstream/pool.h"

enum { VERSION_CHUNK = 4096 };

/* To a worker: "let go of this"; back to main: "I have". */
struct version_letter {
    struct message message;
    struct deferred unused;
    struct leaving *leaving;
    struct upstream_local *local;
    unsigned worker;
};

struct leaving { /* a version (or the first one) that was replaced */
    struct leaving *next;
    struct weir_upstream *u;
    struct weir_upstream *version; /* to be dropped; NULL: it is the first, which is the snapshot's */
    struct worker *main;
    unsigned workers_holding;
    struct version_letter letters[];
};

static struct leaving *all_leaving; /* main thread */

/* -- a version ----------------------------------------------------------------------------------------------------- */

struct weir_upstream *version_create(struct weir_upstream *first, uint32_t room)
{
    struct arena *arena = arena_create(VERSION_CHUNK, 0);
    struct upstream_version *v = arena ? arena_new(arena, struct upstream_version) : NULL;

    if (v) {
        v->u = *first;
        v->arena = arena;
        v->first = first;
        v->u.version = v;
        v->u.next = NULL;
        v->u.server_count = 0;
        v->u.servers = arena_array(arena, struct server, room + 1);
        v->u.local = arena_array(arena, struct upstream_local *, first->worker_count + 1);
        atomic_init(&v->u.now, NULL);
    }
    if (v && v->u.servers && v->u.local)
        return &v->u;
    arena_destroy(arena);
    return NULL;
}

void version_drop(struct weir_upstream *version)
{
    for (uint32_t i = 0; i < version->server_count; i++)
        if (version->servers[i].state)
            server_state_release(version->servers[i].state);
    arena_destroy(version->version->arena);
}

struct weir_upstream *version_now(struct weir_upstream *u)
{
    return upstream_now(u->version ? u->version->first : u);
}

/* -- a worker lets go ---------------------------------------------------------------------------------------------- */

static void on_letter_back(struct message *message);

static void let_go(struct version_letter *letter)
{
    struct weir_upstream *u = letter->leaving->u;

    if (letter->local)
        upstream_local_free(u, letter->local);
    u->local[letter->worker] = NULL;
    letter->message.run = on_letter_back;
    worker_post(letter->leaving->main, &letter->message);
}

/* At the end of the turn: what writes the log may still read a server's name. */
static void on_unused(struct deferred *deferred)
{
    let_go(list_entry(deferred, struct version_letter, unused));
}

void version_local_unused(struct upstream_local *local)
{
    worker_defer(&local->leaving->unused);
}

static void on_letter(struct message *message)
{
    struct version_letter *letter = (struct version_letter *)(void *)message;
    struct upstream_local *local = letter->leaving->u->local[letter->worker];

    letter->local = local;
    if (!local) {
        let_go(letter);
        return;
    }
    upstream_local(version_now(letter->leaving->u)); /* so that idle connections of servers that stay have a user */
    deferred_init(&letter->unused, on_unused);
    local->leaving = letter;
    local->users++; /* while those who wait move on */
    exchange_queue_move(local);
    if (--local->users == 0)
        let_go(letter); /* now: a snapshot that comes with the same mail may be the end of what the version points to */
}

/* -- main ---------------------------------------------------------------------------------------------------------- */

static void forget(struct leaving *leaving)
{
    struct leaving **at = &all_leaving;

    while (*at != leaving)
        at = &(*at)->next;
    *at = leaving->next;
    if (leaving->version)
        version_drop(leaving->version);
    mem_free(leaving);
}

static void on_letter_back(struct message *message)
{
    struct leaving *leaving = ((struct version_letter *)(void *)message)->leaving;

    if (--leaving->workers_holding == 0)
        forget(leaving);
}

void version_install(struct weir_upstream *first, struct weir_upstream *version)
{
    atomic_store_explicit(&first->now, version, memory_order_release);
}

bool version_publish(struct weir_upstream *first, struct weir_upstream *version, struct worker *main,
                     struct worker *const *workers)
{
    struct weir_upstream *former = upstream_now(first);
    unsigned count = first->worker_count;
    struct leaving *leaving = mem_zalloc(sizeof(*leaving) + count * sizeof(leaving->letters[0]));

    if (!leaving)
        return false;
    leaving->u = former;
    leaving->version = former->version ? former : NULL;
    leaving->main = main;
    leaving->workers_holding = count;
    leaving->next = all_leaving;
    all_leaving = leaving;
    version_install(first, version);
    for (unsigned i = 0; i < count; i++) {
        leaving->letters[i].message.run = on_letter;
        leaving->letters[i].leaving = leaving;
        leaving->letters[i].worker = i;
        worker_post(workers[i], &leaving->letters[i].message);
    }
    return true;
}

void versions_finish(void)
{
    while (all_leaving)
        forget(all_leaving);
}
