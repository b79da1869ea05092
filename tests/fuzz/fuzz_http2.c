/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_http2.c: the whole request engine between an HTTP/2 client and origins. Input: steps, each of a byte (what
 * happens), a byte (how much) and what the step takes of the rest.
 * Holds:   nothing turns for ever; when everybody is silent the deadlines end everything, with all memory, buffers and
 *          references given back; what an origin receives is strict HTTP/1.1, what the client receives are frames. */
#include "../unit/engine/frames.h"
#include "play.h"

enum { STEPS = 80 };

enum happening {
    CLIENT_FRAME,   /* type, flags, stream, and so much of a payload */
    CLIENT_HEAD,    /* of the next stream */
    CLIENT_CONTENT, /* of one of the last streams */
    CLIENT_BYTES,
    ORIGIN_BYTES,
    ORIGIN_ANSWERS,
    ORIGIN_SHUTS,
    ORIGIN_CLOSES,
    ORIGIN_READS,
    CLIENT_READS,
    CLIENT_OPENS_WINDOWS,
    TIME_PASSES,
    MODULE_RESUMES,
    CLIENT_SHUTS,
    CLIENT_RESETS,
    SERVER_DRAINS,
    STEP_KINDS
};

static const char *const answers[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nbegin",
    "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhello",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 304 Not Modified\r\n\r\n",
};

struct play {
    struct peer *client;
    struct play_origins origins;
    uint32_t next_id;
};

static void client_head(struct play *play, uint8_t much)
{
    static const char *const paths[] = { "/", "/p/x", "/other", "/a" };
    struct frames frames = { .n = 0 };

    put_head(&frames, (enum kind_of_head)(much % HEAD_KINDS), paths[much >> 6], play->next_id, much & 32);
    play->next_id += 2;
    write_all(play->client, frames.bytes, frames.n);
}

static void client_content(struct play *play, uint8_t much, const uint8_t *p, size_t n)
{
    struct frames frames = { .n = 0 };
    uint32_t back = (much >> 5 & 3) * 2;

    put_frame(&frames, H2_DATA, much >> 7, play->next_id - 2 > back ? play->next_id - 2 - back : 1, p, n);
    write_all(play->client, frames.bytes, frames.n);
}

static size_t client_frame(struct play *play, uint8_t much, const uint8_t *p, size_t n)
{
    struct frames frames = { .n = 0 };

    if (n < 3)
        return n;
    size_t payload = much < n - 3 ? much : n - 3;
    put_frame(&frames, p[0] % 20, p[1], p[2], p + 3, payload);
    write_all(play->client, frames.bytes, frames.n);
    return 3 + payload;
}

static void open_windows(struct play *play)
{
    struct frames frames = { .n = 0 };

    put_frame(&frames, H2_WINDOW_UPDATE, 0, 0, "\0\1\0\0", 4);
    put_frame(&frames, H2_WINDOW_UPDATE, 0, play->next_id > 2 ? play->next_id - 2 : 1, "\0\1\0\0", 4);
    write_all(play->client, frames.bytes, frames.n);
}

static size_t client_step(struct play *play, enum happening step, uint8_t much, const uint8_t *p, size_t n)
{
    size_t some = much < n ? much : n;

    switch (step) {
    case CLIENT_FRAME:
        return client_frame(play, much, p, n);
    case CLIENT_HEAD:
        client_head(play, much);
        return 0;
    case CLIENT_CONTENT:
        some = (much & 31u) < n ? much & 31u : n;
        client_content(play, much, p, some);
        return some;
    case CLIENT_BYTES:
        write_all(play->client, p, some);
        return some;
    case CLIENT_READS:
        peer_pull(play->client);
        return 0;
    case CLIENT_OPENS_WINDOWS:
        open_windows(play);
        return 0;
    case CLIENT_SHUTS:
        peer_shut(play->client);
        return 0;
    case CLIENT_RESETS:
        peer_reset(play->client);
        return 0;
    default:
        return 0;
    }
}

static size_t origin_step(struct peer *origin, enum happening step, uint8_t much, const uint8_t *p, size_t n)
{
    size_t some = much < n ? much : n;
    const char *answer = answers[much % (sizeof(answers) / sizeof(answers[0]))];

    switch (step) {
    case ORIGIN_BYTES:
        write_all(origin, p, some);
        return some;
    case ORIGIN_ANSWERS:
        write_all(origin, answer, strlen(answer));
        return 0;
    case ORIGIN_SHUTS:
        peer_shut(origin);
        return 0;
    case ORIGIN_CLOSES:
        peer_close(origin);
        return 0;
    case ORIGIN_READS:
        peer_pull(origin);
        return 0;
    default:
        return 0;
    }
}

/* How many of the bytes at p it used. */
static size_t run_step(struct play *play, uint8_t what, uint8_t much, const uint8_t *p, size_t n)
{
    enum happening step = (enum happening)((what & 31) % STEP_KINDS);
    unsigned back = what >> 5;
    struct play_origins *origins = &play->origins;
    struct peer *origin = back < origins->count ? origins->at[origins->count - 1 - back] : NULL;
    size_t used = 0;

    if (step == TIME_PASSES)
        engine_advance((uint64_t)much * 500);
    else if (step == MODULE_RESUMES)
        resume(much);
    else if (step == SERVER_DRAINS)
        engine_drain();
    else if (play->client->fd >= 0 && (step < ORIGIN_BYTES || step > ORIGIN_READS))
        used = client_step(play, step, much, p, n);
    else if (origin && origin->fd >= 0)
        used = origin_step(origin, step, much, p, n);
    settle();
    accept_origins(origins);
    return used;
}

static void end(struct play *play)
{
    struct seen seen;

    fall_silent(&play->origins);
    check_h1_origins(&play->origins);
    peer_pull(play->client);
    MUST(see(play->client, 1, &seen));
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
              "  route /p/ { proxy @ORIGIN@; } route = /other { respond 200 other; } }\n");
    atexit(engine_down);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play play = { .next_id = 1 };
    struct frames preface = { .n = 0 };
    size_t at = 0;

    begin();
    play.client = client_open();
    put_preface(&preface);
    write_all(play.client, preface.bytes, preface.n);
    for (unsigned i = 0; i < STEPS && at + 2 <= size; i++)
        at += 2 + run_step(&play, data[at], data[at + 1], data + at + 2, size - at - 2);
    end(&play);
    return 0;
}
