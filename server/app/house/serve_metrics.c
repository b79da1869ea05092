/* SPDX-License-Identifier: BSD-2-Clause */
/* serve_metrics.c: `metrics;`: the server's figures, for Prometheus. */
#include "app/house/builtin.h"
#include "app/house/metrics_page.h"
#include "base/mem.h"
#include "pipeline/request.h"

static weir_verdict answer(weir_req *r, const void *conf, void *ctx)
{
    struct out page;

    (void)conf;
    (void)ctx;
    if (!metrics_page_make(&page, r->snapshot))
        return weir_refuse(r, 503, "no memory for the metrics");
    weir_rsp_set(r, WEIR_S("Content-Type"), WEIR_S(EXPO_TYPE));
    weir_rsp_set(r, WEIR_S("Cache-Control"), WEIR_S("no-store"));
    weir_verdict verdict = weir_reply(r, 200, (weir_str){ page.p, page.n });
    mem_free(page.p);
    return verdict;
}

static const struct weir_directive directives[] = {
    { .name = "metrics",
      .scopes = WEIR_IN_SITE | WEIR_IN_ROUTE,
      .set = builtin_set_on,
      .doc = "answer with the server's figures in the text format of Prometheus: of all sites, so say with allow and "
             "deny who may ask" },
};
static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_SERVE, .flags = WEIR_DRY_OK, .req = answer },
};

const struct weir_module metrics_module = {
    BUILTIN_MODULE("metrics", "the server's figures, for Prometheus"),
    .conf_size = sizeof(struct builtin_switch),
    .directives = WEIR_TABLE(directives),
    .hooks = WEIR_TABLE(hooks),
    .check = builtin_check_on,
};
