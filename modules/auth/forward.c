/* SPDX-License-Identifier: BSD-2-Clause */
/* forward.c: another server decides: it is shown the request's head, and its 2xx lets the request in; anything else is
 * what the client gets (its login page, usually). */
#include "auth.h"

#include <string.h>

enum { FIELDS_MOST = 128, ANSWER_MOST = 1024 * 1024 };

#define NAME(Text) { Text, sizeof(Text) - 1 }

/* Of the connection, of a body that is not sent along, or written anew. */
static const weir_str not_asked_with[] = {
    NAME("Connection"), NAME("Content-Encoding"), NAME("Content-Length"), NAME("Content-Type"), NAME("Expect"),
    NAME("Forwarded"), NAME("Host"), NAME("HTTP2-Settings"), NAME("Keep-Alive"), NAME("Proxy-Connection"), NAME("TE"),
    NAME("Trailer"), NAME("Transfer-Encoding"), NAME("Upgrade"), NAME("X-Forwarded-For"), NAME("X-Forwarded-Host"),
    NAME("X-Forwarded-Method"), NAME("X-Forwarded-Port"), NAME("X-Forwarded-Proto"), NAME("X-Forwarded-Uri"),
    NAME("X-Real-IP"), NAME("If-None-Match"), NAME("If-Modified-Since"), NAME("If-Match"), NAME("If-Unmodified-Since"),
    NAME("If-Range"), NAME("Range"),
};

static const weir_str not_answered_with[] = {
    NAME("Connection"), NAME("Content-Length"), NAME("Date"), NAME("Keep-Alive"), NAME("Proxy-Connection"),
    NAME("Trailer"), NAME("Transfer-Encoding"), NAME("Upgrade"), NAME("Server"),
};

static const weir_str authelia[] = {
    NAME("Remote-User"), NAME("Remote-Groups"), NAME("Remote-Email"), NAME("Remote-Name"),
};
static const weir_str authentik[] = {
    NAME("X-authentik-username"), NAME("X-authentik-groups"), NAME("X-authentik-entitlements"),
    NAME("X-authentik-email"),
    NAME("X-authentik-name"), NAME("X-authentik-uid"), NAME("X-authentik-jwt"), NAME("X-authentik-meta-jwks"),
    NAME("X-authentik-meta-outpost"), NAME("X-authentik-meta-provider"), NAME("X-authentik-meta-app"),
    NAME("X-authentik-meta-version"),
};
static const weir_str oauth2_proxy[] = {
    NAME("X-Auth-Request-User"), NAME("X-Auth-Request-Email"), NAME("X-Auth-Request-Groups"),
    NAME("X-Auth-Request-Preferred-Username"), NAME("X-Auth-Request-Access-Token"),
};

static const struct {
    weir_table copy;
    weir_str path; /* when the URL has none */
} presets[] = {
    [PRESET_AUTHELIA] = { WEIR_TABLE(authelia), NAME("/api/authz/forward-auth") },
    [PRESET_AUTHENTIK] = { WEIR_TABLE(authentik), NAME("/outpost.goauthentik.io/auth/traefik") },
    [PRESET_OAUTH2_PROXY] = { WEIR_TABLE(oauth2_proxy), NAME("/") },
    [PRESET_TINYAUTH] = { WEIR_TABLE(authelia), NAME("/api/auth/traefik") },
};

static weir_str text_at(const weir_table *table, uint32_t i)
{
    return *(const weir_str *)(const void *)((const char *)table->base + (size_t)i * table->stride);
}

static bool is_among(weir_str name, const weir_str *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (auth_names_equal(name, names[i]))
            return true;
    return false;
}

#define IS_AMONG(Name, Names) is_among(Name, Names, sizeof(Names) / sizeof((Names)[0]))

/* -- the answer ---------------------------------------------------------------------------------------------------- */

/* All of that name in the answer, as one value. */
static weir_str joined(weir_req *r, const weir_table *fields, weir_str name)
{
    const char *at = fields->base;
    weir_str all = { NULL, 0 };

    for (uint32_t i = 0; i < fields->count; i++, at += fields->stride) {
        const struct weir_field *field = (const struct weir_field *)(const void *)at;
        if (!auth_names_equal(field->name, name))
            continue;
        all = all.p ? weir_printf(r, "%.*s, %.*s", (int)all.n, all.p, (int)field->value.n, field->value.p)
                    : weir_printf(r, "%.*s", (int)field->value.n, field->value.p);
    }
    return all;
}

