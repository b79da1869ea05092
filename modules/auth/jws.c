/* SPDX-License-Identifier: BSD-2-Clause */
#include "jws.h"

#include <string.h>

enum { DECODED_MOST = TOKEN_MOST / 4 * 3 };

static const char *const names[] = {
    [ALG_HS256] = "HS256", [ALG_RS256] = "RS256", [ALG_ES256] = "ES256", [ALG_EDDSA] = "EdDSA",
};

enum algorithm algorithm_of(const char *name)
{
    unsigned at = 0;

    while (at < ALG_NONE_KNOWN && strcmp(names[at], name) != 0)
        at++;
    return (enum algorithm)at;
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int base64url_decode(weir_str text, unsigned char *to, size_t room)
{
    uint32_t bits = 0;
    size_t n = 0;

    if (text.n % 4 == 1 || text.n / 4 * 3 + text.n % 4 > room + (text.n % 4 != 0))
        return -1;
    for (size_t i = 0; i < text.n; i++) {
        int digit = digit_of(text.p[i]);
        if (digit < 0)
            return -1;
        bits = (bits << 6 | (uint32_t)digit) & 0xffff;
        if (i % 4 != 0)
            to[n++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    uint32_t rest = text.n % 4 == 2 ? 0xf : text.n % 4 == 3 ? 0x3 : 0;
    return bits & rest ? -1 : (int)n;
}

/* The parser recurses: how deep is known before it begins. */
static bool is_shallow(weir_str text)
{
    bool is_quoted = false;
    unsigned depth = 0;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (is_quoted && c == '\\')
            i++;
        else if (c == '"')
            is_quoted = !is_quoted;
        else if (!is_quoted && (c == '{' || c == '[') && ++depth > DEPTH_MOST)
            return false;
        else if (!is_quoted && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return true;
}

json_t *object_read(weir_str text, const char **why)
{
    json_error_t error;
    json_t *value = NULL;

    if (!is_shallow(text))
        *why = "its JSON is nested too deep";
    else if (!(value = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &error)))
        *why = json_error_code(&error) == json_error_duplicate_key ? "a name stands twice in its JSON"
                                                                   : "a part of it is not JSON";
    else if (!json_is_object(value)) {
        *why = "a part of it is not a JSON object";
        json_decref(value);
        value = NULL;
    }
    return value;
}

static json_t *part_read(weir_str part, const char **why)
{
    unsigned char text[DECODED_MOST];
    int n = base64url_decode(part, text, sizeof(text));

    if (n < 0) {
        *why = "a part of it is not base64url";
        return NULL;
    }
    return object_read((weir_str){ (const char *)text, (size_t)n }, why);
}

/* Exactly two dots, and something before, between and behind them. */
static const char *split(weir_str token, struct jws *jws, weir_str *header, weir_str *signature)
{
    if (token.n > TOKEN_MOST)
        return "longer than 8 KiB";
    const char *one = token.n ? memchr(token.p, '.', token.n) : NULL, *end = token.p + token.n;
    const char *two = one ? memchr(one + 1, '.', (size_t)(end - one - 1)) : NULL;

    if (!two || one == token.p || two == one + 1 || two + 1 == end || memchr(two + 1, '.', (size_t)(end - two - 1)))
        return "not three parts";
    *header = (weir_str){ token.p, (size_t)(one - token.p) };
    jws->claims = (weir_str){ one + 1, (size_t)(two - one - 1) };
    jws->input = (weir_str){ token.p, (size_t)(two - token.p) };
    *signature = (weir_str){ two + 1, (size_t)(end - two - 1) };
    return NULL;
}

static const char *read_header(struct jws *jws)
{
    const json_t *alg = json_object_get(jws->header, "alg"), *kid = json_object_get(jws->header, "kid");

    if (json_object_get(jws->header, "crit"))
        return "it has extensions that must be understood (crit)";
    if (!json_is_string(alg) || (jws->algorithm = algorithm_of(json_string_value(alg))) == ALG_NONE_KNOWN)
        return "its algorithm is none of HS256, RS256, ES256 and EdDSA";
    if (kid && !json_is_string(kid))
        return "its kid is no string";
    if (kid)
        jws->kid = (weir_str){ json_string_value(kid), json_string_length(kid) };
    return NULL;
}

const char *jws_read(struct jws *jws, weir_str token)
{
    weir_str header, signature;

    jws->header = NULL;
    jws->kid = (weir_str){ NULL, 0 };
    const char *why = split(token, jws, &header, &signature);
    if (why)
        return why;
    int n = base64url_decode(signature, jws->signature, sizeof(jws->signature));
    if (n < 0)
        return "its signature is not base64url, or too long";
    jws->signature_size = (size_t)n;
    if (!(jws->header = part_read(header, &why)))
        return why;
    why = read_header(jws);
    if (why)
        jws_end(jws);
    return why;
}

void jws_end(struct jws *jws)
{
    json_decref(jws->header);
    jws->header = NULL;
}

json_t *jws_claims(const struct jws *jws, const char **why)
{
    return part_read(jws->claims, why);
}
