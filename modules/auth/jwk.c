/* SPDX-License-Identifier: BSD-2-Clause */
#include "jwk.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEYS_MOST = 256,
    MEMBER_MOST = 1024, /* bytes of a number, a coordinate or a secret */
    SECRET_LEAST = 32,  /* RFC 7518 3.2 */
    SECRET_MOST = 64 * 1024,
    MODULUS_LEAST = 2048, /* bits; RFC 7518 3.3 */
    MODULUS_MOST = 8192,
    COORDINATE = 32,
};

struct key {
    enum algorithm algorithm;
    char *kid; /* NULL: none */
    size_t kid_size;
    EVP_PKEY *pkey;
};

struct keys {
    bool is_set; /* a token's kid chooses */
    size_t count;
    struct key all[];
};

static EVP_MD *sha256;

int jwk_load(void)
{
    if (!sha256)
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    return sha256 ? 0 : -1;
}

static struct keys *keys_new(size_t room)
{
    return calloc(1, sizeof(struct keys) + room * sizeof(struct key));
}

void keys_free(void *keys_)
{
    struct keys *keys = keys_;

    for (size_t i = 0; keys && i < keys->count; i++) {
        free(keys->all[i].kid);
        EVP_PKEY_free(keys->all[i].pkey);
    }
    free(keys);
}

/* -- what a key is good for ---------------------------------------------------------------------------------------- */

static const char *judge(EVP_PKEY *pkey, enum algorithm *algorithm)
{
    char curve[32] = "";

    if (EVP_PKEY_is_a(pkey, "RSA")) {
        *algorithm = ALG_RS256;
        int bits = EVP_PKEY_get_bits(pkey);
        return bits < MODULUS_LEAST || bits > MODULUS_MOST ? "an RSA key has 2048 to 8192 bits" : NULL;
    }
    if (EVP_PKEY_is_a(pkey, "ED25519")) {
        *algorithm = ALG_EDDSA;
        return NULL;
    }
    *algorithm = ALG_ES256;
    if (!EVP_PKEY_is_a(pkey, "EC") || EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), NULL) != 1 ||
        strcmp(curve, "prime256v1") != 0)
        return "a key is of the type RSA, EC with P-256, or Ed25519";
    return NULL;
}

/* -- one key ------------------------------------------------------------------------------------------------------- */

static bool begins(weir_str text, const char *with)
{
    return text.n >= strlen(with) && memcmp(text.p, with, strlen(with)) == 0;
}

static bool is_printable(weir_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < ' ' || text.p[i] == 0x7f)
            return false;
    return true;
}

static bool is_public_der(weir_str content)
{
    const unsigned char *at = (const unsigned char *)content.p;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)content.n);
    X509 *certificate = NULL;

    if (!pkey) {
        at = (const unsigned char *)content.p;
        certificate = d2i_X509(NULL, &at, (long)content.n);
    }
    bool is_one = pkey || certificate;
    EVP_PKEY_free(pkey);
    X509_free(certificate);
    ERR_clear_error();
    return is_one;
}

/* Whoever names a file of public things here meant them as such: as a secret they would let everybody in. */
static const char *judge_secret(weir_str content)
{
    weir_str text = content;

    while (text.n && (text.p[0] == ' ' || text.p[0] == '\t' || text.p[0] == '\r' || text.p[0] == '\n'))
        text = (weir_str){ text.p + 1, text.n - 1 };
    if (begins(text, "{"))
        return "that is JSON: name it with jwks=";
    if (begins(text, "ssh-") || begins(text, "ecdsa-sha2-") || begins(text, "---- BEGIN") || is_public_der(content))
        return "that is a public key, but not in PEM (openssl pkey -pubout writes it)";
    if (content.n < SECRET_LEAST)
        return "a secret has at least 32 bytes";
    return content.n > SECRET_MOST ? "a secret has at most 64 KiB" : NULL;
}

static EVP_PKEY *secret_new(const unsigned char *bytes, size_t n)
{
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, bytes, n);
}

