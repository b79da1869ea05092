/* SPDX-License-Identifier: BSD-2-Clause */
/* value.h: the argument types: their sizes, how text becomes a value and a value its canonical text.
 *
 * Errors:  a refused text gives a message ("\"5\" has no unit") and perhaps a cure; the output is then untouched. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "base/arena.h"

#include <weir/conf.h>

struct value_error {
    str message, hint;
};

uint32_t value_size(uint32_t type); /* bytes of the field's C type; 0: no such type */
/* All types but TEMPLATE, UPSTREAM, PLACE and relative paths, which need more than text. */
bool value_read(uint32_t type, const char *choices, str text, struct arena *arena, void *to, struct value_error *error);
bool value_read_cidr(str text, struct arena *arena, struct weir_cidr *to, struct value_error *error);
str value_print(uint32_t type, const char *choices, const void *value, struct arena *arena); /* the same types */
str value_print_cidr(const struct weir_cidr *cidr, struct arena *arena);
str value_choice(const char *choices, uint32_t index); /* one of "a|b|c", or empty */

#endif
