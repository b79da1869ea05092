/* SPDX-License-Identifier: BSD-2-Clause */
/* harness.c: loading the module, running its hooks, and the table it calls the harness through. */
#define _GNU_SOURCE 1 /* vasprintf */
#include "harness.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct harness *harness_current;

void harness_die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("harness: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}

/* -- memory and text ----------------------------------------------------------------------------------------------- */

void text_add(struct text *t, const void *p, size_t n)
{
    if (t->n + n + 1 > t->room) {
        t->room = (t->n + n + 1) * 2;
        t->p = realloc(t->p, t->room);
        if (!t->p)
            harness_die("no memory");
    }
    if (n)
        memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = '\0';
}

void text_vprintf(struct text *t, const char *fmt, va_list ap)
{
    char *line = NULL;
    int n = vasprintf(&line, fmt, ap);

    if (n < 0)
        harness_die("cannot format \"%s\"", fmt);
    text_add(t, line, (size_t)n);
    free(line);
}

void text_printf(struct text *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    text_vprintf(t, fmt, ap);
    va_end(ap);
}

/* The list's link stands in a block of its own, so that what a module gets is exactly as long as it asked for. */
struct held {
    struct piece piece;
    void *p;
};

void *pieces_alloc(struct piece **list, size_t n)
{
    struct held *held = malloc(sizeof(*held));
    void *p = calloc(1, n ? n : 1);

    if (!held || !p)
        harness_die("no memory");
    held->p = p;
    held->piece.next = *list;
    *list = &held->piece;
    return p;
}

void pieces_free(struct piece **list)
{
    while (*list) {
        struct held *held = (struct held *)*list;
        *list = held->piece.next;
        free(held->p);
        free(held);
    }
}

weir_str pieces_dup(struct piece **list, weir_str s)
{
    char *p = pieces_alloc(list, s.n + 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    return (weir_str){ p, s.n };
}

bool fails_now(struct harness *h)
{
    if (h->fail_in == 0 || --h->fail_in != 0)
        return false;
    return h->has_failed = true;
}

void harness_fail_allocation(struct harness *h, size_t nth)
{
    h->fail_in = nth;
    h->has_failed = false;
}

bool harness_has_failed(const struct harness *h)
{
    return h->has_failed;
}

weir_str str_of(const char *s)
{
    return (weir_str){ s, s ? strlen(s) : 0 };
}

bool str_is(weir_str a, weir_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_is_nocase(weir_str a, weir_str b)
{
    for (size_t i = 0; a.n == b.n && i < a.n; i++)
        if ((a.p[i] >= 'A' && a.p[i] <= 'Z' ? a.p[i] | 0x20 : a.p[i]) !=
            (b.p[i] >= 'A' && b.p[i] <= 'Z' ? b.p[i] | 0x20 : b.p[i]))
            return false;
    return a.n == b.n;
}

struct named *named_find(struct named *list, weir_str name)
{
    while (list && !str_is(list->name, name))
        list = list->next;
    return list;
}

static void named_set(struct harness *h, struct named **list, const char *name, const char *value)
{
    struct named *named = named_find(*list, str_of(name));

    if (!named) {
        named = pieces_alloc(&h->memory, sizeof(*named));
        named->name = pieces_dup(&h->memory, str_of(name));
        named->next = *list;
        *list = named;
    }
    named->has_value = value != NULL;
    named->value = pieces_dup(&h->memory, str_of(value));
}

void harness_set_variable(struct harness *h, const char *name, const char *value)
{
    named_set(h, &h->variables, name, value);
}

void harness_set_file(struct harness *h, const char *path, const char *content)
{
    named_set(h, &h->files, path, content);
}

void parse_address(const char *text, uint8_t out[16])
{
    memset(out, 0, 16);
    out[10] = out[11] = 0xff;
    if (inet_pton(AF_INET, text, out + 12) != 1 && inet_pton(AF_INET6, text, out) != 1)
        harness_die("\"%s\" is no address", text);
}

/* -- the module ---------------------------------------------------------------------------------------------------- */

static const char *descriptor_fault(const struct weir_module *m)
{
    if (m->magic != WEIR_ABI_MAGIC)
        return "weir_module has no magic number";
    if (m->abi_major != WEIR_ABI_MAJOR || m->abi_minor > WEIR_ABI_MINOR)
        return "it was built for another ABI";
    if (m->size < sizeof(*m) || !m->name || !m->version || !m->license || !m->summary || !m->api)
        return "the descriptor is not whole: name, version, license, summary";
    return NULL;
}

static const struct weir_module *descriptor_find(const char *path)
{
    char in_build[4096];
    const char *folder = getenv("WEIR_MODULES");

    if (!strchr(path, '/') && folder) {
        snprintf(in_build, sizeof(in_build), "%s/%s.so", folder, path);
        path = in_build;
    }
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* never closed, as in weir */
    const struct weir_module *module = so ? dlsym(so, "weir_module") : NULL;

    if (!module)
        fprintf(stderr, "harness: %s\n", dlerror());
    return module;
}

struct harness *harness_open(const char *path)
{
    const struct weir_module *module = descriptor_find(path);

    return module ? harness_adopt(module) : NULL;
}

struct harness *harness_adopt(const struct weir_module *module)
{
    const char *fault = descriptor_fault(module);

    if (fault) {
        fprintf(stderr, "harness: %s\n", fault);
        return NULL;
    }
    if (harness_current)
        harness_die("one harness at a time");
    struct harness *h = calloc(1, sizeof(*h));
    if (!h)
        harness_die("no memory");
    h->mod.h = h;
    h->module = module;
    h->now = 1000000;
    harness_current = h;
    *module->api = &harness_api;
    h->metrics = pieces_alloc(&h->memory, (module->metrics.count + 1) * sizeof(*h->metrics));
    if (module->load && module->load(&h->mod) != 0) {
        fprintf(stderr, "harness: %s: load: %s\n", module->name, harness_errors(h));
        harness_close(h);
        return NULL;
    }
    h->slot = pieces_alloc(&h->memory, module->thread_size);
    if (module->thread_up && module->thread_up(&h->mod, h->slot) != 0)
        harness_die("%s: thread_up failed", module->name);
    return h;
}

void harness_close(struct harness *h)
{
    while (h->requests)
        harness_end(h->requests);
    while (h->connections)
        harness_disconnect(h->connections);
    events_forget(h, NULL);
    for (struct harness_scope *scope = h->scopes; scope; scope = scope->next)
        if (scope->is_checked && h->module->drop)
            h->module->drop(scope->conf);
    if (h->slot && h->module->thread_down)
        h->module->thread_down(&h->mod, h->slot);
    pieces_free(&h->memory);
    free(h->log.p);
    free(h->errors.p);
    harness_current = NULL;
    free(h);
}

const struct weir_module *harness_module(const struct harness *h)
{
    return h->module;
}

weir_mod *harness_mod(struct harness *h)
{
    return &h->mod;
}

const char *harness_errors(const struct harness *h)
{
    return h->errors.p ? h->errors.p : "";
}

const char *harness_log(const struct harness *h)
{
    return h->log.p ? h->log.p : "";
}

/* -- hooks --------------------------------------------------------------------------------------------------------- */

const struct weir_hook *hook_at(const struct harness *h, uint32_t index)
{
    const weir_table *hooks = &h->module->hooks;

    return (const struct weir_hook *)(const void *)((const char *)hooks->base + (size_t)index * hooks->stride);
}

/* Order within a stage: slot, then place in the table. */
static int64_t hook_rank(const struct harness *h, uint32_t index)
{
    return (int64_t)hook_at(h, index)->slot * 65536 + index;
}

/* The next hook of the stage behind that rank, or -1. */
static int next_hook(const struct harness *h, uint32_t stage, int64_t after)
{
    int found = -1;
    int64_t least = INT64_MAX;

    for (uint32_t i = 0; i < h->module->hooks.count; i++) {
        const struct weir_hook *hook = hook_at(h, i);
        int64_t rank = hook_rank(h, i);
        if (hook->stage == stage && rank > after && rank < least) {
            least = rank;
            found = (int)i;
        }
    }
    return found;
}

static bool hook_is_left_out(const struct harness_scope *scope, int index)
{
    return scope->is_inactive || (scope->skipped >> index & 1);
}

weir_verdict harness_run(weir_req *r, uint32_t stage)
{
    struct harness *h = r->h;
    weir_verdict verdict = WEIR_NEXT;

    if (r->is_running)
        harness_die("harness_run inside a hook");
    int index = next_hook(h, stage, INT64_MIN);
    for (; index >= 0 && verdict == WEIR_NEXT;
         index = next_hook(h, stage, hook_rank(h, (uint32_t)index))) {
        const struct weir_hook *hook = hook_at(h, (uint32_t)index);
        if (!hook->req || hook_is_left_out(r->scope, index))
            continue;
        r->is_running = true;
        verdict = hook->req(r, r->scope->conf, r->ctx);
        r->is_running = false;
    }
    if (verdict < WEIR_NEXT || verdict > WEIR_CLOSE)
        harness_die("stage %u: unknown verdict %d", stage, verdict);
    if (verdict == WEIR_REPLY && r->status == 0)
        harness_die("stage %u: WEIR_REPLY without a reply", stage);
    if (verdict == WEIR_SUSPEND && !r->waiting.is_waiting)
        harness_die("stage %u: WEIR_SUSPEND without weir_suspend()", stage);
    return verdict;
}

weir_verdict harness_run_conn(weir_conn *c, uint32_t stage)
{
    for (uint32_t i = 0; i < c->h->module->hooks.count; i++) {
        const struct weir_hook *hook = hook_at(c->h, i);
        if (hook->stage != stage || !hook->conn || hook_is_left_out(c->scope, (int)i))
            continue;
        weir_verdict verdict = hook->conn(c, c->scope->conf, c->ctx);
        if (verdict != WEIR_NEXT)
            return verdict;
    }
    return WEIR_NEXT;
}

weir_conn *harness_connect(struct harness *h, struct harness_scope *scope, const char *peer)
{
    weir_conn *c = pieces_alloc(&h->memory, sizeof(*c));

    c->h = h;
    c->scope = scope;
    parse_address(peer, c->peer);
    c->ctx = calloc(1, h->module->conn_ctx_size + 1u);
    c->next = h->connections;
    h->connections = c;
    return c;
}

void harness_set_preface(weir_conn *c, weir_str bytes)
{
    c->preface = pieces_dup(&c->h->memory, bytes);
}

void harness_disconnect(weir_conn *c)
{
    weir_conn **at = &c->h->connections;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    free(c->ctx);
}

/* -- calls without a file of their own ----------------------------------------------------------------------------- */

static int mod_api_error(weir_mod *mod, const char *fmt, va_list ap)
{
    text_vprintf(&mod->h->errors, fmt, ap);
    text_add(&mod->h->errors, "\n", 1);
    return -1;
}

static void log_api(uint32_t level, const char *fmt, va_list ap)
{
    static const char *const levels[] = { "debug", "info", "notice", "warn", "error" };

    if (level >= sizeof(levels) / sizeof(levels[0]))
        harness_die("log level %u", level);
    text_printf(&harness_current->log, "%s ", levels[level]);
    text_vprintf(&harness_current->log, fmt, ap);
    text_add(&harness_current->log, "\n", 1);
}

static void log_api_req(weir_req *r, uint32_t level, const char *fmt, va_list ap)
{
    (void)r;
    log_api(level, fmt, ap);
}

static void *thread_api_slot(weir_mod *mod)
{
    return mod->h->slot;
}

static void req_api_client_address(weir_req *r, uint8_t out[16])
{
    memcpy(out, r->client, 16);
}

static bool req_api_client_is_trusted(weir_req *r)
{
    return r->is_trusted;
}

static bool req_api_is_shadow(weir_req *r)
{
    return r->is_shadow;
}

static bool req_api_is_dry(weir_req *r)
{
    return r->is_dry;
}

static void *req_api_ctx(weir_req *r, weir_mod *mod)
{
    (void)mod;
    return r->ctx;
}

static const void *req_api_conf(weir_req *r, weir_mod *mod)
{
    (void)mod;
    return r->scope->conf;
}

static weir_conn *req_api_conn(weir_req *r)
{
    if (!r->conn)
        r->conn = harness_connect(r->h, r->scope, "192.0.2.1");
    return r->conn;
}

static const void *conn_api_site_conf(weir_conn *c, weir_mod *mod, weir_str server_name)
{
    (void)mod;
    (void)server_name;
    return c->scope->conf;
}

static void *conn_api_ctx(weir_conn *c, weir_mod *mod)
{
    (void)mod;
    return c->ctx;
}

static void *conn_api_transport(weir_conn *c, const struct weir_transport *transport)
{
    (void)c;
    (void)transport;
    return NULL;
}

static void conn_api_address(weir_conn *c, uint32_t which, uint8_t out[16], uint16_t *port)
{
    if (which != WEIR_ADDR_LOCAL)
        memcpy(out, c->peer, 16);
    else
        parse_address("127.0.0.1", out);
    *port = which == WEIR_ADDR_LOCAL ? 80 : 40000;
}

static weir_str conn_api_protocols(weir_conn *c, weir_str server_name)
{
    (void)c;
    (void)server_name;
    return (weir_str)WEIR_S("\x08http/1.1");
}

static weir_str conn_api_peek(weir_conn *c)
{
    return c->preface;
}

const struct weir_api harness_api = {
    .size = sizeof(struct weir_api), .abi_major = WEIR_ABI_MAJOR, .abi_minor = WEIR_ABI_MINOR,
    .mod_error = mod_api_error, .log = log_api, .req_log = log_api_req, .thread_slot = thread_api_slot,
    .conf_error = conf_api_error, .conf_warn = conf_api_warn, .conf_alloc = conf_api_alloc, .conf_mod = conf_api_mod,
    .conf_scope = conf_api_scope, .conf_is_rehearsal = conf_api_is_rehearsal, .conf_site_names = conf_api_site_names,
    .conf_read_file = conf_api_read_file, .conf_state_path = conf_api_state_path,
    .conf_template = template_api_compile, .conf_offer_tls = conf_api_offer_tls, .conf_skip_hook = conf_api_skip_hook,
    .conf_sink = sink_api_open, .req_alloc = req_api_alloc, .req_printf = req_api_printf, .req_on_end = req_api_on_end,
    .req_part = req_api_part, .req_set_part = req_api_set_part, .field_get = field_api_get,
    .field_next = field_api_next, .field_set = field_api_set, .field_add = field_api_add,
    .field_remove = field_api_remove, .rsp_status = rsp_api_status, .rsp_set_status = rsp_api_set_status,
    .reply = rsp_api_reply, .refuse = rsp_api_refuse, .redirect = rsp_api_redirect, .fail = rsp_api_fail,
    .req_number = req_api_number, .client_address = req_api_client_address, .eval = template_api_eval,
    .variable = template_api_variable, .is_dry = req_api_is_dry, .req_ctx = req_api_ctx, .req_conf = req_api_conf,
    .req_conn = req_api_conn, .engage = flow_api_engage, .want_body = flow_api_want_body, .flow_req = flow_api_req,
    .flow_conf = flow_api_conf, .flow_ctx = flow_api_ctx, .flow_want = flow_api_want, .flow_room = flow_api_room,
    .chain_peek = chain_api_peek, .chain_size = chain_api_size, .chain_eat = chain_api_eat,
    .chain_reserve = chain_api_reserve, .chain_commit = chain_api_commit, .chain_pass = chain_api_pass,
    .conn_site_conf = conn_api_site_conf, .conn_ctx = conn_api_ctx, .conn_transport = conn_api_transport,
    .conn_address = conn_api_address, .conn_peek = conn_api_peek, .conn_suspend = event_api_conn_suspend,
    .suspend = event_api_suspend, .resume = event_api_resume, .timer = event_api_timer,
    .thread_timer = event_api_thread_timer, .timer_cancel = event_api_timer_cancel, .job = event_api_job,
    .now = event_api_now, .dict_open = dict_api_open, .dict_get = dict_api_get, .dict_put = dict_api_put,
    .dict_remove = dict_api_remove, .dict_add = dict_api_add, .dict_compare_and_set = dict_api_compare_and_set,
    .dict_take = dict_api_take, .dict_spend = dict_api_spend,
    .say = say_api, .client_is_trusted = req_api_client_is_trusted, .is_shadow = req_api_is_shadow, .count = count_api,
    .mod_count = count_api_mod,
    .service_publish = service_api_publish, .service_find = service_api_find, .sink_write = sink_api_write,
    .tmpl_constant = template_api_constant,
    .mod_job = event_api_mod_job, .mod_note = note_api,
    .fetch = fetch_api_start, .mod_fetch = fetch_api_start_for, .thread_conf = fetch_api_thread_conf,
    .conf_value = conf_api_value,
    .conn_protocols = conn_api_protocols,
};

/* The test's own calls of SDK functions come here too. Weak: a module within the program brings its own. */
__attribute__((weak)) const struct weir_api *weir_api_ = &harness_api;
