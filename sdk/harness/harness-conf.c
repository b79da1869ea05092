/* SPDX-License-Identifier: BSD-2-Clause */
/* harness-conf.c: statements to conf structs, through the module's own directive table. Smaller than weir's binder: no
 * blocks, no suggestions, but the same types, defaults and merging. */
#include "harness.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MOST = 64 };

struct word {
    weir_str text;
    bool is_literal; /* single quotes */
};

struct statement {
    struct word words[WORDS_MOST];
    size_t count;
    uint32_t line;
};

struct binding {
    struct weir_conf conf;
    struct weir_place place;
    const char *at;
    uint32_t line;
};

/* -- the SDK's conf_* calls ---------------------------------------------------------------------------------------- */

int conf_api_error(weir_conf *c, const struct weir_place *at, const char *fmt, va_list ap)
{
    const struct weir_place *place = at ? at : c->place;

    if (place)
        text_printf(&c->h->errors, "%.*s:%u: ", (int)place->file.n, place->file.p, place->line);
    text_vprintf(&c->h->errors, fmt, ap);
    text_add(&c->h->errors, "\n", 1);
    return -1;
}

void conf_api_warn(weir_conf *c, const struct weir_place *at, const char *fmt, va_list ap)
{
    (void)at;
    text_printf(&c->h->log, "warn ");
    text_vprintf(&c->h->log, fmt, ap);
    text_add(&c->h->log, "\n", 1);
}

void *conf_api_alloc(weir_conf *c, size_t n)
{
    return fails_now(c->h) ? NULL : pieces_alloc(&c->h->memory, n);
}

weir_mod *conf_api_mod(weir_conf *c)
{
    return &c->h->mod;
}

uint32_t conf_api_scope(weir_conf *c)
{
    return c->scope->kind;
}

bool conf_api_is_rehearsal(weir_conf *c)
{
    (void)c;
    return false;
}

weir_table conf_api_site_names(weir_conf *c)
{
    static const weir_str names[] = { { "test.example", 12 } };

    return c->scope->kind == WEIR_IN_TOP ? (weir_table){ NULL, 0, 0 } : (weir_table)WEIR_TABLE(names);
}

static bool refuse(struct binding *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    conf_api_error(&b->conf, NULL, fmt, ap);
    va_end(ap);
    return false;
}

int conf_api_read_file(weir_conf *c, weir_str path, weir_str *content)
{
    const struct named *file = named_find(c->h->files, path);

    if (!file || !file->has_value) {
        text_printf(&c->h->errors, "%.*s: no such file\n", (int)path.n, path.p);
        return -1;
    }
    *content = file->value;
    return 0;
}

weir_str conf_api_state_path(weir_conf *c, weir_str name)
{
    char path[512];
    int n = snprintf(path, sizeof(path), "/state/%s/%.*s", c->h->module->name, (int)name.n, name.p);

    return pieces_dup(&c->h->memory, (weir_str){ path, (size_t)n });
}

void conf_api_offer_tls(weir_conf *c)
{
    (void)c;
}

void conf_api_skip_hook(weir_conf *c, uint32_t index)
{
    if (index >= c->h->module->hooks.count)
        harness_die("weir_conf_skip_hook: no hook %u", index);
    c->scope->skipped |= (uint64_t)1 << index;
}

/* -- words --------------------------------------------------------------------------------------------------------- */

static char unescaped(char c)
{
    return (char)(c == 'n' ? '\n' : c == 't' ? '\t' : c);
}

/* One word, quotes taken away; false at `;` or the end. */
static bool take_word(struct binding *b, struct word *word)
{
    struct text text = { NULL, 0, 0 };
    const char *p = b->at;
    char quote = 0;

    for (; *p && strchr(" \t\n", *p); p++)
        b->line += *p == '\n';
    b->at = p;
    if (*p == '\0' || *p == ';')
        return false;
    text_add(&text, "", 0);
    word->is_literal = *p == '\'';
    for (; *p && (quote || !strchr(" \t\n;", *p)); p++) {
        if (*p == quote || (!quote && (*p == '"' || *p == '\''))) {
            quote = quote ? 0 : *p;
        } else {
            char c = quote == '"' && *p == '\\' && p[1] ? unescaped(*++p) : *p;
            text_add(&text, &c, 1);
        }
    }
    b->at = p;
    word->text = pieces_dup(&b->conf.h->memory, (weir_str){ text.p, text.n });
    free(text.p);
    return true;
}

