/* SPDX-License-Identifier: BSD-2-Clause */
/* mem.h: the one door to malloc for the server's own objects, so that tests can make it fail.
 *
 * Units:   bytes.
 * Owner:   the caller, until mem_free.
 * Thread:  any; the failure switch is for single-threaded tests, but harmless otherwise.
 * Errors:  NULL without memory. A size of 0 gives a valid pointer to nothing. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t n) __attribute__((malloc));                /* not zeroed */
void *mem_zalloc(size_t n) __attribute__((malloc));               /* zeroed */
void *mem_realloc(void *p, size_t n);                             /* on failure p is still valid */
void *mem_array(size_t count, size_t size) __attribute__((malloc)); /* zeroed; NULL when the product overflows */
void mem_free(void *p);                                           /* NULL is fine */

/* What traffic holds, for limits on it: who allocates for peers says so. Each thread counts for itself and tells the
 * process in steps of 1 MiB, so a sum is that much wrong for each other thread. */
void mem_hold(int64_t n);      /* negative: given back */
uint64_t mem_held(void);
void mem_hold_report(void);    /* at thread end: what is not told yet */

/* Tell AddressSanitizer that nobody may (or may again) touch bytes that lie on a free list. Keep the list's own links
 * out of it: LeakSanitizer does not follow pointers in poisoned memory. */
#ifdef WEIR_SANITIZED
void mem_poison(const void *p, size_t n);
void mem_unpoison(const void *p, size_t n);
#else
static inline void mem_poison(const void *p, size_t n)
{
    (void)p, (void)n;
}
static inline void mem_unpoison(const void *p, size_t n)
{
    (void)p, (void)n;
}
#endif

/* For tests. The next n allocations succeed; all after them fail until it is set anew. -1: off (as at start). */
void mem_fail_after(int64_t n);
/* The same, but only that one allocation fails; then the switch is off again. */
void mem_fail_once_after(int64_t n);
/* How many allocations the switch has failed since it was last set. */
uint64_t mem_failures(void);

#endif