static weir_str copy_listed(weir_req *r, const weir_table *names, const weir_table *fields)
{
    weir_str first = { NULL, 0 };

    for (uint32_t i = 0; i < names->count; i++) {
        weir_str name = text_at(names, i), value = joined(r, fields, name);
        if (value.p && weir_req_set(r, name, value) == 0 && !first.n)
            first = value;
    }
    return first;
}

static void pass_cookies(weir_req *r, const weir_table *fields)
{
    const char *at = fields->base;

    for (uint32_t i = 0; i < fields->count; i++, at += fields->stride) {
        const struct weir_field *field = (const struct weir_field *)(const void *)at;
        if (auth_names_equal(field->name, WEIR_S("Set-Cookie")))
            weir_field_add(r, WEIR_OF_RESPONSE, field->name, field->value);
    }
}

static weir_verdict pass_on(weir_req *r, const struct weir_fetched *answer)
{
    const char *at = answer->fields.base;

    weir_count(r, METRIC_REFUSED, 1);
    for (uint32_t i = 0; i < answer->fields.count; i++, at += answer->fields.stride) {
        const struct weir_field *field = (const struct weir_field *)(const void *)at;
        if (!IS_AMONG(field->name, not_answered_with))
            weir_field_add(r, WEIR_OF_RESPONSE, field->name, field->value);
    }
    weir_fail(r, "the authentication server answered %u", (unsigned)answer->status);
    return weir_reply(r, answer->status, answer->content);
}

static void on_answer(weir_req *r, const struct weir_fetched *answer, void *ctx_)
{
    struct ctx *ctx = ctx_;
    const struct conf *conf = ctx->conf;

    if (answer->status == 0) {
        weir_req_log(r, WEIR_LOG_ERROR, "auth: %.*s: %s", (int)conf->target.n, conf->target.p, answer->why);
        weir_count(r, METRIC_UNAVAILABLE, 1);
        weir_resume(ctx->token, weir_refuse(r, 503, "the authentication server does not answer"));
        return;
    }
    if (answer->status < 200 || answer->status > 299) {
        weir_resume(ctx->token, pass_on(r, answer));
        return;
    }
    weir_str user = copy_listed(r, &conf->copy, &answer->fields);
    weir_str preset_user = copy_listed(r, &conf->preset_copy, &answer->fields);
    pass_cookies(r, &answer->fields);
    weir_resume(ctx->token, auth_admit(r, ctx, preset_user.n ? preset_user : user));
}

/* -- the question -------------------------------------------------------------------------------------------------- */

weir_verdict forward_decide(weir_req *r, const struct conf *conf, struct ctx *ctx)
{
    struct weir_field fields[FIELDS_MOST + 2];
    uint32_t count = 0, cursor = 0;
    weir_str name, value;

    if (weir_is_dry(r))
        return WEIR_SUSPEND;
    while (count < FIELDS_MOST && weir_field_next(r, WEIR_OF_REQUEST, &cursor, &name, &value))
        if (!IS_AMONG(name, not_asked_with))
            fields[count++] = (struct weir_field){ name, value };
    fields[count++] = (struct weir_field){ WEIR_S("X-Forwarded-Method"), weir_method(r) };
    fields[count++] = (struct weir_field){ WEIR_S("X-Forwarded-Uri"), weir_part(r, WEIR_PART_URI) };
    const struct weir_fetch what = {
        .size = sizeof(what), .flags = WEIR_FETCH_FOR_CLIENT, .upstream = conf->upstream,
        .target = conf->upstream_target, .fields = { fields, count, sizeof(fields[0]) }, .timeout = conf->timeout,
        .limit = ANSWER_MOST,
    };
    ctx->token = weir_suspend(r, conf->timeout + 1000, WEIR_FAIL);
    if (weir_fetch(r, &what, on_answer, ctx) == 0)
        return WEIR_SUSPEND;
    return weir_fail(r, "the authentication server cannot be asked");
}

/* -- configuration ------------------------------------------------------------------------------------------------- */

static bool url_has_path(weir_str url)
{
    size_t at = 0;

    while (at + 2 < url.n && memcmp(url.p + at, "://", 3) != 0)
        at++;
    return at + 2 < url.n && memchr(url.p + at + 3, '/', url.n - at - 3);
}

const weir_table *forward_preset_fields(uint32_t preset)
{
    return &presets[preset].copy;
}

int forward_check(weir_conf *c, struct conf *conf)
{
    (void)c;
    if (conf->preset == PRESET_NONE)
        return 0;
    conf->preset_copy = presets[conf->preset].copy;
    if (!url_has_path(conf->target))
        conf->upstream_target = presets[conf->preset].path;
    return 0;
}
