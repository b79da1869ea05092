/* SPDX-License-Identifier: BSD-2-Clause */
/* parse.h: between tree.c, which reads one text, and include.c, which brings in the others.
 *
 * Shape:   parse_source -> (at each include) include_files -> parse_source, 32 levels deep at most.
 * Errors:  to diags; false only without memory. */
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H

#include "config/tree.h"

enum {
    FILE_MOST = 1 << 20, /* bytes */
    FILES_MOST = 4096,
    FILES_BYTES_MOST = 64 << 20,
    LEVELS_MOST = 32, /* of blocks, and of includes */
    ARGS_MOST = 256   /* a statement */
};

struct include_frame { /* a file being read */
    const struct include_frame *outer;
    str identity; /* its real path where there is one */
    uint32_t depth;
};

struct parser {
    struct tree *tree;
    struct arena *arena;
    struct diags *diags;
    const struct tree_reader *reader; /* NULL: include is an error */
    const struct include_frame *frame;
    struct source *last_source;
    uint32_t files;
    uint64_t bytes;
    bool out_of_memory;
};

struct statement_list {
    struct statement *first, **end;
};

struct source *parser_add_source(struct parser *parser, str path, str text); /* NULL: no memory */
void parse_source(struct parser *parser, struct source *source, struct statement *outer, uint32_t depth,
                  struct statement_list *list);
void include_files(struct parser *parser, const struct statement *include, struct statement_list *list);

#endif
