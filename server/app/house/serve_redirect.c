/* SPDX-License-Identifier: BSD-2-Clause */
/* serve_redirect.c: `redirect STATUS TARGET;`: the client is sent elsewhere. */
#include "app/house/builtin.h"

struct conf {
    uint64_t status; /* 0: not said */
    weir_tmpl *target;
};

static weir_verdict redirect(weir_req *r, const void *conf_, void *ctx)
{
    const struct conf *conf = conf_;

    (void)ctx;
    return weir_redirect(r, (uint32_t)conf->status, weir_eval(r, conf->target));
}

static int set_redirect(weir_conf *c, const struct weir_directive *directive, void *to)
{
    const struct conf *conf = to;
    uint64_t status = conf->status;

    (void)directive;
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308)
        return 0;
    return weir_conf_error(c, "redirect: status %u does not redirect: 301, 302, 303, 307 and 308 do", (unsigned)status);
}

static int check(weir_conf *c, void *scope)
{
    const struct conf *conf = scope;

    (void)c;
    return conf->status ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static const struct weir_arg redirect_args[] = {
    { .name = "STATUS", .type = WEIR_TYPE_UINT, .max = 999, .offset = WEIR_FIELD(struct conf, status, WEIR_C_UINT) },
    { .name = "TARGET", .type = WEIR_TYPE_TEMPLATE, .offset = WEIR_FIELD(struct conf, target, WEIR_C_TEMPLATE) },
};
static const struct weir_directive directives[] = {
    { .name = "redirect",
      .scopes = WEIR_IN_SITE | WEIR_IN_ROUTE,
      .args = WEIR_TABLE(redirect_args),
      .set = set_redirect,
      .doc = "send the client to TARGET with 301, 302, 303, 307 or 308" },
};
static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_SERVE, .flags = WEIR_DRY_OK, .req = redirect },
};

const struct weir_module redirect_module = {
    BUILTIN_MODULE("redirect", "answers that send the client elsewhere"),
    .conf_size = sizeof(struct conf),
    .directives = WEIR_TABLE(directives),
    .hooks = WEIR_TABLE(hooks),
    .check = check,
};
