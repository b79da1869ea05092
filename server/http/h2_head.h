/* SPDX-License-Identifier: BSD-2-Clause */
/* h2_head.h: heads of HTTP/2 messages: fields one by one as HPACK unpacks them, then what they mean together.
 *
 * Shape:   h2_head_begin, h2_head_take for each field, h2_head_request or _response at the end. What is malformed
 *          (RFC 9113 8.1.1) is remembered, and the rest is read all the same, as the peer's tables must stay in step.
 * Owner:   names and values are copied into the arena; known names in their canonical spelling.
 * Errors:  malformed: the stream is to be reset with PROTOCOL_ERROR. status and why: a request to be answered so; a
 *          response is beyond a limit.
 * Source:  RFC 9113 8, RFC 8441 4, RFC 9218 4. */
#ifndef HTTP_H2_HEAD_H
#define HTTP_H2_HEAD_H

#include "http/h1.h"

struct h2_head_limits { /* 431 above them */
    uint32_t head_bytes; /* of names and values */
    uint32_t fields;
};
uint64_t h2_head_list_most(const struct h2_head_limits *limits); /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */

enum h2_head_kind { H2_HEAD_REQUEST, H2_HEAD_RESPONSE, H2_HEAD_TRAILERS };

struct h2_head {
    enum h2_head_kind kind;
    str method, scheme, authority, path, protocol;
    str code; /* :status */
    const char *malformed; /* static; the first reason */
    int status;            /* to be answered so; 0: fine */
    const char *why;
    uint64_t list_bytes;
    uint32_t count;
    unsigned pseudo;       /* which ones were there: a bit each */
    bool regular;          /* a field that is none of them was there */
    unsigned hosts, cookies;
    str host;
    bool has_length, expects_continue;
    uint64_t length;
    bool has_priority, incremental;
    unsigned urgency;
};

void h2_head_begin(struct h2_head *head, enum h2_head_kind kind);
/* False: it is so much that the connection should end. Trailers that may not be such are dropped. */
bool h2_head_take(struct h2_head *head, const struct h2_head_limits *limits, struct arena *arena,
                  struct fields *fields, str name, str value);

struct h2_request {
    str method;
    struct uri uri; /* scheme is always there */
    str host;
    uint16_t host_port;
    str host_field;
    enum body_kind body; /* BODY_CHUNKED: of unknown length */
    uint64_t content_length;
    bool expects_continue;
    str protocol; /* extended CONNECT: what the stream is to become; method is CONNECT then */
};
/* Behind the last field: Host stands in the fields, cookies are one field again. False: head says why. */
bool h2_head_request(struct h2_head *head, bool end, struct arena *arena, struct fields *fields,
                     struct h2_request *out);

/* What a response answers. */
struct h2_asked {
    bool head;    /* its length says nothing of content */
    bool connect; /* success has neither length nor end */
};
/* Likewise of a response, interim ones too: as HTTP/1's would be read. */
bool h2_head_response(struct h2_head *head, bool end, struct h2_asked asked, struct h1_response *out);

#endif
