/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/services.h"

#include <stdatomic.h>
#include <string.h>

struct service {
    char name[SERVICE_NAME_MOST];
    uint32_t version;
    const weir_mod *mod;
    const void *table;
};

/* Entries are only added, and are whole before the count says that they are there: readers need no lock. */
static struct service services[SERVICES_MOST];
static atomic_uint service_count;

const void *service_find(const char *name, uint32_t version)
{
    unsigned count = atomic_load_explicit(&service_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        if (services[i].version == version && strcmp(services[i].name, name) == 0)
            return services[i].table;
    return NULL;
}

bool service_publish(const weir_mod *mod, const char *name, uint32_t version, const void *table)
{
    unsigned count = atomic_load_explicit(&service_count, memory_order_relaxed);
    if (count == SERVICES_MOST || !table || strlen(name) >= SERVICE_NAME_MOST || service_find(name, version))
        return false;
    struct service *service = &services[count];
    memcpy(service->name, name, strlen(name) + 1);
    service->version = version;
    service->mod = mod;
    service->table = table;
    atomic_store_explicit(&service_count, count + 1, memory_order_release);
    return true;
}
