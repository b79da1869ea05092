/* SPDX-License-Identifier: BSD-2-Clause */
/* signals.h: signals as ordinary callbacks on one worker (the main thread's). */
#ifndef LOOP_SIGNALS_H
#define LOOP_SIGNALS_H

#include <stdbool.h>

bool signal_watch(int number, void (*on_signal)(int number, void *arg), void *arg); /* on the calling worker, for good */

#endif
