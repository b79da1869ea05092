/* SPDX-License-Identifier: BSD-2-Clause */
/* Crumbs as they are read: by the supervisor after a crash, by the watchdog while a module runs. */
#define _GNU_SOURCE 1 /* RTLD_DEFAULT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/process/crash.h"
#include "app/process/watchdog.h"
#include "pipeline/module.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>

enum { GZIP = 2, WAF = 3 }; /* indexes of modules */

static struct crumbs *fresh(void)
{
    static struct crumbs c;

    memset(&c, 0, sizeof(c));
    strcpy(c.names[GZIP], "gzip");
    strcpy(c.names[WAF], "waf");
    return &c;
}

static void run(struct crumbs *c, unsigned worker, uint32_t module, uint32_t stage, uint64_t request)
{
    c->at[worker].module = module + 1;
    c->at[worker].stage = stage;
    c->at[worker].request = request;
    c->at[worker].calls++;
}

static int exited(int status)
{
    return status << 8;
}

static void a_fault_is_put_where_it_belongs(void **state)
{
    /* clang-format off */
    static const struct {
        const char *says;
        bool runs; /* gzip at ENCODE on worker 1, request 77 */
        unsigned in_module; /* index + 1 */
        uint64_t offset, thread; /* index + 1 */
    } rows[] = {
        { "SIGSEGV at 0xdead: module gzip was running at ENCODE (worker 1, request 77): blamed (gzip.so+0x10)", true,
         GZIP + 1, 0x10, 2 },
        { "SIGSEGV at 0xdead: module gzip was running at ENCODE (worker 1, request 77): suspected", true, 0, 0, 2 },
        { "SIGSEGV at 0xdead: module gzip was running at ENCODE (worker 1, request 77): suspected (weir+0x20)", true, 0,
         0x20, 2 },
        { "SIGSEGV at 0xdead: the core itself (weir+0x20)", false, 0, 0x20, 2 },
        { "SIGSEGV at 0xdead: the core itself", true, 0, 0, 1 }, /* worker 0 failed, worker 1 was just busy */
        { "SIGSEGV at 0xdead: the code of module waf failed: blamed (waf.so+0x30)", true, WAF + 1, 0x30, 0 },
        { "SIGSEGV at 0xdead: module gzip was running at ENCODE (worker 1, request 77), the code of module waf failed: "
          "blamed (waf.so+0x30)", true, WAF + 1, 0x30, 2 },
        /* what a broken server may have left behind */
        { "SIGSEGV at 0xdead: the code of module ? failed: blamed (?.so+0x0)", false, 4000000, 0, 1 },
        { "SIGSEGV at 0xdead: the core itself", true, 0, 0, CRUMBS_MOST + 1 },
        { "SIGSEGV at 0xdead: the core itself", true, 0, 0, UINT64_MAX },
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct crumbs *c = fresh();
        char text[512];
        if (rows[i].runs)
            run(c, 1, GZIP, STAGE_ENCODE, 77);
        c->fault_signal = SIGSEGV;
        c->fault_address = 0xdead;
        c->fault_in_module = rows[i].in_module;
        c->fault_offset = rows[i].offset;
        c->fault_thread = rows[i].thread;
        crash_describe(c, SIGSEGV, text, sizeof(text));
        assert_string_equal(text, rows[i].says);
    }
}

static void other_ends_are_told_too(void **state)
{
    struct crumbs *c = fresh();
    char text[512];

    (void)state;
    crash_describe(c, exited(3), text, sizeof(text));
    assert_string_equal(text, "exit status 3");
    crash_describe(c, SIGKILL, text, sizeof(text));
    assert_string_equal(text, "SIGKILL");
    crash_describe(c, 50, text, sizeof(text));
    assert_string_equal(text, "signal 50");

    run(c, 0, GZIP, STAGE_ENCODE, 0);
    run(c, 4, WAF, 999, 5); /* no such stage */
    crash_describe(c, SIGKILL, text, sizeof(text));
    assert_string_equal(text, "SIGKILL: module gzip was running at ENCODE (worker 0), "
                              "module waf was running (worker 4, request 5): suspected");
    crash_describe(c, exited(1), text, sizeof(text)); /* as sanitizers do it */
    assert_non_null(strstr(text, "exit status 1: module gzip was running"));

    c->fault_signal = SIGSEGV;
    c->fault_sender = 4711;
    crash_describe(c, SIGSEGV, text, sizeof(text));
    assert_string_equal(text, "SIGSEGV sent by process 4711");
    c->fault_signal = SIGABRT; /* abort() sends it to itself */
    c->fault_thread = 1;
    crash_describe(c, SIGABRT, text, sizeof(text));
    assert_string_equal(text, "SIGABRT: module gzip was running at ENCODE (worker 0): suspected");
}

