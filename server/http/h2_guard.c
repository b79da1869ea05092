/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/h2_guard.h"

#include <string.h>

enum { BLOCK_FRAMES_MOST = 9, BYTES_PER_WINDOW_UPDATE = 2048 };

/* A burst, and how many come back a second. A browser drops a page with a hundred pictures at once, and a map its tiles
 * at each step of a zoom; nobody honest is near the others. */
static const struct {
    uint32_t burst, rate;
} budgets[H2_ABUSE_COUNT] = {
    [H2_ABUSE_RESETS] = { 500, 100 },  [H2_ABUSE_OUR_RESETS] = { 100, 10 }, [H2_ABUSE_SETTINGS] = { 32, 2 },
    [H2_ABUSE_PING] = { 100, 10 },     [H2_ABUSE_PRIORITY] = { 512, 100 },  [H2_ABUSE_EMPTY] = { 100, 50 },
    [H2_ABUSE_WINDOW] = { 2000, 200 }, [H2_ABUSE_UNKNOWN] = { 200, 20 },   [H2_ABUSE_REFUSED] = { 1000, 100 },
};

static const char *const whys[H2_ABUSE_COUNT] = {
    [H2_ABUSE_NONE] = "",
#define X(id, name, doc) [H2_ABUSE_##id] = "too many " doc,
    H2_ABUSES(X)
#undef X
};

void h2_frame_read(const uint8_t p[H2_FRAME_HEAD], struct h2_frame *out)
{
    out->length = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
    out->type = p[3];
    out->flags = p[4];
    out->id = ((uint32_t)p[5] << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8]) & 0x7fffffff;
}

void h2_frame_write(uint8_t p[H2_FRAME_HEAD], const struct h2_frame *frame)
{
    const uint8_t bytes[H2_FRAME_HEAD] = {
        (uint8_t)(frame->length >> 16), (uint8_t)(frame->length >> 8), (uint8_t)frame->length,
        frame->type, frame->flags,
        (uint8_t)(frame->id >> 24), (uint8_t)(frame->id >> 16), (uint8_t)(frame->id >> 8), (uint8_t)frame->id,
    };
    memcpy(p, bytes, sizeof(bytes));
}

void h2_guard_init(struct h2_guard *guard, enum h2_role role, uint32_t block_most, uint64_t now_ms)
{
    *guard = (struct h2_guard){ .role = role, .goaway_id = UINT32_MAX, .block_most = block_most };
    for (unsigned i = 0; i < H2_ABUSE_COUNT; i++)
        guard->budgets[i] = (struct h2_budget){ .left = budgets[i].burst, .at_ms = now_ms };
}

/* -- streams that are not open ------------------------------------------------------------------------------------- */

void h2_guard_reset(struct h2_guard *guard, uint32_t id)
{
    uint32_t *place = &guard->our_resets[guard->our_resets_at++ % H2_OUR_RESETS_KEPT];

    if (*place > guard->forgotten_reset)
        guard->forgotten_reset = *place;
    *place = id;
}

void h2_guard_opened(struct h2_guard *guard, uint32_t id)
{
    if (id > guard->last_id)
        guard->last_id = id;
}

void h2_guard_closed(struct h2_guard *guard, uint32_t id)
{
    guard->closed[id / 2 % H2_CLOSED_KEPT] = id;
}

static bool we_reset(const struct h2_guard *guard, uint32_t id)
{
    for (unsigned i = 0; i < H2_OUR_RESETS_KEPT; i++)
        if (guard->our_resets[i] == id)
            return true;
    /* A client takes back as many at once as its own clients do; what is on its way then is no server's fault. */
    return guard->role == H2_CLIENT && id <= guard->forgotten_reset;
}

/* Streams are opened by rising numbers: one that was passed over is none that was closed. */
static bool was_open(const struct h2_guard *guard, uint32_t id)
{
    return guard->closed[id / 2 % H2_CLOSED_KEPT] == id;
}

enum h2_state h2_guard_state(const struct h2_guard *guard, uint32_t id)
{
    return id > guard->last_id || id % 2 == 0 ? H2_IDLE : H2_CLOSED;
}

/* -- budgets ------------------------------------------------------------------------------------------------------- */

bool h2_guard_count(struct h2_guard *guard, enum h2_abuse what, uint32_t n, uint64_t now_ms, struct h2_fault *fault)
{
    struct h2_budget *budget = &guard->budgets[what];
    uint64_t back = (now_ms - budget->at_ms) * budgets[what].rate / 1000;

    if (back) {
        uint64_t left = budget->left + back;
        budget->left = left < budgets[what].burst ? (uint32_t)left : budgets[what].burst;
        budget->at_ms = now_ms;
    }
    if (n <= budget->left) {
        budget->left -= n;
        return true;
    }
    *fault = (struct h2_fault){ H2_ENHANCE_YOUR_CALM, what, whys[what] };
    return false;
}

