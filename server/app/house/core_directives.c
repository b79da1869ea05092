/* SPDX-License-Identifier: BSD-2-Clause */
/* core_directives.c: what the request engine asks of every scope: limits, deadlines, trust, error pages. */
#include "app/house/builtin.h"
#include "base/diag.h"
#include "config/args.h"
#include "config/value.h"
#include "http/media_type.h"
#include "pipeline/core_conf.h"
#include "pipeline/module.h"
#include "pipeline/overload.h"
#include "pipeline/trace.h"

enum { MEMORY_LEAST = 4 * 1024 * 1024 };

/* The engine reads the part it knows; the words are what the statement said. */
struct error_page_record {
    struct error_page page;
    weir_table words; /* of weir_str: STATUS... PATH */
};

/* -- error_page ---------------------------------------------------------------------------------------------------- */

/* A page without an ending that says otherwise is a page. */
static str page_media_type(str path)
{
    str type = media_type_of_path(path);

    return str_equal(type, S("application/octet-stream")) ? S("text/html; charset=utf-8") : type;
}

static bool read_status(weir_conf *c, uint32_t word, str text, uint64_t *status)
{
    if (str_to_u64(text, status) && *status >= 400 && *status <= 599)
        return true;
    diag_error(c->binder->diags, word_place(c->statement, &c->statement->args[word]),
               S("400 to 599: only errors have pages"), "error_page: \"%.*s\" is no error status",
               STR_ARG(str_upto(text, 100)));
    c->failed = true;
    return false;
}

static int set_error_page(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct error_page_record *record = to;
    const weir_str *words = record->words.base;
    uint32_t count = record->words.count - 1; /* at least one word: the table says so */
    bool fine = true;

    if (count == 0)
        return weir_conf_error(c, "error_page: STATUS... and PATH are needed");
    uint64_t *statuses = weir_conf_alloc(c, count * sizeof(*statuses));
    record->page.path = path_beside(c->binder->arena, c->statement->source->path, words[count]);
    if (!statuses || !record->page.path.p)
        return weir_conf_error(c, "error_page: no memory");
    for (uint32_t i = 0; i < count; i++)
        fine &= read_status(c, i, words[i], &statuses[i]);
    record->page.statuses = (weir_table){ statuses, count, sizeof(*statuses) };
    record->page.media_type = page_media_type(record->page.path);
    (void)directive;
    return weir_conf_read_file(c, record->page.path, &record->page.content) == 0 && fine ? 0 : -1;
}

/* -- timeout ------------------------------------------------------------------------------------------------------- */

static const struct word *find_option(const struct statement *statement, str key)
{
    for (uint32_t i = 0; i < statement->arg_count; i++)
        if (str_equal(statement->args[i].key, key))
            return &statement->args[i];
    return NULL;
}

/* `header` is asked before anybody knows which site a request is for. */
static int set_timeout(weir_conf *c, const struct weir_directive *directive, void *to)
{
    const struct word *header = find_option(c->statement, S("header"));

    (void)directive;
    (void)to;
    if (c->statement->arg_count == 0)
        return weir_conf_error(c, "timeout: nothing is set");
    if (!header || weir_conf_scope(c) == WEIR_IN_TOP)
        return 0;
    diag_error(c->binder->diags, word_place(c->statement, header),
               S("say it at top level: it runs before the site is known"),
               "timeout: header= holds for the whole server");
    c->failed = true;
    return -1;
}

/* -- overload ------------------------------------------------------------------------------------------------------ */

static int refuse(weir_conf *c, str hint, const char *what)
{
    diag_error(c->binder->diags, word_place(c->statement, &c->statement->args[0]), hint, "%.*s: \"%.*s\" is no %s",
               STR_ARG(c->statement->name.text), STR_ARG(str_upto(c->statement->args[0].text, 100)), what);
    c->failed = true;
    return -1;
}

/* The nearest name among the modules that decide; empty: none is near. */
static str decider_meant(weir_conf *c, str name)
{
    str names[MODULES_MOST];
    size_t count = 0;

    for (uint32_t i = 0; i < modules.count; i++)
        if (module_decides(modules.all[i]))
            names[count++] = modules.all[i]->name;
    str nearest = diag_nearest(name, names, count);
    return nearest.n ? arena_printf(c->binder->arena, "did you mean \"" STR_FMT "\"?", STR_ARG(nearest)) : STR_NONE;
}

