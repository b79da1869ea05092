/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "app/process/server.h"

#include "app/process/channel.h"
#include "app/process/crash.h"
#include "app/process/listening.h"
#include "app/process/privileges.h"
#include "app/process/received_files.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/deadline.h"
#include "loop/io.h"
#include "loop/job.h"
#include "loop/resolver.h"
#include "loop/signals.h"
#include "pipeline/metrics.h"
#include "pipeline/quarantine.h"
#include "pipeline/session.h"
#include "pipeline/sink.h"
#include "pipeline/trace.h"
#include "upstream/changes.h"
#include "upstream/health_check.h"
#include "upstream/pool.h"
#include "upstream/version.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JOB_THREADS = 4, DRAIN_TICK_MS = 20, IDLE_GRACE_MS = 5000, WORKERS_MOST = CRUMBS_MOST };

struct seat_of_worker { /* what the main thread knows and sends of each worker */
    struct message message, shut_message, stop_message;
    struct deadline tick;
    unsigned ticks; /* of a leaving worker, until its idle connections are closed */
    bool up_failed;
};

static struct process {
    struct worker *main;
    struct io channel;
    struct worker *workers[WORKERS_MOST];
    struct seat_of_worker seats[WORKERS_MOST];
    unsigned worker_count, workers_up, workers_down, workers_shut;
    struct configuration *live;
    struct server_reload *reloads, *handovers;
    char *taken_over; /* what those are told of it, once no worker accepts any more */
    struct settings user; /* user and group only, from the supervisor */
    uint64_t started_ms, generation, reload_count, failed_reloads;
    bool draining, stopping, up_failed, serving, keep_alive_off;
    struct deadline stop_deadline;
    const struct server_door *door;
    int control_fd;
    int exit_status;
    struct channel_message message;
} sv = { .control_fd = -1 };

