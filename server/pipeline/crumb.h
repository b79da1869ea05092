/* SPDX-License-Identifier: BSD-2-Clause */
/* crumb.h: the breadcrumb each worker leaves before it calls into a module: who is running, for which request.
 *
 * Shape:   an array in memory shared with the supervisor, one cache line a worker, read after a crash or by the watchdog.
 * Cost:    three stores a callback. */
#ifndef PIPELINE_CRUMB_H
#define PIPELINE_CRUMB_H

#include <stdint.h>

enum { CRUMBS_MOST = 256, CRUMB_MODULE_NAME = 32 };

struct crumb {
    _Alignas(64) volatile uint32_t module; /* index + 1; 0: the core itself */
    volatile uint32_t stage;
    volatile uint64_t request; /* number */
    volatile uint64_t calls;   /* counts callbacks: the watchdog sees whether it moved */
    volatile uint64_t entered_turn_ms; /* clock of the loop turn */
};
struct crumbs {
    uint32_t count;
    uint32_t pad;
    char names[64][CRUMB_MODULE_NAME];
    volatile uint64_t fault_address, fault_signal, fault_thread; /* written by the crash handler */
    volatile uint64_t fault_in_module; /* index + 1 when the address lies in that module's code */
    struct crumb at[CRUMBS_MOST];
};
extern struct crumbs *crumbs; /* never NULL: private memory until the app maps a shared one */
void crumbs_use(struct crumbs *shared);

#endif
