/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "app/supervisor.h"

#include "app/bound.h"
#include "app/channel.h"
#include "app/crash.h"
#include "app/kept_files.h"
#include "app/notify.h"
#include "app/privileges.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOP_GRACE_MS = 5000, NOW_MS = 3000, QUICK_CRASH_MS = 1000, QUICK_CRASHES = 3, PAUSE_STEP_MS = 500,
       PAUSE_MOST_MS = 10000 };

static struct supervisor {
    const char *config_path;
    int signals;      /* signalfd */
    int channel;      /* to the server; -1: none runs */
    pid_t server;
    uint64_t started_ms;
    unsigned quick_crashes;
    uint64_t restart_at; /* 0: none planned */
    bool was_ready;      /* ever: before that a failure ends us */
    bool reloading;
    unsigned stop_signals;
    uint64_t kill_at;
    int exit_status;
    int control_fd, crumbs_fd;
    struct crumbs *crumbs;
    struct bounds bounds;
    struct rehearsal live, pending;
    struct kept_files files, pending_files;
    struct channel_message message;
} sv = { .channel = -1, .control_fd = -1, .crumbs_fd = -1 };

static uint64_t now_ms(void)
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

static bool bind_all(const struct rehearsal *r, char *why, size_t n)
{
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

/* The control socket's folder is ours alone to make when it is missing, as /run/weir is after a start of the machine. */
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

static bool share_crumbs(void)
{
    sv.crumbs_fd = memfd_create("weir-crumbs", MFD_CLOEXEC);
    if (sv.crumbs_fd < 0 || ftruncate(sv.crumbs_fd, sizeof(struct crumbs)) != 0)
        return false;
    sv.crumbs = mmap(NULL, sizeof(struct crumbs), PROT_READ | PROT_WRITE, MAP_SHARED, sv.crumbs_fd, 0);
    return sv.crumbs != MAP_FAILED;
}

/* -- the server ---------------------------------------------------------------------------------------------------- */

static bool send_bounds(bool only_new)
{
    for (const struct bound *b = sv.bounds.first; b; b = b->next) {
        if (!b->is_wanted || (only_new && !b->is_new))
            continue;
        for (unsigned i = 0; i < b->count; i++) {
            char rest[ADDR_TEXT + 32];
            int n = snprintf(rest, sizeof(rest), "%d %s", b->is_shared ? -1 : (int)i, b->key);
            if (channel_send(sv.channel, "listen", (str){ rest, (size_t)n }, b->fds[i]) != 0)
                return false;
        }
    }
    return true;
}

static bool send_user(const struct settings *s)
{
    char rest[512];
    int n = snprintf(rest, sizeof(rest), "%.*s %.*s", STR_ARG(s->user), STR_ARG(s->group));

    return channel_send(sv.channel, "user", (str){ rest, (size_t)n }, -1) == 0;
}

static bool send_all(void)
{
    if (channel_send(sv.channel, "crumbs", STR_NONE, sv.crumbs_fd) != 0 || !send_user(&sv.live.settings))
        return false;
    if (sv.control_fd >= 0 && channel_send(sv.channel, "control", STR_NONE, sv.control_fd) != 0)
        return false;
    return send_bounds(false) && kept_files_send(&sv.files, sv.channel) &&
           channel_send(sv.channel, "start", str_of(sv.config_path), -1) == 0;
}

static void become_server(int channel)
{
    char number[16];
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    fcntl(channel, F_SETFD, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    snprintf(number, sizeof(number), "%d", channel);
    execl("/proc/self/exe", "weir", "--serve", number, (char *)NULL);
    log_error("server cannot be started: %s", strerror(errno));
    _exit(127);
}

static bool start_server(void)
{
    int pair[2];

    sv.restart_at = 0;
    if (!channel_pair(pair))
        return false;
    memset(sv.crumbs, 0, sizeof(*sv.crumbs));
    sv.server = fork();
    if (sv.server == 0)
        become_server(pair[1]);
    close(pair[1]);
    if (sv.server < 0) {
        close(pair[0]);
        return false;
    }
    sv.channel = pair[0];
    sv.started_ms = now_ms();
    if (!send_all())
        log_warn("server %d went away while it was being started", (int)sv.server);
    return true;
}

static void plan_restart(void)
{
    uint64_t lived = now_ms() - sv.started_ms;

    sv.quick_crashes = lived < QUICK_CRASH_MS ? sv.quick_crashes + 1 : 0;
    uint64_t pause = sv.quick_crashes < QUICK_CRASHES ? 0
        : (uint64_t)(sv.quick_crashes - QUICK_CRASHES + 1) * PAUSE_STEP_MS;
    if (pause > PAUSE_MOST_MS)
        pause = PAUSE_MOST_MS;
    sv.restart_at = now_ms() + pause;
    if (pause)
        log_warn("server keeps ending: next start in %llu ms", (unsigned long long)pause);
}

static void reload_over(bool ok)
{
    if (!sv.reloading)
        return;
    sv.reloading = false;
    if (ok) {
        rehearsal_finish(&sv.live);
        kept_files_finish(&sv.files);
        sv.live = sv.pending;
        sv.files = sv.pending_files;
        bounds_settle(&sv.bounds);
        bounds_drop_unwanted(&sv.bounds);
    } else {
        rehearsal_finish(&sv.pending);
        kept_files_finish(&sv.pending_files);
        bounds_drop_new(&sv.bounds);
    }
    sv.pending = (struct rehearsal){ 0 };
    sv.pending_files = (struct kept_files){ 0 };
    notify_send(ok ? "READY=1\nSTATUS=reloaded" : "READY=1\nSTATUS=reload refused, the former configuration serves");
}

static void server_ended(int status)
{
    char text[512];

    close(sv.channel);
    sv.channel = -1;
    if (sv.stop_signals || (sv.was_ready && WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        sv.server = 0;
        sv.exit_status = sv.stop_signals && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
        sv.stop_signals = sv.stop_signals ? sv.stop_signals : 1;
        return;
    }
    crash_describe(sv.crumbs, status, text, sizeof(text));
    log_error("server %d ended: %s", (int)sv.server, text);
    sv.server = 0;
    reload_over(false);
    if (!sv.was_ready) {
        sv.exit_status = 1;
        sv.stop_signals = 1;
        return;
    }
    plan_restart();
}

static void reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == sv.server)
            server_ended(status);
}

/* -- reload -------------------------------------------------------------------------------------------------------- */

/* What only a restart can change: said all at once. */
static bool needs_restart(const struct settings *a, const struct settings *b, char *text, size_t n)
{
    size_t at = 0;

    if (a->workers != b->workers)
        at += (size_t)snprintf(text + at, n - at, "workers: %u runs, %u is asked for: needs a restart\n", a->workers,
                               b->workers);
    struct { const char *name; str is, wanted; } texts[] = {
        { "user", a->user, b->user },
        { "user's group", a->group, b->group },
        { "modules_dir", a->modules_dir, b->modules_dir },
        { "control", a->control, b->control },
        { "state_dir", a->state_dir, b->state_dir },
    };
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]) && at < n; i++)
        if (!str_equal(texts[i].is, texts[i].wanted))
            at += (size_t)snprintf(text + at, n - at,
                                   "%s: \"%.*s\" is in use, \"%.*s\" is asked for: needs a restart\n", texts[i].name,
                                   STR_ARG(texts[i].is), STR_ARG(texts[i].wanted));
    return at > 0;
}

