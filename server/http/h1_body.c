/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/chars.h"
#include "http/h1_fields.h"
#include "http/trailer.h"

enum { EXTENSIONS_MOST = 4096, SIZE_DIGITS_MOST = 16, FIRST_LINE_ROOM = 128 };

/* chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF (RFC 9112 7.1). SIZE is zero: where a fresh body begins. */
enum state {
    SIZE,           /* hex digits */
    EXT_BEFORE,     /* behind ';': white space, then the name's first character */
    EXT_NAME,
    EXT_EQUALS,     /* behind '=' */
    EXT_TOKEN,
    EXT_QUOTED,
    EXT_QUOTED_PAIR,
    EXT_QUOTED_END, /* behind the closing quote */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
    END,
};

void h1_body_init(struct h1_body *body, enum body_kind kind, uint64_t content_length, const struct h1_limits *limits,
                  struct arena *arena, struct fields *trailers)
{
    *body = (struct h1_body){ .kind = kind, .limits = *limits, .arena = arena, .trailers = trailers };
    if (kind == BODY_LENGTH)
        body->left = content_length;
}

static bool add_digit(struct h1_body *body, char c, struct h1_error *error)
{
    int digit = char_hex(c);

    if (digit >= 0) {
        if (++body->line_bytes > SIZE_DIGITS_MOST)
            return h1_fail(error, 400, "chunk size of more than 16 digits");
        body->left = body->left << 4 | (uint64_t)digit;
        return true;
    }
    if (body->line_bytes == 0)
        return h1_fail(error, 400, "chunk size is no hexadecimal number");
    if (c != ';' && c != '\r')
        return h1_fail(error, 400, c == '\n' ? "bare LF behind a chunk size" : "chunk size is no hexadecimal number");
    body->state = c == ';' ? EXT_BEFORE : SIZE_LF;
    body->extension_bytes += c == ';';
    return true;
}

/* What follows c inside a chunk extension; SIZE when c may not stand there (no c leads back to it). */
static enum state next_in_extension(enum state state, char c)
{
    switch (state) {
    case EXT_BEFORE:
        return c == ' ' || c == '\t' ? EXT_BEFORE : char_is(c, CHAR_TOKEN) ? EXT_NAME : SIZE;
    case EXT_EQUALS:
        return c == '"' ? EXT_QUOTED : char_is(c, CHAR_TOKEN) ? EXT_TOKEN : SIZE;
    case EXT_QUOTED:
        return c == '"' ? EXT_QUOTED_END : c == '\\' ? EXT_QUOTED_PAIR : char_is(c, CHAR_QUOTED) ? EXT_QUOTED : SIZE;
    case EXT_QUOTED_PAIR:
        return char_is_control(c) ? SIZE : EXT_QUOTED;
    case EXT_NAME:
        if (c == '=')
            return EXT_EQUALS;
        break;
    default:
        break;
    }
    if (c == ';')
        return EXT_BEFORE;
    if (c == '\r')
        return SIZE_LF;
    return state != EXT_QUOTED_END && char_is(c, CHAR_TOKEN) ? state : SIZE;
}

static bool read_extension(struct h1_body *body, char c, struct h1_error *error)
{
    enum state next = next_in_extension((enum state)body->state, c);

    if (next == SIZE)
        return h1_fail(error, 400, "malformed chunk extension");
    if (++body->extension_bytes > EXTENSIONS_MOST)
        return h1_fail(error, 400, "chunk extensions of more than 4096 bytes in one message");
    body->state = next;
    return true;
}

/* One byte of framing in front of or behind chunk data. */
static bool read_framing(struct h1_body *body, char c, struct h1_error *error)
{
    switch ((enum state)body->state) {
    case SIZE:
        return add_digit(body, c, error);
    case SIZE_LF:
        if (c != '\n')
            return h1_fail(error, 400, "bare CR behind a chunk size");
        body->line_bytes = 0;
        body->state = body->left ? DATA : TRAILER;
        return true;
    case DATA_CR:
        if (c != '\r')
            return h1_fail(error, 400, "chunk data not followed by CRLF");
        body->state = DATA_LF;
        return true;
    case DATA_LF:
        if (c != '\n')
            return h1_fail(error, 400, "chunk data not followed by CRLF");
        body->state = SIZE;
        return true;
    default:
        return read_extension(body, c, error);
    }
}

