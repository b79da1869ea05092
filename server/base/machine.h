/* SPDX-License-Identifier: BSD-2-Clause */
/* machine.h: what this process may use of the machine: the figures behind limits that say "auto".
 *
 * Units:   bytes; descriptors.
 * Thread:  any.
 * Source:  getrlimit(2), sysconf(3), cgroups(7) version 2 (memory.max). */
#ifndef BASE_MACHINE_H
#define BASE_MACHINE_H

#include <stdint.h>

uint64_t machine_memory(void);      /* the machine's, or less where the process's control group allows less */
uint64_t machine_descriptors(void); /* how many this process may have open now */

#endif
