/* SPDX-License-Identifier: BSD-2-Clause */
/* link_places.c: which streams go over which link, and who waits for a place. */
#include "upstream/announce.h"
#include "upstream/exchange.h"
#include "upstream/link.h"
#include "upstream/server_figures.h"

#include "base/clock.h"

enum { STREAMS_ASSUMED = 100 }; /* RFC 9113 6.5.2: before the SETTINGS of a server's first link are known */

static struct link *link_of(struct list *at)
{
    return list_entry(at, struct link, at);
}

static struct link_stream *stream_of(struct list *at)
{
    return list_entry(at, struct link_stream, at);
}

/* -- room ---------------------------------------------------------------------------------------------------------- */

static unsigned streams_most(const struct link *link)
{
    uint32_t most = link->settled ? h2_streams_most(link->codec) : link->pool->streams_most;

    if (!most && !link->settled)
        most = STREAMS_ASSUMED;
    return most < LINK_STREAMS_MOST ? most : LINK_STREAMS_MOST;
}

static bool has_room(const struct link *link)
{
    return !link->leaving && link->open + link->coming < streams_most(link);
}

/* Whether a request that wants to go `to` there (NULL: anywhere) may use it. */
static bool fits(const struct link *link, const struct link_stream *stream, const struct addr *to)
{
    struct proxy_ends ends;

    if (link->leaving || (to && memcmp(&to->storage, &link->to.storage, sizeof(to->storage)) != 0))
        return false;
    if (!stream->x->upstream->proxy_version)
        return true;
    announce_ends(stream->x->r, &ends);
    return proxy_ends_equal(&ends, &link->announced);
}

static struct link *find_open(const struct link_stream *stream, struct pool *pool, const struct addr *to)
{
    list_each(at, &pool->links) {
        struct link *link = link_of(at);
        if (link->codec && has_room(link) && h2_may_request(link->codec) && fits(link, stream, to) &&
            (link->settled || !stream_needs_settings(stream)))
            return link;
    }
    return NULL;
}

/* One that is on its way to being open, or settled; how many there are in all. */
static struct link *find_coming(const struct link_stream *stream, struct pool *pool, const struct addr *to,
                                unsigned *count)
{
    struct link *coming = NULL;

    *count = 0;
    list_each(at, &pool->links) {
        struct link *link = link_of(at);
        if (!fits(link, stream, to))
            continue;
        ++*count;
        if (!coming && (!link->codec || !link->settled) && has_room(link))
            coming = link;
    }
    return coming;
}

/* -- streams come and go ------------------------------------------------------------------------------------------- */

static void begin(struct link *link, struct link_stream *stream, bool reused)
{
    const struct weir_upstream *u = stream->x->upstream;
    bool made = link->uses++ == 0, slept = link->idle && clock_ms() >= link->heard_ms + LINK_QUIET_MS;

    list_remove(&stream->at);
    list_push(&link->streams, &stream->at);
    stream->of = link;
    stream->begun = true;
    link->open++;
    link->keepalive = u->keepalive;
    link->keepalive_ms = u->keepalive_timeout;
    if (link->idle || made) {
        link_set_idle(link, false);
        link->heard_ms = clock_ms();
        link->quiet_ms = LINK_QUIET_MS;
    }
    if (slept) /* it may have been forgotten on the way, by whoever translates addresses there */
        link_ping(link);
    link_watch(link);
    link_later(link);
    tally_add(link->pool->tally, POOL_STREAMS, 1);
    stream_begin(stream, reused, made);
}

bool link_take(struct link_stream *stream, const struct addr *to)
{
    struct pool *pool = stream->x->local->pools[stream->x->server];
    struct link *link = find_open(stream, pool, to);

    if (!link)
        return false;
    begin(link, stream, true);
    return true;
}

static void wait_at(struct link *link, struct link_stream *stream)
{
    stream->of = link;
    link->coming++;
    link_set_idle(link, false); /* it may be open, and wait for SETTINGS */
    list_push(&link->waiting, &stream->at);
}

static void wait_in_queue(struct pool *pool, struct link_stream *stream)
{
    stream->of = NULL;
    pool->queued++;
    list_push(&pool->queue, &stream->at);
}

static void leave_queue(struct pool *pool, struct link_stream *stream)
{
    list_remove(&stream->at);
    pool->queued--;
}

void link_leave(struct link_stream *stream)
{
    struct link *link = stream->of;

    if (!link) {
        leave_queue(stream->x->local->pools[stream->x->server], stream);
        return;
    }
    list_remove(&stream->at);
    link->coming--;
    if (!link->dead)
        link_later(link); /* with nobody left it is not made */
}

/* -- who waits ----------------------------------------------------------------------------------------------------- */

static struct link_stream *next_waiting(const struct link *link)
{
    list_each(at, &link->waiting)
        if (link->settled || link->leaving || !stream_needs_settings(stream_of(at)))
            return stream_of(at);
    return NULL;
}

void link_serve_waiting(struct link *link)
{
    struct link_stream *stream;

    while (link->codec && !link->dead && (stream = next_waiting(link)) != NULL) {
        list_remove(&stream->at);
        link->coming--;
        if (!link->leaving && link->open < streams_most(link) && h2_may_request(link->codec)) {
            begin(link, stream, false);
        } else {
            wait_in_queue(link->pool, stream);
            exchange_refused(stream->x);
        }
    }
}

static bool is_served(struct pool *pool, struct link_stream *stream)
{
    unsigned count = 0;

    return find_open(stream, pool, NULL) || find_coming(stream, pool, NULL, &count) || count < LINKS_MOST;
}

void links_serve_queue(struct pool *pool)
{
    for (unsigned left = pool->queued; left > 0 && !list_is_empty(&pool->queue); left--) {
        struct link_stream *stream = stream_of(list_first(&pool->queue));
        if (!is_served(pool, stream))
            return;
        exchange_connect_again(stream->x);
    }
}

/* -- joining one --------------------------------------------------------------------------------------------------- */

bool link_join(struct link_stream *stream, const struct addr *to, const struct addr *fallback)
{
    struct exchange *x = stream->x;
    struct pool *pool = x->local->pools[x->server];
    unsigned count;
    struct link *link = find_coming(stream, pool, to, &count);

    if (!link && count >= LINKS_MOST) {
        wait_in_queue(pool, stream);
        return true;
    }
    if (!link) {
        link = link_create(pool, to ? to : fallback);
        if (!link)
            return false;
        if (x->upstream->proxy_version)
            announce_ends(x->r, &link->announced);
    }
    wait_at(link, stream);
    return true;
}
