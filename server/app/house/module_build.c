/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* dl_iterate_phdr */
#include "app/house/module_build.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ID_BYTES_MOST = 24 };

struct search {
    uintptr_t symbol;
    const uint8_t *id;
    size_t id_n;
};

static size_t aligned(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

static void look_at_notes(struct search *search, const uint8_t *at, size_t n)
{
    while (n >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, at, sizeof(note));
        size_t name = sizeof(note), id = name + aligned(note.n_namesz), end = id + aligned(note.n_descsz);
        if (end > n)
            return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(at + name, "GNU", 4) == 0) {
            search->id = at + id;
            search->id_n = note.n_descsz;
            return;
        }
        at += end;
        n -= end;
    }
}

static int look_at_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *search = arg;
    bool is_it = false;

    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + segment->p_vaddr;
        is_it |= segment->p_type == PT_LOAD && search->symbol >= from && search->symbol - from < segment->p_memsz;
    }
    for (unsigned i = 0; is_it && !search->id && i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            look_at_notes(search, (const uint8_t *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr),
                          info->dlpi_phdr[i].p_memsz);
    return is_it;
}

void module_build(const void *symbol, const struct stat *st, char *room, size_t n)
{
    struct search search = { .symbol = (uintptr_t)symbol };

    dl_iterate_phdr(look_at_object, &search);
    if (!search.id || search.id_n < 8) {
        snprintf(room, n, "file:%llx-%llx-%llx", (unsigned long long)st->st_ino,
                 (unsigned long long)st->st_mtim.tv_sec * 1000000000ull + (unsigned long long)st->st_mtim.tv_nsec,
                 (unsigned long long)st->st_size);
        return;
    }
    size_t at = (size_t)snprintf(room, n, "id:");
    for (size_t i = 0; i < search.id_n && i < ID_BYTES_MOST && at + 3 < n; i++)
        at += (size_t)snprintf(room + at, n - at, "%02x", search.id[i]);
}
