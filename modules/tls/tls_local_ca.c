/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_local_ca.c: `tls_certificate internal`: an authority of this machine's own, and the certificates it gives.
 *
 * Shape:   the authority is a P-256 root kept as ca.crt and ca.key in the module's state folder, made once. A leaf
 *          hands out certificates for a scope: made in memory by the first handshake that needs one, for 90 days, and
 *          anew by the first handshake in the last third of its life: no reload and no restart is ever due.
 *          All certificates of one authority in one process share a key that is never stored.
 * Thread:  authority: constant once made; leaf: any, under its lock.
 * Source:  RFC 5280. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY 86400
#define ROOT_DAYS 3650
#define LEAF_DAYS 90
#define CACHED 64u /* certificates kept for a scope that has one per name asked for */

struct authority {
    uint32_t users;
    char *path; /* of ca.crt */
    uint64_t seen[3]; /* what stat() said of ca.crt; zero: kept in memory only */
    X509 *certificate;
    EVP_PKEY *key, *leaf_key;
    uint8_t digest[TLS_DIGEST];
};

struct issued {
    char *name; /* asked for; "" when the scope's names are meant */
    X509 *certificate;
    int64_t renew; /* seconds since 1970 */
};

struct tls_leaf {
    struct authority *authority;
    char **names;
    uint32_t name_count;
    pthread_mutex_t lock;
    struct issued *issued;
    uint32_t room, issued_count, next; /* next: to be replaced when all are used */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct authority *current;

/* -- certificates -------------------------------------------------------------------------------------------------- */

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[16];
    BIGNUM *number;
    bool ok;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, and of one length */
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return ok;
}

static bool set_life(X509 *certificate, int64_t now, int days)
{
    time_t from = (time_t)(now - 3600), to = (time_t)(now + (int64_t)days * DAY); /* clocks may differ by an hour */

    return ASN1_TIME_set(X509_getm_notBefore(certificate), from) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), to) != NULL;
}

static bool set_common_name(X509 *certificate, const char *name)
{
    return X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)name, -1, -1, 0) == 1;
}

static bool push_name(GENERAL_NAMES *names, int type, ASN1_STRING *value)
{
    GENERAL_NAME *name = value != NULL ? GENERAL_NAME_new() : NULL;

    if (name == NULL || sk_GENERAL_NAME_push(names, name) <= 0) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(name, type, value);
    return true;
}

static bool add_name(GENERAL_NAMES *names, const char *text)
{
    ASN1_STRING *value = a2i_IPADDRESS(text);

    ERR_clear_error();
    if (value != NULL)
        return push_name(names, GEN_IPADD, value);
    value = ASN1_IA5STRING_new();
    if (value != NULL && ASN1_STRING_set(value, text, -1) != 1) {
        ASN1_STRING_free(value);
        value = NULL;
    }
    return push_name(names, GEN_DNS, value);
}

static bool add_this_machine(GENERAL_NAMES *names, bool with_name)
{
    return (!with_name || add_name(names, "localhost")) && add_name(names, "127.0.0.1") && add_name(names, "::1");
}

static bool add_alternative_names(X509 *certificate, const struct tls_leaf *leaf, const char *asked)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool ok = names != NULL;

    if (leaf->name_count == 0)
        ok = ok && (asked[0] != 0 ? add_name(names, asked) : add_this_machine(names, true));
    for (uint32_t i = 0; ok && i < leaf->name_count; i++) {
        if (strcmp(leaf->names[i], "_") == 0)
            ok = add_this_machine(names, true);
        else
            ok = add_name(names, leaf->names[i]) &&
                 (strcmp(leaf->names[i], "localhost") != 0 || add_this_machine(names, false));
    }
    ok = ok && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(names);
    return ok;
}

static const char *common_name(const struct tls_leaf *leaf, const char *asked)
{
    const char *name = leaf->name_count > 0 ? leaf->names[0] : asked;

    return name[0] == 0 || strcmp(name, "_") == 0 ? "localhost" : name;
}

