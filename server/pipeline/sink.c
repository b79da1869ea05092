/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/sink.h"

#include "base/mem.h"
#include "pipeline/crumb.h"
#include "pipeline/sink_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/conf_api.h>

/* What one worker holds back for one sink; touched by that worker alone. */
struct held {
    char *p;
    size_t n;
};

struct weir_sink {
    _Atomic(weir_sink *) next; /* in the register: only ever added, so workers walk it without a lock */
    str target;
    size_t room; /* of a worker's buffer; 0: every line at once */
    struct sink_file file;
    struct held held[CRUMBS_MOST];
};

static struct {
    pthread_mutex_t lock; /* register and workers */
    _Atomic(weir_sink *) first;
    struct pipeline_worker *workers[CRUMBS_MOST];
    unsigned worker_count;
    atomic_uint reopened;
} house = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Handed out in a rehearsal: takes everything, keeps nothing. */
static weir_sink nowhere;

/* -- targets ------------------------------------------------------------------------------------------------------- */

static _Thread_local char why_room[256];

static weir_sink *refuse(str *why, const char *what)
{
    snprintf(why_room, sizeof(why_room), "%s%s%m", what, what[0] ? ": " : "");
    *why = str_of(why_room);
    return NULL;
}

static enum sink_kind kind_of(str target)
{
    if (str_equal(target, S("stdout")))
        return SINK_STDOUT;
    if (str_equal(target, S("stderr")))
        return SINK_STDERR;
    return str_equal(target, S("syslog")) ? SINK_SYSLOG : SINK_FILE;
}

/* Whether the file could be opened for appending, without opening or making it. */
static bool could_open(str target, str *why)
{
    char path[4096];
    struct stat st;
    if (target.n >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return refuse(why, "") != NULL;
    }
    memcpy(path, target.p, target.n);
    path[target.n] = '\0';
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            errno = EISDIR;
            return refuse(why, "") != NULL;
        }
        return access(path, W_OK) == 0 || refuse(why, "not writable") != NULL;
    }
    char *slash = strrchr(path, '/');
    slash[slash == path ? 1 : 0] = '\0';
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return refuse(why, "its folder") != NULL;
    return access(path, W_OK | X_OK) == 0 || refuse(why, "its folder is not writable") != NULL;
}

static weir_sink *create(str target, enum sink_kind kind, const struct weir_sink_options *options, str *why)
{
    weir_sink *sink = mem_zalloc(sizeof(*sink) + target.n + 1);
    if (!sink) {
        *why = S("no memory");
        return NULL;
    }
    char *copy = (char *)(sink + 1);
    memcpy(copy, target.p, target.n);
    sink->target = (str){ copy, target.n };
    if (!sink_file_init(&sink->file, kind, target)) {
        refuse(why, "");
        mem_free(sink);
        return NULL;
    }
    if (options) {
        sink->file.rotate = options->rotate;
        sink->file.keep = options->keep;
        sink->room = (size_t)(options->buffer < SINK_BUFFER_MOST ? options->buffer : SINK_BUFFER_MOST);
    }
    return sink;
}

static weir_sink *find(str target)
{
    weir_sink *sink = atomic_load_explicit(&house.first, memory_order_acquire);
    while (sink && !str_equal(sink->target, target))
        sink = atomic_load_explicit(&sink->next, memory_order_acquire);
    return sink;
}

