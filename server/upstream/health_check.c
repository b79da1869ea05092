/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/health_check.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/resolver.h"
#include "net/conn.h"
#include "upstream/check_h2.h"
#include "upstream/hello.h"
#include "upstream/server_figures.h"
#include "upstream/upstream.h"

#include <stdio.h>

enum { HEAD_MOST = 1024, STATUS_LINE_LEAST = sizeof("HTTP/1.1 200") - 1, WHY_ROOM = 96, FIRST_WITHIN_MS = 1000 };

struct check {
    struct check *next;
    const struct weir_upstream *upstream;
    const struct server *server;
    struct deadline timer; /* the next check, or the end of this one */
    struct resolver_query query;
    struct conn conn;
    bool busy, asking;
    uint64_t good, bad;    /* in a row */
    uint64_t good_while_out;
    unsigned next_address;
    char head[HEAD_MOST];
    size_t head_n;
    struct check_h2 h2;    /* `protocol h2;` instead of head */
};

static struct check *checks;

/* -- binding ------------------------------------------------------------------------------------------------------- */

static bool read_status(str text, uint16_t *status)
{
    uint64_t number = 0;

    if (!str_to_u64(text, &number) || number < 100 || number > 599)
        return false;
    *status = (uint16_t)number;
    return true;
}

static bool read_range(str text, uint16_t *from, uint16_t *to)
{
    size_t dash = str_find(text, '-');

    if (!read_status(str_upto(text, dash), from))
        return false;
    *to = *from;
    return dash >= text.n || (read_status(str_from(text, dash + 1), to) && *to >= *from);
}

static bool is_target(str uri)
{
    for (size_t i = 0; i < uri.n; i++)
        if ((unsigned char)uri.p[i] <= ' ' || (unsigned char)uri.p[i] >= 0x7f || uri.p[i] == '#')
            return false;
    return uri.n > 0 && uri.p[0] == '/' && uri.n < HEAD_MOST / 2;
}

bool health_bind(struct binder *binder, const struct health_conf *conf, const struct statement *statement,
                 struct health_rules *rules)
{
    const char *at = conf->expect.base;

    *rules = (struct health_rules){ .is_set = true, .uri = conf->uri, .interval = conf->interval,
                                    .timeout = conf->timeout, .fall = conf->fall, .rise = conf->rise };
    if (!is_target(conf->uri)) {
        diag_error(binder->diags, statement_place(statement), S("uri=/healthz"), "health_check: \"%.*s\" is no path",
                   STR_ARG(str_upto(conf->uri, 200)));
        return false;
    }
    for (uint32_t i = 0; i < conf->expect.count; i++, at += conf->expect.stride) {
        str text = *(const weir_str *)(const void *)at;
        uint32_t k = rules->expect_count;
        if (k < EXPECT_MOST && read_range(text, &rules->expect[k].from, &rules->expect[k].to)) {
            rules->expect_count++;
            continue;
        }
        diag_error(binder->diags, statement_place(statement), S("expect=200-399 or expect=200,204"),
                   k < EXPECT_MOST ? "health_check: \"%.*s\" is no status" : "health_check: too many from \"%.*s\" on",
                   STR_ARG(str_upto(text, 200)));
        return false;
    }
    return true;
}

bool health_expects(const struct health_rules *rules, int status)
{
    for (uint32_t i = 0; i < rules->expect_count; i++)
        if (status >= rules->expect[i].from && status <= rules->expect[i].to)
            return true;
    return false;
}

/* -- the end of one ------------------------------------------------------------------------------------------------ */

static void close_conn(struct check *c)
{
    if (c->asking)
        resolver_cancel(&c->query);
    c->asking = false;
    if (c->conn.transport && c->conn.state == CONN_OPEN && !c->conn.is_broken)
        conn_shutdown_write(&c->conn);
    conn_close(&c->conn);
    check_h2_end(&c->h2);
    c->busy = false;
    c->head_n = 0;
}

/* So that not all servers are asked in the same moment, nor by all of several weirs. */
static uint64_t with_jitter(uint64_t ms)
{
    uint64_t random = 0;

    random_bytes(&random, sizeof(random));
    return ms - ms / 10 + random % (ms / 5 + 1);
}

