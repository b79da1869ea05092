/* SPDX-License-Identifier: BSD-2-Clause */
/* `proxy UPSTREAM|URL;`: hands the request to an upstream, with the route's prefix replaced when the URL has a path. */
#include "upstream/exchange.h"

#include <weir/module.h>

struct proxy_conf {
    weir_upstream *upstream;
};

static const struct weir_directive directives[] = {
    WEIR_DIR(struct proxy_conf, upstream, UPSTREAM, "proxy", WEIR_IN_SITE | WEIR_IN_ROUTE, NULL,
             "pass requests to an upstream by name, to http://HOST[:PORT][/PATH], https://... or unix:PATH"),
};

/* /api/x under `route /api/` becomes /v2/x with a URL path of /v2/, and with one of /v2: exactly one slash stands
 * there. */
static bool replace_prefix(weir_req *r, const struct weir_upstream *upstream)
{
    str rest = str_from(r->uri.match, r->route_prefix.n);
    bool ends = str_has_suffix(upstream->path, S("/")), begins = str_has_prefix(rest, S("/"));
    if (ends && begins)
        rest = str_from(rest, 1);
    str parts[] = { upstream->path, rest.n && !ends && !begins ? S("/") : S(""), rest };
    r->proxy_path = arena_concat(r->arena, parts, 3);
    return r->proxy_path.p != NULL;
}

static weir_verdict serve(weir_req *r, const void *conf, void *ctx)
{
    const struct weir_upstream *upstream = ((const struct proxy_conf *)conf)->upstream;

    (void)ctx;
    if (!upstream)
        return WEIR_NEXT;
    if (upstream->has_path && !replace_prefix(r, upstream))
        return WEIR_FAIL;
    r->origin = &exchange_origin;
    r->origin_data = (void *)(uintptr_t)upstream;
    return WEIR_NEXT;
}

static int check(weir_conf *conf, void *scope)
{
    (void)conf;
    return ((struct proxy_conf *)scope)->upstream ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static const struct weir_hook hooks[] = { { .stage = WEIR_AT_SERVE, .slot = WEIR_LATE, .req = serve } };

const struct weir_module proxy_module = {
    .magic = WEIR_ABI_MAGIC,
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,
    .size = sizeof(struct weir_module),
    .name = "proxy",
    .version = "built-in",
    .license = "BSD-2-Clause",
    .summary = "pass requests to origin servers",
    .conf_size = sizeof(struct proxy_conf),
    .directives = WEIR_TABLE(directives),
    .hooks = WEIR_TABLE(hooks),
    .check = check,
};
