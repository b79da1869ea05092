/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_scope.c: a scope's directives become its SSL_CTX and its digests, and every mistake in them a message. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdlib.h>
#include <string.h>

/* TLS 1.2: forward secrecy and AEAD only, as current clients have it. AES first, but ChaCha20 for who prefers it. */
static const char default_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char default_suites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";

SSL_CTX *tls_ctx_create(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ctx, 1);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set1_groups_list(ctx, groups) != 1 ||
        SSL_CTX_set_cipher_list(ctx, default_ciphers) != 1 || SSL_CTX_set_ciphersuites(ctx, default_suites) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* -- certificates -------------------------------------------------------------------------------------------------- */

static int no_pass_phrase(char *to, int size, int writing, void *arg)
{
    (void)to, (void)size, (void)writing;
    *(bool *)arg = true;
    return -1;
}

static int read_chain(weir_conf *c, const struct tls_certificate *files, X509 **leaf, STACK_OF(X509) *chain)
{
    const char *path = files->certificate.p;
    weir_str content;
    X509 *certificate;
    BIO *bio;

    if (weir_conf_read_file(c, files->certificate, &content) != 0)
        return -1;
    ERR_clear_error();
    bio = BIO_new_mem_buf(content.p, (int)content.n);
    if (bio == NULL)
        return weir_conf_error_at(c, &files->place, "no memory for certificate %s", path);
    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (*leaf == NULL) {
            *leaf = certificate;
        } else if (sk_X509_push(chain, certificate) <= 0) {
            X509_free(certificate);
            break;
        }
    }
    BIO_free(bio);
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return weir_conf_error_at(c, &files->place, "certificate %s: cannot be read: %s", path, tls_reason());
    ERR_clear_error();
    if (*leaf == NULL)
        return weir_conf_error_at(c, &files->place, "certificate %s: holds none, PEM (BEGIN CERTIFICATE) is expected",
                                  path);
    return 0;
}

static EVP_PKEY *read_key(weir_conf *c, const struct tls_certificate *files)
{
    const char *path = files->key.p;
    bool is_encrypted = false;
    weir_str content;
    EVP_PKEY *key;
    BIO *bio;

    if (weir_conf_read_file(c, files->key, &content) != 0)
        return NULL;
    ERR_clear_error();
    bio = BIO_new_mem_buf(content.p, (int)content.n);
    key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, &is_encrypted) : NULL;
    BIO_free(bio);
    if (key != NULL)
        return key;
    if (is_encrypted)
        weir_conf_error_at(c, &files->place, "key %s: is encrypted; write a plain one with \"openssl pkey -in %s\"",
                           path, path);
    else if (strstr(content.p, "PRIVATE KEY-----") == NULL)
        weir_conf_error_at(c, &files->place, "key %s: holds none, PEM (BEGIN PRIVATE KEY) is expected", path);
    else
        weir_conf_error_at(c, &files->place, "key %s: cannot be read: %s", path, tls_reason());
    ERR_clear_error();
    return NULL;
}

static const char *date_text(const ASN1_TIME *date)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(date, &tm) != 1)
        return "an unreadable date";
    return tls_text("%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

static void warn_of_dates(weir_conf *c, const struct tls_certificate *files, const X509 *leaf)
{
    if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
        weir_conf_warn(c, &files->place, "certificate %s: expired on %s, peers will refuse it; renew it",
                       files->certificate.p, date_text(X509_get0_notAfter(leaf)));
    else if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
        weir_conf_warn(c, &files->place, "certificate %s: is not valid before %s; is the clock right?",
                       files->certificate.p, date_text(X509_get0_notBefore(leaf)));
}

int tls_use_files(weir_conf *c, SSL_CTX *ctx, const struct tls_certificate *files, uint8_t *fingerprint,
                  X509 **leaf_out)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    EVP_PKEY *key = NULL;
    X509 *leaf = NULL;
    int rc = -1;

    if (chain == NULL || read_chain(c, files, &leaf, chain) != 0)
        goto out;
    key = read_key(c, files);
    if (key == NULL)
        goto out;
    if (X509_check_private_key(leaf, key) != 1) {
        weir_conf_error_at(c, &files->place, "key %s: does not belong to certificate %s%s", files->key.p,
                           files->certificate.p,
                           sk_X509_num(chain) > 0 ? "; the file's first certificate must be the site's own" : "");
        goto out;
    }
    warn_of_dates(c, files, leaf);
    if (SSL_CTX_use_cert_and_key(ctx, leaf, key, chain, 1) != 1) {
        weir_conf_error_at(c, &files->place, "certificate %s: cannot be used: %s", files->certificate.p, tls_reason());
        goto out;
    }
    if (fingerprint != NULL && X509_digest(leaf, EVP_sha256(), fingerprint, NULL) != 1)
        goto out;
    if (leaf_out != NULL)
        *leaf_out = SSL_CTX_get0_certificate(ctx);
    rc = 0;
out:
    ERR_clear_error();
    EVP_PKEY_free(key);
    X509_free(leaf);
    sk_X509_pop_free(chain, X509_free);
    return rc;
}

