/* SPDX-License-Identifier: BSD-2-Clause */
/* `proxy UPSTREAM|URL;`: hands the request to an upstream, with the route's prefix replaced when the URL has a path. */
#include "base/diag.h"
#include "config/args.h"
#include "pipeline/fetch.h"
#include "upstream/exchange.h"
#include "upstream/hop.h"

#include <weir/module.h>

struct proxy_conf {
    weir_upstream *upstream;
    weir_table upgrade_protocols; /* of weir_str */
};

static int set_upgrade_protocols(weir_conf *c, const struct weir_directive *directive, void *to)
{
    (void)directive;
    (void)to;
    for (uint32_t i = 0; i < c->statement->arg_count; i++) {
        const struct word *word = &c->statement->args[i];
        str name = str_upto(word->text, str_find(word->text, '/'));
        bool is_name = field_name_is_valid(name) &&
                       (name.n == word->text.n || field_name_is_valid(str_from(word->text, name.n + 1)));
        if (is_name && !hop_upgrade_is_http(word->text))
            continue;
        diag_error(c->binder->diags, word_place(c->statement, word),
                   is_name ? S("requests would follow that weir cannot see") : S("NAME or NAME/VERSION"),
                   is_name ? "upgrade_protocols: \"%.*s\" never passes" : "upgrade_protocols: \"%.*s\" is no protocol",
                   STR_ARG(str_upto(word->text, 100)));
        c->failed = true;
    }
    return c->failed ? -1 : 0;
}

static const struct weir_arg upgrade_args[] = {
    { .name = "PROTOCOL", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_REST,
      .offset = offsetof(struct proxy_conf, upgrade_protocols) },
};

static const struct weir_directive directives[] = {
    WEIR_DIR(struct proxy_conf, upstream, UPSTREAM, "proxy", WEIR_IN_SITE | WEIR_IN_ROUTE, NULL,
             "pass requests to an upstream by name, to http://HOST[:PORT][/PATH], https://... or unix:PATH"),
    { .name = "upgrade_protocols", .scopes = WEIR_IN_HTTP, .merge = WEIR_MERGE_APPEND, .args = WEIR_TABLE(upgrade_args),
      .set = set_upgrade_protocols,
      .doc = "protocols that Upgrade may switch to, besides websocket, tcp, tailscale-control-protocol and derp" },
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

static weir_verdict add_allow(weir_req *r, weir_verdict verdict)
{
    bool fine = fields_set_id(&r->rsp, FIELD_ALLOW, S("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));

    return fine ? verdict : WEIR_FAIL;
}

/* What is answered here and not by an origin; WEIR_NEXT: nothing. */
static weir_verdict answer_as_last(weir_req *r)
{
    if (str_equal(r->method, S("TRACE"))) /* it would show credentials to whoever can make a client send it */
        return add_allow(r, request_refuse(r, 405, "TRACE is not passed on"));
    switch (hop_max_forwards(r)) {
    case HOP_ANSWER:
        return add_allow(r, request_reply(r, 200, S("")));
    case HOP_MALFORMED:
        return request_refuse(r, 400, "Max-Forwards is no number");
    default:
        return WEIR_NEXT;
    }
}

static weir_verdict serve(weir_req *r, const void *conf, void *ctx)
{
    const struct proxy_conf *proxy = conf;
    const struct weir_upstream *upstream = proxy->upstream;

    (void)ctx;
    if (!upstream)
        return WEIR_NEXT;
    weir_verdict verdict = answer_as_last(r);
    if (verdict != WEIR_NEXT)
        return verdict;
    if (upstream->has_path && !replace_prefix(r, upstream))
        return WEIR_FAIL;
    r->upgrade = hop_upgrade(r, &proxy->upgrade_protocols);
    r->origin = &exchange_origin;
    r->origin_data = (void *)(uintptr_t)upstream;
    return WEIR_NEXT;
}

static str path_of(const struct weir_upstream *upstream)
{
    return upstream->has_path ? upstream->path : STR_NONE;
}

static int load(weir_mod *mod)
{
    (void)mod;
    fetch_serve_by(&exchange_origin, path_of);
    return 0;
}

static int check(weir_conf *conf, void *scope)
{
    (void)conf;
    return ((struct proxy_conf *)scope)->upstream ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static const struct weir_hook hooks[] = { { .stage = WEIR_AT_SERVE, .slot = WEIR_LATE, .flags = WEIR_DRY_OK,
                                             .req = serve } };

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
    .load = load,
    .check = check,
};
