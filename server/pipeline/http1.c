/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/http1.h"

#include "base/clock.h"
#include "base/log.h"

#include <poll.h>
#include <sys/socket.h>

enum { LINGER_MS = 2000, HALF_CLOSED_MS = 5000, LINGER_BYTES = 512 * 1024, TURN_MOST = 1024 * 1024 };

/* -- deadlines ----------------------------------------------------------------------------------------------------- */

static uint64_t wait_ms(const struct weir_conn *c, enum h1_waits kind)
{
    const struct core_conf *top = snapshot_current()->top_plan->core;
    const struct core_conf *core = c->current ? c->current->plan->core : top;

    switch (kind) {
    case H1_WAITS_HEAD:
        return top->timeout_header;
    case H1_WAITS_BODY:
        return core->timeout_body;
    case H1_WAITS_IDLE:
        return c->requests ? core->timeout_idle : top->timeout_header;
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

static void note_idle(struct weir_conn *c, bool is_idle)
{
    list_remove(&c->idle);
    if (!is_idle)
        return;
    c->idle_since = clock_ms();
    list_push(&pipeline_worker_self()->idle, &c->idle);
}

/* Begins to wait for something else; the same wait goes on running unless `again`. */
static void wait_for(struct weir_conn *c, enum h1_waits kind, bool again)
{
    if (c->deadline_kind == (uint32_t)kind && !again)
        return;
    note_idle(c, kind == H1_WAITS_IDLE);
    c->deadline_kind = kind;
    c->moved = 0;
    if (kind != H1_WAITS_NOTHING)
        deadline_set(&c->deadline, wait_ms(c, kind));
}

void h1_wait(struct weir_conn *c, enum h1_waits kind)
{
    wait_for(c, kind, true);
}

void h1_moved(struct weir_conn *c, enum h1_waits kind, uint64_t bytes)
{
    uint64_t rate = c->current ? c->current->plan->core->min_rate : 0;

    if (rate && c->deadline_kind == (uint32_t)kind) {
        c->moved += bytes;
        if (c->moved < rate * wait_ms(c, kind) / 1000)
            return;
    }
    wait_for(c, kind, true);
}

static bool wants_input(const struct weir_conn *c)
{
    if (c->lingering)
        return true;
    if (c->saw_eof || c->closing)
        return false;
    if (!c->current)
        return true;
    if (c->raw || (c->in_body && !c->body_done))
        return body_room(&c->current->up) > 0;
    return false;
}

static bool has_input(const struct weir_conn *c)
{
    return intake_n(&c->in) > 0;
}

static void settle_wait(struct weir_conn *c)
{
    if (c->reaped)
        return;
    if (c->lingering)
        wait_for(c, H1_WAITS_LINGER, false);
    else if (c->raw)
        wait_for(c, H1_WAITS_TUNNEL, false);
    else if (c->out.n)
        wait_for(c, H1_WAITS_SEND, false);
    else if (c->current && c->saw_eof)
        wait_for(c, H1_WAITS_HALF_CLOSED, false);
    else if (c->current)
        wait_for(c, c->in_body && !c->body_done && wants_input(c) ? H1_WAITS_BODY : H1_WAITS_NOTHING, false);
    else if (c->in_body && !c->body_done)
        wait_for(c, H1_WAITS_LINGER, false);
    else
        wait_for(c, has_input(c) ? H1_WAITS_HEAD : H1_WAITS_IDLE, false);
}

/* -- input buffer -------------------------------------------------------------------------------------------------- */

static uint32_t block_size_wanted(const struct weir_conn *c)
{
    bool is_long = c->decoder.kind != BODY_LENGTH || c->decoder.left > BLOCK_SMALL;
    bool streams = c->raw || (c->in_body && !c->body_done && is_long);

    return streams && c->requests && c->in.block ? BLOCK_LARGE : BLOCK_SMALL;
}

/* -- heads --------------------------------------------------------------------------------------------------------- */

static struct weir_req *new_request(struct weir_conn *c)
{
    struct weir_req *r = request_create(c, &h1_codec, c);

    if (!r) {
        log_warn("client connection: no memory for a request");
        session_close(c);
        return NULL;
    }
    c->current = r;
    c->requests++;
    note_idle(c, false);
    c->head_queued = c->end_queued = c->chunked_out = c->in_body = false;
    c->body_done = true;
    c->keep_alive = false;
    r->method = S("-");
    r->uri.path = r->uri.match = S("/");
    r->version = 11;
    return r;
}

static void bad_head(struct weir_conn *c, const struct h1_error *error)
{
    struct weir_req *r = new_request(c);

    if (!r)
        return;
    c->refused = true;
    intake_use_all(&c->in); /* nothing behind a broken head can be told apart */
    request_bad(r, error->status, error->why);
    worker_defer(&c->flush);
}

static void fill_request(struct weir_req *r, const struct h1_request *head)
{
    r->method = head->method;
    r->uri = head->uri;
    r->host = head->host;
    r->host_port = head->host_port;
    r->host_field = head->host_field;
    r->version = 10 + head->minor;
    r->body_kind = head->body;
    r->content_length = head->content_length;
    r->is_head = str_equal(head->method, S("HEAD"));
    r->expects_continue = head->expects_continue && head->body != BODY_NONE;
    r->upgrade = head->upgrade;
}

static void whole_head(struct weir_conn *c, str text, const struct h1_limits *limits)
{
    struct h1_error error = { 400, "bad request" };
    struct h1_request head = { 0 };
    struct weir_req *r = new_request(c);

    if (!r)
        return;
    bool pinned = intake_pin(&c->in, r->arena);
    if (!pinned)
        error = (struct h1_error){ 503, "no memory" };
    intake_use(&c->in, text.n);
    r->bytes_received = text.n;
    if (!pinned || h1_parse_request(text, limits, r->arena, &r->fields, &head, &error) != H1_DONE) {
        r->fields.count = 0;
        c->refused = true;
        intake_use_all(&c->in);
        request_bad(r, error.status, error.why);
        worker_defer(&c->flush);
        return;
    }
    fill_request(r, &head);
    c->keep_alive = head.keep_alive && !pipeline_worker_self()->draining;
    c->in_body = head.body == BODY_CHUNKED || (head.body == BODY_LENGTH && head.content_length > 0);
    c->body_done = !c->in_body;
    if (c->in_body)
        h1_body_init(&c->decoder, head.body, head.content_length, limits, r->arena, &r->trailers);
    request_start(r);
}

/* True: a head was there and is used up; look on. */
static bool take_head(struct weir_conn *c)
{
    const struct core_conf *core = snapshot_current()->top_plan->core;
    struct h1_limits limits = { .head_bytes = (uint32_t)core->max_header_size, .fields = (uint32_t)core->max_headers };
    struct h1_error error = { 400, "bad request" };
    str text = intake_rest(&c->in);
    size_t head_bytes = 0;

    if (c->scan.seen == 0 && !c->skipped_line) {
        bool more = false;
        size_t skip = h1_skip_empty_line(text.p, text.n, &more);
        if (more)
            return false;
        c->skipped_line = skip > 0;
        intake_use(&c->in, skip);
        if (skip)
            return true;
    }
    switch (h1_scan(&c->scan, text.p, text.n, &limits, &head_bytes, &error)) {
    case H1_MORE:
        return false;
    case H1_BAD:
        c->scan = (struct h1_scan){ 0 };
        bad_head(c, &error);
        return false;
    case H1_DONE:
        break;
    }
    c->scan = (struct h1_scan){ 0 };
    c->skipped_line = false;
    whole_head(c, (str){ text.p, head_bytes }, &limits);
    return !c->reaped;
}

/* -- bodies -------------------------------------------------------------------------------------------------------- */

static void body_error(struct weir_conn *c, const struct h1_error *error)
{
    c->keep_alive = false;
    c->refused = true;
    c->body_done = true;
    intake_use_all(&c->in);
    if (c->current)
        request_broken_body(c->current, error->status, error->why);
    worker_defer(&c->flush);
}

static bool feed_body(struct weir_conn *c)
{
    struct h1_error error = { 400, "bad body" };
    struct chain content;

    chain_init(&content);
    uint32_t before = intake_n(&c->in);
    enum h1_event event = intake_decode(&c->in, &c->decoder, c->current ? &content : NULL, &error);
    if (c->current)
        c->current->bytes_received += before - intake_n(&c->in);
    if (event == H1_BODY_BAD) {
        chain_clear(&content);
        body_error(c, &error);
        return false;
    }
    c->body_done = event == H1_BODY_END;
    if (!c->current)
        return c->body_done;
    if (content.n || c->body_done) {
        h1_moved(c, H1_WAITS_BODY, content.n);
        request_body(c->current, &content, c->body_done);
    }
    return c->body_done && !c->reaped;
}

static void feed_raw(struct weir_conn *c)
{
    struct chain content;

    chain_init(&content);
    if (!intake_pass_raw(&c->in, &content)) {
        session_close(c);
        return;
    }
    c->current->bytes_received += content.n;
    wait_for(c, H1_WAITS_TUNNEL, true);
    request_body(c->current, &content, false);
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static void discard_input(struct weir_conn *c)
{
    c->linger_bytes += intake_n(&c->in);
    intake_use_all(&c->in);
    if (c->linger_bytes > LINGER_BYTES)
        session_close(c);
}

/* Uses up what is buffered as far as it may be. */
static void process(struct weir_conn *c)
{
    bool more = true;

    while (more && !c->reaped && has_input(c)) {
        if (c->lingering) {
            discard_input(c);
        } else if (c->raw) {
            feed_raw(c);
        } else if (c->in_body && !c->body_done) {
            more = feed_body(c);
        } else if (c->current || c->closing) {
            more = false;
        } else {
            more = take_head(c);
        }
    }
}

static void input_ended(struct weir_conn *c)
{
    static const struct h1_error cut_head = { 400, "connection closed in the middle of a head" };
    static const struct h1_error cut_body = { 400, "connection closed in the middle of a body" };

    c->saw_eof = true;
    c->keep_alive = false;
    if (c->lingering || (!c->current && !has_input(c))) {
        session_close(c);
    } else if (c->raw) {
        struct chain nothing;
        chain_init(&nothing);
        request_body(c->current, &nothing, true);
        h1_tunnel_check(c);
    } else if (c->current && c->in_body && !c->body_done) {
        body_error(c, &cut_body);
    } else if (!c->current) {
        if (c->in_body && !c->body_done)
            session_close(c);
        else
            bad_head(c, &cut_head);
    }
}

static bool is_reset(const struct weir_conn *c)
{
    struct pollfd p = { .fd = conn_fd(&c->conn) };
    int signs = c->raw ? POLLERR : POLLERR | POLLHUP; /* a tunnel shuts its ways one by one */

    return poll(&p, 1, 0) > 0 && (p.revents & signs);
}

/* What is not read now cannot tell us that the peer is gone, so it is looked for. A peer that only shut its side while
 * we still answer is served. A reset need not show as peer_closed. */
static void look_for_end(struct weir_conn *c)
{
    if (!c->current || c->saw_eof || wants_input(c) || !(c->conn.peer_closed || c->conn.can_read))
        return;
    if (is_reset(c)) {
        session_close(c);
        return;
    }
    char byte;
    if (!c->conn.peer_closed || !c->body_done || c->raw || has_input(c) || conn_peek(&c->conn, &byte, 1) > 0)
        return; /* the end comes behind more requests */
    c->saw_eof = true;
    c->keep_alive = false;
}

static void read_more(struct weir_conn *c)
{
    int64_t in_all = 0;

    while (!c->reaped && wants_input(c) && conn_may_read(&c->conn)) {
        if (in_all >= TURN_MOST) { /* a fast sender must not keep the worker for itself */
            worker_defer(&c->flush);
            return;
        }
        int64_t n = intake_read(&c->in, &c->conn, block_size_wanted(c));
        if (n == CONN_AGAIN)
            return;
        if (n == CONN_EOF) {
            input_ended(c);
            return;
        }
        if (n < 0) { /* or no memory */
            session_close(c);
            return;
        }
        in_all += n;
        process(c);
    }
}

static void drop_used_input(struct weir_conn *c)
{
    bool more_body = c->in_body && !c->body_done;

    if (c->in.block && !has_input(c) && !more_body && (!c->current || block_is_shared(c->in.block)))
        intake_drop(&c->in);
}

void h1_session_readable(struct weir_conn *c)
{
    if (c->reaped)
        return;
    process(c);
    read_more(c);
    if (c->reaped)
        return;
    look_for_end(c);
    if (c->reaped)
        return;
    drop_used_input(c);
    settle_wait(c);
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
static void start_linger(struct weir_conn *c)
{
    bool unread = c->refused || has_input(c) || (c->in_body && !c->body_done) || c->conn.can_read;

    if (c->saw_eof || !unread) {
        close_in_order(c);
        return;
    }
    c->lingering = true;
    c->closing = true;
    conn_shutdown_write(&c->conn);
    wait_for(c, H1_WAITS_LINGER, true);
}

void h1_response_over(struct weir_conn *c)
{
    if (c->reaped)
        return;
    if (!c->keep_alive) { /* and the answer said so: a drain that began behind its head is said with the next one */
        start_linger(c);
        return;
    }
    settle_wait(c);
}

void h1_session_start(struct weir_conn *c)
{
    c->body_done = true;
    wait_for(c, H1_WAITS_IDLE, true);
    h1_session_readable(c);
}

void h1_session_flush(struct weir_conn *c)
{
    h1_write_out(c);
    if (!c->reaped)
        h1_session_readable(c);
}

void h1_session_due(struct weir_conn *c)
{
    enum h1_waits kind = (enum h1_waits)c->deadline_kind;
    static const struct h1_error slow_head = { 408, "request head not complete in time" };

    c->deadline_kind = H1_WAITS_NOTHING;
    switch (kind) {
    case H1_WAITS_NOTHING:
        return;
    case H1_WAITS_HEAD:
        bad_head(c, &slow_head);
        return;
    case H1_WAITS_BODY:
        c->keep_alive = false;
        request_timed_out(c->current, 408, "request body stalled");
        worker_defer(&c->flush);
        return;
    case H1_WAITS_SEND:
        log_info("client connection: nothing taken for %llu ms, closed", (unsigned long long)wait_ms(c, kind));
        conn_reset(&c->conn);
        session_close(c);
        return;
    case H1_WAITS_IDLE:
        close_in_order(c);
        return;
    default:
        session_close(c);
    }
}

/* Bytes that lie in the socket unread are a request to be answered, not to be cut off. */
static bool is_asked(const struct weir_conn *c)
{
    char byte;

    return has_input(c) || recv(conn_fd(&c->conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void h1_session_drain(struct weir_conn *c)
{
    if (!c->setup && !c->current && !c->lingering && !c->out.n && !is_asked(c))
        close_in_order(c);
}

void h1_session_end(struct weir_conn *c)
{
    intake_drop(&c->in);
    chain_clear(&c->out);
}
