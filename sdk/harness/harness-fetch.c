/* SPDX-License-Identifier: BSD-2-Clause */
/* harness-fetch.c: HTTP requests of the module, kept until the test answers them. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

struct fetch {
    struct fetch *next;
    weir_req *r;   /* NULL: a module's, or its request has ended */
    weir_mod *mod; /* of a module's */
    weir_fetched_fn done;
    weir_mod_fetched_fn mod_done;
    void *arg;
    struct harness_fetch shown;
};

static void describe_fields(struct harness *h, struct harness_fetch *shown, const weir_table *fields)
{
    struct text text = { 0 };
    const char *at = fields->base;

    for (uint32_t i = 0; i < fields->count; i++, at += fields->stride) {
        const struct weir_field *field = (const struct weir_field *)(const void *)at;
        text_printf(&text, "%.*s: %.*s\n", (int)field->name.n, field->name.p, (int)field->value.n, field->value.p);
    }
    shown->fields = pieces_dup(&h->memory, (weir_str){ text.p, text.n });
    free(text.p);
}

static struct fetch *queue(struct harness *h, const struct weir_fetch *what)
{
    struct fetch **at = &h->fetches;

    if (fails_now(h))
        return NULL;
    if (!what->upstream || !what->timeout)
        harness_die("a fetch without an upstream or a timeout");
    struct fetch *fetch = pieces_alloc(&h->memory, sizeof(*fetch));
    fetch->shown.method = pieces_dup(&h->memory, what->method.n ? what->method : str_of("GET"));
    fetch->shown.target = pieces_dup(&h->memory, what->target);
    fetch->shown.content = pieces_dup(&h->memory, what->content);
    fetch->shown.for_client = what->flags & WEIR_FETCH_FOR_CLIENT;
    describe_fields(h, &fetch->shown, &what->fields);
    while (*at)
        at = &(*at)->next;
    *at = fetch;
    return fetch;
}

int fetch_api_start(weir_req *r, const struct weir_fetch *what, weir_fetched_fn done, void *arg)
{
    struct fetch *fetch = r->is_dry ? NULL : queue(r->h, what);

    if (!fetch)
        return -1;
    fetch->r = r;
    fetch->done = done;
    fetch->arg = arg;
    return 0;
}

int fetch_api_start_for(weir_mod *mod, const struct weir_fetch *what, weir_mod_fetched_fn done, void *arg)
{
    struct fetch *fetch = queue(mod->h, what);

    if (!fetch)
        return -1;
    fetch->mod = mod;
    fetch->mod_done = done;
    fetch->arg = arg;
    return 0;
}

const void *fetch_api_thread_conf(weir_mod *mod)
{
    for (struct harness_scope *scope = mod->h->scopes; scope; scope = scope->next)
        if (scope->kind == WEIR_IN_TOP && scope->is_checked)
            return scope->conf;
    return NULL;
}

const struct harness_fetch *harness_fetched(const struct harness *h)
{
    return h->fetches ? &h->fetches->shown : NULL;
}

static uint32_t parse_fields(struct harness *h, const char *lines, struct weir_field *to, uint32_t room)
{
    uint32_t count = 0;

    for (; lines && *lines && count < room; count++) {
        size_t n = strcspn(lines, "\n");
        const char *colon = memchr(lines, ':', n);
        if (!colon)
            harness_die("\"%.*s\" is no field", (int)n, lines);
        const char *value = colon + 1 + strspn(colon + 1, " ");
        to[count].name = pieces_dup(&h->memory, (weir_str){ lines, (size_t)(colon - lines) });
        to[count].value = pieces_dup(&h->memory, (weir_str){ value, (size_t)(lines + n - value) });
        lines += n + (lines[n] == '\n');
    }
    return count;
}

void harness_answer(struct harness *h, uint32_t status, const char *fields, weir_str content)
{
    struct weir_field list[64];
    struct fetch *fetch = h->fetches;

    if (!fetch)
        harness_die("nothing was asked for that could be answered");
    h->fetches = fetch->next;
    struct weir_fetched answer = { .size = sizeof(answer), .status = status, .why = status ? NULL : "no answer in time",
                                   .fields = { list, parse_fields(h, fields, list, 64), sizeof(list[0]) },
                                   .content = content };
    if (fetch->r)
        fetch->done(fetch->r, &answer, fetch->arg);
    else if (fetch->mod)
        fetch->mod_done(fetch->mod, &answer, fetch->arg);
}

void fetches_forget(struct harness *h, weir_req *r)
{
    struct fetch **at = &h->fetches;

    while (*at)
        if ((*at)->r == r)
            *at = (*at)->next;
        else
            at = &(*at)->next;
}
