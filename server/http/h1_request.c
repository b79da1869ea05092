/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/chars.h"
#include "http/h1_fields.h"
#include "http/uri_errors.h"

enum { METHOD_MOST = 32 };

static bool fail_uri(struct h1_error *error, const char *why)
{
    return h1_fail(error, why == uri_no_memory ? 500 : 400, why);
}

/* "HTTP/1.1" at p; room: bytes up to the end of the head. */
static bool read_version(const char *p, size_t room, int *minor, struct h1_error *error)
{
    if (room < 10 || memcmp(p, "HTTP/", 5) != 0 || p[5] < '0' || p[5] > '9' || p[6] != '.' || p[7] < '0' || p[7] > '9')
        return h1_fail(error, 400, "malformed HTTP version");
    if (p[8] != '\r' || p[9] != '\n')
        return h1_fail(error, 400, "bytes behind the HTTP version");
    if (p[5] != '1')
        return h1_fail(error, 505, "HTTP version other than 1.x");
    *minor = p[7] > '0';
    return true;
}

/* method SP request-target SP HTTP-version CRLF (RFC 9112 3). Returns where the next line begins, or NULL. */
static const char *read_request_line(str head, struct h1_request *out, struct h1_error *error)
{
    const char *p = head.p, *end = p + head.n, *at = p;

    while (char_is(*at, CHAR_TOKEN)) /* the head ends in LF, which is none */
        at++;
    if (at == p || *at != ' ') {
        h1_fail(error, 400, "malformed request line");
        return NULL;
    }
    if (at - p > METHOD_MOST) {
        h1_fail(error, 501, "method longer than 32 bytes");
        return NULL;
    }
    out->method = (str){ p, (size_t)(at - p) };
    p = at + 1;
    at = chars_find_space(p, end);
    out->target = (str){ p, (size_t)(at - p) };
    if (at == p || *at != ' ') {
        h1_fail(error, 400, at == p ? "empty request target" : "malformed request line");
        return NULL;
    }
    return read_version(at + 1, (size_t)(end - at - 1), &out->minor, error) ? at + 11 : NULL;
}

static bool read_target(struct h1_request *out, struct arena *arena, struct h1_error *error)
{
    struct uri *uri = &out->uri;
    const char *why;

    if (str_equal(out->method, S("CONNECT")))
        return h1_fail(error, 501, "CONNECT is not served");
    why = uri_parse_target(out->target, false, arena, uri);
    if (why)
        return fail_uri(error, why);
    if (str_equal(out->method, S("OPTIONS"))) {
        /* an absolute form without path and query is the asterisk form of that authority (RFC 9112 3.2.4) */
        if (uri->form == TARGET_ABSOLUTE && uri->authority.p + uri->authority.n == out->target.p + out->target.n) {
            uri->form = TARGET_ASTERISK;
            uri->path = uri->match = S("*");
        }
    } else if (uri->form == TARGET_ASTERISK) {
        return h1_fail(error, 400, "request target * without OPTIONS");
    }
    return true;
}

static str without_empty_port(str authority)
{
    return str_has_suffix(authority, S(":")) ? str_upto(authority, authority.n - 1) : authority;
}

/* RFC 9112 3.2, 3.2.2; RFC 9110 7.2. */
static bool read_host(struct h1_request *out, const struct head_facts *facts, struct arena *arena,
                      struct fields *fields, struct h1_error *error)
{
    const char *why;

    if (facts->hosts > 1)
        return h1_fail(error, 400, "several Host fields");
    if (facts->hosts == 0 && out->minor >= 1)
        return h1_fail(error, 400, "HTTP/1.1 request without Host");
    if (facts->hosts) {
        why = authority_parse(facts->host, arena, &out->host, &out->host_port);
        if (why)
            return fail_uri(error, why);
        out->host_field = without_empty_port(facts->host);
    }
    if (out->uri.authority.n == 0)
        return true;
    why = authority_parse(out->uri.authority, arena, &out->host, &out->host_port);
    if (why)
        return fail_uri(error, why);
    out->host_field = without_empty_port(out->uri.authority);
    return fields_set_id(fields, FIELD_HOST, out->host_field) || h1_fail(error, 500, "out of memory");
}

enum h1_rc h1_parse_request(str head, const struct h1_limits *limits, struct arena *arena, struct fields *fields,
                            struct h1_request *out, struct h1_error *error)
{
    struct head_facts facts = { 0 };
    const char *p;

    *out = (struct h1_request){ 0 };
    if (!str_has_suffix(head, S("\r\n\r\n"))) {
        h1_fail(error, 400, "head without an empty line at its end");
        return H1_BAD;
    }
    p = read_request_line(head, out, error);
    if (!p || !read_target(out, arena, error) ||
        !h1_read_fields(p, head.p + head.n, limits->fields, fields, &facts, error) ||
        !read_host(out, &facts, arena, fields, error) ||
        !h1_read_framing(&facts, out->minor, &out->body, &out->content_length, error))
        return H1_BAD;
    if (facts.names_end_to_end) { /* the next hop would drop what this one acts upon (RFC 9110 7.6.1) */
        h1_fail(error, 400, "Connection names an end-to-end field");
        return H1_BAD;
    }
    if (facts.expects_other) {
        h1_fail(error, 417, "expectation other than 100-continue");
        return H1_BAD;
    }
    out->keep_alive = h1_is_persistent(&facts, out->minor);
    /* ignored in HTTP/1.0, and without anything to wait for (RFC 9110 10.1.1) */
    out->expects_continue = facts.expects_continue && out->minor >= 1 &&
                            (out->body == BODY_CHUNKED || out->content_length > 0);
    if (facts.says_upgrade && out->minor >= 1)
        out->upgrade = facts.upgrade;
    return H1_DONE;
}
