/* SPDX-License-Identifier: BSD-2-Clause */
/* http.h: one request and its response.
 *
 * Owner:   every weir_str returned here is valid until the request ends, or until the part it shows is changed.
 *          What is passed in for fields, parts and replies is copied unless said otherwise.
 * Thread:  the worker that owns the request.
 * Errors:  -1 without memory or for a name or value that HTTP does not allow; the request is then unchanged.
 * Source:  RFC 9110. */
#ifndef WEIR_HTTP_H
#define WEIR_HTTP_H

#include <weir/api.h>

/* -- memory that ends with the request ----------------------------------------------------------------------------- */

static inline void *weir_alloc(weir_req *r, size_t n) /* zeroed; NULL beyond the request's cap */
{
    return weir_api_->req_alloc(r, n);
}

__attribute__((format(printf, 2, 3))) static inline weir_str weir_printf(weir_req *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    weir_str s = weir_api_->req_printf(r, fmt, ap);
    va_end(ap);
    return s;
}

/* fn(arg) when the request ends, last registered first. False: not registered. */
static inline bool weir_on_end(weir_req *r, void (*fn)(void *), void *arg)
{
    return weir_api_->req_on_end(r, fn, arg);
}

/* -- parts of the request ------------------------------------------------------------------------------------------ */

#define WEIR_PART_METHOD 0u
#define WEIR_PART_PATH 1u   /* normal form, as routed and forwarded */
#define WEIR_PART_QUERY 2u  /* without '?' */
#define WEIR_PART_HOST 3u   /* lower case, without port */
#define WEIR_PART_SCHEME 4u /* "http" or "https" */
#define WEIR_PART_SITE 5u   /* the site's first name; empty when none matched */
#define WEIR_PART_ROUTE 6u  /* the route as written */
#define WEIR_PART_ID 7u     /* request id */
#define WEIR_PART_URI 8u    /* path and query */

static inline weir_str weir_part(weir_req *r, uint32_t part)
{
    return weir_api_->req_part(r, part);
}
static inline weir_str weir_method(weir_req *r) { return weir_part(r, WEIR_PART_METHOD); }
static inline weir_str weir_path(weir_req *r) { return weir_part(r, WEIR_PART_PATH); }
static inline weir_str weir_host(weir_req *r) { return weir_part(r, WEIR_PART_HOST); }

/* METHOD, PATH and QUERY can be set, before the upstream is chosen. A path is brought into normal form. */
static inline int weir_set_part(weir_req *r, uint32_t part, weir_str value)
{
    return weir_api_->req_set_part(r, part, value);
}

/* -- fields -------------------------------------------------------------------------------------------------------- */

#define WEIR_OF_REQUEST 0u
#define WEIR_OF_RESPONSE 1u
#define WEIR_OF_UPSTREAM 2u /* the head that goes upstream; only at UP_HEAD */

/* The first field of that name; {NULL, 0} when there is none. */
static inline weir_str weir_req_get(weir_req *r, weir_str name)
{
    return weir_api_->field_get(r, WEIR_OF_REQUEST, name);
}
static inline weir_str weir_rsp_get(weir_req *r, weir_str name)
{
    return weir_api_->field_get(r, WEIR_OF_RESPONSE, name);
}

/* Walks all fields in order: start with *cursor = 0; false at the end. The list must not be changed meanwhile. */
static inline bool weir_field_next(weir_req *r, uint32_t where, uint32_t *cursor, weir_str *name, weir_str *value)
{
    return weir_api_->field_next(r, where, cursor, name, value);
}

/* set replaces all of that name by one; add appends; remove says how many went. */
static inline int weir_field_set(weir_req *r, uint32_t where, weir_str name, weir_str value)
{
    return weir_api_->field_set(r, where, name, value);
}
static inline int weir_field_add(weir_req *r, uint32_t where, weir_str name, weir_str value)
{
    return weir_api_->field_add(r, where, name, value);
}
static inline uint32_t weir_field_remove(weir_req *r, uint32_t where, weir_str name)
{
    return weir_api_->field_remove(r, where, name);
}
static inline int weir_req_set(weir_req *r, weir_str name, weir_str value)
{
    return weir_field_set(r, WEIR_OF_REQUEST, name, value);
}
static inline int weir_rsp_set(weir_req *r, weir_str name, weir_str value)
{
    return weir_field_set(r, WEIR_OF_RESPONSE, name, value);
}

