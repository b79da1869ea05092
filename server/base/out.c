/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/out.h"

static const char digits[] = "0123456789abcdef";

/* inline: a division by a constant is a multiplication */
static inline void put_number(struct out *out, uint64_t value, unsigned base)
{
    char text[20]; /* UINT64_MAX has 20 decimal digits */
    size_t at = sizeof(text);
    do {
        text[--at] = digits[value % base];
        value /= base;
    } while (value);
    out_bytes(out, text + at, sizeof(text) - at);
}

void out_u64(struct out *out, uint64_t value)
{
    put_number(out, value, 10);
}

void out_hex(struct out *out, uint64_t value)
{
    put_number(out, value, 16);
}

/* Bytes at the front of s that JSON takes as they are. */
static size_t json_plain(str s)
{
    size_t n = 0;
    while (n < s.n) {
        unsigned char c = (unsigned char)s.p[n];
        if (c < 0x20 || c == '"' || c == '\\')
            break;
        size_t step = c < 0x80 ? 1 : str_utf8_length(str_from(s, n));
        if (!step)
            break;
        n += step;
    }
    return n;
}

static void put_json_escape(struct out *out, unsigned char c)
{
    static const char named[][2] = {
        {'"',   '"' },
        { '\\', '\\'},
        { '\b', 'b' },
        { '\f', 'f' },
        { '\n', 'n' },
        { '\r', 'r' },
        { '\t', 't' }
    };
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (c == (unsigned char)named[i][0]) {
            out_bytes(out, (char[]){ '\\', named[i][1] }, 2);
            return;
        }
    }
    if (c < 0x20)
        out_bytes(out, (char[]){ '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] }, 6);
    else
        out_str(out, S("\\ufffd"));
}

void out_json_str(struct out *out, str s)
{
    out_char(out, '"');
    while (s.n) {
        size_t plain = json_plain(s);
        out_bytes(out, s.p, plain);
        s = str_from(s, plain);
        if (s.n) {
            put_json_escape(out, (unsigned char)s.p[0]);
            s = str_from(s, 1);
        }
    }
    out_char(out, '"');
}

/* C0, DEL, C1 (U+0080 to U+009F, which terminals obey too) and what is no UTF-8 do not print. */
static size_t printable(str s)
{
    size_t n = 0;
    while (n < s.n) {
        unsigned char c = (unsigned char)s.p[n];
        if (c < 0x20 || c == 0x7f)
            break;
        size_t step = c < 0x80 ? 1 : str_utf8_length(str_from(s, n));
        if (!step || (c == 0xc2 && (unsigned char)s.p[n + 1] < 0xa0))
            break;
        n += step;
    }
    return n;
}

void out_printable(struct out *out, str s)
{
    while (s.n) {
        size_t plain = printable(s);
        if (plain) {
            out_bytes(out, s.p, plain);
            s = str_from(s, plain);
            continue;
        }
        unsigned char c = (unsigned char)s.p[0];
        out_bytes(out, (char[]){ '\\', 'x', digits[c >> 4], digits[c & 15] }, 4);
        s = str_from(s, 1);
    }
}
