/* SPDX-License-Identifier: BSD-2-Clause */
/* turning.h: a worker on the test's own thread, turned until something is true. */
#ifndef TESTS_LOOP_TURNING_H
#define TESTS_LOOP_TURNING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "loop/deadline.h"
#include "loop/worker.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static bool patience_ended;
static void end_patience(struct deadline *deadline)
{
    (void)deadline;
    patience_ended = true;
}

/* Turns the loop, waiting for events, until condition holds; what does not come within ten seconds has failed. */
#define TURN_UNTIL(condition) \
    do { \
        struct deadline patience_; \
        patience_ended = false; \
        deadline_init(&patience_, end_patience); \
        deadline_set(&patience_, 10000); \
        while (!(condition) && !patience_ended) \
            worker_turn(worker_self(), true); \
        deadline_cancel(&patience_); \
        assert_true(condition); \
    } while (0)

/* One turn that waits for nothing. */
static inline void turn_once(void)
{
    worker_turn(worker_self(), false);
}

static inline int enter_worker(void **state)
{
    struct worker *worker = worker_create(0);
    assert_non_null(worker);
    worker_enter(worker);
    *state = worker;
    return 0;
}

static inline int leave_worker(void **state)
{
    worker_destroy(*state);
    return 0;
}

#define turning(test) cmocka_unit_test_setup_teardown(test, enter_worker, leave_worker)

#endif
