/* SPDX-License-Identifier: BSD-2-Clause */
/* claims.h: whether what a verified token says is what is asked for.
 * Errors:  why not, in static text; NULL: it holds.
 * Source:  RFC 7519 4.1. */
#ifndef AUTH_CLAIMS_H
#define AUTH_CLAIMS_H

#include <jansson.h>
#include <weir/weir.h>

struct claim_rules {
    weir_str issuer;     /* empty: anybody */
    weir_table audience; /* of weir_str: one of them; none: tokens without aud alone */
    weir_table claims;   /* of weir_str, NAME:VALUE: all of them */
    uint64_t leeway;     /* ms */
};

const char *claims_check(const json_t *claims, const struct claim_rules *rules, uint64_t now_ms);
bool claim_rule_is_fine(weir_str rule); /* NAME:VALUE */

#endif
