/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/usage.h"

enum { LINE_MOST = 4096 };

/* Text that grows in an arena; what is beyond LINE_MOST is dropped. */
struct line {
    char text[LINE_MOST];
    size_t n;
};

static void put(struct line *line, str s)
{
    s = str_upto(s, LINE_MOST - line->n);
    if (s.n)
        memcpy(line->text + line->n, s.p, s.n);
    line->n += s.n;
}

str usage_of_type(const struct weir_arg *arg)
{
    switch (arg->type) {
    case WEIR_TYPE_FLAG: return S("on|off");
    case WEIR_TYPE_UINT: return S("N");
    case WEIR_TYPE_SIZE: return S("SIZE");
    case WEIR_TYPE_DURATION: return S("TIME");
    case WEIR_TYPE_RATE: return S("RATE");
    case WEIR_TYPE_ENUM: return str_of(arg->choices);
    case WEIR_TYPE_TEMPLATE: return S("TEMPLATE");
    case WEIR_TYPE_CIDR: return S("CIDR");
    case WEIR_TYPE_PATH: return S("PATH");
    case WEIR_TYPE_UPSTREAM: return S("UPSTREAM");
    default: return S("TEXT");
    }
}

static void put_arg(struct line *line, const struct weir_arg *arg)
{
    str name = str_of(arg->name);
    bool is_word = arg->flags & WEIR_ARG_WORD;
    bool is_option = arg->flags & WEIR_ARG_OPTION;
    bool is_free = is_word || (arg->flags & WEIR_ARG_OPTIONAL) || (is_option && !(arg->flags & WEIR_ARG_REQUIRED));
    put(line, is_free ? S(" [") : S(" "));
    if (is_word) {
        put(line, name);
    } else if (is_option) {
        put(line, name);
        put(line, S("="));
        put(line, usage_of_type(arg));
    } else {
        put(line, arg->type == WEIR_TYPE_ENUM || str_equal(name, S("VALUE")) ? usage_of_type(arg) : name);
    }
    if (arg->flags & WEIR_ARG_LIST)
        put(line, S(",..."));
    if (arg->flags & WEIR_ARG_REST)
        put(line, S("..."));
    if (is_free)
        put(line, S("]"));
}

static bool is_positional(const struct weir_arg *arg)
{
    return !(arg->flags & (WEIR_ARG_OPTION | WEIR_ARG_WORD)) && arg->type != WEIR_TYPE_PLACE;
}

str usage_line(struct arena *arena, str lead, const struct weir_arg *args, uint32_t count)
{
    struct line line;
    line.n = 0;
    put(&line, lead);
    for (uint32_t i = 0; i < count; i++)
        if (is_positional(&args[i]))
            put_arg(&line, &args[i]);
    for (uint32_t i = 0; i < count; i++)
        if (!is_positional(&args[i]) && args[i].type != WEIR_TYPE_PLACE)
            put_arg(&line, &args[i]);
    put(&line, S(";"));
    return arena_str(arena, (str){ line.text, line.n });
}

/* As it could be written: a word that is none on its own is quoted, unless it stands for several. */
static void put_default(struct line *line, const struct weir_arg *arg)
{
    str text = str_of(arg->fallback);
    bool is_list = arg->flags & (WEIR_ARG_REST | WEIR_ARG_LIST);
    bool quoted = text.n == 0 || (!is_list && strpbrk(arg->fallback, " \t;{}\"'#"));
    if (arg->flags & WEIR_ARG_OPTION) {
        put(line, str_of(arg->name));
        put(line, S("="));
    }
    put(line, quoted ? S("\"") : STR_NONE);
    for (size_t i = 0; i < text.n; i++) {
        if (quoted && (text.p[i] == '"' || (text.p[i] == '\\' && !(i + 1 < text.n && text.p[i + 1] == '$'))))
            put(line, S("\\"));
        if (quoted && text.p[i] == '\n')
            put(line, S("\\n"));
        else
            put(line, (str){ text.p + i, 1 });
    }
    put(line, quoted ? S("\"") : STR_NONE);
}

str usage_default(struct arena *arena, const struct weir_arg *args, uint32_t count)
{
    struct line line;
    line.n = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_arg *arg = &args[i];
        if (!arg->fallback && is_positional(arg) && !(arg->flags & WEIR_ARG_OPTIONAL))
            return STR_NONE; /* without it the statement could not be written */
        if (!arg->fallback || (arg->flags & WEIR_ARG_WORD))
            continue;
        put(&line, line.n ? S(" ") : STR_NONE);
        put_default(&line, arg);
    }
    return line.n ? arena_str(arena, (str){ line.text, line.n }) : STR_NONE;
}

str scopes_in_words(struct arena *arena, uint32_t scopes, const char *last)
{
    static const char *const names[] = { "top level", "site", "route", "upstream" };
    struct line line;
    line.n = 0;
    uint32_t left = scopes & 15;
    for (uint32_t i = 0; i < 4; i++) {
        if (!(left & 1u << i))
            continue;
        left &= ~(1u << i);
        if (line.n) {
            put(&line, left ? S(", ") : S(" "));
            put(&line, left ? STR_NONE : str_of(last));
            put(&line, left ? STR_NONE : S(" "));
        }
        put(&line, str_of(names[i]));
    }
    return arena_str(arena, (str){ line.text, line.n });
}

const char *scope_in_words(uint32_t scope)
{
    switch (scope) {
    case WEIR_IN_TOP: return "at top level";
    case WEIR_IN_SITE: return "in a site";
    case WEIR_IN_ROUTE: return "in a route";
    case WEIR_IN_UPSTREAM: return "in an upstream";
    default: return "here";
    }
}
