/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/http2.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/small.h"
#include "pipeline/http1.h"
#include "pipeline/metrics.h"

enum {
    LINGER_MS = 2000,
    LINGER_BYTES = 512 * 1024,
    LEAVE_MS = 500,          /* for the client to have heard of the first GOAWAY; its pong says so earlier */
    TURN_MOST = 1024 * 1024,
    PASSES = 8,              /* of producing, in one flush */
};

/* -- deadlines ----------------------------------------------------------------------------------------------------- */

static uint64_t wait_ms(const struct weir_conn *c, enum h1_waits kind)
{
    const struct core_conf *top = snapshot_current()->top_plan->core;

    switch (kind) {
    case H1_WAITS_HEAD:
        return top->timeout_header;
    case H1_WAITS_IDLE:
        return c->requests ? top->timeout_idle : top->timeout_header;
    case H1_WAITS_LINGER:
        return LINGER_MS;
    default:
        return top->timeout_send;
    }
}

static void wait_for(struct weir_conn *c, enum h1_waits kind, bool again)
{
    if (c->h2->waits == kind && !again)
        return;
    session_note_idle(c, kind == H1_WAITS_IDLE);
    c->h2->waits = kind;
    if (kind == H1_WAITS_NOTHING)
        conn_cancel_due(&c->conn);
    else
        conn_set_due(&c->conn, wait_ms(c, kind));
}

