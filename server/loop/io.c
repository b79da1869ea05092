/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/io.h"
#include "base/mem.h"
#include "loop/worker_state.h"

#include <assert.h>
#include <stdalign.h>

enum { EVENTS_A_SLAB = 32 };

struct event_slab {
    struct event_slab *next;
    alignas(max_align_t) unsigned char room[];
};

static bool grow(struct worker *worker)
{
    size_t align = alignof(max_align_t);
    size_t size = (event_get_struct_event_size() + align - 1) / align * align;
    struct event_slab *slab = mem_alloc(sizeof(*slab) + EVENTS_A_SLAB * size);
    if (!slab)
        return false;
    slab->next = worker->slabs;
    worker->slabs = slab;
    for (size_t i = 0; i < EVENTS_A_SLAB; i++) {
        void **free_event = (void **)(void *)(slab->room + i * size);
        *free_event = worker->free_events;
        worker->free_events = free_event;
    }
    return true;
}

static struct event *take_event(struct worker *worker)
{
    if (!worker->free_events && !grow(worker))
        return NULL;
    void **event = worker->free_events;
    worker->free_events = *event;
    return (struct event *)(void *)event;
}

static void give_event(struct worker *worker, struct event *event)
{
    void **free_event = (void **)(void *)event;
    *free_event = worker->free_events;
    worker->free_events = free_event;
}

void io_free_slabs(struct worker *worker)
{
    while (worker->slabs) {
        struct event_slab *slab = worker->slabs;
        worker->slabs = slab->next;
        mem_free(slab);
    }
    worker->free_events = NULL;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct io *io = arg;
    struct worker *worker = worker_self();
    (void)fd;
    worker_tick(worker);
    unsigned ready = 0;
    if (what & EV_READ)
        ready |= IO_READ;
    if (what & EV_WRITE)
        ready |= IO_WRITE;
    if (what & EV_CLOSED)
        ready |= IO_CLOSED;
    io->on_ready(io, ready);
    if (!list_is_empty(&worker->soon))
        worker_run_soon(worker);
}

static bool add(struct io *io, int fd, short what, void (*on_ready)(struct io *, unsigned))
{
    struct worker *worker = worker_self();
    assert(worker && fd >= 0);
    io->fd = fd;
    io->on_ready = on_ready;
    io->event = take_event(worker);
    if (!io->event)
        return false;
    if (event_assign(io->event, worker->base, fd, what, on_event, io) == 0 && event_add(io->event, NULL) == 0)
        return true;
    give_event(worker, io->event);
    io->event = NULL;
    return false;
}

bool io_add(struct io *io, int fd, void (*on_ready)(struct io *, unsigned))
{
    return add(io, fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_ready);
}

bool io_add_level(struct io *io, int fd, void (*on_ready)(struct io *, unsigned))
{
    return add(io, fd, EV_READ | EV_PERSIST, on_ready);
}

void io_pause(struct io *io)
{
    if (io->event)
        event_del(io->event);
}

void io_resume(struct io *io)
{
    if (io->event)
        event_add(io->event, NULL);
}

void io_remove(struct io *io)
{
    if (!io->event)
        return;
    struct worker *worker = worker_self();
    assert(worker);
    event_del(io->event);
    give_event(worker, io->event);
    io->event = NULL;
}
