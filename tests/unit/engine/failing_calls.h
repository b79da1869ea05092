/* SPDX-License-Identifier: BSD-2-Clause */
/* failing_calls.h: the system calls of the request path, any of which may be told to fail.
 *
 * Shape:   functions that stand in front of libc's: for a test of the engine linked into it, for the daemon preloaded
 *          (tests/integration/test_failing_calls.py builds failing_calls.c with FAILING_CALLS_PRELOADED, and writes
 *          struct calls into the file that $WEIR_FAILING_CALLS names). One fault at a time, for calls of one kind.
 *          Counted, and made to fail, is what the engine does (engine_is_running), or the workers of the process .pid.
 * Errors:  what is spurious (EAGAIN, a part of what was asked) is made good as the kernel would: the descriptor is
 *          armed anew, so that its edge comes again. */
#ifndef TESTS_ENGINE_FAILING_CALLS_H
#define TESTS_ENGINE_FAILING_CALLS_H

#include <stdbool.h>
#include <stdint.h>

enum call {
    CALL_READ,         /* recv, recvfrom, readv, and read of what is watched */
    CALL_WRITE,        /* send, sendto, sendmsg */
    CALL_SENDFILE,
    CALL_ACCEPT,
    CALL_SOCKET,
    CALL_CONNECT,
    CALL_SOCKET_ERROR, /* getsockopt(SO_ERROR); connections take their time meanwhile, so that it is asked for */
    CALL_SET_OPTION,
    CALL_SHUTDOWN,
    CALL_CLOSE,
    CALL_WATCH,        /* epoll_ctl(EPOLL_CTL_ADD) */
    CALL_WAIT,         /* epoll_wait */
    CALL_POLL,
    CALL_LOG,          /* write: lines of logs, and the way to another worker */
    CALLS
};

enum failing {
    FAILS,       /* nothing is done */
    FAILS_AFTER, /* it is done, and an error is told all the same: close, connect */
    TELLS_ERROR, /* getsockopt succeeds, and brings this error */
    ONE_BYTE,    /* no more is read or written */
};

enum often { ONCE, EVER_AFTER, EVERY_OTHER };

struct call_fault {
    uint32_t call, how; /* enum call, enum failing */
    int32_t error;
    uint32_t often;     /* enum often */
};

struct calls {
    volatile uint32_t is_set;
    uint32_t pid; /* preloaded: of whom */
    struct call_fault fault;
    volatile uint64_t n, seen, failed;
    volatile uint64_t made[CALLS];
};

void calls_fail(const struct call_fault *fault, uint64_t n); /* the Nth such call from now on, counted from 0 */
void calls_heal(void);
uint64_t calls_failed(void);         /* since calls_fail */
uint64_t calls_made(enum call call); /* ever */

#endif
