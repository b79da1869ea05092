/* SPDX-License-Identifier: BSD-2-Clause */
/* io.h: readiness of one descriptor: registered once, edge-triggered, told until it is taken out.
 *
 * Shape:   one persistent READ|WRITE|CLOSED|ET event a descriptor; the owner reads until short and writes until EAGAIN.
 * Owner:   embedded; io_remove before the descriptor is closed (and never another registration of the same descriptor).
 * Thread:  the worker that io_add was called on. */
#ifndef LOOP_IO_H
#define LOOP_IO_H

#include <stdbool.h>

enum io_ready { IO_READ = 1, IO_WRITE = 2, IO_CLOSED = 4 }; /* CLOSED: the peer shut its sending side (or all) */

struct event;
struct io {
    int fd;
    void (*on_ready)(struct io *io, unsigned ready); /* may remove and free io */
    struct event *event; /* recycled per worker */
};

bool io_add(struct io *io, int fd, void (*on_ready)(struct io *, unsigned)); /* false without memory or watches */
/* READ only, level-triggered: listeners and the like. */
bool io_add_level(struct io *io, int fd, void (*on_ready)(struct io *, unsigned));
void io_pause(struct io *io);  /* level-triggered ones: no more events until io_resume */
void io_resume(struct io *io);
void io_remove(struct io *io); /* fine when not added */

#endif
