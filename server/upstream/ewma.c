/* SPDX-License-Identifier: BSD-2-Clause */
/* Peak EWMA: of two servers drawn by weight, the one with the lower cost: its moving average of times to the response
 * head, times the requests that would then be in flight there. An answer slower than the average counts at once, faster
 * ones by and by; an average that nobody renews fades, so that a server which was slow is asked again. */
#include "upstream/balancers.h"

#include "base/clock.h"

#include <math.h>

#define TAU_US 10e6         /* in this time an old average fades to 1/e */
#define UNKNOWN_US 1000000. /* what the second request to a server is taken for while the first has not answered */

struct state {
    uint64_t random;
    struct average {
        double us;
        uint64_t at; /* clock_us() of us; 0: no answer yet */
    } of[UPSTREAM_SERVERS_MOST];
};

static double average_now(const struct average *a)
{
    uint64_t now = clock_us();

    return a->us * exp(-(double)(now > a->at ? now - a->at : 0) / TAU_US);
}

static double cost(const struct state *s, const weir_table *servers, uint32_t i)
{
    const struct weir_server *server = balancer_server(servers, i);

    if (!s->of[i].at)
        return server->active_all * UNKNOWN_US / server->weight;
    return average_now(&s->of[i]) * (server->active_all + 1.) / server->weight;
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
    return cost(s, servers, (uint32_t)two) < cost(s, servers, (uint32_t)one) ? two : one;
}

/* A failure is no quick answer: it can raise the average, never lower it. */
static void done(void *state, const void *conf, uint32_t server, uint32_t outcome, uint64_t microseconds)
{
    struct average *a = &((struct state *)state)->of[server];
    double us = (double)microseconds, before = a->at ? average_now(a) : 0;
    uint64_t now = clock_us();

    (void)conf;
    if (us < before && outcome != WEIR_OUTCOME_OK)
        return;
    if (a->at && us < a->us) {
        double kept = exp(-(double)(now > a->at ? now - a->at : 0) / TAU_US);
        us = a->us * kept + us * (1 - kept);
    }
    a->us = us;
    a->at = now ? now : 1;
}

static const struct weir_balancer balancer = { .name = "ewma", .state_size = sizeof(struct state), .up = balancer_seed,
                                               .pick = pick, .done = done };
static const struct weir_hook hooks[] = { { .stage = WEIR_AT_BALANCE, .balance = &balancer } };

BALANCER_MODULE(ewma_module, "ewma", hooks, "the server that answers sooner, by a moving average");
