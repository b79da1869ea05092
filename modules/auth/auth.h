/* SPDX-License-Identifier: BSD-2-Clause */
/* auth.h: what the files of the module share.
 *
 *     auth.c      directive, variables, which kind decides
 *     basic.c     RFC 7617: a name and a password        htpasswd.c  files of names and hashes, verifying one
 *     forward.c   another server decides                 apr1.c      the hash that only Apache has
 *
 * Shape:   each kind is one function with the shape of a hook; SKIP means satisfied. */
#ifndef AUTH_H
#define AUTH_H

#include <weir/weir.h>

enum kind { AUTH_OFF, AUTH_BASIC, AUTH_FORWARD };
enum preset { PRESET_NONE, PRESET_AUTHELIA, PRESET_AUTHENTIK, PRESET_OAUTH2_PROXY, PRESET_TINYAUTH };

struct passwords;

struct conf {
    uint32_t kind, preset;
    weir_str target;             /* FILE or URL, as written */
    weir_str realm;
    weir_table copy;             /* of weir_str: fields of the answer that the origin gets */
    weir_table preset_copy;      /* the preset's own, likewise */
    uint64_t timeout;            /* ms, of the other server */
    struct weir_place place;
    weir_str path;               /* basic: absolute */
    weir_upstream *upstream;     /* forward */
    weir_str upstream_target;    /* forward: when the URL has no path; empty: the URL's own */
    struct passwords *passwords; /* basic: this scope's reference */
    weir_str challenge;          /* basic: WWW-Authenticate */
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

/* The request is who it says it is: for $auth_user and Remote-User. */
weir_verdict auth_admit(weir_req *r, struct ctx *ctx, weir_str user);
/* Names alike in either spelling, without case: Remote-User, remote_user. */
bool auth_names_equal(weir_str a, weir_str b);

#endif
