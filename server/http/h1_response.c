/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/chars.h"
#include "http/h1_fields.h"

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* HTTP-version SP status-code SP [ reason-phrase ] CRLF (RFC 9112 4); origins that leave the second SP out are common.
 * Returns where the next line begins, or NULL. */
static const char *read_status_line(str head, struct h1_response *out, struct h1_error *error)
{
    const char *p = head.p, *end = p + head.n, *at;

    if (head.n < 16 || memcmp(p, "HTTP/1.", 7) != 0 || !is_digit(p[7]) || p[8] != ' ' || !is_digit(p[9]) ||
        !is_digit(p[10]) || !is_digit(p[11]) || (p[12] != ' ' && p[12] != '\r')) {
        h1_fail(error, 502, "malformed status line");
        return NULL;
    }
    out->minor = p[7] > '0';
    out->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    if (out->status < 100 || out->status > 599) {
        h1_fail(error, 502, "status code outside 100 to 599");
        return NULL;
    }
    p += p[12] == ' ' ? 13 : 12;
    at = chars_find_control(p, end);
    if (at[0] != '\r' || at[1] != '\n') { /* the head ends in LF: at is inside, and a CR not its last byte */
        h1_fail(error, 502, "control character in the reason phrase");
        return NULL;
    }
    out->reason = (str){ p, (size_t)(at - p) };
    return at + 2;
}

static bool is_bodiless(int status, bool to_head)
{
    return to_head || status < 200 || status == 204 || status == 304;
}

/* RFC 9112 6.3 */
static void choose_body(struct h1_response *out, bool to_head)
{
    out->has_length = out->body == BODY_LENGTH;
    if (is_bodiless(out->status, to_head)) {
        /* A body all the same would be read as the next response: with such an origin no second exchange is made. */
        bool announces = out->body == BODY_CHUNKED || out->content_length > 0;

        if (announces && out->status == 204)
            out->keep_alive = false;
        out->body = BODY_NONE;
    } else if (out->body == BODY_NONE) {
        out->body = BODY_UNTIL_CLOSE;
        out->keep_alive = false;
    }
}

enum h1_rc h1_parse_response(str head, const struct h1_limits *limits, bool to_head, struct arena *arena,
                             struct fields *fields, struct h1_response *out, struct h1_error *error)
{
    struct head_facts facts = { 0 };
    const char *p;

    (void)arena; /* a response's head needs nothing of its own; the fields bring their arena */
    *out = (struct h1_response){ 0 };
    if (!str_has_suffix(head, S("\r\n\r\n"))) {
        h1_fail(error, 502, "head without an empty line at its end");
        return H1_BAD;
    }
    p = read_status_line(head, out, error);
    if (!p)
        return H1_BAD;
    if (!h1_read_fields(p, head.p + head.n, limits->fields, fields, &facts, error) ||
        !h1_read_framing(&facts, out->minor, &out->body, &out->content_length, error)) {
        error->status = 502;
        return H1_BAD;
    }
    if (out->status < 200 && (out->body == BODY_CHUNKED || out->content_length > 0)) {
        h1_fail(error, 502, "interim response that announces content");
        return H1_BAD;
    }
    out->keep_alive = h1_is_persistent(&facts, out->minor);
    choose_body(out, to_head);
    if (out->status == 101 && facts.says_upgrade && out->minor >= 1)
        out->upgrade = facts.upgrade;
    return H1_DONE;
}