static void earn(struct h2_guard *guard, enum h2_abuse what, uint64_t more)
{
    struct h2_budget *budget = &guard->budgets[what];
    uint64_t left = budget->left + more;

    budget->left = left < budgets[what].burst ? (uint32_t)left : budgets[what].burst;
}

/* Receivers measure the way with a PING behind content, one at a time, as gRPC's do. */
void h2_guard_sent(struct h2_guard *guard, uint64_t bytes)
{
    earn(guard, H2_ABUSE_WINDOW, bytes / BYTES_PER_WINDOW_UPDATE + 1);
    earn(guard, H2_ABUSE_PING, 1);
}

/* -- frames -------------------------------------------------------------------------------------------------------- */

static enum h2_verdict refuse(struct h2_fault *fault, enum h2_code code, const char *why)
{
    *fault = (struct h2_fault){ code, H2_ABUSE_NONE, why };
    return H2_BREAK;
}

static enum h2_verdict counted(struct h2_guard *guard, enum h2_abuse what, enum h2_verdict otherwise, uint64_t now_ms,
                               struct h2_fault *fault)
{
    return h2_guard_count(guard, what, 1, now_ms, fault) ? otherwise : H2_BREAK;
}

/* RFC 9113 5.1, closed: what a peer sent before it knew of our reset is ignored, all else is an error. */
static enum h2_verdict closed_stream(const struct h2_guard *guard, const struct h2_frame *frame,
                                     struct h2_fault *fault)
{
    if (we_reset(guard, frame->id) || frame->id > guard->goaway_id)
        return H2_PASS; /* nghttp2 unpacks the heads, counts the content, and drops both */
    if (frame->type == H2_HEADERS && !was_open(guard, frame->id))
        return refuse(fault, H2_PROTOCOL_ERROR, "stream number that goes back");
    return refuse(fault, H2_STREAM_CLOSED, "frame on a closed stream");
}

static void begin_block(struct h2_guard *guard, const struct h2_frame *frame)
{
    guard->block_id = frame->flags & H2_FLAG_END_HEADERS ? 0 : frame->id;
    guard->block_bytes = frame->length;
    guard->block_frames = 1;
}

static enum h2_verdict headers(struct h2_guard *guard, const struct h2_frame *frame, enum h2_state state,
                               struct h2_fault *fault)
{
    enum h2_verdict verdict = H2_PASS;

    if (frame->id % 2 == 0)
        return refuse(fault, H2_PROTOCOL_ERROR, "head on a stream that no client opens");
    if (state == H2_IDLE && guard->role == H2_CLIENT)
        return refuse(fault, H2_PROTOCOL_ERROR, "head on an idle stream");
    if (state == H2_HALF_CLOSED)
        return refuse(fault, H2_STREAM_CLOSED, "head behind the end of its stream");
    if (state == H2_CLOSED)
        verdict = closed_stream(guard, frame, fault);
    if (verdict != H2_PASS)
        return verdict;
    if (state == H2_IDLE)
        guard->last_id = frame->id;
    begin_block(guard, frame);
    return H2_PASS;
}

static enum h2_verdict continuation(struct h2_guard *guard, const struct h2_frame *frame, struct h2_fault *fault)
{
    guard->block_bytes += frame->length; /* a frame is 16 KB at most, and so it does not wrap */
    if (++guard->block_frames > BLOCK_FRAMES_MOST || guard->block_bytes > guard->block_most) {
        *fault = (struct h2_fault){ H2_ENHANCE_YOUR_CALM, H2_ABUSE_CONTINUATION, whys[H2_ABUSE_CONTINUATION] };
        return H2_BREAK;
    }
    if (frame->flags & H2_FLAG_END_HEADERS)
        guard->block_id = 0;
    return H2_PASS;
}

static enum h2_verdict data(struct h2_guard *guard, const struct h2_frame *frame, enum h2_state state,
                            uint64_t now_ms, struct h2_fault *fault)
{
    if (state == H2_IDLE)
        return refuse(fault, H2_PROTOCOL_ERROR, "DATA on an idle stream");
    if (state == H2_HALF_CLOSED)
        return refuse(fault, H2_STREAM_CLOSED, "DATA behind the end of its stream");
    if (state == H2_CLOSED)
        return closed_stream(guard, frame, fault);
    bool is_empty = frame->length <= (frame->flags & H2_FLAG_PADDED ? 256 : 0);
    if (is_empty && !(frame->flags & H2_FLAG_END_STREAM))
        return counted(guard, H2_ABUSE_EMPTY, H2_PASS, now_ms, fault);
    return H2_PASS;
}

