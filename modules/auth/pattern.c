/* SPDX-License-Identifier: BSD-2-Clause */
#include "pattern.h"

#include <string.h>

/* How many bytes the character at this place has; 0: the end. */
static size_t step(weir_str text, size_t at)
{
    if (at >= text.n)
        return 0;
    return text.p[at] == '\\' && at + 1 < text.n ? 2 : 1;
}

bool pattern_matches(weir_str pattern, weir_str text)
{
    size_t p = 0, t = 0, star = 0, retry = 0;
    bool has_star = false;

    while (t < text.n) {
        size_t pn = step(pattern, p), tn = step(text, t);
        if (pn == 1 && pattern.p[p] == '*') { /* first: a `*` in the text is a character like any */
            has_star = true;
            star = ++p;
            retry = t;
        } else if (pn && pn == tn && memcmp(pattern.p + p, text.p + t, pn) == 0) {
            p += pn;
            t += tn;
        } else if (has_star) {
            retry += step(text, retry);
            p = star;
            t = retry;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

bool pattern_matches_any(weir_str pattern, weir_str list)
{
    size_t begin = 0, at = 0, n;

    for (; (n = step(list, at)) != 0; at += n) {
        if (n != 1 || list.p[at] != ',')
            continue;
        if (pattern_matches(pattern, (weir_str){ list.p + begin, at - begin }))
            return true;
        begin = at + 1;
    }
    return begin < list.n && pattern_matches(pattern, (weir_str){ list.p + begin, list.n - begin });
}
