/* SPDX-License-Identifier: BSD-2-Clause */
/* regex.h: regular expressions of the configuration, compiled once, asked on the request path.
 *
 * Owner:   the arena it was compiled in; what a match needs is per thread and ends with the thread.
 * Thread:  compiled where configuration is bound; matched by any worker.
 * Limits:  a match that takes more than REGEX_STEPS gives up instead of holding the worker.
 * Errors:  why (in the arena) and the offset in the pattern.
 * Source:  the syntax is PCRE2's. */
#ifndef APP_REGEX_H
#define APP_REGEX_H

#include "base/arena.h"

enum { REGEX_STEPS = 100000, REGEX_HEAP_KIB = 1024 };
enum regex_answer { REGEX_NO, REGEX_YES, REGEX_GAVE_UP };

struct regex;

struct regex *regex_compile(str pattern, struct arena *arena, str *why, size_t *offset); /* NULL: refused */
enum regex_answer regex_match(const struct regex *regex, str subject);

#endif
