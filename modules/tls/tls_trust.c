/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_trust.c: sets of CA certificates, each file parsed once and shared by all who name it.
 *
 * A bundle of the system's size takes milliseconds to parse; ten thousand scopes may name the same one. Sets in use are
 * kept by path and by what stat() says of the file, so that a file changed on disk is a new set for the next bind while
 * older snapshots keep the old one. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tls_trust *all;

static void look(const char *path, uint64_t seen[4])
{
    struct stat st;

    memset(seen, 0, 4 * sizeof(seen[0]));
    if (stat(path, &st) != 0)
        return;
    seen[0] = (uint64_t)st.st_dev << 32 ^ (uint64_t)st.st_ino;
    seen[1] = (uint64_t)st.st_size;
    seen[2] = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
    seen[3] = (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec;
}

static void free_trust(struct tls_trust *trust)
{
    X509_STORE_free(trust->store);
    sk_X509_NAME_pop_free(trust->names, X509_NAME_free);
    free(trust->path);
    free(trust);
}

static bool add_certificate(struct tls_trust *trust, X509 *certificate)
{
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));

    if (name == NULL || sk_X509_NAME_push(trust->names, name) <= 0) {
        X509_NAME_free(name);
        return false;
    }
    return X509_STORE_add_cert(trust->store, certificate) == 1;
}

static int read_certificates(weir_conf *c, const struct weir_place *at, struct tls_trust *trust, weir_str content)
{
    BIO *bio = BIO_new_mem_buf(content.p, (int)content.n);
    X509 *certificate;
    bool ok = bio != NULL;

    while (ok && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        ok = add_certificate(trust, certificate);
        X509_free(certificate);
    }
    BIO_free(bio);
    if (!ok)
        return weir_conf_error_at(c, at, "CA file %s: %s", trust->path, tls_reason());
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return weir_conf_error_at(c, at, "CA file %s: certificate %d cannot be read: %s", trust->path,
                                  sk_X509_NAME_num(trust->names) + 1, tls_reason());
    ERR_clear_error();
    if (sk_X509_NAME_num(trust->names) == 0)
        return weir_conf_error_at(c, at, "CA file %s: holds no certificate, PEM (BEGIN CERTIFICATE) is expected",
                                  trust->path);
    return 0;
}

static int fill(weir_conf *c, const struct weir_place *at, struct tls_trust *trust)
{
    weir_str content;

    ERR_clear_error();
    if (trust->path[0] == 0) {
        if (X509_STORE_set_default_paths(trust->store) != 1)
            return weir_conf_error_at(c, at, "the system's CA certificates: %s", tls_reason());
        ERR_clear_error(); /* a bundle that is missing beside a directory that is there */
        return 0;
    }
    if (weir_conf_read_file(c, (weir_str){ trust->path, strlen(trust->path) }, &content) != 0)
        return -1;
    if (EVP_Digest(content.p, content.n, trust->digest, NULL, EVP_sha256(), NULL) != 1)
        return weir_conf_error_at(c, at, "CA file %s: %s", trust->path, tls_reason());
    return read_certificates(c, at, trust, content);
}

static struct tls_trust *create(weir_conf *c, const struct weir_place *at, const char *path, const uint64_t seen[8])
{
    struct tls_trust *trust = calloc(1, sizeof(*trust));

    if (trust == NULL)
        return NULL;
    trust->users = 1;
    trust->path = strdup(path);
    trust->store = X509_STORE_new();
    trust->names = sk_X509_NAME_new_null();
    memcpy(trust->seen, seen, sizeof(trust->seen));
    if (trust->path == NULL || trust->store == NULL || trust->names == NULL) {
        weir_conf_error_at(c, at, "no memory for CA certificates");
    } else if (fill(c, at, trust) == 0) {
        trust->next = all;
        all = trust;
        return trust;
    }
    free_trust(trust);
    return NULL;
}

struct tls_trust *tls_trust_get(weir_conf *c, const struct weir_place *at, weir_str path)
{
    struct tls_trust *trust;
    char *name = strndup(path.n > 0 ? path.p : "", path.n);
    uint64_t seen[8];

    if (name == NULL)
        return NULL;
    look(path.n > 0 ? name : X509_get_default_cert_file(), seen);
    look(path.n > 0 ? name : X509_get_default_cert_dir(), seen + 4);
    pthread_mutex_lock(&lock);
    for (trust = all; trust != NULL; trust = trust->next) {
        if (strcmp(trust->path, name) == 0 && memcmp(trust->seen, seen, sizeof(seen)) == 0 &&
            (path.n == 0 || seen[3] != 0)) /* what cannot be looked at may have changed */
            break;
    }
    if (trust != NULL)
        trust->users++;
    else
        trust = create(c, at, name, seen);
    pthread_mutex_unlock(&lock);
    free(name);
    return trust;
}

void tls_trust_release(struct tls_trust *trust)
{
    struct tls_trust **link = &all;
    bool is_last;

    if (trust == NULL)
        return;
    pthread_mutex_lock(&lock);
    is_last = --trust->users == 0;
    if (is_last) {
        while (*link != trust)
            link = &(*link)->next;
        *link = trust->next;
    }
    pthread_mutex_unlock(&lock);
    if (is_last)
        free_trust(trust);
}
