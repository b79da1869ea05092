/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_client.c: the client role: what an upstream wants of its origin, prepared once, opened for each connection. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct tls_origin {
    atomic_uint users; /* the snapshot and each connection */
    SSL_CTX *ctx;
    struct tls_trust *trust;
    char *name; /* "" : none */
    bool is_address;
    pthread_mutex_t lock;
    SSL_SESSION *session; /* the last one, under lock; a copy no connection writes to */
};

const char *tls_origin_name(const struct tls_origin *origin)
{
    return origin->name[0] != 0 ? origin->name : "the origin";
}

static void origin_destroy(struct tls_origin *origin)
{
    SSL_SESSION_free(origin->session);
    SSL_CTX_free(origin->ctx);
    tls_trust_release(origin->trust);
    pthread_mutex_destroy(&origin->lock);
    free(origin->name);
    free(origin);
}

void tls_release(void *prepared)
{
    struct tls_origin *origin = prepared;

    if (origin != NULL && atomic_fetch_sub(&origin->users, 1) == 1)
        origin_destroy(origin);
}

/* Sessions come with the handshake (TLS 1.2) or later with a ticket (1.3). */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_conn *t = SSL_get_app_data(ssl);
    SSL_SESSION *copy = SSL_SESSION_is_resumable(session) ? SSL_SESSION_dup(session) : NULL, *old;

    if (copy == NULL)
        return 0;
    pthread_mutex_lock(&t->origin->lock);
    old = t->origin->session;
    t->origin->session = copy;
    pthread_mutex_unlock(&t->origin->lock);
    SSL_SESSION_free(old);
    return 0; /* the caller keeps its reference */
}

static int set_trust(weir_conf *c, const struct weir_transport_wish *wish, struct tls_origin *origin)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(origin->ctx);

    if (!wish->verify)
        return 0;
    origin->trust = tls_trust_get(c, NULL, wish->ca_file);
    if (origin->trust == NULL)
        return -1;
    SSL_CTX_set1_cert_store(origin->ctx, origin->trust->store);
    SSL_CTX_set_verify(origin->ctx, SSL_VERIFY_PEER, NULL);
    if (wish->ca_file.n > 0) /* the operator's own choice: it may hold the very certificate, or an intermediate CA */
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (origin->name[0] == 0)
        return 0;
    if (origin->is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, origin->name) != 1
                           : X509_VERIFY_PARAM_set1_host(param, origin->name, 0) != 1)
        return weir_conf_error(c, "server name %s: %s", origin->name, tls_reason());
    return 0;
}

/* "h2,http/1.1" in the form of RFC 7301 3.1. */
static int set_alpn(weir_conf *c, weir_str list, SSL_CTX *ctx)
{
    unsigned char wire[256];
    size_t at = 0; /* of the length of the name being copied */

    if (list.n == 0)
        return 0;
    if (list.n >= sizeof(wire))
        return weir_conf_error(c, "the list of application protocols is too long");
    wire[0] = 0;
    for (size_t i = 0; i < list.n; i++) {
        if (list.p[i] == ',') {
            at = i + 1;
            wire[at] = 0;
        } else {
            wire[i + 1] = (unsigned char)list.p[i];
            wire[at]++;
        }
    }
    if (SSL_CTX_set_alpn_protos(ctx, wire, (unsigned int)list.n + 1) != 0)
        return weir_conf_error(c, "application protocols %.*s: %s", (int)list.n, list.p, tls_reason());
    return 0;
}

/* A wish need not have a NUL behind its paths. */
static weir_str terminated(weir_conf *c, weir_str path)
{
    char *copy = weir_conf_alloc(c, path.n + 1);

    if (copy == NULL)
        weir_conf_error(c, "no memory for a path");
    else
        memcpy(copy, path.p, path.n);
    return (weir_str){ copy, path.n };
}

static int set_certificate(weir_conf *c, const struct weir_transport_wish *wish, SSL_CTX *ctx)
{
    struct tls_certificate files = { 0 };

    if (wish->certificate.n == 0 && wish->key.n == 0)
        return 0;
    if (wish->certificate.n == 0 || wish->key.n == 0)
        return weir_conf_error(c, "a certificate to show to the server needs both files, certificate and key");
    files.certificate = terminated(c, wish->certificate);
    files.key = terminated(c, wish->key);
    if (files.certificate.p == NULL || files.key.p == NULL)
        return -1;
    return tls_use_files(c, ctx, &files, NULL, NULL);
}

static bool is_address(const char *name)
{
    uint8_t address[16];

    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static char *bare_name(weir_str name)
{
    if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
        return strndup(name.p + 1, name.n - 2);
    return strndup(name.n > 0 ? name.p : "", name.n);
}

void *tls_prepare(weir_conf *c, const struct weir_transport_wish *wish)
{
    struct tls_origin *origin = calloc(1, sizeof(*origin));

    ERR_clear_error();
    if (origin == NULL) {
        weir_conf_error(c, "no memory for TLS to the origin");
        return NULL;
    }
    origin->users = 1;
    pthread_mutex_init(&origin->lock, NULL);
    origin->name = bare_name(wish->server_name);
    origin->ctx = tls_ctx_create(TLS_client_method());
    if (origin->name == NULL || origin->ctx == NULL) {
        weir_conf_error(c, "TLS context for the origin: %s", tls_reason());
        tls_release(origin);
        return NULL;
    }
    origin->is_address = is_address(origin->name);
    SSL_CTX_set_session_cache_mode(origin->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(origin->ctx, on_session);
    if (set_trust(c, wish, origin) != 0 || set_alpn(c, wish->alpn, origin->ctx) != 0 ||
        set_certificate(c, wish, origin->ctx) != 0) {
        tls_release(origin);
        return NULL;
    }
    return origin;
}

static void offer_session(struct tls_origin *origin, SSL *ssl)
{
    SSL_SESSION *session = NULL;

    pthread_mutex_lock(&origin->lock);
    if (origin->session != NULL)
        session = SSL_SESSION_dup(origin->session);
    pthread_mutex_unlock(&origin->lock);
    if (session != NULL)
        SSL_set_session(ssl, session);
    SSL_SESSION_free(session);
}

void *tls_open(void *prepared, int fd)
{
    struct tls_origin *origin = prepared;
    struct tls_conn *t;

    ERR_clear_error();
    t = tls_conn_create(origin->ctx, fd);
    if (t == NULL)
        return NULL;
    if (origin->name[0] != 0 && !origin->is_address && SSL_set_tlsext_host_name(t->ssl, origin->name) != 1) {
        tls_conn_destroy(t);
        return NULL;
    }
    offer_session(origin, t->ssl);
    atomic_fetch_add(&origin->users, 1);
    t->origin = origin;
    SSL_set_connect_state(t->ssl);
    return t;
}
