/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "engine.h"

#include "app/house/configuration.h"
#include "base/block.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/small.h"
#include "loop/worker_state.h"
#include "pipeline/http1.h"
#include "pipeline/sink.h"
#include "pipeline/trace.h"
#include "upstream/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURNS_MOST = 100000, QUIET_TURNS = 3, TEXT_MOST = 64 * 1024 };

static struct {
    struct worker *worker;
    struct pipeline_worker *pw;
    const struct listen_point *point;
    int origins[2];
    int listener; /* for client_open_tcp; -1: not yet */
    struct peer *peers;
    struct arena *arena; /* of messages */
    unsigned clients;
    char folder[32];
    uint64_t now_us, wall_ms;
    bool is_running;
} e = { .origins = { -1, -1 }, .listener = -1 };

/* -- time ---------------------------------------------------------------------------------------------------------- */

void __wrap_clock_tick(void);
void __wrap_clock_tick(void)
{
    if (!e.now_us) {
        e.now_us = clock_us_now(); /* the loop's wheel starts with the real time */
        e.wall_ms = UINT64_C(1795240000000);
    }
    clock_set(e.now_us, e.wall_ms);
}

void engine_advance(uint64_t ms)
{
    e.now_us += ms * 1000;
    e.wall_ms += ms;
    __wrap_clock_tick();
    event_active(e.worker->timer, EV_TIMEOUT, 0);
    engine_settle();
}

unsigned engine_turns(unsigned most)
{
    unsigned quiet = 0, turns = 0;

    while (quiet < QUIET_TURNS && turns < most) {
        e.is_running = true;
        worker_turn(e.worker, false);
        e.is_running = false;
        turns++;
        bool idle = list_is_empty(&e.worker->deferred) && !atomic_load(&e.worker->mail);
        quiet = idle ? quiet + 1 : 0;
    }
    return turns;
}

bool engine_is_running(void)
{
    return e.is_running;
}

void engine_settle(void)
{
    MUST(engine_turns(TURNS_MOST) < TURNS_MOST);
}

/* -- up and down --------------------------------------------------------------------------------------------------- */

static void path_in_folder(char *room, size_t n, const char *name)
{
    MUST((size_t)snprintf(room, n, "%s/%s", e.folder, name) < n);
}

static int listen_on(const char *name)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    path_in_folder(to.sun_path, sizeof(to.sun_path), name);
    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && listen(fd, 64) == 0);
    return fd;
}

static void put_text(FILE *file, const char *text)
{
    static const struct {
        const char *mark, *name;
    } marks[] = { { "@ORIGIN@", "o" }, { "@ORIGIN2@", "o2" }, { "@NOBODY@", "nobody" } };

    while (*text) {
        unsigned i = 0;
        while (i < 3 && strncmp(text, marks[i].mark, strlen(marks[i].mark)) != 0)
            i++;
        if (i == 3) {
            MUST(fputc(*text++, file) != EOF);
            continue;
        }
        MUST(fprintf(file, "unix:%s/%s", e.folder, marks[i].name) > 0);
        text += strlen(marks[i].mark);
    }
}

static struct configuration *bind_text(const char *text)
{
    char path[64];

    path_in_folder(path, sizeof(path), "t.conf");
    FILE *file = fopen(path, "w");
    MUST(file);
    put_text(file, "why_ring 4; "); /* so that all that happens here is remembered, too */
    put_text(file, text);
    MUST(fclose(file) == 0);
    struct configuration_options options = { .path = str_of(path), .worker_count = 1 };
    struct configuration *c = configuration_load(&options);
    MUST(c);
    if (!c->snapshot)
        fprintf(stderr, "%.*s", STR_ARG(diags_render(&c->diags, c->arena)));
    MUST(c->snapshot && c->listen_count > 0);
    return c;
}

