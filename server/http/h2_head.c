/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/h2_head.h"
#include "http/chars.h"
#include "http/trailer.h"
#include "http/uri_errors.h"

enum { METHOD_MOST = 32, NAME_MOST = 256, FIELD_COSTS = 32, LIST_FACTOR = 8, URGENCY = 3 };
enum pseudo { NO_PSEUDO, METHOD = 1, SCHEME = 2, AUTHORITY = 4, PATH = 8, PROTOCOL = 16, STATUS = 32 };

void h2_head_begin(struct h2_head *head, enum h2_head_kind kind)
{
    *head = (struct h2_head){ .kind = kind, .urgency = URGENCY, .incremental = true };
}

static void malformed(struct h2_head *head, const char *why)
{
    if (!head->malformed)
        head->malformed = why;
}

static bool refuse(struct h2_head *head, int status, const char *why)
{
    if (!head->status) {
        head->status = status;
        head->why = why;
    }
    return false;
}

/* -- pseudo-fields ------------------------------------------------------------------------------------------------- */

/* Told apart by length first: only two share one. */
static enum pseudo pseudo_bit(str name, enum h2_head_kind kind)
{
    if (kind == H2_HEAD_RESPONSE)
        return str_equal(name, S(":status")) ? STATUS : NO_PSEUDO;
    switch (name.n) {
    case sizeof(":path") - 1:
        return str_equal(name, S(":path")) ? PATH : NO_PSEUDO;
    case sizeof(":method") - 1:
        return str_equal(name, S(":method")) ? METHOD : str_equal(name, S(":scheme")) ? SCHEME : NO_PSEUDO;
    case sizeof(":protocol") - 1:
        return str_equal(name, S(":protocol")) ? PROTOCOL : NO_PSEUDO;
    case sizeof(":authority") - 1:
        return str_equal(name, S(":authority")) ? AUTHORITY : NO_PSEUDO;
    default:
        return NO_PSEUDO;
    }
}

static str *place_of(struct h2_head *head, enum pseudo bit)
{
    switch (bit) {
    case METHOD:    return &head->method;
    case SCHEME:    return &head->scheme;
    case AUTHORITY: return &head->authority;
    case PATH:      return &head->path;
    case PROTOCOL:  return &head->protocol;
    case STATUS:    return &head->code;
    default:        return NULL;
    }
}

static void take_pseudo(struct h2_head *head, struct arena *arena, str name, str value)
{
    enum pseudo bit = pseudo_bit(name, head->kind);
    str *to = place_of(head, bit);

    if (head->kind == H2_HEAD_TRAILERS)
        malformed(head, "pseudo-field in trailers");
    else if (!to)
        malformed(head, "unknown pseudo-field");
    else if (head->regular)
        malformed(head, "pseudo-field behind a field");
    else if (head->pseudo & bit)
        malformed(head, "pseudo-field twice");
    if (!to || head->malformed)
        return;
    head->pseudo |= bit;
    *to = arena_str(arena, value);
    if (!to->p)
        refuse(head, 500, "out of memory");
}

/* -- fields -------------------------------------------------------------------------------------------------------- */

static bool is_edge_space(char c)
{
    return c == ' ' || c == '\t';
}

/* RFC 9113 8.2.1; other controls are refused by what passes requests on in HTTP/1.1, and so here. */
static const char *why_value_is_bad(str value)
{
    if (!field_value_is_valid(value))
        return "control character in a field value";
    if (value.n && (is_edge_space(value.p[0]) || is_edge_space(value.p[value.n - 1])))
        return "white space around a field value";
    return NULL;
}

static const char *why_name_is_bad(str name)
{
    const char *end = name.p + name.n;

    if (name.n == 0)
        return "field without a name";
    for (const char *p = name.p; p < end; p++)
        if (!char_is(*p, CHAR_TOKEN) || char_is(*p, CHAR_UPPER))
            return char_is(*p, CHAR_UPPER) ? "upper-case letter in a field name" : "invalid character in a field name";
    return NULL;
}

