/* SPDX-License-Identifier: BSD-2-Clause */
/* lexer.h: one file's text as words, semicolons and braces, each with its place.
 *
 * Shape:   lexer_next gives one token after the other; at the end TOKEN_END for ever.
 * Owner:   words lie in the arena; the text is the source's.
 * Errors:  reported to diags; the lexer then goes on at the likeliest spot behind the mistake. */
#ifndef CONFIG_LEXER_H
#define CONFIG_LEXER_H

#include "config/tree.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_SEMICOLON, TOKEN_OPEN, TOKEN_CLOSE };

struct token {
    enum token_kind kind;
    bool is_first;    /* on its line */
    struct word word; /* of every token its place; of a word all the rest */
};

struct lexer {
    const struct source *source;
    struct arena *arena;
    struct diags *diags;
    size_t at;
    uint32_t line, line_at;
    bool fresh;        /* nothing but white space on this line so far */
    bool told_control; /* one report a file */
    bool is_cut;       /* the rest was given up: what is missing there is no mistake of its own */
    bool out_of_memory;
    size_t comment_from, comment_to; /* the comment lines read last, without a gap */
    uint32_t comment_line;           /* the last of them; 0: none */
};

void lexer_init(struct lexer *lexer, const struct source *source, struct arena *arena, struct diags *diags);
struct token lexer_next(struct lexer *lexer);
/* the comment that ends on the line above, or none */
str lexer_comment_above(const struct lexer *lexer, uint32_t line);

struct place place_in(const struct source *source, uint32_t line_at, uint32_t line, uint32_t column, uint32_t length);

#endif