static bool take_statement(struct binding *b, struct statement *statement)
{
    statement->count = 0;
    while (statement->count < WORDS_MOST && take_word(b, &statement->words[statement->count])) {
        if (statement->count++ == 0)
            statement->line = b->line;
    }
    if (statement->count == WORDS_MOST)
        harness_die("a statement of more than %d words", WORDS_MOST - 1);
    if (statement->count && *b->at != ';')
        harness_die("no ; behind \"%s\"", statement->words[0].text.p);
    b->at += *b->at == ';';
    return statement->count != 0;
}

/* -- values -------------------------------------------------------------------------------------------------------- */

static size_t type_size(uint32_t type)
{
    switch (type) {
    case WEIR_TYPE_FLAG: return sizeof(bool);
    case WEIR_TYPE_UINT:
    case WEIR_TYPE_SIZE:
    case WEIR_TYPE_DURATION: return sizeof(uint64_t);
    case WEIR_TYPE_RATE: return sizeof(struct weir_rate);
    case WEIR_TYPE_ENUM: return sizeof(uint32_t);
    case WEIR_TYPE_STR:
    case WEIR_TYPE_PATH: return sizeof(weir_str);
    case WEIR_TYPE_TEMPLATE:
    case WEIR_TYPE_UPSTREAM: return sizeof(void *);
    case WEIR_TYPE_CIDR: return sizeof(struct weir_cidr);
    case WEIR_TYPE_PLACE: return sizeof(struct weir_place);
    default: harness_die("argument type %u", type);
    }
}

/* units: words between blanks, each with its scale; NULL: none may stand. */
static bool number(const char *text, const char *units, const uint64_t *scales, uint64_t *to)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);

    if (end == text || text[0] == '-' || text[0] == '+')
        return false;
    *to = value;
    if (*end == '\0')
        return true;
    for (; units && *units; scales++) {
        size_t n = strcspn(units, " ");
        if (strlen(end) == n && memcmp(end, units, n) == 0) {
            *to = value * *scales;
            return true;
        }
        units += n + (units[n] == ' ');
    }
    return false;
}

static bool parse_rate(const char *text, struct weir_rate *rate)
{
    char unit;

    if (sscanf(text, "%" SCNu64 "r/%c", &rate->events, &unit) != 2 || !strchr("smh", unit))
        return false;
    rate->period = unit == 's' ? 1000 : unit == 'm' ? 60000 : 3600000;
    return rate->events != 0;
}

static bool parse_enum(const char *choices, weir_str text, uint32_t *to)
{
    uint32_t index = 0;

    for (;; index++) {
        size_t n = strcspn(choices, "|");
        if (n == text.n && memcmp(choices, text.p, n) == 0) {
            *to = index;
            return true;
        }
        if (!choices[n])
            return false;
        choices += n + 1;
    }
}

static bool parse_cidr(weir_str text, struct weir_cidr *to)
{
    char address[64];
    const char *slash = memchr(text.p, '/', text.n);
    size_t n = slash ? (size_t)(slash - text.p) : text.n;
    uint64_t bits = 0;

    memset(to, 0, sizeof(*to));
    if (str_is(text, WEIR_S("all")))
        return true;
    if (n >= sizeof(address))
        return false;
    memcpy(address, text.p, n);
    address[n] = '\0';
    bool is_v4 = inet_pton(AF_INET, address, to->address + 12) == 1;
    if (is_v4)
        to->address[10] = to->address[11] = 0xff;
    else if (inet_pton(AF_INET6, address, to->address) != 1)
        return false;
    uint64_t most = is_v4 ? 32 : 128;
    if (slash ? !number(slash + 1, NULL, NULL, &bits) || bits > most : (bits = most, false))
        return false;
    to->bits = (uint32_t)(bits + (is_v4 ? 96 : 0));
    return true;
}

static bool is_within(const struct weir_arg *arg, uint64_t figure)
{
    return figure >= arg->min && (arg->max == 0 || figure <= arg->max);
}