weir_sink *sink_get(str target, const struct weir_sink_options *options, bool is_rehearsal, str *why)
{
    enum sink_kind kind = kind_of(target);
    if (kind == SINK_FILE && (target.n == 0 || target.p[0] != '/' || memchr(target.p, '\0', target.n))) {
        *why = S("neither an absolute path nor stdout, stderr or syslog");
        return NULL;
    }
    if (is_rehearsal)
        return kind != SINK_FILE || could_open(target, why) ? &nowhere : NULL;
    pthread_mutex_lock(&house.lock);
    weir_sink *sink = find(target);
    if (!sink && (sink = create(target, kind, options, why))) {
        atomic_store_explicit(&sink->next, atomic_load(&house.first), memory_order_relaxed);
        atomic_store_explicit(&house.first, sink, memory_order_release);
    }
    pthread_mutex_unlock(&house.lock);
    return sink;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

/* One a worker; a sink may be written to before its worker has any. */
static _Thread_local struct flusher {
    struct deadline due;
    struct pipeline_worker *pw;
} flusher;

static int flush_held(weir_sink *sink, struct held *held)
{
    uint64_t lost = sink_file_write(&sink->file, (str){ held->p, held->n });
    held->n = 0;
    return lost ? -1 : 0;
}

static void flush_all(unsigned worker)
{
    weir_sink *sink = atomic_load_explicit(&house.first, memory_order_acquire);
    for (; sink; sink = atomic_load_explicit(&sink->next, memory_order_acquire))
        flush_held(sink, &sink->held[worker]);
}

static void on_flush_due(struct deadline *due)
{
    flush_all(list_entry(due, struct flusher, due)->pw->index);
}

static int write_now(weir_sink *sink, str line)
{
    return sink_file_write(&sink->file, line) ? -1 : 0;
}

int sink_write(weir_sink *sink, str line)
{
    if (sink == &nowhere || line.n == 0)
        return 0;
    struct pipeline_worker *pw = flusher.pw;
    if (!pw || sink->room == 0 || line.n > sink->room) {
        if (pw && sink->room)
            flush_held(sink, &sink->held[pw->index]); /* in order */
        return write_now(sink, line);
    }
    struct held *held = &sink->held[pw->index];
    if (!held->p && !(held->p = mem_alloc(sink->room)))
        return write_now(sink, line);
    int rc = 0;
    if (held->n + line.n > sink->room)
        rc = flush_held(sink, held);
    memcpy(held->p + held->n, line.p, line.n);
    held->n += line.n;
    if (!deadline_is_set(&flusher.due))
        deadline_set(&flusher.due, SINK_FLUSH_MS);
    return rc;
}

uint64_t sink_lost(const weir_sink *sink)
{
    weir_sink *s = (weir_sink *)(uintptr_t)sink;
    if (sink == &nowhere)
        return 0;
    pthread_mutex_lock(&s->file.lock);
    uint64_t lost = s->file.lost;
    pthread_mutex_unlock(&s->file.lock);
    return lost;
}

void sinks_flush(void)
{
    if (flusher.pw)
        flush_all(flusher.pw->index);
}

/* -- workers ------------------------------------------------------------------------------------------------------- */

void sinks_worker_up(struct pipeline_worker *pw)
{
    flusher.pw = pw;
    deadline_init(&flusher.due, on_flush_due);
    pthread_mutex_lock(&house.lock);
    house.workers[house.worker_count++] = pw;
    pthread_mutex_unlock(&house.lock);
}

static void free_held(unsigned worker)
{
    weir_sink *sink = atomic_load_explicit(&house.first, memory_order_acquire);
    for (; sink; sink = atomic_load_explicit(&sink->next, memory_order_acquire)) {
        mem_free(sink->held[worker].p);
        sink->held[worker] = (struct held){ 0 };
    }
}

void sinks_worker_down(struct pipeline_worker *pw)
{
    flush_all(pw->index);
    free_held(pw->index);
    deadline_cancel(&flusher.due);
    flusher.pw = NULL;
    pthread_mutex_lock(&house.lock);
    for (unsigned i = 0; i < house.worker_count; i++)
        if (house.workers[i] == pw)
            house.workers[i--] = house.workers[--house.worker_count];
    pthread_mutex_unlock(&house.lock);
}

/* -- opening anew -------------------------------------------------------------------------------------------------- */

struct reopening {
    atomic_uint waiting;
    struct reopen_mail {
        struct message message;
        struct reopening *all;
    } mail[];
};

static void reopen_all(void)
{
    weir_sink *sink = atomic_load_explicit(&house.first, memory_order_acquire);
    for (; sink; sink = atomic_load_explicit(&sink->next, memory_order_acquire))
        sink_file_reopen(&sink->file);
    atomic_fetch_add(&house.reopened, 1);
}

/* Each worker empties its buffers into the old files; the last one opens the new ones. */
static void on_reopen(struct message *message)
{
    struct reopening *all = ((struct reopen_mail *)(void *)message)->all;
    sinks_flush();
    if (atomic_fetch_sub(&all->waiting, 1) != 1)
        return;
    mem_free(all);
    reopen_all();
}

void sinks_reopen(void)
{
    pthread_mutex_lock(&house.lock);
    unsigned count = house.worker_count;
    struct reopening *all = count ? mem_zalloc(sizeof(*all) + count * sizeof(all->mail[0])) : NULL;
    if (all) {
        atomic_init(&all->waiting, count);
        for (unsigned i = 0; i < count; i++)
            all->mail[i] = (struct reopen_mail){ { .run = on_reopen }, all };
        for (unsigned i = 0; i < count; i++)
            worker_post(house.workers[i]->worker, &all->mail[i].message);
    }
    pthread_mutex_unlock(&house.lock);
    if (!all)
        reopen_all(); /* nobody holds anything back, or no memory to ask: what is held goes to the new files */
}

unsigned sinks_reopened(void)
{
    return atomic_load(&house.reopened);
}

void sinks_finish(void)
{
    weir_sink *next, *sink = atomic_exchange(&house.first, NULL);
    for (; sink; sink = next) {
        next = atomic_load(&sink->next);
        for (unsigned i = 0; i < CRUMBS_MOST; i++)
            mem_free(sink->held[i].p);
        sink_file_finish(&sink->file);
        mem_free(sink);
    }
}
