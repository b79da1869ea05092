/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/job.h"
#include "base/block.h"
#include "base/chain.h"
#include "base/small.h"
#include "loop/worker_state.h"

#include <assert.h>

enum { THREADS_MOST = 64 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *first, **last;
    unsigned queued;
    bool is_stopping;
    unsigned threads; /* 0: not started */
    pthread_t thread[THREADS_MOST];
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .last = &pool.first };

static struct job *take_job(void)
{
    pthread_mutex_lock(&pool.lock);
    while (!pool.first && !pool.is_stopping)
        pthread_cond_wait(&pool.changed, &pool.lock);
    struct job *job = pool.first;
    if (job) {
        pool.first = job->next;
        if (!pool.first)
            pool.last = &pool.first;
        pool.queued--;
    }
    pthread_mutex_unlock(&pool.lock);
    return job;
}

static void finish_job(struct message *message)
{
    struct job *job = (struct job *)(void *)((char *)message - offsetof(struct job, message));
    job->done(job);
}

static void *pool_main(void *arg)
{
    struct job *job;
    while ((job = take_job())) {
        job->next = NULL;
        job->work(job);
        job->message.run = finish_job;
        worker_post(job->owner, &job->message);
    }
    chain_drop_free_list();
    block_drop_free_lists();
    small_drop_free_lists();
    return arg;
}

bool job_pool_start(unsigned threads)
{
    assert(pool.threads == 0);
    if (threads == 0)
        threads = 1;
    if (threads > THREADS_MOST)
        threads = THREADS_MOST;
    pool.is_stopping = false;
    for (unsigned i = 0; i < threads; i++) {
        pthread_t thread;
        if (thread_start(&thread, "weir-job", pool_main, NULL) != 0) {
            job_pool_stop();
            return false;
        }
        pthread_mutex_lock(&pool.lock);
        pool.thread[pool.threads++] = thread;
        pthread_mutex_unlock(&pool.lock);
    }
    return true;
}

void job_pool_stop(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.is_stopping = true;
    unsigned threads = pool.threads;
    pool.threads = 0;
    pthread_cond_broadcast(&pool.changed);
    pthread_mutex_unlock(&pool.lock);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(pool.thread[i], NULL);
}

bool job_submit(struct job *job)
{
    job->owner = worker_self();
    assert(job->owner && job->work && job->done);
    job->next = NULL;
    pthread_mutex_lock(&pool.lock);
    bool taken = pool.threads > 0 && pool.queued < JOB_MOST;
    if (taken) {
        *pool.last = job;
        pool.last = &job->next;
        pool.queued++;
        pthread_cond_signal(&pool.changed);
    }
    pthread_mutex_unlock(&pool.lock);
    return taken;
}
