/* SPDX-License-Identifier: BSD-2-Clause */
/* jwk.h: the keys that tokens are verified with.
 *
 * Shape:   two kinds of watched file: one key (a public key in PEM, else a secret as it is), or a JWK set. A key fits
 *          one algorithm only, the one of its type: nothing that is public is ever taken for a secret.
 * Thread:  any. A key is taken out under the file's lock and verifies outside of it.
 * Errors:  why, in static text.
 * Source:  RFC 7517, RFC 7518, RFC 8037. */
#ifndef AUTH_JWK_H
#define AUTH_JWK_H

#include "jws.h"
#include "watched.h"

int jwk_load(void); /* once; -1: OpenSSL lacks what is needed */

struct watched *key_open(const char *path, weir_str content, char why[WHY_MOST]);
struct watched *key_set_open(const char *path, weir_str content, char why[WHY_MOST]);

/* NULL: one of the file's keys made the signature. Else why not. */
const char *jwk_verify(struct watched *file, const struct jws *jws);

/* For the kinds and for tests: what a file's content holds. */
void *key_read(weir_str content, char why[WHY_MOST]);
void *key_set_read(weir_str content, char why[WHY_MOST]);
void keys_free(void *keys);
const char *keys_verify(const void *keys, const struct jws *jws);

#endif
