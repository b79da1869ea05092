/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/crumb.h"

#include <string.h>

static struct crumbs own = { .count = CRUMBS_MOST };

struct crumbs *crumbs = &own;

void crumbs_use(struct crumbs *shared)
{
    memcpy(shared->names, crumbs->names, sizeof(shared->names));
    shared->count = CRUMBS_MOST;
    crumbs = shared;
}

void crumb_name(uint32_t module, str name)
{
    if (module >= sizeof(crumbs->names) / sizeof(crumbs->names[0]))
        return;
    char *to = crumbs->names[module];
    size_t n = name.n < CRUMB_MODULE_NAME - 1 ? name.n : CRUMB_MODULE_NAME - 1;
    memcpy(to, name.p, n);
    to[n] = '\0';
}
