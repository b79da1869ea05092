/* SPDX-License-Identifier: BSD-2-Clause */
/* harness-share.c: sinks, dictionaries, metrics and services, kept in plain lists. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- sinks --------------------------------------------------------------------------------------------------------- */

struct weir_sink {
    struct weir_sink *next;
    struct harness *h;
    weir_str target;
    struct weir_sink_options options;
    weir_str content;
};

static struct weir_sink *sink_find(const struct harness *h, weir_str target)
{
    struct weir_sink *sink = h->sinks;

    while (sink && !str_is(sink->target, target))
        sink = sink->next;
    return sink;
}

weir_sink *sink_api_open(weir_conf *c, weir_str target, const struct weir_sink_options *options)
{
    struct weir_sink *sink = sink_find(c->h, target);

    if (sink)
        return sink;
    if (fails_now(c->h)) {
        text_printf(&c->h->errors, "%.*s: no memory\n", (int)target.n, target.p);
        return NULL;
    }
    sink = pieces_alloc(&c->h->memory, sizeof(*sink));
    *sink = (struct weir_sink){ c->h->sinks, c->h, pieces_dup(&c->h->memory, target), *options, { "", 0 } };
    return c->h->sinks = sink;
}

int sink_api_write(weir_sink *sink, weir_str line)
{
    struct harness *h = sink->h;

    if (line.n == 0 || line.p[line.n - 1] != '\n' || memchr(line.p, '\n', line.n - 1))
        harness_die("weir_sink_write takes one line with its newline");
    char *all = pieces_alloc(&h->memory, sink->content.n + line.n + 1);
    memcpy(all, sink->content.p, sink->content.n);
    memcpy(all + sink->content.n, line.p, line.n);
    sink->content = (weir_str){ all, sink->content.n + line.n };
    return 0;
}

const char *harness_sink(const struct harness *h, const char *target)
{
    struct weir_sink *sink = sink_find(h, str_of(target));

    return sink ? sink->content.p : NULL;
}

const struct weir_sink_options *harness_sink_options(const struct harness *h, const char *target)
{
    struct weir_sink *sink = sink_find(h, str_of(target));

    return sink ? &sink->options : NULL;
}

/* -- dictionaries: never full, entries end with their time --------------------------------------------------------- */

struct entry {
    struct entry *next;
    weir_str key, value;
    uint64_t ends; /* 0: never */
};

struct weir_dict {
    struct weir_dict *next;
    struct harness *h;
    weir_str name;
    struct entry *entries;
};

weir_dict *dict_api_open(weir_mod *mod, const char *name, uint64_t bytes, uint32_t flags)
{
    struct weir_dict *d = mod->h->dicts;

    (void)bytes;
    (void)flags;
    while (d && !str_is(d->name, str_of(name)))
        d = d->next;
    if (d || fails_now(mod->h))
        return d;
    d = pieces_alloc(&mod->h->memory, sizeof(*d));
    *d = (struct weir_dict){ mod->h->dicts, mod->h, str_of(name), NULL };
    return mod->h->dicts = d;
}

static struct entry **entry_find(weir_dict *d, weir_str key)
{
    struct entry **at = &d->entries;

    while (*at && !str_is((*at)->key, key))
        at = &(*at)->next;
    if (*at && (*at)->ends && (*at)->ends <= d->h->now)
        *at = (*at)->next;
    else
        return at;
    return entry_find(d, key);
}

static struct entry *entry_make(weir_dict *d, weir_str key, uint64_t ttl)
{
    struct entry *entry = pieces_alloc(&d->h->memory, sizeof(*entry));

    entry->key = pieces_dup(&d->h->memory, key);
    entry->ends = ttl ? d->h->now + ttl : 0;
    entry->next = d->entries;
    return d->entries = entry;
}

int dict_api_get(weir_dict *d, weir_str key, weir_span room, size_t *n)
{
    struct entry *entry = *entry_find(d, key);

    if (!entry)
        return WEIR_ABSENT;
    if (room.n && entry->value.n)
        memcpy(room.p, entry->value.p, room.n < entry->value.n ? room.n : entry->value.n);
    *n = entry->value.n;
    return 0;
}

int dict_api_put(weir_dict *d, weir_str key, weir_str value, uint64_t ttl)
{
    if (key.n > 1024 || value.n > 65536 || fails_now(d->h))
        return -1;
    dict_api_remove(d, key);
    entry_make(d, key, ttl)->value = pieces_dup(&d->h->memory, value);
    return 0;
}

int dict_api_remove(weir_dict *d, weir_str key)
{
    struct entry **at = entry_find(d, key);

    if (!*at)
        return WEIR_ABSENT;
    *at = (*at)->next;
    return 0;
}

/* Counters, compare-and-set and buckets keep 8-byte values. */
static uint64_t word_get(const struct entry *entry)
{
    uint64_t word = 0;

    if (entry && entry->value.n == sizeof(word))
        memcpy(&word, entry->value.p, sizeof(word));
    return word;
}

static void word_set(weir_dict *d, struct entry *entry, uint64_t word)
{
    entry->value = pieces_dup(&d->h->memory, (weir_str){ (const char *)&word, sizeof(word) });
}

int dict_api_add(weir_dict *d, weir_str key, int64_t by, uint64_t window, uint64_t *sum)
{
    struct entry *entry = *entry_find(d, key);

    if (!entry && fails_now(d->h))
        return -1;
    if (!entry)
        entry = entry_make(d, key, window);
    *sum = word_get(entry) + (uint64_t)by;
    word_set(d, entry, *sum);
    return 0;
}

