/* SPDX-License-Identifier: BSD-2-Clause */
/* str.h: bytes that somebody else owns: comparing, cutting, converting.
 *
 * Shape:   str is the SDK's weir_str: pointer and length, no terminator.
 * Owner:   nobody here, but of str_dup the caller; a cut points into what it was cut from.
 * Errors:  conversions return false and leave their output untouched. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <ctype.h>
#include <string.h>
#include <weir/abi.h>

typedef weir_str str;

#define S(literal) WEIR_S(literal)
#define STR_NONE ((str){ NULL, 0 })
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p /* for printf with STR_FMT; lengths above INT_MAX never get here */

static inline str str_of(const char *z)
{
    return (str){ z, z ? strlen(z) : 0 };
}

static inline bool str_equal(str a, str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_has_prefix(str s, str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_has_suffix(str s, str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

static inline str str_from(str s, size_t skip)
{
    return skip >= s.n ? (str){ s.p ? s.p + s.n : NULL, 0 } : (str){ s.p + skip, s.n - skip };
}

static inline str str_upto(str s, size_t n)
{
    return (str){ s.p, n < s.n ? n : s.n };
}

/* ASCII only; the locale has no say in protocols. */
static inline char char_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

char *str_dup(str s); /* with a NUL behind it, to be given to mem_free; NULL without memory */
bool str_equal_nocase(str a, str b);
bool str_has_prefix_nocase(str s, str prefix);
int str_compare(str a, str b);             /* as memcmp, a shorter prefix first */
size_t str_find(str s, char c);            /* index of the first c, or s.n */
size_t str_find_str(str s, str needle);    /* index of the first occurrence, or s.n */
str str_trim(str s);                       /* without SP and HTAB at both ends (RFC 9110 5.6.3 OWS) */
bool str_split(str *rest, char by, str *item); /* takes the next item off rest; "a,,b,": a, "", b, false */
bool str_to_u64(str s, uint64_t *out);     /* 1*DIGIT, nothing else, no overflow */
bool str_hex_to_u64(str s, uint64_t *out); /* 1*HEXDIG, at most 16 digits */
int char_hex(char c);                      /* value of one hex digit, or -1 */
size_t str_utf8_length(str s);             /* bytes of the well-formed character s starts with (RFC 3629), or 0 */

#endif
