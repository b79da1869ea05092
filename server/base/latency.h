/* SPDX-License-Identifier: BSD-2-Clause */
/* latency.h: how long things take, counted in fixed buckets.
 *
 * Shape:   a row of LATENCY_CELLS numbers: how many took at most latency_bound[i] (and more than the one before), how
 *          many took longer than all of them, and the sum of all. Rows of several threads are added up cell by cell.
 * Units:   us.
 * Thread:  one writer a row, readers anywhere. */
#ifndef BASE_LATENCY_H
#define BASE_LATENCY_H

#include <stdint.h>

enum { LATENCY_BOUNDS = 16, LATENCY_SUM = LATENCY_BOUNDS + 1, LATENCY_CELLS };
extern const uint32_t latency_bound[LATENCY_BOUNDS];

/* What one thread writes and others read: no locked instruction, and what the compiler makes of it is a plain add. */
static inline void cell_add(uint64_t *cell, uint64_t by)
{
    __atomic_store_n(cell, *cell + by, __ATOMIC_RELAXED);
}
static inline uint64_t cell_read(const uint64_t *cell)
{
    return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

static inline void latency_add(uint64_t *row, uint64_t us)
{
    unsigned i = 0;

    while (i < LATENCY_BOUNDS && us > latency_bound[i])
        i++;
    cell_add(&row[i], 1);
    cell_add(&row[LATENCY_SUM], us);
}

#endif
