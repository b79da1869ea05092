/* SPDX-License-Identifier: BSD-2-Clause */
#include "pull.h"

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TICK_LEAST_MS = 900, ANSWER_IN_MS = 30000, WHOLE_EVERY_MS = 3600 * 1000, WHOLE_AGAIN_MS = 120 * 1000,
       WRITE_EVERY_MS = 60 * 1000, TIDY_EVERY_MS = 60 * 1000, BYTES_EACH = 320, BYTES_MORE = 1 << 20, URL_ROOM = 256 };

enum task { NOTHING, ASK, TIDY, WRITE, CLEAR };

struct asked { /* what the one who is busy does, and for whom */
    enum task task;
    bool is_whole;
    uint64_t most, interval;
    char url[URL_ROOM];
};

static struct {
    pthread_mutex_t lock;
    struct pulled *newest;
    atomic_uint version;   /* moves with newest */
    atomic_bool is_filled; /* newest holds something */
    /* under the lock */
    bool is_busy;          /* somebody asks, makes a table or writes: alone he changes newest */
    struct asked asked;
    uint64_t identity;     /* of server, key and size: another one is asked for everything */
    bool needs_whole, is_failing, has_changed, is_told, has_had_whole, is_noted;
    uint64_t ticked, due, whole_due, tidied, written; /* WEIR_NOW_MS */
    uint64_t heard;                                   /* ms since 1970; 0: never */
    uint32_t left_out;
    char trouble[WHY_ROOM];
} pull = { .lock = PTHREAD_MUTEX_INITIALIZER };

static weir_mod *self;
static char file_path[PATH_MAX];

struct work {
    struct asked asked;
    uint64_t now; /* ms since 1970: what durations count from */
    size_t n;
    char text[];
};

/* -- the table in use ---------------------------------------------------------------------------------------------- */

static void publish(struct pulled *made)
{
    int64_t count = made ? (int64_t)made->in_force : 0, bytes = made ? (int64_t)made->bytes : 0;

    pthread_mutex_lock(&pull.lock);
    struct pulled *old = pull.newest;
    pull.newest = made;
    pull.has_changed = true;
    atomic_store(&pull.is_filled, count != 0);
    atomic_fetch_add(&pull.version, 1);
    pthread_mutex_unlock(&pull.lock);
    weir_mod_count(self, METRIC_PULLED, count - (old ? (int64_t)old->in_force : 0));
    weir_mod_count(self, METRIC_PULLED_BYTES, bytes - (old ? (int64_t)old->bytes : 0));
    pulled_unref(old);
}

struct pulled *pull_newest(void)
{
    pthread_mutex_lock(&pull.lock);
    struct pulled *newest = pulled_ref(pull.newest);
    pthread_mutex_unlock(&pull.lock);
    return newest;
}

static void hold_newest(struct held_pulled *held)
{
    uint32_t version = atomic_load_explicit(&pull.version, memory_order_acquire);

    if (held->version == version)
        return;
    pulled_unref(held->pulled);
    held->pulled = pull_newest();
    held->version = version; /* when it moved meanwhile, the next look finds out */
}

const struct decision *pull_find(const uint8_t address[16], uint64_t now, const struct labels **labels)
{
    if (!atomic_load_explicit(&pull.is_filled, memory_order_relaxed))
        return NULL;
    struct held_pulled *held = weir_thread_slot(self);
    if (!held)
        return NULL;
    hold_newest(held);
    if (held->pulled)
        *labels = held->pulled->labels;
    return pulled_find(held->pulled, address, now);
}

/* -- what came of it: told once when it changes -------------------------------------------------------------------- */

static void note(void)
{
    uint64_t wall = weir_now(WEIR_NOW_WALL_MS);
    char trouble[WHY_ROOM + 16] = "", more[64] = "", age[64] = "not heard of yet";

    pthread_mutex_lock(&pull.lock);
    pull.is_noted = true;
    size_t count = pull.newest ? pull.newest->in_force : 0, kib = pull.newest ? pull.newest->bytes / 1024 : 0;
    if (pull.heard)
        snprintf(age, sizeof(age), "heard of %" PRIu64 " s ago", wall > pull.heard ? (wall - pull.heard) / 1000 : 0);
    if (pull.left_out)
        snprintf(more, sizeof(more), ", %" PRIu32 " left out", pull.left_out);
    if (pull.is_failing)
        snprintf(trouble, sizeof(trouble), "; now failing: %s", pull.trouble);
    pthread_mutex_unlock(&pull.lock);
    weir_mod_note(self, "ban_list", trouble[0] || more[0] ? WEIR_LOG_WARN : WEIR_LOG_INFO,
                  "%zu bans, %s, %zu KiB%s%s", count, age, kib, more, trouble);
}

