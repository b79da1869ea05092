/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/notes.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct kept {
    struct kept *next;
    struct note note;
};

static struct {
    struct kept *first;
    unsigned count;
} notes[MODULES_MOST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Where the subject's note hangs, or where a new one would. */
static struct kept **find(const weir_mod *mod, const char *subject)
{
    struct kept **at = &notes[mod->index].first;

    while (*at && strncmp((*at)->note.subject, subject, NOTE_SUBJECT - 1) != 0)
        at = &(*at)->next;
    return at;
}

static void remove_note(const weir_mod *mod, struct kept **at)
{
    struct kept *gone = *at;

    if (!gone)
        return;
    *at = gone->next;
    notes[mod->index].count--;
    mem_free(gone);
}

static struct kept *add_note(const weir_mod *mod, struct kept **at, const char *subject)
{
    if (notes[mod->index].count == NOTES_MOST || !(*at = mem_zalloc(sizeof(**at))))
        return NULL;
    notes[mod->index].count++;
    snprintf((*at)->note.subject, NOTE_SUBJECT, "%s", subject);
    return *at;
}

void note_put(const weir_mod *mod, const char *subject, uint32_t level, const char *fmt, va_list ap)
{
    char text[NOTE_TEXT];

    vsnprintf(text, sizeof(text), fmt, ap);
    pthread_mutex_lock(&lock);
    struct kept **at = find(mod, subject);
    if (!text[0]) {
        remove_note(mod, at);
    } else if (*at || add_note(mod, at, subject)) {
        memcpy((*at)->note.text, text, sizeof(text));
        (*at)->note.level = level;
    }
    pthread_mutex_unlock(&lock);
}

void notes_walk(const weir_mod *mod, void (*tell)(const struct note *note, void *arg), void *arg)
{
    pthread_mutex_lock(&lock);
    for (const struct kept *kept = notes[mod->index].first; kept; kept = kept->next)
        tell(&kept->note, arg);
    pthread_mutex_unlock(&lock);
}
