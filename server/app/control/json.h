/* SPDX-License-Identifier: BSD-2-Clause */
/* json.h: reading the control API's answers: values are slices of the text, looked up by name, nothing is built.
 *
 * Owner:   slices point into the text; a decoded string lies in the arena.
 * Errors:  false or an empty slice for what is not there or no JSON; nesting deeper than 32 is refused.
 * Source:  RFC 8259. */
#ifndef APP_JSON_H
#define APP_JSON_H

#include "base/arena.h"

bool json_value(str *rest, str *value);                     /* takes the value that rest begins with, whole */
bool json_member(str object, const char *name, str *value); /* the first of that name */
bool json_first(str array, str *rest);                      /* then json_next until false */
bool json_next(str *rest, str *value);
bool json_text(str value, struct arena *arena, str *text); /* of a string; escapes decoded */
uint64_t json_number(str value);                           /* of a whole number; else 0 */
bool json_is_true(str value);

#endif
