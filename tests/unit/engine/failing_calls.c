/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* RTLD_NEXT */
#include "failing_calls.h"
#include "engine.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS = 1024 };

static struct {
    bool is_set;
    struct call_fault fault;
    uint64_t n, seen, failed;
    uint64_t made[CALLS];
    struct {
        int epoll;
        struct epoll_event event;
    } watched[FDS];
} f;

/* -- which call fails ---------------------------------------------------------------------------------------------- */

void calls_fail(const struct call_fault *fault, uint64_t n)
{
    f.fault = *fault;
    f.n = n;
    f.seen = f.failed = 0;
    f.is_set = true;
}

void calls_heal(void)
{
    f.is_set = false;
}

uint64_t calls_failed(void)
{
    return f.failed;
}

uint64_t calls_made(enum call call)
{
    return f.made[call];
}

static bool is_due(uint64_t at)
{
    switch (f.fault.often) {
    case ONCE:        return at == f.n;
    case EVER_AFTER:  return at >= f.n;
    case EVERY_OTHER: return at >= f.n && (at - f.n) % 2 == 0;
    }
    return false;
}

/* Whether this call is the one, or one of those, to fail. */
static bool fails(enum call call)
{
    if (!engine_is_running())
        return false;
    f.made[call]++;
    if (!f.is_set || f.fault.call != call || !is_due(f.seen++))
        return false;
    f.failed++;
    return true;
}

int __real_close(int fd);
int __wrap_close(int fd);
static int (*libc_epoll_ctl)(int, int, int, struct epoll_event *);

/* What was not read or not written is there still: an edge says so. */
static void arm_again(int fd)
{
    if (fd >= 0 && fd < FDS && f.watched[fd].epoll > 0)
        MUST(libc_epoll_ctl(f.watched[fd].epoll, EPOLL_CTL_MOD, fd, &f.watched[fd].event) == 0);
}

/* -1 and errno, for a call that does nothing. */
static ssize_t refuse(int fd)
{
    if (f.fault.error == EAGAIN)
        arm_again(fd);
    errno = f.fault.error;
    return -1;
}

/* -- bytes --------------------------------------------------------------------------------------------------------- */

ssize_t __real_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags)
{
    if (!fails(CALL_READ))
        return __real_recv(fd, p, n, flags);
    if (f.fault.how != ONE_BYTE)
        return refuse(fd);
    ssize_t got = __real_recv(fd, p, n ? 1 : 0, flags);
    int error = errno;
    arm_again(fd);
    errno = error;
    return got;
}

ssize_t __real_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count)
{
    if (!fails(CALL_READ))
        return __real_readv(fd, iov, count);
    if (f.fault.how != ONE_BYTE)
        return refuse(fd);
    struct iovec one = { .iov_base = iov->iov_base, .iov_len = 1 };
    ssize_t got = __real_readv(fd, &one, 1);
    int error = errno;
    arm_again(fd);
    errno = error;
    return got;
}

ssize_t __real_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags)
{
    if (!fails(CALL_WRITE))
        return __real_send(fd, p, n, flags);
    if (f.fault.how != ONE_BYTE)
        return refuse(fd);
    ssize_t put = __real_send(fd, p, n ? 1 : 0, flags);
    int error = errno;
    arm_again(fd);
    errno = error;
    return put;
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (!fails(CALL_WRITE))
        return __real_sendmsg(fd, message, flags);
    if (f.fault.how != ONE_BYTE)
        return refuse(fd);
    ssize_t put = __real_send(fd, message->msg_iov[0].iov_base, 1, flags);
    int error = errno;
    arm_again(fd);
    errno = error;
    return put;
}

/* conn_io.c goes around libc where no sanitizer looks on. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    va_list list;
    long a[6];

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    switch (number) {
    case SYS_recvfrom:
        return __wrap_recv((int)a[0], (void *)a[1], (size_t)a[2], (int)a[3]);
    case SYS_sendto:
        return __wrap_send((int)a[0], (void *)a[1], (size_t)a[2], (int)a[3]);
    case SYS_sendmsg:
        return __wrap_sendmsg((int)a[0], (void *)a[1], (int)a[2]);
    default:
        return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
}

/* -- sockets ------------------------------------------------------------------------------------------------------- */

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
    return fails(CALL_SOCKET) ? (int)refuse(-1) : __real_socket(family, type, protocol);
}

int __real_connect(int fd, const struct sockaddr *to, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t n)
{
    bool is_for_error = f.is_set && f.fault.call == CALL_SOCKET_ERROR && engine_is_running();

    if (!is_for_error && !fails(CALL_CONNECT))
        return __real_connect(fd, to, n);
    if ((is_for_error || f.fault.how == FAILS_AFTER) && __real_connect(fd, to, n) != 0)
        return -1;
    errno = is_for_error ? EINPROGRESS : f.fault.error;
    return -1;
}

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *n);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *n);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *n)
{
    if (level != SOL_SOCKET || name != SO_ERROR || !fails(CALL_SOCKET_ERROR))
        return __real_getsockopt(fd, level, name, value, n);
    if (f.fault.how == TELLS_ERROR) {
        memcpy(value, &f.fault.error, sizeof(int));
        return 0;
    }
    return (int)refuse(-1);
}

int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how)
{
    return fails(CALL_SHUTDOWN) ? (int)refuse(-1) : __real_shutdown(fd, how);
}

int __wrap_close(int fd)
{
    bool failed = fails(CALL_CLOSE);

    if (fd >= 0 && fd < FDS)
        f.watched[fd].epoll = 0;
    int done = __real_close(fd); /* the kernel always frees the descriptor */
    return failed ? (int)refuse(-1) : done;
}

/* -- readiness ----------------------------------------------------------------------------------------------------- */

int __real_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
    return fails(CALL_POLL) ? (int)refuse(-1) : __real_poll(fds, n, ms);
}

static void *next(const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);

    MUST(p);
    return p;
}

#define IN_FRONT_OF_LIBC __attribute__((visibility("default"))) /* for libevent to find it */

IN_FRONT_OF_LIBC int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    if (!libc_epoll_ctl)
        *(void **)&libc_epoll_ctl = next("epoll_ctl");
    if (what == EPOLL_CTL_ADD && fails(CALL_WATCH))
        return (int)refuse(-1);
    int done = libc_epoll_ctl(epoll, what, fd, event);
    if (done == 0 && fd < FDS) {
        f.watched[fd].epoll = what == EPOLL_CTL_DEL ? 0 : epoll;
        if (what != EPOLL_CTL_DEL)
            f.watched[fd].event = *event;
    }
    return done;
}

IN_FRONT_OF_LIBC int epoll_wait(int epoll, struct epoll_event *events, int most, int ms)
{
    static int (*libc)(int, struct epoll_event *, int, int);

    if (!libc)
        *(void **)&libc = next("epoll_wait");
    return fails(CALL_WAIT) ? (int)refuse(-1) : libc(epoll, events, most, ms);
}