static void finish(struct check *c, bool good, const char *why)
{
    const struct health_rules *rules = &c->upstream->check;
    struct server_state *state = c->server->state;
    bool out = atomic_load(&state->out_until) != 0;

    close_conn(c);
    tally_add(c->server->state->tally, good ? SERVER_CHECKS_GOOD : SERVER_CHECKS_BAD, 1);
    c->good = good ? c->good + 1 : 0;
    c->bad = good ? 0 : c->bad + 1;
    c->good_while_out = good && out ? c->good_while_out + 1 : 0;
    if (c->bad >= rules->fall)
        server_state_checked(state, false, why);
    else if (c->good >= rules->rise && (!out || c->good_while_out >= rules->rise))
        server_state_checked(state, true, why);
    deadline_set(&c->timer, with_jitter(rules->interval));
}

/* -- one check ----------------------------------------------------------------------------------------------------- */

static str host_of(const struct check *c)
{
    return addr_is_unix(&c->server->addr) && !c->server->host.n ? S("localhost") : c->server->name;
}

static void judge(struct check *c, unsigned status)
{
    char why[WHY_ROOM];

    snprintf(why, sizeof(why), "status %u", status);
    finish(c, health_expects(&c->upstream->check, (int)status), why);
}

static void send_h2(struct check *c)
{
    const char *why = NULL;

    if (check_h2_ask(&c->h2, &c->conn, c->upstream->tls ? S("https") : S("http"), host_of(c), c->upstream->check.uri,
                     &why) < 0)
        finish(c, false, why);
}

static void send_request(struct check *c)
{
    char text[HEAD_MOST];
    str host = host_of(c);
    int n = snprintf(text, sizeof(text), "GET %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: weir-check\r\n"
                     "Connection: close\r\n\r\n", STR_ARG(c->upstream->check.uri), STR_ARG(host));
    struct iovec iov = { text, (size_t)n };

    if (n < 0 || (size_t)n >= sizeof(text))
        finish(c, false, "request too long");
    else if (conn_write(&c->conn, &iov, 1) != n) /* into an empty socket buffer it goes whole */
        finish(c, false, "connection broke while sending");
}

static void on_ready(struct conn *conn, bool ok)
{
    struct check *c = list_entry(conn, struct check, conn);
    const char *why_not;

    if (!ok) {
        char why[WHY_ROOM];
        snprintf(why, sizeof(why), "%s%s", conn->transport ? "TLS: " : "connection ", conn->why ? conn->why : "failed");
        finish(c, false, why);
        return;
    }
    switch (hello_step(conn, c->upstream, NULL, &why_not)) {
    case HELLO_DONE:
        if (c->upstream->protocol == PROTOCOL_H2)
            send_h2(c);
        else
            send_request(c);
        return;
    case HELLO_FAILED:
        finish(c, false, why_not);
        return;
    case HELLO_WAITS:
        return;
    }
}

static void read_status_line(struct check *c)
{
    str head = { c->head, c->head_n };
    uint64_t status = 0;

    if (!str_has_prefix(head, S("HTTP/1.")) || head.p[8] != ' ' || !str_to_u64((str){ head.p + 9, 3 }, &status)) {
        finish(c, false, "no HTTP response");
        return;
    }
    judge(c, (unsigned)status);
}

static void hear_h2(struct check *c)
{
    const char *why = NULL;
    int status = check_h2_hear(&c->h2, &c->conn, &why);

    if (status < 0)
        finish(c, false, why);
    else if (status)
        judge(c, (unsigned)status);
}

static void on_readable(struct conn *conn)
{
    struct check *c = list_entry(conn, struct check, conn);

    if (c->h2.codec) {
        hear_h2(c);
        return;
    }
    while (c->head_n < STATUS_LINE_LEAST) {
        int64_t n = conn_read(conn, c->head + c->head_n, sizeof(c->head) - c->head_n);
        if (n == CONN_AGAIN)
            return;
        if (n <= 0) {
            finish(c, false, n == CONN_EOF ? "connection closed without a response"
                             : conn->why  ? conn->why
                                          : "connection broke");
            return;
        }
        c->head_n += (size_t)n;
    }
    read_status_line(c);
}

static void on_writable(struct conn *conn)
{
    struct check *c = list_entry(conn, struct check, conn);
    const char *why = NULL;

    /* in HTTP/1 the request was written at once, or the check failed */
    if (c->h2.codec && check_h2_write(&c->h2, conn, &why) < 0)
        finish(c, false, why);
}