static void take_expect(struct h2_head *head, str rest)
{
    str expectation;

    while (field_list_next(&rest, &expectation)) {
        if (str_equal_nocase(expectation, S("100-continue")))
            head->expects_continue = true;
        else
            refuse(head, 417, "expectation other than 100-continue");
    }
}

static void take_length(struct h2_head *head, str value)
{
    if (head->has_length)
        malformed(head, "several content-length fields");
    else if (!str_to_u64(value, &head->length))
        malformed(head, "content-length is no number");
    head->has_length = true;
}

/* RFC 9218 4: a dictionary of structured fields; what cannot be read is as if it was not there. */
static void take_priority(struct h2_head *head, str rest)
{
    str member;

    head->has_priority = true;
    head->incremental = false;
    while (field_list_next(&rest, &member)) {
        member = str_upto(member, str_find(member, ';'));
        if (member.n == 3 && str_has_prefix(member, S("u=")) && member.p[2] >= '0' && member.p[2] <= '7')
            head->urgency = (unsigned)(member.p[2] - '0');
        else if (str_equal(member, S("i")) || str_equal(member, S("i=?1")))
            head->incremental = true;
        else if (str_equal(member, S("i=?0")))
            head->incremental = false;
    }
}

/* RFC 9113 8.2.2; what needs a look of its own. */
static void note(struct h2_head *head, enum field_id id, str value)
{
    switch (id) {
    case FIELD_CONNECTION:
    case FIELD_PROXY_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
        malformed(head, "field of the connection");
        break;
    case FIELD_CONTENT_LENGTH:
        take_length(head, value);
        break;
    case FIELD_TE:
        if (head->kind == H2_HEAD_RESPONSE)
            malformed(head, "field of the connection");
        else if (!str_equal_nocase(value, S("trailers")))
            malformed(head, "te other than trailers");
        break;
    default:
        break;
    }
}

static void note_of_request(struct h2_head *head, enum field_id id, str value)
{
    switch (id) {
    case FIELD_HOST:
        head->hosts++;
        head->host = value;
        break;
    case FIELD_EXPECT:
        take_expect(head, value);
        break;
    case FIELD_COOKIE:
        head->cookies++;
        break;
    default:
        break;
    }
}

static void take_trailer(struct h2_head *head, struct arena *arena, struct fields *fields, enum field_id id, str name,
                         str value)
{
    if (id == FIELD_CONNECTION || id == FIELD_PROXY_CONNECTION || id == FIELD_KEEP_ALIVE ||
        id == FIELD_TRANSFER_ENCODING || id == FIELD_UPGRADE || id == FIELD_TE) {
        malformed(head, "field of the connection");
        return;
    }
    if (trailer_is_forbidden(id, name))
        return;
    name = arena_str(arena, name);
    value = arena_str(arena, value);
    if (!name.p || !value.p || !fields_append(fields, id, name, value))
        refuse(head, 500, "out of memory");
}

static void take_field(struct h2_head *head, struct arena *arena, struct fields *fields, str name, str value)
{
    enum field_id id = field_intern(name);
    const char *why = why_name_is_bad(name);

    head->regular = true;
    if (why) {
        malformed(head, why);
        return;
    }
    if (name.n > NAME_MOST) {
        refuse(head, 400, "header field name longer than 256 bytes");
        return;
    }
    if (head->kind == H2_HEAD_TRAILERS) {
        take_trailer(head, arena, fields, id, name, value);
        return;
    }
    name = id == FIELD_OTHER ? arena_str(arena, name) : field_name(id);
    value = arena_str(arena, value);
    if (!name.p || !value.p || !fields_append(fields, id, name, value)) {
        refuse(head, 500, "out of memory");
        return;
    }
    note(head, id, value);
    if (head->kind == H2_HEAD_RESPONSE)
        return;
    note_of_request(head, id, value);
    if (id == FIELD_OTHER && str_equal(name, S("priority")))
        take_priority(head, value);
}

