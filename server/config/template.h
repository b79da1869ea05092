/* SPDX-License-Identifier: BSD-2-Clause */
/* template.h: text with variables, compiled once, evaluated per request.
 *
 * Shape:   "$name", "${name}" and plain text; "\$" is a dollar. A register of variables maps names (and prefixes, as
 *          in http_) to getters.
 * Owner:   compiled templates lie in the arena given; results in the arena given to template_eval (or are slices of
 *          longer-lived text).
 * Errors:  an unknown variable is refused when compiling, with the nearest name as a hint. A variable without a value
 *          is empty text. */
#ifndef CONFIG_TEMPLATE_H
#define CONFIG_TEMPLATE_H

#include "base/diag.h"
#include "base/hash.h"

#include <weir/abi.h>

struct variable {
    str name; /* without '$'; of a prefix variable its beginning, as in "http_" */
    str doc;
    bool is_prefix, is_volatile;
    uint32_t index; /* dense, for caches per request */
    uint32_t owner; /* whose conf and ctx the getter wants */
    /* 0 and *value, or -1: no value */
    int (*get)(void *subject, const struct variable *variable, str rest, str *value);
    void *arg; /* the getter's own: a module's weir_variable, say */
};

struct variables {
    struct arena *arena;
    struct strmap by_name;
    struct vec all;      /* of struct variable * */
    struct vec prefixes; /* of struct variable * */
};
void variables_init(struct variables *variables, struct arena *arena);
/* NULL, or why not; copied; index is filled */
const char *variables_add(struct variables *variables, const struct variable *variable);
const struct variable *variables_find(const struct variables *variables, str name, str *rest);
str variables_nearest(const struct variables *variables, str name);

struct template_part {
    str text; /* plain text when variable is NULL; else what follows a prefix */
    const struct variable *variable;
};
struct weir_tmpl {
    uint32_t count;
    struct template_part *parts;
    str source; /* as written */
};

/* literal: take $ as it is (single quotes). NULL after reporting to diags at place. */
weir_tmpl *template_compile(str text, bool literal, const struct variables *variables, struct arena *arena,
                            struct diags *diags, struct place place);
/* get: asked for each variable part (so that values can be cached by the caller). Longer than most bytes: cut. */
typedef int (*template_get)(void *subject, const struct variable *variable, str rest, str *value);
str template_eval(const weir_tmpl *tmpl, template_get get, void *subject, struct arena *arena, size_t most);
bool template_is_constant(const weir_tmpl *tmpl);

#endif
