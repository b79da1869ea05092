/* SPDX-License-Identifier: BSD-2-Clause */
/* variables.c: the register of names that templates may use. */
#include "config/template.h"

void variables_init(struct variables *variables, struct arena *arena)
{
    *variables = (struct variables){ .arena = arena };
}

static bool is_name(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = char_lower(s.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    return s.n > 0;
}

static const struct variable *find_prefix(const struct variables *variables, str name, bool whole)
{
    const struct variable *best = NULL;
    for (uint32_t i = 0; i < variables->prefixes.count; i++) {
        const struct variable *variable = *vec_at(&variables->prefixes, struct variable *, i);
        bool fits =
            whole ? str_equal(name, variable->name) : name.n > variable->name.n && str_has_prefix(name, variable->name);
        if (fits && (!best || best->name.n < variable->name.n))
            best = variable;
    }
    return best;
}

const char *variables_add(struct variables *variables, const struct variable *variable)
{
    if (!is_name(variable->name))
        return "a variable's name is made of letters, digits and '_'";
    if (!variable->get)
        return "a variable needs a getter";
    if (variable->is_prefix ? find_prefix(variables, variable->name, true) != NULL
                            : strmap_find(&variables->by_name, variable->name) != NULL)
        return "a variable of this name is there already";
    struct variable *copy = arena_dup(variables->arena, variable, sizeof(*variable));
    if (!copy)
        return "out of memory";
    copy->index = variables->all.count;
    copy->name = arena_str(variables->arena, variable->name);
    struct variable **slot = vec_push(variables->arena, &variables->all, sizeof(*slot));
    if (!slot || !copy->name.p)
        return "out of memory";
    *slot = copy;
    if (!copy->is_prefix)
        return strmap_put(variables->arena, &variables->by_name, copy->name, copy) ? NULL : "out of memory";
    slot = vec_push(variables->arena, &variables->prefixes, sizeof(*slot));
    if (!slot)
        return "out of memory";
    *slot = copy;
    return NULL;
}

const struct variable *variables_find(const struct variables *variables, str name, str *rest)
{
    const struct variable *variable = strmap_find(&variables->by_name, name);
    *rest = STR_NONE;
    if (variable)
        return variable;
    variable = find_prefix(variables, name, false);
    if (variable)
        *rest = str_from(name, variable->name.n);
    return variable;
}

str variables_nearest(const struct variables *variables, str name)
{
    enum { AT_ONCE = 64 };
    str candidates[AT_ONCE], best = STR_NONE;
    size_t count = 0;
    for (uint32_t i = 0; i < variables->all.count; i++) {
        candidates[count++] = (*vec_at(&variables->all, struct variable *, i))->name;
        if (count < AT_ONCE && i + 1 < variables->all.count)
            continue;
        best = diag_nearest(name, candidates, count);
        count = 0;
        if (best.n)
            candidates[count++] = best;
    }
    return best;
}
