/* SPDX-License-Identifier: BSD-2-Clause */
/* harness.h: what the files of the harness share; tests include weir-harness.h alone. */
#ifndef HARNESS_H
#define HARNESS_H

#include "weir-harness.h"

/* A growing byte string, always with a NUL behind it. */
struct text {
    char *p;
    size_t n, room;
};
void text_add(struct text *t, const void *p, size_t n);
__attribute__((format(printf, 2, 0))) void text_vprintf(struct text *t, const char *fmt, va_list ap);
__attribute__((format(printf, 2, 3))) void text_printf(struct text *t, const char *fmt, ...);

/* Memory that is freed together, each piece with its own malloc. */
struct piece {
    struct piece *next;
};
void *pieces_alloc(struct piece **list, size_t n); /* zeroed; never NULL */
void pieces_free(struct piece **list);
weir_str pieces_dup(struct piece **list, weir_str s); /* with a NUL behind it */

struct field {
    struct field *next;
    weir_str name, value;
};

struct ending {
    struct ending *next;
    void (*fn)(void *);
    void *arg;
};

struct harness_scope {
    struct harness *h;
    struct harness_scope *next, *outer;
    uint32_t kind;
    void *conf;
    bool is_inactive, is_checked;
    uint64_t skipped; /* bit per hook */
};

struct weir_conf {
    struct harness *h;
    struct harness_scope *scope;
    const struct weir_place *place; /* of the statement being stored; NULL in check() */
};

struct weir_mod {
    struct harness *h;
};

struct waiting {
    uint64_t id, generation, deadline;
    weir_verdict on_timeout, verdict;
    bool is_waiting, is_resumed;
};

struct weir_conn {
    struct harness *h;
    struct weir_conn *next;
    struct harness_scope *scope;
    uint8_t peer[16];
    weir_str preface;
    void *ctx;
    struct waiting waiting;
};

struct weir_req {
    struct harness *h;
    struct weir_req *next;
    struct harness_scope *scope;
    struct weir_conn *conn;
    struct piece *memory;
    struct ending *endings;
    struct field *fields[3];
    weir_str method, path, query, site;
    uint8_t client[16];
    uint64_t numbers[8];
    uint64_t wanted_body, engaged; /* engaged: bit per hook */
    uint32_t status;
    weir_str body;
    const char *reason;
    bool is_dry, is_shadow, is_running, is_trusted;
    void *ctx;
    struct waiting waiting;
};

struct harness {
    struct weir_mod mod;
    const struct weir_module *module;
    struct harness_scope *scopes;
    struct weir_req *requests;
    struct weir_conn *connections;
    struct piece *memory; /* of the process */
    struct text log, errors;
    void *slot;
    int64_t *metrics;
    size_t fail_in;
    bool has_failed;
    uint64_t now, generation;
    struct named *variables, *files, *notes;
    struct weir_sink *sinks;
    struct weir_dict *dicts;
    struct weir_timer *timers;
    struct job *jobs;
    struct fetch *fetches;
    struct service *services;
};

struct named {
    struct named *next;
    weir_str name, value;
    bool has_value;
};

extern struct harness *harness_current; /* for the calls that carry no handle */
extern const struct weir_api harness_api;

__attribute__((noreturn, format(printf, 1, 2))) void harness_die(const char *fmt, ...);
bool fails_now(struct harness *h); /* counts one allocation */
bool str_is(weir_str a, weir_str b);
bool str_is_nocase(weir_str a, weir_str b);
weir_str str_of(const char *s);
struct named *named_find(struct named *list, weir_str name);
void parse_address(const char *text, uint8_t out[16]);

/* harness.c */
const struct weir_hook *hook_at(const struct harness *h, uint32_t index);

/* harness-conf.c */
int conf_api_error(weir_conf *c, const struct weir_place *at, const char *fmt, va_list ap);
void conf_api_warn(weir_conf *c, const struct weir_place *at, const char *fmt, va_list ap);
void *conf_api_alloc(weir_conf *c, size_t n);
weir_mod *conf_api_mod(weir_conf *c);
uint32_t conf_api_scope(weir_conf *c);
bool conf_api_is_rehearsal(weir_conf *c);
weir_table conf_api_site_names(weir_conf *c);
int conf_api_value(weir_conf *c, uint32_t type, weir_str text, void *to);
int conf_api_read_file(weir_conf *c, weir_str path, weir_str *content);
weir_str conf_api_state_path(weir_conf *c, weir_str name);
void conf_api_offer_tls(weir_conf *c);
void conf_api_skip_hook(weir_conf *c, uint32_t index);

/* harness-template.c */
weir_tmpl *template_api_compile(weir_conf *c, weir_str text);
weir_tmpl *template_compile(weir_conf *c, weir_str text, bool is_literal);
int template_api_constant(const weir_tmpl *tmpl, weir_str *text);
weir_str template_api_eval(weir_req *r, const weir_tmpl *tmpl);
int template_api_variable(weir_req *r, weir_str name, weir_str *value);

