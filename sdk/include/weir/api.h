/* SPDX-License-Identifier: BSD-2-Clause */
/* api.h: the host's functions as a module is handed them. Call them through the inline functions of the other headers,
 * which document them; this table is only their carrier.
 *
 * Growth:  entries are only ever appended; `size` tells how far a host's table reaches. */
#ifndef WEIR_API_H
#define WEIR_API_H

#include <stdarg.h>
#include <weir/module.h>

struct weir_dict_value;
struct weir_sink_options;
struct weir_job_calls;
struct weir_mod_job_calls;
struct weir_fetch;
struct weir_fetched;
typedef void (*weir_fetched_fn)(weir_req *r, const struct weir_fetched *answer, void *arg);
typedef void (*weir_mod_fetched_fn)(weir_mod *mod, const struct weir_fetched *answer, void *arg);
struct weir_bucket;

struct weir_api {
    uint32_t size;
    uint16_t abi_major, abi_minor;

    /* module.h, log.h */
    int (*mod_error)(weir_mod *mod, const char *fmt, va_list ap);
    void (*log)(uint32_t level, const char *fmt, va_list ap);
    void (*req_log)(weir_req *r, uint32_t level, const char *fmt, va_list ap);
    void *(*thread_slot)(weir_mod *mod);

    /* conf_api.h */
    int (*conf_error)(weir_conf *c, const struct weir_place *at, const char *fmt, va_list ap);
    void (*conf_warn)(weir_conf *c, const struct weir_place *at, const char *fmt, va_list ap);
    void *(*conf_alloc)(weir_conf *c, size_t n);
    weir_mod *(*conf_mod)(weir_conf *c);
    uint32_t (*conf_scope)(weir_conf *c);
    bool (*conf_is_rehearsal)(weir_conf *c);
    weir_table (*conf_site_names)(weir_conf *c);
    int (*conf_read_file)(weir_conf *c, weir_str path, weir_str *content);
    weir_str (*conf_state_path)(weir_conf *c, weir_str name);
    weir_tmpl *(*conf_template)(weir_conf *c, weir_str text);
    void (*conf_offer_tls)(weir_conf *c);
    void (*conf_skip_hook)(weir_conf *c, uint32_t index);
    weir_sink *(*conf_sink)(weir_conf *c, weir_str target, const struct weir_sink_options *options);

    /* http.h: memory of the request */
    void *(*req_alloc)(weir_req *r, size_t n);
    weir_str (*req_printf)(weir_req *r, const char *fmt, va_list ap);
    bool (*req_on_end)(weir_req *r, void (*fn)(void *), void *arg);

    /* http.h: the request */
    weir_str (*req_part)(weir_req *r, uint32_t part);
    int (*req_set_part)(weir_req *r, uint32_t part, weir_str value);
    weir_str (*field_get)(weir_req *r, uint32_t where, weir_str name);
    bool (*field_next)(weir_req *r, uint32_t where, uint32_t *cursor, weir_str *name, weir_str *value);
    int (*field_set)(weir_req *r, uint32_t where, weir_str name, weir_str value);
    int (*field_add)(weir_req *r, uint32_t where, weir_str name, weir_str value);
    uint32_t (*field_remove)(weir_req *r, uint32_t where, weir_str name);
    uint32_t (*rsp_status)(weir_req *r);
    int (*rsp_set_status)(weir_req *r, uint32_t status);
    weir_verdict (*reply)(weir_req *r, uint32_t status, weir_str body);
    weir_verdict (*refuse)(weir_req *r, uint32_t status, const char *reason);
    weir_verdict (*redirect)(weir_req *r, uint32_t status, weir_str location);
    weir_verdict (*fail)(weir_req *r, const char *fmt, va_list ap);
    uint64_t (*req_number)(weir_req *r, uint32_t which);
    void (*client_address)(weir_req *r, uint8_t out[16]);
    weir_str (*eval)(weir_req *r, const weir_tmpl *tmpl);
    int (*variable)(weir_req *r, weir_str name, weir_str *value);
    bool (*is_dry)(weir_req *r);
    void *(*req_ctx)(weir_req *r, weir_mod *mod);
    const void *(*req_conf)(weir_req *r, weir_mod *mod);
    weir_conn *(*req_conn)(weir_req *r);

