/* SPDX-License-Identifier: BSD-2-Clause */
/* diag.h: everything that is wrong with a configuration, collected, placed and explained.
 *
 * Shape:   a list of findings, each with a place (file, line, column, length), a severity, a message and
 *          perhaps a hint.
 *          Rendered as
 *              FILE:LINE:COL: error: unknown directive "proxi"
 *                 4 |     proxi http://10.0.0.5:2342;
 *                   |     ^~~~~ did you mean "proxy"?
 * Owner:   the list owns copies of everything it is given.
 * Errors:  beyond DIAG_MOST findings, or without memory, only their count is kept. */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include "base/arena.h"

#include <stdio.h>

enum { DIAG_MOST = 200 };
enum severity { SEVERITY_WARNING, SEVERITY_ERROR };

/* A place in a text. line and column count from 1 (0: unknown); column and length count bytes; text: the whole line. */
struct place {
    str file;
    uint32_t line, column, length;
    str text;
};

struct diag {
    struct diag *next;
    enum severity severity;
    struct place place;
    str message, hint; /* hint may be empty */
};

struct diags {
    struct arena *arena;
    struct diag *first, *last;
    uint32_t errors, warnings;
};

void diags_init(struct diags *diags, struct arena *arena);
void diag_error(struct diags *diags, struct place place, str hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void diag_warning(struct diags *diags, struct place place, str hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void diag_add(struct diags *diags, enum severity severity, struct place place, str hint, const char *fmt, va_list ap);

void diags_print(const struct diags *diags, FILE *out);             /* by file (as they came up) and line */
str diags_render(const struct diags *diags, struct arena *arena);   /* the same text */

/* The candidate nearest to word (Damerau-Levenshtein, at most a third of its length wrong), or none. */
str diag_nearest(str word, const str *candidates, size_t count);

#endif
