/* SPDX-License-Identifier: BSD-2-Clause */
/* frames.h: HTTP/2 frames of a client or an origin that is played, heads packed by hand (RFC 7541 6.1, 6.2.2), and what
 * comes back read without unpacking it. */
#ifndef TESTS_ENGINE_FRAMES_H
#define TESTS_ENGINE_FRAMES_H

#include "engine.h"
#include "http/h2.h"

struct frames {
    uint8_t bytes[4096];
    size_t n;
};

static inline void put_frame(struct frames *to, uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n)
{
    struct h2_frame frame = { .length = (uint32_t)n, .type = type, .flags = flags, .id = id };

    MUST(to->n + H2_FRAME_HEAD + n <= sizeof(to->bytes));
    h2_frame_write(to->bytes + to->n, &frame);
    if (n)
        memcpy(to->bytes + to->n + H2_FRAME_HEAD, p, n);
    to->n += H2_FRAME_HEAD + n;
}

static inline void put_preface(struct frames *to)
{
    memcpy(to->bytes + to->n, H2_PREFACE, H2_PREFACE_BYTES);
    to->n += H2_PREFACE_BYTES;
    put_frame(to, H2_SETTINGS, 0, 0, NULL, 0);
}

enum kind_of_head { HEAD_GET, HEAD_POST, HEAD_WEBSOCKET, HEAD_KINDS };

/* :authority is "a"; path below 100 bytes. */
static inline void put_head(struct frames *to, enum kind_of_head kind, const char *path, uint32_t id, bool end)
{
    static const char websocket[] = "\x02\x07" "CONNECT" "\x00\x09:protocol\x09websocket";
    char block[256];
    size_t n = 0, path_n = strlen(path);

    MUST(path_n < 100);
    if (kind == HEAD_WEBSOCKET) {
        memcpy(block, websocket, sizeof(websocket) - 1);
        n = sizeof(websocket) - 1;
    } else {
        block[n++] = (char)(kind == HEAD_GET ? 0x82 : 0x83);
    }
    memcpy(block + n, "\x86\x01\x01" "a\x04", 5); /* :scheme http, :authority, :path */
    n += 5;
    block[n++] = (char)path_n;
    memcpy(block + n, path, path_n);
    put_frame(to, H2_HEADERS, (uint8_t)(H2_FLAG_END_HEADERS | (end ? H2_FLAG_END_STREAM : 0)), id, block, n + path_n);
}

/* 200; of an origin. */
static inline void put_ok(struct frames *to, uint32_t id, bool end)
{
    put_frame(to, H2_HEADERS, (uint8_t)(H2_FLAG_END_HEADERS | (end ? H2_FLAG_END_STREAM : 0)), id, "\x88", 1);
}

/* The next whole frame of what came behind peer->at, and its payload; false: none. */
static inline bool next_frame(struct peer *peer, struct h2_frame *frame, const uint8_t **payload)
{
    const uint8_t *at = (const uint8_t *)peer->got + peer->at;

    if (peer->n - peer->at < H2_FRAME_HEAD)
        return false;
    h2_frame_read(at, frame);
    if (peer->n - peer->at < H2_FRAME_HEAD + frame->length)
        return false;
    *payload = at + H2_FRAME_HEAD;
    peer->at += H2_FRAME_HEAD + frame->length;
    return true;
}

/* What came for one stream. */
struct seen {
    bool ok;    /* a head with 200 */
    bool ended, reset;
    size_t content;
    bool goaway; /* of the connection */
};

static inline void see_frame(struct seen *seen, const struct h2_frame *frame, uint32_t id, const uint8_t *p)
{
    bool end = frame->flags & H2_FLAG_END_STREAM;

    seen->goaway |= frame->type == H2_GOAWAY;
    if (frame->id != id)
        return;
    if (frame->type == H2_HEADERS)
        seen->ok |= frame->length > 0 && p[0] == 0x88;
    if (frame->type == H2_DATA)
        seen->content += frame->length;
    seen->ended |= end && (frame->type == H2_DATA || frame->type == H2_HEADERS);
    seen->reset |= frame->type == H2_RST_STREAM;
}

/* False: what came is no sequence of frames. */
static inline bool see(struct peer *client, uint32_t id, struct seen *seen)
{
    const uint8_t *got = (const uint8_t *)client->got;
    struct h2_frame frame;

    *seen = (struct seen){ 0 };
    for (size_t at = 0; at + H2_FRAME_HEAD <= client->n; at += H2_FRAME_HEAD + frame.length) {
        h2_frame_read(got + at, &frame);
        if (frame.length > H2_FRAME_MOST || frame.type > H2_CONTINUATION)
            return false;
        if (at + H2_FRAME_HEAD + frame.length <= client->n)
            see_frame(seen, &frame, id, got + at + H2_FRAME_HEAD);
    }
    return true;
}

#endif
