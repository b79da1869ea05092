/* SPDX-License-Identifier: BSD-2-Clause */
/* uri.h: request targets and authorities in one normal form, so that what is routed is what is forwarded.
 *
 * Shape:   path is the normal form: percent-encoded unreserved characters decoded, other escapes upper-case hex, bytes
 *          that no URI may hold encoded, dot segments removed (RFC 3986 6.2.2), `//` kept. match is path with runs of
 *          `/` folded into one: routes are compared with it. When nothing had to be changed both point into the target
 *          itself.
 * Owner:   slices of the target or of the arena.
 * Errors:  a static reason; the output is then unspecified.
 * Source:  RFC 3986 3, 5.2.4, 6.2.2; RFC 9112 3.2 (request target forms); RFC 9110 4.2.4 (no userinfo), 7.2 (Host). */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include "base/arena.h"

enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_AUTHORITY, TARGET_ASTERISK };

struct uri {
    enum target_form form;
    str scheme;    /* absolute form only, lower case */
    str authority; /* absolute and authority form */
    str path;      /* begins with '/' ("*" in asterisk form) */
    str match;
    str query;     /* as received, without '?'; has_query tells "?" with nothing behind from none */
    bool has_query;
};

/* NULL and *out filled, or why the target is refused (a 400). method "CONNECT" wants authority form. */
const char *uri_parse_target(str target, bool is_connect, struct arena *arena, struct uri *out);
/* The same for a path alone; also for those in the configuration. */
const char *uri_normalize_path(str raw, struct arena *arena, str *path, str *match);

/* host[:port]: a registered name, IPv4 or [IPv6] (the brackets stay), lower-cased into the arena when needed, one
 * trailing dot dropped; port 0 when absent. Refused although RFC 3986 has them: escapes, "*" and "," in names,
 * IPvFuture, zones, empty labels. */
const char *authority_parse(str authority, struct arena *arena, str *host, uint16_t *port);

/* http://, https:// and unix: URLs of the configuration. path is empty when the URL has none. */
struct url {
    bool is_tls, is_unix;
    str host; /* an IPv6 address without brackets; or the socket's path */
    uint16_t port; /* 80 or 443 when the URL has none */
    str path; /* in normal form; with '/', or empty */
};
const char *url_parse(str text, struct arena *arena, struct url *out);

str uri_decode(str s, struct arena *arena); /* %XX decoded; {NULL, 0} when an escape is broken or memory is out */

#endif
