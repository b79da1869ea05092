/* SPDX-License-Identifier: BSD-2-Clause */
/* What may stand in an upstream block. */
#include "upstream/upstream.h"

#include <weir/module.h>

static int note_balance(weir_conf *conf, const struct weir_directive *directive, void *to)
{
    (void)directive;
    ((struct upstream_conf *)to)->balance_statement = conf->statement;
    return 0;
}

static const struct weir_arg server_args[] = {
    { .name = "ADDR", .type = WEIR_TYPE_STR, .offset = WEIR_FIELD(struct server_conf, address, weir_str) },
    { .name = "weight", .type = WEIR_TYPE_UINT, .flags = WEIR_ARG_OPTION, .fallback = "1", .min = 1, .max = 1000,
      .offset = WEIR_FIELD(struct server_conf, weight, uint64_t) },
    { .name = "max_conns", .type = WEIR_TYPE_UINT, .flags = WEIR_ARG_OPTION, .fallback = "0", .max = 1000000,
      .offset = WEIR_FIELD(struct server_conf, max_conns, uint64_t) },
    { .name = "max_fails", .type = WEIR_TYPE_UINT, .flags = WEIR_ARG_OPTION, .fallback = "3", .max = 1000000,
      .offset = WEIR_FIELD(struct server_conf, max_fails, uint64_t) },
    { .name = "fail_timeout", .type = WEIR_TYPE_DURATION, .flags = WEIR_ARG_OPTION, .fallback = "10s", .min = 1,
      .offset = WEIR_FIELD(struct server_conf, fail_timeout, uint64_t) },
    { .name = "slow_start", .type = WEIR_TYPE_DURATION, .flags = WEIR_ARG_OPTION, .fallback = "0s",
      .offset = WEIR_FIELD(struct server_conf, slow_start, uint64_t) },
    { .name = "backup", .type = WEIR_TYPE_FLAG, .flags = WEIR_ARG_WORD,
      .offset = WEIR_FIELD(struct server_conf, backup, bool) },
    { .name = "down", .type = WEIR_TYPE_FLAG, .flags = WEIR_ARG_WORD,
      .offset = WEIR_FIELD(struct server_conf, down, bool) },
    { .name = "PLACE", .type = WEIR_TYPE_PLACE, .offset = WEIR_FIELD(struct server_conf, place, struct weir_place) },
};
const weir_table upstream_server_args = WEIR_TABLE(server_args);

static const struct weir_arg keepalive_args[] = {
    { .name = "N", .type = WEIR_TYPE_UINT, .fallback = "64", .max = 10000,
      .offset = WEIR_FIELD(struct upstream_conf, keepalive, uint64_t) },
    { .name = "timeout", .type = WEIR_TYPE_DURATION, .flags = WEIR_ARG_OPTION, .fallback = "60s", .min = 1,
      .offset = WEIR_FIELD(struct upstream_conf, keepalive_timeout, uint64_t) },
};
static const struct weir_arg balance_args[] = {
    { .name = "NAME", .type = WEIR_TYPE_STR, .fallback = "round_robin",
      .offset = WEIR_FIELD(struct upstream_conf, balance, weir_str) },
    /* what stands behind the name is the balancer's: bound again by its own table */
    { .name = "ARG", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTIONAL | WEIR_ARG_REST,
      .offset = WEIR_FIELD(struct upstream_conf, balance_rest, weir_table) },
};
static int note_retry(weir_conf *conf, const struct weir_directive *directive, void *to)
{
    (void)directive;
    ((struct upstream_conf *)to)->retry_statement = conf->statement;
    return 0;
}

static const struct weir_arg retry_args[] = {
    { .name = "attempts", .type = WEIR_TYPE_UINT, .flags = WEIR_ARG_OPTION, .fallback = "2", .min = 1, .max = 16,
      .offset = WEIR_FIELD(struct upstream_conf, retry.attempts, uint64_t) },
    { .name = "on", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION | WEIR_ARG_LIST,
      .fallback = "connect,timeout,502,503,504", .offset = WEIR_FIELD(struct upstream_conf, retry.on, weir_table) },
    { .name = "budget", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION, .fallback = "20%",
      .offset = WEIR_FIELD(struct upstream_conf, retry.budget, weir_str) },
};

static int note_check(weir_conf *conf, const struct weir_directive *directive, void *to)
{
    (void)directive;
    ((struct upstream_conf *)to)->check_statement = conf->statement;
    return 0;
}

static const struct weir_arg check_args[] = {
    { .name = "uri", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION, .fallback = "/",
      .offset = WEIR_FIELD(struct upstream_conf, check.uri, weir_str) },
    { .name = "interval", .type = WEIR_TYPE_DURATION, .flags = WEIR_ARG_OPTION, .fallback = "5s", .min = 50,
      .max = 86400000, .offset = WEIR_FIELD(struct upstream_conf, check.interval, uint64_t) },
    { .name = "timeout", .type = WEIR_TYPE_DURATION, .flags = WEIR_ARG_OPTION, .fallback = "2s", .min = 1,
      .max = 86400000, .offset = WEIR_FIELD(struct upstream_conf, check.timeout, uint64_t) },
    { .name = "fall", .type = WEIR_TYPE_UINT, .flags = WEIR_ARG_OPTION, .fallback = "3", .min = 1, .max = 1000,
      .offset = WEIR_FIELD(struct upstream_conf, check.fall, uint64_t) },
    { .name = "rise", .type = WEIR_TYPE_UINT, .flags = WEIR_ARG_OPTION, .fallback = "2", .min = 1, .max = 1000,
      .offset = WEIR_FIELD(struct upstream_conf, check.rise, uint64_t) },
    { .name = "expect", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION | WEIR_ARG_LIST, .fallback = "200-399",
      .offset = WEIR_FIELD(struct upstream_conf, check.expect, weir_table) },
};

