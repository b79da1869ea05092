/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/sink_file.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pipeline/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

enum { REPORT_MS = 60 * 1000, KEEP_MOST = 10000 };

static int open_by_ourselves(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

int (*sink_open)(const char *path) = open_by_ourselves;

static uint64_t now_ms(void)
{
    return clock_us_now() / 1000;
}

/* -- opening ------------------------------------------------------------------------------------------------------- */

static uint64_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

static bool open_path(struct sink_file *file)
{
    int fd = sink_open(file->path);
    if (fd < 0)
        return false;
    if (file->fd >= 0)
        close(file->fd);
    file->fd = fd;
    file->size = size_of(fd);
    file->torn = false;
    return true;
}

bool sink_file_init(struct sink_file *file, enum sink_kind kind, str path)
{
    *file = (struct sink_file){ .kind = kind, .fd = -1 };
    if (kind == SINK_FILE) {
        file->path = str_dup(path);
        if (!file->path) {
            errno = ENOMEM;
            return false;
        }
        if (!open_path(file)) {
            int saved = errno;
            mem_free(file->path);
            errno = saved;
            return false;
        }
    } else if (kind != SINK_SYSLOG) {
        file->fd = kind == SINK_STDOUT ? STDOUT_FILENO : STDERR_FILENO;
    }
    pthread_mutex_init(&file->lock, NULL);
    return true;
}

void sink_file_finish(struct sink_file *file)
{
    if (file->kind == SINK_FILE && file->fd >= 0)
        close(file->fd);
    mem_free(file->path);
    pthread_mutex_destroy(&file->lock);
}

void sink_file_reopen(struct sink_file *file)
{
    if (file->kind != SINK_FILE)
        return;
    pthread_mutex_lock(&file->lock);
    bool done = open_path(file);
    int error = errno;
    pthread_mutex_unlock(&file->lock);
    errno = error;
    if (!done)
        log_error("log %s: cannot be opened anew, going on with the old file: %m", file->path);
}

/* -- rotation; the lock is held ------------------------------------------------------------------------------------ */

static bool rename_step(const char *path, uint64_t from, uint64_t to)
{
    char a[4096], b[4096];
    int n = from ? snprintf(a, sizeof(a), "%s.%llu", path, (unsigned long long)from)
                 : snprintf(a, sizeof(a), "%s", path);
    int m = snprintf(b, sizeof(b), "%s.%llu", path, (unsigned long long)to);
    if (n < 0 || m < 0 || (size_t)n >= sizeof(a) || (size_t)m >= sizeof(b)) {
        errno = ENAMETOOLONG;
        return false;
    }
    return rename(a, b) == 0 || (from && errno == ENOENT); /* a gap in the row does not matter */
}

static void rotate(struct sink_file *file)
{
    uint64_t keep = file->keep < KEEP_MOST ? file->keep : KEEP_MOST;
    bool done = true;
    for (uint64_t i = keep; done && i > 1; i--)
        done = rename_step(file->path, i - 1, i);
    if (done)
        done = keep ? rename_step(file->path, 0, 1) : unlink(file->path) == 0;
    done = done && open_path(file);
    if (done)
        return;
    file->rotate_after_ms = now_ms() + REPORT_MS;
    log_error("log %s: cannot be rotated, going on with the old file: %m", file->path);
}

static bool wants_rotation(const struct sink_file *file, size_t more)
{
    return file->kind == SINK_FILE && file->rotate && file->size && file->size + more > file->rotate &&
           (!file->rotate_after_ms || now_ms() >= file->rotate_after_ms);
}

/* -- writing; the lock is held ------------------------------------------------------------------------------------- */

static uint64_t count_lines(str s)
{
    uint64_t count = s.n && s.p[s.n - 1] != '\n';
    for (size_t i = 0; i < s.n; i++)
        count += s.p[i] == '\n';
    return count;
}

/* How many bytes went; fewer than all: errno. */
static size_t write_bytes(int fd, str s)
{
    size_t done = 0;
    while (done < s.n) {
        ssize_t n = write(fd, s.p + done, s.n - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

static uint64_t write_fd(struct sink_file *file, str lines)
{
    if (file->torn && write_bytes(file->fd, S("\n")) == 1) {
        file->size++;
        file->torn = false; /* what is there of the broken line keeps a line of its own */
    }
    size_t done = write_bytes(file->fd, lines);
    int error = errno;
    file->size += done;
    if (done == lines.n)
        return 0;
    if (done)
        file->torn = lines.p[done - 1] != '\n';
    errno = error;
    return count_lines(str_from(lines, done));
}

static void write_syslog(str lines)
{
    str line;
    while (str_split(&lines, '\n', &line))
        if (line.n)
            syslog(LOG_DAEMON | LOG_INFO, "%.*s", STR_ARG(line));
}

static void note_loss(struct sink_file *file, uint64_t lost)
{
    file->error = errno;
    file->lost += lost;
    file->lost_unreported += lost;
}

/* At once, then once a minute; also when all is well again. */
static void report_loss(struct sink_file *file)
{
    uint64_t now = now_ms();
    if (!file->lost_unreported || (file->reported_ms && now - file->reported_ms < REPORT_MS))
        return;
    char reason[128];
    errno = file->error;
    snprintf(reason, sizeof(reason), "%m");
    log_error("log %s: %llu lines lost: %s", file->path ? file->path : file->kind == SINK_STDOUT ? "stdout" : "stderr",
              (unsigned long long)file->lost_unreported, reason);
    file->lost_unreported = 0;
    file->reported_ms = now;
}

uint64_t sink_file_write(struct sink_file *file, str lines)
{
    uint64_t lost = 0;
    if (lines.n == 0)
        return 0;
    pthread_mutex_lock(&file->lock);
    if (file->kind == SINK_SYSLOG) {
        write_syslog(lines);
    } else {
        if (wants_rotation(file, lines.n))
            rotate(file);
        lost = write_fd(file, lines);
        if (lost)
            note_loss(file, lost);
        report_loss(file);
    }
    pthread_mutex_unlock(&file->lock);
    return lost;
}
