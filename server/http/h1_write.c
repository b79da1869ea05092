/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/h1.h"

enum { CHUNK_COPIED = 2048 };

/* Names and values are short: two overlapping moves are cheaper than a call. */
static inline char *put(char *to, const char *p, size_t n)
{
    if (n > 32) {
        memcpy(to, p, n);
    } else if (n >= 16) {
        memcpy(to, p, 16);
        memcpy(to + n - 16, p + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, p, 8);
        memcpy(to + n - 8, p + n - 8, 8);
    } else if (n >= 4) {
        memcpy(to, p, 4);
        memcpy(to + n - 4, p + n - 4, 4);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = p[i];
    }
    return to + n;
}

size_t h1_fields_size(const struct fields *fields)
{
    size_t n = 0;

    for (uint32_t i = 0; i < fields->count; i++)
        n += fields->items[i].name.n + fields->items[i].value.n + 4; /* ": " and CRLF */
    return n;
}

/* The fields and the empty line. */
static void put_fields(struct out *out, const struct fields *fields)
{
    char *to;

    if (h1_fields_size(fields) + 2 > out->room - out->n) {
        out->full = true;
        return;
    }
    to = out->p + out->n;
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];

        to = put(to, field->name.p, field->name.n);
        *to++ = ':';
        *to++ = ' ';
        to = put(to, field->value.p, field->value.n);
        *to++ = '\r';
        *to++ = '\n';
    }
    *to++ = '\r';
    *to++ = '\n';
    out->n = (size_t)(to - out->p);
}

void h1_put_request(struct out *out, str method, str path, str query, bool has_query, const struct fields *fields)
{
    out_str(out, method);
    out_char(out, ' ');
    out_str(out, path);
    if (has_query) {
        out_char(out, '?');
        out_str(out, query);
    }
    out_str(out, S(" HTTP/1.1\r\n"));
    put_fields(out, fields);
}

void h1_put_response(struct out *out, int status, str reason, const struct fields *fields)
{
    char line[] = "HTTP/1.1 000 ";

    line[9] = (char)('0' + status / 100 % 10);
    line[10] = (char)('0' + status / 10 % 10);
    line[11] = (char)('0' + status % 10);
    out_bytes(out, line, sizeof line - 1);
    out_str(out, reason);
    out_str(out, S("\r\n"));
    put_fields(out, fields);
}

size_t h1_put_chunk_head(char out[18], uint64_t n)
{
    static const char digits[] = "0123456789abcdef";
    size_t count = 1;

    while (count < 16 && n >> (4 * count))
        count++;
    for (size_t i = 0; i < count; i++)
        out[i] = digits[n >> (4 * (count - 1 - i)) & 15];
    out[count] = '\r';
    out[count + 1] = '\n';
    return count + 2;
}

bool h1_append_chunk(struct chain *to, struct chain *content)
{
    char copy[18 + CHUNK_COPIED + 2];
    size_t n = h1_put_chunk_head(copy, content->n);

    if (content->n > CHUNK_COPIED) {
        if (!chain_append_copy(to, copy, n))
            return false;
        chain_move_all(to, content);
        return chain_append_static(to, "\r\n", 2);
    }
    size_t content_n = chain_copy_out(content, copy + n, CHUNK_COPIED);
    if (content_n != content->n) /* a file that was cut short */
        return false;
    chain_clear(content);
    memcpy(copy + n + content_n, "\r\n", 2);
    return chain_append_copy(to, copy, n + content_n + 2);
}

void h1_put_trailers(struct out *out, const struct fields *trailers)
{
    out_str(out, S("0\r\n"));
    put_fields(out, trailers);
}