static bool value_parse(struct binding *b, const struct weir_arg *arg, const struct word *word, void *to)
{
    static const uint64_t sizes[] = { 1024, 1u << 20, 1u << 30 }, durations[] = { 1, 1000, 60000, 3600000, 86400000 };
    weir_str text = word->text;
    uint64_t *figure = to;

    switch (arg->type) {
    case WEIR_TYPE_FLAG:
        *(bool *)to = str_is(text, WEIR_S("on"));
        return *(bool *)to || str_is(text, WEIR_S("off"));
    case WEIR_TYPE_UINT: return number(text.p, NULL, NULL, figure) && is_within(arg, *figure);
    case WEIR_TYPE_SIZE: return number(text.p, "k m g", sizes, figure) && is_within(arg, *figure);
    case WEIR_TYPE_DURATION: return number(text.p, "ms s m h d", durations, figure) && is_within(arg, *figure);
    case WEIR_TYPE_RATE: return parse_rate(text.p, to);
    case WEIR_TYPE_ENUM: return parse_enum(arg->choices, text, to);
    case WEIR_TYPE_STR: *(weir_str *)to = text; return true;
    case WEIR_TYPE_TEMPLATE: return (*(weir_tmpl **)to = template_compile(&b->conf, text, word->is_literal)) != NULL;
    case WEIR_TYPE_CIDR: return parse_cidr(text, to);
    case WEIR_TYPE_UPSTREAM: *(const void **)to = text.p; return true;
    default: break;
    }
    if (text.p[0] == '/') {
        *(weir_str *)to = text;
        return true;
    }
    char *path = pieces_alloc(&b->conf.h->memory, text.n + 2);
    path[0] = '/';
    memcpy(path + 1, text.p, text.n);
    *(weir_str *)to = (weir_str){ path, text.n + 1 };
    return true;
}

int conf_api_value(weir_conf *c, uint32_t type, weir_str text, void *to)
{
    struct binding b = { .conf = *c };
    const struct weir_arg arg = { .name = "value", .type = type };
    const struct word word = { .text = pieces_dup(&c->h->memory, text) };

    if (value_parse(&b, &arg, &word, to))
        return 0;
    refuse(&b, "\"%.*s\" is no value", (int)text.n, text.p);
    return -1;
}

static bool value_store(struct binding *b, const struct weir_arg *arg, const struct word *word, void *to)
{
    size_t errors = b->conf.h->errors.n;

    if (value_parse(b, arg, word, to))
        return true;
    if (b->conf.h->errors.n == errors)
        refuse(b, "%s: \"%s\" is no value for it", arg->name, word->text.p);
    return false;
}

/* -- arguments ----------------------------------------------------------------------------------------------------- */

static const struct weir_arg *arg_at(const struct weir_directive *d, uint32_t i)
{
    return (const struct weir_arg *)(const void *)((const char *)d->args.base + (size_t)i * d->args.stride);
}

static void table_add(struct binding *b, weir_table *table, const void *element, size_t size)
{
    char *all = pieces_alloc(&b->conf.h->memory, (table->count + 1) * size);

    if (table->count)
        memcpy(all, table->base, table->count * size);
    memcpy(all + table->count * size, element, size);
    *table = (weir_table){ all, table->count + 1, (uint32_t)size };
}

static bool arg_store(struct binding *b, const struct weir_arg *arg, const struct word *word, char *to)
{
    union {
        char bytes[64];
        uint64_t aligned;
    } element = { { 0 } };

    if (!(arg->flags & (WEIR_ARG_REST | WEIR_ARG_LIST)))
        return value_store(b, arg, word, to + arg->offset);
    if (!value_store(b, arg, word, element.bytes))
        return false;
    table_add(b, (weir_table *)(void *)(to + arg->offset), element.bytes, type_size(arg->type));
    return true;
}

static bool list_store(struct binding *b, const struct weir_arg *arg, const struct word *word, char *to)
{
    const char *p = word->text.p;

    for (;;) {
        size_t n = strcspn(p, ",");
        struct word item = { pieces_dup(&b->conf.h->memory, (weir_str){ p, n }), word->is_literal };
        if (!arg_store(b, arg, &item, to))
            return false;
        if (!p[n])
            return true;
        p += n + 1;
    }
}

