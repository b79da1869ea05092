/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/chars.h"
#include "http/uri.h"
#include "http/uri_errors.h"

#include <arpa/inet.h>

enum { HOST_MOST = 255 };

static bool is_ipv6(str s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (s.n >= sizeof text || memchr(s.p, '\0', s.n))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

static const char *parse_port(str digits, uint16_t *port)
{
    uint32_t value = 0;

    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return "port is no number";
        if (i == 5)
            return "port out of range";
        value = value * 10 + (uint32_t)(digits.p[i] - '0');
    }
    if (digits.n && (value == 0 || value > UINT16_MAX))
        return "port out of range";
    *port = (uint16_t)value; /* "host:" is the same as "host" (RFC 3986 6.2.3) */
    return NULL;
}

/* Cuts the host, validated, off the front of an authority that is not empty. */
static const char *cut_host(str authority, str *host, str *rest, bool *is_lower)
{
    const char *p = authority.p, *end = p + authority.n;
    unsigned seen = 0;

    if (*p == '[') {
        const char *close = memchr(p, ']', authority.n);

        if (!close || !is_ipv6((str){ p + 1, (size_t)(close - p - 1) }))
            return "invalid IPv6 address in the host";
        p = close + 1;
        *is_lower = false;
    } else {
        for (; p < end && char_is(*p, CHAR_HOST | CHAR_UPPER); p++) {
            seen |= char_classes[(uint8_t)*p];
            if (*p == '.' && (p == authority.p || p[-1] == '.'))
                return "empty label in the host";
        }
        *is_lower = !(seen & CHAR_UPPER);
    }
    if (p != end && *p != ':')
        return "invalid character in the host";
    *host = (str){ authority.p, (size_t)(p - authority.p) };
    *rest = (str){ p, (size_t)(end - p) };
    return NULL;
}

const char *authority_parse(str authority, struct arena *arena, str *host, uint16_t *port)
{
    const char *why;
    uint16_t number = 0;
    bool is_lower;
    str name, rest;

    if (authority.n == 0)
        return "empty host";
    why = cut_host(authority, &name, &rest, &is_lower);
    if (!why && rest.n)
        why = parse_port(str_from(rest, 1), &number);
    if (why)
        return why;
    if (name.n && name.p[name.n - 1] == '.')
        name.n--;
    if (name.n == 0)
        return "empty host";
    if (name.n > HOST_MOST)
        return "host too long";
    if (!is_lower) {
        name = arena_lower(arena, name);
        if (!name.p)
            return uri_no_memory;
    }
    *host = name;
    *port = number;
    return NULL;
}

/* -- URLs of the configuration ------------------------------------------------------------------------------------- */

enum { SOCKET_PATH_MOST = 107 }; /* sun_path with its NUL */

static const char *parse_unix(str path, struct url *out)
{
    if (path.n == 0)
        return "unix: without a path";
    if (path.n > SOCKET_PATH_MOST)
        return "socket path longer than 107 bytes";
    if (memchr(path.p, '\0', path.n))
        return "socket path with a NUL";
    *out = (struct url){ .is_unix = true, .host = path };
    return NULL;
}

const char *url_parse(str text, struct arena *arena, struct url *out)
{
    struct url url = { .port = 80 };
    const char *why;
    uint16_t port = 0;
    str rest, match;
    size_t n;

    if (str_has_prefix(text, S("unix:")))
        return parse_unix(str_from(text, 5), out);
    if (str_has_prefix_nocase(text, S("https://"))) {
        url.is_tls = true;
        url.port = 443;
    } else if (!str_has_prefix_nocase(text, S("http://"))) {
        return "no http://, https:// or unix: URL";
    }
    rest = str_from(text, url.is_tls ? 8 : 7);
    if (str_find(rest, '?') != rest.n || str_find(rest, '#') != rest.n)
        return "URL with a query or a fragment";
    n = str_find(rest, '/');
    if (str_find(str_upto(rest, n), '@') != (n < rest.n ? n : rest.n))
        return "URL with a user name";
    why = authority_parse(str_upto(rest, n), arena, &url.host, &port);
    if (why)
        return why;
    if (port)
        url.port = port;
    if (url.host.p[0] == '[')
        url.host = (str){ url.host.p + 1, url.host.n - 2 };
    if (n < rest.n) {
        why = uri_normalize_path(str_from(rest, n), arena, &url.path, &match);
        if (why)
            return why;
    }
    *out = url;
    return NULL;
}
