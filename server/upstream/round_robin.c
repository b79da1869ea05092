/* SPDX-License-Identifier: BSD-2-Clause */
/* Smooth weighted round robin: each pick, every usable server gains its weight; the richest is taken and pays the sum.
 * Over any run of sum-of-weights picks each server gets exactly its share, spread evenly. */
#include "upstream/balancers.h"

struct state {
    int64_t wealth[UPSTREAM_SERVERS_MOST];
};

static int32_t pick(void *state, const void *conf, weir_req *r, const weir_table *servers)
{
    struct state *s = state;
    int64_t sum = 0;
    int32_t best = -1;
    const char *at = servers->base;

    (void)conf;
    (void)r;
    for (uint32_t i = 0; i < servers->count && i < UPSTREAM_SERVERS_MOST; i++, at += servers->stride) {
        const struct weir_server *server = (const struct weir_server *)at;
        if (!(server->flags & WEIR_SERVER_USABLE))
            continue;
        s->wealth[i] += server->weight;
        sum += server->weight;
        if (best < 0 || s->wealth[i] > s->wealth[best])
            best = (int32_t)i;
    }
    if (best >= 0)
        s->wealth[best] -= sum;
    return best;
}

static const struct weir_balancer balancer = { .name = "round_robin", .state_size = sizeof(struct state),
                                               .pick = pick };
static const struct weir_hook hooks[] = { { .stage = WEIR_AT_BALANCE, .balance = &balancer } };

BALANCER_MODULE(round_robin_module, "round_robin", hooks, "smooth weighted round robin");
