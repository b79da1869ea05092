/* SPDX-License-Identifier: BSD-2-Clause */
/* loader.h: modules on disk, before and beside loading them. loader_load itself is declared with the configuration.
 *
 * Thread:  main. Life: what was opened stays for the process's life, but for the looks of loader_know. */
#ifndef APP_LOADER_H
#define APP_LOADER_H

#include "config/schema.h"

#include <weir/module.h>

/* What to say when NAME.so is not there: the nearest name in the folder, or what it holds. */
str loader_hint(str name, str modules_dir, struct arena *arena);
/* Tells the schema which directives the folder's modules would bring, but for those that it has already. */
void loader_know(struct schema *schema, str modules_dir, struct arena *arena);

/* A module's file opened for a look: load() is not run, nothing of the descriptor has been checked. False and why. */
struct loader_look {
    void *handle;
    const struct weir_module *descriptor;
};
bool loader_look(str path, struct arena *arena, struct loader_look *look, str *why);
bool loader_look_finds(const struct loader_look *look, const char *symbol); /* in it, its libraries, or the process */
void loader_look_end(struct loader_look *look);                             /* its strings are gone then */

#endif
