/* SPDX-License-Identifier: BSD-2-Clause */
#include "claims.h"

#include <stdio.h>
#include <string.h>

static bool is_text(const json_t *value, weir_str text)
{
    return json_is_string(value) && json_string_length(value) == text.n &&
           memcmp(json_string_value(value), text.p, text.n) == 0;
}

static weir_str text_at(const weir_table *table, uint32_t i)
{
    return *(const weir_str *)(const void *)((const char *)table->base + (size_t)i * table->stride);
}

/* -- time ---------------------------------------------------------------------------------------------------------- */

/* NumericDate: seconds, with a fraction if need be. False: there is one, but of another type. */
static bool read_date(const json_t *claims, const char *name, double fallback, double *seconds)
{
    const json_t *value = json_object_get(claims, name);

    *seconds = value ? json_number_value(value) : fallback;
    return !value || json_is_number(value);
}

static const char *check_time(const json_t *claims, uint64_t leeway_ms, uint64_t now_ms)
{
    double now = (double)now_ms / 1000, leeway = (double)leeway_ms / 1000, exp, nbf;

    if (!read_date(claims, "exp", now + 1, &exp) || !read_date(claims, "nbf", 0, &nbf))
        return "its exp or nbf is no number";
    if (now >= exp + leeway)
        return "it has expired";
    return now + leeway < nbf ? "it is not valid yet" : NULL;
}

/* -- claims that say something ------------------------------------------------------------------------------------- */

static bool is_value(const json_t *value, weir_str text)
{
    char number[32];

    if (json_is_boolean(value))
        snprintf(number, sizeof(number), "%s", json_is_true(value) ? "true" : "false");
    else if (json_is_integer(value))
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        return is_text(value, text);
    return strlen(number) == text.n && memcmp(number, text.p, text.n) == 0;
}

/* The value itself, or one of a list. */
static bool has_value(const json_t *value, weir_str text)
{
    const json_t *one;
    size_t i;

    if (!json_is_array(value))
        return is_value(value, text);
    json_array_foreach(value, i, one)
        if (is_value(one, text))
            return true;
    return false;
}

static bool is_for_us(const json_t *aud, const weir_table *audience)
{
    for (uint32_t i = 0; i < audience->count; i++)
        if (has_value(aud, text_at(audience, i)))
            return true;
    return !aud && !audience->count;
}

bool claim_rule_is_fine(weir_str rule)
{
    const char *colon = rule.n ? memchr(rule.p, ':', rule.n) : NULL;

    return colon && colon != rule.p && colon + 1 != rule.p + rule.n;
}

static bool holds(const json_t *claims, weir_str rule)
{
    const char *colon = memchr(rule.p, ':', rule.n);
    size_t name = colon ? (size_t)(colon - rule.p) : rule.n;

    return colon && has_value(json_object_getn(claims, rule.p, name),
                              (weir_str){ colon + 1, rule.n - name - 1 });
}

const char *claims_check(const json_t *claims, const struct claim_rules *rules, uint64_t now_ms)
{
    const json_t *sub = json_object_get(claims, "sub");
    const char *why = check_time(claims, rules->leeway, now_ms);

    if (why)
        return why;
    if (sub && !json_is_string(sub))
        return "its sub is no string";
    if (rules->issuer.n && !is_text(json_object_get(claims, "iss"), rules->issuer))
        return "it is from another issuer";
    if (!is_for_us(json_object_get(claims, "aud"), &rules->audience))
        return "it is for another audience";
    for (uint32_t i = 0; i < rules->claims.count; i++)
        if (!holds(claims, text_at(&rules->claims, i)))
            return "a claim that is asked for is missing, or another";
    return NULL;
}
