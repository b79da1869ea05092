/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/control/json.h"

enum { DEEPEST = 32 };

static void skip_space(str *s)
{
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\t' || s->p[0] == '\r' || s->p[0] == '\n'))
        *s = str_from(*s, 1);
}

static bool take(str *s, char c)
{
    skip_space(s);
    if (!s->n || s->p[0] != c)
        return false;
    *s = str_from(*s, 1);
    return true;
}

static bool skip_string(str *s)
{
    if (!take(s, '"'))
        return false;
    while (s->n) {
        char c = s->p[0];
        *s = str_from(*s, c == '\\' ? 2 : 1);
        if (c == '"')
            return true;
        if ((unsigned char)c < 0x20)
            return false;
    }
    return false;
}

/* Numbers and the three names: their exact form is not looked at until somebody asks for the value. */
static bool skip_word(str *s)
{
    size_t n = 0;

    while (n < s->n && (isalnum((unsigned char)s->p[n]) || strchr("+-.", s->p[n])) && s->p[n])
        n++;
    *s = str_from(*s, n);
    return n > 0;
}

static bool skip_value(str *s, unsigned depth);

static bool skip_items(str *s, char end, unsigned depth)
{
    if (take(s, end))
        return true;
    do {
        if (end == '}' && (!skip_string(s) || !take(s, ':')))
            return false;
        if (!skip_value(s, depth + 1))
            return false;
    } while (take(s, ','));
    return take(s, end);
}

static bool skip_value(str *s, unsigned depth)
{
    skip_space(s);
    if (!s->n || depth > DEEPEST)
        return false;
    switch (s->p[0]) {
    case '{': return take(s, '{') && skip_items(s, '}', depth);
    case '[': return take(s, '[') && skip_items(s, ']', depth);
    case '"': return skip_string(s);
    default: return skip_word(s);
    }
}

bool json_value(str *rest, str *value)
{
    str s = *rest;

    skip_space(&s);
    str from = s;
    if (!skip_value(&s, 0))
        return false;
    *value = str_upto(from, from.n - s.n);
    *rest = s;
    return true;
}

bool json_member(str object, const char *name, str *value)
{
    str s = object, wanted = str_of(name), key, found;

    if (!take(&s, '{'))
        return false;
    do {
        if (!json_value(&s, &key) || key.p[0] != '"' || !take(&s, ':') || !json_value(&s, &found))
            return false;
        if (key.n == wanted.n + 2 && memcmp(key.p + 1, wanted.p, wanted.n) == 0) {
            *value = found;
            return true;
        }
    } while (take(&s, ','));
    return false;
}

bool json_first(str array, str *rest)
{
    *rest = array;
    return take(rest, '[');
}

bool json_next(str *rest, str *value)
{
    skip_space(rest);
    if (!rest->n || rest->p[0] == ']' || !json_value(rest, value))
        return false;
    take(rest, ',');
    return true;
}

/* -- strings ------------------------------------------------------------------------------------------------------- */

static size_t put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    size_t more = c < 0x10000 ? 2 : 3;
    to[0] = (char)((more == 2 ? 0xe0 : 0xf0) | c >> 6 * more);
    for (size_t i = 1; i <= more; i++)
        to[i] = (char)(0x80 | (c >> 6 * (more - i) & 0x3f));
    return more + 1;
}

static bool take_hex4(str *s, uint32_t *out)
{
    uint64_t value;

    if (s->n < 4 || !str_hex_to_u64(str_upto(*s, 4), &value))
        return false;
    *out = (uint32_t)value;
    *s = str_from(*s, 4);
    return true;
}

/* Behind \u: one code point, perhaps as a surrogate pair; a lone half becomes U+FFFD. */
static bool take_code_point(str *s, uint32_t *c)
{
    uint32_t low;

    if (!take_hex4(s, c))
        return false;
    if (*c < 0xd800 || *c > 0xdfff)
        return true;
    str after = str_from(*s, 2);
    if (*c < 0xdc00 && str_has_prefix(*s, S("\\u")) && take_hex4(&after, &low) && low >= 0xdc00 && low <= 0xdfff) {
        *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
        *s = after;
    } else {
        *c = 0xfffd;
    }
    return true;
}

static bool take_escape(str *s, char *to, size_t *n)
{
    static const char from[] = "\"\\/bfnrt", as[] = "\"\\/\b\f\n\r\t";
    uint32_t c;

    if (!s->n)
        return false;
    const char *known = s->p[0] ? strchr(from, s->p[0]) : NULL;
    bool is_code_point = s->p[0] == 'u';
    *s = str_from(*s, 1);
    if (known)
        to[(*n)++] = as[known - from];
    else if (is_code_point && take_code_point(s, &c))
        *n += put_utf8(to + *n, c);
    else
        return false;
    return true;
}

bool json_text(str value, struct arena *arena, str *text)
{
    if (value.n < 2 || value.p[0] != '"' || value.p[value.n - 1] != '"')
        return false;
    str s = { value.p + 1, value.n - 2 };
    char *to = arena_alloc(arena, s.n + 1); /* no escape is shorter than what it stands for */
    size_t n = 0;

    if (!to)
        return false;
    while (s.n) {
        char c = s.p[0];
        s = str_from(s, 1);
        if (c != '\\')
            to[n++] = c;
        else if (!take_escape(&s, to, &n))
            return false;
    }
    to[n] = '\0';
    *text = (str){ to, n };
    return true;
}

uint64_t json_number(str value)
{
    uint64_t number = 0;

    return str_to_u64(value, &number) ? number : 0;
}

bool json_is_true(str value)
{
    return str_equal(value, S("true"));
}
