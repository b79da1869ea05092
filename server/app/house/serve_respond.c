/* SPDX-License-Identifier: BSD-2-Clause */
/* serve_respond.c: `respond STATUS [TEXT];`: an answer without an upstream. */
#include "app/house/builtin.h"
#include "config/bind.h"

struct conf {
    uint64_t status; /* 0: not said */
    weir_tmpl *text;
};

static weir_verdict respond(weir_req *r, const void *conf_, void *ctx)
{
    const struct conf *conf = conf_;

    (void)ctx;
    if (conf->text)
        return weir_reply(r, (uint32_t)conf->status, weir_eval(r, conf->text));
    if (conf->status >= 400)
        return weir_refuse(r, (uint32_t)conf->status, "respond");
    return weir_reply(r, (uint32_t)conf->status, WEIR_S(""));
}

/* A status said here without a text is not to be answered with the outer scope's. */
static int set_respond(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct conf *conf = to;

    (void)directive;
    if (c->statement->arg_count < 2)
        conf->text = NULL;
    if (conf->text && (conf->status == 204 || conf->status == 205 || conf->status == 304))
        return weir_conf_error(c, "respond: an answer of status %u has no text", (unsigned)conf->status);
    return 0;
}

static int check(weir_conf *c, void *scope)
{
    const struct conf *conf = scope;

    (void)c;
    return conf->status ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static const struct weir_arg respond_args[] = {
    { .name = "STATUS",
      .type = WEIR_TYPE_UINT,
      .min = 200,
      .max = 599,
      .offset = WEIR_FIELD(struct conf, status, WEIR_C_UINT) },
    { .name = "TEXT",
      .type = WEIR_TYPE_TEMPLATE,
      .flags = WEIR_ARG_OPTIONAL,
      .offset = WEIR_FIELD(struct conf, text, WEIR_C_TEMPLATE) },
};
static const struct weir_directive directives[] = {
    { .name = "respond",
      .scopes = WEIR_IN_SITE | WEIR_IN_ROUTE,
      .args = WEIR_TABLE(respond_args),
      .set = set_respond,
      .doc = "answer with this status and plain text; without TEXT the body is empty, or from 400 on the error page" },
};
static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_SERVE, .flags = WEIR_DRY_OK, .req = respond },
};

const struct weir_module respond_module = {
    BUILTIN_MODULE("respond", "answers of a fixed status and text"),
    .conf_size = sizeof(struct conf),
    .directives = WEIR_TABLE(directives),
    .hooks = WEIR_TABLE(hooks),
    .check = check,
};
