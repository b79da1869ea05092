/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/small.h"
#include "http/h2_session.h"

/* nghttp2's memory, so that a session can be given up without its help: when it has run out of memory on the way, its
 * own clearing up may meet what was freed already. */
struct piece {
    struct list link;
    size_t n;         /* of it all */
    uint64_t bytes[]; /* aligned for anything that nghttp2 keeps */
};

static void *keep_piece(struct h2_session *session, struct piece *piece, size_t n)
{
    if (!piece)
        return NULL;
    piece->n = n;
    list_push(&session->pieces, &piece->link);
    return piece->bytes;
}

static void *ng_malloc(size_t n, void *session)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    n += sizeof(struct piece);
    return keep_piece(session, small_alloc(n), n);
}

static void *ng_calloc(size_t count, size_t size, void *session)
{
    if (size && count > SIZE_MAX / 2 / size)
        return NULL;
    size_t n = sizeof(struct piece) + count * size;
    return keep_piece(session, small_zalloc(n), n);
}

static void ng_free(void *p, void *session)
{
    (void)session;
    if (!p)
        return;
    struct piece *piece = list_entry(p, struct piece, bytes);
    list_remove(&piece->link);
    small_free(piece, piece->n);
}

static void *ng_realloc(void *p, size_t n, void *session)
{
    void *fresh = ng_malloc(n, session);

    if (!p || !fresh)
        return fresh;
    size_t had = list_entry(p, struct piece, bytes)->n - sizeof(struct piece);
    memcpy(fresh, p, had < n ? had : n);
    ng_free(p, session);
    return fresh;
}

void h2_memory_drop(struct h2_session *session)
{
    for (struct list *link = list_first(&session->pieces); link; link = list_first(&session->pieces))
        ng_free(list_entry(link, struct piece, link)->bytes, session);
}

nghttp2_mem h2_memory(struct h2_session *session)
{
    return (nghttp2_mem){ session, ng_malloc, ng_free, ng_calloc, ng_realloc };
}
