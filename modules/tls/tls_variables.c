/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_variables.c: $tls_...: what the handshake with the client agreed on, and who the client is.
 *
 * What a client certificate says is shown only when the certificate was verified: with `optional` anybody may present
 * anything, and a subject that ends in a header must never be an unproven one. */
#include "tls.h"

#include <openssl/bn.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <string.h>

static SSL *ssl_of(weir_req *r)
{
    weir_conn *conn = weir_req_conn(r);
    const struct tls_conn *t = conn != NULL ? weir_conn_transport(conn, &tls_transport) : NULL;

    return t != NULL && t->is_done ? t->ssl : NULL;
}

static X509 *verified_certificate(weir_req *r)
{
    SSL *ssl = ssl_of(r);

    if (ssl == NULL || SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE || SSL_get_verify_result(ssl) != X509_V_OK)
        return NULL;
    return SSL_get0_peer_certificate(ssl);
}

static int give(weir_str *value, const char *text)
{
    if (text == NULL)
        return -1;
    *value = (weir_str){ text, strlen(text) };
    return 0;
}

static int give_copy(weir_req *r, weir_str *value, const char *from, size_t n)
{
    char *to = weir_alloc(r, n + 1);

    if (to == NULL)
        return -1;
    memcpy(to, from, n);
    *value = (weir_str){ to, n };
    return 0;
}

static int give_hex(weir_req *r, weir_str *value, const uint8_t *from, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *to = weir_alloc(r, 2 * n + 1);

    if (to == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = digits[from[i] >> 4];
        to[2 * i + 1] = digits[from[i] & 15];
    }
    *value = (weir_str){ to, 2 * n };
    return 0;
}

static int give_name(weir_req *r, weir_str *value, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    int rc = -1;

    if (bio == NULL)
        return -1;
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        long n = BIO_get_mem_data(bio, &text);
        rc = n >= 0 ? give_copy(r, value, n > 0 ? text : "", (size_t)n) : -1;
    }
    BIO_free(bio);
    return rc;
}

static int get_protocol(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    SSL *ssl = ssl_of(r);

    (void)conf, (void)ctx, (void)rest;
    return ssl != NULL ? give(value, SSL_get_version(ssl)) : -1;
}

static int get_cipher(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    SSL *ssl = ssl_of(r);

    (void)conf, (void)ctx, (void)rest;
    return ssl != NULL ? give(value, SSL_get_cipher_name(ssl)) : -1;
}

static int get_server_name(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    weir_conn *conn = weir_req_conn(r);
    const struct tls_conn *t = conn != NULL ? weir_conn_transport(conn, &tls_transport) : NULL;

    (void)conf, (void)ctx, (void)rest;
    return t != NULL && t->server_name != NULL ? give_copy(r, value, t->server_name, strlen(t->server_name)) : -1;
}

static int get_resumed(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    SSL *ssl = ssl_of(r);

    (void)conf, (void)ctx, (void)rest;
    return ssl != NULL ? give(value, SSL_session_reused(ssl) ? "1" : "0") : -1;
}

static int get_client_subject(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    X509 *certificate = verified_certificate(r);

    (void)conf, (void)ctx, (void)rest;
    return certificate != NULL ? give_name(r, value, X509_get_subject_name(certificate)) : -1;
}

static int get_client_issuer(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    X509 *certificate = verified_certificate(r);

    (void)conf, (void)ctx, (void)rest;
    return certificate != NULL ? give_name(r, value, X509_get_issuer_name(certificate)) : -1;
}

/* Commas, backslashes and bytes that are no text are escaped: a name never looks like two. */
static bool write_escaped(BIO *bio, const unsigned char *from, size_t n)
{
    bool fine = true;

    for (size_t i = 0; fine && i < n; i++) {
        if (from[i] == ',' || from[i] == '\\')
            fine = BIO_printf(bio, "\\%c", from[i]) > 0;
        else if (from[i] <= ' ' || from[i] >= 0x7f)
            fine = BIO_printf(bio, "\\%02X", from[i]) > 0;
        else
            fine = BIO_write(bio, from + i, 1) == 1;
    }
    return fine;
}