static void settle_wait(struct weir_conn *c)
{
    struct h2_conn *h2 = c->h2;
    uint32_t head = h2_head_of(h2->codec);

    if (h2->lingering)
        wait_for(c, H1_WAITS_LINGER, false);
    else if (h2->out.n)
        wait_for(c, H1_WAITS_SEND, false);
    else if (head)
        wait_for(c, H1_WAITS_HEAD, head != h2->head_of);
    else if (h2->open)
        wait_for(c, H1_WAITS_NOTHING, false);
    else
        wait_for(c, H1_WAITS_IDLE, false);
    h2->head_of = head;
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

static void log_fault(struct weir_conn *c)
{
    const struct h2_fault *fault = h2_fault(c->h2->codec);
    struct pipeline_worker *pw = pipeline_worker_self();
    char room[ADDR_TEXT];

    if (!fault->why || fault->code == H2_NO_ERROR)
        return;
    if (fault->abuse)
        figure_add(&pw->h2_abuses[fault->abuse], 1);
    log_info("client %.*s: HTTP/2: %s", STR_ARG(addr_ip_text(c->peer, room)), fault->why);
}

/* The last frames are out. What still comes is read and dropped for a while: a close would take them away from the
 * client (RFC 9112 9.6 holds for any protocol on TCP). */
static void begin_end(struct weir_conn *c)
{
    if (c->h2->ended)
        return;
    c->h2->ended = true;
    c->closing = true;
    log_fault(c);
}

static void finish_end(struct weir_conn *c)
{
    if (c->h2->saw_eof) {
        session_close(c);
        return;
    }
    if (c->h2->lingering)
        return;
    c->h2->lingering = true;
    streams_end(c->h2, "client connection closed");
    conn_shutdown_write(&c->conn);
    wait_for(c, H1_WAITS_LINGER, true);
    conn_later(&c->conn);
}

static void end_in_order(struct weir_conn *c)
{
    h2_break(c->h2->codec, H2_NO_ERROR, "the end");
    conn_later(&c->conn);
}

static void leave_now(struct weir_conn *c)
{
    struct h2_conn *h2 = c->h2;

    if (h2->left)
        return;
    h2->left = true;
    deadline_cancel(&h2->drain);
    h2_goaway(h2->codec);
    conn_later(&c->conn);
}

static void on_drain(struct deadline *deadline)
{
    leave_now(list_entry(deadline, struct h2_conn, drain)->c);
}

void h2_session_leave(struct weir_conn *c)
{
    struct h2_conn *h2 = c->h2;

    if (h2->announced || h2->ended)
        return;
    h2->announced = true;
    h2_announce_goaway(h2->codec);
    h2_ping(h2->codec);
    deadline_set(&h2->drain, LEAVE_MS);
    conn_later(&c->conn);
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static bool wants_input(const struct weir_conn *c)
{
    return c->h2->lingering || (!c->h2->saw_eof && !c->h2->ended && c->h2->out.n < H2_OUT_MOST);
}

/* RFC 9113 3.4: anything else is no HTTP/2, and what else it is nobody can tell. */
static bool take_preface(struct weir_conn *c)
{
    struct h2_conn *h2 = c->h2;
    str text = intake_rest(&c->h2->in);
    size_t n = H2_PREFACE_BYTES - h2->preface_have;

    if (n > text.n)
        n = text.n;
    if (memcmp(text.p, H2_PREFACE + h2->preface_have, n) != 0) {
        h2_break(h2->codec, H2_PROTOCOL_ERROR, "broken preface");
        return false;
    }
    h2->preface_have += (unsigned)n;
    intake_use(&c->h2->in, n);
    return true;
}

static void process(struct weir_conn *c)
{
    struct h2_conn *h2 = c->h2;

    if (c->h2->lingering) {
        c->h2->linger_bytes += intake_n(&c->h2->in);
        intake_use_all(&c->h2->in);
        if (c->h2->linger_bytes > LINGER_BYTES)
            session_close(c);
        return;
    }
    bool fine = h2->preface_have == H2_PREFACE_BYTES || take_preface(c);
    str text = intake_rest(&c->h2->in);
    if (fine && text.n)
        h2_receive(h2->codec, (const uint8_t *)text.p, text.n, clock_ms());
    intake_use_all(&c->h2->in);
    conn_later(&c->conn);
}

static uint32_t block_size_wanted(const struct weir_conn *c)
{
    return c->h2->wide_reads ? BLOCK_LARGE : BLOCK_SMALL;
}

static void input_ended(struct weir_conn *c)
{
    c->h2->saw_eof = true;
    session_close(c);
}

static void read_more(struct weir_conn *c)
{
    int64_t in_all = 0;

    while (!c->reaped && wants_input(c) && conn_may_read(&c->conn)) {
        if (in_all >= TURN_MOST) {
            conn_later(&c->conn);
            return;
        }
        int64_t n = intake_read(&c->h2->in, &c->conn, block_size_wanted(c));
        if (n == CONN_AGAIN)
            return;
        if (n <= 0) {
            input_ended(c);
            return;
        }
        in_all += n;
        c->h2->wide_reads = n >= BLOCK_SMALL;
        process(c);
    }
}

static void readable(struct weir_conn *c)
{
    if (c->reaped)
        return;
    if (intake_n(&c->h2->in))
        process(c);
    read_more(c);
    if (c->reaped)
        return;
    streams_settle(c->h2);
    if (c->reaped)
        return;
    if (c->h2->in.block && !intake_n(&c->h2->in) && (!c->h2->open || block_is_shared(c->h2->in.block)))
        intake_drop(&c->h2->in);
    settle_wait(c);
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

/* Each pass may make room in requests, and that bring more. */
static bool produce(struct weir_conn *c)
{
    struct h2_conn *h2 = c->h2;

    h2->has_more = true; /* unless nothing comes: who stops for another reason comes again, as nobody else may ask */
    for (unsigned pass = 0; pass < PASSES && c->h2->out.n < H2_OUT_MOST; pass++) {
        uint64_t before = c->h2->out.n;
        if (!h2_produce(h2->codec, &c->h2->out, H2_OUT_MOST)) {
            log_warn("client connection: no memory for HTTP/2 frames");
            session_close(c);
            return false;
        }
        h2->queued += c->h2->out.n - before;
        streams_moved(h2);
        streams_settle(h2);
        h2->has_more = c->h2->out.n != before;
        if (c->reaped || !h2->has_more)
            break;
    }
    return !c->reaped;
}

static bool write_out(struct weir_conn *c)
{
    uint64_t before = c->h2->out.n;
    int rc = before ? conn_write_chain(&c->conn, &c->h2->out) : 1;

    c->h2->written += before - c->h2->out.n;
    if (rc == CONN_BROKEN) {
        session_close(c);
        return false;
    }
    streams_written(c->h2);
    if (c->reaped)
        return false;
    if (rc != 1 && (c->h2->out.n != before || c->h2->waits != H1_WAITS_SEND))
        wait_for(c, H1_WAITS_SEND, true);
    return rc == 1;
}

static void flush(struct weir_conn *c)
{
    struct h2_conn *h2 = c->h2;

    if (!c->h2->lingering && produce(c) && write_out(c)) {
        if (h2_is_over(h2->codec) || (h2->left && !h2->open && list_is_empty(&h2->streams)))
            begin_end(c);
        if (h2->ended)
            finish_end(c);
        else if (h2->has_more || !list_is_empty(&h2->fresh))
            conn_later(&c->conn);
    }
    if (!c->reaped)
        readable(c);
}

/* -- the session --------------------------------------------------------------------------------------------------- */

static bool create(struct weir_conn *c)
{
    const struct core_conf *core = snapshot_current()->top_plan->core;
    struct h2_limits limits = {
        .head = { .head_bytes = (uint32_t)core->max_header_size, .fields = (uint32_t)core->max_headers },
        .streams = (uint32_t)core->max_streams,
        .window = H2_WINDOW,
    };
    struct h2_conn *h2 = mem_zalloc(sizeof(*h2));

    if (!h2)
        return false;
    h2->c = c;
    h2->open_most = 2 * limits.streams;
    list_init(&h2->streams);
    list_init(&h2->fresh);
    list_init(&h2->over);
    list_init(&h2->finished);
    deadline_init(&h2->drain, on_drain);
    h2->codec = h2_create_server(&h2_stream_calls, c, &limits);
    if (!h2->codec) {
        mem_free(h2);
        return false;
    }
    c->h2 = h2;
    return true;
}

void h2_session_start(struct weir_conn *c, struct intake in)
{
    c->codec = &session_h2;
    if (!create(c)) {
        intake_drop(&in);
        log_warn("client connection: no memory for an HTTP/2 session");
        session_close(c);
        return;
    }
    c->h2->in = in;
    figure_add(&pipeline_worker_self()->h2_connections_total, 1);
    wait_for(c, H1_WAITS_IDLE, true);
    conn_later(&c->conn); /* our SETTINGS */
    readable(c);
}

static void due(struct weir_conn *c)
{
    enum h1_waits kind = c->h2->waits;

    c->h2->waits = H1_WAITS_NOTHING;
    switch (kind) {
    case H1_WAITS_NOTHING:
        return;
    case H1_WAITS_HEAD:
        h2_break(c->h2->codec, H2_ENHANCE_YOUR_CALM, "request head not complete in time");
        conn_later(&c->conn);
        return;
    case H1_WAITS_IDLE:
        end_in_order(c);
        return;
    case H1_WAITS_SEND:
        log_info("client connection: nothing taken for %llu ms, closed", (unsigned long long)wait_ms(c, kind));
        conn_reset(&c->conn);
        session_close(c);
        return;
    default:
        session_close(c);
    }
}

static void start(struct weir_conn *c)
{
    h2_session_start(c, (struct intake){ 0 });
}

static bool is_busy(const struct weir_conn *c)
{
    return c->h2 && c->h2->open > 0;
}

static void gone(struct weir_conn *c, const char *why)
{
    if (!c->h2)
        return;
    h2_break(c->h2->codec, H2_NO_ERROR, "closed"); /* what is being received goes no further */
    streams_end(c->h2, why);
}

static void end(struct weir_conn *c)
{
    if (!c->h2)
        return;
    deadline_cancel(&c->h2->drain);
    intake_drop(&c->h2->in);
    chain_clear(&c->h2->out);
}

/* Not in any callback of the codec's. */
static void destroy(struct weir_conn *c)
{
    if (!c->h2)
        return;
    h2_destroy(c->h2->codec);
    for (struct list *link = list_first(&c->h2->streams); link; link = list_first(&c->h2->streams)) {
        struct client_stream *s = list_entry(link, struct client_stream, link);
        list_remove(link);
        small_free(s, sizeof(*s));
    }
    mem_free(c->h2);
    c->h2 = NULL;
}

const struct session_calls session_h2 = {
    .start = start,
    .readable = readable,
    .flush = flush,
    .due = due,
    .drain = h2_session_leave,
    .is_busy = is_busy,
    .gone = gone,
    .end = end,
    .destroy = destroy,
};
