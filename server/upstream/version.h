/* SPDX-License-Identifier: BSD-2-Clause */
/* version.h: an upstream as it was changed at run time: a newer set of servers beside the one that the files made.
 *
 * Shape:   first (the snapshot's) --now--> the newest version. Requests that began with an older one finish with it,
 *          but choose among the newest's servers when they have to choose again.
 * Owner:   a version has an arena of its own. It points into its first one's, and so does not outlive the snapshot; one
 *          that is replaced goes when each worker has let go of it.
 * Thread:  main, but for version_now and version_local_unused: workers. */
#ifndef UPSTREAM_VERSION_H
#define UPSTREAM_VERSION_H

#include "loop/worker.h"
#include "upstream/upstream.h"

struct upstream_local;

struct upstream_version {
    struct weir_upstream u;
    struct arena *arena;
    struct weir_upstream *first;
};

/* Like `first`, with room for so many servers and none yet. NULL without memory. */
struct weir_upstream *version_create(struct weir_upstream *first, uint32_t room);
void version_drop(struct weir_upstream *version); /* nobody uses it, and lets go of its servers' states */

/* Before the snapshot of `first` is published. */
void version_install(struct weir_upstream *first, struct weir_upstream *version);
/* Requests that begin from now on use it. False without memory: nothing has changed, and it is still the caller's. */
bool version_publish(struct weir_upstream *first, struct weir_upstream *version, struct worker *main,
                     struct worker *const *workers);
void versions_finish(void); /* after all workers were destroyed: frees what they did not give back */

struct weir_upstream *version_now(struct weir_upstream *u);     /* the newest, of any */
void version_local_unused(struct upstream_local *local);        /* the last user of one that is leaving is gone */

#endif
