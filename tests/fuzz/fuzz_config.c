/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_config.c: any text is read, bound and dumped without a crash; every finding lies inside the text; what binds is
 * dumped as text that binds. */
#include "../unit/config/toy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool what)
{
    if (!what)
        abort();
}

static str line_of(str text, uint32_t line)
{
    if (line == 1 && str_has_prefix(text, S("\xef\xbb\xbf")))
        text = str_from(text, 3); /* a byte order mark is no part of the line */
    for (; line > 1; line--)
        text = str_from(text, str_find(text, '\n') + 1);
    size_t end = str_find(text, '\n');
    bool crlf = end < text.n && end > 0 && text.p[end - 1] == '\r';
    return str_upto(text, crlf ? end - 1 : end);
}

static uint32_t lines_in(str text)
{
    uint32_t lines = 1;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    return lines;
}

static void check_places(const struct diags *diags, str text)
{
    for (const struct diag *diag = diags->first; diag; diag = diag->next) {
        const struct place *place = &diag->place;
        if (place->line == 0)
            continue; /* of the file as a whole */
        require(place->line <= lines_in(text) && place->column >= 1);
        str line = line_of(text, place->line);
        require((size_t)place->column - 1 + place->length <= line.n);
        require(str_has_prefix(line, place->text) && place->text.n >= (size_t)place->column - 1 + place->length);
    }
}

/* As test_dump does it: scopes come in the order of their blocks, inner ones behind their outer one. */
static void dump_scopes(struct toy *toy, struct toy_scopes *all, unsigned *next, FILE *out)
{
    unsigned self = (*next)++;
    const struct statement *block = all->blocks[self];
    scope_dump(&toy->schema, all->scopes[self], block ? block->children : toy->tree.first, 0, out);
    while (*next < all->count && all->blocks[*next]->outer == block) {
        statement_print(all->blocks[*next], out);
        fprintf(out, " {\n");
        dump_scopes(toy, all, next, out);
        fprintf(out, "}\n");
    }
}

static void check_dump(struct toy *toy, struct toy_scopes *all)
{
    char *text = NULL;
    size_t n = 0;
    unsigned next = 0;
    FILE *out = open_memstream(&text, &n);
    require(out);
    dump_scopes(toy, all, &next, out);
    fclose(out);
    struct toy again;
    struct toy_scopes scopes;
    require(text && toy_init(&again));
    require(toy_bind(&again, &scopes, text) && again.diags.errors == 0);
    toy_drop(&again, &scopes);
    toy_finish(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct toy toy;
    struct toy_scopes all = { .count = 0 };
    str text = { (const char *)data, size };
    require(toy_init(&toy));
    bool ok = tree_parse(&toy.tree, S("fuzz"), text, toy.arena, &toy.diags);
    require(ok == (toy.diags.errors == 0));
    require(toy_bind_scope(&toy, &all, NULL, WEIR_IN_TOP, NULL));
    check_places(&toy.diags, text);
    require(diags_render(&toy.diags, toy.arena).p);
    if (toy.diags.errors == 0)
        check_dump(&toy, &all);
    toy_drop(&toy, &all);
    toy_finish(&toy);
    return 0;
}
