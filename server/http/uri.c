/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/uri.h"
#include "http/chars.h"
#include "http/uri_errors.h"

const char uri_no_memory[] = "out of memory";

static const char hex_digits[] = "0123456789ABCDEF";

static size_t put_escape(char *to, uint8_t byte)
{
    to[0] = '%';
    to[1] = hex_digits[byte >> 4];
    to[2] = hex_digits[byte & 15];
    return 3;
}

/* -- paths --------------------------------------------------------------------------------------------------------- */

static bool is_upper_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

/* Whether the '%' at p begins an escape that stays as it is. */
static bool is_normal_escape(const char *p, const char *end)
{
    return end - p >= 3 && is_upper_hex(p[1]) && is_upper_hex(p[2]) &&
           !char_is((char)(char_hex(p[1]) << 4 | char_hex(p[2])), CHAR_UNRESERVED);
}

/* Whether the '/' at p is followed by another one, or by a dot segment. */
static bool is_odd_slash(const char *p, const char *end)
{
    if (++p == end || (*p != '.' && *p != '/'))
        return false;
    if (*p == '/')
        return true;
    if (++p < end && *p == '.')
        p++;
    return p == end || *p == '/' || *p == '?';
}

/* The end of the part of a path that is in normal form already, and without runs of slashes. */
static const char *span_normal(const char *p, const char *end)
{
    for (;; p++) {
        while (p < end && char_is(*p, CHAR_PATH))
            p++;
        if (p == end)
            return p;
        if (*p == '%' && is_normal_escape(p, end))
            p += 2;
        else if (*p != '/' || is_odd_slash(p, end))
            return p;
    }
}

/* Writes raw with unreserved escapes decoded and everything else in upper-case escapes: at most three bytes for one. */
static const char *write_escaped(str raw, char *to, size_t *n)
{
    size_t w = 0;

    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];

        if (char_is(c, CHAR_PATH) || c == '/') {
            to[w++] = c;
        } else if (c == '%') {
            int high = i + 2 < raw.n ? char_hex(raw.p[i + 1]) : -1;
            int low = i + 2 < raw.n ? char_hex(raw.p[i + 2]) : -1;

            if (high < 0 || low < 0)
                return "broken percent escape in the path";
            c = (char)(high << 4 | low);
            if (char_is(c, CHAR_UNRESERVED))
                to[w++] = c;
            else
                w += put_escape(to + w, (uint8_t)c);
            i += 2;
        } else if (c == '#') {
            return "fragment in the request target";
        } else if ((uint8_t)c <= 0x20 || c == 0x7f) {
            return "space or control character in the path";
        } else {
            w += put_escape(to + w, (uint8_t)c);
        }
    }
    *n = w;
    return NULL;
}

/* RFC 3986 5.2.4, in place. p begins with '/'. */
static size_t remove_dot_segments(char *p, size_t n)
{
    size_t r = 0, w = 0;

    while (r < n) { /* p[r] is the '/' in front of a segment */
        const char *slash = memchr(p + r + 1, '/', n - r - 1);
        size_t end = slash ? (size_t)(slash - p) : n;
        str segment = { p + r + 1, end - r - 1 };
        bool is_up = str_equal(segment, S(".."));

        if (is_up || str_equal(segment, S("."))) {
            if (is_up) {
                while (w > 0 && p[--w] != '/')
                    ;
            }
            if (end == n)
                p[w++] = '/';
        } else {
            memmove(p + w, p + r, end - r);
            w += end - r;
        }
        r = end;
    }
    return w;
}

static bool fold_slashes(str path, struct arena *arena, str *match)
{
    char *to;
    size_t w = 0;

    if (str_find_str(path, S("//")) == path.n) {
        *match = path;
        return true;
    }
    to = arena_alloc(arena, path.n);
    if (!to)
        return false;
    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] != '/' || w == 0 || to[w - 1] != '/')
            to[w++] = path.p[i];
    }
    *match = (str){ to, w };
    return true;
}