void engine_add_module(const struct weir_module *module)
{
    weir_mod *mod;

    loader_register_builtin();
    const char *why = module_register(module, STR_NONE, &mod);
    if (why)
        fprintf(stderr, "%s: %s\n", module->name, why);
    MUST(!why);
}

static void once(void)
{
    static bool done;

    if (done)
        return;
    done = true;
    signal(SIGPIPE, SIG_IGN);
    hash_seed();
    if (!getenv("ENGINE_LOG"))
        log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

void engine_up(const char *text)
{
    once();
    strcpy(e.folder, "/tmp/weir-engine-XXXXXX");
    MUST(mkdtemp(e.folder));
    e.origins[0] = listen_on("o");
    e.origins[1] = listen_on("o2");
    e.now_us = 0;
    e.worker = worker_create(0);
    e.arena = arena_create(64 * 1024, 0);
    MUST(e.worker && e.arena);
    worker_enter(e.worker);
    __wrap_clock_tick();
    snapshots_init(e.worker, 1);
    struct configuration *c = bind_text(text);
    e.point = c->listens[0].point;
    MUST(snapshot_publish(c->snapshot, &e.worker) && trace_ring_use(4));
    e.pw = pipeline_worker_up(e.worker, 0);
    MUST(e.pw);
    engine_settle();
}

void engine_reload(const char *text)
{
    struct configuration *c = bind_text(text);

    e.point = c->listens[0].point;
    MUST(snapshot_publish(c->snapshot, &e.worker));
    engine_settle();
}

static void upstream_down(struct deferred *deferred)
{
    (void)deferred;
    upstream_worker_down();
}

static void remove_files(void)
{
    static const char *const names[] = { "o", "o2", "t.conf" };
    char path[64];

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_in_folder(path, sizeof(path), names[i]);
        MUST(unlink(path) == 0);
    }
    MUST(rmdir(e.folder) == 0);
}

void engine_close_peers(void)
{
    while (e.peers) {
        struct peer *peer = e.peers;
        e.peers = peer->next;
        if (peer->fd >= 0)
            close(peer->fd);
        free(peer->got);
        free(peer);
    }
    arena_reset(e.arena);
}

static void close_listeners(void)
{
    int *fds[] = { &e.origins[0], &e.origins[1], &e.listener };

    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

void engine_down(void)
{
    struct deferred last;

    mem_fail_after(-1);
    pipeline_worker_down(e.pw);
    deferred_init(&last, upstream_down);
    worker_defer(&last);
    engine_settle();
    engine_close_peers();
    close_listeners();
    worker_destroy(e.worker);
    snapshots_finish();
    trace_ring_finish();
    sinks_finish();
    arena_destroy(e.arena);
    remove_files();
    MUST(block_bytes_in_use() == 0 && snapshots_alive() == 0);
}

void engine_drain(void)
{
    sessions_drain(e.pw);
    engine_settle();
}

void engine_undrain(void)
{
    e.pw->draining = false;
}

void engine_forget(void)
{
    pools_close_idle();
    engine_settle();
    h1_worker_down(e.pw);
    trace_worker_down(e.pw);
    while (e.pw->spare_count)
        arena_destroy(e.pw->spare_arenas[--e.pw->spare_count]);
    chain_drop_free_list();
    block_drop_free_lists();
    small_drop_free_lists();
}

void engine_check_idle(void)
{
    MUST(e.pw->connection_count == 0);
    MUST(snapshots_alive() == 1);
    MUST(e.pw->current->refs[0] == 1);
    block_unref(block_take_aside(0)); /* the room that the last answer left */
    MUST(block_bytes_in_use() == 0);
}

uint64_t engine_blocks(void)
{
    return block_bytes_in_use();
}

/* -- peers --------------------------------------------------------------------------------------------------------- */

static struct peer *peer_new(int fd)
{
    struct peer *peer = calloc(1, sizeof(*peer));

    MUST(peer && fd >= 0);
    peer->fd = fd;
    peer->next = e.peers;
    e.peers = peer;
    return peer;
}

static void accept_fd(int fd)
{
    struct addr from;
    char text[32];

    snprintf(text, sizeof(text), "192.0.2.1:%u", 1024 + e.clients++ % 60000);
    MUST(addr_parse(str_of(text), &from));
    e.is_running = true;
    session_accept(e.point, fd, &from);
    e.is_running = false;
    engine_settle();
}

struct peer *client_open(void)
{
    int fds[2];

    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    accept_fd(fds[1]);
    return peer_new(fds[0]);
}

static void listen_tcp(struct sockaddr_in *at)
{
    socklen_t n = sizeof(*at);

    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (e.listener < 0) {
        e.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        MUST(e.listener >= 0 && bind(e.listener, (struct sockaddr *)at, n) == 0 && listen(e.listener, 16) == 0);
    }
    MUST(getsockname(e.listener, (struct sockaddr *)at, &n) == 0);
}

/* Connections that are over keep their pair of addresses for a minute: one address has too few ports for a fuzzer. */
static void take_another_address(int fd)
{
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010000 | e.clients % 65536) };
    int on = 1;

    MUST(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == 0);
    MUST(bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0);
}

