/* SPDX-License-Identifier: BSD-2-Clause */
/* module.h: the one symbol a module exports, and the hooks it lists.
 *
 * Shape:   WEIR_MODULE(name, .version = ..., .hooks = WEIR_TABLE(hooks), ...) defines the constant descriptor
 *          `weir_module`.
 * Thread:  load: the main thread, before workers start (and in `weir check`, which has none); thread_up/thread_down:
 *          each worker; check, drop: the thread that binds or frees a snapshot; hooks: the worker that owns the
 *          connection.
 * Life:    a module is loaded once per process and never unloaded. */
#ifndef WEIR_MODULE_H
#define WEIR_MODULE_H

#include <weir/conf.h>
#include <weir/conn.h>
#include <weir/upstream.h>

/* Stages, in the order in which one transaction meets them. Gaps are for stages to come. */
#define WEIR_AT_ACCEPT 100u    /* conn: address rules, limits */
#define WEIR_AT_PREFACE 200u   /* conn: first bytes, peeked */
#define WEIR_AT_TRANSPORT 300u /* transport */
#define WEIR_AT_IDENTIFY 400u  /* req: who is it; top-level scope; site and route are chosen behind it */
#define WEIR_AT_GUARD 500u     /* req: limits, filters */
#define WEIR_AT_AUTH 600u      /* req: address rules, authentication */
#define WEIR_AT_REWRITE 700u   /* req: change the request */
#define WEIR_AT_SERVE 800u     /* req: answer without an upstream */
#define WEIR_AT_REQ_BODY 900u  /* bytes: the request's content on its way to the upstream */
#define WEIR_AT_BALANCE 1000u  /* balance */
#define WEIR_AT_UP_HEAD 1100u  /* req: the head that goes upstream, each try */
#define WEIR_AT_UP_RSP 1200u   /* req: what the origin answered */
#define WEIR_AT_STORE 1300u    /* bytes: the origin's content, identity bytes */
#define WEIR_AT_RSP_HEAD 1400u /* req: every answer, wherever it came from */
#define WEIR_AT_TRANSFORM 1500u /* bytes: change the content */
#define WEIR_AT_ENCODE 1600u   /* bytes: content codings */
#define WEIR_AT_LOG 1700u      /* req: exactly once per request; may change nothing */

/* Slots inside a stage, where no capability orders two hooks. */
#define WEIR_EARLY (-100)
#define WEIR_MIDDLE 0
#define WEIR_LATE 100

/* Flags of a hook. */
#define WEIR_FAIL_OPEN 1u       /* on failure the request goes on without this hook; without it, failure answers 503 */
#define WEIR_EXCLUSIVE 2u       /* no other hook may stand at this stage */
/* bytes: the core drops Content-Length and ranges and weakens the ETag when it is engaged */
#define WEIR_CHANGES_LENGTH 4u
/* req: may be run to see its verdict; looks at weir_is_dry() before it counts or waits */
#define WEIR_DRY_OK 8u
#define WEIR_ENGAGED 16u        /* bytes: engaged in every request of an active scope, without weir_engage() */
#define WEIR_DECIDES 32u        /* req: may refuse; takes part in `enforce off` */

/* How a bytes hook is called. */
#define WEIR_END 1u   /* no input will follow what is in the chain */
#define WEIR_FLUSH 2u /* the source pauses: hand on what is held back */

typedef weir_verdict (*weir_conn_fn)(weir_conn *conn, const void *conf, void *ctx);
typedef weir_verdict (*weir_req_fn)(weir_req *r, const void *conf, void *ctx);
typedef weir_verdict (*weir_bytes_fn)(weir_flow *flow, weir_chain *in, weir_chain *out, uint32_t how);