static void fail(const struct asked *asked, const char *why)
{
    pthread_mutex_lock(&pull.lock);
    bool is_news = !pull.is_failing;
    size_t known = pull.newest ? pull.newest->in_force : 0;
    pull.is_failing = pull.needs_whole = true;
    snprintf(pull.trouble, sizeof(pull.trouble), "%s", why);
    pthread_mutex_unlock(&pull.lock);
    note();
    weir_mod_count(self, METRIC_PULL_FAILED, 1);
    if (is_news)
        weir_log(WEIR_LOG_WARN, "ban_list %s: not fetched: %s; %zu bans known from it hold until they end", asked->url,
                 why, known);
}

static void tell_decisions(const struct asked *asked, const struct decisions *read, uint32_t left_out, bool is_news)
{
    size_t all = read->fresh.count + read->gone.count + read->refused + read->of_other_kinds + read->left_out;

    if (read->refused)
        weir_log(WEIR_LOG_WARN, "ban_list %s: %u of %zu decisions not understood, the first one %s", asked->url,
                 read->refused, all, read->why);
    if (is_news)
        weir_log(WEIR_LOG_WARN, "ban_list %s: %u decisions left out: there are more than most=%" PRIu64, asked->url,
                 left_out, asked->most);
}

static void succeed(const struct work *work, const struct decisions *read, uint32_t left_out)
{
    const struct asked *asked = &work->asked;

    pthread_mutex_lock(&pull.lock);
    bool is_back = pull.is_failing || !pull.is_told, is_fuller = left_out && !pull.left_out;
    size_t known = pull.newest ? pull.newest->in_force : 0;
    pull.is_told = true;
    pull.is_failing = pull.needs_whole = false;
    pull.trouble[0] = '\0';
    pull.heard = work->now;
    if (asked->is_whole || left_out)
        pull.left_out = left_out;
    pthread_mutex_unlock(&pull.lock);
    note();
    if (is_back)
        weir_log(WEIR_LOG_NOTICE, "ban_list %s: fetched, %zu bans", asked->url, known);
    tell_decisions(asked, read, left_out, is_fuller);
}

/* -- on the job pool, alone ---------------------------------------------------------------------------------------- */

static bool is_write_due(uint64_t now)
{
    return pull.has_changed && (!pull.written || now - pull.written >= WRITE_EVERY_MS);
}

static void write_file(void)
{
    pthread_mutex_lock(&pull.lock);
    struct pull_file content = { pull.newest, pull.heard };
    bool has_changed = pull.has_changed;
    pull.has_changed = false;
    pull.written = pull.ticked;
    pthread_mutex_unlock(&pull.lock);
    if (has_changed && file_path[0])
        pull_file_write(file_path, &content); /* newest stays: only who is busy replaces it */
}

static void write_when_due(void)
{
    pthread_mutex_lock(&pull.lock);
    bool is_due = is_write_due(pull.ticked);
    pthread_mutex_unlock(&pull.lock);
    if (is_due)
        write_file();
}

static void read_answer(const struct work *work)
{
    const struct asked *asked = &work->asked;
    struct decisions read;
    char why[WHY_ROOM];

    if (!decisions_read(&read, (weir_str){ work->text, work->n }, work->now, asked->most, why)) {
        fail(asked, why);
        return;
    }
    uint32_t left_out = read.left_out;
    struct pulled *before = asked->is_whole ? NULL : pull.newest, *made = NULL;
    if (asked->is_whole && !read.has_fresh) {
        fail(asked, "no \"new\" in an answer that should be the whole list");
    } else if (!asked->is_whole && read.fresh.count + read.gone.count == 0 &&
               !(before && before->first_end <= work->now)) {
        succeed(work, &read, left_out);
    } else if (!(made = pulled_make(before, &read, work->now, 2 * asked->interval + TIDY_EVERY_MS, asked->most,
                                    &left_out))) {
        fail(asked, "no memory");
    } else {
        publish(made);
        succeed(work, &read, left_out);
    }
    decisions_free(&read);
}