static bool option_store(struct binding *b, const struct weir_directive *d, const struct word *word, char *to, bool *ok)
{
    for (uint32_t i = 0; i < d->args.count; i++) {
        const struct weir_arg *arg = arg_at(d, i);
        size_t n = arg->name ? strlen(arg->name) : 0;
        if ((arg->flags & WEIR_ARG_WORD) && str_is(word->text, str_of(arg->name))) {
            *(bool *)(void *)(to + arg->offset) = true;
            return true;
        }
        if (!(arg->flags & WEIR_ARG_OPTION) || word->text.n <= n || word->text.p[n] != '=' ||
            memcmp(word->text.p, arg->name, n) != 0)
            continue;
        struct word value = { { word->text.p + n + 1, word->text.n - n - 1 }, word->is_literal };
        if (arg->flags & WEIR_ARG_LIST)
            *ok &= list_store(b, arg, &value, to);
        else
            *ok &= arg_store(b, arg, &value, to);
        return true;
    }
    return false;
}

static bool fallbacks_store(struct binding *b, const struct weir_directive *d, char *to)
{
    bool ok = true;

    for (uint32_t i = 0; i < d->args.count; i++) {
        const struct weir_arg *arg = arg_at(d, i);
        if (arg->type == WEIR_TYPE_PLACE)
            *(struct weir_place *)(void *)(to + arg->offset) = b->place;
        if (arg->fallback && !(arg->flags & WEIR_ARG_WORD))
            ok &= arg_store(b, arg, &(struct word){ str_of(arg->fallback), false }, to);
    }
    return ok;
}

static bool is_positional(const struct weir_arg *arg)
{
    return !(arg->flags & (WEIR_ARG_OPTION | WEIR_ARG_WORD)) && arg->type != WEIR_TYPE_PLACE;
}

static bool args_store(struct binding *b, const struct weir_directive *d, const struct statement *s, char *to)
{
    bool ok = true;
    uint32_t next = 0, rest_count = 0;

    for (size_t i = 1; i < s->count; i++) {
        if (option_store(b, d, &s->words[i], to, &ok))
            continue;
        while (next < d->args.count && !is_positional(arg_at(d, next)))
            next++;
        if (next == d->args.count)
            return refuse(b, "%s: \"%s\" is one argument too many", d->name, s->words[i].text.p);
        const struct weir_arg *arg = arg_at(d, next);
        if ((arg->flags & WEIR_ARG_REST) && rest_count++ == 0)
            *(weir_table *)(void *)(to + arg->offset) = (weir_table){ NULL, 0, 0 };
        ok &= arg_store(b, arg, &s->words[i], to);
        next += !(arg->flags & WEIR_ARG_REST);
    }
    for (; next < d->args.count; next++)
        if (is_positional(arg_at(d, next)) && !(arg_at(d, next)->flags & WEIR_ARG_OPTIONAL) && rest_count == 0)
            return refuse(b, "%s: %s is missing", d->name, arg_at(d, next)->name);
    return ok;
}

/* -- directives ---------------------------------------------------------------------------------------------------- */

static const struct weir_directive *directive_at(const struct harness *h, uint32_t i)
{
    const weir_table *t = &h->module->directives;

    return (const struct weir_directive *)(const void *)((const char *)t->base + (size_t)i * t->stride);
}

static const struct weir_directive *directive_find(const struct harness *h, weir_str name)
{
    for (uint32_t i = 0; i < h->module->directives.count; i++)
        if (str_is(name, str_of(directive_at(h, i)->name)))
            return directive_at(h, i);
    return NULL;
}

