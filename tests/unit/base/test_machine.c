/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/machine.h"

#include <sys/resource.h>
#include <unistd.h>

static void memory_is_no_more_than_the_machine_has(void **state)
{
    uint64_t physical = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    (void)state;
    assert_in_range(machine_memory(), 1024 * 1024, physical);
}

static void descriptors_are_those_of_now(void **state)
{
    struct rlimit before, limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(machine_descriptors(), 100);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_no_more_than_the_machine_has),
        cmocka_unit_test(descriptors_are_those_of_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
