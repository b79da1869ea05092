/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_engine.c: the whole request engine between clients and origins. Input: steps, each of a byte (what happens), a
 * byte (how much) and, for writing, so many bytes.
 * Holds:   nothing turns for ever; when everybody is silent the deadlines end everything, with all memory, buffers and
 *          references given back; what an origin receives is strict HTTP/1.1, and so is what a client's connection
 *          begins with. */
#include "play.h"

#include <stdint.h>

enum { CLIENTS = 3, STEPS = 60 };

enum happening {
    CLIENT_WRITES,
    ORIGIN_WRITES,
    CLIENT_SHUTS,
    CLIENT_CLOSES,
    ORIGIN_SHUTS,
    ORIGIN_CLOSES,
    CLIENT_READS,
    ORIGIN_READS,
    TIME_PASSES,
    CLIENT_FLOODS, /* the same byte again and again, until nothing goes any more */
    ORIGIN_FLOODS,
    CLIENT_OPENS,
    MODULE_RESUMES,
    CLIENT_RESETS,
    STEP_KINDS
};

struct play {
    struct peer *clients[CLIENTS];
    unsigned client_count;
    struct play_origins origins;
};

static void flood(struct peer *peer, uint8_t with)
{
    static uint8_t room[32 * 1024];

    memset(room, with, sizeof(room));
    for (unsigned i = 0; i < 40 && peer_write(peer, room, sizeof(room)); i++)
        settle();
}

static void open_client(struct play *play, bool tcp)
{
    if (play->client_count < CLIENTS)
        play->clients[play->client_count++] = tcp ? client_open_tcp() : client_open();
}

/* The newest of a kind, or the one before it. */
static struct peer *choose(struct peer **peers, unsigned count, unsigned back)
{
    if (count == 0)
        return NULL;
    struct peer *peer = peers[back < count ? count - 1 - back : 0];
    return peer->fd >= 0 ? peer : NULL;
}

/* How many of the bytes at p it used. */
static size_t run_step(struct play *play, uint8_t what, uint8_t much, const uint8_t *p, size_t n)
{
    struct peer *client = choose(play->clients, play->client_count, what >> 6);
    struct peer *origin = choose(play->origins.at, play->origins.count, what >> 6);
    enum happening step = (enum happening)((what & 63) % STEP_KINDS);
    bool writes = step == CLIENT_WRITES || step == ORIGIN_WRITES;
    size_t used = writes ? (much < n ? much : n) : 0;

    if (step == CLIENT_OPENS)
        open_client(play, much & 1);
    else if (step == TIME_PASSES)
        engine_advance((uint64_t)much * 500);
    else if (step == MODULE_RESUMES)
        resume(much);
    else if (client && step == CLIENT_WRITES)
        write_all(client, p, used);
    else if (client && step == CLIENT_SHUTS)
        peer_shut(client);
    else if (client && step == CLIENT_CLOSES)
        peer_close(client);
    else if (client && step == CLIENT_RESETS)
        peer_reset(client);
    else if (client && step == CLIENT_READS)
        peer_pull(client);
    else if (client && step == CLIENT_FLOODS)
        flood(client, much);
    else if (origin && step == ORIGIN_WRITES)
        write_all(origin, p, used);
    else if (origin && step == ORIGIN_SHUTS)
        peer_shut(origin);
    else if (origin && step == ORIGIN_CLOSES)
        much & 1 ? peer_reset(origin) : peer_close(origin);
    else if (origin && step == ORIGIN_READS)
        peer_pull(origin);
    else if (origin && step == ORIGIN_FLOODS)
        flood(origin, much);
    settle();
    accept_origins(&play->origins);
    return used;
}

/* The client began with the preface of HTTP/2, which has a target of its own: SETTINGS or GOAWAY come first. */
static bool speaks_http2(const struct peer *client)
{
    return client->n >= 9 && client->got[0] == 0 && (client->got[3] == 4 || client->got[3] == 7);
}

static void check_client(struct peer *client)
{
    struct heard m;

    peer_pull(client);
    if (client->n && !speaks_http2(client) && response_next(client, true, &m))
        MUST(!m.bad);
}

static void end(struct play *play)
{
    fall_silent(&play->origins);
    check_h1_origins(&play->origins);
    for (unsigned i = 0; i < play->client_count; i++)
        check_client(play->clients[i]);
    leave_nothing();
}

static void begin(void)
{
    static bool is_up;

    if (is_up)
        return;
    is_up = true;
    engine_add_module(&play_module);
    engine_add_module(&flow_module);
    engine_up("site _ { listen 127.0.0.1:9000; proxy @ORIGIN@; max_body 600k;\n"
              "  route /p/ { proxy @ORIGIN@; } route = /other { respond 200 other; } }\n"
              "site own { listen 127.0.0.1:9000; respond 200 own; }\n"
              "site gone { listen 127.0.0.1:9000; proxy @NOBODY@; }\n");
    atexit(engine_down);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play play = { 0 };
    size_t at = 0;

    begin();
    open_client(&play, false);
    for (unsigned i = 0; i < STEPS && at + 2 <= size; i++)
        at += 2 + run_step(&play, data[at], data[at + 1], data + at + 2, size - at - 2);
    end(&play);
    return 0;
}