static int set_enforce(weir_conf *c, const struct weir_directive *directive, void *to)
{
    const struct enforcement *enforcement = to;
    bool fine = true;

    (void)directive;
    for (uint32_t i = 0; i < enforcement->names.count; i++) {
        const struct word *word = &c->statement->args[i + 1];
        const weir_mod *mod = module_find(word->text);
        if (mod && module_decides(mod))
            continue;
        fine = false;
        diag_error(c->binder->diags, word_place(c->statement, word), decider_meant(c, word->text),
                   mod ? "module \"%.*s\" refuses nothing" : "no module \"%.*s\" is loaded",
                   STR_ARG(str_upto(word->text, 100)));
        c->failed = true;
    }
    return fine ? 0 : -1;
}

static int set_max_connections(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct core_conf *core = to;
    uint64_t most = 0;

    (void)directive;
    core->max_connections = OVERLOAD_AUTO;
    if (str_equal(core->max_connections_said, S("auto")))
        return 0;
    if (!str_to_u64(core->max_connections_said, &most) || most < 1 || most > UINT32_MAX)
        return refuse(c, S("auto, or 1 and more"), "number of connections");
    core->max_connections = most;
    return 0;
}

static int set_max_memory(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct core_conf *core = to;
    struct value_error error = { STR_NONE, STR_NONE };
    uint64_t most = 0;

    (void)directive;
    core->max_memory = str_equal(core->max_memory_said, S("off")) ? OVERLOAD_NO_LIMIT : OVERLOAD_AUTO;
    if (core->max_memory == OVERLOAD_NO_LIMIT || str_equal(core->max_memory_said, S("auto")))
        return 0;
    bool is_size = value_read(WEIR_TYPE_SIZE, NULL, core->max_memory_said, c->binder->arena, &most, &error);
    if (!is_size || most < MEMORY_LEAST)
        return refuse(c, S("auto, off, or a size of 4m and more"), "limit of memory");
    core->max_memory = most;
    return 0;
}

/* -- tables -------------------------------------------------------------------------------------------------------- */

#define TIMEOUT(Name, Field, Default)                                                                                  \
    {                                                                                                                  \
        .name = (Name), .type = WEIR_TYPE_DURATION, .flags = WEIR_ARG_OPTION, .fallback = (Default), .min = 1,         \
        .offset = WEIR_FIELD(struct core_conf, Field, WEIR_C_DURATION)                                                 \
    }

static const struct weir_arg timeout_args[] = {
    TIMEOUT("header", timeout_header, "10s"),  TIMEOUT("body", timeout_body, "30s"),
    TIMEOUT("send", timeout_send, "30s"),      TIMEOUT("idle", timeout_idle, "75s"),
    TIMEOUT("connect", timeout_connect, "5s"), TIMEOUT("response", timeout_response, "60s"),
    TIMEOUT("tunnel", timeout_tunnel, "1h"),
};
static const struct weir_arg max_connections_args[] = {
    { .name = "auto|N",
      .type = WEIR_TYPE_STR,
      .fallback = "auto",
      .offset = WEIR_FIELD(struct core_conf, max_connections_said, WEIR_C_STR) },
    { .name = "per_client",
      .type = WEIR_TYPE_UINT,
      .flags = WEIR_ARG_OPTION,
      .fallback = "0",
      .max = 1000000,
      .offset = WEIR_FIELD(struct core_conf, max_per_client, WEIR_C_UINT) },
};
static const struct weir_arg max_memory_args[] = {
    { .name = "auto|off|SIZE",
      .type = WEIR_TYPE_STR,
      .fallback = "auto",
      .offset = WEIR_FIELD(struct core_conf, max_memory_said, WEIR_C_STR) },
};
static const struct weir_arg error_page_args[] = {
    { .name = "STATUS... PATH",
      .type = WEIR_TYPE_STR,
      .flags = WEIR_ARG_REST,
      .offset = offsetof(struct error_page_record, words) },
    { .name = "PLACE",
      .type = WEIR_TYPE_PLACE,
      .offset = WEIR_FIELD(struct error_page_record, page.place, WEIR_C_PLACE) },
};
static const struct weir_arg enforce_args[] = {
    { .name = "on|off",
      .type = WEIR_TYPE_ENUM,
      .choices = "off|on",
      .offset = WEIR_FIELD(struct enforcement, how, WEIR_C_ENUM) },
    { .name = "NAME",
      .type = WEIR_TYPE_STR,
      .flags = WEIR_ARG_REST,
      .offset = offsetof(struct enforcement, names) },
};
static const struct weir_arg trusted_args[] = {
    { .name = "CIDR",
      .type = WEIR_TYPE_CIDR,
      .flags = WEIR_ARG_REST,
      .offset = offsetof(struct core_conf, trusted_proxies) },
};

