/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/http1.h"

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/http2.h"

#include <poll.h>
#include <sys/socket.h>

enum { LINGER_MS = 2000, HALF_CLOSED_MS = 5000, LINGER_BYTES = 512 * 1024, TURN_MOST = 1024 * 1024,
       PREFACE_TELLS = 4 };

/* -- deadlines ----------------------------------------------------------------------------------------------------- */

static uint64_t wait_ms(const struct h1 *h, enum h1_waits kind)
{
    const struct core_conf *top = snapshot_current()->top_plan->core;
    const struct core_conf *core = h->current ? h->current->plan->core : top;

    switch (kind) {
    case H1_WAITS_HEAD:
        return top->timeout_header;
    case H1_WAITS_BODY:
        return core->timeout_body;
    case H1_WAITS_IDLE:
        return h->c->requests ? core->timeout_idle : top->timeout_header;
    case H1_WAITS_LINGER:
        return LINGER_MS;
    case H1_WAITS_TUNNEL:
        return core->timeout_tunnel;
    case H1_WAITS_HALF_CLOSED:
        return HALF_CLOSED_MS;
    default:
        return core->timeout_send;
    }
}

/* Begins to wait for something else; the same wait goes on running unless `again`. */
static void wait_for(struct h1 *h, enum h1_waits kind, bool again)
{
    if (h->waits == kind && !again)
        return;
    /* a head that does not come to its end is as good as silence, and holds a buffer */
    session_note_idle(h->c, kind == H1_WAITS_IDLE || kind == H1_WAITS_HEAD);
    h->waits = kind;
    h->moved = 0;
    if (kind != H1_WAITS_NOTHING)
        conn_set_due(&h->c->conn, wait_ms(h, kind));
}

void h1_wait(struct h1 *h, enum h1_waits kind)
{
    wait_for(h, kind, true);
}

void h1_moved(struct h1 *h, enum h1_waits kind, uint64_t bytes)
{
    uint64_t rate = h->current ? h->current->plan->core->min_rate : 0;

    if (rate && h->waits == kind) {
        h->moved += bytes;
        if (h->moved < rate * wait_ms(h, kind) / 1000)
            return;
    }
    wait_for(h, kind, true);
}

static bool wants_input(const struct h1 *h)
{
    if (h->lingering)
        return true;
    if (h->saw_eof || h->c->closing || h->is_h2)
        return false;
    if (!h->current)
        return true;
    if (h->raw || (h->in_body && !h->body_done))
        return body_room(&h->current->up) > 0;
    return false;
}

static bool has_input(const struct h1 *h)
{
    return intake_n(&h->in) > 0;
}

static void settle_wait(struct h1 *h)
{
    if (h->c->reaped)
        return;
    if (h->lingering)
        wait_for(h, H1_WAITS_LINGER, false);
    else if (h->raw)
        wait_for(h, H1_WAITS_TUNNEL, false);
    else if (h->out.n)
        wait_for(h, H1_WAITS_SEND, false);
    else if (h->current && h->saw_eof)
        wait_for(h, H1_WAITS_HALF_CLOSED, false);
    else if (h->current)
        wait_for(h, h->in_body && !h->body_done && wants_input(h) ? H1_WAITS_BODY : H1_WAITS_NOTHING, false);
    else if (h->in_body && !h->body_done)
        wait_for(h, H1_WAITS_LINGER, false);
    else
        wait_for(h, has_input(h) ? H1_WAITS_HEAD : H1_WAITS_IDLE, false);
}

/* -- input buffer -------------------------------------------------------------------------------------------------- */

static uint32_t block_size_wanted(const struct h1 *h)
{
    bool is_long = h->decoder.kind != BODY_LENGTH || h->decoder.left > BLOCK_SMALL;
    bool streams = h->raw || (h->in_body && !h->body_done && is_long);

    return streams && h->c->requests && h->in.block ? BLOCK_LARGE : BLOCK_SMALL;
}

/* -- heads --------------------------------------------------------------------------------------------------------- */

static struct weir_req *new_request(struct h1 *h)
{
    struct weir_req *r = request_create(h->c, &h1_codec, h);

    if (!r) {
        log_warn("client connection: no memory for a request");
        session_close(h->c);
        return NULL;
    }
    h->current = r;
    r->of_connection = ++h->c->requests;
    session_note_idle(h->c, false);
    h->head_queued = h->end_queued = h->chunked_out = h->in_body = false;
    h->body_done = true;
    h->keep_alive = false;
    r->method = S("-");
    r->uri.path = r->uri.match = S("/");
    r->version = 11;
    return r;
}

