/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls.h"

#include <string.h>

weir_mod *tls_mod;

#define PLACE_ARG(Field) \
    { .name = "PLACE", .type = WEIR_TYPE_PLACE, .offset = WEIR_FIELD(struct tls_conf, Field, WEIR_C_PLACE) }
#define SCOPES (WEIR_IN_TOP | WEIR_IN_SITE)

static const struct weir_arg certificate_args[] = {
    { .name = "CERT", .type = WEIR_TYPE_PATH, .offset = WEIR_FIELD(struct tls_certificate, certificate, WEIR_C_PATH) },
    { .name = "KEY", .type = WEIR_TYPE_PATH, .flags = WEIR_ARG_OPTIONAL,
      .offset = WEIR_FIELD(struct tls_certificate, key, WEIR_C_PATH) },
    { .name = "PLACE", .type = WEIR_TYPE_PLACE, .offset = WEIR_FIELD(struct tls_certificate, place, WEIR_C_PLACE) },
};
static const struct weir_arg protocols_args[] = {
    { .name = "VERSION", .type = WEIR_TYPE_ENUM, .flags = WEIR_ARG_REST, .choices = "1.2|1.3",
      .offset = WEIR_FIELD(struct tls_conf, protocols, weir_table) },
    PLACE_ARG(protocols_at),
};
static const struct weir_arg ciphers_args[] = {
    { .name = "LIST", .type = WEIR_TYPE_STR, .offset = WEIR_FIELD(struct tls_conf, ciphers, WEIR_C_STR) },
    PLACE_ARG(ciphers_at),
};
static const struct weir_arg client_ca_args[] = {
    { .name = "FILE", .type = WEIR_TYPE_PATH, .offset = WEIR_FIELD(struct tls_conf, client_ca, WEIR_C_PATH) },
    PLACE_ARG(client_ca_at),
};
static const struct weir_arg verify_args[] = {
    { .name = "MODE", .type = WEIR_TYPE_ENUM, .choices = "off|on|optional", .fallback = "off",
      .offset = WEIR_FIELD(struct tls_conf, verify, WEIR_C_ENUM) },
    PLACE_ARG(verify_at),
};

static const struct weir_directive directives[] = {
    { .name = "tls_certificate", .scopes = SCOPES, .merge = WEIR_MERGE_REPLACE, .args = WEIR_TABLE(certificate_args),
      .record_size = sizeof(struct tls_certificate), .offset = offsetof(struct tls_conf, certificates),
      .doc = "certificate with chain and its key, PEM files, once per kind of key; or `internal`: of weir's local CA" },
    { .name = "tls_protocols", .scopes = SCOPES, .args = WEIR_TABLE(protocols_args),
      .doc = "versions of TLS that clients may use; both when not said" },
    { .name = "tls_ciphers", .scopes = SCOPES, .args = WEIR_TABLE(ciphers_args),
      .doc = "names in OpenSSL's spelling, joined by ':'; TLS_... ones are for TLS 1.3, the others for TLS 1.2" },
    { .name = "tls_client_ca", .scopes = SCOPES, .args = WEIR_TABLE(client_ca_args),
      .doc = "PEM file with the CA certificates that client certificates are checked against" },
    { .name = "tls_verify_client", .scopes = SCOPES, .args = WEIR_TABLE(verify_args),
      .doc = "on: no connection without a valid client certificate; optional: asked for, $tls_client_verify tells" },
    WEIR_DIR(struct tls_conf, tickets, FLAG, "tls_tickets", SCOPES, "on",
             "let clients resume a session without a full handshake"),
};

/* A site's demands on the client were met for the server name; another site's content may not be had with them. */
static weir_verdict check_policy(weir_req *r, const void *cf, void *ctx)
{
    const struct tls_conf *conf = cf;
    weir_conn *conn = weir_req_conn(r);
    const struct tls_conn *t = conn != NULL ? weir_conn_transport(conn, &tls_transport) : NULL;

    (void)ctx;
    if (t == NULL || conf == NULL || conf->scope == NULL)
        return WEIR_NEXT;
    if (memcmp(t->policy, conf->scope->policy, TLS_DIGEST) == 0)
        return WEIR_NEXT;
    if (weir_part(r, WEIR_PART_SITE).n == 0)
        return WEIR_NEXT; /* no site, nothing to guard: the core's 404 */
    return weir_refuse(r, 421, "the host has another TLS policy than the server name of the handshake");
}

const struct weir_transport tls_transport = {
    .size = sizeof(struct weir_transport),
    .name = "tls",
    .accept = tls_accept,
    .prepare = tls_prepare,
    .release = tls_release,
    .open = tls_open,
    .handshake = tls_handshake,
    .readv = tls_readv,
    .writev = tls_writev,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .pending = tls_pending,
    .alpn = tls_alpn,
    .why = tls_why,
};

static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_TRANSPORT, .transport = &tls_transport },
    { .stage = WEIR_AT_GUARD, .slot = WEIR_EARLY, .flags = WEIR_DRY_OK, .name = "tls-policy", .provides = "tls-policy",
      .req = check_policy },
};

static const struct weir_metric metrics[] = {
    [TLS_HANDSHAKES] = { .name = "handshakes_total", .doc = "TLS handshakes with clients that were completed",
                         .kind = WEIR_COUNTER },
    [TLS_HANDSHAKES_FAILED] = { .name = "handshakes_failed_total",
                                .doc = "TLS handshakes with clients that failed or were given up",
                                .kind = WEIR_COUNTER },
    [TLS_RESUMED] = { .name = "resumed_total", .doc = "completed TLS handshakes that resumed a session",
                      .kind = WEIR_COUNTER },
};

static int load(weir_mod *mod)
{
    tls_mod = mod;
    if (tls_io_start() != 0 || tls_tickets_start() != 0 || tls_server_start() != 0)
        return weir_mod_error(mod, "OpenSSL cannot be used: %s", tls_reason());
    return 0;
}

static int check(weir_conf *c, void *to)
{
    struct tls_conf *conf = to;

    conf->scope = NULL; /* the outer scope's, copied */
    conf->scope = tls_scope_create(c, conf);
    if (conf->scope == NULL)
        return WEIR_CONF_ERROR;
    if (conf->scope->ctx != NULL)
        weir_conf_offer_tls(c);
    return WEIR_CONF_OK;
}

static void drop(void *to)
{
    struct tls_conf *conf = to;

    tls_scope_destroy(conf->scope);
    conf->scope = NULL;
}

WEIR_MODULE(tls, .version = "0.1.0", .license = "BSD-2-Clause", .summary = "TLS for clients and origins",
            .conf_size = sizeof(struct tls_conf), .directives = WEIR_TABLE(directives), .hooks = WEIR_TABLE(hooks),
            .variables = { tls_variables, TLS_VARIABLES, sizeof(struct weir_variable) },
            .metrics = WEIR_TABLE(metrics), .load = load, .check = check, .drop = drop);
