/* SPDX-License-Identifier: BSD-2-Clause */
/* bound.h: the listening sockets that the supervisor keeps, by address, over crashes and reloads of the server.
 *
 * Shape:   one SO_REUSEPORT socket per worker for TCP; one shared socket for unix paths and for sockets taken over from
 *          the service manager.
 * Owner:   the supervisor.
 * Errors:  a readable reason, with the cure where there is one; errno tells it to programs. */
#ifndef APP_BOUND_H
#define APP_BOUND_H

#include "net/addr.h"

struct bound {
    struct bound *next;
    char *key;
    int *fds;
    unsigned count;
    bool is_shared;
    bool is_wanted; /* by the configuration that is being taken over */
    bool is_new;    /* made for a configuration that is not live yet */
};

struct bounds {
    struct bound *first;
    int inherited[64];
    unsigned inherited_count;
};

/* finds or binds it; marks it wanted */
bool bounds_want(struct bounds *bounds, str key, unsigned workers, char *why, size_t why_n);
/* what a former supervisor bound (takeover.h); takes the descriptors; false without memory */
bool bounds_adopt(struct bounds *bounds, str key, const int *fds, unsigned count, bool is_shared);
void bounds_unwant_all(struct bounds *bounds);
void bounds_drop_unwanted(struct bounds *bounds); /* closes what no configuration wants any more */
void bounds_drop_new(struct bounds *bounds);      /* a reload failed: closes what it alone had wanted */
void bounds_settle(struct bounds *bounds);        /* new ones are ordinary ones now */

#endif
