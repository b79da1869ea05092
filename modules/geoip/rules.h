/* SPDX-License-Identifier: BSD-2-Clause */
/* rules.h: geoip_allow and geoip_deny: which places may come in.
 *
 * Shape:   a rule is a list of terms (DE, continent:EU, AS64496, unknown, all) and lets in or refuses; the first rule
 *          with a term that fits decides, inner scopes first. Where none fits, an address is let in unless there is a
 *          geoip_allow: who names whom to let in wants nobody else.
 * Owner:   the snapshot. */
#ifndef GEOIP_RULES_H
#define GEOIP_RULES_H

#include "place.h"

#include <weir/weir.h>

enum term_kind { TERM_ALL, TERM_UNKNOWN, TERM_COUNTRY, TERM_CONTINENT, TERM_ASN };

struct term {
    enum term_kind kind;
    char code[2];
    uint32_t asn;
};

struct rule {
    struct weir_place place;
    weir_table words; /* of weir_str, as written */
    struct term *terms;
    bool denies;
    const char *reason;
};

/* Reads one word; 0, or -1 with what is wrong in *why (static). */
int term_parse(weir_str word, struct term *term, const char **why);
int rule_compile(weir_conf *c, struct rule *rule); /* words to terms, and the reason a refusal tells */

/* NULL: let in; else why not. rules: of struct rule. */
const char *rules_refuse(const weir_table *rules, const struct place *place);

#endif
