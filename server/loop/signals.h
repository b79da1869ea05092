/* SPDX-License-Identifier: BSD-2-Clause */
/* signals.h: signals as ordinary callbacks on one worker (the main thread's).
 *
 * Thread:  a watched signal is blocked on the calling thread (threads of workers and jobs block all): watch before
 *          other threads are started, and unblock in a child before it executes another program. */
#ifndef LOOP_SIGNALS_H
#define LOOP_SIGNALS_H

#include <stdbool.h>

/* On the calling worker, for good. False without memory or descriptors. */
bool signal_watch(int number, void (*on_signal)(int number, void *arg), void *arg);

#endif