static void tidy(const struct work *work)
{
    const struct decisions nothing = { 0 };
    uint32_t left_out = 0;
    struct pulled *made = pulled_make(pull.newest, &nothing, work->now, 2 * work->asked.interval + TIDY_EVERY_MS,
                                      SIZE_MAX, &left_out);

    if (made)
        publish(made);
}

static void do_work(void *work_)
{
    const struct work *work = work_;

    switch (work->asked.task) {
    case ASK:
        read_answer(work);
        write_when_due();
        break;
    case TIDY:  tidy(work); break;
    case WRITE: write_file(); break;
    case CLEAR:
        publish(NULL);
        pthread_mutex_lock(&pull.lock);
        pull.has_changed = false;
        pthread_mutex_unlock(&pull.lock);
        if (file_path[0])
            unlink(file_path);
        break;
    case NOTHING: break;
    }
}

static void be_done(void)
{
    pthread_mutex_lock(&pull.lock);
    pull.is_busy = false;
    pthread_mutex_unlock(&pull.lock);
}

static void drop_work(void *work)
{
    free(work);
    be_done();
}

/* Whatever happens, somebody says be_done(). */
static void start_work(weir_mod *mod, const struct asked *asked, weir_str text)
{
    static const struct weir_mod_job_calls calls = { .work = do_work, .drop = drop_work };
    struct work *work = malloc(sizeof(*work) + text.n);

    if (work) {
        *work = (struct work){ .asked = *asked, .now = weir_now(WEIR_NOW_WALL_MS), .n = text.n };
        if (text.n)
            memcpy(work->text, text.p, text.n);
        if (weir_mod_job(mod, &calls, work) == 0)
            return;
        free(work);
    }
    if (asked->task == ASK)
        fail(asked, "no memory");
    be_done();
}

/* -- asking -------------------------------------------------------------------------------------------------------- */

static void set_asking(weir_mod *mod, bool is_asking)
{
    struct held_pulled *held = weir_thread_slot(mod);

    if (held)
        held->is_asking = is_asking;
}

static void on_answer(weir_mod *mod, const struct weir_fetched *answer, void *arg)
{
    struct asked asked;
    char why[WHY_ROOM];

    (void)arg;
    set_asking(mod, false);
    pthread_mutex_lock(&pull.lock);
    asked = pull.asked;
    pthread_mutex_unlock(&pull.lock);
    if (answer->status == 200) {
        start_work(mod, &asked, answer->content);
        return;
    }
    if (answer->status == 401 || answer->status == 403)
        snprintf(why, sizeof(why), "the key is refused (%u)", answer->status);
    else if (answer->status)
        snprintf(why, sizeof(why), "answered %u", answer->status);
    else
        snprintf(why, sizeof(why), "%s", answer->why);
    fail(&asked, why);
    be_done();
}

static void ask(weir_mod *mod, const struct conf *conf, const struct asked *asked)
{
    const struct weir_field fields[] = {
        { WEIR_S("X-Api-Key"), conf->list_key },
        { WEIR_S("Accept"), WEIR_S("application/json") },
        { WEIR_S("User-Agent"), WEIR_S("weir-ratelimit/1.0.0") },
    };
    const struct weir_fetch what = {
        .size = sizeof(what), .upstream = conf->list_upstream, .fields = WEIR_TABLE(fields), .timeout = ANSWER_IN_MS,
        .target = asked->is_whole ? conf->list_whole : conf->list_changes,
        .limit = BYTES_MORE + asked->most * BYTES_EACH,
    };

    set_asking(mod, true);
    if (weir_mod_fetch(mod, &what, on_answer, NULL) == 0)
        return;
    set_asking(mod, false);
    fail(asked, "no memory to ask");
    be_done();
}

