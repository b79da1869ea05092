/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_jws.c: tokens of clients, taken apart, and their claims. Input: a token.
 * Holds:   what is signed is the token's beginning; reading twice says the same; claims are read without a signature
 *          that fits, as the worst of keys would let them. */
#include "../../modules/auth/claims.h"
#include "../../modules/auth/jws.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(condition) ((condition) ? (void)0 : abort())

static void check_claims(const struct jws *jws)
{
    static const weir_str names[] = { { "a", 1 }, { "b", 1 } }, asked[] = { { "a:1", 3 }, { "b:true", 6 } };
    const struct claim_rules rules = { { "a", 1 }, WEIR_TABLE(names), WEIR_TABLE(asked), 1000 };
    const char *why = NULL;
    json_t *claims = jws_claims(jws, &why);

    CHECK(!claims == !!why);
    if (claims)
        (void)claims_check(claims, &rules, 1700000000000);
    json_decref(claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_str token = { (const char *)data, size };
    const char *again = NULL, *why = NULL;
    struct jws jws, other;

    why = jws_read(&jws, token);
    again = jws_read(&other, token);
    CHECK(why == again);
    if (!why) {
        CHECK(jws.input.p == token.p && jws.input.n < token.n && token.p[jws.input.n] == '.');
        CHECK(jws.algorithm < ALG_NONE_KNOWN && jws.signature_size <= SIGNATURE_MOST && size <= TOKEN_MOST);
        check_claims(&jws);
        jws_end(&jws);
        jws_end(&other);
    }
    why = NULL;
    json_t *object = object_read(token, &why); /* without the armour, JSON is found sooner */
    CHECK(!object == !!why);
    json_decref(object);
    return 0;
}
