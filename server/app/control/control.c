/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/control/control.h"

#include "app/control/control_answer.h"
#include "app/control/control_commands.h"
#include "app/control/control_explain.h"
#include "app/control/control_upstreams.h"
#include "app/control/control_why.h"
#include "app/house/metrics_page.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/h1.h"
#include "net/conn.h"
#include "net/listener.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum {
    CLIENTS_MOST = 32,
    HEAD_BYTES = 16 * 1024,
    FIELDS_MOST = 100,
    BODY_BYTES = 64 * 1024,
    SILENCE_MS = 30 * 1000,
    LINGER_MS = 2 * 1000,
    LINGER_BYTES = 256 * 1024
};

enum client_state { READS_HEAD, READS_BODY, WAITS_FOR_RELOAD, WAITS_FOR_EXPLAIN, WRITES, LINGERS };

struct client;

struct endpoint {
    str path, method;
    void (*act)(struct client *client); /* ends in a reply, now or later */
};

struct client {
    struct list link;
    struct conn conn;
    struct deadline silence;
    enum client_state state;
    const struct endpoint *endpoint;
    bool wants_text, is_head;
    str path, query; /* in the arena */
    struct server_reload reload;
    struct control_explain *explain; /* while it waits for it */
    struct arena *arena;
    struct fields fields;
    struct h1_scan scan;
    struct h1_body body;
    size_t discarded;
    char head[512]; /* of the answer */
    struct out answer;
    size_t head_n, sent;
    size_t in;
    char room[HEAD_BYTES];
};

static struct {
    struct listener listener;
    struct list clients;
    unsigned client_count;
    bool is_open, has_left;
} control;

/* -- a client's life ----------------------------------------------------------------------------------------------- */

static void close_client(struct client *client)
{
    if (client->state == WAITS_FOR_RELOAD)
        server_reload_forget(&client->reload);
    if (client->state == WAITS_FOR_EXPLAIN)
        control_explain_forget(client->explain);
    deadline_cancel(&client->silence);
    conn_close(&client->conn);
    list_remove(&client->link);
    arena_destroy(client->arena);
    mem_free(client->answer.p);
    mem_free(client);
    if (control.client_count-- == CLIENTS_MOST && control.is_open && !control.has_left)
        listener_resume(&control.listener);
}

static void on_silence(struct deadline *deadline)
{
    close_client(list_entry(deadline, struct client, silence));
}

/* So that the answer is not lost in a reset, what the client still sends is read and dropped until it closes. */
static void linger(struct client *client)
{
    int64_t n;

    while ((n = conn_read(&client->conn, client->room, sizeof(client->room))) > 0)
        client->discarded += (size_t)n;
    if (n != CONN_AGAIN || client->discarded > LINGER_BYTES)
        close_client(client);
}

static void write_answer(struct client *client)
{
    size_t body_n = client->is_head ? 0 : client->answer.n;

    while (client->sent < client->head_n + body_n) {
        size_t of_head = client->sent < client->head_n ? client->sent : client->head_n;
        size_t of_body = client->sent - of_head;
        struct iovec iov[] = {
            {client->head + of_head,      client->head_n - of_head},
            { client->answer.p + of_body, body_n - of_body        }
        };
        int first = of_head == client->head_n, count = 2 - first - (body_n == 0);
        int64_t n = conn_write(&client->conn, iov + first, count);
        if (n == CONN_AGAIN)
            return;
        if (n < 0) {
            close_client(client);
            return;
        }
        client->sent += (size_t)n;
    }
    client->state = LINGERS;
    deadline_set(&client->silence, LINGER_MS);
    conn_shutdown_write(&client->conn);
    linger(client);
}

/* -- replies: the client may be gone afterwards -------------------------------------------------------------------- */

static void reply(struct client *client, int status, const char *type, const char *more_fields)
{
    str reason = status_reason(status);
    int n = snprintf(client->head, sizeof(client->head),
                     "HTTP/1.1 %d " STR_FMT "\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
                     "X-Content-Type-Options: nosniff\r\n%sConnection: close\r\n\r\n",
                     status, STR_ARG(reason), type, client->answer.n, more_fields);

    client->head_n = (size_t)n;
    client->state = WRITES;
    deadline_set(&client->silence, SILENCE_MS);
    write_answer(client);
}

