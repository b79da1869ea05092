/* SPDX-License-Identifier: BSD-2-Clause */
/* listener.h: a bound socket and the connections that come in through it.
 *
 * Shape:   listener_bind makes sockets (in the supervisor, or in a process without one); listener_open accepts from one
 *          on a worker.
 * Owner:   the descriptor belongs to whoever bound it; listener_close stops accepting and closes this process's copy.
 * Errors:  out of descriptors or memory: accepting pauses for 100 ms, one log line a minute, service goes on. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "loop/deadline.h"
#include "loop/io.h"
#include "net/addr.h"

struct listener {
    struct io io;
    struct deadline pause;
    struct addr addr;
    void *owner;
    /* takes fd (nonblocking, close-on-exec) */
    void (*on_accept)(struct listener *listener, int fd, const struct addr *peer);
    /* Asked before each accept, told when one gave nothing; NULL: always. somebody_waits: for sure. "No" pauses the
     * listener when somebody does: whoever says so resumes it. */
    bool (*may_accept)(struct listener *listener, bool somebody_waits);
    void (*not_accepted)(struct listener *listener);
    struct list link;       /* for whoever set those */
    unsigned most_per_turn; /* accepts in one turn of the loop: fairness; 64 unless set */
    bool is_paused;         /* by listener_pause */
    unsigned batch;         /* accepts tried this turn: learnt */
    bool *gone;             /* set when closed from on_accept */
};

/* A listening TCP (SO_REUSEPORT if asked, SO_REUSEADDR, IPV6_V6ONLY) or unix socket, nonblocking, close-on-exec; -1 and
 * errno. A unix socket's file that nobody accepts on any more is replaced. */
int listener_bind(const struct addr *addr, int backlog, bool reuse_port);
/* most_per_turn is set (or zero) before. False without memory or watches: fd stays the caller's. */
bool listener_open(struct listener *listener, int fd, void *owner,
                   void (*on_accept)(struct listener *, int, const struct addr *));
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);
uint64_t listener_stalls(void); /* how often accepting paused for want of descriptors or memory, in the whole process */
void listener_close(struct listener *listener); /* fine when closed, and from on_accept */

#endif
