/* SPDX-License-Identifier: BSD-2-Clause */
/* h1.h: HTTP/1.1 messages: bytes in, events out; strict, so that no two parsers can read one message differently.
 *
 * Shape:   a head is searched for its end as bytes arrive (h1_scan), then parsed in one piece; names and values are
 *          slices of the buffer, which must stay put as long as they are used. Bodies are framed by h1_body, chunk by
 *          chunk.
 * Units:   bytes.
 * Errors:  struct h1_error: the status to answer with (requests) and a static reason; a response's errors carry 502.
 *          h1_scan and h1_body cannot know whose bytes they see: for a response their status stands for 502. 500: out
 *          of memory. After H1_BAD the output holds what was understood up to there (for the log); the fields likewise.
 * Source:  RFC 9112 2-7, RFC 9110 5, 6, 8.6, 10.1.1. */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "base/chain.h"
#include "base/out.h"
#include "http/field.h"
#include "http/uri.h"

struct h1_error {
    int status;
    const char *why; /* static text */
};

enum h1_rc { H1_MORE, H1_DONE, H1_BAD };

struct h1_limits {
    uint32_t head_bytes; /* max_header_size: start line and fields; longer: 431 (414 when the start line alone is) */
    uint32_t fields;     /* max_headers */
};

/* -- heads --------------------------------------------------------------------------------------------------------- */

/* Looks for the end of a head (CRLF CRLF), going on where it stopped. Refuses bare LF, bare CR, NUL and other control
 * characters as soon as they are seen. p is where the head begins, in every call; head_bytes counts the final empty
 * line too. */
struct h1_scan {
    uint32_t seen;       /* bytes looked at so far */
    uint32_t line_start; /* offset of the line that is being read */
};
enum h1_rc h1_scan(struct h1_scan *scan, const char *p, size_t n, const struct h1_limits *limits, size_t *head_bytes,
                   struct h1_error *error);

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE };

struct h1_request {
    str method;
    str target;
    struct uri uri;
    int minor; /* HTTP/1.minor, 0 or 1 (an HTTP/1.x above 1 is taken as 1) */
    str host;  /* lower case, without port and trailing dot; empty when HTTP/1.0 without Host */
    uint16_t host_port;
    str host_field; /* as to be sent on: the Host field's value or the absolute form's authority */
    enum body_kind body;
    uint64_t content_length;
    bool keep_alive;
    bool expects_continue;
    str upgrade; /* the Upgrade field, only when Connection names it, in HTTP/1.1 */
};

/* head: exactly what h1_scan delimited (one leading CRLF already dropped by the caller with h1_skip_empty_line). fields
 * must be empty and live in the arena. H1_DONE or H1_BAD. Refuses with 400 what section 3.2, 5, 6.3 call for (missing
 * or several Host, both framings, differing Content-Length, Transfer-Encoding other than one final chunked,
 * Transfer-Encoding in HTTP/1.0, obs-fold, white space before a colon, Host that differs from an absolute form is
 * replaced by it, Connection that names a field meant for all recipients), 501 for unknown transfer codings, 505 for
 * other major versions. CONNECT: 501. Equal Content-Length values repeated or listed are also refused. 417 for
 * expectations other than 100-continue. An absolute form's authority stands in the fields as Host afterwards; in
 * OPTIONS without path it becomes the asterisk form. */
enum h1_rc h1_parse_request(str head, const struct h1_limits *limits, struct arena *arena, struct fields *fields,
                            struct h1_request *out, struct h1_error *error);
/* 2 when p begins with CRLF, else 0; need_more when p is just CR */
size_t h1_skip_empty_line(const char *p, size_t n, bool *need_more);

struct h1_response {
    int status; /* 100 to 599 */
    str reason;
    int minor;
    enum body_kind body;
    uint64_t content_length;
    bool has_length;  /* Content-Length was there, even when there is no body (HEAD, 304) */
    bool keep_alive;
    str upgrade; /* in a 101 */
};
/* to_head: the request was HEAD. 204, 304 and answers to HEAD have no body whatever they say (a 204 that announces one
 * all the same is not keep_alive, a 1xx that does so is refused). */
enum h1_rc h1_parse_response(str head, const struct h1_limits *limits, bool to_head, struct arena *arena,
                             struct fields *fields, struct h1_response *out, struct h1_error *error);

/* -- bodies -------------------------------------------------------------------------------------------------------- */

struct h1_body {
    enum body_kind kind;
    uint64_t left;       /* of the length or of the chunk */
    uint64_t received;   /* content bytes so far */
    uint32_t state;      /* chunked: where in the framing */
    uint32_t line_bytes; /* of the present framing line or of the trailer section */
    uint32_t extension_bytes; /* in this message: bounded */
    struct h1_limits limits;
    struct arena *arena;     /* trailers are copied here */
    struct fields *trailers; /* filled when trailers arrive; may be NULL: then they are checked and dropped */
    str line;                /* trailer line being gathered */
    uint32_t line_room;      /* of the buffer that it is gathered in */
    uint32_t trailer_lines;
};
enum h1_event { H1_BODY_MORE, H1_BODY_DATA, H1_BODY_END, H1_BODY_BAD };

void h1_body_init(struct h1_body *body, enum body_kind kind, uint64_t content_length, const struct h1_limits *limits,
                  struct arena *arena, struct fields *trailers);
/* Looks at n bytes at p, says how many were used up (framing and content), and for H1_BODY_DATA which of them are
 * content (a slice of p). Call again with the rest, even when that is nothing: BODY_LENGTH says END only after its last
 * DATA. BODY_UNTIL_CLOSE never ends by itself. used never counts bytes behind the message. Trailer fields that carry
 * framing, routing, identity or hop-by-hop meaning (Content-Length, Transfer-Encoding, Host, Connection, Authorization,
 * Cookie, Set-Cookie, Content-*, X-Forwarded-*, ...) are dropped. */
enum h1_event h1_body_feed(struct h1_body *body, const char *p, size_t n, size_t *used, str *data,
                           struct h1_error *error);

/* -- writing ------------------------------------------------------------------------------------------------------- */

/* "GET path HTTP/1.1" CRLF, fields as given, CRLF. Nothing is added: the caller sets Host, framing, Connection. */
void h1_put_request(struct out *out, str method, str path, str query, bool has_query, const struct fields *fields);
/* "HTTP/1.1 200 OK" CRLF, fields as given, CRLF */
void h1_put_response(struct out *out, int status, str reason, const struct fields *fields);
size_t h1_fields_size(const struct fields *fields); /* bytes that the fields take on the wire */
size_t h1_put_chunk_head(char out[18], uint64_t n); /* hex size and CRLF; how many bytes */
/* All of content (not nothing) as one chunk behind what `to` holds; little of it is copied, so that a flood of small
 * chunks fills blocks. False without memory. */
bool h1_append_chunk(struct chain *to, struct chain *content);
void h1_put_trailers(struct out *out, const struct fields *trailers); /* the last chunk, trailers and the empty line */
str status_reason(int status); /* "Not Found"; "Unknown" for others */

#endif
