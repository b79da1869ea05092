/* SPDX-License-Identifier: BSD-2-Clause */
/* jwt.c: a signed token with each request (RFC 6750), verified on the worker itself: a signature costs well below a
 * millisecond. Nothing is remembered, so a key that is taken away ends its tokens at once. */
#include "auth.h"
#include "claims.h"
#include "jwk.h"

#include <string.h>

int jwt_load(weir_mod *mod)
{
    json_object_seed(0);
    return jwk_load() == 0 ? 0 : weir_mod_error(mod, "OpenSSL has no SHA-256");
}

/* -- where the token is -------------------------------------------------------------------------------------------- */

static weir_str trimmed(weir_str text)
{
    while (text.n && (text.p[0] == ' ' || text.p[0] == '\t'))
        text = (weir_str){ text.p + 1, text.n - 1 };
    while (text.n && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t'))
        text.n--;
    return text;
}

static bool begins_with_bearer(weir_str value)
{
    static const char scheme[] = "bearer ";

    if (value.n < sizeof(scheme) - 1)
        return false;
    for (size_t i = 0; i < sizeof(scheme) - 1; i++)
        if ((value.p[i] | 0x20) != scheme[i] && value.p[i] != scheme[i])
            return false;
    return value.p[sizeof(scheme) - 2] == ' ';
}

struct search {
    weir_str token;
    unsigned count;
};

static void search_cookies(weir_str list, weir_str name, struct search *search)
{
    while (list.n) {
        const char *end = memchr(list.p, ';', list.n);
        size_t n = end ? (size_t)(end - list.p) : list.n;
        weir_str pair = trimmed((weir_str){ list.p, n });
        if (pair.n > name.n && memcmp(pair.p, name.p, name.n) == 0 && pair.p[name.n] == '=') {
            search->token = (weir_str){ pair.p + name.n + 1, pair.n - name.n - 1 };
            search->count++;
        }
        n += end != NULL;
        list = (weir_str){ list.p + n, list.n - n };
    }
}

/* All of them are counted: of two, weir and the origin might each take another. */
static struct search find_token(weir_req *r, const struct conf *conf)
{
    struct search fields = { { NULL, 0 }, 0 }, cookies = { { NULL, 0 }, 0 };
    unsigned others = 0;
    uint32_t cursor = 0;
    weir_str name, value;

    while (weir_field_next(r, WEIR_OF_REQUEST, &cursor, &name, &value)) {
        if (auth_names_equal(name, WEIR_S("Authorization"))) {
            if (begins_with_bearer(value)) {
                fields.token = trimmed((weir_str){ value.p + 7, value.n - 7 });
                fields.count++;
            } else {
                others++;
            }
        } else if (conf->cookie.n && auth_names_equal(name, WEIR_S("Cookie"))) {
            search_cookies(value, conf->cookie, &cookies);
        }
    }
    if (fields.count)
        fields.count += others;
    return fields.count ? fields : cookies;
}

/* -- deciding ------------------------------------------------------------------------------------------------------ */

static weir_verdict challenge(weir_req *r, weir_str how, const char *reason)
{
    if (!weir_is_dry(r))
        weir_count(r, METRIC_REFUSED, 1);
    weir_rsp_set(r, WEIR_S("WWW-Authenticate"), how);
    return weir_refuse(r, 401, reason);
}

static const char *check_claims(weir_req *r, const struct conf *conf, const struct jws *jws, weir_str *user)
{
    const struct claim_rules rules = {
        .issuer = conf->issuer, .audience = conf->audience, .claims = conf->claims, .leeway = conf->leeway,
    };
    const char *why = NULL;
    json_t *claims = jws_claims(jws, &why);

    if (!claims)
        return why;
    why = claims_check(claims, &rules, weir_now(WEIR_NOW_WALL_MS));
    const json_t *sub = json_object_get(claims, "sub");
    if (!why && sub) {
        *user = weir_printf(r, "%s", json_string_value(sub));
        if (!user->p)
            why = "no memory for its sub";
    }
    json_decref(claims);
    return why;
}

weir_verdict jwt_decide(weir_req *r, const struct conf *conf, struct ctx *ctx)
{
    struct search found = find_token(r, conf);
    weir_str user = { NULL, 0 };
    struct jws jws;

    if (!found.count)
        return challenge(r, conf->challenge, "no token");
    if (found.count > 1)
        return challenge(r, conf->challenge_invalid, "more than one token");
    const char *why = jws_read(&jws, found.token);
    if (!why) {
        why = jwk_verify(conf->keys, &jws);
        if (!why)
            why = check_claims(r, conf, &jws, &user);
        jws_end(&jws);
    }
    return why ? challenge(r, conf->challenge_invalid, why) : auth_admit(r, ctx, user);
}

/* -- configuration ------------------------------------------------------------------------------------------------- */

static bool is_cookie_name(weir_str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] == 0x7f || strchr("()<>@,;:\\\"/[]?={}", name.p[i]))
            return false;
    return true;
}

static int check_rules(weir_conf *c, const struct conf *conf)
{
    const char *at = conf->claims.base;

    for (uint32_t i = 0; i < conf->claims.count; i++, at += conf->claims.stride)
        if (!claim_rule_is_fine(*(const weir_str *)(const void *)at))
            return weir_conf_error_at(c, &conf->place, "claim=NAME:VALUE: a colon, and something on both sides of it");
    if (!is_cookie_name(conf->cookie))
        return weir_conf_error_at(c, &conf->place, "cookie: that is no cookie's name");
    return 0;
}

int jwt_check(weir_conf *c, struct conf *conf)
{
    weir_str path = conf->key.n ? conf->key : conf->jwks, content;
    char why[WHY_MOST];

    if (check_rules(c, conf) != 0 || weir_conf_read_file(c, path, &content) != 0)
        return -1;
    if (!auth_quote(c, conf, "Bearer realm=", "", &conf->challenge) ||
        !auth_quote(c, conf, "Bearer realm=", ", error=\"invalid_token\"", &conf->challenge_invalid))
        return -1;
    conf->keys = conf->key.n ? key_open(path.p, content, why) : key_set_open(path.p, content, why);
    return conf->keys ? 0 : weir_conf_error_at(c, &conf->place, "%.*s: %s", (int)path.n, path.p, why);
}
