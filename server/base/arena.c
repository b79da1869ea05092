/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/arena.h"
#include "base/mem.h"

#include <assert.h>
#include <stdio.h>

enum { ALIGN = _Alignof(max_align_t), CHUNK_LEAST = 256, CHUNK_MOST = 256 * 1024 };

struct chunk {
    struct chunk *next;
    size_t room;
    _Alignas(max_align_t) char data[];
};

struct cleanup {
    struct cleanup *next;
    void (*fn)(void *);
    void *arg;
};

struct arena {
    char *at, *end;       /* the free part of the chunk being cut */
    struct chunk *chunks; /* all but the first, newest first; sanitized builds: every allocation */
    struct cleanup *cleanups;
    size_t held; /* room of all chunks, headers aside */
    size_t cap;
    size_t next_room; /* the next chunk's, unless more is asked for */
    size_t first_room;
    _Alignas(max_align_t) char first[]; /* the first chunk: one malloc for a whole small arena */
};

static inline size_t round_up(size_t n) /* n is below SIZE_MAX / 2 */
{
    return (n + (ALIGN - 1)) & ~(size_t)(ALIGN - 1);
}

static void count_held(const struct arena *arena, int64_t n)
{
    if (arena->cap)
        mem_hold(n);
}

static void set_first_chunk(struct arena *arena)
{
    arena->at = arena->first;
    arena->end = arena->first + arena->first_room;
    arena->held = arena->first_room;
    size_t next = arena->first_room * 2;
    arena->next_room = next < CHUNK_LEAST ? CHUNK_LEAST : next > CHUNK_MOST ? CHUNK_MOST : next;
}

struct arena *arena_create(size_t chunk, size_t cap)
{
    if (chunk > SIZE_MAX / 4)
        return NULL;
#ifdef WEIR_SANITIZED
    chunk = 0;
#endif
    size_t room = round_up(chunk);
    if (cap && room > cap)
        room = cap & ~(size_t)(ALIGN - 1);
    struct arena *arena = mem_alloc(sizeof(*arena) + room);
    if (!arena)
        return NULL;
    arena->chunks = NULL;
    arena->cleanups = NULL;
    arena->cap = cap;
    arena->first_room = room;
    set_first_chunk(arena);
    count_held(arena, (int64_t)room);
    return arena;
}

static void run_cleanups(struct arena *arena)
{
    struct cleanup *cleanup;
    while ((cleanup = arena->cleanups)) { /* one that registers another is obeyed too */
        arena->cleanups = cleanup->next;
        cleanup->fn(cleanup->arg);
    }
}

static void free_chunks(struct arena *arena)
{
    struct chunk *next;
    for (struct chunk *chunk = arena->chunks; chunk; chunk = next) {
        next = chunk->next;
        mem_free(chunk);
    }
    arena->chunks = NULL;
}

void arena_destroy(struct arena *arena)
{
    if (!arena)
        return;
    run_cleanups(arena);
    free_chunks(arena);
    count_held(arena, -(int64_t)arena->held);
    mem_free(arena);
}

void arena_reset(struct arena *arena)
{
    if (arena->cleanups)
        run_cleanups(arena);
    if (arena->chunks)
        free_chunks(arena);
    if (arena->held != arena->first_room)
        count_held(arena, -(int64_t)(arena->held - arena->first_room));
    set_first_chunk(arena);
}

static struct chunk *add_chunk(struct arena *arena, size_t room)
{
    struct chunk *chunk = mem_alloc(sizeof(*chunk) + room);
    if (!chunk)
        return NULL;
    chunk->room = room;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->held += room;
    count_held(arena, (int64_t)room);
    return chunk;
}

static bool fits_cap(const struct arena *arena, size_t room)
{
    return !arena->cap || (arena->held <= arena->cap && room <= arena->cap - arena->held);
}

#ifdef WEIR_SANITIZED

void *arena_alloc(struct arena *arena, size_t n)
{
    if (n > SIZE_MAX / 4 || !fits_cap(arena, round_up(n)))
        return NULL;
    struct chunk *chunk = add_chunk(arena, n); /* exactly n: one byte beyond is seen */
    if (!chunk)
        return NULL;
    arena->held += round_up(n) - n; /* caps mean the same in both builds */
    count_held(arena, (int64_t)(round_up(n) - n));
    return chunk->data;
}

#else