static X509 *issue(const struct tls_leaf *leaf, const char *asked, int64_t now)
{
    const struct authority *authority = leaf->authority;
    const char *name = common_name(leaf, asked);
    X509 *certificate = X509_new();

    if (certificate != NULL && X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
        set_life(certificate, now, LEAF_DAYS) && (strlen(name) > 64 || set_common_name(certificate, name)) &&
        X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate)) == 1 &&
        X509_set_pubkey(certificate, authority->leaf_key) == 1 &&
        add_extension(certificate, authority->certificate, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(certificate, authority->certificate, NID_key_usage, "critical,digitalSignature") &&
        add_extension(certificate, authority->certificate, NID_ext_key_usage, "serverAuth") &&
        add_extension(certificate, authority->certificate, NID_authority_key_identifier, "keyid") &&
        add_alternative_names(certificate, leaf, asked) &&
        X509_sign(certificate, authority->key, EVP_sha256()) > 0)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static X509 *make_root(EVP_PKEY *key)
{
    X509 *root = X509_new();
    unsigned char tag[4];
    const char *name;

    if (root == NULL || RAND_bytes(tag, sizeof(tag)) != 1)
        goto fail;
    name = tls_text("weir local CA %02x%02x%02x%02x", tag[0], tag[1], tag[2], tag[3]);
    if (X509_set_version(root, X509_VERSION_3) == 1 && set_serial(root) && set_life(root, time(NULL), ROOT_DAYS) &&
        set_common_name(root, name) && X509_set_issuer_name(root, X509_get_subject_name(root)) == 1 &&
        X509_set_pubkey(root, key) == 1 &&
        add_extension(root, root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(root, root, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(root, root, NID_subject_key_identifier, "hash") && X509_sign(root, key, EVP_sha256()) > 0)
        return root;
fail:
    X509_free(root);
    return NULL;
}

/* -- the authority and its files ----------------------------------------------------------------------------------- */

static void authority_release(struct authority *authority)
{
    bool is_last;

    if (authority == NULL)
        return;
    pthread_mutex_lock(&lock);
    is_last = --authority->users == 0;
    if (is_last && current == authority)
        current = NULL;
    pthread_mutex_unlock(&lock);
    if (!is_last)
        return;
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
    EVP_PKEY_free(authority->leaf_key);
    free(authority->path);
    free(authority);
}

static bool look(const char *path, uint64_t seen[3])
{
    struct stat st;

    memset(seen, 0, 3 * sizeof(seen[0]));
    if (stat(path, &st) != 0)
        return false;
    seen[0] = (uint64_t)st.st_ino;
    seen[1] = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
    seen[2] = (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec;
    return true;
}

/* Whole or not at all: the file appears under its name when its bytes are on the disk. */
static int write_file(const char *path, mode_t mode, BIO *content)
{
    size_t room = strlen(path) + sizeof(".new");
    char *bytes, *temporary = malloc(room);
    long n = BIO_get_mem_data(content, &bytes);
    int fd, rc = -1;

    if (temporary == NULL)
        return -1;
    snprintf(temporary, room, "%s.new", path);
    unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd >= 0 && write(fd, bytes, (size_t)n) == n && fsync(fd) == 0 && rename(temporary, path) == 0)
        rc = 0;
    if (fd >= 0)
        close(fd);
    free(temporary);
    return rc;
}

static int store(weir_conf *c, const struct weir_place *at, const struct authority *authority, const char *key_path)
{
    BIO *key = BIO_new(BIO_s_secmem()), *certificate = BIO_new(BIO_s_mem());
    int rc = -1;

    if (key != NULL && certificate != NULL && PEM_write_bio_X509(certificate, authority->certificate) == 1 &&
        PEM_write_bio_PrivateKey(key, authority->key, NULL, NULL, 0, NULL, NULL) == 1) {
        rc = write_file(key_path, 0600, key);
        if (rc == 0 && write_file(authority->path, 0644, certificate) != 0) {
            rc = -1;
            unlink(key_path);
        }
        if (rc != 0)
            weir_conf_error_at(c, at, "the local CA cannot be written to %s: %s", authority->path, strerror(errno));
    } else {
        weir_conf_error_at(c, at, "the local CA: %s", tls_reason());
    }
    BIO_free(key);
    BIO_free(certificate);
    return rc;
}

static int read_authority(weir_conf *c, const struct weir_place *at, struct authority *authority, const char *key_path)
{
    weir_str certificate, key;
    BIO *bio;

    if (weir_conf_read_file(c, (weir_str){ authority->path, strlen(authority->path) }, &certificate) != 0 ||
        weir_conf_read_file(c, (weir_str){ key_path, strlen(key_path) }, &key) != 0)
        return -1;
    bio = BIO_new_mem_buf(certificate.p, (int)certificate.n);
    authority->certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    bio = BIO_new_mem_buf(key.p, (int)key.n);
    authority->key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (char[]){ "" }) : NULL;
    BIO_free(bio);
    if (authority->certificate == NULL || authority->key == NULL ||
        X509_check_private_key(authority->certificate, authority->key) != 1) {
        ERR_clear_error();
        return weir_conf_error_at(c, at, "the local CA's files %s and %s do not belong together or are damaged; remove "
                                  "both to get a new one", authority->path, key_path);
    }
    if (X509_cmp_current_time(X509_get0_notAfter(authority->certificate)) < 0)
        weir_conf_warn(c, at, "the local CA %s has expired; remove it and %s to get a new one", authority->path,
                       key_path);
    return 0;
}

static int fill_authority(weir_conf *c, const struct weir_place *at, struct authority *authority, const char *key_path,
                          bool has_certificate, bool has_key)
{
    if (has_certificate != has_key)
        return weir_conf_error_at(c, at, "the local CA is incomplete: %s is missing; bring it back or remove %s to get "
                                  "a new one", has_key ? authority->path : key_path,
                                  has_key ? key_path : authority->path);
    if (has_certificate)
        return read_authority(c, at, authority, key_path);
    authority->key = EVP_EC_gen("P-256");
    authority->certificate = authority->key != NULL ? make_root(authority->key) : NULL;
    if (authority->certificate == NULL)
        return weir_conf_error_at(c, at, "the local CA cannot be made: %s", tls_reason());
    if (weir_conf_is_rehearsal(c))
        return 0;
    if (store(c, at, authority, key_path) != 0)
        return -1;
    look(authority->path, authority->seen);
    return 0;
}

static struct authority *authority_create(weir_conf *c, const struct weir_place *at, char *path, const char *key_path)
{
    struct authority *authority = calloc(1, sizeof(*authority));
    bool has_certificate, has_key;
    uint64_t ignored[3];

    if (authority == NULL) {
        free(path);
        return NULL;
    }
    authority->path = path;
    authority->users = 1;
    has_certificate = look(path, authority->seen);
    has_key = look(key_path, ignored);
    if (fill_authority(c, at, authority, key_path, has_certificate, has_key) == 0) {
        authority->leaf_key = EVP_EC_gen("P-256");
        if (authority->leaf_key != NULL &&
            X509_digest(authority->certificate, EVP_sha256(), authority->digest, NULL) == 1)
            return authority;
        weir_conf_error_at(c, at, "the local CA: %s", tls_reason());
    }
    authority_release(authority);
    return NULL;
}

/* The one in use, unless its files were changed or removed since. */
static struct authority *authority_get(weir_conf *c, const struct weir_place *at)
{
    weir_str said = weir_conf_state_path(c, WEIR_S("ca.crt")), said_key = weir_conf_state_path(c, WEIR_S("ca.key"));
    struct authority *authority = NULL;
    char *path, *key_path;
    uint64_t seen[3];
    bool is_there;

    if (said.n == 0 || said_key.n == 0) {
        weir_conf_error_at(c, at, "tls_certificate internal needs a state_dir that can be written");
        return NULL;
    }
    path = strndup(said.p, said.n);
    key_path = strndup(said_key.p, said_key.n);
    if (path == NULL || key_path == NULL)
        goto out;
    is_there = look(path, seen);
    pthread_mutex_lock(&lock);
    if (current != NULL && (is_there || weir_conf_is_rehearsal(c)) && strcmp(current->path, path) == 0 &&
        memcmp(current->seen, seen, sizeof(seen)) == 0) {
        authority = current;
        authority->users++;
    }
    pthread_mutex_unlock(&lock);
    if (authority != NULL)
        goto out;
    authority = authority_create(c, at, path, key_path);
    path = NULL; /* taken */
    if (authority != NULL) {
        pthread_mutex_lock(&lock);
        current = authority;
        pthread_mutex_unlock(&lock);
    }
out:
    free(path);
    free(key_path);
    return authority;
}

/* -- leaves -------------------------------------------------------------------------------------------------------- */

static int copy_names(struct tls_leaf *leaf, weir_table names)
{
    leaf->room = names.count > 0 ? 1 : CACHED;
    leaf->issued = calloc(leaf->room, sizeof(leaf->issued[0]));
    if (leaf->issued == NULL)
        return -1;
    if (names.count == 0)
        return 0;
    leaf->names = calloc(names.count, sizeof(leaf->names[0]));
    if (leaf->names == NULL)
        return -1;
    for (; leaf->name_count < names.count; leaf->name_count++) {
        const weir_str *name = (const void *)((const char *)names.base + (size_t)leaf->name_count * names.stride);
        leaf->names[leaf->name_count] = strndup(name->p, name->n);
        if (leaf->names[leaf->name_count] == NULL)
            return -1;
    }
    return 0;
}

struct tls_leaf *tls_leaf_create(weir_conf *c, const struct weir_place *at, weir_table names)
{
    struct authority *authority = authority_get(c, at);
    struct tls_leaf *leaf = authority != NULL ? calloc(1, sizeof(*leaf)) : NULL;

    if (leaf == NULL) {
        authority_release(authority);
        return NULL;
    }
    leaf->authority = authority;
    pthread_mutex_init(&leaf->lock, NULL);
    if (copy_names(leaf, names) == 0)
        return leaf;
    weir_conf_error_at(c, at, "no memory for the site's names");
    tls_leaf_destroy(leaf);
    return NULL;
}

void tls_leaf_destroy(struct tls_leaf *leaf)
{
    if (leaf == NULL)
        return;
    for (uint32_t i = 0; i < leaf->issued_count; i++) {
        X509_free(leaf->issued[i].certificate);
        free(leaf->issued[i].name);
    }
    for (uint32_t i = 0; i < leaf->name_count; i++)
        free(leaf->names[i]);
    free(leaf->names);
    free(leaf->issued);
    pthread_mutex_destroy(&leaf->lock);
    authority_release(leaf->authority);
    free(leaf);
}

const uint8_t *tls_leaf_authority(const struct tls_leaf *leaf)
{
    return leaf->authority->digest;
}

static struct issued *place_for(struct tls_leaf *leaf, const char *name)
{
    struct issued *place;
    char *copy;

    for (uint32_t i = 0; i < leaf->issued_count; i++) {
        if (strcmp(leaf->issued[i].name, name) == 0)
            return &leaf->issued[i];
    }
    copy = strdup(name);
    if (copy == NULL)
        return NULL;
    place = &leaf->issued[leaf->issued_count < leaf->room ? leaf->issued_count++ : leaf->next++ % leaf->room];
    X509_free(place->certificate);
    free(place->name);
    *place = (struct issued){ .name = copy };
    return place;
}

/* A reference to a certificate with two thirds of its life before it at least a moment ago. */
static X509 *take_certificate(struct tls_leaf *leaf, const char *name)
{
    int64_t now = (int64_t)(weir_now(WEIR_NOW_WALL_MS) / 1000);
    struct issued *place;
    X509 *certificate = NULL;

    pthread_mutex_lock(&leaf->lock);
    place = place_for(leaf, name);
    if (place != NULL && (place->certificate == NULL || now >= place->renew)) {
        X509 *fresh = issue(leaf, name, now);
        if (fresh != NULL) {
            X509_free(place->certificate);
            place->certificate = fresh;
            place->renew = now + (int64_t)LEAF_DAYS * DAY * 2 / 3;
        }
    }
    if (place != NULL && place->certificate != NULL && X509_up_ref(place->certificate) == 1)
        certificate = place->certificate;
    pthread_mutex_unlock(&leaf->lock);
    return certificate;
}

int tls_leaf_use(struct tls_leaf *leaf, SSL *ssl, const char *server_name)
{
    X509 *certificate = take_certificate(leaf, leaf->name_count > 0 ? "" : server_name);
    int rc = -1;

    if (certificate != NULL && SSL_use_certificate(ssl, certificate) == 1 &&
        SSL_use_PrivateKey(ssl, leaf->authority->leaf_key) == 1)
        rc = 0;
    X509_free(certificate);
    return rc;
}
