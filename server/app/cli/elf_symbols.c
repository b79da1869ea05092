/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/cli/elf_symbols.h"

#include <link.h>

enum {
#if __SIZEOF_POINTER__ == 8
    OWN_CLASS = ELFCLASS64,
#else
    OWN_CLASS = ELFCLASS32,
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    OWN_ORDER = ELFDATA2LSB,
#else
    OWN_ORDER = ELFDATA2MSB,
#endif
#if defined(__x86_64__)
    OWN_MACHINE = EM_X86_64
#elif defined(__aarch64__)
    OWN_MACHINE = EM_AARCH64
#elif defined(__riscv)
    OWN_MACHINE = EM_RISCV
#elif defined(__powerpc64__)
    OWN_MACHINE = EM_PPC64
#elif defined(__s390x__)
    OWN_MACHINE = EM_S390
#elif defined(__arm__)
    OWN_MACHINE = EM_ARM
#elif defined(__i386__)
    OWN_MACHINE = EM_386
#else
    OWN_MACHINE = EM_NONE /* not compared: the dynamic linker will say so */
#endif
};

#if __SIZEOF_POINTER__ == 8
#define SYMBOL_BIND ELF64_ST_BIND
#define SYMBOL_VISIBILITY ELF64_ST_VISIBILITY
#else
#define SYMBOL_BIND ELF32_ST_BIND
#define SYMBOL_VISIBILITY ELF32_ST_VISIBILITY
#endif

static const char broken[] = "its ELF tables do not fit the file";

/* n bytes at the offset, or none: nothing is read from a file but through here. */
static bool copy_from(str file, uint64_t offset, void *to, size_t n)
{
    if (offset > file.n || n > file.n - offset)
        return false;
    memcpy(to, file.p + offset, n);
    return true;
}

static bool slice_of(str file, const ElfW(Shdr) * section, str *out)
{
    if (section->sh_offset > file.n || section->sh_size > file.n - section->sh_offset)
        return false;
    *out = (str){ file.p + section->sh_offset, section->sh_size };
    return true;
}

static bool name_at(str strings, uint64_t offset, str *name)
{
    if (offset >= strings.n)
        return false;
    str rest = str_from(strings, offset);
    *name = str_upto(rest, str_find(rest, '\0'));
    return name->n < rest.n; /* its NUL was there */
}

static const char *read_header(str file, ElfW(Ehdr) * header)
{
    if (file.n < EI_NIDENT || memcmp(file.p, ELFMAG, SELFMAG) != 0)
        return "no ELF file";
    if (file.p[EI_CLASS] != OWN_CLASS || file.p[EI_DATA] != OWN_ORDER)
        return "built for another kind of machine";
    if (!copy_from(file, 0, header, sizeof(*header)))
        return broken;
    if (OWN_MACHINE != EM_NONE && header->e_machine != OWN_MACHINE)
        return "built for another kind of machine";
    if (header->e_type != ET_DYN)
        return "no shared object (link it with -shared)";
    if (header->e_shnum == 0 || header->e_shentsize != sizeof(ElfW(Shdr)))
        return "it has no section table";
    return NULL;
}

static bool read_section(str file, const ElfW(Ehdr) * header, uint32_t i, ElfW(Shdr) * section)
{
    return i < header->e_shnum && header->e_shoff <= file.n &&
           copy_from(file, header->e_shoff + (uint64_t)i * sizeof(*section), section, sizeof(*section));
}

static bool note_symbol(const ElfW(Sym) * symbol, str name, struct arena *arena, struct elf_symbols *out)
{
    unsigned bind = SYMBOL_BIND(symbol->st_info), seen = SYMBOL_VISIBILITY(symbol->st_other);

    if (symbol->st_shndx == SHN_UNDEF) {
        struct elf_import *import = vec_push(arena, &out->imports, sizeof(*import));
        if (import)
            *import = (struct elf_import){ name, bind == STB_WEAK };
        return import != NULL;
    }
    if ((bind != STB_GLOBAL && bind != STB_WEAK) || (seen != STV_DEFAULT && seen != STV_PROTECTED))
        return true;
    str *export = vec_push(arena, &out->exports, sizeof(*export));
    if (export)
        *export = name;
    return export != NULL;
}

static const char *read_symbols(str table, str strings, struct arena *arena, struct elf_symbols *out)
{
    ElfW(Sym) symbol;
    str name;

    for (uint64_t at = sizeof(symbol); copy_from(table, at, &symbol, sizeof(symbol)); at += sizeof(symbol)) {
        if (!name_at(strings, symbol.st_name, &name))
            return broken;
        if (name.n && !note_symbol(&symbol, name, arena, out))
            return "no memory";
    }
    return NULL;
}

static const char *read_dynamic(str table, str strings, struct arena *arena, struct elf_symbols *out)
{
    ElfW(Dyn) entry;

    for (uint64_t at = 0; copy_from(table, at, &entry, sizeof(entry)) && entry.d_tag != DT_NULL; at += sizeof(entry)) {
        if (entry.d_tag != DT_NEEDED)
            continue;
        str name, *library;
        if (!name_at(strings, entry.d_un.d_val, &name))
            return broken;
        if (!(library = vec_push(arena, &out->libraries, sizeof(*library))))
            return "no memory";
        *library = name;
    }
    return NULL;
}

const char *elf_read_symbols(str file, struct arena *arena, struct elf_symbols *out)
{
    ElfW(Ehdr) header;
    ElfW(Shdr) section, linked;
    str table, strings;
    bool has_symbols = false;
    const char *why = read_header(file, &header);

    *out = (struct elf_symbols){ 0 };
    for (uint32_t i = 0; !why && i < header.e_shnum; i++) {
        if (!read_section(file, &header, i, &section))
            return broken;
        if (section.sh_type != SHT_DYNSYM && section.sh_type != SHT_DYNAMIC)
            continue;
        if (!read_section(file, &header, section.sh_link, &linked) || !slice_of(file, &section, &table) ||
            !slice_of(file, &linked, &strings))
            return broken;
        has_symbols |= section.sh_type == SHT_DYNSYM;
        why = section.sh_type == SHT_DYNSYM ? read_symbols(table, strings, arena, out)
                                            : read_dynamic(table, strings, arena, out);
    }
    return why || has_symbols ? why : "it has no table of dynamic symbols";
}
