/* SPDX-License-Identifier: BSD-2-Clause */
/* tree.h: configuration text as a tree of statements: every word with its place, nothing interpreted yet.
 *
 * Shape:   statement = name { argument } ( ";" | "{" { statement } "}" ); `include` is already replaced by what it
 *          names.
 * Owner:   everything lies in the tree's arena.
 * Errors:  collected in diags, all of them; the tree holds what could be read.
 * Limits:  1 MiB a file (4096 files, 64 MiB in all), 32 levels of blocks and of includes, 256 arguments a statement. */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include "base/diag.h"

struct source { /* one file */
    struct source *next, *prev;
    str path; /* as given, or joined with the including file's folder */
    str text;
    uint64_t hash; /* of the text */
};

enum word_quote { WORD_BARE, WORD_DOUBLE, WORD_SINGLE };

struct word {
    /* quotes removed, escapes of double quotes decoded except \$ (templates know it); NUL behind it */
    str text;
    str key;                       /* KEY of KEY=value (bare key of letters, digits, '_' and '-'), else empty */
    str value;                     /* what stands behind '='; quotes removed */
    enum word_quote quote;         /* of the word, or of the value when there is a key */
    uint32_t line, column, length; /* in the source, quotes included */
    uint32_t line_at;              /* where its line begins in the source's text */
};

struct statement {
    struct statement *next;
    struct source *source;
    struct word name;
    struct word *args;
    uint32_t arg_count;
    bool has_block;
    uint32_t depth; /* blocks around it */
    struct statement *children;
    str comment; /* the comment lines right above it, as written, or empty */
    struct statement *outer;
};

struct tree {
    struct arena *arena;
    struct source *sources; /* in the order of reading */
    struct statement *first;
};

/* Reads path and all it includes. read: how files are read (NULL: open(2)); content must live in the arena. list: which
 * files a pattern names, in any order (NULL: glob(3) on the disk). */
struct tree_reader {
    bool (*read)(void *arg, str path, struct arena *arena, str *text, str *why);
    void (*list)(void *arg, str pattern, void (*found)(void *to, str path), void *to);
    void *arg;
};
bool tree_load(struct tree *tree, str path, const struct tree_reader *reader, struct arena *arena, struct diags *diags);
/* one text; include is an error */
bool tree_parse(struct tree *tree, str path, str text, struct arena *arena, struct diags *diags);

struct place statement_place(const struct statement *statement); /* of the name */
struct place word_place(const struct statement *statement, const struct word *word);
struct place word_end_place(const struct statement *statement, const struct word *word); /* just behind it */
/* The place of a line and column read earlier, with its text when `near` and that file belong to one tree. */
struct place source_place(const struct source *near, str file, uint32_t line, uint32_t column);

/* What a word means where no template is asked for: the value if it has a key, else the text; with \$ decoded. */
str word_plain(const struct word *word, struct arena *arena);

#endif
