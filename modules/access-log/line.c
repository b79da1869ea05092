/* SPDX-License-Identifier: BSD-2-Clause */
#include "line.h"

#include <assert.h>
#include <string.h>

static const char cut_mark[] = "...[cut]";
enum { CUT_MARK = sizeof(cut_mark) - 1 };

/* How one byte or character is written; n 0: as it is. */
struct escape {
    size_t taken; /* input bytes */
    size_t n;
    char text[8];
};
typedef struct escape (*escape_fn)(const unsigned char *p, size_t n);

static void put(struct line *line, const char *p, size_t n)
{
    assert(n <= LINE_MOST - line->n); /* the frame and LINE_SHORT were sized for it */
    memcpy(line->text + line->n, p, n);
    line->n += (uint32_t)n;
}

void line_begin(struct line *line)
{
    line->n = 0;
}

void line_plain(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

static size_t digits(char to[20], uint64_t number)
{
    char back[20];
    size_t n = 0;

    do
        back[n++] = (char)('0' + number % 10);
    while (number /= 10);
    for (size_t i = 0; i < n; i++)
        to[i] = back[n - 1 - i];
    return n;
}

void line_number(struct line *line, uint64_t number)
{
    char text[20];

    put(line, text, digits(text, number));
}

void line_thousandths(struct line *line, uint64_t number)
{
    char rest[4] = { '.', (char)('0' + number / 100 % 10), (char)('0' + number / 10 % 10), (char)('0' + number % 10) };

    line_number(line, number / 1000);
    put(line, rest, sizeof(rest));
}

static char hex(unsigned digit)
{
    return (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
}

static struct escape as_hex(unsigned char c)
{
    return (struct escape){ 1, 4, { '\\', 'x', hex(c >> 4), hex(c & 15) } };
}

static struct escape escape_quoted(const unsigned char *p, size_t n)
{
    (void)n;
    if (*p < 0x20 || *p >= 0x7f || *p == '"' || *p == '\\')
        return as_hex(*p);
    return (struct escape){ .taken = 1 };
}

static struct escape escape_control(const unsigned char *p, size_t n)
{
    (void)n;
    if (*p < 0x20 || *p == 0x7f)
        return as_hex(*p);
    return (struct escape){ .taken = 1 };
}

/* Bytes of the well-formed UTF-8 character at p (RFC 3629: not overlong, no surrogate, at most U+10FFFF); 0: none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t length = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    if (length == 0 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

static struct escape escape_json(const unsigned char *p, size_t n)
{
    size_t length = utf8_length(p, n);

    if (length == 0)
        return (struct escape){ 1, 3, "\xef\xbf\xbd" };
    if (*p == '"' || *p == '\\')
        return (struct escape){ 1, 2, { '\\', (char)*p } };
    if (*p < 0x20 || *p == 0x7f)
        return (struct escape){ 1, 6, { '\\', 'u', '0', '0', hex(*p >> 4), hex(*p & 15) } };
    return (struct escape){ .taken = length };
}

/* Where a value that begins now must end: the frame is kept back, but a short value is always allowed. */
static size_t value_limit(const struct line *line)
{
    size_t limit = LINE_MOST - LINE_FRAME;

    return limit > line->n + LINE_SHORT ? limit : line->n + LINE_SHORT;
}

/* Whole characters up to limit; when they do not all fit, the mark takes the place of the last ones. */
static void put_escaped(struct line *line, weir_str value, size_t limit, escape_fn escape)
{
    const unsigned char *p = (const unsigned char *)value.p;
    size_t left = value.n;
    uint32_t before_mark = line->n; /* the last character's end that leaves room for the mark */

    while (left) {
        struct escape e = escape(p, left);
        const char *from = e.n ? e.text : (const char *)p;
        size_t n = e.n ? e.n : e.taken;
        if (line->n + n > limit) {
            line->n = before_mark;
            put(line, cut_mark, CUT_MARK);
            return;
        }
        put(line, from, n);
        if (line->n + CUT_MARK <= limit)
            before_mark = line->n;
        p += e.taken;
        left -= e.taken;
    }
}

void line_quoted(struct line *line, weir_str value)
{
    if (value.n == 0)
        put(line, "-", 1);
    else
        put_escaped(line, value, value_limit(line), escape_quoted);
}

void line_template(struct line *line, weir_str value)
{
    put_escaped(line, value, LINE_MOST - 1, escape_control);
}

void line_json(struct line *line, weir_str value)
{
    if (value.n == 0) {
        line_plain(line, "null");
        return;
    }
    put(line, "\"", 1);
    put_escaped(line, value, value_limit(line), escape_json);
    put(line, "\"", 1);
}

weir_str line_end(struct line *line)
{
    put(line, "\n", 1);
    return (weir_str){ line->text, line->n };
}
