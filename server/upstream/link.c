/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/link.h"
#include "upstream/exchange.h"
#include "upstream/hello.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "upstream/server_figures.h"

#include <assert.h>

enum {
    OUT_MOST = 128 * 1024,          /* framed and not written */
    TURN_MOST = 1024 * 1024,        /* read in one turn */
    PASSES = 8,                     /* of producing, in one flush */
    WINDOW = 8 * 1024 * 1024,       /* of the connection: each stream's own is what bounds it */
    PONG_MS = 10 * 1000,
};

static struct link *link_of(struct list *at)
{
    return list_entry(at, struct link, at);
}

static struct link_stream *stream_of(struct list *at)
{
    return list_entry(at, struct link_stream, at);
}

/* -- quiet --------------------------------------------------------------------------------------------------------- */

void link_set_idle(struct link *link, bool idle)
{
    if (link->idle == idle)
        return;
    link->idle = idle;
    pool_note_idle(link->pool, idle ? 1 : -1);
}

void link_watch(struct link *link)
{
    uint64_t now = clock_ms(), since = link->heard_ms + link->quiet_ms;

    if (link->pinged_ms)
        since = link->pinged_ms + PONG_MS;
    conn_set_due(&link->conn, since > now ? since - now : 1);
}

void link_ping(struct link *link)
{
    if (link->pinged_ms)
        return;
    h2_ping(link->codec);
    link->pinged_ms = clock_ms();
    link_later(link);
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

/* What a link that is over still has to say; the kernel takes it, or nobody hears it. */
static void say_goodbye(struct link *link)
{
    if (!link->codec || link->dead || link->conn.is_broken)
        return;
    h2_break(link->codec, H2_NO_ERROR, "the end");
    if (h2_produce(link->codec, &link->out, OUT_MOST))
        conn_write_chain(&link->conn, &link->out);
}

/* Nobody waits for it any more. */
static void end(struct link *link)
{
    if (link->closed)
        return;
    assert(link->dead || list_is_empty(&link->waiting));
    say_goodbye(link);
    link->closed = link->dead = link->leaving = true;
    link_set_idle(link, false);
    list_remove(&link->at);
    if (link->codec)
        tally_add(link->pool->tally, POOL_LINKS, -1);
    if (link->conn.transport && link->conn.state == CONN_OPEN && !link->conn.is_broken)
        conn_shutdown_write(&link->conn);
    conn_close(&link->conn);
    intake_drop(&link->in);
    chain_clear(&link->out);
    link_later(link);
}

/* Each exchange hears of it; those that go elsewhere find it leaving. */
static void tell_streams(struct link *link, const char *why)
{
    for (struct list *at = link->streams.next; at != &link->streams;) {
        struct exchange *x = stream_of(at)->x;
        if (!x) {
            at = at->next;
            continue;
        }
        exchange_conn_broken(x, why);
        at = link->streams.next;
    }
}

static void tell_waiting(struct link *link, const char *why)
{
    str layer = link->conn.transport ? S("TLS: ") : S("connection ");

    for (struct list *at = list_first(&link->waiting); at; at = list_first(&link->waiting)) {
        struct exchange *x = stream_of(at)->x;
        str parts[] = { layer, str_of(why) }, text = { why, 1 };
        if (why == link->conn.why) /* what it says is meant to stand behind something */
            text = arena_concat(x->r->arena, parts, 2);
        exchange_connect_failed(x, text.p ? text.p : "connection failed");
    }
}

static void break_link(struct link *link, const char *why)
{
    struct pool *pool = link->pool;
    const char *ours = link->codec ? h2_why(link->codec) : NULL;
    char room[ADDR_TEXT];

    if (link->dead)
        return;
    if (ours) {
        log_warn("HTTP/2 connection to %.*s: %s", STR_ARG(addr_text(&link->to, room)), ours);
        if (h2_fault(link->codec)->why && h2_produce(link->codec, &link->out, OUT_MOST)) /* a GOAWAY, and no more */
            conn_write_chain(&link->conn, &link->out);
    }
    link->dead = link->leaving = true;
    pool_conn_made(pool); /* keeps it */
    tell_waiting(link, why);
    tell_streams(link, ours ? ours : why);
    end(link);
    links_serve_queue(pool);
    pool_conn_gone(pool);
}

static void link_free(struct link *link)
{
    struct pool *pool = link->pool;

    h2_destroy(link->codec);
    for (struct list *at = list_first(&link->streams); at; at = list_first(&link->streams)) {
        list_remove(at);
        tally_add(pool->tally, POOL_STREAMS, -1);
        stream_free(stream_of(at));
    }
    mem_free(link);
    pool_conn_gone(pool);
}

/* Nothing runs over it: it is kept for a while, or not. */
static void rest(struct link *link)
{
    struct pool *pool = link->pool;

    if (link->idle)
        return;
    if (link->leaving || !pool->users || !link->keepalive) {
        end(link);
        return;
    }
    if (pool->idle_count >= link->keepalive) { /* the one idle the longest goes */
        struct link *longest = NULL;
        list_each(at, &pool->links)
            if (link_of(at)->idle && (!longest || link_of(at)->heard_ms < longest->heard_ms))
                longest = link_of(at);
        if (longest)
            end(longest);
    }
    link_set_idle(link, true);
    intake_drop(&link->in);
    link->pinged_ms = 0;
    conn_set_due(&link->conn, link->keepalive_ms);
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static void tell_pauses(struct link *link)
{
    for (struct list *at = list_first(&link->paused); at; at = list_first(&link->paused)) {
        struct link_stream *stream = list_entry(at, struct link_stream, paused);
        list_remove(at);
        stream_pauses(stream);
    }
}

/* False: it is broken. */
static bool process(struct link *link)
{
    str text = intake_rest(&link->in);
    uint64_t now = clock_ms();

    if (!link->settled && str_has_prefix(text, S("HTTP/"))) {
        h2_break(link->codec, H2_PROTOCOL_ERROR, "the server answers in HTTP/1: `protocol http1;` is what it speaks");
        return false;
    }
    link->heard_ms = now;
    link->inside = true;
    bool fine = h2_receive(link->codec, (const uint8_t *)text.p, text.n, now);
    link->inside = false;
    intake_use_all(&link->in);
    return fine;
}

static const char *why_no_more(const struct link *link, int64_t n)
{
    if (n == INTAKE_NO_MEMORY)
        return "no memory";
    if (n == CONN_EOF)
        return link->settled ? "connection closed by the server"
                             : "connection closed where the SETTINGS of HTTP/2 were due";
    return link->conn.why ? link->conn.why : "connection broke";
}

/* Whether or not the server reads: what it sends is bounded by windows and budgets, and it may wait for us to read. */
static void receive(struct link *link)
{
    int64_t in_all = 0;

    while (!link->dead && conn_may_read(&link->conn)) {
        if (in_all >= TURN_MOST)
            break;
        int64_t n = intake_read(&link->in, &link->conn, link->open ? BLOCK_LARGE : BLOCK_SMALL);
        if (n == CONN_AGAIN)
            break;
        if (n <= 0) {
            break_link(link, why_no_more(link, n));
            return;
        }
        in_all += n;
        if (!process(link)) {
            break_link(link, "connection ended by weir"); /* whose reason is the codec's */
            return;
        }
    }
    tell_pauses(link);
    if (link->in.block && block_is_shared(link->in.block))
        intake_drop(&link->in);
    link_later(link);
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

static void tell_moved(struct link *link)
{
    struct list *touched = h2_touched(link->codec);

    for (struct list *at = list_first(touched); at; at = list_first(touched)) {
        struct h2_stream *h2 = list_entry(at, struct h2_stream, touched);
        list_remove(at);
        stream_moved(list_entry(h2, struct link_stream, h2));
    }
}

static bool produce(struct link *link)
{
    link->has_more = true; /* unless nothing comes: who stops for another reason comes again, as nobody else may ask */
    for (unsigned pass = 0; pass < PASSES && link->out.n < OUT_MOST; pass++) {
        uint64_t before = link->out.n;
        link->inside = true;
        bool fine = h2_produce(link->codec, &link->out, OUT_MOST);
        link->inside = false;
        tell_moved(link); /* in any case: content that was taken cannot go again */
        if (!fine) {
            break_link(link, "no memory for HTTP/2 frames");
            return false;
        }
        link->has_more = link->out.n != before;
        if (!link->has_more)
            break;
    }
    return true;
}

static void settle(struct link *link)
{
    if (h2_is_over(link->codec) || h2_fault(link->codec)->why) {
        break_link(link, "connection ended by the server");
        return;
    }
    link_serve_waiting(link);
    if (!link->dead && !link->open && !link->coming)
        rest(link);
}

static void flush(struct link *link)
{
    if (!produce(link))
        return;
    int rc = link->out.n ? conn_write_chain(&link->conn, &link->out) : 1;
    if (rc == CONN_BROKEN) {
        break_link(link, link->conn.why ? link->conn.why : "connection broke while sending");
        return;
    }
    settle(link);
    if (link->dead || link->closed)
        return;
    if (rc == 1 && link->has_more)
        link_later(link);
    links_serve_queue(link->pool);
    if (!link->dead && conn_may_read(&link->conn))
        receive(link);
}

/* -- what the connection says -------------------------------------------------------------------------------------- */

static struct link *link_on(struct conn *conn)
{
    return list_entry(conn, struct link, conn);
}

static void on_readable(struct conn *conn)
{
    receive(link_on(conn));
}

static void on_writable(struct conn *conn)
{
    link_later(link_on(conn));
}

static bool open_codec(struct link *link)
{
    static const struct h2_limits limits = { .head = { RESPONSE_HEAD_MOST, RESPONSE_FIELDS_MOST }, .window = WINDOW };

    link->codec = h2_create_client(&link_calls, link, &limits);
    if (!link->codec)
        return false;
    tally_add(link->pool->tally, POOL_LINKS, 1);
    link->heard_ms = clock_ms();
    link->quiet_ms = LINK_QUIET_MS;
    conn_cancel_due(&link->conn);
    return true;
}

static void on_ready(struct conn *conn, bool ok)
{
    struct link *link = link_on(conn);
    struct list *first = list_first(&link->waiting);
    const char *why = NULL;

    if (!ok || !first) {
        if (first)
            break_link(link, conn->why ? conn->why : "connection failed");
        else
            end(link);
        return;
    }
    list_each(at, &link->waiting)
        exchange_connected(stream_of(at)->x);
    switch (hello_step(conn, stream_of(first)->x->upstream, &link->announced, &why)) {
    case HELLO_DONE:
        if (!open_codec(link)) {
            break_link(link, "no memory");
            return;
        }
        link_serve_waiting(link);
        if (!link->closed)
            link_later(link);
        return;
    case HELLO_FAILED:
        break_link(link, why);
        return;
    case HELLO_WAITS:
        return;
    }
}

static void on_due(struct conn *conn)
{
    struct link *link = link_on(conn);

    if (!link->codec || link->dead)
        return;
    if (link->idle) {
        end(link);
        return;
    }
    uint64_t now = clock_ms();
    if (link->pinged_ms && now >= link->pinged_ms + PONG_MS) {
        break_link(link, "no answer to a PING");
        return;
    }
    if (!link->pinged_ms && link->open && now >= link->heard_ms + link->quiet_ms)
        link_ping(link);
    if (link->open)
        link_watch(link);
}

static void on_later(struct conn *conn)
{
    struct link *link = link_on(conn);

    if (link->closed)
        link_free(link);
    else if (link->codec)
        flush(link);
    else if (list_is_empty(&link->waiting))
        end(link);
}

static const struct conn_calls calls = { .on_readable = on_readable, .on_writable = on_writable, .on_ready = on_ready,
                                         .on_due = on_due, .on_later = on_later };

/* -- making one ---------------------------------------------------------------------------------------------------- */

struct link *link_create(struct pool *pool, const struct addr *to)
{
    struct link *link = mem_zalloc(sizeof(*link));

    if (!link)
        return NULL;
    link->pool = pool;
    link->to = *to;
    list_init(&link->at);
    list_init(&link->waiting);
    list_init(&link->streams);
    list_init(&link->paused);
    chain_init(&link->out);
    if (!conn_connect(&link->conn, to, &calls)) {
        mem_free(link);
        return NULL;
    }
    pool_conn_made(pool);
    list_push(&pool->links, &link->at);
    return link;
}

/* -- for the pool -------------------------------------------------------------------------------------------------- */

void links_close_idle(struct pool *pool)
{
    list_each(at, &pool->links) {
        struct link *link = link_of(at);
        if (link->codec && !link->coming && (link->idle || (!link->open && !link->inside)))
            end(link);
    }
}

void links_close(struct pool *pool)
{
    list_each(at, &pool->links)
        end(link_of(at));
}

void links_leave_addresses(struct pool *pool)
{
    list_each(at, &pool->links) {
        struct link *link = link_of(at);
        if (pool_has_address(pool, &link->to))
            continue;
        link->leaving = true;
        if (link->idle)
            end(link);
    }
}