static void refuse_reload(str text)
{
    log_error("reload refused, the former configuration serves:\n%.*s", STR_ARG(text));
    channel_send(sv.channel, "refused", text, -1);
    reload_over(false);
}

static void begin_reload(void)
{
    char why[2048] = "";

    if (sv.reloading || sv.channel < 0)
        return;
    sv.reloading = true;
    notify_send("RELOADING=1");
    if (!rehearse(&sv.pending, sv.config_path)) {
        refuse_reload(S("the rehearsal could not be started: no memory or processes\n"));
        return;
    }
    if (!sv.pending.ok) {
        refuse_reload(sv.pending.text);
        return;
    }
    if (needs_restart(&sv.live.settings, &sv.pending.settings, why, sizeof(why))) {
        refuse_reload(str_of(why));
        return;
    }
    want_error_log(&sv.pending);
    if (!bind_all(&sv.pending, why, sizeof(why) - 1)) {
        strcat(why, "\n");
        refuse_reload(str_of(why));
        return;
    }
    bool told = kept_files_take(&sv.pending_files, &sv.pending) && send_bounds(true) &&
                kept_files_send(&sv.pending_files, sv.channel) &&
                channel_send(sv.channel, "reload", str_of(sv.config_path), -1) == 0;
    if (!told)
        refuse_reload(S("the server could not be told\n"));
}

/* -- what is heard ------------------------------------------------------------------------------------------------- */

static void reopen_logs(void)
{
    kept_files_reopen_logs(&sv.files, &sv.live.settings);
    kept_files_send(&sv.files, sv.channel);
    channel_send(sv.channel, "reopen", STR_NONE, -1);
    for (uint32_t i = 0; i < sv.files.count; i++)
        if (sv.files.at[i].is_log && str_equal(str_of(sv.files.at[i].path), sv.live.settings.error_log))
            log_to_fd(fcntl(sv.files.at[i].fd, F_DUPFD_CLOEXEC, 3));
}