/* A reset counts, whether the answer was whole by then or not: how fast we were changes nothing. A server that resets a
 * stream has been asked for it: of these there are no more than there are requests. */
static enum h2_verdict about_stream(struct h2_guard *guard, const struct h2_frame *frame, enum h2_state state,
                                    uint64_t now_ms, struct h2_fault *fault)
{
    if (state == H2_IDLE)
        return refuse(fault, H2_PROTOCOL_ERROR, "frame on an idle stream");
    if (frame->type == H2_WINDOW_UPDATE)
        return counted(guard, H2_ABUSE_WINDOW, H2_PASS, now_ms, fault);
    if (guard->role == H2_CLIENT && (state != H2_CLOSED || we_reset(guard, frame->id)))
        return H2_PASS;
    return counted(guard, guard->role == H2_CLIENT ? H2_ABUSE_UNKNOWN : H2_ABUSE_RESETS, H2_PASS, now_ms, fault);
}

/* RFC 9113 5.3.2 leaves them without effect, and so they get no further than here. */
static enum h2_verdict priority(struct h2_guard *guard, const struct h2_frame *frame, uint64_t now_ms,
                                struct h2_fault *fault)
{
    if (frame->id == 0)
        return refuse(fault, H2_PROTOCOL_ERROR, "PRIORITY without a stream");
    if (frame->length != 5)
        return refuse(fault, H2_FRAME_SIZE_ERROR, "PRIORITY of another size than 5");
    return counted(guard, H2_ABUSE_PRIORITY, H2_DROP, now_ms, fault);
}

static enum h2_verdict of_connection(struct h2_guard *guard, const struct h2_frame *frame, uint64_t now_ms,
                                     struct h2_fault *fault)
{
    if (frame->id)
        return refuse(fault, H2_PROTOCOL_ERROR, "frame of the connection on a stream");
    switch (frame->type) {
    case H2_SETTINGS:
        return counted(guard, H2_ABUSE_SETTINGS, H2_PASS, now_ms, fault);
    case H2_PING:
        return counted(guard, H2_ABUSE_PING, H2_PASS, now_ms, fault);
    case H2_PRIORITY_UPDATE:
        if (guard->role == H2_CLIENT) /* RFC 9218 7.1 */
            return refuse(fault, H2_PROTOCOL_ERROR, "PRIORITY_UPDATE from a server");
        return counted(guard, H2_ABUSE_PRIORITY, H2_PASS, now_ms, fault);
    default:
        return counted(guard, H2_ABUSE_UNKNOWN, H2_PASS, now_ms, fault);
    }
}

enum h2_verdict h2_guard_frame(struct h2_guard *guard, const struct h2_frame *frame, enum h2_state state,
                               uint64_t now_ms, struct h2_fault *fault)
{
    if (frame->length > H2_FRAME_MOST)
        return refuse(fault, H2_FRAME_SIZE_ERROR, "frame larger than 16384 bytes");
    if (!guard->settled && (frame->type != H2_SETTINGS || frame->flags & H2_FLAG_ACK))
        return refuse(fault, H2_PROTOCOL_ERROR, "no SETTINGS behind the preface");
    guard->settled = true;
    if (guard->block_id && (frame->type != H2_CONTINUATION || frame->id != guard->block_id))
        return refuse(fault, H2_PROTOCOL_ERROR, "header block interrupted");
    switch (frame->type) {
    case H2_DATA:
        return data(guard, frame, frame->id ? state : H2_IDLE, now_ms, fault);
    case H2_HEADERS:
        return headers(guard, frame, state, fault);
    case H2_PRIORITY:
        return priority(guard, frame, now_ms, fault);
    case H2_RST_STREAM:
    case H2_WINDOW_UPDATE:
        return about_stream(guard, frame, frame->type == H2_RST_STREAM && !frame->id ? H2_IDLE : state, now_ms, fault);
    case H2_SETTINGS:
    case H2_PING:
    case H2_GOAWAY:
    case H2_PRIORITY_UPDATE:
        return of_connection(guard, frame, now_ms, fault);
    case H2_PUSH_PROMISE:
        return refuse(fault, H2_PROTOCOL_ERROR,
                      guard->role == H2_CLIENT ? "PUSH_PROMISE, which was forbidden" : "PUSH_PROMISE from a client");
    case H2_CONTINUATION:
        if (!guard->block_id)
            return refuse(fault, H2_PROTOCOL_ERROR, "CONTINUATION without a header block");
        return continuation(guard, frame, fault);
    default:
        return counted(guard, H2_ABUSE_UNKNOWN, H2_DROP, now_ms, fault);
    }
}
