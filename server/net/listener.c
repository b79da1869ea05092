/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* accept4 */
#include "net/listener.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ACCEPTS_A_TURN = 64, PAUSE_MS = 100, LOG_EVERY_MS = 60000 };

static bool set_option(int fd, int level, int name)
{
    static const int on = 1;
    return setsockopt(fd, level, name, &on, sizeof(on)) == 0;
}

/* A socket file without a process behind it refuses connections. Anything else is left alone. */
static bool remove_stale(const struct addr *addr)
{
    struct stat st;
    if (lstat(addr->un.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, &addr->any, addr->n) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused && unlink(addr->un.sun_path) == 0;
}

static bool bind_socket(int fd, const struct addr *addr)
{
    if (bind(fd, &addr->any, addr->n) == 0)
        return true;
    if (errno != EADDRINUSE || !addr_is_unix(addr))
        return false;
    if (!remove_stale(addr)) {
        errno = EADDRINUSE;
        return false;
    }
    return bind(fd, &addr->any, addr->n) == 0;
}

static bool set_up(int fd, const struct addr *addr, bool reuse_port)
{
    if (addr_is_unix(addr))
        return true;
    return set_option(fd, SOL_SOCKET, SO_REUSEADDR) && (!reuse_port || set_option(fd, SOL_SOCKET, SO_REUSEPORT))
           && (addr->any.sa_family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY));
}

int listener_bind(const struct addr *addr, int backlog, bool reuse_port)
{
    int fd = socket(addr->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (set_up(fd, addr, reuse_port) && bind_socket(fd, addr) && listen(fd, backlog) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static _Atomic uint64_t stalls;

uint64_t listener_stalls(void)
{
    return atomic_load_explicit(&stalls, memory_order_relaxed);
}

/* One line a minute for the whole process, however many listeners suffer. */
static void complain(const struct listener *listener, int why)
{
    static _Atomic uint64_t logged; /* ms of the last line; 0: never */
    uint64_t now = clock_ms(), last = atomic_load_explicit(&logged, memory_order_relaxed);
    if (last && now - last < LOG_EVERY_MS)
        return;
    if (!atomic_compare_exchange_strong_explicit(&logged, &last, now ? now : 1, memory_order_relaxed,
                                                 memory_order_relaxed))
        return;
    char room[ADDR_TEXT];
    str where = addr_text(&listener->addr, room);
    errno = why;
    log_error("listener " STR_FMT ": accept failed, pausing for %d ms: %m", STR_ARG(where), PAUSE_MS);
}

static void pause_for_resources(struct listener *listener, int why)
{
    complain(listener, why);
    atomic_fetch_add_explicit(&stalls, 1, memory_order_relaxed);
    io_pause(&listener->io);
    deadline_set(&listener->pause, PAUSE_MS);
}

/* Troubles of one connection that was on its way in (accept(2), "Error handling"). */
static bool concerns_one_connection(int why)
{
    switch (why) {
    case EINTR: case ECONNABORTED: case EPROTO: case EPERM: case ENETDOWN: case ENOPROTOOPT: case EHOSTDOWN:
    case ENONET: case EHOSTUNREACH: case ENETUNREACH: case EOPNOTSUPP: case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

/* An accept that finds nothing is a wasted call: tried are as many as came last time, then twice as many. */
static void learn_batch(struct listener *listener, unsigned accepted, bool ran_dry)
{
    if (ran_dry)
        listener->batch = accepted ? accepted : 1;
    else if (listener->batch < listener->most_per_turn)
        listener->batch *= 2;
    if (listener->batch > listener->most_per_turn)
        listener->batch = listener->most_per_turn;
}

static int accept_one(struct listener *listener, struct addr *peer)
{
    peer->n = sizeof(peer->storage);
    int fd = accept4(listener->io.fd, &peer->any, &peer->n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 || !listener->not_accepted)
        return fd;
    int why = errno;
    listener->not_accepted(listener);
    errno = why;
    return -1;
}

static bool may_accept(struct listener *listener, bool somebody_waits)
{
    if (!listener->may_accept || listener->may_accept(listener, somebody_waits))
        return true;
    if (somebody_waits)
        listener_pause(listener);
    return false;
}

static void on_ready(struct io *io, unsigned ready)
{
    struct listener *listener = list_entry(io, struct listener, io);
    bool is_gone = false, ran_dry = false;
    unsigned accepted = 0;
    (void)ready;
    listener->gone = &is_gone;
    for (unsigned tries = 0; tries < listener->batch && !listener->is_paused; tries++) {
        struct addr peer;
        if (!may_accept(listener, tries == 0))
            break;
        int fd = accept_one(listener, &peer);
        if (fd >= 0) {
            accepted++;
            listener->on_accept(listener, fd, &peer);
            if (is_gone)
                return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            ran_dry = true;
            break;
        } else if (!concerns_one_connection(errno)) {
            pause_for_resources(listener, errno); /* others too: a listener that cannot accept must not spin */
            break;
        }
    }
    listener->gone = NULL;
    learn_batch(listener, accepted, ran_dry);
}

static void on_pause_over(struct deadline *deadline)
{
    struct listener *listener = list_entry(deadline, struct listener, pause);
    if (!listener->is_paused)
        io_resume(&listener->io);
}

bool listener_open(struct listener *listener, int fd, void *owner,
                   void (*on_accept)(struct listener *, int, const struct addr *))
{
    listener->owner = owner;
    listener->on_accept = on_accept;
    listener->is_paused = false;
    listener->gone = NULL;
    listener->batch = 1;
    if (listener->most_per_turn == 0)
        listener->most_per_turn = ACCEPTS_A_TURN;
    addr_of_socket(fd, false, &listener->addr);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); /* one from a service manager need not be */
    if (!addr_is_unix(&listener->addr))
        set_option(fd, IPPROTO_TCP, TCP_NODELAY); /* accepted sockets inherit it: no call for each */
    deadline_init(&listener->pause, on_pause_over);
    return io_add_level(&listener->io, fd, on_ready);
}

void listener_pause(struct listener *listener)
{
    if (listener->is_paused)
        return;
    listener->is_paused = true;
    io_pause(&listener->io);
}

void listener_resume(struct listener *listener)
{
    if (!listener->is_paused)
        return;
    listener->is_paused = false;
    if (!deadline_is_set(&listener->pause))
        io_resume(&listener->io);
}

void listener_close(struct listener *listener)
{
    if (!listener->io.event)
        return;
    if (listener->gone)
        *listener->gone = true;
    listener->gone = NULL;
    deadline_cancel(&listener->pause);
    io_remove(&listener->io);
    close(listener->io.fd);
    listener->io.fd = -1;
}