static const char *read_secret(weir_str content, struct key *key)
{
    if (content.n && content.p[content.n - 1] == '\n' && is_printable((weir_str){ content.p, content.n - 1 }))
        content.n--; /* an editor's; bytes that are no text are all meant */
    const char *why = judge_secret(content);
    if (why)
        return why;
    key->algorithm = ALG_HS256;
    key->pkey = secret_new((const unsigned char *)content.p, content.n);
    return key->pkey ? NULL : "no memory";
}

static const char *read_pem(weir_str content, struct key *key)
{
    BIO *bio = content.n <= SECRET_MOST ? BIO_new_mem_buf(content.p, (int)content.n) : NULL;

    if (bio)
        key->pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return key->pkey ? judge(key->pkey, &key->algorithm)
                     : "no public key in it (openssl pkey -pubout writes one in PEM)";
}

static bool has_pem(weir_str content)
{
    for (size_t i = 0; i < content.n; i++)
        if (begins((weir_str){ content.p + i, content.n - i }, "-----BEGIN "))
            return true;
    return false;
}

void *key_read(weir_str content, char why[WHY_MOST])
{
    struct keys *keys = keys_new(1);
    const char *what = "no memory";

    if (keys) {
        keys->count = 1;
        what = has_pem(content) ? read_pem(content, &keys->all[0]) : read_secret(content, &keys->all[0]);
    }
    if (!what)
        return keys;
    snprintf(why, WHY_MOST, "%s", what);
    keys_free(keys);
    return NULL;
}

/* -- JWK sets ------------------------------------------------------------------------------------------------------ */

