/* SPDX-License-Identifier: BSD-2-Clause */
/* h2_guard.h: HTTP/2 frames looked at before anything acts on them: what the stream's state forbids, and how much is
 * taken of what costs the receiver more than the sender.
 *
 * Shape:   a verdict for each frame header, by the role that we have on the connection: streams are opened by clients.
 *          Budgets are token buckets: a burst, and what comes back per second.
 * Thread:  the connection's; the clock is passed in.
 * Source:  RFC 9113 4, 5.1, 6, 10.5. */
#ifndef HTTP_H2_GUARD_H
#define HTTP_H2_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum h2_code {
    H2_NO_ERROR,
    H2_PROTOCOL_ERROR,
    H2_INTERNAL_ERROR,
    H2_FLOW_CONTROL_ERROR,
    H2_SETTINGS_TIMEOUT,
    H2_STREAM_CLOSED,
    H2_FRAME_SIZE_ERROR,
    H2_REFUSED_STREAM,
    H2_CANCEL,
    H2_COMPRESSION_ERROR,
    H2_CONNECT_ERROR,
    H2_ENHANCE_YOUR_CALM,
};

enum h2_type {
    H2_DATA, H2_HEADERS, H2_PRIORITY, H2_RST_STREAM, H2_SETTINGS, H2_PUSH_PROMISE, H2_PING, H2_GOAWAY,
    H2_WINDOW_UPDATE, H2_CONTINUATION, H2_PRIORITY_UPDATE = 16
};
enum { H2_FLAG_ACK = 1, H2_FLAG_END_STREAM = 1, H2_FLAG_END_HEADERS = 4, H2_FLAG_PADDED = 8, H2_FRAME_HEAD = 9,
       H2_FRAME_MOST = 16384 };

struct h2_frame {
    uint32_t length, id;
    uint8_t type, flags;
};
void h2_frame_read(const uint8_t p[H2_FRAME_HEAD], struct h2_frame *out);
void h2_frame_write(uint8_t p[H2_FRAME_HEAD], const struct h2_frame *frame);

/* What a peer can do too much of. */
#define H2_ABUSES(X) \
    X(RESETS, "rapid_reset", "streams that were opened and reset") \
    X(OUR_RESETS, "provoked_reset", "streams that weir was made to reset") \
    X(REFUSED, "refused_streams", "streams beyond those that were announced") \
    X(CONTINUATION, "continuation", "header blocks in too many frames, or too large") \
    X(HEADER_LIST, "header_list", "header lists that unpack to too much") \
    X(SETTINGS, "settings", "SETTINGS frames") \
    X(PING, "ping", "PING frames") \
    X(PRIORITY, "priority", "PRIORITY and PRIORITY_UPDATE frames") \
    X(EMPTY, "empty_data", "DATA frames without content") \
    X(WINDOW, "window", "WINDOW_UPDATE frames, beyond what was sent") \
    X(UNKNOWN, "unknown", "frames of unknown types, and others that nothing follows from")

enum h2_abuse {
    H2_ABUSE_NONE,
#define X(id, name, doc) H2_ABUSE_##id,
    H2_ABUSES(X)
#undef X
    H2_ABUSE_COUNT
};

struct h2_budget {
    uint32_t left;
    uint64_t at_ms; /* when it was last filled up */
};

enum { H2_OUR_RESETS_KEPT = 64, H2_CLOSED_KEPT = 64 };

enum h2_role { H2_SERVER, H2_CLIENT }; /* ours */

struct h2_guard {
    enum h2_role role;
    struct h2_budget budgets[H2_ABUSE_COUNT];
    uint32_t last_id;      /* the highest stream that was opened */
    uint32_t goaway_id;    /* streams above it are not taken; UINT32_MAX: all are */
    uint32_t block_id;     /* whose header block has begun and not ended; 0: none */
    uint32_t block_bytes, block_frames, block_most;
    bool settled;          /* the first SETTINGS has come */
    uint32_t our_resets[H2_OUR_RESETS_KEPT]; /* a ring: what the peer sent before it knew is no fault */
    uint32_t our_resets_at;
    uint32_t forgotten_reset; /* the highest that left the ring */
    uint32_t closed[H2_CLOSED_KEPT];         /* streams that were open, by (id / 2) modulo */
};

enum h2_state { H2_IDLE, H2_OPEN, H2_HALF_CLOSED, H2_CLOSED }; /* of a stream, as the peer's frames are concerned */
enum h2_verdict { H2_PASS, H2_DROP, H2_BREAK };

struct h2_fault {
    enum h2_code code;
    enum h2_abuse abuse;
    const char *why;
};

void h2_guard_init(struct h2_guard *guard, enum h2_role role, uint32_t block_most, uint64_t now_ms);
/* The state of a stream that is not open. */
enum h2_state h2_guard_state(const struct h2_guard *guard, uint32_t id);
/* On H2_BREAK *fault says why. H2_DROP: its payload is skipped. */
enum h2_verdict h2_guard_frame(struct h2_guard *guard, const struct h2_frame *frame, enum h2_state state,
                               uint64_t now_ms, struct h2_fault *fault);
/* n of a kind that frame headers do not show: false when that was too much. */
bool h2_guard_count(struct h2_guard *guard, enum h2_abuse what, uint32_t n, uint64_t now_ms, struct h2_fault *fault);
void h2_guard_sent(struct h2_guard *guard, uint64_t bytes); /* content: it earns WINDOW_UPDATEs, and a PING */
void h2_guard_opened(struct h2_guard *guard, uint32_t id);  /* by us, a client */
void h2_guard_reset(struct h2_guard *guard, uint32_t id);   /* we reset it */
void h2_guard_closed(struct h2_guard *guard, uint32_t id);  /* it is over, one way or another */

#endif