/* own: the scope's own records, by the offset of their list. */
static bool statement_store(struct binding *b, const struct statement *s, char *own, char *conf)
{
    const struct weir_directive *d = directive_find(b->conf.h, s->words[0].text);

    if (!d)
        return refuse(b, "unknown directive \"%s\"", s->words[0].text.p);
    if (!(d->scopes & b->conf.scope->kind))
        return refuse(b, "%s cannot stand here", d->name);
    if (s->count == 2 && str_is(s->words[1].text, WEIR_S("clear"))) {
        if (d->record_size)
            *(weir_table *)(void *)(conf + d->offset) = (weir_table){ NULL, 0, 0 };
        return d->record_size || fallbacks_store(b, d, conf);
    }
    if (!d->record_size)
        return args_store(b, d, s, conf) && (!d->set || d->set(&b->conf, d, conf) == 0);

    char *record = pieces_alloc(&b->conf.h->memory, d->record_size);
    if (!fallbacks_store(b, d, record) || !args_store(b, d, s, record) || (d->set && d->set(&b->conf, d, record) != 0))
        return false;
    table_add(b, (weir_table *)(void *)(own + d->offset), record, d->record_size);
    return true;
}

static void tables_join(struct binding *b, weir_table *outer, const weir_table *own, uint32_t merge, size_t size)
{
    const weir_table *first = merge == WEIR_MERGE_INNER_FIRST ? own : outer, *second = first == own ? outer : own;
    weir_table all = { NULL, 0, 0 };

    if (own->count == 0 && merge != WEIR_MERGE_LOCAL)
        return;
    if (merge == WEIR_MERGE_REPLACE || merge == WEIR_MERGE_LOCAL) {
        *outer = *own;
        return;
    }
    for (uint32_t i = 0; i < first->count; i++)
        table_add(b, &all, (const char *)first->base + i * size, size);
    for (uint32_t i = 0; i < second->count; i++)
        table_add(b, &all, (const char *)second->base + i * size, size);
    *outer = all;
}

static bool is_first_of_list(const struct harness *h, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (directive_at(h, i)->record_size && directive_at(h, i)->offset == directive_at(h, index)->offset)
            return false;
    return directive_at(h, index)->record_size != 0;
}

static bool scope_check(struct binding *b)
{
    struct harness *h = b->conf.h;
    struct harness_scope *scope = b->conf.scope;

    b->conf.place = NULL;
    int rc = h->module->check ? h->module->check(&b->conf, scope->conf) : WEIR_CONF_OK;
    if (rc == WEIR_CONF_ERROR && h->errors.n == 0)
        harness_die("check() failed without weir_conf_error()");
    scope->is_inactive = rc == WEIR_CONF_INACTIVE;
    scope->is_checked = rc != WEIR_CONF_ERROR && h->errors.n == 0;
    return scope->is_checked;
}

struct harness_scope *harness_bind(struct harness *h, struct harness_scope *outer, uint32_t kind,
                                   const char *statements)
{
    struct harness_scope *scope = pieces_alloc(&h->memory, sizeof(*scope));
    struct binding b = { { h, scope, &b.place }, { WEIR_S("harness.conf"), 1, 1 }, statements, 1 };
    size_t size = h->module->conf_size;
    char *own = pieces_alloc(&h->memory, size);
    struct statement s;
    bool ok = true;

    h->errors.n = 0;
    text_add(&h->errors, "", 0);
    *scope = (struct harness_scope){ .h = h, .next = h->scopes, .outer = outer, .kind = kind };
    scope->conf = pieces_alloc(&h->memory, size);
    if (outer)
        memcpy(scope->conf, outer->conf, size);
    for (uint32_t i = 0; !outer && i < h->module->directives.count; i++)
        if (!directive_at(h, i)->record_size)
            ok &= fallbacks_store(&b, directive_at(h, i), scope->conf);
    while (take_statement(&b, &s)) {
        b.place.line = s.line;
        ok &= statement_store(&b, &s, own, scope->conf);
    }
    for (uint32_t i = 0; i < h->module->directives.count; i++) {
        const struct weir_directive *d = directive_at(h, i);
        if (is_first_of_list(h, i))
            tables_join(&b, (weir_table *)(void *)((char *)scope->conf + d->offset),
                        (const weir_table *)(const void *)(own + d->offset), d->merge, d->record_size);
    }
    if (!ok || !scope_check(&b))
        return NULL;
    h->scopes = scope;
    return scope;
}

const void *harness_conf(const struct harness_scope *scope)
{
    return scope->conf;
}

bool harness_is_active(const struct harness_scope *scope)
{
    return !scope->is_inactive;
}
