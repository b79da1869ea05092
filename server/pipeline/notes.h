/* SPDX-License-Identifier: BSD-2-Clause */
/* notes.h: what modules say about themselves in `weir status`: the age of a database, a source that does not answer.
 *
 * Shape:   one text by module and subject, the newest; an empty one takes it away.
 * Thread:  any; a lock is held for the length of a call.
 * Errors:  what does not fit or has no room is left out: a note decides nothing. */
#ifndef PIPELINE_NOTES_H
#define PIPELINE_NOTES_H

#include "pipeline/module.h"

#include <stdarg.h>

enum { NOTES_MOST = 64, NOTE_SUBJECT = 128, NOTE_TEXT = 256 };

struct note {
    char subject[NOTE_SUBJECT], text[NOTE_TEXT];
    uint32_t level; /* WEIR_LOG_* */
};

void note_put(const weir_mod *mod, const char *subject, uint32_t level, const char *fmt, va_list ap);
/* Each note of this module, in the order in which the subjects were first named. */
void notes_walk(const weir_mod *mod, void (*tell)(const struct note *note, void *arg), void *arg);

#endif
