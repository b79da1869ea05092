/* SPDX-License-Identifier: BSD-2-Clause */
#include "decisions.h"

#include <stdlib.h>
#include <string.h>

struct labels *labels_create(void)
{
    struct labels *labels = calloc(1, sizeof(*labels));

    if (labels)
        labels->count = 1; /* number 0 has no text of its own */
    return labels;
}

/* Visible ASCII as it is, anything else as '?': the text goes to terminals, logs and a file of lines. */
static size_t put_word(char *to, size_t room, weir_str word)
{
    size_t n = word.n < room ? word.n : room;

    for (size_t i = 0; i < n; i++)
        to[i] = word.p[i] > ' ' && word.p[i] < 0x7f ? word.p[i] : '?';
    return n;
}

static size_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
    return (size_t)(hash ^ hash >> 32);
}

uint32_t label_number(struct labels *labels, weir_str origin, weir_str scenario)
{
    enum { SLOTS = sizeof(labels->slots) / sizeof(labels->slots[0]) };
    char text[LABEL_ROOM];
    size_t n = put_word(text, LABEL_ROOM / 2 - 1, origin.n ? origin : WEIR_S("-"));

    if (origin.n + scenario.n == 0)
        return 0;
    if (scenario.n) {
        text[n++] = ' ';
        n += put_word(text + n, LABEL_ROOM - n - 1, scenario);
    }
    text[n] = '\0';
    for (size_t i = hash_of(text) % SLOTS;; i = (i + 1) % SLOTS) { /* never full: half as many numbers as slots */
        if (labels->slots[i] && strcmp(labels->text[labels->slots[i]], text) == 0)
            return labels->slots[i];
        if (labels->slots[i])
            continue;
        if (labels->count == LABELS_MOST || !(labels->text[labels->count] = strdup(text)))
            return 0;
        labels->slots[i] = (uint16_t)labels->count;
        return labels->count++;
    }
}

const char *label_text(const struct labels *labels, uint32_t number)
{
    return number ? labels->text[number] : "-";
}

void labels_free(struct labels *labels)
{
    for (uint32_t i = 1; labels && i < labels->count; i++)
        free(labels->text[i]);
    free(labels);
}
