/* SPDX-License-Identifier: BSD-2-Clause */
#include "negotiate.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool text_equal(weir_str a, weir_str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static weir_str trim(weir_str s)
{
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    while (s.n && is_blank(*s.p))
        s.p++, s.n--;
    return s;
}

/* Takes what stands before the next `by` outside quoted strings (RFC 9110 5.6.4) off *rest; false: nothing is left. */
static bool take_item(weir_str *rest, char by, weir_str *item)
{
    bool is_quoted = false;
    size_t i = 0;

    if (rest->n == 0)
        return false;
    for (; i < rest->n && (is_quoted || rest->p[i] != by); i++) {
        if (rest->p[i] == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && rest->p[i] == '\\' && i + 1 < rest->n)
            i++;
    }
    *item = trim((weir_str){ rest->p, i });
    size_t gone = i < rest->n ? i + 1 : i;
    rest->p += gone;
    rest->n -= gone;
    return true;
}

/* qvalue = "0" [ "." 0*3DIGIT ] / "1" [ "." 0*3"0" ]; anything else counts as a refusal. */
static int weight(weir_str q)
{
    int value, scale = 100;

    if (q.n == 0 || q.n > 5 || (q.p[0] != '0' && q.p[0] != '1') || (q.n > 1 && q.p[1] != '.'))
        return 0;
    value = (q.p[0] - '0') * 1000;
    for (size_t i = 2; i < q.n; i++, scale /= 10) {
        if (q.p[i] < '0' || q.p[i] > '9')
            return 0;
        value += (q.p[i] - '0') * scale;
    }
    return value <= 1000 ? value : 0;
}

static int item_weight(weir_str parameters)
{
    weir_str parameter;

    while (take_item(&parameters, ';', &parameter))
        if (parameter.n >= 2 && lower(parameter.p[0]) == 'q' && parameter.p[1] == '=')
            return weight((weir_str){ parameter.p + 2, parameter.n - 2 });
    return 1000;
}

static void raise_to(int *weight_so_far, int to)
{
    if (to > *weight_so_far)
        *weight_so_far = to;
}

void wishes_read(struct wishes *wishes, weir_str value)
{
    weir_str item, coding;

    while (take_item(&value, ',', &item)) {
        if (!take_item(&item, ';', &coding))
            continue;
        int q = item_weight(item);
        if (text_equal(coding, WEIR_S("gzip")) || text_equal(coding, WEIR_S("x-gzip")))
            raise_to(&wishes->gzip, q);
        else if (text_equal(coding, WEIR_S("identity")))
            raise_to(&wishes->identity, q);
        else if (text_equal(coding, WEIR_S("*")))
            raise_to(&wishes->any, q);
    }
}

bool wishes_gzip(const struct wishes *wishes)
{
    int gzip = wishes->gzip >= 0 ? wishes->gzip : wishes->any;

    return gzip > 0 && gzip >= wishes->identity;
}

bool list_has(weir_str value, weir_str token)
{
    weir_str item;

    while (take_item(&value, ',', &item))
        if (text_equal(item, token))
            return true;
    return false;
}

weir_str media_type(weir_str content_type)
{
    const char *end = content_type.n ? memchr(content_type.p, ';', content_type.n) : NULL;

    if (end)
        content_type.n = (size_t)(end - content_type.p);
    return trim(content_type);
}

bool media_matches(weir_str pattern, weir_str type)
{
    const char *star = pattern.n ? memchr(pattern.p, '*', pattern.n) : NULL;

    if (!star)
        return text_equal(pattern, type);
    weir_str head = { pattern.p, (size_t)(star - pattern.p) };
    weir_str tail = { star + 1, pattern.n - head.n - 1 };
    return type.n >= head.n + tail.n && text_equal(head, (weir_str){ type.p, head.n }) &&
           text_equal(tail, (weir_str){ type.p + type.n - tail.n, tail.n });
}

bool media_is_pattern(weir_str text)
{
    size_t stars = 0, slashes = 0;

    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        stars += c == '*';
        slashes += c == '/';
        if (c <= ' ' || c >= 0x7f || strchr("\"(),:;<=>?@[\\]{}", c))
            return false;
    }
    if (text.n == 1 && stars == 1)
        return true;
    return stars <= 1 && slashes == 1 && text.p[0] != '/' && text.p[text.n - 1] != '/';
}