/* Appends to the line that is gathered; its buffer stays with the trailer that it becomes. */
static bool gather(struct h1_body *body, const char *p, size_t n)
{
    size_t need = body->line.n + n;
    char *line = (char *)(uintptr_t)body->line.p;

    if (need > body->line_room) {
        size_t room = FIRST_LINE_ROOM;

        while (room < need)
            room *= 2;
        line = arena_alloc(body->arena, room);
        if (!line)
            return false;
        if (body->line.n)
            memcpy(line, body->line.p, body->line.n);
        body->line.p = line;
        body->line_room = (uint32_t)room;
    }
    memcpy(line + body->line.n, p, n);
    body->line.n = need;
    return true;
}

/* The gathered line is whole: keep what it says, or not. */
static bool end_trailer_line(struct h1_body *body, struct h1_error *error)
{
    const char *p = body->line.p, *why;
    struct field field;

    if (str_equal(body->line, S("\r\n"))) {
        body->state = END;
        return true;
    }
    why = h1_read_field(&p, p + body->line.n, &field);
    if (why)
        return h1_fail(error, 400, why);
    if (++body->trailer_lines > body->limits.fields)
        return h1_fail(error, 431, "too many trailer fields");
    if (body->trailers && !trailer_is_forbidden(field.id, field.name)) {
        if (!fields_append(body->trailers, field.id, field.name, field.value))
            return h1_fail(error, 500, "out of memory");
        body->line.p += body->line.n; /* the next line goes behind this one */
        body->line_room -= (uint32_t)body->line.n;
    }
    body->line.n = 0;
    return true;
}

static bool read_trailer(struct h1_body *body, const char *p, size_t n, size_t *used, struct h1_error *error)
{
    const char *lf = memchr(p, '\n', n);
    size_t take = lf ? (size_t)(lf - p) + 1 : n;

    if (take > body->limits.head_bytes - body->line_bytes)
        return h1_fail(error, 431, "trailer section longer than max_header_size");
    if (!gather(body, p, take))
        return h1_fail(error, 500, "out of memory");
    body->line_bytes += (uint32_t)take;
    *used = take;
    return !lf || end_trailer_line(body, error);
}

static enum h1_event feed_chunked(struct h1_body *body, const char *p, size_t n, size_t *used, str *data,
                                  struct h1_error *error)
{
    size_t i = 0;

    while (i < n && body->state != END) {
        if (body->state == DATA) {
            size_t take = body->left < n - i ? (size_t)body->left : n - i;

            *data = (str){ p + i, take };
            *used = i + take;
            body->left -= take;
            body->received += take;
            if (body->left == 0)
                body->state = DATA_CR;
            return H1_BODY_DATA;
        }
        if (body->state == TRAILER) {
            size_t took;

            if (!read_trailer(body, p + i, n - i, &took, error))
                return H1_BODY_BAD;
            i += took;
        } else if (!read_framing(body, p[i++], error)) {
            return H1_BODY_BAD;
        }
    }
    *used = i;
    return body->state == END ? H1_BODY_END : H1_BODY_MORE;
}

enum h1_event h1_body_feed(struct h1_body *body, const char *p, size_t n, size_t *used, str *data,
                           struct h1_error *error)
{
    *used = 0;
    switch (body->kind) {
    case BODY_CHUNKED:
        return feed_chunked(body, p, n, used, data, error);
    case BODY_LENGTH:
        if (body->left == 0)
            return H1_BODY_END;
        if (n > body->left)
            n = (size_t)body->left;
        body->left -= n;
        break;
    case BODY_UNTIL_CLOSE:
        break;
    default:
        return H1_BODY_END;
    }
    if (n == 0)
        return H1_BODY_MORE;
    body->received += n;
    *used = n;
    *data = (str){ p, n };
    return H1_BODY_DATA;
}
