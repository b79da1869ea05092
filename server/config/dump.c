/* SPDX-License-Identifier: BSD-2-Clause */
/* dump.c: a scope as it was understood, as text that is read back as the same.
 *
 * Shape:   the scope's own statements, each with the place it came from; then, as comments, what holds here because an
 *          outer scope says it, and (in the outermost scope where a directive may stand) the defaults that hold. */
#include "config/args.h"
#include "config/binding.h"
#include "config/usage.h"
#include "config/value.h"

struct dumping {
    const struct schema *schema;
    const struct scope *scope;
    const struct statement *statements;
    struct arena *arena; /* for one line */
    unsigned indent;
    FILE *out;
};

static bool is_bare(str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c <= ' ' || c == 0x7f || strchr(";{}\"'", c) || (c == '#' && i == 0) || c == '=')
            return false;
    }
    return text.n > 0;
}

/* In double quotes. literal: no template, so a '$' is one. */
static void print_double(str text, bool literal, FILE *out)
{
    fputc('"', out);
    for (size_t i = 0; i < text.n;) {
        size_t run = 0;
        while (i + run < text.n && text.p[i + run] == '\\')
            run++;
        bool before_dollar = i + run < text.n && text.p[i + run] == '$';
        for (size_t k = 0; k < (before_dollar && !literal ? run : 2 * run); k++)
            fputc('\\', out);
        i += run;
        if (i >= text.n)
            break;
        char c = text.p[i++];
        if (c == '$' && literal)
            fputs("\\$", out);
        else if (c == '\n' || c == '\t' || c == '"')
            fputs(c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\\"", out);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

/* In single quotes, unless these cannot hold it or it would leave the line (and with it a comment). */
static void print_single(str text, FILE *out)
{
    if (str_find(text, '\'') < text.n || str_find(text, '\n') < text.n)
        print_double(text, true, out);
    else
        fprintf(out, "'" STR_FMT "'", STR_ARG(text));
}

/* A text that is no template; may_be_bare: where no other meaning is possible. */
static void print_literal(str text, bool may_be_bare, FILE *out)
{
    if (may_be_bare && is_bare(text))
        fwrite(text.p, 1, text.n, out);
    else
        print_single(text, out);
}

/* As it was written, as far as meaning goes. */
static void print_word(const struct word *word, FILE *out)
{
    str text = word->key.n ? word->value : word->text;
    if (word->key.n)
        fprintf(out, STR_FMT "=", STR_ARG(word->key));
    if (word->quote == WORD_DOUBLE)
        print_double(text, false, out);
    else if (word->quote == WORD_SINGLE)
        print_single(text, out);
    else
        fwrite(text.p, 1, text.n, out);
}

void statement_print(const struct statement *statement, FILE *out)
{
    fwrite(statement->name.text.p, 1, statement->name.text.n, out);
    for (uint32_t i = 0; i < statement->arg_count; i++) {
        fputc(' ', out);
        print_word(&statement->args[i], out);
    }
}

/* Values with one way to write them best: 60000ms is 1m. Others, and lists, stay as they are. */
static bool is_canonical_type(const struct weir_arg *arg)
{
    return arg->type >= WEIR_TYPE_UINT && arg->type <= WEIR_TYPE_RATE && !(arg->flags & WEIR_ARG_LIST);
}

static void print_arg(const struct dumping *dumping, const struct statement *statement, const struct weir_arg *arg,
                      const struct word *word)
{
    struct value_error error;
    union {
        uint64_t number;
        struct weir_rate rate;
    } value;
    struct word whole = *word;
    bool option = arg->flags & WEIR_ARG_OPTION;
    if (!option)
        whole.key = STR_NONE;
    str text = word_plain(&whole, dumping->arena);
    bool is_path = arg->type == WEIR_TYPE_PATH && text.n;
    bool canonical = is_canonical_type(arg) && value_read(arg->type, NULL, text, dumping->arena, &value, &error);
    if (!canonical && !is_path) {
        print_word(word, dumping->out);
        return;
    }
    if (option)
        fprintf(dumping->out, STR_FMT "=", STR_ARG(word->key));
    text = canonical ? value_print(arg->type, NULL, &value, dumping->arena)
                     : path_beside(dumping->arena, statement->source->path, text);
    print_literal(text, word->quote == WORD_BARE, dumping->out);
}

/* masked: arguments (by index) that are left out; *printed: those that were not. */
static void print_statement(const struct dumping *dumping, const struct statement *statement,
                            const struct schema_entry *entry, uint64_t masked, uint64_t *printed)
{
    const struct arg_list list = { entry->args, entry->directive->args.count };
    uint32_t position = 0;
    fprintf(dumping->out, "%s", entry->directive->name);
    for (uint32_t i = 0; i < statement->arg_count; i++) {
        const struct word *word = &statement->args[i];
        uint32_t index = 0;
        enum arg_match match = args_match(&list, word, &position, &index);
        bool known = match != MATCH_UNKNOWN_OPTION && match != MATCH_TOO_MANY && !is_clear(statement);
        if (known && (masked & 1ull << index))
            continue;
        fputc(' ', dumping->out);
        if (known)
            print_arg(dumping, statement, &entry->args[index], word);
        else
            print_word(word, dumping->out);
        if (known)
            *printed |= 1ull << index;
    }
    fputc(';', dumping->out);
}

static void print_path(str path, FILE *out)
{
    for (size_t i = 0; i < path.n; i++)
        /* it stands in a comment, which a newline would end */
        fputc((unsigned char)path.p[i] < 0x20 ? '?' : path.p[i], out);
}

static void print_indent(const struct dumping *dumping)
{
    fprintf(dumping->out, "%*s", (int)(4 * dumping->indent), "");
}

static void print_origin(const struct dumping *dumping, const struct statement *statement)
{
    fputs(" # ", dumping->out);
    print_path(statement->source->path, dumping->out);
    fprintf(dumping->out, ":%u\n", statement->name.line);
    arena_reset(dumping->arena);
}

/* Feeding the same list makes two directives one as far as `clear` goes. */
static bool is_cleared(const struct schema *schema, const struct schema_entry *entry,
                       const struct statement *statements, uint32_t kind)
{
    for (const struct statement *s = statements; s; s = s->next) {
        const struct schema_entry *other = is_clear(s) ? schema_find(schema, s->name.text, kind) : NULL;
        bool same_list = other && other->owner == entry->owner && entry->directive->record_size &&
                         other->directive->record_size && other->directive->offset == entry->directive->offset;
        if (other == entry || same_list)
            return true;
    }
    return false;
}

/* Which arguments these statements say. */
static uint64_t args_said(const struct schema_entry *entry, const struct statement *statements)
{
    const struct arg_list list = { entry->args, entry->directive->args.count };
    uint64_t said = 0;
    for (const struct statement *s = statements; s; s = s->next) {
        uint32_t position = 0, index;
        if (!str_equal(s->name.text, str_of(entry->directive->name)) || is_clear(s))
            continue;
        for (uint32_t i = 0; i < s->arg_count; i++)
            if (args_match(&list, &s->args[i], &position, &index) <= MATCH_POSITIONAL)
                said |= 1ull << index;
    }
    return said;
}

static bool is_said(const struct schema_entry *entry, const struct statement *statements)
{
    for (const struct statement *s = statements; s; s = s->next)
        if (str_equal(s->name.text, str_of(entry->directive->name)) && !is_clear(s))
            return true;
    return false;
}

/* What `outer` says of it and what nothing further in has replaced, as comments. */
static void dump_outer(const struct dumping *dumping, const struct schema_entry *entry, const struct scope *outer,
                       uint64_t masked)
{
    for (const struct statement *s = outer->statements; s; s = s->next) {
        if (schema_find(dumping->schema, s->name.text, outer->kind) != entry || is_clear(s))
            continue;
        uint64_t printed = 0,
                 here = args_said(entry,
                                  &(struct statement){ .name = s->name, .args = s->args, .arg_count = s->arg_count });
        if (here && !(here & ~masked))
            continue;
        print_indent(dumping);
        fputs("# ", dumping->out);
        print_statement(dumping, s, entry, masked, &printed);
        print_origin(dumping, s);
    }
}

/* Everything about one directive but the scope's own statements. */
static void dump_inherited(const struct dumping *dumping, const struct schema_entry *entry)
{
    const struct weir_directive *directive = entry->directive;
    bool adds =
        directive->record_size || directive->merge == WEIR_MERGE_APPEND || directive->merge == WEIR_MERGE_INNER_FIRST;
    uint64_t masked = adds ? 0 : args_said(entry, dumping->statements);
    bool said = is_said(entry, dumping->statements), outermost = true;
    const struct statement *statements = dumping->statements;
    const struct scope *scope = dumping->scope;
    while (scope->outer && !is_cleared(dumping->schema, entry, statements, scope->kind) &&
           directive->merge != WEIR_MERGE_LOCAL) {
        if (directive->merge == WEIR_MERGE_REPLACE && said)
            return;
        scope = scope->outer;
        statements = scope->statements;
        dump_outer(dumping, entry, scope, masked);
        said |= is_said(entry, statements);
        masked |= adds ? 0 : args_said(entry, statements);
    }
    for (scope = dumping->scope->outer; scope; scope = scope->outer)
        outermost &= !(directive->scopes & scope->kind);
    if (!outermost || directive->record_size)
        return;
    struct weir_arg left[64];
    uint32_t count = 0;
    for (uint32_t i = 0; i < directive->args.count; i++)
        if (entry->args[i].fallback && !(masked & 1ull << i))
            left[count++] = entry->args[i];
    str text = usage_default(dumping->arena, left, count);
    if (text.n == 0 || (adds && said))
        return;
    print_indent(dumping);
    fprintf(dumping->out, "# %s " STR_FMT "; # default\n", directive->name, STR_ARG(text));
    arena_reset(dumping->arena);
}

void scope_dump(const struct schema *schema, const struct scope *scope, const struct statement *statements,
                unsigned indent, FILE *out)
{
    struct dumping dumping = { schema, scope, statements, arena_create(4096, 0), indent, out };
    if (!dumping.arena)
        return;
    for (const struct statement *s = statements; s; s = s->next) {
        const struct schema_entry *entry = schema_find(schema, s->name.text, scope->kind);
        uint64_t printed = 0;
        if (!entry || s->has_block)
            continue;
        print_indent(&dumping);
        print_statement(&dumping, s, entry, 0, &printed);
        print_origin(&dumping, s);
    }
    for (uint32_t i = 0; i < schema->entries.count; i++)
        if (entry_at(schema, i)->directive->scopes & scope->kind)
            dump_inherited(&dumping, entry_at(schema, i));
    arena_destroy(dumping.arena);
}
