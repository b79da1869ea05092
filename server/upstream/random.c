/* SPDX-License-Identifier: BSD-2-Clause */
/* Two choices: of two servers drawn by weight, the one with fewer requests in flight for its weight. Close to the least
 * loaded, without every worker running to the same one (Mitzenmacher, "The Power of Two Choices", 2001). */
#include "upstream/balancers.h"

struct state {
    uint64_t random;
};

int32_t balancer_draw(uint64_t *random, const weir_table *servers, int32_t but)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < servers->count; i++)
        if ((int32_t)i != but && balancer_usable(servers, i))
            sum += balancer_server(servers, i)->weight;
    if (sum == 0)
        return -1;
    uint64_t at = balancer_mix((*random)++) % sum;
    for (uint32_t i = 0; i < servers->count; i++) {
        if ((int32_t)i == but || !balancer_usable(servers, i))
            continue;
        if (at < balancer_server(servers, i)->weight)
            return (int32_t)i;
        at -= balancer_server(servers, i)->weight;
    }
    return -1;
}

int balancer_seed(void *state, const void *conf, uint32_t servers)
{
    (void)conf;
    (void)servers;
    random_bytes(state, sizeof(uint64_t));
    return 0;
}

static int32_t pick(void *state, const void *conf, weir_req *r, const weir_table *servers)
{
    struct state *s = state;
    int32_t one = balancer_draw(&s->random, servers, -1);
    int32_t two = balancer_draw(&s->random, servers, one);

    (void)conf;
    (void)r;
    if (two < 0)
        return one;
    const struct weir_server *a = balancer_server(servers, (uint32_t)one), *b = balancer_server(servers, (uint32_t)two);
    return (uint64_t)b->active_all * a->weight < (uint64_t)a->active_all * b->weight ? two : one;
}

static const struct weir_balancer balancer = { .name = "random", .state_size = sizeof(struct state),
                                               .up = balancer_seed, .pick = pick };
static const struct weir_hook hooks[] = { { .stage = WEIR_AT_BALANCE, .balance = &balancer } };

BALANCER_MODULE(random_module, "random", hooks, "the less busy of two servers drawn by chance");
