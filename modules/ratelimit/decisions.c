/* SPDX-License-Identifier: BSD-2-Clause */
/* decisions.c: the outermost object and its lists are walked here, each member of a list is left to jansson: a hundred
 * thousand decisions never stand in memory as JSON values at one time. */
#include "decisions.h"

#include "network.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct reader {
    weir_str text;
    size_t at;
    uint64_t now;
    size_t most;
    bool has_gone;
    struct decisions *to;
    char *why; /* WHY_ROOM */
};

/* -- durations ----------------------------------------------------------------------------------------------------- */

static bool unit_read(weir_str text, size_t *at, uint64_t *ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = { { "ms", 1000000 }, { "us", 1000 }, { "\xc2\xb5s", 1000 }, { "\xce\xbcs", 1000 }, { "ns", 1 },
                  { "h", 3600000000000 }, { "m", 60000000000 }, { "s", 1000000000 } };

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t n = strlen(units[i].name);
        if (text.n - *at >= n && memcmp(text.p + *at, units[i].name, n) == 0) {
            *at += n;
            *ns = units[i].ns;
            return true;
        }
    }
    return false;
}

/* One number with its unit; what is finer than a nanosecond is dropped. */
static bool part_read(weir_str text, size_t *at, uint64_t *sum)
{
    uint64_t whole = 0, fraction = 0, scale = 1, unit;
    size_t from = *at, digits = 0;

    for (; *at < text.n && text.p[*at] >= '0' && text.p[*at] <= '9'; ++*at)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(text.p[*at] - '0'), &whole))
            return false;
    digits = *at - from;
    if (*at < text.n && text.p[*at] == '.')
        for (++*at; *at < text.n && text.p[*at] >= '0' && text.p[*at] <= '9'; ++*at, digits++)
            if (scale < 1000000000) {
                fraction = fraction * 10 + (uint64_t)(text.p[*at] - '0');
                scale *= 10;
            }
    if (digits == 0 || !unit_read(text, at, &unit) || __builtin_mul_overflow(whole, unit, &whole))
        return false;
    fraction = (uint64_t)((unsigned __int128)fraction * unit / scale);
    return !__builtin_add_overflow(whole, fraction, &whole) && !__builtin_add_overflow(*sum, whole, sum);
}

bool duration_read(weir_str text, int64_t *ms)
{
    size_t at = text.n && (text.p[0] == '-' || text.p[0] == '+');
    uint64_t sum = 0;

    if (at == text.n)
        return false;
    if (text.n - at == 1 && text.p[at] == '0') {
        *ms = 0;
        return true;
    }
    while (at < text.n)
        if (!part_read(text, &at, &sum) || sum > INT64_MAX)
            return false;
    *ms = (int64_t)(sum / 1000000) * (text.p[0] == '-' ? -1 : 1);
    return true;
}

/* -- one decision -------------------------------------------------------------------------------------------------- */

bool decision_append(struct decision_list *list, const struct decision *decision)
{
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        struct decision *wide = realloc(list->at, room * sizeof(*wide));
        if (!wide)
            return false;
        list->at = wide;
        list->room = room;
    }
    list->at[list->count++] = *decision;
    return true;
}

static weir_str text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_string(value) ? (weir_str){ json_string_value(value), json_string_length(value) }
                                 : (weir_str){ NULL, 0 };
}

static bool is_word(weir_str text, const char *word)
{
    return text.n == strlen(word) && strncasecmp(text.p, word, text.n) == 0;
}

static bool is_too_wide(const struct decision *decision)
{
    static const uint8_t all_ipv4[16] = { [10] = 0xff, [11] = 0xff };

    if (decision->bits >= 96 && network_is_ipv4(decision->address))
        return decision->bits < 96 + WIDEST_IPV4;
    return decision->bits < WIDEST_IPV6 || network_holds(decision->address, decision->bits, all_ipv4);
}

enum understanding { TAKEN, OTHER_KIND, NOT_UNDERSTOOD };

/* *why: of NOT_UNDERSTOOD. */
static enum understanding understand(const json_t *object, uint64_t now, bool is_gone, struct decision *to,
                                     const char **why)
{
    weir_str scope = text_of(object, "scope"), type = text_of(object, "type"), value = text_of(object, "value");
    weir_str duration = text_of(object, "duration");
    const json_t *id = json_object_get(object, "id");
    bool is_network = is_word(scope, "ip") || is_word(scope, "range");
    int64_t ms = 0;

    *why = !json_is_object(object) ? "no object" : !scope.n ? "no scope" : !type.n ? "no type" : NULL;
    if (*why)
        return NOT_UNDERSTOOD;
    if (!is_network || !is_word(type, "ban") || json_is_true(json_object_get(object, "simulated")))
        return OTHER_KIND;
    if (!network_read(value, to->address, &to->bits))
        *why = "no address or network";
    else if (is_too_wide(to))
        *why = "too wide a network";
    else if (id && !json_is_null(id) && (!json_is_integer(id) || json_integer_value(id) < 0))
        *why = "an id that is no number";
    else if (!is_gone && !duration_read(duration, &ms))
        *why = "no duration";
    if (*why)
        return NOT_UNDERSTOOD;
    to->id = json_is_integer(id) ? (uint64_t)json_integer_value(id) : 0;
    to->until = ms > 0 ? now + (uint64_t)ms : now;
    return TAKEN;
}