int dict_api_compare_and_set(weir_dict *d, weir_str key, uint64_t expect, uint64_t value, uint64_t ttl)
{
    if (word_get(*entry_find(d, key)) != expect)
        return WEIR_DIFFERS;
    return dict_api_put(d, key, (weir_str){ (const char *)&value, sizeof(value) }, ttl);
}

/* The entry is the time (in thousandths of a millisecond) at which the bucket will be full again. */
int dict_api_spend(weir_dict *d, weir_str key, struct weir_rate rate, uint64_t burst, int64_t cost,
                   struct weir_bucket *after)
{
    struct entry *entry = *entry_find(d, key);
    uint64_t now = d->h->now * 1000, each = rate.period * 1000 / rate.events, most = now + (1 + burst) * each;
    uint64_t back = cost < 0 ? 0 - (uint64_t)cost : 0, asked = cost > 0 ? (uint64_t)cost : !back;
    uint64_t full = word_get(entry) > now ? word_get(entry) : now;

    full -= back * each < full - now ? back * each : full - now;
    after->wait_us = full + asked * each > most ? full + asked * each - most : 0;
    if (cost > 0 && !after->wait_us) {
        if (!entry && fails_now(d->h))
            return -1;
        full += asked * each;
        entry = entry ? entry : entry_make(d, key, 0);
    }
    after->full_us = full - now;
    after->left = full < most ? (most - full) / each : 0;
    if (after->wait_us)
        return WEIR_DIFFERS;
    if (entry && cost)
        word_set(d, entry, full);
    return 0;
}

int dict_api_take(weir_dict *d, weir_str key, struct weir_rate rate, uint64_t burst, uint64_t cost, uint64_t *wait_us)
{
    struct weir_bucket after = { 0 };
    int rc = cost ? dict_api_spend(d, key, rate, burst, (int64_t)cost, &after) : 0;

    *wait_us = after.wait_us;
    return rc;
}

/* -- commands ------------------------------------------------------------------------------------------------------ */

enum { ANSWER_MOST = 65536 };

struct weir_answer {
    char *text;
    size_t n;
};

void say_api(weir_answer *answer, const char *fmt, va_list ap)
{
    int n = vsnprintf(answer->text + answer->n, ANSWER_MOST - answer->n, fmt, ap);

    if (n < 0 || (size_t)n >= ANSWER_MOST - answer->n)
        harness_die("a command's answer of more than %d bytes", ANSWER_MOST);
    answer->n += (size_t)n;
}

const char *harness_command(struct harness *h, int *rc, const char *name, const char *const *words)
{
    const weir_table *commands = &h->module->commands;
    struct weir_answer answer = { pieces_alloc(&h->memory, ANSWER_MOST), 0 };
    weir_str list[16];
    uint32_t count = 0;

    for (; words[count]; count++)
        list[count] = str_of(words[count]);
    for (uint32_t i = 0; i < commands->count; i++) {
        const struct weir_command *command =
            (const struct weir_command *)(const void *)((const char *)commands->base + (size_t)i * commands->stride);
        if (strcmp(command->name, name) != 0)
            continue;
        *rc = command->run(&h->mod, &answer, list, count);
        return answer.text;
    }
    harness_die("no command %s", name);
}

/* -- metrics and services ------------------------------------------------------------------------------------------ */

void count_api_mod(weir_mod *mod, uint32_t metric, int64_t by)
{
    if (metric >= mod->h->module->metrics.count)
        harness_die("metric %u is not in the module's table", metric);
    mod->h->metrics[metric] += by;
}

void count_api(weir_req *r, uint32_t metric, int64_t by)
{
    if (r->is_dry)
        harness_die("metric %u counted in a dry run", metric);
    count_api_mod(&r->h->mod, metric, by);
}

int64_t harness_metric(const struct harness *h, const char *name)
{
    const weir_table *metrics = &h->module->metrics;

    for (uint32_t i = 0; i < metrics->count; i++) {
        const struct weir_metric *metric =
            (const struct weir_metric *)(const void *)((const char *)metrics->base + (size_t)i * metrics->stride);
        if (strcmp(metric->name, name) == 0)
            return h->metrics[i];
    }
    harness_die("no metric \"%s\"", name);
}

void note_api(weir_mod *mod, const char *subject, uint32_t level, const char *fmt, va_list ap)
{
    struct text text = { 0 };
    struct named *note = named_find(mod->h->notes, str_of(subject));

    (void)level;
    text_vprintf(&text, fmt, ap);
    if (!note) {
        note = pieces_alloc(&mod->h->memory, sizeof(*note));
        *note = (struct named){ mod->h->notes, pieces_dup(&mod->h->memory, str_of(subject)), { NULL, 0 }, false };
        mod->h->notes = note;
    }
    note->has_value = text.n > 0;
    note->value = pieces_dup(&mod->h->memory, (weir_str){ text.p, text.n });
    free(text.p);
}

const char *harness_note(const struct harness *h, const char *subject)
{
    const struct named *note = named_find(h->notes, str_of(subject));

    return note && note->has_value ? note->value.p : NULL;
}

struct service {
    struct service *next;
    const char *name;
    const void *table;
    uint32_t version;
};

const void *service_api_find(weir_mod *mod, const char *name, uint32_t version)
{
    for (struct service *service = mod->h->services; service; service = service->next)
        if (service->version == version && strcmp(service->name, name) == 0)
            return service->table;
    return NULL;
}

int service_api_publish(weir_mod *mod, const char *name, uint32_t version, const void *table)
{
    if (service_api_find(mod, name, version))
        return -1;
    struct service *service = pieces_alloc(&mod->h->memory, sizeof(*service));
    *service = (struct service){ mod->h->services, name, table, version };
    mod->h->services = service;
    return 0;
}
