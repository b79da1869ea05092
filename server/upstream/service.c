/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/service.h"

#include "base/clock.h"
#include "base/hash.h"
#include "upstream/balancers.h"

static bool is_avoided(const struct service *service, unsigned i, uint64_t now)
{
    return now < service->avoid_until[i];
}

/* The lowest tier of those that may be chosen; UINT16_MAX: none. */
static uint16_t lowest_tier(const struct service *service, const struct resolved *a, uint32_t tried, bool with_avoided,
                            uint64_t now)
{
    uint16_t lowest = UINT16_MAX;

    for (unsigned i = 0; i < a->count; i++)
        if (!(tried >> i & 1) && (with_avoided || !is_avoided(service, i, now)) && a->tiers[i] < lowest)
            lowest = a->tiers[i];
    return lowest;
}

static int draw(struct service *service, const struct resolved *a, uint32_t tried, bool with_avoided, uint64_t now)
{
    uint16_t tier = lowest_tier(service, a, tried, with_avoided, now);
    uint64_t sum = 0;
    bool may[RESOLVER_MOST];

    for (unsigned i = 0; i < a->count; i++) {
        may[i] = !(tried >> i & 1) && a->tiers[i] == tier && (with_avoided || !is_avoided(service, i, now));
        sum += may[i] ? a->weights[i] : 0;
    }
    if (sum == 0)
        return -1;
    if (!service->random)
        random_bytes(&service->random, sizeof(service->random));
    uint64_t at = balancer_mix(service->random++) % sum;
    for (unsigned i = 0; i < a->count; i++) {
        if (may[i] && at < a->weights[i])
            return (int)i;
        at -= may[i] ? a->weights[i] : 0;
    }
    return -1;
}

int service_choose(struct service *service, const struct resolved *addresses, uint32_t tried)
{
    uint64_t now = clock_ms();
    int index = draw(service, addresses, tried, false, now);

    return index >= 0 ? index : draw(service, addresses, tried, true, now);
}

void service_failed(struct service *service, int index, uint64_t avoid_ms)
{
    service->avoid_until[index] = clock_ms() + avoid_ms;
}

void service_worked(struct service *service, int index)
{
    service->avoid_until[index] = 0;
}

void service_carry(struct service *service, const struct resolved *former, const struct resolved *fresh)
{
    struct service next = { .random = service->random };

    for (unsigned i = 0; i < fresh->count; i++)
        for (unsigned k = 0; k < former->count; k++)
            if (memcmp(&fresh->addresses[i], &former->addresses[k], sizeof(fresh->addresses[i])) == 0)
                next.avoid_until[i] = service->avoid_until[k];
    *service = next;
}