/* Under the lock. */
static enum task decide(const struct conf *conf, uint64_t now, uint64_t wall)
{
    if (!conf)
        return NOTHING;
    if (!conf->list_url.n) {
        pull.identity = 0;
        pull.is_told = pull.is_failing = false;
        pull.heard = 0;
        return pull.newest ? CLEAR : NOTHING;
    }
    if (pull.identity != conf->list_identity) {
        pull.identity = conf->list_identity;
        pull.needs_whole = true;
        pull.due = 0;
    }
    if (now >= pull.due)
        return ASK;
    if (pull.newest && pull.newest->first_end <= wall && now - pull.tidied >= TIDY_EVERY_MS)
        return TIDY;
    return is_write_due(now) ? WRITE : NOTHING;
}

/* Under the lock: what is to be done now, and noted down as under way. */
static enum task begin(const struct conf *conf, uint64_t now, uint64_t wall)
{
    enum task task = pull.is_busy ? NOTHING : decide(conf, now, wall);
    bool has_list = conf && conf->list_url.n;

    if (task == NOTHING)
        return task;
    pull.is_busy = true;
    pull.asked = (struct asked){ .task = task };
    if (has_list) {
        pull.asked.most = conf->list_most;
        pull.asked.interval = conf->list_interval;
        snprintf(pull.asked.url, URL_ROOM, "%.*s", (int)conf->list_url.n, conf->list_url.p);
    }
    if (task == TIDY)
        pull.tidied = now;
    if (task != ASK)
        return task;
    pull.asked.is_whole = pull.needs_whole || now >= pull.whole_due;
    pull.due = now + conf->list_interval;
    if (pull.asked.is_whole) { /* a server of before an upgrade takes changes with the same key until it has left */
        pull.whole_due = now + (pull.has_had_whole ? WHOLE_EVERY_MS : WHOLE_AGAIN_MS);
        pull.has_had_whole = true;
    }
    return task;
}

void pull_tick(weir_mod *mod)
{
    uint64_t now = weir_now(WEIR_NOW_MS), wall = weir_now(WEIR_NOW_WALL_MS);
    const struct conf *conf = weir_thread_conf(mod);
    struct held_pulled *held = weir_thread_slot(mod);

    if (held)
        hold_newest(held); /* an idle worker lets go of the old one */
    pthread_mutex_lock(&pull.lock);
    if (now - pull.ticked < TICK_LEAST_MS) { /* another worker's tick was this second's */
        pthread_mutex_unlock(&pull.lock);
        return;
    }
    pull.ticked = now;
    enum task task = begin(conf, now, wall);
    struct asked asked = pull.asked;
    bool has_list = conf && conf->list_url.n, may_note = pull.is_busy && pull.asked.task == ASK;
    bool ends = pull.is_noted && !has_list && !may_note;
    pull.is_noted &= !ends;
    pthread_mutex_unlock(&pull.lock);
    if (has_list)
        note();
    else if (ends)
        weir_mod_note(mod, "ban_list", WEIR_LOG_INFO, "%s", "");
    if (task == ASK)
        ask(mod, conf, &asked);
    else if (task != NOTHING)
        start_work(mod, &asked, (weir_str){ NULL, 0 });
}

/* -- beginning and end --------------------------------------------------------------------------------------------- */

void pull_load(weir_mod *mod)
{
    self = mod;
    pull.identity = pull.due = pull.ticked = 0; /* a harness loads it several times */
    pull.has_had_whole = false;
}

void pull_thread_down(struct held_pulled *held)
{
    if (held->is_asking) /* cancelled, and nobody is told */
        be_done();
    pthread_mutex_lock(&pull.lock);
    bool is_mine = !pull.is_busy && pull.has_changed;
    pull.is_busy |= is_mine;
    pthread_mutex_unlock(&pull.lock);
    if (is_mine) {
        write_file();
        be_done();
    }
    pulled_unref(held->pulled);
    *held = (struct held_pulled){ 0 };
}

/* Once in a process: what the one before knew. */
void pull_read_state(weir_str path)
{
    uint64_t heard = 0;

    if (file_path[0] || path.n == 0 || path.n >= sizeof(file_path) - 8)
        return;
    memcpy(file_path, path.p, path.n);
    struct pulled *known = pull_file_read(file_path, weir_now(WEIR_NOW_WALL_MS), &heard);
    if (!known)
        return;
    publish(known);
    pthread_mutex_lock(&pull.lock);
    pull.heard = heard;
    pull.has_changed = false;
    pthread_mutex_unlock(&pull.lock);
}