static void bad_head(struct h1 *h, const struct h1_error *error)
{
    struct weir_req *r = new_request(h);

    if (!r)
        return;
    h->refused = true;
    intake_use_all(&h->in); /* nothing behind a broken head can be told apart */
    request_bad(r, error->status, error->why);
    conn_later(&h->c->conn);
}

static void whole_head(struct h1 *h, str text, const struct h1_limits *limits)
{
    struct h1_error error = { 400, "bad request" };
    struct h1_request head = { 0 };
    struct weir_req *r = new_request(h);

    if (!r)
        return;
    bool pinned = intake_pin(&h->in, r->arena);
    if (!pinned)
        error = (struct h1_error){ 503, "no memory" };
    intake_use(&h->in, text.n);
    r->bytes_received = text.n;
    if (!pinned || h1_parse_request(text, limits, r->arena, &r->fields, &head, &error) != H1_DONE) {
        r->fields.count = 0;
        h->refused = true;
        intake_use_all(&h->in);
        request_bad(r, error.status, error.why);
        conn_later(&h->c->conn);
        return;
    }
    request_take_head(r, &head);
    h->keep_alive = head.keep_alive && !pipeline_worker_self()->draining;
    h->in_body = head.body == BODY_CHUNKED || (head.body == BODY_LENGTH && head.content_length > 0);
    h->body_done = !h->in_body;
    if (h->in_body)
        h1_body_init(&h->decoder, head.body, head.content_length, limits, r->arena, &r->trailers);
    request_start(r);
}

/* RFC 9113 3.4: HTTP/2 by prior knowledge. What begins like its preface and goes on differently is nothing that could
 * be answered: PRI is no method of HTTP/1. True: this is no HTTP/1, or not known yet. */
static bool take_preface(struct h1 *h)
{
    str text = intake_rest(&h->in);
    size_t n = text.n < H2_PREFACE_BYTES ? text.n : H2_PREFACE_BYTES;

    if (h->c->requests || text.p[0] != 'P' || !snapshot_current()->top_plan->core->http2)
        return false;
    if (memcmp(text.p, H2_PREFACE, n) == 0) {
        h->is_h2 = n == H2_PREFACE_BYTES;
        return n == H2_PREFACE_BYTES || n >= PREFACE_TELLS;
    }
    if (n < PREFACE_TELLS || memcmp(text.p, H2_PREFACE, PREFACE_TELLS) != 0)
        return false;
    log_info("client connection: broken HTTP/2 preface");
    session_close(h->c);
    return true;
}

/* True: a head was there and is used up; look on. */
static bool take_head(struct h1 *h)
{
    const struct core_conf *core = snapshot_current()->top_plan->core;
    struct h1_limits limits = { .head_bytes = (uint32_t)core->max_header_size, .fields = (uint32_t)core->max_headers };
    struct h1_error error = { 400, "bad request" };
    str text = intake_rest(&h->in);
    size_t head_bytes = 0;

    if (take_preface(h))
        return false;
    if (h->scan.seen == 0 && !h->skipped_line) {
        bool more = false;
        size_t skip = h1_skip_empty_line(text.p, text.n, &more);
        if (more)
            return false;
        h->skipped_line = skip > 0;
        intake_use(&h->in, skip);
        if (skip)
            return true;
    }
    switch (h1_scan(&h->scan, text.p, text.n, &limits, &head_bytes, &error)) {
    case H1_MORE:
        return false;
    case H1_BAD:
        h->scan = (struct h1_scan){ 0 };
        bad_head(h, &error);
        return false;
    case H1_DONE:
        break;
    }
    h->scan = (struct h1_scan){ 0 };
    h->skipped_line = false;
    whole_head(h, (str){ text.p, head_bytes }, &limits);
    return !h->c->reaped;
}

/* -- bodies -------------------------------------------------------------------------------------------------------- */

static void body_error(struct h1 *h, const struct h1_error *error)
{
    h->keep_alive = false;
    h->refused = true;
    h->body_done = true;
    intake_use_all(&h->in);
    if (h->current)
        request_broken_body(h->current, error->status, error->why);
    conn_later(&h->c->conn);
}

