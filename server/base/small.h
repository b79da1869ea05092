/* SPDX-License-Identifier: BSD-2-Clause */
/* small.h: small pieces of memory that come and go by the hundred, recycled per thread.
 *
 * Shape:   free lists by size, in steps of 64 bytes up to 1 KB; what is larger is malloc's. A sanitized build hands
 *          each piece to malloc, so that what is wrong with it is seen.
 * Owner:   whoever took it; given back with the size that was asked for, on any thread.
 * Thread:  each has lists of its own; they hold a fixed number of bytes at most.
 * Errors:  NULL without memory. */
#ifndef BASE_SMALL_H
#define BASE_SMALL_H

#include <stddef.h>

void *small_alloc(size_t n); /* not zeroed */
void *small_zalloc(size_t n);
void small_free(void *p, size_t n); /* NULL is fine */

void small_drop_free_lists(void); /* this thread's; at thread end */

#endif