static void a_short_room_is_not_overrun(void **state)
{
    struct crumbs *c = fresh();
    char text[24], guard = '#';

    (void)state;
    for (unsigned i = 0; i < CRUMBS_MOST; i++)
        run(c, i, GZIP, STAGE_ENCODE, i);
    memset(c->names[GZIP], 'x', sizeof(c->names[GZIP])); /* no NUL */
    for (size_t n = 1; n < sizeof(text); n++) {
        memset(text, guard, sizeof(text));
        crash_describe(c, SIGKILL, text, n);
        assert_true(strlen(text) < n);
        assert_int_equal(text[n], guard);
    }
}

static void code_is_known_by_its_object(void **state)
{
    uint64_t offset = 0;
    int on_the_stack = 0;
    const void *theirs = dlsym(RTLD_DEFAULT, "event_base_new"); /* libevent stands for a module */

    (void)state;
    assert_non_null(theirs);
    assert_int_equal(crash_find_code((uintptr_t)theirs, &offset), 0);
    crash_note_code(GZIP, theirs);
    assert_int_equal(crash_find_code((uintptr_t)theirs, &offset), GZIP + 1);
    assert_true(offset > 0);
    assert_int_equal(crash_find_code((uintptr_t)code_is_known_by_its_object, &offset), 0);
    assert_int_equal(crash_find_code((uintptr_t)&on_the_stack, &offset), 0);
    assert_int_equal(crash_find_code(0, &offset), 0);
    assert_int_equal(offset, 0);
    crash_note_code(MODULES_MOST, theirs); /* out of range: ignored */
}

/* -- the watchdog -------------------------------------------------------------------------------------------------- */

static unsigned told;
static struct watchdog_finding last;
static void note(void *arg, const struct watchdog_finding *finding)
{
    assert_ptr_equal(arg, &told);
    told++;
    last = *finding;
}

static void a_module_that_holds_the_loop_is_told_once(void **state)
{
    static struct watchdog dog;
    struct crumbs *c = fresh();

    (void)state;
    told = 0;
    run(c, 3, WAF, STAGE_GUARD, 1);
    assert_int_equal(watchdog_look(&dog, c, 1000, note, &told), WATCHDOG_LOOK);
    watchdog_look(&dog, c, 1049, note, &told);
    assert_int_equal(told, 0);
    watchdog_look(&dog, c, 1060, note, &told);
    assert_int_equal(told, 1);
    assert_int_equal(last.worker, 3);
    assert_int_equal(last.module, WAF + 1);
    assert_int_equal(last.stage, STAGE_GUARD);
    assert_int_equal(last.held, 60);
    watchdog_look(&dog, c, 9000, note, &told);
    assert_int_equal(told, 1); /* the same one */
    run(c, 3, WAF, STAGE_GUARD, 2);
    watchdog_look(&dog, c, 9001, note, &told);
    watchdog_look(&dog, c, 9051, note, &told);
    assert_int_equal(told, 2);
}

static void busy_is_not_held(void **state)
{
    static struct watchdog dog;
    struct crumbs *c = fresh();

    (void)state;
    told = 0;
    for (uint64_t now = 0; now < 1000; now += 10) { /* always in a module, always another call */
        run(c, 0, GZIP, STAGE_ENCODE, now);
        watchdog_look(&dog, c, now, note, &told);
    }
    c->at[0].module = 0; /* the core is no module: it may wait as long as it likes */
    for (uint64_t now = 1000; now < 2000; now += 10)
        watchdog_look(&dog, c, now, note, &told);
    assert_int_equal(told, 0);
}

static void an_idle_server_is_looked_at_less_often(void **state)
{
    static struct watchdog dog;
    struct crumbs *c = fresh();

    (void)state;
    told = 0;
    run(c, 0, GZIP, STAGE_ENCODE, 1);
    c->at[0].module = 0;
    assert_int_equal(watchdog_look(&dog, c, 5000, note, &told), WATCHDOG_LOOK);
    assert_int_equal(watchdog_look(&dog, c, 5999, note, &told), WATCHDOG_LOOK);
    assert_int_equal(watchdog_look(&dog, c, 6000, note, &told), WATCHDOG_IDLE);
    run(c, 0, GZIP, STAGE_ENCODE, 2);
    assert_int_equal(watchdog_look(&dog, c, 6100, note, &told), WATCHDOG_LOOK);
    assert_int_equal(watchdog_look(&dog, c, 9000, note, &told), WATCHDOG_LOOK); /* one is running */
    assert_int_equal(told, 1);
}

static void its_thread_starts_and_stops(void **state)
{
    (void)state;
    assert_true(watchdog_start());
    assert_true(watchdog_start()); /* there is one */
    watchdog_stop();
    watchdog_stop();
    assert_true(watchdog_start());
    watchdog_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_is_put_where_it_belongs),
        cmocka_unit_test(other_ends_are_told_too),
        cmocka_unit_test(a_short_room_is_not_overrun),
        cmocka_unit_test(code_is_known_by_its_object),
        cmocka_unit_test(a_module_that_holds_the_loop_is_told_once),
        cmocka_unit_test(busy_is_not_held),
        cmocka_unit_test(an_idle_server_is_looked_at_less_often),
        cmocka_unit_test(its_thread_starts_and_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
