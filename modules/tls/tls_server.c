/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_server.c: the server role: from the ClientHello to the site whose certificate, versions and demands hold.
 *
 * Every connection begins on one base context, which also holds what OpenSSL asks of the first context only: the ticket
 * keys and the session lifetime. The ClientHello callback runs before version, cipher, session and certificate are
 * chosen, so the site decides them all (RFC 6066 3, RFC 8446 4.1.2). */
#include "tls.h"

#include <openssl/err.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static SSL_CTX *base;

/* No overlap ends the handshake (RFC 7301 3.2); a client without ALPN never comes here and speaks HTTP/1.1. */
int tls_choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned int n,
                    void *arg)
{
    struct tls_conn *t = SSL_get_app_data(ssl);
    weir_str name = { t->server_name, t->server_name != NULL ? strlen(t->server_name) : 0 };
    weir_str ours = weir_conn_protocols(t->conn, name);
    unsigned char *chosen;
    unsigned char chosen_n;

    (void)arg;
    if (SSL_select_next_proto(&chosen, &chosen_n, (const unsigned char *)ours.p, (unsigned int)ours.n, in, n) !=
        OPENSSL_NPN_NEGOTIATED) {
        t->refusal = "the client offers no application protocol that is spoken here";
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    *out_n = chosen_n;
    return SSL_TLSEXT_ERR_OK;
}

/* A DNS name, brought to lower case; without the dot at its end. Length, or -1. */
static int take_name(const unsigned char *from, size_t n, char to[TLS_NAME])
{
    if (n > 0 && from[n - 1] == '.')
        n--;
    if (n == 0 || n >= TLS_NAME)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (!isalnum(from[i]) && from[i] != '.' && from[i] != '-' && from[i] != '_')
            return -1;
        to[i] = (char)tolower(from[i]);
    }
    to[n] = 0;
    return (int)n;
}

/* The server_name extension (RFC 6066 3): a list with one host_name. 0: none was sent; -1: malformed. */
static int read_server_name(SSL *ssl, char to[TLS_NAME])
{
    const unsigned char *p;
    size_t n, name_n;

    to[0] = 0;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) != 1)
        return 0;
    if (n < 5 || (size_t)(p[0] << 8 | p[1]) != n - 2 || p[2] != TLSEXT_NAMETYPE_host_name)
        return -1;
    name_n = (size_t)(p[3] << 8 | p[4]);
    return name_n == n - 5 ? take_name(p + 5, name_n, to) : -1;
}

static int apply_scope(struct tls_conn *t, const struct tls_scope *scope, const char *name)
{
    SSL *ssl = t->ssl;

    if (SSL_set_SSL_CTX(ssl, scope->ctx) == NULL)
        return -1;
    /* What SSL_new() copied from the base context does not follow by itself. */
    if (SSL_set_session_id_context(ssl, scope->session, sizeof(scope->session)) != 1 ||
        SSL_set_min_proto_version(ssl, scope->lowest) != 1 || SSL_set_max_proto_version(ssl, scope->highest) != 1)
        return -1;
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(scope->ctx), SSL_CTX_get_verify_callback(scope->ctx));
    SSL_set_options(ssl, SSL_CTX_get_options(scope->ctx));
    if (!scope->tickets)
        SSL_set_num_tickets(ssl, 0);
    memcpy(t->policy, scope->policy, sizeof(t->policy));
    return scope->leaf != NULL ? tls_leaf_use(scope->leaf, ssl, name) : 0;
}

static int refuse(struct tls_conn *t, int *alert, int description, const char *why)
{
    t->refusal = why;
    *alert = description;
    return SSL_CLIENT_HELLO_ERROR;
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls_conn *t = SSL_get_app_data(ssl);
    const struct tls_conf *conf;
    char name[TLS_NAME];
    int n = read_server_name(ssl, name);

    (void)arg;
    if (n < 0)
        return refuse(t, alert, SSL_AD_UNRECOGNIZED_NAME, "malformed server name");
    if (n > 0 && t->server_name == NULL)
        t->server_name = strdup(name);
    if (n > 0 && t->server_name == NULL)
        return refuse(t, alert, SSL_AD_INTERNAL_ERROR, "no memory");
    conf = weir_conn_site_conf(t->conn, tls_mod, (weir_str){ name, (size_t)n });
    if (conf == NULL && n == 0)
        return refuse(t, alert, SSL_AD_UNRECOGNIZED_NAME, "client sent no server name and no site is the default");
    if (conf == NULL)
        return refuse(t, alert, SSL_AD_UNRECOGNIZED_NAME, tls_text("unknown server name %s", name));
    if (conf->scope == NULL || conf->scope->ctx == NULL)
        return refuse(t, alert, SSL_AD_UNRECOGNIZED_NAME,
                      tls_text("the site for server name %s has no certificate", n > 0 ? name : "\"\""));
    if (apply_scope(t, conf->scope, name) != 0)
        return refuse(t, alert, SSL_AD_INTERNAL_ERROR, tls_text("certificate cannot be used: %s", tls_reason()));
    return SSL_CLIENT_HELLO_SUCCESS;
}

int tls_server_start(void)
{
    base = tls_ctx_create(TLS_server_method());
    if (base == NULL)
        return -1;
    SSL_CTX_set_client_hello_cb(base, on_client_hello, NULL);
    SSL_CTX_set_num_tickets(base, 1);
    return tls_tickets_use(base);
}

void *tls_accept(weir_conn *conn, int fd)
{
    struct tls_conn *t;

    ERR_clear_error();
    t = tls_conn_create(base, fd);
    if (t == NULL)
        return NULL;
    t->conn = conn;
    SSL_set_accept_state(t->ssl);
    return t;
}