static void tell(const char *verb, str rest)
{
    channel_send(sv.channel.fd, verb, rest, -1);
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

static void on_worker_down(struct message *message)
{
    (void)message;
    if (++sv.workers_down == sv.worker_count)
        worker_stop(sv.main);
}

static void upstream_down(struct deferred *deferred)
{
    mem_free(deferred);
    upstream_worker_down();
}

static void worker_down(struct worker *worker, void *arg)
{
    struct seat_of_worker *seat = &sv.seats[worker_index(worker)];
    struct pipeline_worker *pw = pipeline_worker_self();
    struct deferred *last = mem_zalloc(sizeof(*last));

    (void)arg;
    deadline_cancel(&seat->tick);
    if (pw)
        pipeline_worker_down(pw);
    if (last) { /* behind the pipeline's own last act, which lets go of upstreams */
        deferred_init(last, upstream_down);
        worker_defer(last);
    }
    seat->message.run = on_worker_down;
    worker_post(sv.main, &seat->message);
}

/* A worker drains: it stops when its last connection has gone. */
static void on_tick(struct deadline *tick)
{
    struct pipeline_worker *pw = pipeline_worker_self();

    struct seat_of_worker *seat = list_entry(tick, struct seat_of_worker, tick);
    if (pw->connection_count == 0) {
        worker_stop(pw->worker);
        return;
    }
    if (seat->ticks)
        seat->ticks--;
    else
        sessions_drain(pw);
    deadline_set(tick, DRAIN_TICK_MS);
}

static void run_stop(struct message *message)
{
    struct seat_of_worker *seat = list_entry(message, struct seat_of_worker, stop_message);

    sessions_drain(pipeline_worker_self());
    deadline_init(&seat->tick, on_tick);
    on_tick(&seat->tick);
}

static void stop_now(struct deadline *deadline)
{
    (void)deadline;
    for (unsigned i = 0; i < sv.worker_count; i++)
        worker_stop(sv.workers[i]);
}

void server_stop(void)
{
    if (sv.stopping)
        return;
    sv.stopping = true;
    tell("stop", STR_NONE); /* the supervisor's sockets go too: new clients are refused rather than left waiting */
    if (!sv.serving) {
        stop_now(NULL);
        if (sv.worker_count == 0 || sv.workers_down == sv.worker_count)
            worker_stop(sv.main);
        return;
    }
    listening_stop(sv.workers, sv.worker_count);
    for (unsigned i = 0; i < sv.worker_count; i++) {
        sv.seats[i].stop_message.run = run_stop;
        worker_post(sv.workers[i], &sv.seats[i].stop_message);
    }
    deadline_set(&sv.stop_deadline, sv.live->settings.shutdown_timeout ? sv.live->settings.shutdown_timeout : 1);
}

static void run_drain(struct message *message)
{
    mem_free(message);
    pipeline_worker_self()->draining = __atomic_load_n(&sv.keep_alive_off, __ATOMIC_ACQUIRE);
}

void server_drain(bool on)
{
    if (sv.stopping)
        return;
    sv.draining = on;
    tell("draining", on ? S("on") : S("off"));
    __atomic_store_n(&sv.keep_alive_off, on, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < sv.worker_count; i++) {
        struct message *message = mem_zalloc(sizeof(*message));
        if (!message)
            return;
        message->run = run_drain;
        worker_post(sv.workers[i], message);
    }
}

void server_post_worker(struct message *message)
{
    worker_post(sv.workers[0], message);
}

void server_post_main(struct message *message)
{
    worker_post(sv.main, message);
}

/* -- reload -------------------------------------------------------------------------------------------------------- */

void server_reload(struct server_reload *reload)
{
    bool first = sv.reloads == NULL;

    reload->next = sv.reloads;
    sv.reloads = reload;
    if (first)
        tell("reload", STR_NONE);
}

static void forget(struct server_reload **at, struct server_reload *reload)
{
    for (; *at; at = &(*at)->next)
        if (*at == reload) {
            *at = reload->next;
            return;
        }
}

void server_reload_forget(struct server_reload *reload)
{
    forget(&sv.reloads, reload);
    forget(&sv.handovers, reload);
}

static void answer(struct server_reload **list, bool ok, str text)
{
    while (*list) {
        struct server_reload *reload = *list;
        *list = reload->next;
        reload->done(reload, ok, text);
    }
}

static void answer_reloads(bool ok, str text)
{
    metrics_note_reload(ok);
    if (ok)
        sv.reload_count++;
    else
        sv.failed_reloads++;
    answer(&sv.reloads, ok, text);
}

/* -- a new server takes over --------------------------------------------------------------------------------------- */

static void ask_for_handover(struct server_reload *reload, const char *verb, str rest)
{
    reload->next = sv.handovers;
    sv.handovers = reload;
    tell(verb, rest);
}

void server_upgrade(struct server_reload *reload)
{
    ask_for_handover(reload, "upgrade", STR_NONE);
}

void server_unquarantine(struct server_reload *reload, str module)
{
    ask_for_handover(reload, "unquarantine", module);
}

/* Whoever asked has asked us; the one that has taken over knows nothing of it. */
static void answer_taken_over(void)
{
    str text = sv.taken_over ? str_of(sv.taken_over) : STR_NONE;

    answer(&sv.reloads, true, text);
    answer(&sv.handovers, true, text);
    mem_free(sv.taken_over);
    sv.taken_over = NULL;
}

static void on_doors_shut(struct message *message)
{
    (void)message;
    if (++sv.workers_shut == sv.worker_count)
        answer_taken_over();
}

/* Unlike a stop, which closes idle connections at once: the answer to its next request tells each client to come
 * again, so that none meets a connection that was closed under its hands. */
static void run_retire(struct message *message)
{
    struct seat_of_worker *seat = list_entry(message, struct seat_of_worker, stop_message);

    pipeline_worker_self()->draining = true;
    seat->shut_message.run = on_doors_shut; /* its doors were closed by the letters before this one */
    worker_post(sv.main, &seat->shut_message);
    deadline_init(&seat->tick, on_tick);
    on_tick(&seat->tick);
}

/* Whoever is told that another server has taken over meets that one from then on. */
static void do_retire(str text)
{
    sv.taken_over = str_dup(text);
    if (sv.stopping || !sv.serving) {
        answer_taken_over();
        return;
    }
    uint64_t most = sv.live->settings.shutdown_timeout, grace = most / 2 < IDLE_GRACE_MS ? most / 2 : IDLE_GRACE_MS;
    sv.stopping = true;
    sv.door->leave();
    listening_stop(sv.workers, sv.worker_count);
    for (unsigned i = 0; i < sv.worker_count; i++) {
        sv.seats[i].stop_message.run = run_retire;
        sv.seats[i].ticks = (unsigned)(grace / DRAIN_TICK_MS) + 1;
        worker_post(sv.workers[i], &sv.seats[i].stop_message);
    }
    deadline_set(&sv.stop_deadline, most ? most : 1);
}

static void do_keep(str text)
{
    answer(&sv.reloads, false, text);
    answer(&sv.handovers, false, text);
}

/* NAME BUILD 0|1 WHY */
static void take_quarantine(str rest)
{
    str name, build, deep;

    if (!str_split(&rest, ' ', &name) || !str_split(&rest, ' ', &build) || !str_split(&rest, ' ', &deep) ||
        !quarantine_add(name, build, str_equal(deep, S("1")), rest))
        log_error("a module's quarantine cannot be understood: %.*s", STR_ARG(rest));
}

static struct configuration *load(str path)
{
    struct configuration_options options = { .path = path, .worker_count = sv.worker_count,
                                             .open_file = received_file_open,
                                             .list_files = received_files_list };

    return configuration_load(&options);
}

static void refuse(struct configuration *c, str text)
{
    tell("reload-failed", text);
    answer_reloads(false, text);
    if (c)
        configuration_free(c);
}

static void keep_change(str record)
{
    tell("upstream", record);
}

static struct changes_place changes_place(void)
{
    return (struct changes_place){ configuration_upstreams(sv.live), sv.live->snapshot->schema, sv.main, sv.workers,
                                   keep_change };
}

static void take_change(str record)
{
    const struct changes_place place = sv.live ? changes_place() : (struct changes_place){ 0 };

    if (!sv.live && !changes_remember(record))
        log_error("what was changed in an upstream cannot be kept: %.*s", STR_ARG(record));
    else if (sv.live && !sv.stopping)
        changes_follow(&place, record);
}

int server_change_upstream(const struct change_order *order, struct arena *arena, str *text)
{
    const struct changes_place place = changes_place();

    if (!sv.stopping)
        return changes_make(&place, order, arena, text);
    *text = S("the server is stopping");
    return 503;
}

static void publish(struct configuration *c)
{
    c->snapshot->generation = ++sv.generation;
    sv.live = c;
    if (!trace_ring_use((uint32_t)c->snapshot->top_plan->core->why_ring))
        log_error("no memory for why_ring: no request is remembered");
    resolver_use(c->settings.resolver.n ? c->settings.resolver.p : "");
}

static void do_reload(str path)
{
    struct configuration *c = load(path);
    char why[512] = "no memory";

    if (!c || !c->snapshot || c->diags.errors) {
        refuse(c, c ? diags_render(&c->diags, c->arena) : S("no memory\n"));
        return;
    }
    changes_carry_over(configuration_upstreams(c), c->snapshot->schema);
    if (!snapshot_publish(c->snapshot, sv.workers)) {
        refuse(c, S("no memory\n"));
        return;
    }
    publish(c);
    changes_settle(configuration_upstreams(c), keep_change);
    health_checks_use(configuration_upstreams(c));
    if (!listening_apply(c, sv.workers, sv.worker_count, why, sizeof(why)))
        log_error("%s", why);
    log_set_level((enum log_level)c->settings.error_level);
    log_notice("configuration reloaded, generation %llu", (unsigned long long)sv.generation);
    tell("reloaded", STR_NONE);
    answer_reloads(true, diags_render(&c->diags, c->arena));
}

/* -- start --------------------------------------------------------------------------------------------------------- */

static void all_workers_up(void)
{
    char why[512] = "";

    if (sv.up_failed) {
        tell("failed", S("a worker could not start\n"));
        sv.exit_status = 1;
        server_stop();
        return;
    }
    if (!listening_apply(sv.live, sv.workers, sv.worker_count, why, sizeof(why))) {
        tell("failed", str_of(why));
        sv.exit_status = 1;
        server_stop();
        return;
    }
    sv.serving = true;
    health_checks_use(configuration_upstreams(sv.live));
    if (sv.control_fd >= 0 && !sv.door->open(sv.control_fd))
        log_error("control socket: no memory or descriptors");
    tell("ready", STR_NONE);
    changes_settle(configuration_upstreams(sv.live), keep_change);
    if (sv.stopping) { /* told while the workers were starting */
        sv.stopping = false;
        server_stop();
    }
}

static void on_worker_up(struct message *message)
{
    struct seat_of_worker *seat = list_entry(message, struct seat_of_worker, message);

    sv.up_failed |= seat->up_failed;
    if (++sv.workers_up == sv.worker_count)
        all_workers_up();
}

static void worker_up(struct worker *worker, void *arg)
{
    struct seat_of_worker *seat = &sv.seats[worker_index(worker)];

    (void)arg;
    crash_thread_init();
    struct pipeline_worker *pw = pipeline_worker_up(worker, worker_index(worker));
    seat->up_failed = pw == NULL;
    if (pw)
        pw->draining = __atomic_load_n(&sv.keep_alive_off, __ATOMIC_ACQUIRE);
    seat->message.run = on_worker_up;
    worker_post(sv.main, &seat->message);
}

static bool start_workers(unsigned count)
{
    for (unsigned i = 0; i < count && i < WORKERS_MOST; i++) {
        sv.workers[i] = worker_create(i);
        if (!sv.workers[i])
            return false;
        sv.worker_count = i + 1;
    }
    snapshots_init(sv.main, sv.worker_count);
    if (!snapshot_publish(sv.live->snapshot, sv.workers))
        return false;
    for (unsigned i = 0; i < sv.worker_count; i++)
        if (worker_start(sv.workers[i], worker_up, worker_down, NULL) != 0)
            return false;
    return true;
}

static void use_error_log(const struct settings *s)
{
    log_set_level((enum log_level)s->error_level);
    if (str_equal(s->error_log, S("syslog")))
        log_to_syslog();
    else if (s->error_log.n && s->error_log.p[0] == '/') {
        int fd = received_log_open(s->error_log.p);
        if (fd >= 0)
            log_to_fd(fd);
    }
}

static void fail_start(str text)
{
    tell("failed", text);
    sv.exit_status = 1;
    worker_stop(sv.main);
}

static void do_start(str path)
{
    char why[256] = "";

    if (!privileges_drop(&sv.user, why, sizeof(why))) {
        fail_start(str_of(why));
        return;
    }
    struct configuration *c = load(path);
    if (!c || !c->snapshot || c->diags.errors) {
        fail_start(c ? diags_render(&c->diags, c->arena) : S("no memory\n"));
        if (c)
            configuration_free(c);
        return;
    }
    use_error_log(&c->settings);
    changes_carry_over(configuration_upstreams(c), c->snapshot->schema);
    publish(c);
    if (!job_pool_start(JOB_THREADS) || !start_workers(c->settings.workers)) {
        log_error("workers cannot be started: no memory, threads or descriptors");
        _exit(1);
    }
    watchdog_start();
}

/* -- from the supervisor ------------------------------------------------------------------------------------------- */

static void take_user(str rest)
{
    static char room[512];
    size_t space = str_find(rest, ' ');

    if (rest.n >= sizeof(room))
        return;
    memcpy(room, rest.p, rest.n);
    room[space] = 0;
    room[rest.n] = 0;
    sv.user.user = (str){ room, space };
    sv.user.group = space < rest.n ? (str){ room + space + 1, rest.n - space - 1 } : STR_NONE;
}

static void take_crumbs(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && (uint64_t)st.st_size < sizeof(struct crumbs) && /* an older supervisor's */
        ftruncate(fd, sizeof(struct crumbs)) != 0) {
        close(fd);
        return;
    }
    void *shared = mmap(NULL, sizeof(struct crumbs), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    close(fd);
    if (shared != MAP_FAILED)
        crumbs_use(shared);
    crash_watch();
}

void server_reopen_logs(void)
{
    tell("reopen", STR_NONE); /* the supervisor may open what this process may not; it answers with the new files */
}

static void take_reopened_logs(void)
{
    use_error_log(&sv.live->settings);
    sinks_reopen();
}

static void on_message(struct channel_message *m)
{
    if (str_equal(m->verb, S("listen")) && m->fd >= 0)
        listening_receive(m->rest, m->fd);
    else if (str_equal(m->verb, S("file")) && m->fd >= 0)
        received_file_add(m->rest, m->fd, false);
    else if (str_equal(m->verb, S("log")) && m->fd >= 0)
        received_file_add(m->rest, m->fd, true);
    else if (str_equal(m->verb, S("crumbs")) && m->fd >= 0)
        take_crumbs(m->fd);
    else if (str_equal(m->verb, S("control")) && m->fd >= 0)
        sv.control_fd = m->fd;
    else if (m->fd >= 0)
        close(m->fd);
    else if (str_equal(m->verb, S("user")))
        take_user(m->rest);
    else if (str_equal(m->verb, S("quarantine")))
        take_quarantine(m->rest);
    else if (str_equal(m->verb, S("upstream")))
        take_change(m->rest);
    else if (str_equal(m->verb, S("drain")))
        sv.draining = sv.keep_alive_off = true;
    else if (str_equal(m->verb, S("start")))
        do_start(m->rest);
    else if (str_equal(m->verb, S("retire")))
        do_retire(m->rest);
    else if (str_equal(m->verb, S("kept")))
        do_keep(m->rest);
    else if (str_equal(m->verb, S("reload")))
        do_reload(m->rest);
    else if (str_equal(m->verb, S("refused")))
        answer_reloads(false, m->rest);
    else if (str_equal(m->verb, S("reopen")) && sv.serving)
        take_reopened_logs();
    else if (str_equal(m->verb, S("stop")))
        server_stop();
    else if (str_equal(m->verb, S("quit"))) {
        server_stop();
        stop_now(NULL);
    }
}

static void on_channel(struct io *io, unsigned ready)
{
    int rc;

    (void)ready;
    while ((rc = channel_receive(io->fd, &sv.message)) == 1)
        on_message(&sv.message);
    if (rc < 0) {
        io_remove(io);
        if (!sv.stopping)
            log_error("the supervisor is gone: stopping");
        server_stop();
    }
}

static void on_signal(int number, void *arg)
{
    (void)arg;
    log_notice("signal %d: stopping", number);
    server_stop();
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void finish(void)
{
    watchdog_stop();
    sv.door->close();
    health_checks_use(NULL);
    for (unsigned i = 0; i < sv.worker_count; i++)
        worker_join(sv.workers[i]);
    job_pool_stop();
    worker_turn(sv.main, false); /* letters that the workers sent last */
    for (unsigned i = 0; i < sv.worker_count; i++)
        worker_destroy(sv.workers[i]);
    snapshots_finish();
    trace_ring_finish();
    versions_finish();
    changes_finish();
    sinks_finish();
    listening_finish();
    received_files_forget(true);
    deadline_cancel(&sv.stop_deadline);
    io_remove(&sv.channel);
}

int server_main(int channel, const struct server_door *door)
{
    sv.door = door;
    signal(SIGPIPE, SIG_IGN);
    hash_seed();
    raise_descriptor_limit();
    sv.started_ms = clock_wall_ms();
    metrics_note_start(sv.started_ms);
    sv.main = worker_create(WORKERS_MOST);
    if (!sv.main)
        return 1;
    worker_enter(sv.main);
    deadline_init(&sv.stop_deadline, stop_now);
    sink_open = received_log_open;
    if (!signal_watch(SIGTERM, on_signal, NULL) || !signal_watch(SIGINT, on_signal, NULL))
        return 1;
    if (!io_add_level(&sv.channel, channel, on_channel))
        return 1;
    signal(SIGHUP, SIG_IGN); /* the supervisor's */
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    worker_run(sv.main);
    finish();
    close(channel);
    worker_destroy(sv.main);
    return sv.exit_status;
}

/* -- figures ------------------------------------------------------------------------------------------------------- */

void server_get_status(struct server_status *out)
{
    struct figures figures = figures_sum();

    *out = (struct server_status){ .started_ms = sv.started_ms, .generation = sv.generation, .reloads = sv.reload_count,
        .failed_reloads = sv.failed_reloads, .workers = sv.worker_count, .snapshots = snapshots_alive(),
            .draining = sv.draining,
        .stopping = sv.stopping, .connections = figures.connections, .accepted = figures.accepted,
            .requests = figures.requests,
        .configuration = sv.live, .upstreams = sv.live ? configuration_upstreams(sv.live) : NULL };
}
