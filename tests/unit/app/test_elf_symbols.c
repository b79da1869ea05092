/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared objects as they are read: whole ones, foreign ones, broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/cli/elf_symbols.h"

#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <unistd.h>

/* The least that has it all: header, sections (none, symbols, strings, dynamic) and their contents. */
struct object {
    ElfW(Ehdr) header;
    ElfW(Shdr) sections[4];
    ElfW(Sym) symbols[6];
    ElfW(Dyn) dynamic[3];
    char strings[64];
};

static struct arena *arena;

static struct object whole(void)
{
    /* 1 weir_module, 13 weir_say, 22 memcpy, 29 maybe, 35 libc.so.6 */
    static const char strings[] = "\0weir_module\0weir_say\0memcpy\0maybe\0libc.so.6";
    struct object o;
    ElfW(Ehdr) own;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC); /* this machine's class, byte order and number */

    assert_true(fd >= 0);
    assert_int_equal(read(fd, &own, sizeof(own)), sizeof(own));
    close(fd);
    memset(&o, 0, sizeof(o));
    memcpy(o.header.e_ident, own.e_ident, EI_NIDENT);
    o.header.e_machine = own.e_machine;
    o.header.e_type = ET_DYN;
    o.header.e_shoff = offsetof(struct object, sections);
    o.header.e_shnum = 4;
    o.header.e_shentsize = sizeof(ElfW(Shdr));
    o.sections[1] = (ElfW(Shdr)){
        .sh_type = SHT_DYNSYM, .sh_link = 2, .sh_size = sizeof(o.symbols), .sh_offset = offsetof(struct object, symbols)
    };
    o.sections[2] = (ElfW(
        Shdr)){ .sh_type = SHT_STRTAB, .sh_size = sizeof(o.strings), .sh_offset = offsetof(struct object, strings) };
    o.sections[3] = (ElfW(Shdr)){ .sh_type = SHT_DYNAMIC,
                                  .sh_link = 2,
                                  .sh_size = sizeof(o.dynamic),
                                  .sh_offset = offsetof(struct object, dynamic) };
    memcpy(o.strings, strings, sizeof(strings));
    o.symbols[1] = (ElfW(Sym)){ .st_name = 1, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), .st_shndx = 1 };
    o.symbols[2] = (ElfW(Sym)){ .st_name = 13, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE) };
    o.symbols[3] = (ElfW(Sym)){ .st_name = 22, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC) };
    o.symbols[4] = (ElfW(Sym)){ .st_name = 29, .st_info = ELF64_ST_INFO(STB_WEAK, STT_NOTYPE) };
    o.symbols[5] = (ElfW(Sym)){ .st_name = 22, .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC), .st_shndx = 1 };
    o.dynamic[0] = (ElfW(Dyn)){ .d_tag = DT_SONAME, .d_un.d_val = 1 };
    o.dynamic[1] = (ElfW(Dyn)){ .d_tag = DT_NEEDED, .d_un.d_val = 35 };
    return o;
}

static const char *read_object(const struct object *o, size_t n, struct elf_symbols *out)
{
    /* a copy of exactly that size, so that reading beyond it is seen */
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, o, n);
    arena_reset(arena);
    const char *why = elf_read_symbols((str){ exact, n }, arena, out);
    free(exact);
    return why;
}

static void symbols_and_libraries_are_listed(void **state)
{
    struct object o = whole();
    struct elf_symbols found;

    (void)state;
    assert_null(elf_read_symbols((str){ (const char *)&o, sizeof(o) }, arena, &found));
    assert_int_equal(found.exports.count, 1); /* local ones are nobody's business */
    assert_true(str_equal(*vec_at(&found.exports, str, 0), S("weir_module")));
    assert_int_equal(found.imports.count, 3);
    assert_true(str_equal(vec_at(&found.imports, struct elf_import, 0)->name, S("weir_say")));
    assert_false(vec_at(&found.imports, struct elf_import, 0)->is_weak);
    assert_true(vec_at(&found.imports, struct elf_import, 2)->is_weak);
    assert_int_equal(found.libraries.count, 1);
    assert_true(str_equal(*vec_at(&found.libraries, str, 0), S("libc.so.6")));
}

static void hidden_ones_are_no_exports(void **state)
{
    struct object o = whole();
    struct elf_symbols found;

    (void)state;
    o.symbols[1].st_other = STV_HIDDEN;
    assert_null(read_object(&o, sizeof(o), &found));
    assert_int_equal(found.exports.count, 0);
}

static void what_is_no_object_of_this_machine_is_refused(void **state)
{
    struct object o = whole();
    struct elf_symbols found;

    (void)state;
    o.header.e_ident[EI_CLASS] = (unsigned char)(ELFCLASS32 + ELFCLASS64 - o.header.e_ident[EI_CLASS]);
    assert_string_equal(read_object(&o, sizeof(o), &found), "built for another kind of machine");
    o = whole();
    o.header.e_machine = EM_SPARC;
    assert_string_equal(read_object(&o, sizeof(o), &found), "built for another kind of machine");
    o = whole();
    o.header.e_type = ET_REL;
    assert_string_equal(read_object(&o, sizeof(o), &found), "no shared object (link it with -shared)");
    o = whole();
    o.header.e_ident[0] = '#';
    assert_string_equal(read_object(&o, sizeof(o), &found), "no ELF file");
    o = whole();
    o.sections[1].sh_type = SHT_NULL;
    assert_string_equal(read_object(&o, sizeof(o), &found), "it has no table of dynamic symbols");
    assert_string_equal(elf_read_symbols(STR_NONE, arena, &found), "no ELF file");
}

/* Cut at every byte: refused, or (behind the last string) read as before; never read beyond. */
static void a_cut_file_is_refused(void **state)
{
    struct object o = whole();
    struct elf_symbols found;

    (void)state;
    for (size_t n = 0; n < sizeof(o); n++)
        assert_non_null(read_object(&o, n, &found));
}

/* Every byte set to extremes: any answer will do, as long as nothing outside the file is touched. */
static void a_damaged_file_does_no_harm(void **state)
{
    struct elf_symbols found;

    (void)state;
    for (size_t i = 0; i < sizeof(struct object); i++)
        for (int value = 0; value < 3; value++) {
            struct object o = whole();
            ((unsigned char *)&o)[i] = (unsigned char[]){ 0, 0x7f, 0xff }[value];
            const char *why = read_object(&o, sizeof(o), &found);
            assert_true(why || found.exports.count + found.imports.count <= 5);
        }
}

static int setup(void **state)
{
    (void)state;
    arena = arena_create(4096, 0);
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symbols_and_libraries_are_listed),
        cmocka_unit_test(hidden_ones_are_no_exports),
        cmocka_unit_test(what_is_no_object_of_this_machine_is_refused),
        cmocka_unit_test(a_cut_file_is_refused),
        cmocka_unit_test(a_damaged_file_does_no_harm),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