    /* bytes.h */
    int (*engage)(weir_req *r, uint32_t stage);
    void (*want_body)(weir_req *r, uint64_t limit);
    weir_req *(*flow_req)(weir_flow *f);
    const void *(*flow_conf)(weir_flow *f);
    void *(*flow_ctx)(weir_flow *f);
    void (*flow_want)(weir_flow *f, uint64_t input, uint64_t room);
    uint64_t (*flow_room)(weir_flow *f);
    weir_str (*chain_peek)(weir_chain *in);
    uint64_t (*chain_size)(weir_chain *in);
    void (*chain_eat)(weir_chain *in, uint64_t n);
    weir_span (*chain_reserve)(weir_chain *out, size_t least);
    void (*chain_commit)(weir_chain *out, size_t n);
    uint64_t (*chain_pass)(weir_chain *in, weir_chain *out, uint64_t n);

    /* conn_api.h */
    const void *(*conn_site_conf)(weir_conn *c, weir_mod *mod, weir_str server_name);
    void *(*conn_ctx)(weir_conn *c, weir_mod *mod);
    void *(*conn_transport)(weir_conn *c, const struct weir_transport *transport);
    void (*conn_address)(weir_conn *c, uint32_t which, uint8_t out[16], uint16_t *port);
    weir_str (*conn_peek)(weir_conn *c);
    weir_token (*conn_suspend)(weir_conn *c, uint64_t ms, weir_verdict on_timeout);

    /* event.h */
    weir_token (*suspend)(weir_req *r, uint64_t ms, weir_verdict on_timeout);
    void (*resume)(weir_token token, weir_verdict verdict);
    weir_timer *(*timer)(weir_req *r, uint64_t ms, void (*fn)(weir_req *, void *), void *arg);
    weir_timer *(*thread_timer)(weir_mod *mod, uint64_t ms, void (*fn)(weir_mod *, void *), void *arg);
    void (*timer_cancel)(weir_timer *timer);
    int (*job)(weir_req *r, const struct weir_job_calls *calls, void *arg);
    uint64_t (*now)(uint32_t which);

    /* share.h */
    weir_dict *(*dict_open)(weir_mod *mod, const char *name, uint64_t bytes, uint32_t flags);
    int (*dict_get)(weir_dict *d, weir_str key, weir_span room, size_t *n);
    int (*dict_put)(weir_dict *d, weir_str key, weir_str value, uint64_t ttl);
    int (*dict_remove)(weir_dict *d, weir_str key);
    int (*dict_add)(weir_dict *d, weir_str key, int64_t by, uint64_t window, uint64_t *sum);
    int (*dict_compare_and_set)(weir_dict *d, weir_str key, uint64_t expect, uint64_t value, uint64_t ttl);
    int (*dict_take)(weir_dict *d, weir_str key, struct weir_rate rate, uint64_t burst, uint64_t cost,
                     uint64_t *wait_us);
    void (*count)(weir_req *r, uint32_t metric, int64_t by);
    void (*mod_count)(weir_mod *mod, uint32_t metric, int64_t by);
    int (*service_publish)(weir_mod *mod, const char *name, uint32_t version, const void *table);
    const void *(*service_find)(weir_mod *mod, const char *name, uint32_t version);
    int (*sink_write)(weir_sink *sink, weir_str line);

    /* conf_api.h */
    int (*tmpl_constant)(const weir_tmpl *tmpl, weir_str *text);

    /* event.h, log.h */
    int (*mod_job)(weir_mod *mod, const struct weir_mod_job_calls *calls, void *arg);
    void (*mod_note)(weir_mod *mod, const char *subject, uint32_t level, const char *fmt, va_list ap);
    int (*fetch)(weir_req *r, const struct weir_fetch *what, weir_fetched_fn done, void *arg);
    int (*mod_fetch)(weir_mod *mod, const struct weir_fetch *what, weir_mod_fetched_fn done, void *arg);
    const void *(*thread_conf)(weir_mod *mod);
    int (*conf_value)(weir_conf *c, uint32_t type, weir_str text, void *to);

    /* conn_api.h */
    weir_str (*conn_protocols)(weir_conn *c, weir_str server_name);

    /* share.h */
    int (*dict_spend)(weir_dict *d, weir_str key, struct weir_rate rate, uint64_t burst, int64_t cost,
                      struct weir_bucket *after);

    /* log.h */
    void (*say)(weir_answer *answer, const char *fmt, va_list ap);

    /* http.h */
    bool (*is_shadow)(weir_req *r);
    bool (*client_is_trusted)(weir_req *r);
};

#endif
