/* SPDX-License-Identifier: BSD-2-Clause */
/* check.c: the owners' own word on each merged struct, and its end. */
#include "config/binding.h"

int conf_report(struct weir_conf *conf, enum severity severity, const struct weir_place *at, const char *fmt,
                va_list ap)
{
    const struct source *near = NULL;
    struct place place = conf->scope->place;
    if (conf->statement) {
        place = statement_place(conf->statement);
        near = conf->statement->source;
    } else if (conf->binder && conf->scope->statements) {
        near = conf->scope->statements->source;
    }
    for (const struct scope *scope = conf->scope; scope && !near; scope = scope->outer)
        near = scope->statements ? scope->statements->source : NULL;
    if (at && at->file.n)
        place = source_place(near, at->file, at->line, at->column);
    diag_add(conf->binder->diags, severity, place, STR_NONE, fmt, ap);
    if (severity == SEVERITY_ERROR)
        conf->failed = true;
    return -1;
}

/* Inner scopes that are bound after this must not get what check() made for itself. */
static bool keep_unchecked(struct binder *binder, struct scope *scope, const struct owner *owner)
{
    if (scope->kind != WEIR_IN_TOP && scope->kind != WEIR_IN_SITE)
        return true;
    if (!scope->unchecked)
        scope->unchecked = arena_array(binder->arena, void *, scope->owner_count + 1);
    if (scope->unchecked)
        scope->unchecked[owner->index] = arena_dup(binder->arena, scope->confs[owner->index], owner->conf_size);
    return scope->unchecked && scope->unchecked[owner->index];
}

static void check_owner(struct binder *binder, struct scope *scope, const struct owner *owner)
{
    uint8_t *state = &scope->state[owner->index];
    struct weir_conf conf = { binder, scope, owner, scope->first[owner->index], scope->confs[owner->index], false };
    if ((*state & SCOPE_FAILED) || !owner->check)
        return;
    if (owner->conf_size && !keep_unchecked(binder, scope, owner)) {
        diag_error(binder->diags, scope->place, STR_NONE, "out of memory");
        return;
    }
    scope->offers_tls = false;
    int rc = owner->check(&conf, scope->confs[owner->index]);
    if (rc == WEIR_CONF_OK || rc == WEIR_CONF_INACTIVE) {
        *state |= SCOPE_CHECKED | (rc == WEIR_CONF_INACTIVE ? SCOPE_INACTIVE : 0) | (scope->offers_tls ? SCOPE_TLS : 0);
        return;
    }
    *state |= SCOPE_FAILED;
    if (!conf.failed)
        diag_error(binder->diags, conf.statement ? statement_place(conf.statement) : scope->place, STR_NONE,
                   STR_FMT " refused this scope without a reason", STR_ARG(owner->name));
}

void scope_check(struct binder *binder, struct scope *scope)
{
    bool offers_tls = false;
    for (uint32_t i = 0; i < binder->schema->owners.count; i++) {
        const struct owner *owner = owner_at(binder->schema, i);
        uint32_t at = owner->index;
        bool own = (scope->state[at] & SCOPE_OWN) || (!scope->outer && owner->conf_size == 0);
        if (own) {
            check_owner(binder, scope, owner);
        } else if (scope->outer) {
            scope->state[at] |= scope->outer->state[at] & (SCOPE_INACTIVE | SCOPE_FAILED | SCOPE_TLS);
            scope->skipped[at] = scope->outer->skipped[at];
        }
        offers_tls |= (scope->state[at] & SCOPE_TLS) != 0;
    }
    scope->offers_tls = offers_tls;
}

void scope_drop(const struct schema *schema, struct scope *scope)
{
    for (uint32_t i = schema->owners.count; i-- > 0;) {
        const struct owner *owner = owner_at(schema, i);
        if ((scope->state[owner->index] & SCOPE_CHECKED) && owner->drop)
            owner->drop(scope->confs[owner->index]);
        scope->state[owner->index] &= (uint8_t)~SCOPE_CHECKED;
    }
}
