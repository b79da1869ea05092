/* SPDX-License-Identifier: BSD-2-Clause */
#include "auth.h"

#include "watched.h"

#include <stdatomic.h>
#include <string.h>

enum { LOOK_EVERY_MS = 1000, LEEWAY_MOST_MS = 10 * 60 * 1000 };

weir_mod *auth_mod;
static atomic_bool is_looking;

/* -- identity ------------------------------------------------------------------------------------------------------ */

static char plain(char c)
{
    return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool auth_names_equal(weir_str a, weir_str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (plain(a.p[i]) != plain(b.p[i]))
            return false;
    return true;
}

static bool is_listed(weir_str name, const weir_table *names)
{
    const char *at = names->base;

    for (uint32_t i = 0; i < names->count; i++, at += names->stride)
        if (auth_names_equal(name, *(const weir_str *)(const void *)at))
            return true;
    return false;
}

/* What origins take for the word of whoever authenticates. */
static bool is_identity(weir_str name, const struct conf *conf)
{
    static const char remote[] = "remote-";
    size_t i = 0;

    while (i < sizeof(remote) - 1 && i < name.n && plain(name.p[i]) == remote[i])
        i++;
    return i == sizeof(remote) - 1 || is_listed(name, &conf->copy) ||
           is_listed(name, forward_preset_fields(conf->preset_known));
}

/* Before anybody is asked, whatever the outcome: a client does not say who it is in these fields, in no spelling. Where
 * authentication is off for once, or an address is enough, origins take them for somebody's word all the same. */
static weir_verdict strip_identity(weir_req *r, const void *conf_, void *ctx)
{
    const struct conf *conf = conf_;
    weir_str name, value;
    bool found;

    (void)ctx;
    do {
        uint32_t cursor = 0;
        found = false;
        while (!found && weir_field_next(r, WEIR_OF_REQUEST, &cursor, &name, &value))
            found = is_identity(name, conf);
    } while (found && weir_field_remove(r, WEIR_OF_REQUEST, name) > 0);
    return WEIR_NEXT;
}

weir_verdict auth_admit(weir_req *r, struct ctx *ctx, weir_str user)
{
    if (!weir_is_dry(r))
        weir_count(r, METRIC_ADMITTED, 1);
    ctx->user = user;
    if (user.n && weir_req_set(r, WEIR_S("Remote-User"), user) != 0)
        return weir_refuse(r, 403, "a user's name that no field can hold");
    return WEIR_SKIP;
}

static weir_verdict decide(weir_req *r, const void *conf_, void *ctx_)
{
    const struct conf *conf = conf_;
    struct ctx *ctx = ctx_;

    ctx->conf = conf;
    switch (conf->kind) {
    case AUTH_BASIC:   return basic_decide(r, conf, ctx);
    case AUTH_FORWARD: return forward_decide(r, conf, ctx);
    case AUTH_JWT:     return jwt_decide(r, conf, ctx);
    case AUTH_CERT:    return cert_decide(r, conf, ctx);
    default:           return WEIR_NEXT;
    }
}

static int get_user(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    (void)r;
    (void)conf;
    (void)rest;
    *value = ((const struct ctx *)ctx)->user;
    return value->n ? 0 : -1;
}

/* -- files --------------------------------------------------------------------------------------------------------- */

static void told(const char *path, const char *why)
{
    if (why)
        weir_log(WEIR_LOG_ERROR, "auth: %s was replaced by what cannot be used (%s): what was read before stays",
                 path, why);
    else
        weir_log(WEIR_LOG_NOTICE, "auth: %s was replaced and read", path);
    weir_mod_note(auth_mod, path, WEIR_LOG_WARN, why ? "cannot be used as it is now: %s" : "%s", why ? why : "");
}

static void look(void *arg)
{
    (void)arg;
    watched_look(told);
    atomic_store(&is_looking, false);
}

static void on_timer(weir_mod *mod, void *slot)
{
    static const struct weir_mod_job_calls calls = { .work = look };

    (void)slot;
    if (!atomic_exchange(&is_looking, true) && weir_mod_job(mod, &calls, NULL) != 0)
        atomic_store(&is_looking, false);
}

static int thread_up(weir_mod *mod, void *slot)
{
    return weir_thread_timer(mod, LOOK_EVERY_MS, on_timer, slot) ? 0 : -1;
}

static int load(weir_mod *mod)
{
    auth_mod = mod;
    return basic_load(mod) == 0 ? jwt_load(mod) : -1;
}

/* -- configuration ------------------------------------------------------------------------------------------------- */

bool auth_quote(weir_conf *c, const struct conf *conf, const char *before, const char *behind, weir_str *out)
{
    char *text = weir_conf_alloc(c, strlen(before) + strlen(behind) + 2 * conf->realm.n + 3), *at = text;

    for (size_t i = 0; i < conf->realm.n; i++)
        if ((unsigned char)conf->realm.p[i] < ' ' || conf->realm.p[i] == 0x7f)
            return weir_conf_error_at(c, &conf->place, "a realm holds no control characters") == 0;
    if (!text)
        return weir_conf_error(c, "no memory") == 0;
    for (; *before; before++)
        *at++ = *before;
    *at++ = '"';
    for (size_t i = 0; i < conf->realm.n; i++) {
        if (conf->realm.p[i] == '"' || conf->realm.p[i] == '\\')
            *at++ = '\\';
        *at++ = conf->realm.p[i];
    }
    *at++ = '"';
    for (; *behind; behind++)
        *at++ = *behind;
    *out = (weir_str){ text, (size_t)(at - text) };
    return true;
}

static void forget(weir_str *option, const void **said)
{
    if (option->p == *said)
        *option = (weir_str){ NULL, 0 };
    *said = option->p;
}

static void forget_list(weir_table *option, const void **said)
{
    if (option->base == *said)
        *option = (weir_table){ NULL, 0, 0 };
    *said = option->base;
}

/* What came from the outer scope: a key from there would be one too many, a claim one that nobody wrote here. */
static void forget_outer(struct conf *conf)
{
    struct said *said = &conf->said;

    if (conf->kind == AUTH_JWT || conf->kind == AUTH_CERT)
        forget(&conf->target, &said->target);
    said->target = conf->target.p;
    forget(&conf->key, &said->key);
    forget(&conf->jwks, &said->jwks);
    forget(&conf->cookie, &said->cookie);
    forget_list(&conf->claims, &said->claims);
    forget_list(&conf->audience, &said->audience);
    forget(&conf->leeway_text, &said->leeway);
    forget(&conf->issuer, &said->issuer);
    forget(&conf->subject, &said->subject);
    forget(&conf->san, &said->san);
}

/* Options that only one kind has. */
static int check_options(weir_conf *c, const struct conf *conf)
{
    bool has_jwt = conf->key.n || conf->jwks.n || conf->cookie.n || conf->claims.count || conf->audience.count ||
                   conf->leeway_text.n;
    bool has_cert = conf->subject.n || conf->san.n;

    if (conf->kind != AUTH_JWT && has_jwt)
        return weir_conf_error(c, "key, jwks, cookie, claim, audience and leeway are options of auth jwt");
    if (conf->kind != AUTH_CERT && has_cert)
        return weir_conf_error(c, "subject and san are options of auth cert");
    if (conf->kind != AUTH_JWT && conf->kind != AUTH_CERT && conf->issuer.n)
        return weir_conf_error(c, "issuer is an option of auth jwt and auth cert");
    return 0;
}

static int set_jwt(weir_conf *c, struct conf *conf)
{
    if (!conf->key.n == !conf->jwks.n)
        return weir_conf_error(c, "auth jwt: either key=FILE (a public key, or a secret) or jwks=FILE");
    conf->leeway = 0;
    if (conf->leeway_text.n && weir_conf_value(c, WEIR_TYPE_DURATION, conf->leeway_text, &conf->leeway) != 0)
        return -1;
    return conf->leeway <= LEEWAY_MOST_MS ? 0 : weir_conf_error(c, "auth jwt: leeway is at most 10m");
}

static int set_auth(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct conf *conf = to;

    (void)directive;
    forget_outer(conf);
    if (conf->preset != PRESET_NONE)
        conf->preset_known = conf->preset;
    if (check_options(c, conf) != 0)
        return -1;
    if (conf->kind == AUTH_OFF)
        return 0;
    if (conf->kind == AUTH_JWT || conf->kind == AUTH_CERT) {
        if (conf->target.n)
            return weir_conf_error(c, "auth jwt and auth cert take options alone: key=FILE, subject=PATTERN");
        return conf->kind == AUTH_JWT ? set_jwt(c, conf) : 0;
    }
    if (!conf->target.n)
        return weir_conf_error(c, conf->kind == AUTH_BASIC ? "auth basic FILE: the file of names and hashes is missing"
                                                           : "auth forward URL: the server to ask is missing");
    if (conf->kind == AUTH_BASIC)
        return weir_conf_value(c, WEIR_TYPE_PATH, conf->target, &conf->path);
    return weir_conf_value(c, WEIR_TYPE_UPSTREAM, conf->target, &conf->upstream);
}

static int check_kind(weir_conf *c, struct conf *conf)
{
    switch (conf->kind) {
    case AUTH_BASIC:   return basic_check(c, conf);
    case AUTH_FORWARD: return forward_check(c, conf);
    case AUTH_JWT:     return jwt_check(c, conf);
    default:           return cert_check(c, conf);
    }
}

static int check(weir_conf *c, void *scope)
{
    struct conf *conf = scope;

    conf->passwords = conf->keys = NULL;
    conf->preset_copy = (weir_table){ NULL, 0, 0 };
    conf->upstream_target = (weir_str){ NULL, 0 };
    if (conf->kind == AUTH_OFF) /* where nobody has said a word on it, fields mean what origins want them to */
        return conf->place.line ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
    return check_kind(c, conf) == 0 ? WEIR_CONF_OK : WEIR_CONF_ERROR;
}

static void drop(void *scope)
{
    watched_close(((struct conf *)scope)->passwords);
    watched_close(((struct conf *)scope)->keys);
}

static const struct weir_arg args[] = {
    { .name = "KIND", .type = WEIR_TYPE_ENUM, .choices = "off|basic|forward|jwt|cert", .fallback = "off",
      .offset = WEIR_FIELD(struct conf, kind, WEIR_C_ENUM) },
    { .name = "FILE|URL", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTIONAL, .offset = offsetof(struct conf, target) },
    { .name = "realm", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION, .fallback = "restricted",
      .offset = offsetof(struct conf, realm) },
    { .name = "copy", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION | WEIR_ARG_LIST,
      .offset = offsetof(struct conf, copy) },
    { .name = "preset", .type = WEIR_TYPE_ENUM, .flags = WEIR_ARG_OPTION, .fallback = "none",
      .choices = "none|authelia|authentik|oauth2-proxy|tinyauth",
      .offset = WEIR_FIELD(struct conf, preset, WEIR_C_ENUM) },
    { .name = "timeout", .type = WEIR_TYPE_DURATION, .flags = WEIR_ARG_OPTION, .fallback = "10s", .min = 1,
      .max = 10 * 60 * 1000, .offset = offsetof(struct conf, timeout) },
    { .name = "key", .type = WEIR_TYPE_PATH, .flags = WEIR_ARG_OPTION, .offset = offsetof(struct conf, key) },
    { .name = "jwks", .type = WEIR_TYPE_PATH, .flags = WEIR_ARG_OPTION, .offset = offsetof(struct conf, jwks) },
    { .name = "cookie", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION, .offset = offsetof(struct conf, cookie) },
    { .name = "claim", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION | WEIR_ARG_LIST,
      .offset = offsetof(struct conf, claims) },
    { .name = "audience", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION | WEIR_ARG_LIST,
      .offset = offsetof(struct conf, audience) },
    { .name = "issuer", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION, .offset = offsetof(struct conf, issuer) },
    { .name = "leeway", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION,
      .offset = offsetof(struct conf, leeway_text) },
    { .name = "subject", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION, .offset = offsetof(struct conf, subject) },
    { .name = "san", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION, .offset = offsetof(struct conf, san) },
    { .name = "PLACE", .type = WEIR_TYPE_PLACE, .offset = WEIR_FIELD(struct conf, place, WEIR_C_PLACE) },
};

static const struct weir_directive directives[] = {
    { .name = "auth", .scopes = WEIR_IN_HTTP, .args = WEIR_TABLE(args), .set = set_auth,
      .doc = "who may come in: basic: names and passwords in a file; forward: whom another server lets in; jwt: who "
             "shows a signed token; cert: who has a client certificate" },
};

static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_AUTH, .slot = WEIR_EARLY, .flags = WEIR_DECIDES | WEIR_DRY_OK, .name = "auth-identity",
      .before = "address-rules", .req = strip_identity },
    { .stage = WEIR_AT_AUTH, .flags = WEIR_DECIDES | WEIR_DRY_OK, .provides = "identity", .after = "address-rules",
      .req = decide },
};

static const struct weir_variable variables[] = {
    { "auth_user", "who the request was found to come from", WEIR_VAR_VOLATILE, 0, get_user },
};

static const struct weir_metric metrics[] = {
    [METRIC_ADMITTED] = { "admitted_total", "requests let in", WEIR_COUNTER, 0 },
    [METRIC_REFUSED] = { "refused_total", "requests refused, the first ones without credentials too", WEIR_COUNTER, 0 },
    [METRIC_DELAYED] = { "delayed_total", "refusals that were answered late, after others before", WEIR_COUNTER, 0 },
    [METRIC_UNAVAILABLE] = { "unavailable_total", "requests that could not be decided", WEIR_COUNTER, 0 },
};

WEIR_MODULE(auth, .version = "1.0.0", .license = "BSD-2-Clause",
            .summary = "passwords, tokens, certificates, or another server's word",
            .conf_size = sizeof(struct conf), .ctx_size = sizeof(struct ctx), .directives = WEIR_TABLE(directives),
            .hooks = WEIR_TABLE(hooks), .variables = WEIR_TABLE(variables), .metrics = WEIR_TABLE(metrics),
            .load = load, .check = check, .drop = drop, .thread_up = thread_up);
