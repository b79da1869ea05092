/* SPDX-License-Identifier: BSD-2-Clause */
/* elf_symbols.h: what a shared object exports and what it needs, read from its file: nothing of it is run.
 *
 * Owner:   names are slices of the file's bytes.
 * Errors:  a static reason; every offset in the file is checked, whoever wrote it.
 * Source:  System V ABI, chapters 4 (object files) and 5 (dynamic linking). */
#ifndef APP_ELF_SYMBOLS_H
#define APP_ELF_SYMBOLS_H

#include "base/arena.h"

struct elf_symbols {
    struct vec imports;   /* of struct elf_import */
    struct vec exports;   /* of str */
    struct vec libraries; /* of str: DT_NEEDED */
};

struct elf_import {
    str name;
    bool is_weak; /* may stay unresolved */
};

/* NULL, or why the bytes are no shared object for this machine. */
const char *elf_read_symbols(str file, struct arena *arena, struct elf_symbols *out);

#endif
