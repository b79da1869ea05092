/* SPDX-License-Identifier: BSD-2-Clause */
/* nearest.c: "did you mean": the nearest of several words. */
#include "base/diag.h"

/* Longer words are nobody's typing mistake, and the rows below are on the stack. */
enum { WORD_MOST = 64 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Edits (insert, drop, change, swap neighbours; letter case is free) that make b of a; both at most WORD_MOST long. */
static unsigned distance(str a, str b)
{
    unsigned rows[3][WORD_MOST + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (unsigned j = 0; j <= b.n; j++)
        last[j] = before[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        row[0] = i;
        char ca = char_lower(a.p[i - 1]);
        for (unsigned j = 1; j <= b.n; j++) {
            char cb = char_lower(b.p[j - 1]);
            unsigned best = least(least(last[j], row[j - 1]) + 1, last[j - 1] + (ca != cb));
            bool swapped = i > 1 && j > 1 && ca == char_lower(b.p[j - 2]) && char_lower(a.p[i - 2]) == cb;
            row[j] = swapped ? least(best, before[j - 2] + 1) : best;
        }
        unsigned *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b.n];
}

str diag_nearest(str word, const str *candidates, size_t count)
{
    str nearest = STR_NONE;
    if (word.n == 0 || word.n > WORD_MOST)
        return nearest;
    unsigned limit = (unsigned)word.n / 3 + 1; /* the least that is too much */
    for (size_t i = 0; i < count && limit > 0; i++) {
        if (candidates[i].n == 0 || candidates[i].n > WORD_MOST)
            continue;
        unsigned edits = distance(word, candidates[i]);
        if (edits < limit) {
            limit = edits;
            nearest = candidates[i];
        }
    }
    return nearest;
}