static void reply_json(struct client *client, int status, void (*write)(struct out *, const void *), const void *arg)
{
    if (answer_make(&client->answer, write, arg))
        reply(client, status, "application/json", "");
    else
        reply(client, 500, "text/plain", "");
}

static void write_text(struct out *out, const void *text)
{
    out_str(out, *(const str *)text);
}

static void reply_text(struct client *client, int status, str text)
{
    if (answer_make(&client->answer, write_text, &text))
        reply(client, status, "text/plain; charset=utf-8", "");
    else
        reply(client, 500, "text/plain", "");
}

static void refuse(struct client *client, int status, const char *why)
{
    reply_json(client, status, answer_error, why);
}

/* -- endpoints ----------------------------------------------------------------------------------------------------- */

static void act_status(struct client *client)
{
    struct server_status status;

    server_get_status(&status);
    reply_json(client, 200, answer_status, &status);
}

static void act_modules(struct client *client)
{
    reply_json(client, 200, answer_modules, NULL);
}

static void act_metrics(struct client *client)
{
    struct server_status status;

    server_get_status(&status);
    if (!status.configuration || !metrics_page_make(&client->answer, status.configuration->snapshot))
        refuse(client, 503, "no memory for the metrics");
    else
        reply(client, 200, EXPO_TYPE, "");
}

static void on_reloaded(struct server_reload *reload, bool ok, str text)
{
    struct client *client = list_entry(reload, struct client, reload);
    struct server_status status;

    server_get_status(&status);
    struct reload_answer answer = { ok, text, status.generation };
    client->state = WRITES;
    if (client->wants_text)
        reply_text(client, ok ? 200 : 422, text);
    else
        reply_json(client, ok ? 200 : 422, answer_reload, &answer);
}

static void wait_for_reload(struct client *client)
{
    client->reload.done = on_reloaded;
    client->state = WAITS_FOR_RELOAD;
    deadline_cancel(&client->silence);
}

static void act_reload(struct client *client)
{
    wait_for_reload(client);
    server_reload(&client->reload);
}

static void act_upgrade(struct client *client)
{
    wait_for_reload(client);
    server_upgrade(&client->reload);
}

static void act_unquarantine(struct client *client)
{
    str name = client->query;

    if (!str_has_prefix(name, S("module=")) || name.n > sizeof("module=") + 31) {
        refuse(client, 400, "which one: /v1/unquarantine?module=NAME");
        return;
    }
    wait_for_reload(client);
    server_unquarantine(&client->reload, str_from(name, sizeof("module=") - 1));
}

static void on_explained(void *client_, int status, struct out *answer)
{
    struct client *client = client_;
    bool is_text = status == 0 || (status == 200 && client->wants_text);

    client->answer = *answer;
    client->state = WRITES;
    reply(client, status ? status : 500, is_text ? "text/plain; charset=utf-8" : "application/json", "");
}

static void act_explain(struct client *client)
{
    const char *why;

    client->explain = control_explain_begin(client->query, client->wants_text, on_explained, client, &why);
    if (!client->explain) {
        refuse(client, 400, why);
        return;
    }
    client->state = WAITS_FOR_EXPLAIN;
    deadline_cancel(&client->silence);
}

/* The answer is written before the end begins: nobody waits for a loop that has stopped. */
static void act_stop(struct client *client)
{
    struct server_status status;

    server_get_status(&status);
    status.stopping = true;
    reply_json(client, 202, answer_status, &status);
    log_notice("stopping: asked for over the control socket");
    server_stop();
}

static void act_drain(struct client *client)
{
    server_drain(true);
    act_status(client);
}

static void act_undrain(struct client *client)
{
    server_drain(false);
    act_status(client);
}

static void act_reopen(struct client *client)
{
    server_reopen_logs();
    act_status(client);
}

static void act_upstreams(struct client *client)
{
    int status = control_upstreams_answer(client->path, client->query, client->arena, &client->answer);

    reply(client, status ? status : 500, status ? "application/json" : "text/plain", "");
}

static void act_why(struct client *client)
{
    int status = control_why_answer(client->path, client->query, client->wants_text, client->arena, &client->answer);
    bool is_text = status == 0 || (status == 200 && client->wants_text);

    reply(client, status ? status : 500, is_text ? "text/plain; charset=utf-8" : "application/json", "");
}

