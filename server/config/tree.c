/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/tree.h"
#include "base/hash.h"
#include "config/lexer.h"
#include "config/parse.h"

/* One text being read. */
struct reading {
    struct parser *parser;
    struct lexer lexer;
    struct token token; /* the one to look at */
    struct word *args;  /* of the statement being read */
    bool has_suspect;   /* suspect is the first brace closed by a '}' that stands under an outer block */
    struct word suspect;
};

struct place statement_place(const struct statement *statement)
{
    return word_place(statement, &statement->name);
}

struct place word_place(const struct statement *statement, const struct word *word)
{
    return place_in(statement->source, word->line_at, word->line, word->column, word->length);
}

static struct place end_place(const struct source *source, const struct word *word)
{
    uint32_t line = word->line, line_at = word->line_at, end = word->line_at + word->column - 1 + word->length;
    for (uint32_t i = line_at; i < end; i++) {
        if (source->text.p[i] != '\n')
            continue;
        line++;
        line_at = i + 1;
    }
    return place_in(source, line_at, line, end - line_at + 1, 0);
}

struct place word_end_place(const struct statement *statement, const struct word *word)
{
    return end_place(statement->source, word);
}

static const struct source *find_source(const struct source *near, str path)
{
    const struct source *source = near;
    while (source && source->prev)
        source = source->prev;
    while (source && !str_equal(source->path, path))
        source = source->next;
    return source;
}

struct place source_place(const struct source *near, str file, uint32_t line, uint32_t column)
{
    const struct source *source = find_source(near, file);
    struct place place = { .file = file, .line = line, .column = column };
    if (!source || line == 0)
        return place;
    size_t at = str_has_prefix(source->text, S("\xef\xbb\xbf")) ? 3 : 0; /* as the lexer counts */
    for (uint32_t i = 1; i < line && at < source->text.n; i++)
        at += str_find(str_from(source->text, at), '\n') + 1;
    if (at >= source->text.n)
        return place;
    place = place_in(source, (uint32_t)at, line, column, 0);
    while (column > 0 && column - 1 + place.length < place.text.n &&
           !strchr(" \t;{}", place.text.p[column - 1 + place.length]))
        place.length++;
    return place;
}

str word_plain(const struct word *word, struct arena *arena)
{
    str text = word->key.n ? word->value : word->text;
    if (word->quote != WORD_DOUBLE || str_find_str(text, S("\\$")) == text.n)
        return text;
    char *to = arena_alloc(arena, text.n + 1);
    if (!to)
        return STR_NONE;
    size_t n = 0;
    for (size_t i = 0; i < text.n;) {
        size_t run = 0;
        while (i + run < text.n && text.p[i + run] == '\\')
            run++;
        bool before_dollar = i + run < text.n && text.p[i + run] == '$';
        size_t keep = before_dollar ? run / 2 : run;
        memset(to + n, '\\', keep);
        n += keep;
        i += run;
        if (i < text.n)
            to[n++] = text.p[i++];
    }
    to[n] = '\0';
    return (str){ to, n };
}

struct source *parser_add_source(struct parser *parser, str path, str text)
{
    static const uint8_t key[16]; /* the same text has the same hash in every process */
    struct source *source = arena_new(parser->arena, struct source);
    if (!source) {
        parser->out_of_memory = true;
        return NULL;
    }
    source->path = arena_str(parser->arena, path);
    source->text = text;
    source->hash = siphash13(key, text.p, text.n);
    source->prev = parser->last_source;
    if (parser->last_source)
        parser->last_source->next = source;
    else
        parser->tree->sources = source;
    parser->last_source = source;
    if (!source->path.p)
        parser->out_of_memory = true;
    return source;
}

static void next(struct reading *reading)
{
    reading->token = lexer_next(&reading->lexer);
}

static struct place token_place(const struct reading *reading, const struct word *word)
{
    return place_in(reading->lexer.source, word->line_at, word->line, word->column, word->length);
}

static void append(struct statement_list *list, struct statement *statement)
{
    *list->end = statement;
    list->end = &statement->next;
}

/* The words behind the name, up to what is none. */
static void read_args(struct reading *reading, struct statement *statement)
{
    bool told = false;
    for (next(reading); reading->token.kind == TOKEN_WORD; next(reading)) {
        if (statement->arg_count < ARGS_MOST) {
            reading->args[statement->arg_count++] = reading->token.word;
            continue;
        }
        if (!told)
            diag_error(reading->parser->diags, token_place(reading, &reading->token.word), STR_NONE,
                       "more than %d arguments", ARGS_MOST);
        told = true;
    }
    if (statement->arg_count == 0)
        return;
    statement->args = arena_dup(reading->parser->arena, reading->args, statement->arg_count * sizeof(struct word));
    if (!statement->args)
        reading->parser->out_of_memory = true;
}

static void report_unended(struct reading *reading, const struct statement *statement)
{
    const struct word *last = &statement->name;
    if (statement->arg_count)
        last = &statement->args[statement->arg_count - 1];
    diag_error(reading->parser->diags, end_place(statement->source, last), S("did you forget ';'?"),
               "\"" STR_FMT "\" is not ended", STR_ARG(str_upto(statement->name.text, 100)));
}

static void read_block(struct reading *reading, struct statement *outer, uint32_t depth, struct statement_list *list);

static void skip_block(struct reading *reading)
{
    uint32_t open = 0;
    do {
        open += reading->token.kind == TOKEN_OPEN;
        open -= reading->token.kind == TOKEN_CLOSE;
        if (open > 0)
            next(reading);
    } while (open > 0 && reading->token.kind != TOKEN_END);
    next(reading);
}

