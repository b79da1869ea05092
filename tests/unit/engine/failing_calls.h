/* SPDX-License-Identifier: BSD-2-Clause */
/* failing_calls.h: the system calls of the request path, any of which may be told to fail.
 *
 * Shape:   one fault at a time, for calls of one kind; only calls that the engine makes are counted and fail, not those
 *          of the peers (engine_is_running).
 * Errors:  what is spurious (an error that means "again", a part of what was asked) is made good as a kernel would: the
 *          descriptor is armed anew, so that its edge comes again.
 * Note:    link with $(WRAP_CALLS); epoll_ctl and epoll_wait are libevent's and are put in front of libc's. */
#ifndef TESTS_ENGINE_FAILING_CALLS_H
#define TESTS_ENGINE_FAILING_CALLS_H

#include <stdbool.h>
#include <stdint.h>

enum call {
    CALL_READ,     /* recv, recvfrom, readv */
    CALL_WRITE,    /* send, sendto, sendmsg */
    CALL_SOCKET,
    CALL_CONNECT,
    CALL_SOCKET_ERROR, /* getsockopt(SO_ERROR); connections take their time meanwhile, so that it is asked for */
    CALL_SHUTDOWN,
    CALL_CLOSE,
    CALL_WATCH,    /* epoll_ctl(EPOLL_CTL_ADD) */
    CALL_WAIT,     /* epoll_wait */
    CALL_POLL,
    CALLS
};

enum failing {
    FAILS,          /* nothing is done */
    FAILS_AFTER,    /* it is done, and an error is told all the same: close, connect */
    TELLS_ERROR,    /* getsockopt succeeds, and brings this error */
    ONE_BYTE,       /* no more is read or written */
};

struct call_fault {
    enum call call;
    enum failing how;
    int error;
    enum { ONCE, EVER_AFTER, EVERY_OTHER } often;
};

void calls_fail(const struct call_fault *fault, uint64_t n); /* the Nth such call from now on, counted from 0 */
void calls_heal(void);
uint64_t calls_failed(void); /* since calls_fail */
uint64_t calls_made(enum call call); /* by the engine, ever */

#endif
