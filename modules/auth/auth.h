/* SPDX-License-Identifier: BSD-2-Clause */
/* auth.h: what the files of the module share.
 *
 *     auth.c      directive, variables, which kind decides
 *     basic.c     RFC 7617: a name and a password        htpasswd.c  files of names and hashes, verifying one
 *     forward.c   another server decides                 apr1.c      the hash that only Apache has
 *     jwt.c       RFC 7519: a signed token               jws.c       taking one apart      jwk.c  keys, verifying
 *                                                        claims.c    what it must say
 *     cert.c      the client's certificate               pattern.c   names with `*`
 *     watched.c   files that are read anew when they are replaced
 *
 * Shape:   each kind is one function with the shape of a hook; SKIP means satisfied. */
#ifndef AUTH_H
#define AUTH_H

#include <weir/weir.h>

enum kind { AUTH_OFF, AUTH_BASIC, AUTH_FORWARD, AUTH_JWT, AUTH_CERT };
enum preset { PRESET_NONE, PRESET_AUTHELIA, PRESET_AUTHENTIK, PRESET_OAUTH2_PROXY, PRESET_TINYAUTH };

struct watched;

/* Where the outer scope's statement has its options: a statement of jwt or cert says everything itself. */
struct said {
    const void *target, *key, *jwks, *cookie, *claims, *audience, *leeway, *issuer, *subject, *san;
};

struct conf {
    uint32_t kind, preset;
    weir_str target;             /* FILE or URL, as written */
    weir_str realm;
    weir_table copy;             /* of weir_str: fields of the answer that the origin gets */
    weir_table preset_copy;      /* the preset's own, likewise */
    uint32_t preset_known;       /* this scope's or an outer one's: whose fields origins take for somebody's word */
    uint64_t timeout;            /* ms, of the other server */
    struct weir_place place;
    weir_str path;               /* basic: absolute */
    weir_upstream *upstream;     /* forward */
    weir_str upstream_target;    /* forward: when the URL has no path; empty: the URL's own */
    struct watched *passwords;   /* basic: this scope's reference */
    weir_str challenge;          /* basic, jwt: WWW-Authenticate */
    weir_str key, jwks, cookie;  /* jwt: one of the first two */
    weir_table claims, audience; /* jwt: of weir_str */
    weir_str leeway_text;        /* jwt */
    uint64_t leeway;             /* jwt: ms */
    weir_str issuer;             /* jwt: iss; cert: a pattern */
    weir_str subject, san;       /* cert: patterns */
    struct watched *keys;        /* jwt: this scope's reference */
    weir_str challenge_invalid;  /* jwt: WWW-Authenticate for a token that is none of ours */
    struct said said;
};

struct ctx {
    weir_token token;
    const struct conf *conf;
    weir_str user;
};

enum { METRIC_ADMITTED, METRIC_REFUSED, METRIC_DELAYED, METRIC_UNAVAILABLE };

extern weir_mod *auth_mod;

weir_verdict basic_decide(weir_req *r, const struct conf *conf, struct ctx *ctx);
int basic_load(weir_mod *mod); /* its tables, once */
int basic_check(weir_conf *c, struct conf *conf);

weir_verdict forward_decide(weir_req *r, const struct conf *conf, struct ctx *ctx);
int forward_check(weir_conf *c, struct conf *conf); /* the preset's fields and path */
const weir_table *forward_preset_fields(uint32_t preset);

int jwt_load(weir_mod *mod);
weir_verdict jwt_decide(weir_req *r, const struct conf *conf, struct ctx *ctx);
int jwt_check(weir_conf *c, struct conf *conf);

weir_verdict cert_decide(weir_req *r, const struct conf *conf, struct ctx *ctx);
int cert_check(weir_conf *c, struct conf *conf);

/* Text before and behind the realm as a quoted-string (RFC 9110 5.6.4); false after an error was reported. */
bool auth_quote(weir_conf *c, const struct conf *conf, const char *before, const char *behind, weir_str *out);
/* The request is who it says it is: for $auth_user and Remote-User. */
weir_verdict auth_admit(weir_req *r, struct ctx *ctx, weir_str user);
/* Names alike in either spelling, without case: Remote-User, remote_user. */
bool auth_names_equal(weir_str a, weir_str b);

#endif
