/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_h2_upstream.c: the whole request engine between clients of HTTP/1.1 and an origin of HTTP/2. Input: steps, each
 * of a byte (what happens), a byte (how much) and what the step takes of the rest.
 * Holds:   nothing turns for ever; when everybody is silent the deadlines end everything, with all memory, buffers and
 *          references given back; what the origin receives is the preface and frames that a client may send, within the
 *          windows that it gave; what a client's connection begins with is strict HTTP/1.1. */
#include "../unit/engine/frames.h"
#include "play.h"

enum { CLIENTS = 4, ASKS_MOST = 4, STEPS = 80 };

enum happening {
    ORIGIN_FRAME,   /* type, flags, stream, and so much of a payload */
    ORIGIN_HEAD,    /* of one of the last streams */
    ORIGIN_CONTENT, /* likewise */
    ORIGIN_SETTLES,
    ORIGIN_BYTES,
    ORIGIN_RESETS_STREAM,
    ORIGIN_LEAVES,
    ORIGIN_OPENS_WINDOWS,
    ORIGIN_READS,
    ORIGIN_SHUTS,
    ORIGIN_CLOSES,
    CLIENT_ASKS,
    CLIENT_BYTES,
    CLIENT_READS,
    CLIENT_CLOSES,
    TIME_PASSES,
    MODULE_RESUMES,
    SERVER_DRAINS,
    STEP_KINDS
};

static const char *const asks[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\nExpect: 100-continue\r\n\r\nbegin",
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
     "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"),
    "HEAD / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n",
    "GET /p/x HTTP/1.1\r\nHost: a\r\nX-Play: suspend\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n",
};

#define HEAD_OF(text) { text, sizeof(text) - 1 }
static const struct {
    const char *block;
    size_t n;
} heads[] = {
    HEAD_OF("\x88"),                       /* 200 */
    HEAD_OF("\x88\x0f\x0d\x01" "5"),       /* content-length */
    HEAD_OF("\x89"),                       /* 204 */
    HEAD_OF("\x08\x03" "103"),             /* interim */
    HEAD_OF("\x08\x03" "100"),
    HEAD_OF("\x08\x03" "101"),             /* malformed */
    HEAD_OF("\x00\x01x\x01y"),             /* trailers, or no :status */
    HEAD_OF("\x88\x00\x0a" "connection\x05" "close"),
};

static const struct {
    uint8_t bytes[6];
} settings[] = {
    { { 0, 3, 0, 0, 0, 1 } },          /* one stream at a time */
    { { 0, 3, 0, 0, 0, 100 } },
    { { 0, 8, 0, 0, 0, 1 } },          /* extended CONNECT */
    { { 0, 4, 0, 0, 0, 0 } },          /* no window */
    { { 0, 4, 0, 1, 0, 0 } },
    { { 0, 3, 0, 0, 0, 0 } },
};

struct play {
    struct peer *clients[CLIENTS];
    unsigned client_count, asked; /* by the last of them */
    struct play_origins origins;
};

/* Of the last streams that may be there. */
static uint32_t stream_of(uint8_t much)
{
    return 1 + 2u * (much & 7u);
}

static void send_frames(struct peer *origin, const struct frames *frames)
{
    write_all(origin, frames->bytes, frames->n);
}

static size_t origin_frame(struct peer *origin, uint8_t much, const uint8_t *p, size_t n)
{
    struct frames frames = { .n = 0 };

    if (n < 3)
        return n;
    size_t payload = much < n - 3 ? much : n - 3;
    put_frame(&frames, p[0] % 20, p[1], p[2], p + 3, payload);
    send_frames(origin, &frames);
    return 3 + payload;
}

static void origin_says(struct peer *origin, enum happening step, uint8_t much, const uint8_t *p, size_t n)
{
    struct frames frames = { .n = 0 };
    unsigned kind = much >> 4 & 7;
    uint8_t end = much & 8 ? H2_FLAG_END_STREAM : 0;
    const uint8_t codes[] = { 0, 0, 0, (uint8_t)(much >> 4) };
    const uint8_t goodbye[] = { 0, 0, 0, (uint8_t)stream_of(much), 0, 0, 0, (uint8_t)(much >> 4) };

    if (step == ORIGIN_HEAD)
        put_frame(&frames, H2_HEADERS, H2_FLAG_END_HEADERS | end, stream_of(much), heads[kind].block, heads[kind].n);
    else if (step == ORIGIN_CONTENT)
        put_frame(&frames, H2_DATA, end, stream_of(much), p, n);
    else if (step == ORIGIN_SETTLES)
        put_frame(&frames, H2_SETTINGS, 0, 0, settings[much % (sizeof(settings) / sizeof(settings[0]))].bytes,
                  much & 128 ? 0 : 6);
    else if (step == ORIGIN_RESETS_STREAM)
        put_frame(&frames, H2_RST_STREAM, 0, stream_of(much), codes, 4);
    else if (step == ORIGIN_LEAVES)
        put_frame(&frames, H2_GOAWAY, 0, 0, goodbye, 8);
    put_frame(&frames, H2_WINDOW_UPDATE, 0, 0, "\0\0\x80\0", step == ORIGIN_OPENS_WINDOWS ? 4 : 0);
    if (step == ORIGIN_OPENS_WINDOWS)
        put_frame(&frames, H2_WINDOW_UPDATE, 0, stream_of(much), "\0\0\x80\0", 4);
    else
        frames.n -= H2_FRAME_HEAD;
    send_frames(origin, &frames);
}

