/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "app/process/supervisor.h"

#include "app/process/channel.h"
#include "app/process/crash.h"
#include "app/process/notify.h"
#include "app/process/privileges.h"
#include "app/process/supervisor_state.h"
#include "app/process/takeover.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOP_GRACE_MS = 5000, NOW_MS = 3000, QUICK_CRASH_MS = 1000, QUICK_CRASHES = 3, PAUSE_STEP_MS = 500,
       PAUSE_MOST_MS = 10000, CHANNELS_MOST = 64 };

struct supervisor sv = { .control_fd = -1 };

static int signals; /* signalfd */
static struct channel_message message;

uint64_t supervisor_now_ms(void)
{
    return clock_us_now() / 1000;
}

/* -- what a configuration needs of us ------------------------------------------------------------------------------ */

static void want_error_log(struct rehearsal *r)
{
    str target = r->settings.error_log;

    if (!target.n || target.p[0] != '/')
        return;
    struct plan_file *file = vec_push(r->arena, &r->files, sizeof(*file));
    if (file)
        *file = (struct plan_file){ target, true };
}

bool supervisor_bind(struct rehearsal *r, char *why, size_t n)
{
    want_error_log(r);
    bounds_unwant_all(&sv.bounds);
    for (uint32_t i = 0; i < r->listens.count; i++) {
        const struct plan_listen *listen = vec_at(&r->listens, struct plan_listen, i);
        if (bounds_want(&sv.bounds, listen->key, r->settings.workers, why, n))
            continue;
        if (!listen->is_implied || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
            return false;
    }
    return true;
}

/* The control socket's folder is ours alone to make when it is missing, as /run/weir is after a start of the
 * machine. */
static bool make_folders(const struct settings *s, char *why, size_t n)
{
    if (s->control.n && !privileges_make_parents(s->control, why, n))
        return false;
    return privileges_make_folder(s, s->state_dir, why, n);
}

/* The socket's folder may be missing in a container; its file may be left over from a crash of ours. */
static int bind_control(const struct settings *s, char *why, size_t n)
{
    struct addr addr;
    char text[ADDR_TEXT];

    if (!s->control.n)
        return -1;
    snprintf(text, sizeof(text), "unix:%.*s", STR_ARG(s->control));
    if (s->control.n > sizeof(addr.un.sun_path) - 1 || !addr_parse(str_of(text), &addr)) {
        snprintf(why, n, "control %.*s: path too long for a socket", STR_ARG(s->control));
        return -1;
    }
    mode_t mask = umask(0177);
    int fd = listener_bind(&addr, 16, false);
    int error = errno;
    umask(mask);
    if (fd < 0)
        snprintf(why, n, "control %.*s: %s%s", STR_ARG(s->control), strerror(error),
                 error == EADDRINUSE ? " (is weir running already?)" : "");
    return fd;
}

/* -- servers ------------------------------------------------------------------------------------------------------- */

static bool send_bounds(int channel)
{
    for (const struct bound *b = sv.bounds.first; b; b = b->next) {
        for (unsigned i = 0; b->is_wanted && i < b->count; i++) {
            char rest[ADDR_TEXT + 32];
            int n = snprintf(rest, sizeof(rest), "%d %s", b->is_shared ? -1 : (int)i, b->key);
            if (channel_send(channel, "listen", (str){ rest, (size_t)n }, b->fds[i]) != 0)
                return false;
        }
    }
    return true;
}

static bool send_user(int channel, const struct settings *s)
{
    char rest[512];
    int n = snprintf(rest, sizeof(rest), "%.*s %.*s", STR_ARG(s->user), STR_ARG(s->group));

    return channel_send(channel, "user", (str){ rest, (size_t)n }, -1) == 0;
}

static bool send_quarantines(int channel, str lift)
{
    for (unsigned i = 0; i < sv.strikes.count; i++) {
        const struct strike_entry *e = &sv.strikes.at[i];
        char rest[512];
        if (!e->is_out || str_equal(str_of(e->name), lift))
            continue;
        int n = snprintf(rest, sizeof(rest), "%s %s %d %s", e->name, e->build, e->is_deep, e->why);
        if (channel_send(channel, "quarantine", (str){ rest, (size_t)n }, -1) != 0)
            return false;
    }
    return true;
}

static bool send_all(const struct child *child, const struct settings *s, const struct kept_files *files, str lift)
{
    int channel = child->channel;

    if (channel_send(channel, "crumbs", STR_NONE, child->crumbs_fd) != 0 || !send_user(channel, s))
        return false;
    if (sv.control_fd >= 0 && channel_send(channel, "control", STR_NONE, sv.control_fd) != 0)
        return false;
    if (sv.is_draining && channel_send(channel, "drain", STR_NONE, -1) != 0)
        return false;
    return send_bounds(channel) && kept_files_send(files, channel) && send_quarantines(channel, lift) &&
           kept_changes_send(&sv.changes, channel) &&
           channel_send(channel, "start", str_of(sv.config_path), -1) == 0;
}

struct child *supervisor_start(const char *program, const struct rehearsal *plan, const struct kept_files *files,
                               str lift)
{
    struct child *child = child_start(program, supervisor_now_ms());

    if (!child)
        return NULL;
    child->next = sv.children;
    sv.children = child;
    if (!send_all(child, &plan->settings, files, lift))
        log_warn("server %d went away while it was being started", (int)child->pid);
    return child;
}

static bool start_current(void)
{
    sv.restart_at = 0;
    sv.current = supervisor_start("/proc/self/exe", &sv.live, &sv.files, STR_NONE);
    return sv.current != NULL;
}

void supervisor_leave(struct child *child, str text)
{
    child->state = CHILD_LEAVING;
    child->kill_at = supervisor_now_ms() + sv.live.settings.shutdown_timeout + STOP_GRACE_MS;
    channel_send(child->channel, "retire", text, -1);
}

void supervisor_plan_restart(void)
{
    uint64_t pause = sv.quick_crashes < QUICK_CRASHES ? 0
        : (uint64_t)(sv.quick_crashes - QUICK_CRASHES + 1) * PAUSE_STEP_MS;

    if (pause > PAUSE_MOST_MS)
        pause = PAUSE_MOST_MS;
    sv.restart_at = supervisor_now_ms() + pause;
    if (pause)
        log_warn("server keeps ending: next start in %llu ms", (unsigned long long)pause);
}

/* -- their ends ---------------------------------------------------------------------------------------------------- */

static void note_strike(const struct child *child, int status, str how)
{
    struct crash_blame blame = crash_blame(child->crumbs, status);
    str name = str_of(blame.name), build = str_of(blame.build);
    uint64_t now = supervisor_now_ms();

    if (!blame.is_blamed && !blame.is_suspected)
        return;
    switch (strikes_add(&sv.strikes, name, build, blame.at_start, now, how)) {
    case STRIKE_NOTED:
        log_warn("module %s: strike %u of %d for its build %s", blame.name,
                 strikes_count(&sv.strikes, name, build, now), STRIKES_OUT, blame.build);
        break;
    case STRIKE_OUT:
        sv.quick_crashes = 0; /* what crashed will not run again */
        log_error("module %s: in quarantine after %s (build %s): its hooks that fail open are skipped, routes of "
                  "others answer 503; replace the file and weir reload, or weir unquarantine %s",
                  blame.name, strikes_find_out(&sv.strikes, name)->why, blame.build, blame.name);
        break;
    case STRIKE_DEEP:
        log_error("module %s: crashed the server in quarantine: from now on not even its load() and check() run",
                  blame.name);
        break;
    }
}

static bool is_orderly(const struct child *child, int status)
{
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

    return child->state == CHILD_LEAVING ? well : sv.stop_signals > 0 || (sv.was_ready && well && child == sv.current);
}

static void stop(void);

/* The last of them, told to stop or stopping by itself, decides what we say ourselves. */
static void end_orderly(const struct child *child, int status)
{
    if (child->state == CHILD_LEAVING && !sv.stop_signals)
        return;
    if (child == sv.current || WEXITSTATUS(status))
        sv.exit_status = sv.stop_signals && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (!sv.stop_signals)
        stop();
}

static void count_quick_crash(const struct child *child)
{
    uint64_t lived = supervisor_now_ms() - child->started_ms;

    sv.quick_crashes = lived < QUICK_CRASH_MS ? sv.quick_crashes + 1 : 0;
}

static void end_in_fault(struct child *child, int status)
{
    bool was_current = child == sv.current;
    char text[512];

    crash_describe(child->crumbs, status, text, sizeof(text));
    log_error("server %d ended: %s", (int)child->pid, text);
    if (was_current)
        count_quick_crash(child);
    note_strike(child, status, str_of(text));
    change_child_ended(child, str_of(text));
    if (!was_current)
        return;
    if (!sv.was_ready) {
        sv.exit_status = 1;
        sv.stop_signals = 1;
    } else if (!sv.next) {
        supervisor_plan_restart();
    }
}

static void child_ended(struct child *child, int status)
{
    struct child **link = &sv.children;

    while (*link != child)
        link = &(*link)->next;
    *link = child->next;
    if (is_orderly(child, status)) {
        end_orderly(child, status);
        if (child == sv.current)
            sv.current = NULL;
        if (child == sv.next)
            change_child_ended(child, S("stopped"));
    } else {
        end_in_fault(child, status);
    }
    child_finish(child);
}

static void reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (struct child *c = sv.children; c; c = c->next)
            if (c->pid == pid) {
                child_ended(c, status);
                break;
            }
}

