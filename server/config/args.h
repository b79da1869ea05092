/* SPDX-License-Identifier: BSD-2-Clause */
/* args.h: which word of a statement is which argument of its directive's table, and putting it where it belongs.
 *
 * Shape:   args_store walks the words; args_match decides about one of them (the dump asks it too).
 * Errors:  all of a statement's mistakes are reported, each at its word; false when there was one. */
#ifndef CONFIG_ARGS_H
#define CONFIG_ARGS_H

#include "config/bind.h"

struct arg_list {
    const struct weir_arg *args; /* 64 at most */
    uint32_t count;
};

enum arg_match { MATCH_OPTION, MATCH_WORD, MATCH_POSITIONAL, MATCH_UNKNOWN_OPTION, MATCH_TOO_MANY };

/* *position: how many positional arguments were seen; 0 at the first word. *index: into the list, when there is a
 * match. */
enum arg_match args_match(const struct arg_list *list, const struct word *word, uint32_t *position, uint32_t *index);

struct arg_target {
    struct binder *binder;
    const struct scope *scope;
    const struct statement *statement;
    uint32_t skip; /* leading words that belong to somebody else */
    void *to;      /* conf struct or record */
};
bool args_store(const struct arg_target *target, const struct arg_list *list);

/* Puts the default (or zero) into one argument's field. `name` is for the message about a default that does not
 * compile. */
bool args_reset_one(const struct arg_target *target, const struct weir_arg *arg, str name);
void *arg_field(const struct weir_arg *arg, void *to);

/* The one value of a word: as args_store does it. */
bool arg_read(const struct arg_target *target, const struct weir_arg *arg, const struct word *word, str text,
              void *field);
/* The word behind which a ';' was most likely forgotten: the next one begins a line and is a directive's name; NULL
 * when there is none. tolerant: the statement is known to be wrong, so a deeper indent does not matter. */
const struct word *find_unended(const struct schema *schema, const struct statement *statement, bool tolerant);
/* Absolute, relative ones from the folder of the file named; {NULL, 0} without memory. */
str path_beside(struct arena *arena, str file, str path);

#endif