/* How many of the bytes at p it used. */
static size_t origin_step(struct peer *origin, enum happening step, uint8_t much, const uint8_t *p, size_t n)
{
    size_t some = much < n ? much : n;

    switch (step) {
    case ORIGIN_FRAME:
        return origin_frame(origin, much, p, n);
    case ORIGIN_BYTES:
        write_all(origin, p, some);
        return some;
    case ORIGIN_READS:
        peer_pull(origin);
        return 0;
    case ORIGIN_SHUTS:
        peer_shut(origin);
        return 0;
    case ORIGIN_CLOSES:
        peer_pull(origin);
        peer_close(origin);
        return 0;
    default:
        some = step == ORIGIN_CONTENT ? ((much >> 4u) < n ? much >> 4u : n) : 0;
        origin_says(origin, step, much, p, some);
        return some;
    }
}

static void client_asks(struct play *play, uint8_t much)
{
    const char *text = asks[much % (sizeof(asks) / sizeof(asks[0]))];

    if (much & 128 || play->client_count == 0) {
        if (play->client_count == CLIENTS)
            return;
        play->clients[play->client_count++] = client_open();
        play->asked = 0;
    }
    if (play->asked == ASKS_MOST)
        return;
    play->asked++;
    struct peer *client = play->clients[play->client_count - 1];
    if (client->fd >= 0)
        write_all(client, text, strlen(text));
}

static size_t client_step(struct play *play, enum happening step, uint8_t much, const uint8_t *p, size_t n)
{
    struct peer *client = play->client_count ? play->clients[(much >> 6) % play->client_count] : NULL;
    size_t some = (much & 63u) < n ? much & 63u : n;

    if (step == CLIENT_ASKS) {
        client_asks(play, much);
        return 0;
    }
    if (!client || client->fd < 0)
        return 0;
    if (step == CLIENT_READS)
        peer_pull(client);
    else if (step == CLIENT_CLOSES)
        peer_close(client);
    else
        write_all(client, p, some);
    return step == CLIENT_BYTES ? some : 0;
}

static size_t run_step(struct play *play, uint8_t what, uint8_t much, const uint8_t *p, size_t n)
{
    enum happening step = (enum happening)((what & 63) % STEP_KINDS);
    struct play_origins *origins = &play->origins;
    unsigned back = what >> 6;
    struct peer *origin = back < origins->count ? origins->at[origins->count - 1 - back] : NULL;
    size_t used = 0;

    if (step == TIME_PASSES)
        engine_advance((uint64_t)much * 500);
    else if (step == MODULE_RESUMES)
        resume(much);
    else if (step == SERVER_DRAINS)
        engine_drain();
    else if (step >= CLIENT_ASKS)
        used = client_step(play, step, much, p, n);
    else if (origin && origin->fd >= 0)
        used = origin_step(origin, step, much, p, n);
    settle();
    accept_origins(origins);
    return used;
}

/* RFC 9113 3.4, 4.1, 5.1.1: streams begin by rising odd numbers, and content follows their heads. */
static void check_origin(struct peer *origin)
{
    struct h2_frame frame;
    const uint8_t *payload;
    uint32_t last = 0;

    peer_pull(origin);
    if (origin->n < H2_PREFACE_BYTES)
        return;
    MUST(memcmp(origin->got, H2_PREFACE, H2_PREFACE_BYTES) == 0);
    origin->at = H2_PREFACE_BYTES;
    for (unsigned i = 0; next_frame(origin, &frame, &payload); i++) {
        MUST(i > 0 || frame.type == H2_SETTINGS);
        MUST(frame.length <= H2_FRAME_MOST && frame.type <= H2_CONTINUATION && frame.type != H2_PUSH_PROMISE);
        if (frame.type == H2_HEADERS && frame.id > last)
            last = frame.id;
        bool is_of_stream = frame.type == H2_HEADERS || frame.type == H2_DATA || frame.type == H2_RST_STREAM;
        MUST(!is_of_stream || (frame.id % 2 == 1 && frame.id <= last));
    }
}

static void end(struct play *play)
{
    struct heard m;

    for (unsigned i = 0; i < 8 * ASKS_MOST; i++) /* one after the other their times end, and are tried again */
        engine_advance(65 * 1000);
    fall_silent(&play->origins);
    for (unsigned i = 0; i < play->origins.count; i++)
        check_origin(play->origins.at[i]);
    for (unsigned i = 0; i < play->client_count; i++) {
        peer_pull(play->clients[i]);
        if (play->clients[i]->n && response_next(play->clients[i], true, &m))
            MUST(!m.bad);
    }
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
    engine_up("upstream u { server @ORIGIN@ max_fails=0; protocol h2; keepalive 2; }\n"
              "site _ { listen 127.0.0.1:9000; proxy u; max_body 600k; route /p/ { proxy u; } }\n");
    atexit(engine_down);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play play = { 0 };
    size_t at = 0;

    begin();
    client_asks(&play, size ? data[0] & 7 : 0);
    accept_origins(&play.origins);
    for (unsigned i = 0; i < STEPS && at + 2 <= size; i++)
        at += 2 + run_step(&play, data[at], data[at + 1], data + at + 2, size - at - 2);
    end(&play);
    return 0;
}
