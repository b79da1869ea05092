/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_tickets.c: the keys that session tickets are sealed with (RFC 5077, RFC 8446 4.6.1).
 *
 * Shape:   three keys of the process: the newest seals, all open. The first ticket after an hour makes a new one, so a
 *          ticket is good for two hours at least, and what a stolen key opens is three hours of traffic that used it.
 * Thread:  any; one lock around copying a key. */
#include "tls.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <pthread.h>
#include <string.h>

#define KEYS 3
#define ROTATION_MS 3600000u
#define LIFETIME_S 7200

struct key {
    unsigned char name[16], cipher[32], mac[32];
    uint64_t made; /* WEIR_NOW_MS */
};

static struct {
    pthread_mutex_t lock;
    struct key keys[KEYS]; /* newest first */
    uint32_t count;
} ring = { .lock = PTHREAD_MUTEX_INITIALIZER };

static EVP_CIPHER *cipher;

int tls_tickets_start(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    return cipher != NULL ? 0 : -1;
}

static bool make_key(struct key *key, uint64_t now)
{
    key->made = now;
    return RAND_bytes(key->name, sizeof(key->name)) == 1 && RAND_priv_bytes(key->cipher, sizeof(key->cipher)) == 1 &&
           RAND_priv_bytes(key->mac, sizeof(key->mac)) == 1;
}

/* Workers' clocks are of their own turn of the loop: a key may have been made a moment after this worker's now. */
static bool is_due(const struct key *key, uint64_t now)
{
    return now >= key->made + ROTATION_MS;
}

static bool newest_key(struct key *out)
{
    uint64_t now = weir_now(WEIR_NOW_MS);
    bool ok = true;

    pthread_mutex_lock(&ring.lock);
    if (ring.count == 0 || is_due(&ring.keys[0], now)) {
        struct key fresh;
        ok = make_key(&fresh, now);
        if (ok) {
            memmove(&ring.keys[1], &ring.keys[0], (KEYS - 1) * sizeof(ring.keys[0]));
            ring.keys[0] = fresh;
            ring.count += ring.count < KEYS;
        }
        OPENSSL_cleanse(&fresh, sizeof(fresh));
    }
    if (ok)
        *out = ring.keys[0];
    pthread_mutex_unlock(&ring.lock);
    return ok;
}

enum { KEY_UNKNOWN, KEY_FRESH, KEY_DUE }; /* due: its tickets are still good, but shall be replaced */

static int find_key(const unsigned char name[16], struct key *out)
{
    uint64_t now = weir_now(WEIR_NOW_MS);
    int found = KEY_UNKNOWN;

    pthread_mutex_lock(&ring.lock);
    for (uint32_t i = 0; i < ring.count && found == KEY_UNKNOWN; i++) {
        if (memcmp(ring.keys[i].name, name, sizeof(out->name)) == 0) {
            *out = ring.keys[i];
            found = i == 0 && !is_due(out, now) ? KEY_FRESH : KEY_DUE;
        }
    }
    pthread_mutex_unlock(&ring.lock);
    return found;
}

static bool set_mac(EVP_MAC_CTX *mac, struct key *key)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int seal(unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *ctx, EVP_MAC_CTX *mac)
{
    struct key key;
    bool ok;

    if (!newest_key(&key))
        return -1;
    ok = RAND_bytes(iv, EVP_CIPHER_get_iv_length(cipher)) == 1 &&
         EVP_EncryptInit_ex2(ctx, cipher, key.cipher, iv, NULL) == 1 && set_mac(mac, &key);
    memcpy(name, key.name, sizeof(key.name));
    OPENSSL_cleanse(&key, sizeof(key));
    return ok ? 1 : -1;
}

/* 0: unknown key, a full handshake follows; 1: fine; 2: fine, and the client shall get a new ticket. In TLS 1.3 clients
 * use a ticket once (RFC 8446 C.4): without a new one every second connection would be a full handshake. */
static int unseal(SSL *ssl, const unsigned char name[16], const unsigned char *iv, EVP_CIPHER_CTX *ctx,
                  EVP_MAC_CTX *mac)
{
    struct key key;
    int found = find_key(name, &key);
    bool ok;

    if (found == KEY_UNKNOWN)
        return 0;
    ok = EVP_DecryptInit_ex2(ctx, cipher, key.cipher, iv, NULL) == 1 && set_mac(mac, &key);
    OPENSSL_cleanse(&key, sizeof(key));
    if (!ok)
        return -1;
    return found == KEY_FRESH && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *ctx, EVP_MAC_CTX *mac,
                     int seals)
{
    return seals ? seal(name, iv, ctx, mac) : unseal(ssl, name, iv, ctx, mac);
}

int tls_tickets_use(SSL_CTX *ctx)
{
    SSL_CTX_set_timeout(ctx, LIFETIME_S);
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1 ? 0 : -1;
}
