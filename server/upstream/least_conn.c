/* SPDX-License-Identifier: BSD-2-Clause */
/* The server with the fewest requests in flight, of all workers, for its weight; where that says nothing (an idle
 * site), smooth weighted round robin among those that are level. */
#include "upstream/balancers.h"

struct state {
    int64_t wealth[UPSTREAM_SERVERS_MOST];
};

/* Below 0: a is less busy than b. */
static int compare(const struct weir_server *a, const struct weir_server *b)
{
    uint64_t of_a = (uint64_t)a->active_all * b->weight, of_b = (uint64_t)b->active_all * a->weight;

    return (of_a > of_b) - (of_a < of_b);
}

static int32_t pick(void *state, const void *conf, weir_req *r, const weir_table *servers)
{
    struct state *s = state;
    const struct weir_server *least = NULL;
    int64_t sum = 0;
    int32_t best = -1;

    (void)conf;
    (void)r;
    for (uint32_t i = 0; i < servers->count; i++)
        if (balancer_usable(servers, i) && (!least || compare(balancer_server(servers, i), least) < 0))
            least = balancer_server(servers, i);
    for (uint32_t i = 0; i < servers->count && i < UPSTREAM_SERVERS_MOST; i++) {
        if (!balancer_usable(servers, i) || compare(balancer_server(servers, i), least) != 0)
            continue;
        s->wealth[i] += balancer_server(servers, i)->weight;
        sum += balancer_server(servers, i)->weight;
        if (best < 0 || s->wealth[i] > s->wealth[best])
            best = (int32_t)i;
    }
    if (best >= 0)
        s->wealth[best] -= sum;
    return best;
}

static const struct weir_balancer balancer = { .name = "least_conn", .state_size = sizeof(struct state), .pick = pick };
static const struct weir_hook hooks[] = { { .stage = WEIR_AT_BALANCE, .balance = &balancer } };

BALANCER_MODULE(least_conn_module, "least_conn", hooks, "the server with the fewest requests in flight");
