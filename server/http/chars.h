/* SPDX-License-Identifier: BSD-2-Clause */
/* chars.h: what a byte may be in HTTP and URI grammar: one table, one bit a class; and a few searches.
 *
 * Shape:   char_classes[byte] & CHAR_x. A byte may be in several classes.
 * Source:  RFC 9110 5.6.2 (token), 5.6.4 (quoted-string), 5.5 (field-value); RFC 3986 2.2, 2.3, 3.2.2, 3.3. */
#ifndef HTTP_CHARS_H
#define HTTP_CHARS_H

#include "base/str.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum char_class {
    CHAR_TOKEN = 1,      /* tchar */
    CHAR_PATH = 2,       /* pchar without "%": stands in a normal path as it is */
    CHAR_UNRESERVED = 4, /* an escape of it means the same as itself */
    CHAR_HOST = 8,       /* in a registered name, lower case; without "%", "*" and "," */
    CHAR_UPPER = 16,     /* A to Z */
    CHAR_QUERY = 32,     /* passed on in a query: printable or above ASCII, no "#" */
    CHAR_QUOTED = 64,    /* qdtext */
};

extern const uint8_t char_classes[256];

static inline bool char_is(char c, unsigned classes)
{
    return (char_classes[(uint8_t)c] & classes) != 0;
}

/* The end of the run of bytes that are in one of the classes. */
static inline const char *chars_span(const char *p, const char *end, unsigned classes)
{
    while (p < end && char_is(*p, classes))
        p++;
    return p;
}

static inline bool char_is_control(char c) /* HTAB is none: field values may hold it */
{
    return ((uint8_t)c < 0x20 && c != '\t') || c == 0x7f;
}

#ifdef __SSE2__
/* A bit for each of 16 bytes: those that are control characters. */
static inline int chars_controls(__m128i v)
{
    const __m128i below = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, below), v);

    return _mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(v, tab), low), _mm_cmpeq_epi8(v, del)));
}

static inline __m128i chars_load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* 4 to 15 bytes: two halves that overlap, in one. */
static inline __m128i chars_load_short(const char *p, size_t n)
{
    uint64_t first, last;
    uint32_t low, high;

    if (n >= 8) {
        memcpy(&first, p, 8);
        memcpy(&last, p + n - 8, 8);
    } else {
        memcpy(&low, p, 4);
        memcpy(&high, p + n - 4, 4);
        first = last = low | (uint64_t)high << 32;
    }
    return _mm_set_epi64x((long long)last, (long long)first);
}
#endif

/* The first control character (HTAB apart) in [p, end), or end. */
static inline const char *chars_find_control(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        int mask = chars_controls(chars_load(p));

        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && !char_is_control(*p))
        p++;
    return p;
}

/* For texts that are as short as they are: no byte is looked at alone, but where there are fewer than four. */
static inline bool chars_have_control(str s)
{
#ifdef __SSE2__
    const char *p = s.p, *end = s.p + s.n;

    if (s.n >= 16) {
        for (; end - p > 16; p += 16) {
            if (chars_controls(chars_load(p)))
                return true;
        }
        return chars_controls(chars_load(end - 16));
    }
    if (s.n >= 4)
        return chars_controls(chars_load_short(p, s.n));
#endif
    for (size_t i = 0; i < s.n; i++) {
        if (char_is_control(s.p[i]))
            return true;
    }
    return false;
}

/* The first ':' in [p, end), or end. A loop of our own: names are too short for memchr's set-up to pay. */
static inline const char *chars_find_colon(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i colon = _mm_set1_epi8(':');

    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        int mask = _mm_movemask_epi8(_mm_cmpeq_epi8(v, colon));

        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && *p != ':')
        p++;
    return p;
}

/* The first byte up to and with SP in [p, end), or end: where a word of a start line ends. */
static inline const char *chars_find_space(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i space = _mm_set1_epi8(0x20);

    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        int mask = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, space), v));

        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && (uint8_t)*p > 0x20)
        p++;
    return p;
}

#endif
