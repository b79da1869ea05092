/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/signals.h"
#include "base/mem.h"
#include "loop/io.h"
#include "loop/worker_state.h"

#include <assert.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { SIGNALS = 65 }; /* 1 to 64 */

/* signalfd and not libevent's signals: those belong to one base a process and interrupt whatever is running. */
struct signal_table {
    struct io io;
    sigset_t watched;
    struct {
        void (*on_signal)(int number, void *arg);
        void *arg;
    } watches[SIGNALS];
};

static void on_ready(struct io *io, unsigned ready)
{
    struct signal_table *table = (struct signal_table *)(void *)((char *)io - offsetof(struct signal_table, io));
    struct signalfd_siginfo info[8];
    (void)ready;
    ssize_t n = read(io->fd, info, sizeof(info)); /* level-triggered: what is left comes next turn */
    for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(info[0]); i++) {
        uint32_t number = info[i].ssi_signo;
        if (number < SIGNALS && table->watches[number].on_signal)
            table->watches[number].on_signal((int)number, table->watches[number].arg);
    }
}

static struct signal_table *create_table(void)
{
    struct signal_table *table = mem_zalloc(sizeof(*table));
    if (!table)
        return NULL;
    sigemptyset(&table->watched);
    int fd = signalfd(-1, &table->watched, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd >= 0 && io_add_level(&table->io, fd, on_ready))
        return table;
    if (fd >= 0)
        close(fd);
    mem_free(table);
    return NULL;
}

bool signal_watch(int number, void (*on_signal)(int number, void *arg), void *arg)
{
    struct worker *worker = worker_self();
    assert(worker && number > 0 && number < SIGNALS);
    if (!worker->signals)
        worker->signals = create_table();
    struct signal_table *table = worker->signals;
    if (!table)
        return false;

    sigset_t all = table->watched, one;
    sigaddset(&all, number);
    sigemptyset(&one);
    sigaddset(&one, number);
    if (pthread_sigmask(SIG_BLOCK, &one, NULL) != 0 || signalfd(table->io.fd, &all, 0) < 0)
        return false;
    table->watched = all;
    table->watches[number].on_signal = on_signal;
    table->watches[number].arg = arg;
    return true;
}

void signals_finish(struct worker *worker)
{
    struct signal_table *table = worker->signals;
    if (!table)
        return;
    int fd = table->io.fd;
    io_remove(&table->io);
    close(fd);
    mem_free(table);
    worker->signals = NULL;
}
