/* SPDX-License-Identifier: BSD-2-Clause */
/* module_check.h: whether a descriptor can be trusted: what its tables say must make sense before anything of it is
 * used.
 * Errors:  NULL, or a sentence about what is wrong (in a room of this file's: main thread only). */
#ifndef PIPELINE_MODULE_CHECK_H
#define PIPELINE_MODULE_CHECK_H

#include "pipeline/module.h"

enum { MODULE_REASON = 512 };

const char *module_reason(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Magic, ABI and size; then *grown holds the descriptor with what the module did not know set to zero. path may be
 * empty. */
const char *module_check_abi(const struct weir_module *descriptor, str path, struct weir_module *grown);
const char *module_check_tables(const struct weir_module *module); /* of a grown one, its tables too */

/* Makes elements at least `size` large; a wider table stays as it is, unless it uses what this host does not know. */
const char *module_grow_table(weir_table *table, size_t size, const char *module, const char *what);

#endif
