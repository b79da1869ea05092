/* SPDX-License-Identifier: BSD-2-Clause */
/* toy.h: modules and requests made by hand, and a worker of the test's own thread to run them on.
 * Thread:  one; a test program has one toy at a time. */
#ifndef TESTS_PIPELINE_TOY_H
#define TESTS_PIPELINE_TOY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pipeline/session.h"
#include "pipeline/suspension.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define assert_str(is, want) assert_string_equal(zstr(is), (want))

/* A NUL-terminated copy, valid until the fourth next call. */
static inline const char *zstr(str s)
{
    static char rooms[4][1024];
    static unsigned next;
    char *room = rooms[next++ % 4];
    size_t n = s.n < sizeof(rooms[0]) - 1 ? s.n : sizeof(rooms[0]) - 1;
    if (n)
        memcpy(room, s.p, n);
    room[n] = '\0';
    return room;
}

static inline weir_verdict toy_req(weir_req *r, const void *conf, void *ctx)
{
    (void)r, (void)conf, (void)ctx;
    return WEIR_NEXT;
}

static inline weir_verdict toy_bytes(weir_flow *flow, weir_chain *in, weir_chain *out, uint32_t how)
{
    (void)flow, (void)in, (void)out, (void)how;
    return WEIR_NEXT;
}

/* A module that is in no register. */
static inline weir_mod toy_mod(const char *name, uint32_t index, const struct weir_hook *hooks, uint32_t count)
{
    return (weir_mod){ .index = index, .name = str_of(name),
                       .desc = { .name = name, .hooks = { hooks, count, sizeof(*hooks) } } };
}

/* -- a worker that is the test's own thread ------------------------------------------------------------------------ */

static inline int toy_up(void **state)
{
    struct worker *worker = worker_create(0);
    assert_non_null(worker);
    worker_enter(worker);
    snapshots_init(worker, 1);
    assert_non_null(pipeline_worker_up(worker, 0));
    *state = worker;
    return 0;
}

static inline int toy_down(void **state)
{
    pipeline_worker_down(pipeline_worker_self());
    worker_turn(*state, false);
    assert_null(pipeline_worker_self());
    worker_destroy(*state);
    snapshots_finish();
    return 0;
}

#define on_worker(test) cmocka_unit_test_setup_teardown(test, toy_up, toy_down)

/* Turns the loop until condition holds; what does not come within ten seconds has failed. */
static bool toy_patience_ended;
static inline void toy_end_patience(struct deadline *deadline)
{
    (void)deadline;
    toy_patience_ended = true;
}
#define TURN_UNTIL(condition) \
    do { \
        struct deadline patience_; \
        toy_patience_ended = false; \
        deadline_init(&patience_, toy_end_patience); \
        deadline_set(&patience_, 10000); \
        while (!(condition) && !toy_patience_ended) \
            worker_turn(worker_self(), true); \
        deadline_cancel(&patience_); \
        assert_true(condition); \
    } while (0)

/* -- a request that nobody sent ------------------------------------------------------------------------------------ */

struct toy {
    struct arena *arena; /* of plan and snapshot */
    struct scope scope;
    void *confs[8];
    struct plan plan;
    struct core_conf core;
    struct variables variables;
    struct snapshot snapshot;
    struct listen_point point;
    struct weir_conn conn;
    struct weir_req r;
};

static inline struct weir_req *toy_request(struct toy *toy)
{
    *toy = (struct toy){ .arena = arena_create(4096, 0) };
    toy->scope = (struct scope){ .kind = WEIR_IN_TOP, .owner_count = COUNT(toy->confs), .confs = toy->confs };
    toy->plan = (struct plan){ .scope = &toy->scope, .core = &toy->core };
    variables_init(&toy->variables, toy->arena);
    toy->snapshot = (struct snapshot){ .arena = toy->arena, .variables = &toy->variables, .top_plan = &toy->plan };
    toy->conn.point = &toy->point;
    toy->r = (struct weir_req){ .arena = arena_create(4096, 0), .conn = &toy->conn, .snapshot = &toy->snapshot,
                                .plan = &toy->plan, .stage = STAGE_GUARD, .version = 11, .number = 7, .id = S("id7"),
                                .method = S("GET"), .host = S("a.example"), .scheme = S("https") };
    toy->r.uri = (struct uri){ .path = S("/p/a"), .match = S("/p/a"), .query = S("x=1"), .has_query = true };
    toy->r.started_us = clock_us();
    fields_init(&toy->r.fields, toy->r.arena);
    fields_init(&toy->r.rsp, toy->r.arena);
    fields_init(&toy->r.up_fields, toy->r.arena);
    body_init(&toy->r.up, &toy->r);
    body_init(&toy->r.down, &toy->r);
    return &toy->r;
}

static inline void toy_free(struct toy *toy)
{
    body_clear(&toy->r.up);
    body_clear(&toy->r.down);
    chain_clear(&toy->r.reply);
    arena_destroy(toy->r.arena);
    arena_destroy(toy->arena);
}

#endif
