/* SPDX-License-Identifier: BSD-2-Clause */
/* `hash KEY` and `ip_hash`: weighted rendezvous hashing: every server draws a lot for the key, the best lot wins. A
 * server that comes or goes changes no other server's lot, so only the keys that it wins or had move.
 * Lots are -weight / ln(u) (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", 2005). The hash has a
 * fixed key: the same client finds the same server through every worker, after a restart and on another machine. */
#include "upstream/balancers.h"

#include "pipeline/request.h"

#include <math.h>

struct hash_conf {
    weir_tmpl *key;
};

static const uint8_t fixed_key[16] = "weir consistent";

static double lot_of(uint64_t key, const struct weir_server *server)
{
    uint64_t name = siphash13(fixed_key, server->name.p, server->name.n);
    double u = ((double)(balancer_mix(key ^ name) >> 11) + 0.5) / 9007199254740992.0; /* 2^53: in (0, 1) */

    return -(double)server->weight / log(u);
}

static int32_t pick_for(str text, const weir_table *servers)
{
    uint64_t key = siphash13(fixed_key, text.p, text.n);
    double best_lot = 0;
    int32_t best = -1;

    for (uint32_t i = 0; i < servers->count; i++) {
        if (!balancer_usable(servers, i))
            continue;
        double lot = lot_of(key, balancer_server(servers, i));
        if (best < 0 || lot > best_lot) {
            best = (int32_t)i;
            best_lot = lot;
        }
    }
    return best;
}

static int32_t pick(void *state, const void *conf, weir_req *r, const weir_table *servers)
{
    (void)state;
    return pick_for(request_eval(r, ((const struct hash_conf *)conf)->key), servers);
}

static int32_t pick_by_address(void *state, const void *conf, weir_req *r, const weir_table *servers)
{
    (void)state;
    (void)conf;
    return pick_for((str){ (const char *)r->client, sizeof(r->client) }, servers);
}

static const struct weir_arg args[] = {
    { .name = "KEY", .type = WEIR_TYPE_TEMPLATE, .offset = WEIR_FIELD(struct hash_conf, key, weir_tmpl *) },
};
static const struct weir_balancer hash = { .name = "hash", .conf_size = sizeof(struct hash_conf), .pick = pick,
                                           .args = WEIR_TABLE(args) };
static const struct weir_balancer ip_hash = { .name = "ip_hash", .pick = pick_by_address };

static const struct weir_hook hash_hooks[] = { { .stage = WEIR_AT_BALANCE, .balance = &hash } };
BALANCER_MODULE(hash_module, "hash", hash_hooks, "the same server for the same key, consistently");
static const struct weir_hook ip_hash_hooks[] = { { .stage = WEIR_AT_BALANCE, .balance = &ip_hash } };
BALANCER_MODULE(ip_hash_module, "ip_hash", ip_hash_hooks,
                "the same server for the same client address, consistently");