/* -- what is heard ------------------------------------------------------------------------------------------------- */

static void reopen_logs(void)
{
    kept_files_reopen_logs(&sv.files, &sv.live.settings);
    for (const struct child *c = sv.children; c; c = c->next)
        if (c->channel >= 0 && kept_files_send(&sv.files, c->channel))
            channel_send(c->channel, "reopen", STR_NONE, -1);
    supervisor_use_error_log();
}

static void stop(void)
{
    sv.stop_signals++;
    sv.restart_at = 0;
    notify_send("STOPPING=1");
    bounds_unwant_all(&sv.bounds);
    bounds_drop_unwanted(&sv.bounds); /* new clients are refused rather than left waiting */
    bool now = sv.stop_signals > 1;
    for (struct child *c = sv.children; c; c = c->next) {
        if (c->channel >= 0)
            channel_send(c->channel, now ? "quit" : "stop", STR_NONE, -1);
        c->kill_at = supervisor_now_ms() + (now ? NOW_MS : sv.live.settings.shutdown_timeout + STOP_GRACE_MS);
    }
}

static void on_signal(void)
{
    struct signalfd_siginfo info;

    while (read(signals, &info, sizeof(info)) == sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
            stop();
            break;
        case SIGHUP:
            change_reload();
            break;
        case SIGUSR1:
            reopen_logs();
            break;
        case SIGUSR2:
            change_upgrade();
            break;
        default:
            reap();
        }
    }
}