static bool covers(X509 *leaf, weir_str name)
{
    char sample[TLS_NAME + 8];

    if (name.n == 0 || name.n >= TLS_NAME)
        return false;
    if (name.n > 2 && name.p[0] == '*') /* a wildcard covers any one label: ask for one */
        snprintf(sample, sizeof(sample), "any%.*s", (int)name.n - 1, name.p + 1);
    else
        snprintf(sample, sizeof(sample), "%.*s", (int)name.n, name.p);
    return X509_check_host(leaf, sample, 0, 0, NULL) == 1 || X509_check_ip_asc(leaf, sample, 0) == 1;
}

static void warn_of_names(weir_conf *c, const struct tls_certificate *files, X509 *leaf)
{
    weir_table names = weir_conf_site_names(c);
    const weir_str *first = names.base;

    for (uint32_t i = 0; i < names.count; i++) {
        const weir_str *name = (const void *)((const char *)names.base + (size_t)i * names.stride);
        if ((name->n == 1 && name->p[0] == '_') || covers(leaf, *name))
            return;
    }
    if (names.count > 0)
        weir_conf_warn(c, &files->place,
                       "certificate %s: is for none of the site's names (%.*s%s); clients will refuse it",
                       files->certificate.p, (int)first->n, first->p, names.count > 1 ? ", ..." : "");
}

/* -- digests ------------------------------------------------------------------------------------------------------- */

static void add_part(EVP_MD_CTX *digest, const void *p, size_t n)
{
    uint64_t size = n;

    EVP_DigestUpdate(digest, &size, sizeof(size));
    EVP_DigestUpdate(digest, p, n);
}

static EVP_MD_CTX *digest_start(void)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();

    if (digest != NULL && EVP_DigestInit_ex2(digest, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(digest);
        return NULL;
    }
    return digest;
}

static int set_policy(weir_conf *c, const struct tls_conf *conf, struct tls_scope *scope)
{
    EVP_MD_CTX *digest = digest_start();

    if (digest == NULL)
        return weir_conf_error(c, "no memory for TLS settings");
    add_part(digest, &conf->verify, sizeof(conf->verify));
    if (conf->verify != TLS_VERIFY_OFF && scope->trust != NULL)
        add_part(digest, scope->trust->digest, sizeof(scope->trust->digest));
    add_part(digest, &scope->lowest, sizeof(scope->lowest));
    add_part(digest, &scope->highest, sizeof(scope->highest));
    EVP_DigestFinal_ex(digest, scope->policy, NULL);
    EVP_MD_CTX_free(digest);
    return 0;
}

/* -- the parts of a context ---------------------------------------------------------------------------------------- */

static void set_versions(const struct tls_conf *conf, struct tls_scope *scope)
{
    uint32_t said = 0;

    for (uint32_t i = 0; i < conf->protocols.count; i++) {
        const char *at = (const char *)conf->protocols.base + (size_t)i * conf->protocols.stride;
        said |= 1u << *(const uint32_t *)(const void *)at;
    }
    scope->lowest = said == 1u << TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    scope->highest = said == 1u << TLS_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
}

static bool knows_suite(SSL_CTX *scratch, const char *name)
{
    STACK_OF(SSL_CIPHER) *all;

    if (SSL_CTX_set_ciphersuites(scratch, name) != 1)
        return false;
    all = SSL_CTX_get_ciphers(scratch);
    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        if (strcmp(SSL_CIPHER_standard_name(sk_SSL_CIPHER_value(all, i)), name) == 0)
            return true;
    }
    return false;
}

