/* SPDX-License-Identifier: BSD-2-Clause */
/* module_build.h: what tells one build of a module's file from the next.
 *
 * Shape:   "id:HEX", the linker's build id, when the file has one; else "file:INODE-MTIME-SIZE". One word, at most
 *          QUARANTINE_BUILD - 1 bytes. */
#ifndef APP_MODULE_BUILD_H
#define APP_MODULE_BUILD_H

#include <stddef.h>
#include <sys/stat.h>

/* symbol: any address in the loaded object; st: of its file. */
void module_build(const void *symbol, const struct stat *st, char *room, size_t n);

#endif