static void on_ready(struct child *child)
{
    if (child->state != CHILD_STARTING)
        return;
    child->state = CHILD_READY;
    if (!sv.was_ready)
        log_notice("weir %s serves %s%s", WEIR_VERSION, sv.title ? "" : "with ", sv.title ? sv.title : sv.config_path);
    sv.was_ready = true;
    if (sv.stop_signals)
        return;
    if (!change_ready(child))
        bounds_settle(&sv.bounds);
    notify_send("READY=1\nSTATUS=serving");
    if (sv.reload_again && sv.change == CHANGE_NONE) {
        sv.reload_again = false;
        change_reload();
    }
}

static void pass_change(const struct child *from, const struct child *to, str record)
{
    if (to && to != from && to->channel >= 0)
        channel_send(to->channel, "upstream", record, -1);
}

/* While a new server is about to take over, both are to know. */
static void keep_change(const struct child *from, str record)
{
    kept_changes_put(&sv.changes, record);
    pass_change(from, sv.current, record);
    pass_change(from, sv.next, record);
}

/* Only who serves may ask for changes. */
static void on_wish(const struct channel_message *m)
{
    if (str_equal(m->verb, S("reload")))
        change_reload();
    else if (str_equal(m->verb, S("upgrade")))
        change_upgrade();
    else if (str_equal(m->verb, S("unquarantine")))
        change_lift(m->rest);
    else if (str_equal(m->verb, S("draining")))
        sv.is_draining = str_equal(m->rest, S("on"));
    else if (str_equal(m->verb, S("reopen")))
        reopen_logs();
    else if (str_equal(m->verb, S("reloaded")))
        change_reloaded(true);
    else if (str_equal(m->verb, S("reload-failed"))) {
        log_error("reload failed in the server, the former configuration serves:\n%.*s", STR_ARG(m->rest));
        change_reloaded(false);
    } else if (str_equal(m->verb, S("stop")) && !sv.stop_signals)
        stop();
}