static void *alloc_from_new_chunk(struct arena *arena, size_t n)
{
    if (n > SIZE_MAX / 4)
        return NULL;
    size_t need = round_up(n);
    /* Large pieces get a chunk of their own, so that what is left of the present one stays in use. */
    bool alone = need > arena->next_room / 4;
    size_t room = alone ? need : arena->next_room;
    if (!fits_cap(arena, room)) {
        room = need;
        alone = true;
        if (!fits_cap(arena, room))
            return NULL;
    }
    struct chunk *chunk = add_chunk(arena, room);
    if (!chunk)
        return NULL;
    if (!alone) {
        arena->at = chunk->data + need;
        arena->end = chunk->data + room;
        if (arena->next_room < CHUNK_MOST)
            arena->next_room *= 2;
    }
    return chunk->data;
}

void *arena_alloc(struct arena *arena, size_t n)
{
    size_t left = (size_t)(arena->end - arena->at);
    if (__builtin_expect(n > left, 0))
        return alloc_from_new_chunk(arena, n);
    char *p = arena->at;
    arena->at += round_up(n); /* chunks are multiples of ALIGN: never beyond the end */
    return p;
}

#endif

void *arena_zalloc(struct arena *arena, size_t n)
{
    void *p = arena_alloc(arena, n);
    return p ? memset(p, 0, n) : NULL;
}

void *arena_dup(struct arena *arena, const void *p, size_t n)
{
    void *copy = arena_alloc(arena, n);
    if (copy && n)
        memcpy(copy, p, n);
    return copy;
}

static char *alloc_text(struct arena *arena, size_t n)
{
    char *p = n < SIZE_MAX ? arena_alloc(arena, n + 1) : NULL;
    if (p)
        p[n] = '\0';
    return p;
}

str arena_str(struct arena *arena, str s)
{
    char *p = alloc_text(arena, s.n);
    if (!p)
        return STR_NONE;
    if (s.n)
        memcpy(p, s.p, s.n);
    return (str){ p, s.n };
}

str arena_lower(struct arena *arena, str s)
{
    char *p = alloc_text(arena, s.n);
    if (!p)
        return STR_NONE;
    for (size_t i = 0; i < s.n; i++)
        p[i] = char_lower(s.p[i]);
    return (str){ p, s.n };
}

str arena_concat(struct arena *arena, const str *parts, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(n, parts[i].n, &n))
            return STR_NONE;
    char *p = alloc_text(arena, n);
    if (!p)
        return STR_NONE;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n)
            memcpy(p + at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    return (str){ p, n };
}

str arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str s = arena_vprintf(arena, fmt, ap);
    va_end(ap);
    return s;
}

str arena_vprintf(struct arena *arena, const char *fmt, va_list ap)
{
    char small[256]; /* most texts fit: formatted once */
    va_list again;
    va_copy(again, ap);
    int wanted = vsnprintf(small, sizeof(small), fmt, again);
    va_end(again);
    if (wanted < 0)
        return STR_NONE;
    size_t n = (size_t)wanted;
    if (n < sizeof(small))
        return arena_str(arena, (str){ small, n });
    char *p = alloc_text(arena, n);
    if (!p)
        return STR_NONE;
    vsnprintf(p, n + 1, fmt, ap);
    return (str){ p, n };
}

bool arena_on_reset(struct arena *arena, void (*fn)(void *), void *arg)
{
    struct cleanup *cleanup = arena_alloc(arena, sizeof(*cleanup));
    if (!cleanup)
        return false;
    *cleanup = (struct cleanup){ .next = arena->cleanups, .fn = fn, .arg = arg };
    arena->cleanups = cleanup;
    return true;
}

size_t arena_used(const struct arena *arena)
{
    return arena->held;
}

void *vec_push(struct arena *arena, struct vec *vec, size_t item_size)
{
    assert(item_size > 0);
    if (vec->count == vec->room) {
        uint32_t room = vec->room ? vec->room * 2 : 4;
        size_t n;
        if (room <= vec->room || __builtin_mul_overflow((size_t)room, item_size, &n))
            return NULL;
        void *items = arena_alloc(arena, n);
        if (!items)
            return NULL;
        if (vec->count)
            memcpy(items, vec->items, vec->count * item_size);
        vec->items = items;
        vec->room = room;
    }
    char *item = (char *)vec->items + vec->count * item_size;
    vec->count++;
    return memset(item, 0, item_size);
}