/* harness-http.c */
void *req_api_alloc(weir_req *r, size_t n);
weir_str req_api_printf(weir_req *r, const char *fmt, va_list ap);
bool req_api_on_end(weir_req *r, void (*fn)(void *), void *arg);
weir_str req_api_part(weir_req *r, uint32_t part);
int req_api_set_part(weir_req *r, uint32_t part, weir_str value);
weir_str field_api_get(weir_req *r, uint32_t where, weir_str name);
bool field_api_next(weir_req *r, uint32_t where, uint32_t *cursor, weir_str *name, weir_str *value);
int field_api_set(weir_req *r, uint32_t where, weir_str name, weir_str value);
int field_api_add(weir_req *r, uint32_t where, weir_str name, weir_str value);
uint32_t field_api_remove(weir_req *r, uint32_t where, weir_str name);
uint32_t rsp_api_status(weir_req *r);
int rsp_api_set_status(weir_req *r, uint32_t status);
weir_verdict rsp_api_reply(weir_req *r, uint32_t status, weir_str body);
weir_verdict rsp_api_refuse(weir_req *r, uint32_t status, const char *reason);
weir_verdict rsp_api_redirect(weir_req *r, uint32_t status, weir_str location);
weir_verdict rsp_api_fail(weir_req *r, const char *fmt, va_list ap);
uint64_t req_api_number(weir_req *r, uint32_t which);

/* harness-flow.c */
int flow_api_engage(weir_req *r, uint32_t stage);
void flow_api_want_body(weir_req *r, uint64_t limit);
weir_req *flow_api_req(weir_flow *f);
const void *flow_api_conf(weir_flow *f);
void *flow_api_ctx(weir_flow *f);
void flow_api_want(weir_flow *f, uint64_t input, uint64_t room);
uint64_t flow_api_room(weir_flow *f);
weir_str chain_api_peek(weir_chain *in);
uint64_t chain_api_size(weir_chain *in);
void chain_api_eat(weir_chain *in, uint64_t n);
weir_span chain_api_reserve(weir_chain *out, size_t least);
void chain_api_commit(weir_chain *out, size_t n);
uint64_t chain_api_pass(weir_chain *in, weir_chain *out, uint64_t n);

/* harness-share.c */
weir_sink *sink_api_open(weir_conf *c, weir_str target, const struct weir_sink_options *options);
int sink_api_write(weir_sink *sink, weir_str line);
weir_dict *dict_api_open(weir_mod *mod, const char *name, uint64_t bytes, uint32_t flags);
int dict_api_get(weir_dict *d, weir_str key, weir_span room, size_t *n);
int dict_api_put(weir_dict *d, weir_str key, weir_str value, uint64_t ttl);
int dict_api_remove(weir_dict *d, weir_str key);
int dict_api_add(weir_dict *d, weir_str key, int64_t by, uint64_t window, uint64_t *sum);
int dict_api_compare_and_set(weir_dict *d, weir_str key, uint64_t expect, uint64_t value, uint64_t ttl);
int dict_api_take(weir_dict *d, weir_str key, struct weir_rate rate, uint64_t burst, uint64_t cost, uint64_t *wait_us);
void say_api(weir_answer *answer, const char *fmt, va_list ap);
int dict_api_spend(weir_dict *d, weir_str key, struct weir_rate rate, uint64_t burst, int64_t cost,
                   struct weir_bucket *after);
void note_api(weir_mod *mod, const char *subject, uint32_t level, const char *fmt, va_list ap);
void count_api(weir_req *r, uint32_t metric, int64_t by);
void count_api_mod(weir_mod *mod, uint32_t metric, int64_t by);
int service_api_publish(weir_mod *mod, const char *name, uint32_t version, const void *table);
const void *service_api_find(weir_mod *mod, const char *name, uint32_t version);

/* harness-event.c */
weir_token event_api_suspend(weir_req *r, uint64_t ms, weir_verdict on_timeout);
weir_token event_api_conn_suspend(weir_conn *c, uint64_t ms, weir_verdict on_timeout);
void event_api_resume(weir_token token, weir_verdict verdict);
weir_timer *event_api_timer(weir_req *r, uint64_t ms, void (*fn)(weir_req *, void *), void *arg);
weir_timer *event_api_thread_timer(weir_mod *mod, uint64_t ms, void (*fn)(weir_mod *, void *), void *arg);
void event_api_timer_cancel(weir_timer *timer);
int event_api_mod_job(weir_mod *mod, const struct weir_mod_job_calls *calls, void *arg);
int event_api_job(weir_req *r, const struct weir_job_calls *calls, void *arg);
uint64_t event_api_now(uint32_t which);
void events_forget(struct harness *h, weir_req *r); /* timers and jobs of a request that ends; NULL: all */

/* harness-fetch.c */
int fetch_api_start(weir_req *r, const struct weir_fetch *what, weir_fetched_fn done, void *arg);
int fetch_api_start_for(weir_mod *mod, const struct weir_fetch *what, weir_mod_fetched_fn done, void *arg);
const void *fetch_api_thread_conf(weir_mod *mod);
void fetches_forget(struct harness *h, weir_req *r); /* the request ends */

#endif