static const struct conn_calls calls = { .on_readable = on_readable, .on_writable = on_writable, .on_ready = on_ready };

static void connect_to(struct check *c, const struct addr *to)
{
    c->conn = (struct conn){ 0 };
    if (!conn_connect(&c->conn, to, &calls))
        finish(c, false, c->conn.why ? c->conn.why : "connection refused");
}

static void on_resolved(struct resolver_query *query, const struct resolved *result)
{
    struct check *c = list_entry(query, struct check, query);

    c->asking = false;
    if (!result->count) {
        finish(c, false, result->why ? result->why : "name does not resolve");
        return;
    }
    const struct sockaddr_storage *storage = &result->addresses[c->next_address++ % result->first_tier];
    struct addr to = { .n = storage->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in) };
    to.storage = *storage;
    connect_to(c, &to);
}

static void on_due(struct deadline *timer)
{
    struct check *c = list_entry(timer, struct check, timer);

    if (c->busy) {
        finish(c, false, "no answer in time");
        return;
    }
    c->busy = true;
    deadline_set(&c->timer, c->upstream->check.timeout);
    if (!c->server->host.n) {
        connect_to(c, &c->server->addr);
        return;
    }
    c->asking = resolver_ask(&c->query, c->server->host.p, c->server->port, on_resolved);
    if (!c->asking)
        finish(c, false, "name cannot be resolved");
}

/* -- which ones ---------------------------------------------------------------------------------------------------- */

static const struct check *find(const struct check *list, const struct server_state *state)
{
    while (list && list->server->state != state)
        list = list->next;
    return list;
}

static void begin(const struct check *former, const struct weir_upstream *u, const struct server *server)
{
    struct check *c = mem_zalloc(sizeof(*c));
    const struct check *same = find(former, server->state);

    if (!c) {
        log_error("upstream %.*s %.*s: no memory to check it", STR_ARG(u->name), STR_ARG(server->name));
        return;
    }
    c->upstream = u;
    c->server = server;
    if (same) {
        c->good = same->good;
        c->bad = same->bad;
    }
    deadline_init(&c->timer, on_due);
    deadline_set(&c->timer, with_jitter(u->check.interval < FIRST_WITHIN_MS ? u->check.interval : FIRST_WITHIN_MS) / 4);
    c->next = checks;
    checks = c;
}

static void end(struct check *c)
{
    close_conn(c);
    deadline_cancel(&c->timer);
    mem_free(c);
}

static bool is_to_be_checked(const struct weir_upstream *u, const struct server *server)
{
    if (u->check.is_set && !server->down)
        return true;
    atomic_store(&server->state->checked_down, false); /* nobody would find it up again */
    return false;
}

void health_checks_use(struct weir_upstream *all)
{
    struct check *former = checks;

    checks = NULL;
    for (struct weir_upstream *first = all; first; first = first->next) {
        const struct weir_upstream *u = upstream_now(first);
        for (uint32_t i = 0; i < u->server_count; i++)
            if (is_to_be_checked(u, &u->servers[i]))
                begin(former, u, &u->servers[i]);
    }
    while (former) {
        struct check *c = former;
        former = c->next;
        end(c);
    }
}

/* Of a check that goes on, the server as the newer version has it; NULL: it ends. */
static const struct server *successor(const struct check *c, const struct weir_upstream *now)
{
    for (uint32_t i = 0; i < now->server_count; i++)
        if (now->servers[i].state == c->server->state && !now->servers[i].down)
            return &now->servers[i];
    return NULL;
}

void health_checks_follow(const struct weir_upstream *former, const struct weir_upstream *now)
{
    for (struct check **at = &checks; *at;) {
        struct check *c = *at;
        const struct server *server = c->upstream == former ? successor(c, now) : c->server;
        if (!server) {
            *at = c->next;
            end(c);
            continue;
        }
        c->upstream = c->upstream == former ? now : c->upstream;
        c->server = server;
        at = &c->next;
    }
    for (uint32_t i = 0; i < now->server_count; i++)
        if (is_to_be_checked(now, &now->servers[i]) && !find(checks, now->servers[i].state))
            begin(NULL, now, &now->servers[i]);
}