struct peer *client_open_tcp(void)
{
    struct sockaddr_in at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    MUST(fd >= 0);
    listen_tcp(&at);
    take_another_address(fd);
    MUST(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    MUST(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    int other = accept4(e.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    MUST(other >= 0);
    accept_fd(other);
    return peer_new(fd);
}

static struct peer *take(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    MUST(fd >= 0 || errno == EAGAIN);
    return fd >= 0 ? peer_new(fd) : NULL;
}

struct peer *origin_take(void)
{
    return take(e.origins[0]);
}

struct peer *origin2_take(void)
{
    return take(e.origins[1]);
}

size_t peer_write(struct peer *peer, const void *p, size_t n)
{
    ssize_t done = peer->fd >= 0 && n ? send(peer->fd, p, n, MSG_NOSIGNAL) : 0;

    if (done < 0 && errno != EAGAIN)
        peer->ended = peer->broken = true;
    return done > 0 ? (size_t)done : 0;
}

void peer_put_bytes(struct peer *peer, const void *p, size_t n)
{
    const char *from = p;

    for (size_t at = 0; at < n;) {
        size_t done = peer_write(peer, from + at, n - at);
        at += done;
        engine_settle();
        if (peer->broken)
            return;
        MUST(done > 0);
    }
}

void peer_put(struct peer *peer, const char *text)
{
    peer_put_bytes(peer, text, strlen(text));
}

static bool receive(struct peer *peer, char *room, size_t n, size_t *got)
{
    ssize_t done = peer->fd >= 0 ? recv(peer->fd, room, n, 0) : -1;

    *got = done > 0 ? (size_t)done : 0;
    if (done == 0 || (done < 0 && peer->fd >= 0 && errno != EAGAIN))
        peer->ended = true;
    if (done < 0 && peer->fd >= 0 && errno != EAGAIN)
        peer->broken = true;
    return done > 0;
}

void peer_pull(struct peer *peer)
{
    size_t got;

    do {
        if (peer->room - peer->n < 64 * 1024) {
            peer->room = peer->room * 2 + 64 * 1024;
            peer->got = realloc(peer->got, peer->room);
            MUST(peer->got);
        }
        receive(peer, peer->got + peer->n, peer->room - peer->n - 1, &got);
        peer->n += got;
        peer->got[peer->n] = 0;
    } while (got);
}

size_t peer_skip(struct peer *peer, size_t most)
{
    static char room[256 * 1024];
    size_t got;

    receive(peer, room, most < sizeof(room) ? most : sizeof(room), &got);
    return got;
}

void peer_shut(struct peer *peer)
{
    if (peer->fd >= 0)
        shutdown(peer->fd, SHUT_WR);
    engine_settle();
}

static void close_now(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    engine_settle();
}

void peer_close(struct peer *peer)
{
    peer_pull(peer); /* else the kernel makes a reset of it */
    close_now(peer);
}

void peer_reset(struct peer *peer)
{
    static const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    MUST(peer->fd >= 0 && setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
    close_now(peer);
}

bool peer_has(struct peer *peer, const char *text)
{
    peer_pull(peer);
    return memmem(peer->got, peer->n, text, strlen(text)) != NULL;
}

/* -- messages ------------------------------------------------------------------------------------------------------ */

static const struct h1_limits limits = { .head_bytes = 128 * 1024, .fields = 1000 };

static void begin(struct heard *out)
{
    *out = (struct heard){ 0 };
    fields_init(&out->fields, e.arena);
    fields_init(&out->trailers, e.arena);
}

/* The head's bytes, or false while it is not whole. */
static bool next_head(struct peer *peer, struct heard *out, str *head)
{
    struct h1_scan scan = { 0 };
    struct h1_error error;
    size_t n = 0;

    peer_pull(peer);
    switch (h1_scan(&scan, peer->got + peer->at, peer->n - peer->at, &limits, &n, &error)) {
    case H1_MORE:
        return false;
    case H1_BAD:
        out->bad = true;
        return true;
    case H1_DONE:
        break;
    }
    *head = arena_str(e.arena, (str){ peer->got + peer->at, n }); /* got may move */
    MUST(head->p);
    return true;
}

static void read_body(struct peer *peer, size_t at, uint64_t length, struct heard *out)
{
    char *room = arena_alloc(e.arena, peer->n - at + 1);
    struct h1_error error;
    struct h1_body body;
    enum h1_event event;

    MUST(room);
    h1_body_init(&body, out->kind, length, &limits, e.arena, &out->trailers);
    do {
        size_t used = 0;
        str data = STR_NONE;
        event = h1_body_feed(&body, peer->got + at, peer->n - at, &used, &data, &error);
        if (event == H1_BODY_DATA) {
            memcpy(room + out->body.n, data.p, data.n);
            out->body.n += data.n;
        }
        at += used;
    } while (event == H1_BODY_DATA);
    room[out->body.n] = 0;
    out->body.p = room;
    out->bad = event == H1_BODY_BAD;
    out->whole = event == H1_BODY_END || (out->kind == BODY_UNTIL_CLOSE && peer->ended && !peer->broken);
    if (out->whole)
        peer->at = at;
}

bool request_next(struct peer *origin, struct heard *out)
{
    struct h1_request request = { 0 };
    struct h1_error error;
    str head;

    begin(out);
    if (!next_head(origin, out, &head) || out->bad)
        return out->bad;
    if (h1_parse_request(head, &limits, e.arena, &out->fields, &request, &error) != H1_DONE) {
        out->bad = true;
        return true;
    }
    out->method = request.method;
    out->target = request.target;
    out->keep_alive = request.keep_alive;
    out->kind = request.body;
    read_body(origin, origin->at + head.n, request.content_length, out);
    return true;
}

bool response_next(struct peer *client, bool to_head, struct heard *out)
{
    struct h1_response response = { 0 };
    struct h1_error error;
    str head;

    begin(out);
    if (!next_head(client, out, &head) || out->bad)
        return out->bad;
    if (h1_parse_response(head, &limits, to_head, e.arena, &out->fields, &response, &error) != H1_DONE) {
        out->bad = true;
        return true;
    }
    out->status = response.status;
    out->keep_alive = response.keep_alive;
    out->kind = response.body;
    read_body(client, client->at + head.n, response.content_length, out);
    return true;
}

str heard_field(const struct heard *heard, const char *name)
{
    const struct field *field = fields_find(&heard->fields, str_of(name));

    return field ? field->value : STR_NONE;
}
