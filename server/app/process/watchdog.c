/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* pthread_setname_np */
#include "app/process/watchdog.h"

#include "app/process/crash.h"
#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

/* -- one look ------------------------------------------------------------------------------------------------------ */

/* The acquire pairs with the release in crumb_enter: behind it lie the stage, and the name of a module just loaded. */
static uint32_t running(const struct crumb *crumb)
{
    return __atomic_load_n(&crumb->module, __ATOMIC_ACQUIRE);
}

static void look_at(struct watched *watched, const struct crumb *crumb, uint64_t calls, uint64_t now, unsigned worker,
                    void (*told)(void *arg, const struct watchdog_finding *), void *arg)
{
    uint32_t module = running(crumb);

    if (module == 0 || module != watched->module || calls != watched->calls) {
        *watched = (struct watched){ .calls = calls, .since = now, .module = module };
        return;
    }
    if (watched->is_told || now - watched->since < WATCHDOG_LIMIT)
        return;
    watched->is_told = true;
    told(arg, &(struct watchdog_finding){ .worker = worker,
                                          .module = module,
                                          .held = now - watched->since,
                                          .stage = __atomic_load_n(&crumb->stage, __ATOMIC_RELAXED) });
}

uint64_t watchdog_look(struct watchdog *watchdog, const struct crumbs *c, uint64_t now,
                       void (*told)(void *arg, const struct watchdog_finding *), void *arg)
{
    uint64_t sum = 0;
    bool is_any_running = false;

    for (unsigned i = 0; i < CRUMBS_MOST; i++) {
        uint64_t calls = __atomic_load_n(&c->at[i].calls, __ATOMIC_RELAXED);
        if (calls == 0)
            continue;
        look_at(&watchdog->at[i], &c->at[i], calls, now, i, told, arg);
        is_any_running |= watchdog->at[i].module != 0;
        sum += calls;
    }
    if (is_any_running || sum != watchdog->calls_sum)
        watchdog->moved_at = now;
    watchdog->calls_sum = sum;
    return now - watchdog->moved_at < WATCHDOG_IDLE_AFTER ? WATCHDOG_LOOK : WATCHDOG_IDLE;
}

/* -- the thread ---------------------------------------------------------------------------------------------------- */

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool is_running, is_stopping;
    struct watchdog state;
} dog = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void warn(void *arg, const struct watchdog_finding *finding)
{
    const struct crumbs *c = arg;
    str stage = finding->stage < STAGE_COUNT ? stage_name((enum stage)finding->stage) : S("?");
    const char *name = finding->module <= MODULES_MOST ? c->names[finding->module - 1] : "?";

    log_warn("worker %u: module %.*s has held the loop for %llu ms at " STR_FMT, finding->worker, CRUMB_MODULE_NAME,
             name, (unsigned long long)finding->held, STR_ARG(stage));
}

static void sleep_for(uint64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&dog.stop, &dog.lock, &until);
}

static void *watch(void *arg)
{
    (void)arg;
    pthread_setname_np(pthread_self(), "weir-watchdog");
    pthread_mutex_lock(&dog.lock);
    while (!dog.is_stopping)
        sleep_for(watchdog_look(&dog.state, crumbs, clock_us_now() / 1000, warn, crumbs));
    pthread_mutex_unlock(&dog.lock);
    return NULL;
}

static bool init_stop(void)
{
    pthread_condattr_t monotonic;

    if (pthread_condattr_init(&monotonic) != 0)
        return false;
    bool ok =
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&dog.stop, &monotonic) == 0;
    pthread_condattr_destroy(&monotonic);
    return ok;
}

bool watchdog_start(void)
{
    sigset_t all, before;

    if (dog.is_running)
        return true;
    if (!init_stop())
        return false;
    dog.is_stopping = false;
    dog.state = (struct watchdog){ 0 };
    sigfillset(&all); /* signals are the main thread's, but for this one's own faults */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    dog.is_running = pthread_create(&dog.thread, NULL, watch, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!dog.is_running)
        pthread_cond_destroy(&dog.stop);
    return dog.is_running;
}

void watchdog_stop(void)
{
    if (!dog.is_running)
        return;
    pthread_mutex_lock(&dog.lock);
    dog.is_stopping = true;
    pthread_cond_signal(&dog.stop);
    pthread_mutex_unlock(&dog.lock);
    pthread_join(dog.thread, NULL);
    pthread_cond_destroy(&dog.stop);
    dog.is_running = false;
}
