/* SPDX-License-Identifier: BSD-2-Clause */
/* pattern.h: names of certificates against patterns with `*`.
 *
 * Shape:   in both a backslash and what follows it are one character, so that a comma inside a name (written \,) is
 *          never taken for the one between two names. `*` is any number of characters. Case counts.
 * Thread:  any; pure. */
#ifndef AUTH_PATTERN_H
#define AUTH_PATTERN_H

#include <weir/weir.h>

bool pattern_matches(weir_str pattern, weir_str text);
/* One of the elements of a list with commas between them. */
bool pattern_matches_any(weir_str pattern, weir_str list);

#endif
