/* SPDX-License-Identifier: BSD-2-Clause */
/* crash.h: the last words of a dying server, and the watchdog over its workers.
 *
 * Shape:   on a fatal signal the handler notes signal, address and thread in the crumbs that the supervisor shares, and
 *          dies of the signal. The supervisor then reads who was running.
 *          The watchdog names a module that has held a worker longer than 50 ms.
 * Blame:   the instruction that failed lies in a module's code: blamed. A module was running, but the instruction lies
 *          elsewhere (libc, the core): suspected. No module was running: the core itself.
 * Trust:   crash_describe believes nothing that the crumbs say: a broken server may have written anything. */
#ifndef APP_CRASH_H
#define APP_CRASH_H

#include "pipeline/crumb.h"

#include <stdbool.h>
#include <stddef.h>

void crash_watch(void); /* installs the handlers (not in sanitized builds: theirs say more) */
/* Each worker: a stack of its own for the handler, freed with the thread. */
void crash_thread_init(void);
/* Which addresses are this module's code: those of the object that the symbol lies in. Main thread. */
void crash_note_code(unsigned module, const void *symbol);
/* Index + 1 of the module whose code the address lies in, or 0. *offset: into its object, or weir's own. */
unsigned crash_find_code(uintptr_t address, uint64_t *offset);
bool watchdog_start(void); /* a thread of its own */
void watchdog_stop(void);
/* Whose fault it was, as far as crumbs can tell. By name and build, not by index: these outlive the server. */
struct crash_blame {
    bool is_blamed, is_suspected; /* neither: nobody's, or that of a part that is built in */
    char name[CRUMB_MODULE_NAME], build[CRUMB_MODULE_BUILD];
    bool at_start; /* in load() or where configuration is bound: on the main thread */
};
struct crash_blame crash_blame(const struct crumbs *crumbs, int wait_status);
/* For the supervisor: one line about why a server ended, from its wait status and crumbs. */
void crash_describe(const struct crumbs *crumbs, int wait_status, char *text, size_t n);

#endif