static bool write_address(BIO *bio, const ASN1_OCTET_STRING *address)
{
    char text[INET6_ADDRSTRLEN];
    int n = ASN1_STRING_length(address);

    if ((n != 4 && n != 16) ||
        !inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address), text, sizeof(text)))
        return true;
    return BIO_printf(bio, "IP:%s,", text) > 0;
}

/* Each with a comma behind it; names of other types are left out. */
static bool write_alternative(BIO *bio, const GENERAL_NAME *name)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    const char *before = type == GEN_DNS ? "DNS:" : type == GEN_EMAIL ? "email:" : type == GEN_URI ? "URI:" : NULL;

    if (type == GEN_IPADD)
        return write_address(bio, value);
    if (before == NULL)
        return true;
    return BIO_puts(bio, before) > 0 &&
           write_escaped(bio, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)) &&
           BIO_puts(bio, ",") > 0;
}

static int give_alternatives(weir_req *r, weir_str *value, const GENERAL_NAMES *names)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool fine = bio != NULL;
    char *text;
    long n;
    int rc = -1;

    for (int i = 0; fine && i < sk_GENERAL_NAME_num(names); i++)
        fine = write_alternative(bio, sk_GENERAL_NAME_value(names, i));
    if (fine && (n = BIO_get_mem_data(bio, &text)) > 1)
        rc = give_copy(r, value, text, (size_t)n - 1);
    BIO_free(bio);
    return rc;
}

static int get_client_san(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    X509 *certificate = verified_certificate(r);
    GENERAL_NAMES *names;
    int rc;

    (void)conf, (void)ctx, (void)rest;
    names = certificate != NULL ? X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL) : NULL;
    rc = names != NULL ? give_alternatives(r, value, names) : -1;
    GENERAL_NAMES_free(names);
    return rc;
}

static int get_client_serial(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    X509 *certificate = verified_certificate(r);
    const ASN1_INTEGER *serial;

    (void)conf, (void)ctx, (void)rest;
    if (certificate == NULL)
        return -1;
    serial = X509_get0_serialNumber(certificate);
    return give_hex(r, value, ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
}

static int get_client_fingerprint(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    X509 *certificate = verified_certificate(r);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    (void)conf, (void)ctx, (void)rest;
    if (certificate == NULL || X509_digest(certificate, EVP_sha256(), digest, &n) != 1)
        return -1;
    return give_hex(r, value, digest, n);
}

static int get_client_verify(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    SSL *ssl = ssl_of(r);
    long result;

    (void)conf, (void)ctx, (void)rest;
    if (ssl == NULL)
        return -1;
    if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE || SSL_get0_peer_certificate(ssl) == NULL)
        return give(value, "NONE");
    result = SSL_get_verify_result(ssl);
    if (result == X509_V_OK)
        return give(value, "SUCCESS");
    *value = weir_printf(r, "FAILED:%s", X509_verify_cert_error_string(result));
    return value->p != NULL ? 0 : -1;
}

const struct weir_variable tls_variables[TLS_VARIABLES] = {
    { .name = "tls_protocol", .doc = "version of the client's TLS connection: TLSv1.2, TLSv1.3", .get = get_protocol },
    { .name = "tls_cipher", .doc = "cipher suite of the client's TLS connection", .get = get_cipher },
    { .name = "tls_server_name", .doc = "server name the client asked for in its handshake", .get = get_server_name },
    { .name = "tls_resumed", .doc = "1 when the handshake resumed a session, else 0", .get = get_resumed },
    { .name = "tls_client_subject", .doc = "subject of the verified client certificate (RFC 2253)",
      .get = get_client_subject },
    { .name = "tls_client_issuer", .doc = "issuer of the verified client certificate (RFC 2253)",
      .get = get_client_issuer },
    { .name = "tls_client_san", .doc = "names in the verified client certificate: DNS:a,IP:::1,URI:u,email:m",
      .get = get_client_san },
    { .name = "tls_client_serial", .doc = "serial number of the verified client certificate, hexadecimal",
      .get = get_client_serial },
    { .name = "tls_client_fingerprint", .doc = "SHA-256 of the verified client certificate, hexadecimal",
      .get = get_client_fingerprint },
    { .name = "tls_client_verify", .doc = "NONE, SUCCESS or FAILED:reason", .get = get_client_verify },
};