/* Stands on '{'. */
static void read_children(struct reading *reading, struct statement *statement, uint32_t depth)
{
    struct word brace = reading->token.word;
    struct statement_list children = { .end = &statement->children };
    statement->has_block = true;
    if (depth >= LEVELS_MOST) {
        diag_error(reading->parser->diags, token_place(reading, &brace), STR_NONE, "blocks more than %d levels deep",
                   LEVELS_MOST);
        skip_block(reading);
        return;
    }
    next(reading);
    read_block(reading, statement, depth + 1, &children);
    if (reading->token.kind == TOKEN_CLOSE) {
        /* A '}' left of the line it closes most likely was written for an outer block: this one is unclosed. */
        if (!reading->has_suspect && reading->token.is_first && reading->token.word.column < statement->name.column) {
            reading->has_suspect = true;
            reading->suspect = brace;
        }
        next(reading);
        return;
    }
    if (reading->parser->out_of_memory || reading->lexer.is_cut)
        return;
    const struct word *at = reading->has_suspect ? &reading->suspect : &brace;
    diag_error(reading->parser->diags, token_place(reading, at), S("did you forget the closing '}'?"),
               "unclosed block");
    reading->has_suspect = false;
}

static bool is_include(const struct statement *statement)
{
    return statement->name.quote == WORD_BARE && str_equal(statement->name.text, S("include"));
}

/* Stands behind an include and its ';'. */
static void read_include(struct reading *reading, const struct statement *statement, struct statement_list *list)
{
    struct diags *diags = reading->parser->diags;
    if (!reading->parser->reader)
        diag_error(diags, statement_place(statement), STR_NONE, "include cannot be used here");
    else if (statement->has_block)
        diag_error(diags, statement_place(statement), S("end it with ';'"), "include takes no block");
    else if (statement->arg_count != 1)
        diag_error(diags, statement_place(statement), S("usage: include PATTERN;"),
                   statement->arg_count ? "include: too many arguments" : "include: PATTERN is missing");
    else
        include_files(reading->parser, statement, list);
}

/* Stands on the name. */
static void read_statement(struct reading *reading, struct statement *outer, uint32_t depth,
                           struct statement_list *list)
{
    struct parser *parser = reading->parser;
    struct statement *statement = arena_new(parser->arena, struct statement);
    if (!statement) {
        parser->out_of_memory = true;
        return;
    }
    statement->source = (struct source *)reading->lexer.source;
    statement->name = reading->token.word;
    statement->outer = outer;
    statement->depth = depth;
    statement->comment = lexer_comment_above(&reading->lexer, statement->name.line);
    if (statement->name.quote != WORD_BARE)
        diag_error(parser->diags, statement_place(statement), STR_NONE, "a directive's name is not quoted");
    read_args(reading, statement);
    if (parser->out_of_memory)
        return;
    if (reading->token.kind == TOKEN_SEMICOLON)
        next(reading);
    else if (reading->token.kind == TOKEN_OPEN)
        read_children(reading, statement, depth);
    else if (reading->lexer.is_cut)
        return;
    else
        report_unended(reading, statement);
    if (is_include(statement))
        read_include(reading, statement, list);
    else if (statement->name.quote == WORD_BARE)
        append(list, statement);
}

/* Up to the '}' of this block or the end. */
static void read_block(struct reading *reading, struct statement *outer, uint32_t depth, struct statement_list *list)
{
    struct diags *diags = reading->parser->diags;
    while (reading->token.kind != TOKEN_END && !reading->parser->out_of_memory) {
        switch (reading->token.kind) {
        case TOKEN_WORD: read_statement(reading, outer, depth, list); break;
        case TOKEN_CLOSE: return;
        case TOKEN_SEMICOLON:
            diag_error(diags, token_place(reading, &reading->token.word), S("remove it"), "';' that ends nothing");
            next(reading);
            break;
        case TOKEN_OPEN:
            diag_error(diags, token_place(reading, &reading->token.word), S("did you forget the name in front of it?"),
                       "block without a name");
            skip_block(reading);
            break;
        case TOKEN_END: break;
        }
    }
}

void parse_source(struct parser *parser, struct source *source, struct statement *outer, uint32_t depth,
                  struct statement_list *list)
{
    struct reading reading = { .parser = parser };
    reading.args = arena_alloc(parser->arena, ARGS_MOST * sizeof(struct word));
    if (!reading.args) {
        parser->out_of_memory = true;
        return;
    }
    lexer_init(&reading.lexer, source, parser->arena, parser->diags);
    next(&reading);
    for (;;) {
        read_block(&reading, outer, depth, list);
        if (reading.token.kind != TOKEN_CLOSE)
            break;
        diag_error(parser->diags, token_place(&reading, &reading.token.word), S("it closes no block"), "stray '}'");
        next(&reading);
    }
    parser->out_of_memory |= reading.lexer.out_of_memory;
}

bool tree_parse(struct tree *tree, str path, str text, struct arena *arena, struct diags *diags)
{
    uint32_t errors = diags->errors;
    struct parser parser = { .tree = tree, .arena = arena, .diags = diags };
    *tree = (struct tree){ .arena = arena };
    struct statement_list list = { .end = &tree->first };
    if (text.n > FILE_MOST) {
        diag_error(diags, (struct place){ .file = path }, STR_NONE, "larger than %d bytes", FILE_MOST);
        return false;
    }
    struct source *source = parser_add_source(&parser, path, text);
    if (source && !parser.out_of_memory)
        parse_source(&parser, source, NULL, 0, &list);
    if (parser.out_of_memory)
        diag_error(diags, (struct place){ .file = path }, STR_NONE, "out of memory");
    return diags->errors == errors;
}