static bool feed_body(struct h1 *h)
{
    struct h1_error error = { 400, "bad body" };
    struct chain content;

    chain_init(&content);
    uint32_t before = intake_n(&h->in);
    enum h1_event event = intake_decode(&h->in, &h->decoder, h->current ? &content : NULL, &error);
    if (h->current)
        h->current->bytes_received += before - intake_n(&h->in);
    if (event == H1_BODY_BAD) {
        chain_clear(&content);
        body_error(h, &error);
        return false;
    }
    h->body_done = event == H1_BODY_END;
    if (!h->current)
        return h->body_done;
    if (content.n || h->body_done) {
        h1_moved(h, H1_WAITS_BODY, content.n);
        request_body(h->current, &content, h->body_done);
    }
    return h->body_done && !h->c->reaped;
}

static void feed_raw(struct h1 *h)
{
    struct chain content;

    chain_init(&content);
    if (!intake_pass_raw(&h->in, &content)) {
        session_close(h->c);
        return;
    }
    h->current->bytes_received += content.n;
    wait_for(h, H1_WAITS_TUNNEL, true);
    request_body(h->current, &content, false);
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static void discard_input(struct h1 *h)
{
    h->linger_bytes += intake_n(&h->in);
    intake_use_all(&h->in);
    if (h->linger_bytes > LINGER_BYTES)
        session_close(h->c);
}

/* Uses up what is buffered as far as it may be. */
static void process(struct h1 *h)
{
    bool more = true;

    while (more && !h->c->reaped && has_input(h)) {
        if (h->lingering) {
            discard_input(h);
        } else if (h->raw) {
            feed_raw(h);
        } else if (h->in_body && !h->body_done) {
            more = feed_body(h);
        } else if (h->current || h->c->closing) {
            more = false;
        } else {
            more = take_head(h);
        }
    }
}

static void input_ended(struct h1 *h)
{
    static const struct h1_error cut_head = { 400, "connection closed in the middle of a head" };
    static const struct h1_error cut_body = { 400, "connection closed in the middle of a body" };

    h->saw_eof = true;
    h->keep_alive = false;
    if (h->lingering || (!h->current && !has_input(h))) {
        session_close(h->c);
    } else if (h->raw) {
        struct chain nothing;
        chain_init(&nothing);
        request_body(h->current, &nothing, true);
        h1_tunnel_check(h);
    } else if (h->current && h->in_body && !h->body_done) {
        body_error(h, &cut_body);
    } else if (!h->current) {
        if (h->in_body && !h->body_done)
            session_close(h->c);
        else
            bad_head(h, &cut_head);
    }
}

static bool is_reset(const struct h1 *h)
{
    struct pollfd p = { .fd = conn_fd(&h->c->conn) };
    int signs = h->raw ? POLLERR : POLLERR | POLLHUP; /* a tunnel shuts its ways one by one */

    return poll(&p, 1, 0) > 0 && (p.revents & signs);
}

/* What is not read now cannot tell us that the peer is gone, so it is looked for. A peer that only shut its side while
 * we still answer is served. A reset need not show as peer_closed. */
static void look_for_end(struct h1 *h)
{
    if (!h->current || h->saw_eof || wants_input(h) || !(h->c->conn.peer_closed || h->c->conn.can_read))
        return;
    if (is_reset(h)) {
        session_close(h->c);
        return;
    }
    char byte;
    if (!h->c->conn.peer_closed || !h->body_done || h->raw || has_input(h) || conn_peek(&h->c->conn, &byte, 1) > 0)
        return; /* the end comes behind more requests */
    h->saw_eof = true;
    h->keep_alive = false;
}

static void read_more(struct h1 *h)
{
    int64_t in_all = 0;

    while (!h->c->reaped && wants_input(h) && conn_may_read(&h->c->conn)) {
        if (in_all >= TURN_MOST) { /* a fast sender must not keep the worker for itself */
            conn_later(&h->c->conn);
            return;
        }
        int64_t n = intake_read(&h->in, &h->c->conn, block_size_wanted(h));
        if (n == CONN_AGAIN)
            return;
        if (n == CONN_EOF) {
            input_ended(h);
            return;
        }
        if (n < 0) { /* or no memory */
            session_close(h->c);
            return;
        }
        in_all += n;
        process(h);
    }
}

static void drop_used_input(struct h1 *h)
{
    bool more_body = h->in_body && !h->body_done;

    if (h->in.block && !has_input(h) && !more_body && (!h->current || block_is_shared(h->in.block)))
        intake_drop(&h->in);
}

static void receive(struct h1 *h)
{
    process(h);
    read_more(h);
    if (h->c->reaped)
        return;
    look_for_end(h);
    if (h->c->reaped)
        return;
    drop_used_input(h);
    settle_wait(h);
}

static bool is_idle(const struct h1 *h)
{
    bool in_request = h->current || (h->in_body && !h->body_done) || h->scan.seen || h->skipped_line;

    return h->waits == H1_WAITS_IDLE && !in_request && !h->in.block && !h->out.n && !h->saw_eof;
}

static void become_h2(struct weir_conn *c)
{
    struct intake in = c->h1->in;

    c->h1->in = (struct intake){ 0 };
    h1_give(c);
    h2_session_start(c, in);
}

static void session_readable(struct weir_conn *c)
{
    if (c->reaped || (!c->h1 && !conn_may_read(&c->conn)))
        return;
    if (!c->h1 && !(c->h1 = h1_take(c))) {
        log_warn("client connection: no memory");
        session_close(c);
        return;
    }
    receive(c->h1);
    if (c->reaped)
        return;
    if (c->h1->is_h2)
        become_h2(c);
    else if (is_idle(c->h1))
        h1_give(c);
}

/* -- between requests, and the end --------------------------------------------------------------------------------- */

/* RFC 9112 9.8: with close_notify: the end is ours, nobody cut it short. */
static void close_in_order(struct weir_conn *c)
{
    if (c->is_tls)
        conn_shutdown_write(&c->conn);
    session_close(c);
}

/* RFC 9112 9.6: a close while the client still sends would take the answer away from it. */
static void start_linger(struct h1 *h)
{
    bool unread = h->refused || has_input(h) || (h->in_body && !h->body_done) || h->c->conn.can_read;

    if (h->saw_eof || !unread) {
        close_in_order(h->c);
        return;
    }
    h->lingering = true;
    h->c->closing = true;
    conn_shutdown_write(&h->c->conn);
    wait_for(h, H1_WAITS_LINGER, true);
}

void h1_response_over(struct h1 *h)
{
    if (h->c->reaped)
        return;
    if (!h->keep_alive) { /* and the answer said so: a drain that began behind its head is said with the next one */
        start_linger(h);
        return;
    }
    settle_wait(h);
}

static void session_start(struct weir_conn *c)
{
    conn_set_due(&c->conn, snapshot_current()->top_plan->core->timeout_header);
    session_note_idle(c, true);
    session_readable(c);
}

static void session_flush(struct weir_conn *c)
{
    if (c->h1)
        h1_write_out(c->h1);
    session_readable(c);
}

static void wait_is_over(struct h1 *h)
{
    enum h1_waits kind = h->waits;
    static const struct h1_error slow_head = { 408, "request head not complete in time" };

    h->waits = H1_WAITS_NOTHING;
    switch (kind) {
    case H1_WAITS_NOTHING:
        return;
    case H1_WAITS_HEAD:
        bad_head(h, &slow_head);
        return;
    case H1_WAITS_BODY:
        h->keep_alive = false;
        request_timed_out(h->current, 408, "request body stalled");
        conn_later(&h->c->conn);
        return;
    case H1_WAITS_SEND:
        log_info("client connection: nothing taken for %llu ms, closed", (unsigned long long)wait_ms(h, kind));
        conn_reset(&h->c->conn);
        session_close(h->c);
        return;
    case H1_WAITS_IDLE:
        close_in_order(h->c);
        return;
    default:
        session_close(h->c);
    }
}

static void session_due(struct weir_conn *c)
{
    if (c->h1)
        wait_is_over(c->h1);
    else
        close_in_order(c);
}

/* Bytes that lie in the socket unread are a request to be answered, not to be cut off. */
static bool is_asked(const struct weir_conn *c)
{
    char byte;

    return (c->h1 && has_input(c->h1)) || recv(conn_fd(&c->conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void session_drain(struct weir_conn *c)
{
    const struct h1 *h = c->h1;
    bool busy = h && (h->current || h->lingering || h->out.n);

    if (!c->setup && !busy && !is_asked(c))
        close_in_order(c);
}

static bool session_is_busy(const struct weir_conn *c)
{
    return c->h1 && c->h1->current;
}

static void session_gone(struct weir_conn *c, const char *why)
{
    if (c->h1 && c->h1->current)
        request_gone(c->h1->current, why);
}

/* Who called us on its behalf may still look at it: it goes with the connection, at the end of the turn. */
static void session_end(struct weir_conn *c)
{
    if (!c->h1)
        return;
    intake_drop(&c->h1->in);
    chain_clear(&c->h1->out);
}

const struct session_calls session_h1 = {
    .start = session_start,
    .readable = session_readable,
    .flush = session_flush,
    .due = session_due,
    .drain = session_drain,
    .is_busy = session_is_busy,
    .gone = session_gone,
    .end = session_end,
    .destroy = h1_give,
};