static void on_verb(struct child *child, const struct channel_message *m)
{
    if (str_equal(m->verb, S("ready")))
        on_ready(child);
    else if (str_equal(m->verb, S("failed"))) {
        log_error("server cannot start:\n%.*s", STR_ARG(m->rest));
        change_failed(child, m->rest);
    } else if (str_equal(m->verb, S("upstream")))
        keep_change(child, m->rest);
    else if (child == sv.current)
        on_wish(m);
    else if (str_equal(m->verb, S("reload")))
        channel_send(child->channel, "refused", S("another server is about to take over: try again\n"), -1);
    else if (str_equal(m->verb, S("upgrade")) || str_equal(m->verb, S("unquarantine")))
        channel_send(child->channel, "kept", S("another server is about to take over: try again\n"), -1);
    else if (str_equal(m->verb, S("stop")) && child == sv.next && !sv.stop_signals)
        stop(); /* its own signal */
}

static void on_messages(struct child *child)
{
    int rc = 0;

    while (child->channel >= 0 && (rc = channel_receive(child->channel, &message)) == 1) {
        if (message.fd >= 0)
            close(message.fd);
        on_verb(child, &message);
    }
    if (rc < 0) {
        close(child->channel);
        child->channel = -1;
    }
}

/* -- the loop ------------------------------------------------------------------------------------------------------ */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return b && b < a ? b : a;
}

static int time_to_wait(void)
{
    uint64_t now = supervisor_now_ms(), next = earlier(UINT64_MAX, sv.restart_at);

    for (const struct child *c = sv.children; c; c = c->next)
        next = earlier(next, c->kill_at);
    if (sv.next)
        next = earlier(next, sv.handover_until);
    if (next == UINT64_MAX)
        return -1;
    return next <= now ? 0 : next - now > 60000 ? 60000 : (int)(next - now) + 1;
}

static void on_time(void)
{
    uint64_t now = supervisor_now_ms();

    for (struct child *c = sv.children; c; c = c->next)
        if (c->kill_at && now >= c->kill_at) {
            log_warn("server %d did not stop in time: killed", (int)c->pid);
            kill(c->pid, SIGKILL);
            c->kill_at = 0;
        }
    change_on_time(now);
    if (sv.restart_at && now >= sv.restart_at && !sv.stop_signals && !start_current())
        sv.restart_at = now + PAUSE_STEP_MS;
}

static bool is_child(const struct child *child)
{
    for (const struct child *c = sv.children; c; c = c->next)
        if (c == child)
            return true;
    return false;
}

static int supervise(void)
{
    struct child *of[CHANNELS_MOST];
    struct pollfd fds[CHANNELS_MOST + 1];

    while (sv.children || !sv.stop_signals) {
        nfds_t count = 1;
        fds[0] = (struct pollfd){ .fd = signals, .events = POLLIN };
        for (struct child *c = sv.children; c && count <= CHANNELS_MOST; c = c->next) {
            of[count - 1] = c;
            fds[count++] = (struct pollfd){ .fd = c->channel, .events = POLLIN };
        }
        if (poll(fds, count, time_to_wait()) < 0 && errno != EINTR)
            return 1;
        for (nfds_t i = 1; i < count; i++)
            if (fds[i].revents && is_child(of[i - 1]))
                on_messages(of[i - 1]);
        if (fds[0].revents)
            on_signal();
        reap();
        on_time();
    }
    return sv.exit_status;
}

/* -- start --------------------------------------------------------------------------------------------------------- */

static bool watch_signals(void)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD };
    sigset_t set;

    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return signals >= 0;
}

void supervisor_use_error_log(void)
{
    const struct settings *s = &sv.live.settings;

    log_set_level((enum log_level)s->error_level);
    if (str_equal(s->error_log, S("syslog"))) {
        log_to_syslog();
        return;
    }
    for (uint32_t i = 0; i < sv.files.count; i++)
        if (sv.files.at[i].is_log && str_equal(str_of(sv.files.at[i].path), s->error_log))
            log_to_fd(fcntl(sv.files.at[i].fd, F_DUPFD_CLOEXEC, 3));
}

/* In the foreground until everything is bound, so that the caller sees mistakes; then on its own. */
static void detach(void)
{
    pid_t pid = fork();

    if (pid > 0)
        _exit(0);
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, 0);
        dup2(null, 1);
        if (sv.live.settings.error_log.n && !str_equal(sv.live.settings.error_log, S("stderr")))
            dup2(null, 2);
        close(null);
    }
}

