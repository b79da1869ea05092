/* SPDX-License-Identifier: BSD-2-Clause */
/* bind.h: statements become typed, merged structs: one array of conf structs a scope.
 *
 * Shape:   tree --scope_bind--> scope (confs by owner index; shared with the outer scope where nothing was said)
 *          --scope_check--> every owner's check() has seen each distinct struct, outer scopes first.
 * Owner:   scopes and confs lie in the binder's arena (the snapshot's); drop() is called by scope_drop.
 * Thread:  one.
 * Errors:  all mistakes go to diags with place and cure; binding goes on. */
#ifndef CONFIG_BIND_H
#define CONFIG_BIND_H

#include "config/schema.h"
#include "config/template.h"
#include "config/tree.h"

struct scope {
    const struct scope *outer; /* NULL: top */
    uint32_t kind;             /* WEIR_IN_* */
    uint32_t owner_count;
    void **confs;                         /* by owner index; NULL where conf_size is 0 */
    uint8_t *state;                       /* by owner index: SCOPE_* bits */
    uint64_t *skipped;                    /* by owner index: hooks left out (weir_conf_skip_hook), bit per hook */
    const struct statement *const *first; /* by owner index: its first statement here, or NULL */
    weir_table site_names;                /* of weir_str; a route has its site's */
    bool offers_tls;                      /* this scope or an outer site said so */
    struct place place;                   /* of the block, for messages */
    void *user;                           /* the app's: site or route */
    /* by owner index: own structs as they were before check(), for inner scopes bound later */
    void **unchecked;
    const struct statement *statements;
};
enum {
    SCOPE_OWN = 1,      /* conf struct is this scope's own */
    SCOPE_INACTIVE = 2, /* check() said so (inherited with the struct) */
    SCOPE_CHECKED = 4,  /* check() accepted the scope's own struct */
    SCOPE_LOCAL = 8,    /* the struct holds what is not to be inherited (WEIR_MERGE_LOCAL) */
    SCOPE_FAILED = 16,  /* something of this owner did not bind, here or further out: check() is not asked */
    SCOPE_TLS = 32,     /* this owner offers TLS (inherited with the struct) */
};

/* What only the layers above know. Each may report through the binder's diags. */
struct bind_host {
    void *arg;
    /* NULL after an error */
    weir_upstream *(*upstream)(void *arg, str name_or_url, struct place place, const struct scope *scope);
    bool (*read_file)(void *arg, str path, struct arena *arena, str *content, str *why);
    weir_sink *(*sink)(void *arg, str target, const void *options, str *why);
    str (*state_path)(void *arg, str owner, str name, struct arena *arena); /* empty: cannot be made */
    struct variables *variables;                                            /* for templates */
    bool is_rehearsal;
};

struct binder {
    struct arena *arena;
    struct diags *diags;
    const struct schema *schema;
    const struct bind_host *host;
    uint32_t owner_count;
};

/* The scope of these statements. Structural blocks (schema_block) inside are checked for being allowed here and then
 * left to the caller, who walks the same statements afterwards (where a ';' was forgotten, a statement is parted in
 * two). `user` and `site_names` may be filled by the caller before scope_check. NULL without memory. */
struct scope *scope_bind(struct binder *binder, const struct scope *outer, uint32_t kind,
                         const struct statement *statements, struct place place);
void scope_check(struct binder *binder, struct scope *scope);      /* after its outer scope's */
void scope_drop(const struct schema *schema, struct scope *scope); /* drop() of its own structs; inner scopes first */

/* Fills a struct (zeroed) from arguments alone: for `balance NAME ARG...` and the like. skip: leading arguments passed
 * over. */
bool bind_args(struct binder *binder, const struct scope *scope, const struct statement *statement, uint32_t skip,
               weir_table args, void *to);

/* One value by type, as bind does it; false and *why (in the arena). Used by tests and by the command line. */
bool value_parse(uint32_t type, const char *choices, str text, struct arena *arena, void *to, const char **why);

/* The handle that set() and check() get. The SDK table's conf_* functions read it. */
struct weir_conf {
    struct binder *binder;
    struct scope *scope;
    const struct owner *owner;
    const struct statement *statement; /* in set(); in check(): the owner's first statement in the scope, or NULL */
    void *to;
    bool failed;
};

/* What conf_error and conf_warn of the SDK table do: at `at` (of a WEIR_TYPE_PLACE; may be NULL or empty), else at the
 * statement, else at the scope's block. An error marks the conf as failed. Always -1. */
int conf_report(struct weir_conf *conf, enum severity severity, const struct weir_place *at, const char *fmt,
                va_list ap);

/* The whole configuration as understood: every scope's effective values, defaults as comments, with where each was
 * said. */
void scope_dump(const struct schema *schema, const struct scope *scope, const struct statement *statements,
                unsigned indent, FILE *out);
/* One statement's name and arguments, quoted so that they are read back as the same; no ';', no newline. For the lines
 * of blocks. */
void statement_print(const struct statement *statement, FILE *out);

#endif