/* One word of tls_ciphers, appended to the list of its version. OpenSSL itself passes over names it does not know. */
static int add_cipher(weir_conf *c, const struct tls_conf *conf, SSL_CTX *scratch, const char *word, char *ciphers,
                      char *suites)
{
    bool is_suite = strncmp(word, "TLS_", 4) == 0;
    char *list = is_suite ? suites : ciphers;

    if (is_suite ? !knows_suite(scratch, word)
                 : strchr("!+-@", word[0]) == NULL && SSL_CTX_set_cipher_list(scratch, word) != 1) {
        ERR_clear_error();
        return weir_conf_error_at(c, &conf->ciphers_at,
                                  "cipher \"%s\" is not known; \"openssl ciphers -v\" lists names", word);
    }
    if (list[0] != 0)
        strcat(list, ":");
    strcat(list, word); /* as long as the directive's text at most */
    return 0;
}

static int split_ciphers(weir_conf *c, const struct tls_conf *conf, char *text, char *ciphers, char *suites)
{
    SSL_CTX *scratch = tls_ctx_create(TLS_server_method());
    char *rest = NULL, *word;
    int rc = scratch != NULL ? 0 : -1;

    while (scratch != NULL && (word = strtok_r(text, ":, ", &rest)) != NULL) {
        rc |= add_cipher(c, conf, scratch, word, ciphers, suites);
        text = NULL;
    }
    SSL_CTX_free(scratch);
    return rc;
}

static int set_ciphers(weir_conf *c, const struct tls_conf *conf, SSL_CTX *ctx)
{
    size_t room = conf->ciphers.n + 1;
    char *text, *ciphers, *suites;
    int rc = -1;

    if (conf->ciphers.n == 0)
        return 0;
    text = calloc(3, room);
    if (text == NULL)
        return weir_conf_error_at(c, &conf->ciphers_at, "no memory for ciphers");
    ciphers = text + room;
    suites = ciphers + room;
    memcpy(text, conf->ciphers.p, conf->ciphers.n);
    if (split_ciphers(c, conf, text, ciphers, suites) != 0)
        goto out;
    if ((ciphers[0] != 0 && SSL_CTX_set_cipher_list(ctx, ciphers) != 1) ||
        (suites[0] != 0 && SSL_CTX_set_ciphersuites(ctx, suites) != 1)) {
        weir_conf_error_at(c, &conf->ciphers_at, "ciphers: %s", tls_reason());
        goto out;
    }
    rc = 0;
out:
    free(text);
    return rc;
}

/* With `optional` a bad certificate does not end the handshake: $tls_client_verify tells it. */
static int accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok, (void)store;
    return 1;
}

static int set_verify(weir_conf *c, const struct tls_conf *conf, const struct tls_scope *scope, SSL_CTX *ctx)
{
    STACK_OF(X509_NAME) *names;

    if (conf->verify == TLS_VERIFY_OFF)
        return 0;
    names = SSL_dup_CA_list(scope->trust->names);
    if (names == NULL)
        return weir_conf_error_at(c, &conf->verify_at, "no memory for CA names");
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set1_cert_store(ctx, scope->trust->store);
    if (conf->verify == TLS_VERIFY_ON)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    else
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
    return 0;
}

/* -- the scope's certificates -------------------------------------------------------------------------------------- */

static const struct tls_certificate *certificate_at(const struct tls_conf *conf, uint32_t i)
{
    return (const void *)((const char *)conf->certificates.base + (size_t)i * conf->certificates.stride);
}

static bool is_internal(weir_str path)
{
    static const char word[] = "/internal"; /* the word, taken for a relative path */
    size_t n = sizeof(word) - 1;

    return path.n >= n && memcmp(path.p + path.n - n, word, n) == 0;
}

static int use_internal(weir_conf *c, const struct tls_conf *conf, const struct tls_certificate *which,
                        struct tls_scope *scope, EVP_MD_CTX *digest)
{
    weir_table names = weir_conf_site_names(c);

    if (!is_internal(which->certificate))
        return weir_conf_error_at(c, &which->place, "tls_certificate needs the key too: tls_certificate CERT KEY; (or "
                                                    "tls_certificate internal;)");
    if (conf->certificates.count > 1)
        return weir_conf_error_at(c, &which->place,
                                  "tls_certificate internal stands alone in its scope; remove the others");
    scope->leaf = tls_leaf_create(c, &which->place, names);
    if (scope->leaf == NULL)
        return -1;
    add_part(digest, tls_leaf_authority(scope->leaf), TLS_DIGEST);
    for (uint32_t i = 0; i < names.count; i++) {
        const weir_str *name = (const void *)((const char *)names.base + (size_t)i * names.stride);
        add_part(digest, name->p, name->n);
    }
    return 0;
}

