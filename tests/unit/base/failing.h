/* SPDX-License-Identifier: BSD-2-Clause */
/* failing.h: runs a step with its first allocation failing, then its second, and so on, until it is left alone.
 *
 * The step says whether it succeeded, checks for itself that a failure left everything as it was, and must not succeed
 * or fail by what an earlier run left behind. Free lists are emptied before each run: every block is an allocation. */
#ifndef TESTS_FAILING_H
#define TESTS_FAILING_H

#include "base/block.h"
#include "base/chain.h"
#include "base/mem.h"

/* Returns how many allocations were made to fail before the step succeeded. */
static inline int fail_each_allocation(bool (*step)(void *), void *arg)
{
    for (int n = 0; n < 1000; n++) {
        chain_drop_free_list();
        block_drop_free_lists();
        mem_fail_after(n);
        bool done = step(arg);
        bool hit = mem_failures() > 0;
        mem_fail_after(-1);
        if (!hit) {
            assert_true(done);
            return n;
        }
        assert_false(done);
    }
    fail_msg("a step that never succeeds");
    return -1;
}

#endif
