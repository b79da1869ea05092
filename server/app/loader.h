/* SPDX-License-Identifier: BSD-2-Clause */
/* loader.h: modules on disk, before and beside loading them. loader_load itself is declared with the configuration.
 *
 * Thread:  main. Life: what was opened stays for the process's life, but for the looks of loader_know. */
#ifndef APP_LOADER_H
#define APP_LOADER_H

#include "config/schema.h"

/* What to say when NAME.so is not there: the nearest name in the folder, or what it holds. */
str loader_hint(str name, str modules_dir, struct arena *arena);
/* Tells the schema which directives the folder's modules would bring, leaving out those that are in the schema
 * already. */
void loader_know(struct schema *schema, str modules_dir, struct arena *arena);

#endif
