/* SPDX-License-Identifier: BSD-2-Clause */
/* jws.h: signed tokens as text: three parts in base64url, the first and second of them JSON.
 *
 * Shape:   jws_read() takes apart what must be known to verify a token; jws_claims() reads its second part, which is
 *          nobody's word before the signature was verified.
 * Owner:   a struct jws points into the token; its header lives until jws_end().
 * Thread:  any.
 * Errors:  why, in static text.
 * Source:  RFC 7515 (compact serialization), RFC 7519, RFC 8725. */
#ifndef AUTH_JWS_H
#define AUTH_JWS_H

#include <jansson.h>
#include <weir/weir.h>

enum {
    TOKEN_MOST = 8 * 1024,
    SIGNATURE_MOST = 1024, /* RSA with 8192 bits */
    DEPTH_MOST = 16,       /* of objects and arrays in each other */
};

/* What is not among them is refused, `none` and its spellings too. */
enum algorithm { ALG_HS256, ALG_RS256, ALG_ES256, ALG_EDDSA, ALG_NONE_KNOWN };

struct jws {
    json_t *header;
    enum algorithm algorithm;
    weir_str kid;    /* {NULL, 0}: none */
    weir_str input;  /* what is signed */
    weir_str claims; /* the second part, encoded */
    unsigned char signature[SIGNATURE_MOST];
    size_t signature_size;
};

/* NULL: *jws is set, jws_end() ends it. Else why not. */
const char *jws_read(struct jws *jws, weir_str token);
void jws_end(struct jws *jws);
/* The object in the second part, for json_decref(); NULL after *why was set. */
json_t *jws_claims(const struct jws *jws, const char **why);

enum algorithm algorithm_of(const char *name); /* ALG_NONE_KNOWN: not one of ours */
/* RFC 7515 2: without padding, nothing else in it, no bit set behind the last byte. The length, or -1. */
int base64url_decode(weir_str text, unsigned char *to, size_t room);
/* An object, no name twice in it, not too deep. NULL after *why was set. */
json_t *object_read(weir_str text, const char **why);

#endif
