/* SPDX-License-Identifier: BSD-2-Clause */
/* crash.h: the last words of a dying server, and the watchdog over its workers.
 *
 * Shape:   on a fatal signal the handler notes signal, address and thread in the crumbs that the supervisor shares, and dies of the signal.
 *          The supervisor then reads who was running. The watchdog names a module that has held a worker longer than 50 ms. */
#ifndef APP_CRASH_H
#define APP_CRASH_H

#include "pipeline/crumb.h"

#include <stdbool.h>
#include <stddef.h>

void crash_watch(void);               /* installs the handlers (not in sanitized builds: theirs say more) */
void crash_thread_init(void);         /* each thread: a stack of its own for the handler */
void crash_note_code(unsigned module, const void *symbol); /* which addresses are this module's code */
bool watchdog_start(void);            /* a thread of its own */
void watchdog_stop(void);
/* For the supervisor: one line about why a server ended, from its wait status and crumbs. */
void crash_describe(const struct crumbs *crumbs, int wait_status, char *text, size_t n);

#endif
