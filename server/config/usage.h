/* SPDX-License-Identifier: BSD-2-Clause */
/* usage.h: directive tables in words: the usage line, scopes, defaults. For messages, the manual and the dump. */
#ifndef CONFIG_USAGE_H
#define CONFIG_USAGE_H

#include "base/arena.h"

#include <weir/conf.h>

/* "rate_limit RATE [burst=N] [delay];": lead is what stands before the arguments. */
str usage_line(struct arena *arena, str lead, const struct weir_arg *args, uint32_t count);
/* What to write there: "N", "on|off", its choices. */
str usage_of_type(const struct weir_arg *arg);
/* The defaults as arguments, or empty. */
str usage_default(struct arena *arena, const struct weir_arg *args, uint32_t count);
/* "top level, site or route"; last: "or", "and". */
str scopes_in_words(struct arena *arena, uint32_t scopes, const char *last);
const char *scope_in_words(uint32_t scope); /* "at top level", "in a site" */

#endif
