/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* dup3 */
#include "base/log.h"
#include "base/clock.h"
#include "base/out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

enum { MESSAGE_MOST = 2048, LINE_MOST = 4 * MESSAGE_MOST + 64 }; /* room for a message that is escaped throughout */

static const struct {
    const char *name;
    int priority;
} levels[] = {
    { "debug", LOG_DEBUG }, /* in the order of enum log_level */
    { "info", LOG_INFO },
    { "notice", LOG_NOTICE },
    { "warn", LOG_WARNING },
    { "error", LOG_ERR },
};

static atomic_int least = LOG_INFO_;
static atomic_int kind = LOG_TO_STDERR;
static _Atomic uint64_t dropped;

/* Where files go: one number for ever once a file was given. A new file is put under it with dup3, so that a thread in
 * the middle of a write never hits a number that was closed and handed out again for a client. */
static atomic_int sink = STDERR_FILENO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&least, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&least, memory_order_relaxed);
}

static void put_under_sink(int fd)
{
    int rc;
    do
        rc = dup3(fd, atomic_load(&sink), O_CLOEXEC);
    while (rc < 0 && (errno == EINTR || errno == EBUSY));
}

void log_to_fd(int fd)
{
    if (atomic_load(&sink) == STDERR_FILENO) {
        atomic_store(&sink, fd);
    } else if (fd != atomic_load(&sink)) {
        put_under_sink(fd);
        close(fd);
    }
    atomic_store(&kind, LOG_TO_FILE);
}

/* Closes the file by putting stderr under its number, where late writers then end up. */
static void leave_file(void)
{
    if (atomic_load(&sink) != STDERR_FILENO)
        put_under_sink(STDERR_FILENO);
}

void log_to_stderr(void)
{
    atomic_store(&kind, LOG_TO_STDERR);
    leave_file();
}

void log_to_syslog(void)
{
    openlog("weir", LOG_PID | LOG_NDELAY, LOG_DAEMON);
    atomic_store(&kind, LOG_TO_SYSLOG);
    leave_file();
}

bool log_level_parse(str name, enum log_level *out)
{
    for (int i = LOG_DEBUG_; i <= LOG_ERROR_; i++) {
        if (str_equal(name, str_of(levels[i].name))) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_vwrite(level, fmt, ap);
    va_end(ap);
}

/* 2026-11-21T05:31:51.123Z; read now, as threads without a loop log too. */
static void put_time(struct out *out)
{
    char room[CLOCK_ROOM], ms[8];
    uint64_t now = clock_wall_ms_now();
    out_str(out, str_upto(clock_format(CLOCK_ISO8601, now / 1000, room), sizeof("2026-11-21T05:31:51") - 1));
    snprintf(ms, sizeof(ms), ".%03uZ", (unsigned)(now % 1000));
    out_str(out, str_of(ms));
}

static void write_line(int fd, str line)
{
    ssize_t n;
    do
        n = write(fd, line.p, line.n);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)line.n)
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
}

void log_vwrite(enum log_level level, const char *fmt, va_list ap)
{
    if (level < log_get_level())
        return;
    int saved = errno;
    char message[MESSAGE_MOST], line[LINE_MOST];
    int n = vsnprintf(message, sizeof(message), fmt, ap);
    if (n < 0) { /* a conversion that libc refuses: the fact that something was said is still worth a line */
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
        errno = saved;
        return;
    }
    bool cut = (size_t)n >= sizeof(message);
    int where = atomic_load(&kind);
    bool to_syslog = where == LOG_TO_SYSLOG;
    struct out out = { .p = line, .room = sizeof(line) };
    if (!to_syslog) {
        put_time(&out);
        out_char(&out, ' ');
        out_str(&out, str_of(levels[level].name));
        out_char(&out, ' ');
    }
    out_printable(&out, (str){ message, cut ? sizeof(message) - 1 : (size_t)n });
    if (cut)
        out_str(&out, S("..."));
    if (to_syslog) {
        syslog(levels[level].priority, "%.*s", (int)out.n, line);
    } else {
        out_char(&out, '\n');
        write_line(where == LOG_TO_FILE ? atomic_load(&sink) : STDERR_FILENO, (str){ line, out.n });
    }
    errno = saved;
}
