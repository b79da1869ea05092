/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/template.h"

struct compiler {
    const struct variables *variables;
    struct arena *arena;
    struct diags *diags;
    struct place place;
    struct vec parts;
    char *plain; /* text gathered since the last variable */
    size_t plain_n;
    bool failed;
};

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The place of `what` within the word, where it can be found as it is written. */
static struct place narrowed(struct place place, str what)
{
    if (place.column == 0 || place.column - 1 > place.text.n)
        return place;
    str word = str_upto(str_from(place.text, place.column - 1), place.length);
    size_t from = 0;
    for (;;) {
        size_t at = from + str_find_str(str_from(word, from), what);
        if (at + what.n > word.n)
            return place;
        bool whole = at + what.n == word.n || !is_name_char(word.p[at + what.n]) || what.p[what.n - 1] == '}';
        if (!whole) {
            from = at + 1;
            continue;
        }
        place.column += (uint32_t)at;
        place.length = (uint32_t)what.n;
        return place;
    }
}

static void refuse(struct compiler *compiler, str what, str hint, const char *fact)
{
    diag_error(compiler->diags, narrowed(compiler->place, what), hint, "%s \"" STR_FMT "\"", fact,
               STR_ARG(str_upto(what, 100)));
    compiler->failed = true;
}

static void add_part(struct compiler *compiler, struct template_part part)
{
    struct template_part *slot = vec_push(compiler->arena, &compiler->parts, sizeof(*slot));
    if (slot)
        *slot = part;
    else
        compiler->failed = true;
}

static void end_plain(struct compiler *compiler)
{
    if (compiler->plain_n)
        add_part(compiler, (struct template_part){ .text = { compiler->plain, compiler->plain_n } });
    compiler->plain += compiler->plain_n;
    compiler->plain_n = 0;
}

static void add_plain(struct compiler *compiler, const char *p, size_t n)
{
    memcpy(compiler->plain + compiler->plain_n, p, n);
    compiler->plain_n += n;
}

static bool is_prefix(const struct variables *variables, str name)
{
    for (uint32_t i = 0; i < variables->prefixes.count; i++)
        if (str_equal((*vec_at(&variables->prefixes, struct variable *, i))->name, name))
            return true;
    return false;
}

static void add_variable(struct compiler *compiler, str written, str name)
{
    str rest;
    const struct variable *variable = compiler->variables ? variables_find(compiler->variables, name, &rest) : NULL;
    if (variable) {
        end_plain(compiler);
        add_part(compiler, (struct template_part){ .text = rest, .variable = variable });
        return;
    }
    str nearest = compiler->variables ? variables_nearest(compiler->variables, name) : STR_NONE;
    str hint = STR_NONE;
    if (nearest.n)
        hint = arena_printf(compiler->arena, "did you mean \"$" STR_FMT "%s\"?", STR_ARG(nearest),
                            is_prefix(compiler->variables, nearest) ? "NAME" : "");
    refuse(compiler, written, hint, "unknown variable");
}

/* text[at] is '$'; where reading goes on. */
static size_t read_variable(struct compiler *compiler, str text, size_t at)
{
    bool braced = at + 1 < text.n && text.p[at + 1] == '{';
    size_t from = at + 1 + braced, end = from;
    while (end < text.n && is_name_char(text.p[end]))
        end++;
    size_t next = end + braced;
    str written = { text.p + at, (next < text.n ? next : text.n) - at };
    if (braced && (end >= text.n || text.p[end] != '}'))
        refuse(compiler, (str){ text.p + at, end - at }, S("write ${name}, or \\$ for a dollar sign"),
               "unclosed variable");
    else if (end == from)
        refuse(compiler, written, S("write \\$ for a dollar sign"), "a '$' without a name:");
    else
        add_variable(compiler, written, (str){ text.p + from, end - from });
    return next < text.n ? next : text.n;
}

/* Backslashes in front of a '$': pairs are backslashes, an odd one takes the dollar's meaning away. Elsewhere they are
 * text. */
static size_t read_backslashes(struct compiler *compiler, str text, size_t at)
{
    size_t run = 0;
    while (at + run < text.n && text.p[at + run] == '\\')
        run++;
    bool before_dollar = at + run < text.n && text.p[at + run] == '$';
    add_plain(compiler, text.p + at, before_dollar ? run / 2 : run);
    if (!before_dollar || run % 2 == 0)
        return at + run;
    add_plain(compiler, "$", 1);
    return at + run + 1;
}

weir_tmpl *template_compile(str text, bool literal, const struct variables *variables, struct arena *arena,
                            struct diags *diags, struct place place)
{
    struct compiler compiler = { .variables = variables, .arena = arena, .diags = diags, .place = place };
    weir_tmpl *tmpl = arena_new(arena, weir_tmpl);
    compiler.plain = arena_alloc(arena, text.n + 1);
    str source = arena_str(arena, text);
    if (!tmpl || !compiler.plain || !source.p)
        goto out_of_memory;
    uint32_t errors = diags->errors;
    for (size_t i = 0; i < source.n;) {
        char c = source.p[i];
        if (c == '$' && !literal)
            i = read_variable(&compiler, source, i);
        else if (c == '\\' && !literal)
            i = read_backslashes(&compiler, source, i);
        else
            add_plain(&compiler, &source.p[i++], 1);
    }
    end_plain(&compiler);
    if (compiler.failed && diags->errors == errors)
        goto out_of_memory;
    if (compiler.failed)
        return NULL;
    *tmpl = (weir_tmpl){ .count = compiler.parts.count, .parts = compiler.parts.items, .source = source };
    return tmpl;

out_of_memory:
    diag_error(diags, place, STR_NONE, "out of memory");
    return NULL;
}

bool template_is_constant(const weir_tmpl *tmpl)
{
    return tmpl->count == 0 || (tmpl->count == 1 && !tmpl->parts[0].variable);
}

static str part_value(const struct template_part *part, template_get get, void *subject)
{
    str value = STR_NONE;
    if (!part->variable)
        return part->text;
    return get(subject, part->variable, part->text, &value) == 0 ? value : STR_NONE;
}

str template_eval(const weir_tmpl *tmpl, template_get get, void *subject, struct arena *arena, size_t most)
{
    enum { FEW = 16 };
    str few[FEW], *values = few;
    size_t n = 0;
    if (tmpl->count == 0)
        return S("");
    if (tmpl->count == 1) {
        str only = str_upto(part_value(&tmpl->parts[0], get, subject), most);
        return only.p ? only : S("");
    }
    if (tmpl->count > FEW)
        values = arena_alloc(arena, tmpl->count * sizeof(str));
    if (!values)
        return STR_NONE;
    for (uint32_t i = 0; i < tmpl->count; i++) {
        values[i] = str_upto(part_value(&tmpl->parts[i], get, subject), most - n);
        n += values[i].n;
    }
    char *to = arena_alloc(arena, n + 1);
    if (!to)
        return STR_NONE;
    n = 0;
    for (uint32_t i = 0; i < tmpl->count; i++) {
        if (values[i].n)
            memcpy(to + n, values[i].p, values[i].n);
        n += values[i].n;
    }
    to[n] = '\0';
    return (str){ to, n };
}
