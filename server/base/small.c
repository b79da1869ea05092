/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/small.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { STEP = 64, MOST = 1024, CLASSES = MOST / STEP, KEEP_BYTES = 1024 * 1024 };

struct spare {
    struct spare *next;
};

static _Thread_local struct spare *spares[CLASSES];
static _Thread_local size_t kept; /* bytes in all lists */

#ifdef WEIR_SANITIZED
static bool is_recycled(size_t n)
{
    (void)n;
    return false;
}
#else
static inline bool is_recycled(size_t n)
{
    return n - 1 < MOST;
}
#endif

static inline size_t class_of(size_t n)
{
    return (n - 1) / STEP;
}

void *small_alloc(size_t n)
{
    if (!is_recycled(n))
        return mem_alloc(n);
    size_t class = class_of(n), size = (class + 1) * STEP;
    struct spare *piece = spares[class];
    if (!piece)
        return mem_alloc(size);
    spares[class] = piece->next;
    kept -= size;
    return piece;
}

void *small_zalloc(size_t n)
{
    void *p = small_alloc(n);
    return p ? memset(p, 0, n) : NULL;
}

void small_free(void *p, size_t n)
{
    if (!p || !is_recycled(n)) {
        mem_free(p);
        return;
    }
    size_t class = class_of(n), size = (class + 1) * STEP;
    if (kept + size > KEEP_BYTES) {
        mem_free(p);
        return;
    }
    struct spare *piece = p;
    piece->next = spares[class];
    spares[class] = piece;
    kept += size;
}

void small_drop_free_lists(void)
{
    for (size_t class = 0; class < CLASSES; class++) {
        struct spare *next;
        for (struct spare *piece = spares[class]; piece; piece = next) {
            next = piece->next;
            mem_free(piece);
        }
        spares[class] = NULL;
    }
    kept = 0;
}