static void stop(void)
{
    sv.stop_signals++;
    notify_send("STOPPING=1");
    if (sv.channel < 0)
        return;
    bool now = sv.stop_signals > 1;
    channel_send(sv.channel, now ? "quit" : "stop", STR_NONE, -1);
    sv.kill_at = now_ms() + (now ? NOW_MS : sv.live.settings.shutdown_timeout + STOP_GRACE_MS);
}

static void on_signal(void)
{
    struct signalfd_siginfo info;

    while (read(sv.signals, &info, sizeof(info)) == sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
            stop();
            break;
        case SIGHUP:
            begin_reload();
            break;
        case SIGUSR1:
            reopen_logs();
            break;
        default:
            reap();
        }
    }
}

static void on_ready(void)
{
    if (!sv.was_ready)
        log_notice("weir %s serves with %s", WEIR_VERSION, sv.config_path);
    sv.was_ready = true;
    bounds_settle(&sv.bounds);
    notify_send("READY=1\nSTATUS=serving");
}

static void on_message(void)
{
    struct channel_message *m = &sv.message;
    int rc;

    while (sv.channel >= 0 && (rc = channel_receive(sv.channel, m)) == 1) {
        if (m->fd >= 0)
            close(m->fd);
        if (str_equal(m->verb, S("ready")))
            on_ready();
        else if (str_equal(m->verb, S("failed")))
            log_error("server cannot start:\n%.*s", STR_ARG(m->rest));
        else if (str_equal(m->verb, S("reload")))
            begin_reload();
        else if (str_equal(m->verb, S("reloaded")))
            reload_over(true);
        else if (str_equal(m->verb, S("reload-failed"))) {
            log_error("reload failed in the server, the former configuration serves:\n%.*s", STR_ARG(m->rest));
            reload_over(false);
        } else if (str_equal(m->verb, S("stop")) && !sv.stop_signals)
            stop();
    }
}

/* -- the loop ------------------------------------------------------------------------------------------------------ */

static int time_to_wait(void)
{
    uint64_t now = now_ms(), next = UINT64_MAX;

    if (sv.restart_at)
        next = sv.restart_at;
    if (sv.kill_at && sv.kill_at < next)
        next = sv.kill_at;
    if (next == UINT64_MAX)
        return -1;
    return next <= now ? 0 : (int)(next - now) + 1;
}

static void on_time(void)
{
    uint64_t now = now_ms();

    if (sv.kill_at && now >= sv.kill_at && sv.server > 0) {
        log_warn("server %d did not stop in time: killed", (int)sv.server);
        kill(sv.server, SIGKILL);
        sv.kill_at = 0;
    }
    if (sv.restart_at && now >= sv.restart_at && !sv.stop_signals && !start_server())
        sv.restart_at = now + PAUSE_STEP_MS;
}

static int supervise(void)
{
    while (sv.server > 0 || !sv.stop_signals) {
        struct pollfd fds[] = { { .fd = sv.signals, .events = POLLIN }, { .fd = sv.channel, .events = POLLIN } };
        if (poll(fds, 2, time_to_wait()) < 0 && errno != EINTR)
            return 1;
        if (fds[1].revents)
            on_message();
        if (fds[0].revents)
            on_signal();
        if (fds[1].revents & (POLLHUP | POLLERR))
            reap();
        on_time();
    }
    return sv.exit_status;
}

/* -- start --------------------------------------------------------------------------------------------------------- */

static bool watch_signals(void)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD };
    sigset_t set;

    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sv.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return sv.signals >= 0;
}

static void use_error_log(const struct settings *s)
{
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
    want_error_log(&sv.live);
    if (!bind_all(&sv.live, why, n) || !kept_files_take(&sv.files, &sv.live))
        return false;
    sv.control_fd = bind_control(s, why, n);
    if (sv.control_fd < 0 && s->control.n)
        return false;
    snprintf(why, n, "no memory");
    return share_crumbs();
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
    rehearsal_finish(&sv.live);
    munmap(sv.crumbs, sizeof(*sv.crumbs));
    close(sv.crumbs_fd);
    close(sv.signals);
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

int supervisor_main(const char *config_path, bool daemonise)
{
    char why[1024] = "";

    if (!set_config_path(config_path))
        return 1;
    signal(SIGPIPE, SIG_IGN);
    sv.bounds.inherited_count = notify_take_sockets(sv.bounds.inherited, 64);
    if (!rehearse(&sv.live, sv.config_path)) {
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
    use_error_log(&sv.live.settings);
    if (geteuid() == 0 && !sv.live.settings.user.n)
        log_warn("the server runs as root: name somebody with less power, as in \"user weir;\"");
    if (!watch_signals() || !start_server()) {
        log_error("server cannot be started: %s", strerror(errno));
        return 1;
    }
    int status = supervise();
    clean_up();
    free((void *)(uintptr_t)sv.config_path);
    return status;
}