/* -- the response -------------------------------------------------------------------------------------------------- */

static inline uint32_t weir_status(weir_req *r) { return weir_api_->rsp_status(r); } /* 0 before there is one */
/* at RSP_HEAD */
static inline int weir_set_status(weir_req *r, uint32_t status)
{
    return weir_api_->rsp_set_status(r, status);
}

/* Answers by itself: return what these return. Fields set on the response before are kept. reply: text/plain unless
 * Content-Type is set; 200..599. refuse: an error page of weir's (error_page applies), the reason goes to the log as
 * $refuse_reason; NUL-terminated, static.
 * redirect: 301, 302, 303, 307 or 308. fail: notes the reason; the hook's policy decides. Called before weir_reply by a
 * hook that is flagged WEIR_DECIDES, it is the reason of that answer, when its status is 300 or more. */
static inline weir_verdict weir_reply(weir_req *r, uint32_t status, weir_str body)
{
    return weir_api_->reply(r, status, body);
}
static inline weir_verdict weir_refuse(weir_req *r, uint32_t status, const char *reason)
{
    return weir_api_->refuse(r, status, reason);
}
static inline weir_verdict weir_redirect(weir_req *r, uint32_t status, weir_str location)
{
    return weir_api_->redirect(r, status, location);
}
__attribute__((format(printf, 2, 3))) static inline weir_verdict weir_fail(weir_req *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    weir_verdict v = weir_api_->fail(r, fmt, ap);
    va_end(ap);
    return v;
}

/* -- figures, templates, the module's own -------------------------------------------------------------------------- */

#define WEIR_NUM_BYTES_SENT 0u     /* to the client: heads, framing and content */
#define WEIR_NUM_BYTES_RECEIVED 1u /* from the client */
#define WEIR_NUM_BODY_SENT 2u      /* content only */
#define WEIR_NUM_REQUEST_US 3u     /* microseconds since the request's first byte */
#define WEIR_NUM_HTTP_VERSION 4u   /* 10, 11, 20 */
#define WEIR_NUM_RSP_LENGTH 5u     /* Content-Length of the response as it stands; UINT64_MAX: not known */
static inline uint64_t weir_number(weir_req *r, uint32_t which) { return weir_api_->req_number(r, which); }

/* v4-mapped */
static inline void weir_client_address(weir_req *r, uint8_t out[16])
{
    weir_api_->client_address(r, out);
}
/* The client's address is in trusted_proxies: a proxy asks for itself, as it names nobody behind it. */
static inline bool weir_client_is_trusted(weir_req *r)
{
    return weir_api_->client_is_trusted(r);
}
static inline weir_str weir_eval(weir_req *r, const weir_tmpl *tmpl) { return weir_api_->eval(r, tmpl); }
/* The value of a variable by name; 0, or -1: unknown or without a value. Templates are faster. */
static inline int weir_variable(weir_req *r, weir_str name, weir_str *value)
{
    return weir_api_->variable(r, name, value);
}
static inline bool weir_is_dry(weir_req *r) { return weir_api_->is_dry(r); }
/* In a deciding hook: `enforce off` names this module here, so a refusal will not be one; it must not wait either, nor
 * do what would refuse elsewhere. */
static inline bool weir_is_shadow(weir_req *r) { return weir_api_->is_shadow(r); }
static inline void *weir_req_ctx(weir_req *r, weir_mod *mod) { return weir_api_->req_ctx(r, mod); }
static inline const void *weir_req_conf(weir_req *r, weir_mod *mod) { return weir_api_->req_conf(r, mod); }
static inline weir_conn *weir_req_conn(weir_req *r) { return weir_api_->req_conn(r); }

#endif
