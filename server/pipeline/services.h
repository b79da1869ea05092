/* SPDX-License-Identifier: BSD-2-Clause */
/* services.h: tables of functions that modules offer each other, by name and version.
 * Owner:   a table belongs to the module that published it, for the process's life.
 * Thread:  any; published on the main thread. */
#ifndef PIPELINE_SERVICES_H
#define PIPELINE_SERVICES_H

#include "pipeline/module.h"

enum { SERVICES_MOST = 128, SERVICE_NAME_MOST = 64 };

/* false: taken, or no room */
bool service_publish(const weir_mod *mod, const char *name, uint32_t version, const void *table);
const void *service_find(const char *name, uint32_t version); /* NULL: nobody offers it */

#endif