uint64_t h2_head_list_most(const struct h2_head_limits *limits)
{
    return limits->head_bytes + (uint64_t)FIELD_COSTS * limits->fields;
}

bool h2_head_take(struct h2_head *head, const struct h2_head_limits *limits, struct arena *arena,
                  struct fields *fields, str name, str value)
{
    uint64_t most = h2_head_list_most(limits);

    head->list_bytes += name.n + value.n + FIELD_COSTS;
    if (head->list_bytes > most * LIST_FACTOR)
        return false;
    if (head->malformed)
        return true;
    if (head->list_bytes > most) {
        refuse(head, 431, "header fields too large");
        return true;
    }
    const char *why = why_value_is_bad(value);
    if (why) {
        malformed(head, why);
        return true;
    }
    if (name.n && name.p[0] == ':') {
        take_pseudo(head, arena, name, value);
        return true;
    }
    if (head->count++ == limits->fields) {
        refuse(head, 431, "too many header fields");
        return true;
    }
    if (head->status != 431)
        take_field(head, arena, fields, name, value);
    return true;
}

/* -- the whole ----------------------------------------------------------------------------------------------------- */

static bool fail(struct h2_head *head, const char *why)
{
    malformed(head, why);
    return false;
}

/* RFC 9113 8.3.1, 8.5; RFC 8441 4. */
static bool check_pseudo(struct h2_head *head)
{
    bool is_connect = str_equal(head->method, S("CONNECT"));
    unsigned asked = METHOD | (is_connect && !(head->pseudo & PROTOCOL) ? AUTHORITY : SCHEME | PATH);

    if ((head->pseudo & asked) != asked)
        return fail(head, "pseudo-field missing");
    if (head->pseudo & PROTOCOL && !is_connect)
        return fail(head, ":protocol without CONNECT");
    if (is_connect && head->pseudo & PROTOCOL && !(head->pseudo & AUTHORITY))
        return fail(head, ":authority missing");
    if (is_connect && !(head->pseudo & PROTOCOL) && head->pseudo & (SCHEME | PATH))
        return fail(head, "CONNECT with a scheme or a path");
    if (head->method.n == 0 || chars_span(head->method.p, head->method.p + head->method.n, CHAR_TOKEN) !=
                                   head->method.p + head->method.n)
        return fail(head, "malformed :method");
    if (head->pseudo & PROTOCOL && !field_name_is_valid(head->protocol))
        return fail(head, "malformed :protocol");
    return true;
}

static bool read_target(struct h2_head *head, struct arena *arena, struct h2_request *out)
{
    if (head->path.n == 0)
        return fail(head, "empty :path");
    if (head->path.p[0] != '/' && !(str_equal(head->path, S("*")) && str_equal(head->method, S("OPTIONS"))))
        return fail(head, "malformed :path");
    const char *why = uri_parse_target(head->path, false, arena, &out->uri);
    if (why)
        return refuse(head, why == uri_no_memory ? 500 : 400, why);
    out->uri.scheme = arena_lower(arena, head->scheme);
    if (!out->uri.scheme.p)
        return refuse(head, 500, "out of memory");
    if (out->uri.scheme.n == 0)
        return fail(head, "empty :scheme");
    return true;
}

static str without_empty_port(str authority)
{
    return str_has_suffix(authority, S(":")) ? str_upto(authority, authority.n - 1) : authority;
}

/* RFC 9113 8.3.1: Host may stand for :authority; when both are there they say the same. */
static bool read_authority(struct h2_head *head, struct arena *arena, struct fields *fields, struct h2_request *out)
{
    bool has_authority = head->pseudo & AUTHORITY;
    str text = has_authority ? head->authority : head->host, host;
    uint16_t port = 0;

    if (head->hosts > 1)
        return fail(head, "several host fields");
    if (!has_authority && head->hosts == 0)
        return refuse(head, 400, "request without an authority");
    const char *why = authority_parse(text, arena, &out->host, &out->host_port);
    if (why)
        return refuse(head, why == uri_no_memory ? 500 : 400, why);
    if (has_authority && head->hosts) {
        why = authority_parse(head->host, arena, &host, &port);
        if (why == uri_no_memory)
            return refuse(head, 500, why);
        if (why || !str_equal(host, out->host) || port != out->host_port)
            return fail(head, "host and :authority differ");
    }
    out->host_field = without_empty_port(text);
    return fields_set_id(fields, FIELD_HOST, out->host_field) || refuse(head, 500, "out of memory");
}

