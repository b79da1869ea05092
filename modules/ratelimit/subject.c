/* SPDX-License-Identifier: BSD-2-Clause */
#include "network.h"
#include "ratelimit.h"

#include <string.h>

/* One IPv6 customer has a whole network: counting addresses would count nothing. */
uint32_t client_mask(uint8_t address[16], uint64_t ipv6_prefix)
{
    if (network_is_ipv4(address))
        return 128;
    network_mask(address, (uint32_t)ipv6_prefix);
    return (uint32_t)ipv6_prefix;
}

static void put_client(weir_req *r, uint64_t prefix, struct subject *subject)
{
    uint8_t address[16];

    weir_client_address(r, address);
    client_mask(address, prefix);
    memcpy(subject->bytes + subject->n, address, sizeof(address));
    subject->n += sizeof(address);
}

bool subject_make(weir_req *r, const struct conf *conf, const struct limit *limit, struct subject *subject)
{
    memcpy(subject->bytes, &limit->id, sizeof(limit->id));
    subject->n = sizeof(limit->id);
    if (!limit->key) {
        put_client(r, conf->ipv6_prefix, subject);
        return true;
    }
    weir_str text = weir_eval(r, limit->key);
    size_t n = text.n < sizeof(subject->bytes) - subject->n ? text.n : sizeof(subject->bytes) - subject->n;
    if (n)
        memcpy(subject->bytes + subject->n, text.p, n);
    subject->n += n;
    return n > 0;
}

bool ctx_has_taken(const struct ctx *ctx, uint64_t id)
{
    for (uint32_t i = 0; i < ctx->taken_count; i++)
        if (ctx->taken[i] == id)
            return true;
    return false;
}

/* Beyond so many limits a reroute counts once more: too much, never too little. */
void ctx_note_taken(struct ctx *ctx, uint64_t id)
{
    if (ctx->taken_count < TAKEN_MOST)
        ctx->taken[ctx->taken_count++] = id;
}
