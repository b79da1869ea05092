/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#endif

static _Atomic int64_t left = -1; /* allocations until the first failure; negative: never */
static atomic_bool once;
static _Atomic uint64_t failures;

static bool fails_by_order(void)
{
    int64_t now = atomic_load_explicit(&left, memory_order_relaxed);
    if (now > 0) {
        atomic_store_explicit(&left, now - 1, memory_order_relaxed);
        return false;
    }
    if (atomic_load_explicit(&once, memory_order_relaxed))
        atomic_store_explicit(&left, -1, memory_order_relaxed);
    atomic_fetch_add_explicit(&failures, 1, memory_order_relaxed);
    return true;
}

static inline bool must_fail(void)
{
    return __builtin_expect(atomic_load_explicit(&left, memory_order_relaxed) >= 0, 0) && fails_by_order();
}

void *mem_alloc(size_t n)
{
    return must_fail() ? NULL : malloc(n ? n : 1);
}

void *mem_zalloc(size_t n)
{
    return must_fail() ? NULL : calloc(1, n ? n : 1);
}

void *mem_realloc(void *p, size_t n)
{
    return must_fail() ? NULL : realloc(p, n ? n : 1);
}

void *mem_array(size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    return mem_zalloc(n);
}

void mem_free(void *p)
{
    free(p);
}

/* -- what traffic holds -------------------------------------------------------------------------------------------- */

enum { REPORT_STEP = 1024 * 1024 };

static _Thread_local int64_t unreported;
static _Atomic int64_t held;

void mem_hold_report(void)
{
    atomic_fetch_add_explicit(&held, unreported, memory_order_relaxed);
    unreported = 0;
}

void mem_hold(int64_t n)
{
    unreported += n;
    if (unreported >= REPORT_STEP || unreported <= -REPORT_STEP)
        mem_hold_report();
}

uint64_t mem_held(void)
{
    int64_t n = atomic_load_explicit(&held, memory_order_relaxed) + unreported;
    return n > 0 ? (uint64_t)n : 0;
}

#ifdef WEIR_SANITIZED

void mem_poison(const void *p, size_t n)
{
#ifdef HAVE_ASAN
    __asan_poison_memory_region(p, n);
#else
    (void)p, (void)n;
#endif
}

void mem_unpoison(const void *p, size_t n)
{
#ifdef HAVE_ASAN
    __asan_unpoison_memory_region(p, n);
#else
    (void)p, (void)n;
#endif
}

#endif

static void set_switch(int64_t n, bool only_one)
{
    atomic_store_explicit(&failures, 0, memory_order_relaxed);
    atomic_store_explicit(&once, only_one, memory_order_relaxed);
    atomic_store_explicit(&left, n, memory_order_relaxed);
}

void mem_fail_after(int64_t n)
{
    set_switch(n, false);
}

void mem_fail_once_after(int64_t n)
{
    set_switch(n, true);
}

uint64_t mem_failures(void)
{
    return atomic_load_explicit(&failures, memory_order_relaxed);
}
