/* SPDX-License-Identifier: BSD-2-Clause */
/* field.h: header and trailer fields: an ordered list of names and values.
 *
 * Shape:   names as received (compared without case); known names carry a small integer, so that most look-ups compare
 *          integers.
 * Owner:   the list's array lies in its arena; names and values are slices of a pinned buffer or of the arena.
 * Thread:  the request's worker.
 * Errors:  false without memory, or when a name is no token or a value holds CR, LF, NUL (nothing is added then).
 * Source:  RFC 9110 5 (fields), 7.6.1 (hop-by-hop). */
#ifndef HTTP_FIELD_H
#define HTTP_FIELD_H

#include "base/arena.h"

/* The names this server itself asks for: X(id, name), in any order. field_intern() finds them by a perfect hash. */
#define FIELD_NAMES(X) \
    X(ACCEPT, "Accept") X(ACCEPT_ENCODING, "Accept-Encoding") X(ACCEPT_LANGUAGE, "Accept-Language") \
    X(ACCEPT_RANGES, "Accept-Ranges") X(AGE, "Age") X(ALLOW, "Allow") X(ALT_SVC, "Alt-Svc") \
    X(AUTHORIZATION, "Authorization") X(CACHE_CONTROL, "Cache-Control") X(CONNECTION, "Connection") \
    X(CONTENT_DISPOSITION, "Content-Disposition") X(CONTENT_ENCODING, "Content-Encoding") \
    X(CONTENT_LANGUAGE, "Content-Language") X(CONTENT_LENGTH, "Content-Length") \
    X(CONTENT_LOCATION, "Content-Location") X(CONTENT_RANGE, "Content-Range") \
    X(CONTENT_SECURITY_POLICY, "Content-Security-Policy") X(CONTENT_TYPE, "Content-Type") X(COOKIE, "Cookie") \
    X(DATE, "Date") X(ETAG, "ETag") X(EXPECT, "Expect") X(EXPIRES, "Expires") X(FORWARDED, "Forwarded") \
    X(HOST, "Host") X(HTTP2_SETTINGS, "HTTP2-Settings") X(IF_MATCH, "If-Match") \
    X(IF_MODIFIED_SINCE, "If-Modified-Since") X(IF_NONE_MATCH, "If-None-Match") X(IF_RANGE, "If-Range") \
    X(IF_UNMODIFIED_SINCE, "If-Unmodified-Since") X(KEEP_ALIVE, "Keep-Alive") X(LAST_MODIFIED, "Last-Modified") \
    X(LINK, "Link") X(LOCATION, "Location") X(MAX_FORWARDS, "Max-Forwards") X(ORIGIN, "Origin") X(PRAGMA, "Pragma") \
    X(PROXY_AUTHENTICATE, "Proxy-Authenticate") X(PROXY_AUTHORIZATION, "Proxy-Authorization") \
    X(PROXY_CONNECTION, "Proxy-Connection") X(RANGE, "Range") X(REFERER, "Referer") X(RETRY_AFTER, "Retry-After") \
    X(SERVER, "Server") X(SET_COOKIE, "Set-Cookie") X(STRICT_TRANSPORT_SECURITY, "Strict-Transport-Security") \
    X(TE, "TE") X(TRAILER, "Trailer") X(TRANSFER_ENCODING, "Transfer-Encoding") X(UPGRADE, "Upgrade") \
    X(USER_AGENT, "User-Agent") X(VARY, "Vary") X(VIA, "Via") X(WWW_AUTHENTICATE, "WWW-Authenticate") \
    X(X_ACCEL_BUFFERING, "X-Accel-Buffering") X(X_CONTENT_TYPE_OPTIONS, "X-Content-Type-Options") \
    X(X_FORWARDED_FOR, "X-Forwarded-For") X(X_FORWARDED_HOST, "X-Forwarded-Host") \
    X(X_FORWARDED_PORT, "X-Forwarded-Port") X(X_FORWARDED_PROTO, "X-Forwarded-Proto") X(X_REAL_IP, "X-Real-IP") \
    X(X_REQUEST_ID, "X-Request-ID")

enum field_id {
    FIELD_OTHER,
#define X(id, name) FIELD_##id,
    FIELD_NAMES(X)
#undef X
    FIELD_COUNT
};

struct field {
    str name, value;
    enum field_id id;
};

struct fields {
    struct arena *arena;
    struct field *items;
    uint32_t count, room;
};

enum field_id field_intern(str name); /* FIELD_OTHER when it is none of ours */
str field_name(enum field_id id);     /* the canonical spelling */

bool field_is_hop_by_hop(enum field_id id); /* whether Connection names it or not (see fields_remove_hop_by_hop) */
bool field_name_is_valid(str name);   /* token (RFC 9110 5.6.2), 1 to 256 bytes */
bool field_value_is_valid(str value); /* no CR, LF, NUL or other control but HTAB (RFC 9110 5.5) */

void fields_init(struct fields *fields, struct arena *arena);
bool fields_grow(struct fields *fields); /* room for more behind count; for the codecs, which fill items themselves */
/* unchecked: for the codecs and constants */
static inline bool fields_append(struct fields *fields, enum field_id id, str name, str value)
{
    if (fields->count == fields->room && !fields_grow(fields))
        return false;
    fields->items[fields->count++] = (struct field){ .name = name, .value = value, .id = id };
    return true;
}
bool fields_add(struct fields *fields, str name, str value);                      /* checked; not copied */
/* the first of that name is replaced in place, others removed */
bool fields_set(struct fields *fields, str name, str value);
bool fields_set_id(struct fields *fields, enum field_id id, str value);
uint32_t fields_remove(struct fields *fields, str name); /* how many were removed */
uint32_t fields_remove_id(struct fields *fields, enum field_id id);

const struct field *fields_find(const struct fields *fields, str name); /* the first; NULL when none */
/* id: of a known name, as in all that take one */
static inline const struct field *fields_find_id(const struct fields *fields, enum field_id id)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id == id)
            return &fields->items[i];
    }
    return NULL;
}
str fields_get(const struct fields *fields, enum field_id id);          /* first value, or {NULL, 0} */
uint32_t fields_count_id(const struct fields *fields, enum field_id id);
/* all values of that name as one list; {NULL, 0} when there are none, or without memory */
str fields_join(const struct fields *fields, enum field_id id, struct arena *arena);
bool fields_has_token(const struct fields *fields, enum field_id id, str token); /* in any list value, without case */
bool fields_copy(struct fields *to, const struct fields *from, struct arena *arena); /* deep: names and values too */

/* Removes Connection, everything it names, and the fixed hop-by-hop names (Keep-Alive, Proxy-Connection, TE, Trailer,
 * Transfer-Encoding, Upgrade, HTTP2-Settings). Fields that framing or routing stand on (Host, Content-Length,
 * Content-Type, ...) are kept even when Connection names them. */
void fields_remove_hop_by_hop(struct fields *fields);

/* Takes the next element of a comma separated list off *rest, trimmed; quoted strings may hold commas; empty elements
 * are passed over. */
bool field_list_next(str *rest, str *element);

#endif