/* RFC 9113 8.2.3: crumbs, so that each compresses on its own, are one field for everybody else. */
static bool join_cookies(struct h2_head *head, struct arena *arena, struct fields *fields)
{
    size_t n = 0;
    char *text, *at;

    if (head->cookies < 2)
        return true;
    for (uint32_t i = 0; i < fields->count; i++)
        n += fields->items[i].id == FIELD_COOKIE ? fields->items[i].value.n + 2 : 0;
    text = at = arena_alloc(arena, n);
    if (!text)
        return refuse(head, 500, "out of memory");
    for (uint32_t i = 0; i < fields->count; i++) {
        str crumb = fields->items[i].value;
        if (fields->items[i].id != FIELD_COOKIE)
            continue;
        if (crumb.n)
            memcpy(at, crumb.p, crumb.n);
        memcpy(at + crumb.n, "; ", 2);
        at += crumb.n + 2;
    }
    return fields_set_id(fields, FIELD_COOKIE, (str){ text, n - 2 }) || refuse(head, 500, "out of memory");
}

static bool read_framing(struct h2_head *head, bool end, struct h2_request *out)
{
    out->content_length = head->length;
    out->body = head->has_length ? BODY_LENGTH : end ? BODY_NONE : BODY_CHUNKED;
    out->expects_continue = head->expects_continue && !end;
    return !end || head->length == 0 || fail(head, "content-length of a request without content");
}

bool h2_head_request(struct h2_head *head, bool end, struct arena *arena, struct fields *fields,
                     struct h2_request *out)
{
    *out = (struct h2_request){ .method = head->method, .protocol = head->protocol };
    if (head->malformed || head->status || !check_pseudo(head))
        return false;
    if (head->method.n > METHOD_MOST)
        return refuse(head, 501, "method longer than 32 bytes");
    if (str_equal(head->method, S("CONNECT")) && !(head->pseudo & PROTOCOL))
        return refuse(head, 501, "CONNECT is not served");
    return read_target(head, arena, out) && read_framing(head, end, out) &&
           read_authority(head, arena, fields, out) && join_cookies(head, arena, fields);
}

/* -- a response ---------------------------------------------------------------------------------------------------- */

/* RFC 9113 8.3.2, 8.6. */
static bool read_code(struct h2_head *head, struct h1_response *out)
{
    uint64_t code = 0;

    if (!(head->pseudo & STATUS))
        return fail(head, "pseudo-field missing");
    if (head->code.n != 3 || !str_to_u64(head->code, &code) || code < 100 || code > 599)
        return fail(head, "malformed :status");
    if (code == 101)
        return fail(head, "status 101");
    out->status = (int)code;
    return true;
}

bool h2_head_response(struct h2_head *head, bool end, struct h2_asked asked, struct h1_response *out)
{
    *out = (struct h1_response){ .minor = 1, .keep_alive = true };
    if (head->malformed || head->status || !read_code(head, out))
        return false;
    bool is_tunnel = asked.connect && out->status / 100 == 2;
    bool bodiless = asked.head || out->status < 200 || out->status == 204 || out->status == 304;
    out->has_length = head->has_length && !is_tunnel;
    out->content_length = out->has_length ? head->length : 0;
    if (out->status < 200 && (end || out->content_length))
        return fail(head, end ? "interim response that ends its stream" : "interim response that announces content");
    if (!bodiless && end && out->content_length)
        return fail(head, "content-length of a response without content");
    out->body = bodiless || end ? BODY_NONE : out->has_length ? BODY_LENGTH : BODY_UNTIL_CLOSE;
    return true;
}