static int use_certificates(weir_conf *c, const struct tls_conf *conf, struct tls_scope *scope, EVP_MD_CTX *digest)
{
    int kinds[4] = { 0 }, rc = 0;

    for (uint32_t i = 0; i < conf->certificates.count; i++) {
        const struct tls_certificate *which = certificate_at(conf, i);
        uint8_t fingerprint[TLS_DIGEST];
        X509 *leaf = NULL;
        int kind;
        if (which->key.n == 0) {
            rc |= use_internal(c, conf, which, scope, digest);
            continue;
        }
        if (tls_use_files(c, scope->ctx, which, fingerprint, &leaf) != 0) {
            rc = -1;
            continue;
        }
        add_part(digest, fingerprint, sizeof(fingerprint));
        warn_of_names(c, which, leaf);
        kind = EVP_PKEY_get_base_id(X509_get0_pubkey(leaf));
        for (uint32_t k = 0; k < 4; k++) {
            if (kinds[k] == kind)
                rc = weir_conf_error_at(c, &which->place, "certificate %s: a second one with a key of kind %s in this "
                                        "scope; one RSA and one ECDSA can stand together", which->certificate.p,
                                        OBJ_nid2sn(kind));
            if (kinds[k] == kind || kinds[k] == 0) {
                kinds[k] = kind;
                break;
            }
        }
    }
    return rc;
}

static int fill_ctx(weir_conf *c, const struct tls_conf *conf, struct tls_scope *scope)
{
    EVP_MD_CTX *digest = digest_start();
    int rc = -1;

    scope->ctx = tls_ctx_create(TLS_server_method());
    if (scope->ctx == NULL || digest == NULL) {
        weir_conf_error(c, "TLS context: %s", tls_reason());
        goto out;
    }
    /* A session made under other demands, ciphers or certificates is a stranger's. */
    add_part(digest, scope->policy, sizeof(scope->policy));
    add_part(digest, conf->ciphers.p, conf->ciphers.n);
    rc = use_certificates(c, conf, scope, digest);
    rc |= set_ciphers(c, conf, scope->ctx);
    rc |= set_verify(c, conf, scope, scope->ctx);
    SSL_CTX_set_min_proto_version(scope->ctx, scope->lowest);
    SSL_CTX_set_max_proto_version(scope->ctx, scope->highest);
    SSL_CTX_set_alpn_select_cb(scope->ctx, tls_choose_alpn, NULL);
    if (!scope->tickets)
        SSL_CTX_set_options(scope->ctx, SSL_OP_NO_TICKET);
    EVP_DigestFinal_ex(digest, scope->session, NULL);
out:
    EVP_MD_CTX_free(digest);
    ERR_clear_error();
    return rc;
}

struct tls_scope *tls_scope_create(weir_conf *c, const struct tls_conf *conf)
{
    struct tls_scope *scope = calloc(1, sizeof(*scope));
    int rc = 0;

    if (scope == NULL) {
        weir_conf_error(c, "no memory for TLS settings");
        return NULL;
    }
    scope->tickets = conf->tickets;
    set_versions(conf, scope);
    if (conf->verify != TLS_VERIFY_OFF && conf->client_ca.n == 0)
        rc = weir_conf_error_at(c, &conf->verify_at, "tls_verify_client needs to know whose certificates are valid: "
                                                     "tls_client_ca FILE;");
    if (conf->client_ca.n > 0 && (scope->trust = tls_trust_get(c, &conf->client_ca_at, conf->client_ca)) == NULL)
        rc = -1;
    if (rc == 0)
        rc = set_policy(c, conf, scope);
    if (rc == 0 && conf->certificates.count > 0)
        rc = fill_ctx(c, conf, scope);
    if (rc == 0)
        return scope;
    tls_scope_destroy(scope);
    return NULL;
}

void tls_scope_destroy(struct tls_scope *scope)
{
    if (scope == NULL)
        return;
    SSL_CTX_free(scope->ctx);
    tls_leaf_destroy(scope->leaf);
    tls_trust_release(scope->trust);
    free(scope);
}
