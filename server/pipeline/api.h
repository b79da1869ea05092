/* SPDX-License-Identifier: BSD-2-Clause */
/* api.h: the functions behind the SDK's table, by the SDK header that documents them; api.c puts them in place. */
#ifndef PIPELINE_API_H
#define PIPELINE_API_H

#include <weir/weir.h>

/* api_conf.c: conf_api.h */
int api_conf_error(weir_conf *c, const struct weir_place *at, const char *fmt, va_list ap);
void api_conf_warn(weir_conf *c, const struct weir_place *at, const char *fmt, va_list ap);
void *api_conf_alloc(weir_conf *c, size_t n);
weir_mod *api_conf_mod(weir_conf *c);
uint32_t api_conf_scope(weir_conf *c);
bool api_conf_is_rehearsal(weir_conf *c);
weir_table api_conf_site_names(weir_conf *c);
int api_conf_read_file(weir_conf *c, weir_str path, weir_str *content);
weir_str api_conf_state_path(weir_conf *c, weir_str name);
int api_conf_value(weir_conf *c, uint32_t type, weir_str text, void *to);
weir_tmpl *api_conf_template(weir_conf *c, weir_str text);
void api_conf_offer_tls(weir_conf *c);
void api_conf_skip_hook(weir_conf *c, uint32_t index);
weir_sink *api_conf_sink(weir_conf *c, weir_str target, const struct weir_sink_options *options);
int api_tmpl_constant(const weir_tmpl *tmpl, weir_str *text);

/* api_http.c: http.h, the request's parts and fields */
void *api_req_alloc(weir_req *r, size_t n);
weir_str api_req_printf(weir_req *r, const char *fmt, va_list ap);
bool api_req_on_end(weir_req *r, void (*fn)(void *), void *arg);
weir_str api_req_part(weir_req *r, uint32_t part);
int api_req_set_part(weir_req *r, uint32_t part, weir_str value);
weir_str api_field_get(weir_req *r, uint32_t where, weir_str name);
bool api_field_next(weir_req *r, uint32_t where, uint32_t *cursor, weir_str *name, weir_str *value);
int api_field_set(weir_req *r, uint32_t where, weir_str name, weir_str value);
int api_field_add(weir_req *r, uint32_t where, weir_str name, weir_str value);
uint32_t api_field_remove(weir_req *r, uint32_t where, weir_str name);

/* api_response.c: http.h, the response, figures, templates */
uint32_t api_rsp_status(weir_req *r);
int api_rsp_set_status(weir_req *r, uint32_t status);
weir_verdict api_reply(weir_req *r, uint32_t status, weir_str body);
weir_verdict api_refuse(weir_req *r, uint32_t status, const char *reason);
weir_verdict api_redirect(weir_req *r, uint32_t status, weir_str location);
weir_verdict api_fail(weir_req *r, const char *fmt, va_list ap);
uint64_t api_req_number(weir_req *r, uint32_t which);
void api_client_address(weir_req *r, uint8_t out[16]);
bool api_client_is_trusted(weir_req *r);
weir_str api_eval(weir_req *r, const weir_tmpl *tmpl);
int api_variable(weir_req *r, weir_str name, weir_str *value);
bool api_is_dry(weir_req *r);
bool api_is_shadow(weir_req *r);
void *api_req_ctx(weir_req *r, weir_mod *mod);
const void *api_req_conf(weir_req *r, weir_mod *mod);
weir_conn *api_req_conn(weir_req *r);

/* api_bytes.c: bytes.h */
int api_engage(weir_req *r, uint32_t stage);
void api_want_body(weir_req *r, uint64_t limit);
weir_req *api_flow_req(weir_flow *f);
const void *api_flow_conf(weir_flow *f);
void *api_flow_ctx(weir_flow *f);
void api_flow_want(weir_flow *f, uint64_t input, uint64_t room);
uint64_t api_flow_room(weir_flow *f);
weir_str api_chain_peek(weir_chain *in);
uint64_t api_chain_size(weir_chain *in);
void api_chain_eat(weir_chain *in, uint64_t n);
weir_span api_chain_reserve(weir_chain *out, size_t least);
void api_chain_commit(weir_chain *out, size_t n);
uint64_t api_chain_pass(weir_chain *in, weir_chain *out, uint64_t n);

/* api_conn.c: conn_api.h */
const void *api_conn_site_conf(weir_conn *c, weir_mod *mod, weir_str server_name);
weir_str api_conn_protocols(weir_conn *c, weir_str server_name);
void *api_conn_ctx(weir_conn *c, weir_mod *mod);
void *api_conn_transport(weir_conn *c, const struct weir_transport *transport);
void api_conn_address(weir_conn *c, uint32_t which, uint8_t out[16], uint16_t *port);
weir_str api_conn_peek(weir_conn *c);

#endif