static void act_command(struct client *client)
{
    int status = control_commands_answer(client->path, client->query, client->wants_text, client->arena,
                                         &client->answer);
    bool is_text = client->wants_text && (status == 200 || status == 422);

    reply(client, status ? status : 500, is_text || !status ? "text/plain; charset=utf-8" : "application/json", "");
}

static const struct endpoint *find_endpoint(str path)
{
    static const struct endpoint upstreams = { WEIR_S("/v1/upstreams"), WEIR_S("GET"), act_upstreams };
    static const struct endpoint upstream_orders = { WEIR_S("/v1/upstreams"), WEIR_S("POST"), act_upstreams };
    static const struct endpoint why = { WEIR_S("/v1/why"), WEIR_S("GET"), act_why };
    static const struct endpoint commands = { WEIR_S("/v1/commands/"), WEIR_S("POST"), act_command };
    static const struct endpoint endpoints[] = {
        {WEIR_S("/v1/status"),   WEIR_S("GET"),  act_status },
        { WEIR_S("/v1/modules"), WEIR_S("GET"),  act_modules},
        { WEIR_S("/v1/metrics"), WEIR_S("GET"),  act_metrics},
        { WEIR_S("/v1/explain"), WEIR_S("GET"),  act_explain},
        { WEIR_S("/v1/reload"),  WEIR_S("POST"), act_reload },
        { WEIR_S("/v1/upgrade"), WEIR_S("POST"), act_upgrade},
        { WEIR_S("/v1/unquarantine"), WEIR_S("POST"), act_unquarantine},
        { WEIR_S("/v1/stop"),    WEIR_S("POST"), act_stop   },
        { WEIR_S("/v1/drain"),   WEIR_S("POST"), act_drain  },
        { WEIR_S("/v1/undrain"), WEIR_S("POST"), act_undrain},
        { WEIR_S("/v1/reopen"),  WEIR_S("POST"), act_reopen },
    };

    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
        if (str_equal(path, endpoints[i].path))
            return &endpoints[i];
    if (control_why_is(path))
        return &why;
    if (control_commands_is(path))
        return &commands;
    if (control_upstreams_is(path))
        return control_upstreams_is_order(path) ? &upstream_orders : &upstreams;
    return NULL;
}

/* -- the request --------------------------------------------------------------------------------------------------- */

static const struct h1_limits limits = { HEAD_BYTES, FIELDS_MOST };

static void refuse_method(struct client *client)
{
    bool is_get = str_equal(client->endpoint->method, S("GET"));

    if (answer_make(&client->answer, answer_error, "method not allowed"))
        reply(client, 405, "application/json", is_get ? "Allow: GET, HEAD\r\n" : "Allow: POST\r\n");
    else
        reply(client, 500, "text/plain", "");
}

/* Whether the request is one to be served; else it is answered. */
static bool accept_request(struct client *client, const struct h1_request *request)
{
    client->endpoint = find_endpoint(request->uri.path);
    client->path = arena_str(client->arena, request->uri.path);
    client->query = arena_str(client->arena, request->uri.query);
    client->is_head = str_equal(request->method, S("HEAD"));
    client->wants_text = fields_has_token(&client->fields, FIELD_ACCEPT, S("text/plain"));
    if (fields_find_id(&client->fields, FIELD_ORIGIN))
        refuse(client, 403, "requests of web pages are refused");
    else if (!client->endpoint)
        refuse(client, 404, "no such thing: see /v1/status");
    else if (!str_equal(client->is_head ? S("GET") : request->method, client->endpoint->method))
        refuse_method(client);
    else if (request->expects_continue)
        refuse(client, 417, "send the content at once");
    else if (request->content_length > BODY_BYTES)
        refuse(client, 413, "content of more than 64 KB");
    else
        return true;
    return false;
}

/* These end with: true, more is to be read; false, the request was answered or waits, and the client may be gone. */
static bool take_body(struct client *client, const char *p, size_t n)
{
    struct h1_error error = { 0 };
    size_t used;
    str data;

    for (;; p += used, n -= used) {
        switch (h1_body_feed(&client->body, p, n, &used, &data, &error)) {
        case H1_BODY_MORE: return true;
        case H1_BODY_DATA:
            if (client->body.received <= BODY_BYTES)
                continue;
            refuse(client, 413, "content of more than 64 KB");
            return false;
        case H1_BODY_BAD: refuse(client, error.status, error.why); return false;
        case H1_BODY_END: client->endpoint->act(client); return false;
        }
    }
}

