/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/diag.h"

#include <assert.h>

void diags_init(struct diags *diags, struct arena *arena)
{
    *diags = (struct diags){ .arena = arena };
}

void diag_error(struct diags *diags, struct place place, str hint, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diag_add(diags, SEVERITY_ERROR, place, hint, fmt, ap);
    va_end(ap);
}

void diag_warning(struct diags *diags, struct place place, str hint, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diag_add(diags, SEVERITY_WARNING, place, hint, fmt, ap);
    va_end(ap);
}

/* A copy, or the copy a former finding holds: many findings on one long line must not hold it many times. */
static bool copy(struct arena *arena, str *s, const str *former)
{
    if (former && former->p && str_equal(*s, *former)) {
        *s = *former;
        return true;
    }
    *s = arena_str(arena, *s);
    return s->p;
}

static struct diag *create(struct diags *diags, struct place place, str hint, const char *fmt, va_list ap)
{
    const struct diag *last = diags->last;
    struct diag *diag = arena_new(diags->arena, struct diag);
    if (!diag || !copy(diags->arena, &place.file, last ? &last->place.file : NULL) ||
        !copy(diags->arena, &place.text, last ? &last->place.text : NULL) || !copy(diags->arena, &hint, NULL))
        return NULL;
    diag->place = place;
    diag->hint = hint;
    diag->message = arena_vprintf(diags->arena, fmt, ap);
    return diag->message.p ? diag : NULL;
}

void diag_add(struct diags *diags, enum severity severity, struct place place, str hint, const char *fmt, va_list ap)
{
    assert(diags->arena);
    bool room = diags->errors + diags->warnings < DIAG_MOST;
    uint32_t *count = severity == SEVERITY_ERROR ? &diags->errors : &diags->warnings;
    if (*count < UINT32_MAX / 2)
        ++*count;
    struct diag *diag = room ? create(diags, place, hint, fmt, ap) : NULL;
    if (!diag)
        return; /* counted all the same, and printed as "more" */
    diag->severity = severity;
    if (diags->last)
        diags->last->next = diag;
    else
        diags->first = diag;
    diags->last = diag;
}
