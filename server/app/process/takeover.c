/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* memfd_create */
#include "app/process/takeover.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_MOST = 16 * 1024 * 1024, FDS_MOST = 256, CHECK_S = 10 };
static const char first_line[] = "weir-supervisor 1";

/* -- which descriptors --------------------------------------------------------------------------------------------- */

static void each_fd(const struct supervisor *its, void (*act)(int fd, int flag), int flag)
{
    if (its->control_fd >= 0)
        act(its->control_fd, flag);
    for (const struct bound *b = its->bounds.first; b; b = b->next)
        for (unsigned i = 0; i < b->count; i++)
            act(b->fds[i], flag);
    for (unsigned i = 0; i < its->bounds.inherited_count; i++)
        if (its->bounds.inherited[i] >= 0)
            act(its->bounds.inherited[i], flag);
    for (uint32_t i = 0; i < its->files.count; i++)
        act(its->files.at[i].fd, flag);
    for (const struct child *c = its->children; c; c = c->next) {
        if (c->channel >= 0)
            act(c->channel, flag);
        act(c->crumbs_fd, flag);
    }
}

static void set_flag(int fd, int flag)
{
    fcntl(fd, F_SETFD, flag);
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

static void write_children(const struct supervisor *its, FILE *to)
{
    for (const struct child *c = its->children; c; c = c->next)
        fprintf(to, "child %d %d %d %d %llu %llu %d\n", (int)c->pid, c->channel, c->crumbs_fd, (int)c->state,
                (unsigned long long)c->started_ms, (unsigned long long)c->kill_at, c == its->current);
}

static void write_sockets(const struct supervisor *its, FILE *to)
{
    fprintf(to, "control %d\n", its->control_fd);
    for (const struct bound *b = its->bounds.first; b; b = b->next) {
        fprintf(to, "bound %d %u", b->is_shared, b->count);
        for (unsigned i = 0; i < b->count; i++)
            fprintf(to, " %d", b->fds[i]);
        fprintf(to, " %s\n", b->key);
    }
    for (unsigned i = 0; i < its->bounds.inherited_count; i++)
        if (its->bounds.inherited[i] >= 0)
            fprintf(to, "inherited %d\n", its->bounds.inherited[i]);
}

static int write_state(const struct supervisor *its)
{
    int fd = memfd_create("weir-state", 0);
    int copy = fd < 0 ? -1 : dup(fd);
    FILE *to = copy < 0 ? NULL : fdopen(copy, "w");

    if (!to) {
        if (copy >= 0)
            close(copy);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    fprintf(to, "%s\nprogram %s\nconfig %s\n", first_line, its->program, its->config_path);
    fprintf(to, "flags %d %d\n", its->was_ready, its->is_draining);
    write_sockets(its, to);
    for (uint32_t i = 0; i < its->files.count; i++)
        fprintf(to, "kept %d %d %s\n", its->files.at[i].is_log, its->files.at[i].fd, its->files.at[i].path);
    write_children(its, to);
    strikes_write(&its->strikes, to);
    kept_changes_write(&its->changes, to);
    fprintf(to, "plan\n");
    rehearsal_write(&its->live, to); /* to the end */
    bool fine = fflush(to) == 0 && !ferror(to);
    fclose(to);
    if (fine && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    close(fd);
    return -1;
}

/* -- asking, and going --------------------------------------------------------------------------------------------- */

static bool ended_well(pid_t pid)
{
    int status = 1;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool takeover_is_possible(const struct supervisor *its, const char *program, char *why, size_t n)
{
    char number[16];
    int state = write_state(its);

    if (state < 0) {
        snprintf(why, n, "the state cannot be written down: %s", strerror(errno));
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        alarm(CHECK_S);
        snprintf(number, sizeof(number), "%d", state);
        execl(program, "weir", "--resume-check", number, (char *)NULL);
        _exit(126);
    }
    close(state);
    if (pid > 0 && ended_well(pid))
        return true;
    snprintf(why, n, "%s cannot take over: it is no weir that can be started here, or one that does not know how",
             program);
    return false;
}

void takeover_exec(const struct supervisor *its, const char *program, char *why, size_t n)
{
    char number[16];
    int state = write_state(its);

    if (state < 0) {
        snprintf(why, n, "the state cannot be written down: %s", strerror(errno));
        return;
    }
    each_fd(its, set_flag, 0);
    snprintf(number, sizeof(number), "%d", state);
    execl(program, "weir", "--resume", number, (char *)NULL);
    snprintf(why, n, "%s: %s", program, strerror(errno));
    each_fd(its, set_flag, FD_CLOEXEC);
    close(state);
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static bool take_number(str *rest, uint64_t most, uint64_t *out)
{
    str word;

    return str_split(rest, ' ', &word) && str_to_u64(word, out) && *out <= most;
}

static bool take_fd(str *rest, int *fd)
{
    uint64_t number;

    if (str_has_prefix(*rest, S("-1"))) {
        *fd = -1;
        *rest = str_from(*rest, rest->n > 2 ? 3 : 2);
        return true;
    }
    if (!take_number(rest, INT32_MAX, &number))
        return false;
    *fd = (int)number;
    return true;
}

static char *text_of(str s)
{
    char *copy = malloc(s.n + 1);

    if (copy) {
        memcpy(copy, s.p, s.n);
        copy[s.n] = '\0';
    }
    return copy;
}

static bool read_flags(struct supervisor *its, str rest)
{
    uint64_t ready, draining;

    if (!take_number(&rest, 1, &ready) || !take_number(&rest, 1, &draining))
        return false;
    its->was_ready = ready;
    its->is_draining = draining;
    return true;
}

static bool read_bound(struct supervisor *its, str rest)
{
    uint64_t is_shared, count;
    int fds[FDS_MOST];

    if (!take_number(&rest, 1, &is_shared) || !take_number(&rest, FDS_MOST, &count))
        return false;
    for (unsigned i = 0; i < count; i++)
        if (!take_fd(&rest, &fds[i]))
            return false;
    return rest.n && bounds_adopt(&its->bounds, rest, fds, (unsigned)count, is_shared);
}

static bool read_kept(struct supervisor *its, str rest)
{
    uint64_t is_log;
    int fd;

    return take_number(&rest, 1, &is_log) && take_fd(&rest, &fd) && kept_files_adopt(&its->files, rest, fd, is_log);
}

static bool read_inherited(struct supervisor *its, str rest)
{
    struct bounds *b = &its->bounds;

    if (b->inherited_count == sizeof(b->inherited) / sizeof(b->inherited[0]))
        return false;
    return take_fd(&rest, &b->inherited[b->inherited_count]) && ++b->inherited_count;
}

static bool read_child(struct supervisor *its, str rest)
{
    uint64_t pid, state, started, kill_at, is_current;
    int channel, crumbs_fd;

    if (!take_number(&rest, INT32_MAX, &pid) || !take_fd(&rest, &channel) || !take_fd(&rest, &crumbs_fd) ||
        !take_number(&rest, CHILD_LEAVING, &state) || !take_number(&rest, UINT64_MAX, &started) ||
        !take_number(&rest, UINT64_MAX, &kill_at) || !take_number(&rest, 1, &is_current))
        return false;
    struct child *child = child_adopt((pid_t)pid, channel, crumbs_fd);
    if (!child)
        return false;
    child->state = (enum child_state)state;
    child->started_ms = started;
    child->kill_at = kill_at;
    struct child **last = &its->children;
    while (*last)
        last = &(*last)->next;
    *last = child;
    if (is_current)
        its->current = child;
    return true;
}

static bool read_line(struct supervisor *its, str word, str rest)
{
    if (str_equal(word, S("program")))
        return (its->program = text_of(rest)) != NULL;
    if (str_equal(word, S("config")))
        return (its->config_path = text_of(rest)) != NULL;
    if (str_equal(word, S("flags")))
        return read_flags(its, rest);
    if (str_equal(word, S("control")))
        return take_fd(&rest, &its->control_fd);
    if (str_equal(word, S("bound")))
        return read_bound(its, rest);
    if (str_equal(word, S("kept")))
        return read_kept(its, rest);
    if (str_equal(word, S("inherited")))
        return read_inherited(its, rest);
    if (str_equal(word, S("child")))
        return read_child(its, rest);
    if (str_equal(word, S("strike")))
        return strikes_read(&its->strikes, rest);
    if (str_equal(word, S("upstream")))
        return kept_changes_put(&its->changes, rest);
    return true;
}

static bool read_lines(struct supervisor *its, str text)
{
    str line;

    if (!str_split(&text, '\n', &line) || !str_equal(line, str_of(first_line)))
        return false;
    while (str_split(&text, '\n', &line)) {
        if (str_equal(line, S("plan")))
            return its->config_path && its->program && rehearsal_read(&its->live, text);
        size_t space = str_find(line, ' ');
        if (!read_line(its, str_upto(line, space), str_from(line, space + 1)))
            return false;
    }
    return false;
}

static bool read_text(int fd, char **text, size_t *n)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size > TEXT_MOST)
        return false;
    *n = (size_t)st.st_size;
    *text = malloc(*n);
    return *text && pread(fd, *text, *n, 0) == (ssize_t)*n;
}

static bool read_state(struct supervisor *its, int fd)
{
    char *text = NULL;
    size_t n = 0;

    bool ok = read_text(fd, &text, &n) && read_lines(its, (str){ text, n });
    free(text);
    return ok;
}

bool takeover_read(struct supervisor *its, int fd)
{
    bool ok = read_state(its, fd);

    close(fd);
    each_fd(its, set_flag, FD_CLOEXEC);
    return ok;
}

/* The descriptors that the text names are not there, and nothing is freed: it ends at once. */
int takeover_check(int fd)
{
    static struct supervisor its = { .control_fd = -1 };

    _exit(read_state(&its, fd) ? 0 : 1);
}
