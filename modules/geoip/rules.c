/* SPDX-License-Identifier: BSD-2-Clause */
#include "rules.h"

#include "countries.h"

#include <stdio.h>
#include <string.h>

static bool word_is(weir_str word, const char *text)
{
    return word.n == strlen(text) && memcmp(word.p, text, word.n) == 0;
}

static bool begins_with(weir_str word, const char *text)
{
    return word.n > strlen(text) && memcmp(word.p, text, strlen(text)) == 0;
}

static bool is_code(weir_str word, size_t at)
{
    return word.n == at + 2 && word.p[at] >= 'A' && word.p[at] <= 'Z' && word.p[at + 1] >= 'A' && word.p[at + 1] <= 'Z';
}

static int parse_asn(weir_str word, struct term *term, const char **why)
{
    uint64_t number = 0;

    for (size_t i = 2; i < word.n; i++) {
        if (word.p[i] < '0' || word.p[i] > '9' || (number = number * 10 + (uint64_t)(word.p[i] - '0')) > UINT32_MAX) {
            *why = "an AS number is AS and up to 4294967295: AS64496";
            return -1;
        }
    }
    *term = (struct term){ .kind = TERM_ASN, .asn = (uint32_t)number };
    return 0;
}

static const char *unknown_country(const char code[2])
{
    if (memcmp(code, "UK", 2) == 0)
        return "no such country: the United Kingdom's code is GB";
    if (memcmp(code, "EU", 2) == 0)
        return "no country: Europe is continent:EU";
    return "no such country: codes are those of ISO 3166-1, as in DE";
}

int term_parse(weir_str word, struct term *term, const char **why)
{
    if (word_is(word, "all") || word_is(word, "unknown")) {
        *term = (struct term){ .kind = word_is(word, "all") ? TERM_ALL : TERM_UNKNOWN };
        return 0;
    }
    if (begins_with(word, "continent:")) {
        const size_t at = sizeof("continent:") - 1;
        if (!is_code(word, at) || !continent_exists(word.p + at)) {
            *why = "continents are AF AN AS EU NA OC SA: continent:EU";
            return -1;
        }
        *term = (struct term){ .kind = TERM_CONTINENT, .code = { word.p[at], word.p[at + 1] } };
        return 0;
    }
    if (is_code(word, 0)) { /* AS alone is American Samoa */
        if (!country_exists(word.p)) {
            *why = unknown_country(word.p);
            return -1;
        }
        *term = (struct term){ .kind = TERM_COUNTRY, .code = { word.p[0], word.p[1] } };
        return 0;
    }
    if (begins_with(word, "AS"))
        return parse_asn(word, term, why);
    *why = "write a country in capitals (DE), continent:EU, AS64496, unknown or all";
    return -1;
}

static weir_str word_at(const struct rule *rule, uint32_t i)
{
    return *(const weir_str *)(const void *)((const char *)rule->words.base + (size_t)i * rule->words.stride);
}

int rule_compile(weir_conf *c, struct rule *rule)
{
    static const char words[] = "country rule ";
    size_t room = sizeof(words) + rule->place.file.n + sizeof(":4294967295");
    char *reason = weir_conf_alloc(c, room);
    const char *why = NULL;
    int rc = 0;

    rule->terms = weir_conf_alloc(c, rule->words.count * sizeof(*rule->terms));
    if (!rule->terms || !reason)
        return weir_conf_error(c, "no memory");
    for (uint32_t i = 0; i < rule->words.count; i++) {
        weir_str word = word_at(rule, i);
        if (term_parse(word, &rule->terms[i], &why) != 0)
            rc = weir_conf_error(c, "\"%.*s\": %s", (int)word.n, word.p, why);
    }
    snprintf(reason, room, "%s%.*s:%u", words, (int)rule->place.file.n, rule->place.file.p, rule->place.line);
    rule->reason = reason;
    return rc;
}

static bool term_fits(const struct term *term, const struct place *place)
{
    switch (term->kind) {
    case TERM_ALL:       return true;
    case TERM_UNKNOWN:   return !place->country[0];
    case TERM_COUNTRY:   return memcmp(term->code, place->country, 2) == 0;
    case TERM_CONTINENT: return memcmp(term->code, place->continent, 2) == 0;
    case TERM_ASN:       return place->asn && term->asn == place->asn;
    }
    return false;
}

static bool rule_fits(const struct rule *rule, const struct place *place)
{
    for (uint32_t i = 0; i < rule->words.count; i++)
        if (term_fits(&rule->terms[i], place))
            return true;
    return false;
}

const char *rules_refuse(const weir_table *rules, const struct place *place)
{
    const char *refusal = NULL, *at = rules->base;

    for (uint32_t i = 0; i < rules->count; i++, at += rules->stride) {
        const struct rule *rule = (const struct rule *)(const void *)at;
        if (rule_fits(rule, place))
            return rule->denies ? rule->reason : NULL;
        if (!rule->denies && !refusal)
            refusal = rule->reason; /* the list it is not on */
    }
    return refusal;
}