static bool take_head(struct client *client)
{
    struct h1_error error = { 0 };
    struct h1_request request = { 0 };
    size_t head_n = 0;
    enum h1_rc rc = h1_scan(&client->scan, client->room, client->in, &limits, &head_n, &error);

    if (rc == H1_MORE)
        return true;
    if (rc == H1_DONE)
        rc = h1_parse_request((str){ client->room, head_n }, &limits, client->arena, &client->fields, &request, &error);
    if (rc == H1_BAD) {
        refuse(client, error.status, error.why);
        return false;
    }
    if (!accept_request(client, &request))
        return false;
    client->state = READS_BODY;
    h1_body_init(&client->body, request.body, request.content_length, &limits, client->arena, NULL);
    return take_body(client, client->room + head_n, client->in - head_n);
}

static bool take_input(struct client *client, size_t n)
{
    deadline_set(&client->silence, SILENCE_MS);
    if (client->state == READS_BODY)
        return take_body(client, client->room, n);
    client->in += n;
    return take_head(client);
}

static void read_request(struct client *client)
{
    int64_t n;

    do {
        size_t at = client->state == READS_BODY ? 0 : client->in; /* of the body nothing is kept */
        n = conn_read(&client->conn, client->room + at, sizeof(client->room) - at);
    } while (n > 0 && take_input(client, (size_t)n));
    if (n > 0 || n == CONN_AGAIN)
        return;
    if (n == CONN_EOF && client->in > 0)
        refuse(client, 400, "the request is not complete");
    else
        close_client(client);
}

/* A client that only shut its sending side still waits for its answer. */
static bool is_gone(const struct client *client)
{
    struct pollfd fd = { .fd = conn_fd(&client->conn) };

    return poll(&fd, 1, 0) == 1 && (fd.revents & (POLLHUP | POLLERR));
}

static void on_readable(struct conn *conn)
{
    struct client *client = list_entry(conn, struct client, conn);

    switch (client->state) {
    case READS_HEAD:
    case READS_BODY: read_request(client); break;
    case WAITS_FOR_RELOAD:
    case WAITS_FOR_EXPLAIN:
        if (is_gone(client))
            close_client(client);
        break;
    case WRITES: break;
    case LINGERS: linger(client); break;
    }
}

static void on_writable(struct conn *conn)
{
    struct client *client = list_entry(conn, struct client, conn);

    if (client->state == WRITES)
        write_answer(client);
}

static void on_ready(struct conn *conn, bool ok)
{
    (void)conn; /* neither connected nor shaken hands: never called */
    (void)ok;
}

/* -- the door ------------------------------------------------------------------------------------------------------ */

static void on_accept(struct listener *listener, int fd, const struct addr *peer)
{
    static const struct conn_calls calls = { .on_readable = on_readable, .on_writable = on_writable,
                                             .on_ready = on_ready };
    struct client *client = mem_zalloc(sizeof(*client));

    (void)peer;
    if (client)
        client->arena = arena_create(4096, 1024 * 1024);
    if (!client || !client->arena || !conn_open(&client->conn, fd, &calls)) {
        if (!client || !client->arena)
            close(fd);
        if (client)
            arena_destroy(client->arena);
        mem_free(client);
        return;
    }
    fields_init(&client->fields, client->arena);
    deadline_init(&client->silence, on_silence);
    deadline_set(&client->silence, SILENCE_MS);
    list_push(&control.clients, &client->link);
    if (++control.client_count == CLIENTS_MOST)
        listener_pause(listener);
}

static bool open_door(int listening_fd)
{
    list_init(&control.clients);
    control.client_count = 0;
    control.has_left = false;
    control.listener = (struct listener){ 0 };
    control.is_open = listener_open(&control.listener, listening_fd, NULL, on_accept);
    if (!control.is_open)
        close(listening_fd);
    return control.is_open;
}

static void leave(void)
{
    if (!control.is_open || control.has_left)
        return;
    control.has_left = true;
    listener_close(&control.listener);
}

static void close_door(void)
{
    if (!control.is_open)
        return;
    leave();
    control.is_open = false;
    list_each (at, &control.clients)
        close_client(list_entry(at, struct client, link));
}

const struct server_door control_door = { .open = open_door, .leave = leave, .close = close_door };