static int member(const json_t *jwk, const char *name, unsigned char to[MEMBER_MOST])
{
    const json_t *value = json_object_get(jwk, name);

    if (!json_is_string(value))
        return -1;
    return base64url_decode((weir_str){ json_string_value(value), json_string_length(value) }, to, MEMBER_MOST);
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY *pkey = NULL;

    if (ctx && params && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

static EVP_PKEY *rsa_new(const json_t *jwk)
{
    unsigned char n[MEMBER_MOST], e[MEMBER_MOST];
    int n_size = member(jwk, "n", n), e_size = member(jwk, "e", e);
    OSSL_PARAM_BLD *build = n_size > 0 && e_size > 0 ? OSSL_PARAM_BLD_new() : NULL;
    BIGNUM *modulus = build ? BN_bin2bn(n, n_size, NULL) : NULL, *exponent = build ? BN_bin2bn(e, e_size, NULL) : NULL;
    EVP_PKEY *pkey = NULL;

    if (modulus && exponent && BN_is_odd(modulus) && BN_is_odd(exponent) && !BN_is_one(exponent) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        pkey = from_params("RSA", build);
    BN_free(modulus);
    BN_free(exponent);
    OSSL_PARAM_BLD_free(build);
    return pkey;
}

static EVP_PKEY *ec_new(const json_t *jwk)
{
    unsigned char x[MEMBER_MOST], y[MEMBER_MOST], point[1 + 2 * COORDINATE] = { POINT_CONVERSION_UNCOMPRESSED };
    OSSL_PARAM_BLD *build;
    EVP_PKEY *pkey = NULL;

    if (member(jwk, "x", x) != COORDINATE || member(jwk, "y", y) != COORDINATE || !(build = OSSL_PARAM_BLD_new()))
        return NULL;
    memcpy(point + 1, x, COORDINATE);
    memcpy(point + 1 + COORDINATE, y, COORDINATE);
    if (OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) == 1)
        pkey = from_params("EC", build);
    OSSL_PARAM_BLD_free(build);
    return pkey;
}

static EVP_PKEY *raw_new(const json_t *jwk, const char *name, bool is_secret)
{
    unsigned char bytes[MEMBER_MOST];
    int n = member(jwk, name, bytes);
    EVP_PKEY *pkey = NULL;

    if (is_secret && n >= SECRET_LEAST)
        pkey = secret_new(bytes, (size_t)n);
    else if (!is_secret && n == COORDINATE)
        pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, (size_t)n);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return pkey;
}

static bool says(const json_t *jwk, const char *name, const char *text)
{
    const char *value = json_string_value(json_object_get(jwk, name));

    return value && strcmp(value, text) == 0;
}

static bool is_for_verifying(const json_t *jwk)
{
    const json_t *operations = json_object_get(jwk, "key_ops"), *operation;
    size_t i;

    if (json_object_get(jwk, "use") && !says(jwk, "use", "sig"))
        return false;
    if (!operations)
        return true;
    json_array_foreach(operations, i, operation)
        if (json_is_string(operation) && strcmp(json_string_value(operation), "verify") == 0)
            return true;
    return false;
}

/* ALG_NONE_KNOWN: a key for something else, passed over (RFC 7517 5). */
static enum algorithm use_of(const json_t *jwk)
{
    const json_t *alg = json_object_get(jwk, "alg");
    enum algorithm use = ALG_NONE_KNOWN;

    if (says(jwk, "kty", "RSA"))
        use = ALG_RS256;
    else if (says(jwk, "kty", "EC") && says(jwk, "crv", "P-256"))
        use = ALG_ES256;
    else if (says(jwk, "kty", "OKP") && says(jwk, "crv", "Ed25519"))
        use = ALG_EDDSA;
    else if (says(jwk, "kty", "oct"))
        use = ALG_HS256;
    if (!is_for_verifying(jwk) || (alg && (!json_is_string(alg) || algorithm_of(json_string_value(alg)) != use)))
        return ALG_NONE_KNOWN;
    return use;
}

static EVP_PKEY *pkey_new(const json_t *jwk, enum algorithm use)
{
    switch (use) {
    case ALG_RS256: return rsa_new(jwk);
    case ALG_ES256: return ec_new(jwk);
    case ALG_EDDSA: return raw_new(jwk, "x", false);
    default:        return raw_new(jwk, "k", true);
    }
}

static bool is_kid(const struct key *key, weir_str kid)
{
    return key->kid && key->kid_size == kid.n && memcmp(key->kid, kid.p, kid.n) == 0;
}

static const char *add(struct keys *keys, const json_t *jwk)
{
    const json_t *kid = json_object_get(jwk, "kid");
    struct key *key = &keys->all[keys->count];
    enum algorithm algorithm, use = use_of(jwk);

    if (use == ALG_NONE_KNOWN)
        return NULL;
    if (kid && !json_is_string(kid))
        return "a kid is no string";
    for (size_t i = 0; kid && i < keys->count; i++)
        if (keys->all[i].algorithm == use &&
            is_kid(&keys->all[i], (weir_str){ json_string_value(kid), json_string_length(kid) }))
            return "two keys of one type have the same kid";
    keys->count++;
    key->algorithm = use;
    key->pkey = pkey_new(jwk, use);
    ERR_clear_error();
    if (!key->pkey)
        return use == ALG_HS256 ? "a secret (k) is no base64url of 32 to 1024 bytes" : "a key in it is broken";
    if (kid && !(key->kid = strdup(json_string_value(kid))))
        return "no memory";
    key->kid_size = kid ? json_string_length(kid) : 0;
    return use == ALG_HS256 ? NULL : judge(key->pkey, &algorithm);
}

void *key_set_read(weir_str content, char why[WHY_MOST])
{
    const char *what = NULL;
    json_t *set = object_read(content, &what);
    const json_t *list = json_object_get(set, "keys"), *jwk;
    struct keys *keys = NULL;
    size_t i;

    if (set && !json_is_array(list))
        what = "no JWK set: \"keys\" is missing";
    else if (set && json_array_size(list) > KEYS_MOST)
        what = "more than 256 keys";
    else if (set && !(keys = keys_new(json_array_size(list) + 1)))
        what = "no memory";
    for (i = 0; !what && i < json_array_size(list); i++)
        what = (jwk = json_array_get(list, i)) && json_is_object(jwk) ? add(keys, jwk) : "a key in it is no object";
    if (!what && keys->count == 0)
        what = "no key in it that verifies HS256, RS256, ES256 or EdDSA";
    json_decref(set);
    if (!what) {
        keys->is_set = true;
        return keys;
    }
    snprintf(why, WHY_MOST, "%s", what);
    keys_free(keys);
    return NULL;
}

/* -- verifying ----------------------------------------------------------------------------------------------------- */

/* The one key for this token. Without a kid it must be the only one of its type: trying all would cost what a client
 * likes. */
static EVP_PKEY *choose(const struct keys *keys, const struct jws *jws, const char **why)
{
    const struct key *found = NULL;
    unsigned count = 0;

    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = &keys->all[i];
        if (key->algorithm != jws->algorithm || (keys->is_set && jws->kid.p && !is_kid(key, jws->kid)))
            continue;
        found = key;
        count++;
    }
    if (count == 1 && EVP_PKEY_up_ref(found->pkey) == 1)
        return found->pkey;
    *why = count ? "it names no key (kid), and several would do" : "no key for it: of its algorithm, and with its kid";
    return NULL;
}