static const struct weir_directive directives[] = {
    WEIR_DIR(struct core_conf, max_body, SIZE, "max_body", WEIR_IN_HTTP, "0",
             "largest request body, 413 above it; 0: no limit"),
    WEIR_DIR_BOUND(struct core_conf, max_header_size, SIZE, "max_header_size", WEIR_IN_TOP, "16k", 1024, 1u << 20,
                   "bytes of a request's head, 431 above them"),
    WEIR_DIR_BOUND(struct core_conf, max_headers, UINT, "max_headers", WEIR_IN_TOP, "100", 1, 10000,
                   "fields of a request's head, 431 above them"),
    WEIR_DIR_BOUND(struct core_conf, max_streams, UINT, "max_streams", WEIR_IN_TOP, "128", 1, 1000,
                   "requests under way at one time on one HTTP/2 connection; one more is reset with REFUSED_STREAM"),
    WEIR_DIR(struct core_conf, http2, FLAG, "http2", WEIR_IN_TOP | WEIR_IN_SITE, "on",
             "clients may speak HTTP/2: with TLS as the site whose name they ask for says, in clear text (by prior "
             "knowledge) as top level says"),
    { .name = "timeout",
      .scopes = WEIR_IN_HTTP,
      .args = WEIR_TABLE(timeout_args),
      .set = set_timeout,
      .doc = "header: total for a request's head (top level); the others are idle times: reading a body, sending, "
             "between requests, "
             "connecting to an upstream, waiting for its answer, a tunnel" },
    { .name = "max_connections",
      .scopes = WEIR_IN_TOP,
      .args = WEIR_TABLE(max_connections_args),
      .set = set_max_connections,
      .doc = "client connections at one time (auto: half as many as descriptors): above it the longest idle one gives "
             "way to a new one, with none idle for a second accepting pauses; per_client: of one address (IPv6: /64, "
             "not of trusted_proxies), closed unread above it; 0: no limit" },
    { .name = "max_memory",
      .scopes = WEIR_IN_TOP,
      .args = WEIR_TABLE(max_memory_args),
      .set = set_max_memory,
      .doc = "buffers, requests and connections together (auto: half of the machine's or container's memory): near it "
             "idle connections are closed, above it requests get 503 with Retry-After, health checks last" },
    WEIR_DIR_BOUND(struct core_conf, min_rate, SIZE, "min_rate", WEIR_IN_HTTP, "0", 0, 1u << 30,
                   "bytes a second, on average over its timeout, that a client sends of a body or takes of an answer; "
                   "0: any at all, as an honest phone may be as slow as an attacker, and each holds bounded memory"),
    WEIR_DIR_BOUND(struct core_conf, why_ring, UINT, "why_ring", WEIR_IN_TOP, "0", 0, TRACE_RING_MOST,
                   "how many of the last requests are remembered for weir why, at 4 KB each; 0: none"),
    { .name = "trusted_proxies",
      .scopes = WEIR_IN_TOP,
      .merge = WEIR_MERGE_APPEND,
      .args = WEIR_TABLE(trusted_args),
      .doc = "peers whose X-Forwarded-For and Forwarded are believed" },
    { .name = "enforce",
      .scopes = WEIR_IN_HTTP,
      .merge = WEIR_MERGE_INNER_FIRST,
      .args = WEIR_TABLE(enforce_args),
      .record_size = sizeof(struct enforcement),
      .offset = offsetof(struct core_conf, enforcements),
      .set = set_enforce,
      .doc = "off: these modules decide as ever, but what they would have refused is logged and counted, and goes on" },
    WEIR_DIR_ENUM(struct core_conf, satisfy, "satisfy", WEIR_IN_HTTP, "all|any", "all",
                  "whether all of address rules and authentication must let a request in, or one of them is enough"),
    { .name = "error_page",
      .scopes = WEIR_IN_HTTP,
      .merge = WEIR_MERGE_INNER_FIRST,
      .args = WEIR_TABLE(error_page_args),
      .record_size = sizeof(struct error_page_record),
      .offset = offsetof(struct core_conf, error_pages),
      .set = set_error_page,
      .doc = "the file to send for errors that weir itself makes; its media type is that of the file's ending" },
};

const struct weir_module core_module = {
    BUILTIN_MODULE("core", "limits, deadlines, trust and error pages"),
    .conf_size = sizeof(struct core_conf),
    .directives = WEIR_TABLE(directives),
};