static bool prepare(char *why, size_t n)
{
    const struct settings *s = &sv.live.settings;

    if (!privileges_check(s, why, n) || !make_folders(s, why, n))
        return false;
    if (!supervisor_bind(&sv.live, why, n) || !kept_files_take(&sv.files, &sv.live))
        return false;
    sv.control_fd = bind_control(s, why, n);
    if (sv.control_fd < 0 && s->control.n)
        return false;
    return true;
}

static void clean_up(void)
{
    if (sv.control_fd >= 0) {
        close(sv.control_fd);
        unlink(sv.live.settings.control.p);
    }
    bounds_unwant_all(&sv.bounds);
    bounds_drop_unwanted(&sv.bounds);
    kept_files_finish(&sv.files);
    kept_changes_finish(&sv.changes);
    rehearsal_finish(&sv.live);
    close(signals);
    free((void *)(uintptr_t)sv.config_path);
    free((void *)(uintptr_t)sv.program);
}

/* Absolute, but with its links as they are: they may be turned to another file before a reload. */
static bool set_config_path(const char *path)
{
    char *folder = path[0] == '/' ? NULL : getcwd(NULL, 0);
    char *whole = NULL;

    if (asprintf(&whole, "%s%s%s", folder ? folder : "", folder ? "/" : "", path) < 0)
        whole = NULL;
    free(folder);
    sv.config_path = whole;
    return whole != NULL;
}

static bool is_own_program(const char *path)
{
    struct stat it, own;

    return stat(path, &it) == 0 && stat("/proc/self/exe", &own) == 0 && it.st_dev == own.st_dev &&
           it.st_ino == own.st_ino && access(path, X_OK) == 0;
}

/* Where an upgrade will look: as we were called, with links as they are; else where the kernel found us. */
static bool set_program(const char *called)
{
    char *found = NULL, *folder = called[0] == '/' ? NULL : getcwd(NULL, 0);
    const char *path = getenv("PATH");
    str folders = strchr(called, '/') ? STR_NONE : str_of(path ? path : ""), one;

    if (called[0] == '/')
        found = strdup(called);
    else if (strchr(called, '/') && asprintf(&found, "%s/%s", folder ? folder : "", called) < 0)
        found = NULL;
    while (!found && str_split(&folders, ':', &one)) {
        if (asprintf(&found, "%.*s/%s", STR_ARG(one), called) < 0)
            found = NULL;
        else if (found[0] != '/' || !is_own_program(found)) {
            free(found);
            found = NULL;
        }
    }
    free(folder);
    if (!found || !is_own_program(found)) {
        free(found);
        found = realpath("/proc/self/exe", NULL);
    }
    sv.program = found;
    return found != NULL;
}

int supervisor_main(const char *called, const char *config_path, bool daemonise, const char *title)
{
    char why[1024] = "";

    sv.title = title;

    if (!set_config_path(config_path) || !set_program(called))
        return 1;
    signal(SIGPIPE, SIG_IGN);
    sv.bounds.inherited_count = notify_take_sockets(sv.bounds.inherited, 64);
    if (!rehearse(&sv.live, "/proc/self/exe", sv.config_path)) {
        fprintf(stderr, "weir: no memory or processes\n");
        return 1;
    }
    fprintf(stderr, "%.*s", STR_ARG(sv.live.text));
    if (!sv.live.ok)
        return 1;
    if (!prepare(why, sizeof(why))) {
        fprintf(stderr, "weir: %s\n", why);
        return 1;
    }
    if (daemonise)
        detach();
    supervisor_use_error_log();
    if (geteuid() == 0 && !sv.live.settings.user.n)
        log_warn("the server runs as root: name somebody with less power, as in \"user weir;\"");
    if (!watch_signals() || !start_current()) {
        log_error("server cannot be started: %s", strerror(errno));
        return 1;
    }
    int status = supervise();
    clean_up();
    return status;
}

/* Children that ended on the way are reaped by the first turn of the loop. */
int supervisor_resume(int state)
{
    signal(SIGPIPE, SIG_IGN);
    if (!takeover_read(&sv, state) || !watch_signals()) {
        log_error("the former supervisor's state cannot be understood: ending");
        return 1;
    }
    supervisor_use_error_log();
    log_notice("weir %s supervises from now on", WEIR_VERSION);
    if (!sv.current)
        supervisor_plan_restart();
    notify_send("READY=1\nSTATUS=upgraded");
    int status = supervise();
    clean_up();
    return status;
}