static void note_refused(struct decisions *to, const json_t *object, const char *why)
{
    weir_str value = text_of(object, "value");
    char shown[64];
    size_t n = value.n < sizeof(shown) - 1 ? value.n : sizeof(shown) - 1;

    if (to->refused++)
        return;
    for (size_t i = 0; i < n; i++)
        shown[i] = value.p[i] >= ' ' && value.p[i] < 0x7f ? value.p[i] : '?';
    shown[n] = '\0';
    snprintf(to->why, WHY_ROOM, "\"%s\": %s", shown, why);
}

static bool take(struct reader *reader, const json_t *object, bool is_gone)
{
    struct decisions *to = reader->to;
    struct decision decision = { 0 };
    const char *why;

    switch (understand(object, reader->now, is_gone, &decision, &why)) {
    case OTHER_KIND:
        to->of_other_kinds++;
        return true;
    case NOT_UNDERSTOOD:
        note_refused(to, object, why);
        return true;
    case TAKEN:
        break;
    }
    if (!is_gone && decision.until == reader->now)
        return true; /* it has ended on its way here */
    if (!is_gone && to->fresh.count == reader->most) {
        to->left_out++;
        return true;
    }
    if (!is_gone)
        decision.label = label_number(to->labels, text_of(object, "origin"), text_of(object, "scenario"));
    if (decision_append(is_gone ? &to->gone : &to->fresh, &decision))
        return true;
    snprintf(reader->why, WHY_ROOM, "no memory");
    return false;
}

/* -- the lists ----------------------------------------------------------------------------------------------------- */

static char next(struct reader *reader)
{
    while (reader->at < reader->text.n && reader->text.p[reader->at] && strchr(" \t\r\n", reader->text.p[reader->at]))
        reader->at++;
    return reader->at < reader->text.n ? reader->text.p[reader->at] : '\0';
}

static bool refuse(struct reader *reader, const char *what)
{
    snprintf(reader->why, WHY_ROOM, "not of the shape of a decision stream at byte %zu: %.80s", reader->at, what);
    return false;
}

static bool eat(struct reader *reader, char c)
{
    if (next(reader) != c)
        return false;
    reader->at++;
    return true;
}

/* The JSON value that begins here; NULL after the reason was written. */
static json_t *value_read(struct reader *reader)
{
    json_error_t error;

    if (next(reader) == '\0') {
        refuse(reader, "it ends too soon");
        return NULL;
    }
    json_t *value = json_loadb(reader->text.p + reader->at, reader->text.n - reader->at,
                               JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
    if (value)
        reader->at += (size_t)error.position;
    else
        refuse(reader, error.text);
    return value;
}

static bool list_read(struct reader *reader, bool is_gone)
{
    json_t *value;
    bool goes_on;

    if (next(reader) == 'n') { /* null */
        value = value_read(reader);
        json_decref(value);
        return value != NULL;
    }
    if (!eat(reader, '['))
        return refuse(reader, "a list was expected");
    if (eat(reader, ']'))
        return true;
    do {
        if (!(value = value_read(reader)))
            return false;
        bool is_taken = take(reader, value, is_gone);
        json_decref(value);
        if (!is_taken)
            return false;
        goes_on = eat(reader, ',');
    } while (goes_on);
    return eat(reader, ']') || refuse(reader, "a list that does not end");
}

static bool member_read(struct reader *reader)
{
    bool *is_there = NULL, is_fine = false;

    if (next(reader) != '"')
        return refuse(reader, "a name was expected");
    json_t *name = value_read(reader);
    if (!name)
        return false;
    if (strcmp(json_string_value(name), "new") == 0)
        is_there = &reader->to->has_fresh;
    else if (strcmp(json_string_value(name), "deleted") == 0)
        is_there = &reader->has_gone;
    json_decref(name);
    if (!eat(reader, ':'))
        return refuse(reader, "a colon was expected");
    if (is_there) {
        if (*is_there)
            return refuse(reader, "a list for the second time");
        *is_there = true;
        return list_read(reader, is_there == &reader->has_gone);
    }
    json_t *value = value_read(reader);
    is_fine = value != NULL;
    json_decref(value);
    return is_fine;
}

static bool object_read(struct reader *reader)
{
    if (!eat(reader, '{'))
        return refuse(reader, "an object was expected");
    if (!eat(reader, '}')) {
        do {
            if (!member_read(reader))
                return false;
        } while (eat(reader, ','));
        if (!eat(reader, '}'))
            return refuse(reader, "an object that does not end");
    }
    if (next(reader) || reader->at < reader->text.n)
        return refuse(reader, "something behind the end");
    return reader->to->has_fresh || reader->has_gone || refuse(reader, "neither \"new\" nor \"deleted\"");
}

bool decisions_read(struct decisions *decisions, weir_str text, uint64_t now, size_t most, char why[WHY_ROOM])
{
    struct decisions read = { .labels = labels_create() };
    struct reader reader = { .text = text, .now = now, .most = most, .to = &read, .why = why };

    if (!read.labels) {
        snprintf(why, WHY_ROOM, "no memory");
        return false;
    }
    if (!object_read(&reader)) {
        decisions_free(&read);
        return false;
    }
    *decisions = read;
    return true;
}

void decisions_free(struct decisions *decisions)
{
    free(decisions->fresh.at);
    free(decisions->gone.at);
    labels_free(decisions->labels);
    *decisions = (struct decisions){ 0 };
}
