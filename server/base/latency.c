/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/latency.h"

/* From an answer out of memory to an upstream's usual deadline: three a decade where most answers lie. */
const uint32_t latency_bound[LATENCY_BOUNDS] = {
    100,    250,    500,    1000,   2500,    5000,    10000,    25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 10000000, 30000000,
};