static bool verify_hmac(EVP_PKEY *pkey, EVP_MD_CTX *ctx, const struct jws *jws)
{
    unsigned char made[EVP_MAX_MD_SIZE];
    size_t n = sizeof(made);

    return EVP_DigestSignInit(ctx, NULL, sha256, NULL, pkey) == 1 &&
           EVP_DigestSign(ctx, made, &n, (const unsigned char *)jws->input.p, jws->input.n) == 1 &&
           n == jws->signature_size && CRYPTO_memcmp(made, jws->signature, n) == 0;
}

static bool verify_public(EVP_PKEY *pkey, EVP_MD_CTX *ctx, const struct jws *jws, const unsigned char *signature,
                          size_t n)
{
    return EVP_DigestVerifyInit(ctx, NULL, jws->algorithm == ALG_EDDSA ? NULL : sha256, NULL, pkey) == 1 &&
           EVP_DigestVerify(ctx, signature, n, (const unsigned char *)jws->input.p, jws->input.n) == 1;
}

/* RFC 7518 3.4: r and s, 32 bytes each; OpenSSL wants DER. */
static bool verify_ecdsa(EVP_PKEY *pkey, EVP_MD_CTX *ctx, const struct jws *jws)
{
    if (jws->signature_size != 2 * COORDINATE)
        return false;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(jws->signature, COORDINATE, NULL);
    BIGNUM *s = BN_bin2bn(jws->signature + COORDINATE, COORDINATE, NULL);
    unsigned char *der = NULL;
    int n = -1;

    if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1)
        n = i2d_ECDSA_SIG(pair, &der);
    else {
        BN_free(r);
        BN_free(s);
    }
    bool fits = n > 0 && verify_public(pkey, ctx, jws, der, (size_t)n);
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return fits;
}

static const char *verify_with(EVP_PKEY *pkey, const struct jws *jws)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool fits = false;

    if (ctx && jws->algorithm == ALG_HS256)
        fits = verify_hmac(pkey, ctx, jws);
    else if (ctx && jws->algorithm == ALG_ES256)
        fits = verify_ecdsa(pkey, ctx, jws);
    else if (ctx)
        fits = verify_public(pkey, ctx, jws, jws->signature, jws->signature_size);
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return fits ? NULL : "its signature does not fit";
}

const char *keys_verify(const void *keys, const struct jws *jws)
{
    const char *why = NULL;
    EVP_PKEY *pkey = choose(keys, jws, &why);

    if (pkey)
        why = verify_with(pkey, jws);
    EVP_PKEY_free(pkey);
    return why;
}

const char *jwk_verify(struct watched *file, const struct jws *jws)
{
    const char *why = NULL;
    EVP_PKEY *pkey = choose(watched_lock(file), jws, &why);

    watched_unlock();
    if (pkey)
        why = verify_with(pkey, jws);
    EVP_PKEY_free(pkey);
    return why;
}

/* -- files --------------------------------------------------------------------------------------------------------- */

struct watched *key_open(const char *path, weir_str content, char why[WHY_MOST])
{
    static const struct watched_kind kind = { .read = key_read, .free = keys_free };

    return watched_open(&kind, path, content, why);
}

struct watched *key_set_open(const char *path, weir_str content, char why[WHY_MOST])
{
    static const struct watched_kind kind = { .read = key_set_read, .free = keys_free };

    return watched_open(&kind, path, content, why);
}