struct weir_hook {
    uint32_t stage;
    int32_t slot;
    uint32_t flags;
    uint32_t reserved;
    const char *name;     /* for `weir pipeline`; NULL: the module's name */
    const char *provides; /* capability names, comma separated, as in "client-addr" */
    /* capabilities that must have been provided earlier in the stage (when anybody provides them) */
    const char *after;
    const char *before;
    /* exactly one of these */
    weir_conn_fn conn;
    weir_req_fn req;
    weir_bytes_fn bytes;
    const struct weir_transport *transport;
    const struct weir_balancer *balance;
};

struct weir_variable {
    const char *name;  /* without '$'; must begin with the module's name ('-' as '_') */
    const char *doc;
    uint32_t flags;    /* WEIR_VAR_* */
    uint32_t reserved;
    /* 0 and *value filled (valid as long as the request), or -1: no value. rest is what follows the name of a prefix
     * variable. conf and ctx are the module's own for this request. */
    int (*get)(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value);
};
#define WEIR_VAR_PREFIX 1u   /* the name is a beginning: `geo_` serves `$geo_anything` */
#define WEIR_VAR_VOLATILE 2u /* ask again each time */

struct weir_metric {
    const char *name; /* becomes weir_MODULE_NAME; counters end in _total */
    const char *doc;
    uint32_t kind;    /* WEIR_COUNTER or WEIR_GAUGE */
    uint32_t reserved;
};
#define WEIR_COUNTER 0u
#define WEIR_GAUGE 1u

/* A command of the module's own, over the control API: `weir NAME WORD...`. One that the server itself has goes before;
 * of two modules' commands of one name the first one's. */
struct weir_command {
    const char *name;  /* lower-case letters, digits and '-' */
    const char *usage; /* what stands behind the name, as in "list | add CIDR [TIME]" */
    const char *doc;
    /* On the main thread, beside the workers; must not block. Answers with weir_say(). 0, or -1: refused, and what was
     * said is why. At most 16 words. */
    int (*run)(weir_mod *mod, weir_answer *answer, const weir_str *words, uint32_t count);
};

struct weir_api;

struct weir_module {
    uint32_t magic;
    uint16_t abi_major, abi_minor;
    uint32_t size;  /* sizeof(struct weir_module) as the module knows it */
    uint32_t flags; /* 0 */
    const char *name, *version, *license, *summary;
    const struct weir_api **api; /* the host stores its table here before load() */

    uint32_t conf_size;     /* filled by directives; zero: no configuration */
    uint32_t ctx_size;      /* per request, zeroed */
    uint32_t conn_ctx_size; /* per connection, zeroed */
    uint32_t thread_size;   /* per worker, zeroed; weir_thread_slot() */

    weir_table directives; /* struct weir_directive */
    weir_table hooks;      /* struct weir_hook */
    weir_table variables;  /* struct weir_variable */
    weir_table metrics;    /* struct weir_metric */

    int (*load)(weir_mod *mod);                   /* 0, or -1 after weir_mod_error() */
    int (*check)(weir_conf *conf, void *scope);   /* WEIR_CONF_*: each distinct merged scope, outer ones first */
    void (*drop)(void *scope);                    /* the snapshot is gone; only for scopes that check() accepted */
    int (*thread_up)(weir_mod *mod, void *slot);
    void (*thread_down)(weir_mod *mod, void *slot);

    weir_table commands; /* struct weir_command */
};

/* The host's table, set before load(). Hidden: it is no symbol of the module's. */
__attribute__((visibility("hidden"))) extern const struct weir_api *weir_api_;

#define WEIR_MODULE(Name, ...) \
    const struct weir_api *weir_api_; \
    __attribute__((visibility("default"))) extern const struct weir_module weir_module; \
    const struct weir_module weir_module = { .magic = WEIR_ABI_MAGIC, .abi_major = WEIR_ABI_MAJOR, \
        .abi_minor = WEIR_TARGET, \
        .size = sizeof(struct weir_module), .name = #Name, .api = &weir_api_, __VA_ARGS__ }

#endif
