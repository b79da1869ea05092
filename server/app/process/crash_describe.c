/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/process/crash.h"

#include "pipeline/module.h"
#include "pipeline/stage.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

struct text {
    char *p;
    size_t n, room;
};

static void put(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *text, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text->p + text->n, text->room - text->n, fmt, ap);
    va_end(ap);
    if (n > 0)
        text->n = text->n + (size_t)n < text->room ? text->n + (size_t)n : text->room - 1;
}

static void put_signal(struct text *text, int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGSEGV,  "SIGSEGV"},
        { SIGBUS,  "SIGBUS" },
        { SIGILL,  "SIGILL" },
        { SIGFPE,  "SIGFPE" },
        { SIGABRT, "SIGABRT"},
        { SIGTRAP, "SIGTRAP"},
        { SIGSYS,  "SIGSYS" },
        { SIGKILL, "SIGKILL"},
        { SIGTERM, "SIGTERM"},
        { SIGINT,  "SIGINT" },
        { SIGXCPU, "SIGXCPU"},
        { SIGPIPE, "SIGPIPE"},
    };

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].number == number) {
            put(text, "%s", names[i].name);
            return;
        }
    put(text, "signal %d", number);
}

/* index + 1 as crumbs have it */
static str module_name(const struct crumbs *c, uint64_t number)
{
    if (number == 0 || number > sizeof(c->names) / sizeof(c->names[0]))
        return S("?");
    const char *name = c->names[number - 1];
    str s = { name, strnlen(name, CRUMB_MODULE_NAME) };
    return s.n ? s : S("?");
}

static void put_running(struct text *text, const struct crumbs *c, unsigned worker)
{
    const struct crumb *crumb = &c->at[worker];
    str module = module_name(c, crumb->module);
    uint32_t stage = crumb->stage;

    put(text, "module " STR_FMT " was running", STR_ARG(module));
    if (stage < STAGE_COUNT) {
        str name = stage_name((enum stage)stage);
        put(text, " at " STR_FMT, STR_ARG(name));
    }
    if (worker < CRUMBS_MOST)
        put(text, " (worker %u", worker);
    else
        put(text, worker == CRUMB_MAIN ? " (the main thread" : " (a thread of the job pool");
    if (crumb->request)
        put(text, ", request %llu", (unsigned long long)crumb->request);
    put(text, ")");
}

/* Whoever was in a module when the whole process was ended from outside: one of them may be why. */
static void put_all_running(struct text *text, const struct crumbs *c)
{
    unsigned found = 0;

    for (unsigned i = 0; i < CRUMBS_ALL; i++) {
        if (c->at[i].module == 0)
            continue;
        put(text, "%s", found++ ? ", " : ": ");
        put_running(text, c, i);
    }
    if (found)
        put(text, ": suspected");
}

static void put_fault(struct text *text, const struct crumbs *c)
{
    uint64_t thread = c->fault_thread, in_module = c->fault_in_module;
    uint64_t running = thread >= 1 && thread <= CRUMBS_ALL ? c->at[thread - 1].module : 0;
    str name = module_name(c, in_module ? in_module : running);

    put(text, ": ");
    if (running)
        put_running(text, c, (unsigned)thread - 1);
    if (in_module && in_module == running)
        put(text, ": blamed (" STR_FMT ".so+0x%llx)", STR_ARG(name), (unsigned long long)c->fault_offset);
    else if (in_module)
        put(text, "%sthe code of module " STR_FMT " failed: blamed (" STR_FMT ".so+0x%llx)", running ? ", " : "",
            STR_ARG(name), STR_ARG(name), (unsigned long long)c->fault_offset);
    else if (running)
        put(text, ": suspected");
    else
        put(text, "the core itself");
    if (!in_module && c->fault_offset)
        put(text, " (weir+0x%llx)", (unsigned long long)c->fault_offset);
}

void crash_describe(const struct crumbs *c, int wait_status, char *room, size_t n)
{
    struct text text = { room, 0, n };

    if (n == 0)
        return;
    room[0] = '\0';
    if (WIFEXITED(wait_status)) {
        put(&text, "exit status %d", WEXITSTATUS(wait_status));
        put_all_running(&text, c);
        return;
    }
    int number = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    bool is_noted = number && c->fault_signal == (uint64_t)number;
    put_signal(&text, number);
    if (!is_noted) {
        put_all_running(&text, c);
        return;
    }
    if (!c->fault_sender)
        put(&text, " at 0x%llx", (unsigned long long)c->fault_address);
    else if (number != SIGABRT) { /* abort() sends it too */
        put(&text, " sent by process %llu", (unsigned long long)c->fault_sender);
        return;
    }
    put_fault(&text, c);
}

/* -- blame --------------------------------------------------------------------------------------------------------- */

/* Without a handler's note (a sanitizer ended it, or exit()) the only module that was running anywhere is suspected. */
static uint64_t only_one_running(const struct crumbs *c, uint64_t *thread)
{
    uint64_t found = 0;

    for (unsigned i = 0; i < CRUMBS_ALL; i++) {
        uint64_t module = c->at[i].module;
        if (!module || module > MODULES_MOST || !c->builds[module - 1][0] || module == found)
            continue;
        if (found)
            return 0;
        found = module;
        *thread = i + 1;
    }
    return found;
}

static void copy(char *to, const char *from, size_t room)
{
    size_t n = strnlen(from, room - 1);

    for (size_t i = 0; i < n; i++) /* it is put into messages of one line */
        to[i] = from[i] > ' ' && from[i] < 0x7f ? from[i] : '?';
    to[n] = '\0';
}

struct crash_blame crash_blame(const struct crumbs *c, int wait_status)
{
    struct crash_blame blame = { 0 };
    int number = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    uint64_t thread = 0, module = 0, running = 0;

    if (number && c->fault_signal == (uint64_t)number) {
        if (c->fault_sender && number != SIGABRT)
            return blame;
        thread = c->fault_thread;
        running = thread >= 1 && thread <= CRUMBS_ALL ? c->at[thread - 1].module : 0;
        module = c->fault_in_module;
        blame.is_blamed = module != 0;
    } else if (number == SIGABRT || (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) != 0)) {
        running = only_one_running(c, &thread);
    }
    module = module ? module : running;
    if (!module || module > MODULES_MOST || !c->builds[module - 1][0])
        return (struct crash_blame){ 0 };
    blame.is_suspected = !blame.is_blamed;
    blame.at_start = thread == CRUMB_MAIN + 1;
    copy(blame.name, c->names[module - 1], sizeof(blame.name));
    copy(blame.build, c->builds[module - 1], sizeof(blame.build));
    return blame;
}
