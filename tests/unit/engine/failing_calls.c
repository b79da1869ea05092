/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* RTLD_NEXT */
#include "failing_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS = 1024 };

static struct calls ours;
static struct calls *f = &ours;
static struct {
    int epoll; /* 0: not watched */
    struct epoll_event event;
} watched[FDS];

/* -- which call fails ---------------------------------------------------------------------------------------------- */

#ifdef FAILING_CALLS_PRELOADED
__attribute__((constructor)) static void map_shared(void)
{
    const char *path = getenv("WEIR_FAILING_CALLS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *p = fd >= 0 ? mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (p != MAP_FAILED)
        f = p;
    if (fd >= 0)
        close(fd);
}

static bool is_counted(void)
{
    char name[16] = "";

    return f->pid && f->pid == (uint32_t)getpid() && prctl(PR_GET_NAME, name) == 0 && strncmp(name, "weir-w", 6) == 0;
}
#else
#include "engine.h"

static bool is_counted(void)
{
    return engine_is_running();
}

void calls_fail(const struct call_fault *fault, uint64_t n)
{
    f->fault = *fault;
    f->n = n;
    f->seen = f->failed = 0;
    f->is_set = true;
}

void calls_heal(void)
{
    f->is_set = false;
}

uint64_t calls_failed(void)
{
    return f->failed;
}

uint64_t calls_made(enum call call)
{
    return f->made[call];
}
#endif

static bool is_due(uint64_t at)
{
    switch ((enum often)f->fault.often) {
    case ONCE:        return at == f->n;
    case EVER_AFTER:  return at >= f->n;
    case EVERY_OTHER: return at >= f->n && (at - f->n) % 2 == 0;
    }
    return false;
}

/* Whether this call is the one, or one of those, to fail. */
static bool fails(enum call call)
{
    if (!is_counted())
        return false;
    f->made[call]++;
    if (!f->is_set || f->fault.call != call || !is_due(f->seen++))
        return false;
    f->failed++;
    return true;
}

static bool is_watched(int fd)
{
    return fd >= 0 && fd < FDS && watched[fd].epoll;
}

/* -- libc's -------------------------------------------------------------------------------------------------------- */

#define IN_FRONT_OF_LIBC __attribute__((visibility("default"))) /* for libraries to find it */

/* The function of that name behind ours. */
#define LIBC(name) \
    __extension__({ \
        static __typeof__(&name) found; \
        if (!found) \
            *(void **)&found = dlsym(RTLD_NEXT, #name); \
        found; \
    })

/* What was not read or not written is there still: an edge says so. */
static void arm_again(int fd)
{
    int error = errno;

    if (is_watched(fd))
        LIBC(epoll_ctl)(watched[fd].epoll, EPOLL_CTL_MOD, fd, &watched[fd].event);
    errno = error;
}

/* -1 and errno, for a call that does nothing. */
static int refuse(int fd)
{
    if (f->fault.error == EAGAIN)
        arm_again(fd);
    errno = f->fault.error;
    return -1;
}

/* What a call brought that moved one byte only. */
static ssize_t moved(int fd, ssize_t n)
{
    arm_again(fd);
    return n;
}

/* -- bytes --------------------------------------------------------------------------------------------------------- */

IN_FRONT_OF_LIBC ssize_t recv(int fd, void *p, size_t n, int flags)
{
    if (!fails(CALL_READ))
        return LIBC(recv)(fd, p, n, flags);
    return f->fault.how == ONE_BYTE ? moved(fd, LIBC(recv)(fd, p, n ? 1 : 0, flags)) : refuse(fd);
}

IN_FRONT_OF_LIBC ssize_t readv(int fd, const struct iovec *iov, int count)
{
    struct iovec one = { .iov_base = iov->iov_base, .iov_len = 1 };

    if (!fails(CALL_READ))
        return LIBC(readv)(fd, iov, count);
    return f->fault.how == ONE_BYTE ? moved(fd, LIBC(readv)(fd, &one, 1)) : refuse(fd);
}

/* Of a socket, by a library; files are read for configurations, and pipes by the loop. */
IN_FRONT_OF_LIBC ssize_t read(int fd, void *p, size_t n)
{
    if (!is_watched(fd) || !fails(CALL_READ))
        return LIBC(read)(fd, p, n);
    return f->fault.how == ONE_BYTE ? moved(fd, LIBC(read)(fd, p, n ? 1 : 0)) : refuse(fd);
}

IN_FRONT_OF_LIBC ssize_t send(int fd, const void *p, size_t n, int flags)
{
    if (!fails(CALL_WRITE))
        return LIBC(send)(fd, p, n, flags);
    return f->fault.how == ONE_BYTE ? moved(fd, LIBC(send)(fd, p, n ? 1 : 0, flags)) : refuse(fd);
}

IN_FRONT_OF_LIBC ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (!fails(CALL_WRITE))
        return LIBC(sendmsg)(fd, message, flags);
    return f->fault.how == ONE_BYTE ? moved(fd, LIBC(send)(fd, message->msg_iov[0].iov_base, 1, flags)) : refuse(fd);
}

IN_FRONT_OF_LIBC ssize_t sendfile(int out, int in, off_t *offset, size_t n)
{
    if (!fails(CALL_SENDFILE))
        return LIBC(sendfile)(out, in, offset, n);
    return f->fault.how == ONE_BYTE ? moved(out, LIBC(sendfile)(out, in, offset, n ? 1 : 0)) : refuse(out);
}

IN_FRONT_OF_LIBC ssize_t write(int fd, const void *p, size_t n)
{
    if (!fails(CALL_LOG))
        return LIBC(write)(fd, p, n);
    return f->fault.how == ONE_BYTE ? LIBC(write)(fd, p, n ? 1 : 0) : refuse(-1);
}

/* conn_io.c goes around libc where no sanitizer looks on. */
IN_FRONT_OF_LIBC long syscall(long number, ...)
{
    va_list list;
    long a[6];

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    switch (number) {
    case SYS_recvfrom:
        return recv((int)a[0], (void *)a[1], (size_t)a[2], (int)a[3]);
    case SYS_sendto:
        return send((int)a[0], (void *)a[1], (size_t)a[2], (int)a[3]);
    case SYS_sendmsg:
        return sendmsg((int)a[0], (void *)a[1], (int)a[2]);
    default:
        return LIBC(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
}

/* -- sockets ------------------------------------------------------------------------------------------------------- */

IN_FRONT_OF_LIBC int accept4(int fd, struct sockaddr *restrict from, socklen_t *restrict n, int flags)
{
    return fails(CALL_ACCEPT) ? refuse(-1) : LIBC(accept4)(fd, from, n, flags);
}

IN_FRONT_OF_LIBC int socket(int family, int type, int protocol)
{
    return fails(CALL_SOCKET) ? refuse(-1) : LIBC(socket)(family, type, protocol);
}

IN_FRONT_OF_LIBC int connect(int fd, const struct sockaddr *to, socklen_t n)
{
    bool is_slow = f->is_set && f->fault.call == CALL_SOCKET_ERROR && is_counted();

    if (!is_slow && !fails(CALL_CONNECT))
        return LIBC(connect)(fd, to, n);
    if ((is_slow || f->fault.how == FAILS_AFTER) && LIBC(connect)(fd, to, n) != 0)
        return -1;
    errno = is_slow ? EINPROGRESS : f->fault.error;
    return -1;
}

IN_FRONT_OF_LIBC int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict n)
{
    if (level != SOL_SOCKET || name != SO_ERROR || !fails(CALL_SOCKET_ERROR))
        return LIBC(getsockopt)(fd, level, name, value, n);
    if (f->fault.how != TELLS_ERROR)
        return refuse(-1);
    memcpy(value, &f->fault.error, sizeof(int));
    return 0;
}

IN_FRONT_OF_LIBC int setsockopt(int fd, int level, int name, const void *value, socklen_t n)
{
    return fails(CALL_SET_OPTION) ? refuse(-1) : LIBC(setsockopt)(fd, level, name, value, n);
}

IN_FRONT_OF_LIBC int shutdown(int fd, int how)
{
    if (!fails(CALL_SHUTDOWN))
        return LIBC(shutdown)(fd, how);
    if (f->fault.how == FAILS_AFTER && LIBC(shutdown)(fd, how) != 0)
        return -1;
    return refuse(-1);
}

IN_FRONT_OF_LIBC int close(int fd)
{
    bool failed = fails(CALL_CLOSE);

    if (fd >= 0 && fd < FDS)
        watched[fd].epoll = 0;
    int done = LIBC(close)(fd); /* the kernel always frees the descriptor */
    return failed ? refuse(-1) : done;
}

/* -- readiness ----------------------------------------------------------------------------------------------------- */

IN_FRONT_OF_LIBC int poll(struct pollfd *fds, nfds_t n, int ms)
{
    return fails(CALL_POLL) ? refuse(-1) : LIBC(poll)(fds, n, ms);
}

IN_FRONT_OF_LIBC int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    if (what == EPOLL_CTL_ADD && fails(CALL_WATCH))
        return refuse(-1);
    int done = LIBC(epoll_ctl)(epoll, what, fd, event);
    if (done == 0 && fd < FDS) {
        watched[fd].epoll = what == EPOLL_CTL_DEL ? 0 : epoll;
        if (what != EPOLL_CTL_DEL)
            watched[fd].event = *event;
    }
    return done;
}

IN_FRONT_OF_LIBC int epoll_wait(int epoll, struct epoll_event *events, int most, int ms)
{
    return fails(CALL_WAIT) ? refuse(-1) : LIBC(epoll_wait)(epoll, events, most, ms);
}