const char *uri_normalize_path(str raw, struct arena *arena, str *path, str *match)
{
    const char *why;
    str normal;
    char *to;

    if (raw.n == 0 || raw.p[0] != '/')
        return "path does not begin with a slash";
    if (span_normal(raw.p, raw.p + raw.n) == raw.p + raw.n) {
        *path = *match = raw;
        return NULL;
    }
    if (raw.n > SIZE_MAX / 4 || !(to = arena_alloc(arena, raw.n * 3)))
        return uri_no_memory;
    why = write_escaped(raw, to, &normal.n);
    if (why)
        return why;
    normal = (str){ to, remove_dot_segments(to, normal.n) };
    if (!fold_slashes(normal, arena, match))
        return uri_no_memory;
    *path = normal;
    return NULL;
}

/* -- targets ------------------------------------------------------------------------------------------------------- */

static const char *parse_path_and_query(str s, struct arena *arena, struct uri *out)
{
    const char *end = s.p + s.n, *mark = span_normal(s.p, end);
    bool is_normal = mark == end || *mark == '?';
    str path;

    if (!is_normal) {
        mark = memchr(mark, '?', (size_t)(end - mark));
        if (!mark)
            mark = end;
    }
    if (mark != end) {
        out->has_query = true;
        out->query = (str){ mark + 1, (size_t)(end - mark - 1) };
        if (chars_span(mark + 1, end, CHAR_QUERY) != end)
            return "space, control character or fragment in the query";
    }
    path = (str){ s.p, (size_t)(mark - s.p) };
    if (path.n == 0)
        path = S("/"); /* an empty path means this one (RFC 9110 4.2.3) */
    if (!is_normal)
        return uri_normalize_path(path, arena, &out->path, &out->match);
    out->path = out->match = path;
    return NULL;
}

/* scheme "://" authority [path] ["?" query] (RFC 9112 3.2.2); only the schemes that this server speaks. */
static const char *parse_absolute(str target, struct arena *arena, struct uri *out)
{
    size_t n;
    str rest;

    if (str_has_prefix_nocase(target, S("http://")))
        out->scheme = S("http");
    else if (str_has_prefix_nocase(target, S("https://")))
        out->scheme = S("https");
    else
        return "request target is no path, and no http or https URL";
    rest = str_from(target, out->scheme.n + 3);
    for (n = 0; n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#'; n++)
        ;
    out->form = TARGET_ABSOLUTE;
    out->authority = str_upto(rest, n);
    if (n == 0)
        return "empty authority in the request target";
    return parse_path_and_query(str_from(rest, n), arena, out);
}

const char *uri_parse_target(str target, bool is_connect, struct arena *arena, struct uri *out)
{
    *out = (struct uri){ .form = TARGET_ORIGIN };
    if (target.n == 0)
        return "empty request target";
    if (is_connect) {
        const char *why;
        uint16_t port = 0;
        str host;

        out->form = TARGET_AUTHORITY;
        out->authority = target;
        why = authority_parse(target, arena, &host, &port);
        return why ? why : port == 0 ? "CONNECT without a port" : NULL;
    }
    if (target.p[0] == '/')
        return parse_path_and_query(target, arena, out);
    if (str_equal(target, S("*"))) {
        out->form = TARGET_ASTERISK;
        out->path = out->match = target;
        return NULL;
    }
    return parse_absolute(target, arena, out);
}

str uri_decode(str s, struct arena *arena)
{
    size_t w = 0;
    char *to;

    if (s.n == 0)
        return S("");
    if (!memchr(s.p, '%', s.n))
        return s;
    to = arena_alloc(arena, s.n);
    if (!to)
        return STR_NONE;
    for (size_t i = 0; i < s.n; i++) {
        int high, low;

        if (s.p[i] != '%') {
            to[w++] = s.p[i];
            continue;
        }
        high = i + 2 < s.n ? char_hex(s.p[i + 1]) : -1;
        low = i + 2 < s.n ? char_hex(s.p[i + 2]) : -1;
        if (high < 0 || low < 0)
            return STR_NONE;
        to[w++] = (char)(high << 4 | low);
        i += 2;
    }
    return (str){ to, w };
}
