/* SPDX-License-Identifier: BSD-2-Clause */
/* serve_health.c: `health;`: what a load balancer in front asks: 200, or 503 while this server drains. */
#include "app/house/builtin.h"
#include "pipeline/session.h"

static weir_verdict answer(weir_req *r, const void *conf, void *ctx)
{
    (void)conf;
    (void)ctx;
    weir_rsp_set(r, WEIR_S("Cache-Control"), WEIR_S("no-store"));
    if (pipeline_worker_self()->draining)
        return weir_reply(r, 503, WEIR_S("draining\n"));
    return weir_reply(r, 200, WEIR_S("ok\n"));
}

static const struct weir_directive directives[] = {
    { .name = "health",
      .scopes = WEIR_IN_SITE | WEIR_IN_ROUTE,
      .set = builtin_set_on,
      .doc = "answer 200, or 503 while the server drains" },
};
static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_SERVE, .flags = WEIR_DRY_OK, .req = answer },
};

const struct weir_module health_module = {
    BUILTIN_MODULE("health", "the server's own health, for load balancers"),
    .conf_size = sizeof(struct builtin_switch),
    .directives = WEIR_TABLE(directives),
    .hooks = WEIR_TABLE(hooks),
    .check = builtin_check_on,
};
