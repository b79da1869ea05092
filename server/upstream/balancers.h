/* SPDX-License-Identifier: BSD-2-Clause */
/* balancers.h: the balancers that are built in, one module each, and what they share.
 *
 * Shape:   each is an ordinary struct weir_balancer: nothing here that a module of others could not do. */
#ifndef UPSTREAM_BALANCERS_H
#define UPSTREAM_BALANCERS_H

#include "base/hash.h"
#include "upstream/upstream.h"

#include <weir/module.h>

extern const struct weir_module round_robin_module;
extern const struct weir_module least_conn_module;
extern const struct weir_module random_module;
extern const struct weir_module hash_module;
extern const struct weir_module ip_hash_module;
extern const struct weir_module ewma_module;

static inline const struct weir_server *balancer_server(const weir_table *servers, uint32_t i)
{
    return (const struct weir_server *)(const void *)((const char *)servers->base + (size_t)servers->stride * i);
}

static inline bool balancer_usable(const weir_table *servers, uint32_t i)
{
    return balancer_server(servers, i)->flags & WEIR_SERVER_USABLE;
}

/* SplitMix64 (Steele, Lea, Flood 2014): spreads a counter or a hash over 64 bits. */
static inline uint64_t balancer_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

/* A usable server other than `but`, by chance and weight; -1: none. */
int32_t balancer_draw(uint64_t *random, const weir_table *servers, int32_t but);
int balancer_seed(void *state, const void *conf, uint32_t servers); /* `up` of those whose state begins with `random` */

#define BALANCER_MODULE(Symbol, Name, Hooks, Summary)                                                                  \
    const struct weir_module Symbol = {                                                                                \
        .magic = WEIR_ABI_MAGIC,                                                                                       \
        .abi_major = WEIR_ABI_MAJOR,                                                                                   \
        .abi_minor = WEIR_ABI_MINOR,                                                                                   \
        .size = sizeof(struct weir_module),                                                                            \
        .name = Name,                                                                                                  \
        .version = "built-in",                                                                                         \
        .license = "BSD-2-Clause",                                                                                     \
        .summary = Summary,                                                                                            \
        .hooks = WEIR_TABLE(Hooks),                                                                                    \
    }

#endif