static int note_sticky(weir_conf *conf, const struct weir_directive *directive, void *to)
{
    (void)directive;
    ((struct upstream_conf *)to)->sticky_statement = conf->statement;
    return 0;
}

static const struct weir_arg sticky_args[] = {
    { .name = "cookie", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION | WEIR_ARG_REQUIRED,
      .offset = WEIR_FIELD(struct upstream_conf, sticky.cookie, weir_str) },
    { .name = "ttl", .type = WEIR_TYPE_DURATION, .flags = WEIR_ARG_OPTION, .fallback = "1h", .min = 1000,
      .offset = WEIR_FIELD(struct upstream_conf, sticky.ttl, uint64_t) },
};

static int note_certificate(weir_conf *conf, const struct weir_directive *directive, void *to)
{
    (void)directive;
    ((struct upstream_conf *)to)->tls_certificate_statement = conf->statement;
    return 0;
}

static const struct weir_arg certificate_args[] = {
    { .name = "CERT", .type = WEIR_TYPE_PATH, .offset = WEIR_FIELD(struct upstream_conf, tls_certificate, weir_str) },
    { .name = "KEY", .type = WEIR_TYPE_PATH, .offset = WEIR_FIELD(struct upstream_conf, tls_key, weir_str) },
};

static const struct weir_directive directives[] = {
    { .name = "server", .scopes = WEIR_IN_UPSTREAM, .merge = WEIR_MERGE_APPEND,
      .record_size = sizeof(struct server_conf),
      .offset = offsetof(struct upstream_conf, servers), .args = WEIR_TABLE(server_args),
      .doc = "an origin server: HOST[:PORT], [IPV6]:PORT or unix:PATH; names are resolved at run time" },
    { .name = "keepalive", .scopes = WEIR_IN_UPSTREAM, .args = WEIR_TABLE(keepalive_args),
      .doc = "idle connections kept per worker and server, and for how long" },
    { .name = "balance", .scopes = WEIR_IN_UPSTREAM, .args = WEIR_TABLE(balance_args), .set = note_balance,
      .doc = "how requests are spread over the servers" },
    { .name = "retry", .scopes = WEIR_IN_UPSTREAM, .args = WEIR_TABLE(retry_args), .set = note_retry,
      .doc = "failures of which a request that can be repeated is tried on another server" },
    { .name = "health_check", .scopes = WEIR_IN_UPSTREAM, .args = WEIR_TABLE(check_args), .set = note_check,
      .doc = "asks each server by itself; `fall` bad answers take it out, `rise` good ones bring it back" },
    { .name = "sticky", .scopes = WEIR_IN_UPSTREAM, .args = WEIR_TABLE(sticky_args), .set = note_sticky,
      .doc = "a signed cookie brings a client back to the server that it had" },
    WEIR_DIR(struct upstream_conf, tls, FLAG, "tls", WEIR_IN_UPSTREAM, "off",
             "speak TLS to the servers (needs the module tls)"),
    WEIR_DIR(struct upstream_conf, tls_verify, FLAG, "tls_verify", WEIR_IN_UPSTREAM, "on",
             "verify the servers' certificates"),
    WEIR_DIR(struct upstream_conf, tls_ca, PATH, "tls_ca", WEIR_IN_UPSTREAM, NULL,
             "certificates to trust instead of the system's"),
    WEIR_DIR(struct upstream_conf, tls_server_name, STR, "tls_server_name", WEIR_IN_UPSTREAM, NULL,
             "name to ask for and to verify; the server's own name unless set"),
    { .name = "tls_client_certificate", .scopes = WEIR_IN_UPSTREAM, .args = WEIR_TABLE(certificate_args),
      .set = note_certificate,
      .doc = "certificate (with its chain) and key to show to servers that ask clients for one" },
    WEIR_DIR_ENUM(struct upstream_conf, protocol, "protocol", WEIR_IN_UPSTREAM, "http1|h2", "http1",
                  "what is spoken to the servers: HTTP/1.1, or HTTP/2 (over TLS when ALPN chooses it, else in clear "
                  "text and without asking), with many requests on one connection"),
    WEIR_DIR_ENUM(struct upstream_conf, proxy_version, "proxy_protocol", WEIR_IN_UPSTREAM, "off|v1|v2", "off",
                  "each connection begins, before TLS, with a PROXY header that names $client_addr; it is used again "
                  "only for the same client and port"),
};

const struct weir_module upstream_module = {
    .magic = WEIR_ABI_MAGIC,
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,
    .size = sizeof(struct weir_module),
    .name = "upstream",
    .version = "built-in",
    .license = "BSD-2-Clause",
    .summary = "groups of origin servers",
    .conf_size = sizeof(struct upstream_conf),
    .directives = WEIR_TABLE(directives),
};
