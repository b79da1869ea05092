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

/* The first control character (HTAB apart) in [p, end), or end. */
static inline const char *chars_find_control(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i below = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);

    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, below), v);
        __m128i hit = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(v, tab), low), _mm_cmpeq_epi8(v, del));
        int mask = _mm_movemask_epi8(hit);

        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && !char_is_control(*p))
        p++;
    return p;
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
