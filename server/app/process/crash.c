/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* dl_iterate_phdr, REG_RIP */
#include "app/process/crash.h"

#include "loop/worker.h"
#include "pipeline/module.h"

#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK_BYTES = 64 * 1024, CORE_CODE = MODULES_MOST };

#if defined(WEIR_SANITIZED)
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

/* -- whose code an address is -------------------------------------------------------------------------------------- */

/* Read by the handler on any thread: `to` is stored last and looked at first. */

static struct code {
    uintptr_t base, from, to;
} codes[MODULES_MOST + 1];

struct search {
    uintptr_t symbol;
    struct code found;
};

static bool holds(uintptr_t base, const ElfW(Phdr) * segment, uintptr_t address)
{
    return segment->p_type == PT_LOAD && address >= base + segment->p_vaddr &&
           address - base - segment->p_vaddr < segment->p_memsz;
}

static int look_at_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *search = arg;
    bool is_it = false;

    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        is_it |= holds(info->dlpi_addr, &info->dlpi_phdr[i], search->symbol);
    if (!is_it)
        return 0;
    search->found = (struct code){ .base = info->dlpi_addr, .from = UINTPTR_MAX };
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
            continue;
        uintptr_t from = info->dlpi_addr + segment->p_vaddr, to = from + segment->p_memsz;
        search->found.from = from < search->found.from ? from : search->found.from;
        search->found.to = to > search->found.to ? to : search->found.to;
    }
    return 1;
}

static void note_code(unsigned index, uintptr_t symbol)
{
    struct search search = { .symbol = symbol };

    dl_iterate_phdr(look_at_object, &search);
    codes[index].base = search.found.base;
    codes[index].from = search.found.from;
    __atomic_store_n(&codes[index].to, search.found.to, __ATOMIC_RELEASE);
}

void crash_note_code(unsigned module, const void *symbol)
{
    if (module < MODULES_MOST)
        note_code(module, (uintptr_t)symbol);
}

unsigned crash_find_code(uintptr_t address, uint64_t *offset)
{
    *offset = 0;
    for (unsigned i = 0; i <= CORE_CODE; i++) {
        uintptr_t to = __atomic_load_n(&codes[i].to, __ATOMIC_ACQUIRE);
        if (address >= to || address < codes[i].from)
            continue;
        *offset = address - codes[i].base;
        return i == CORE_CODE ? 0 : i + 1;
    }
    return 0;
}

/* -- the handler --------------------------------------------------------------------------------------------------- */

static uintptr_t instruction(const void *context)
{
    const ucontext_t *machine = context;

#if defined(__x86_64__)
    return (uintptr_t)machine->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)machine->uc_mcontext.pc;
#elif defined(__riscv)
    return (uintptr_t)machine->uc_mcontext.__gregs[REG_PC];
#else
    (void)machine;
    return 0; /* no blame, only suspicion */
#endif
}

static void note_fault(int number, const siginfo_t *info, const void *context)
{
    uint64_t offset = 0;

    crumbs->fault_thread = crumb_thread;
    if (info->si_code <= 0) { /* somebody sent it */
        crumbs->fault_sender = (uint64_t)info->si_pid;
    } else {
        crumbs->fault_address = (uint64_t)(uintptr_t)info->si_addr;
        crumbs->fault_in_module = crash_find_code(instruction(context), &offset);
        crumbs->fault_offset = offset;
    }
    crumbs->fault_signal = (uint64_t)number; /* last: now there is something to be read */
}

/* Nothing here but stores and calls that signal-safety(7) lists. */
static void on_fatal(int number, siginfo_t *info, void *context)
{
    static bool noted;

    if (__atomic_exchange_n(&noted, true, __ATOMIC_ACQ_REL))
        for (;;)
            pause(); /* another thread is dying already and takes this one with it */
    note_fault(number, info, context);
    signal(number, SIG_DFL);
    raise(number); /* blocked until this handler returns: a core dump then shows the place of the fault */
}

void crash_watch(void)
{
    static const int numbers[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS };
    struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK };

    if (IS_SANITIZED)
        return;
    action.sa_sigaction = on_fatal;
    sigfillset(&action.sa_mask);
    note_code(CORE_CODE, (uintptr_t)crash_watch);
    crash_thread_init();
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}

/* -- a stack for it, since the thread's own may be what is used up ------------------------------------------------- */

static pthread_key_t stack_key;

static void drop_stack(void *stack)
{
    stack_t off = { .ss_flags = SS_DISABLE };

    sigaltstack(&off, NULL);
    free(stack);
}

static void make_key(void)
{
    if (pthread_key_create(&stack_key, drop_stack) != 0)
        abort(); /* no library has taken a thousand keys before main() */
}

void crash_thread_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct worker *worker = worker_self();

    crumb_thread = worker && worker_index(worker) <= CRUMB_MAIN ? worker_index(worker) + 1 : 0;
    if (IS_SANITIZED)
        return;
    pthread_once(&once, make_key);
    if (pthread_getspecific(stack_key))
        return;
    void *stack = malloc(STACK_BYTES);
    stack_t use = { .ss_sp = stack, .ss_size = STACK_BYTES };
    if (!stack || sigaltstack(&use, NULL) != 0 || pthread_setspecific(stack_key, stack) != 0)
        drop_stack(stack); /* the handler then runs on the thread's own stack */
}
