/* SPDX-License-Identifier: BSD-2-Clause */
/* job.h: blocking work on a few threads; the result comes back as a message to the worker that asked.
 *
 * Owner:   the job owns all memory that work() touches; done() gets it back on the asking worker and frees it.
 * Errors:  job_submit answers false when the queue holds JOB_MOST jobs: nothing is called then. */
#ifndef LOOP_JOB_H
#define LOOP_JOB_H

#include "loop/worker.h"

enum { JOB_MOST = 4096 };

struct job {
    struct message message; /* filled by the pool */
    struct job *next;
    struct worker *owner;   /* filled by job_submit: the calling worker */
    void (*work)(struct job *job); /* on a pool thread */
    void (*done)(struct job *job); /* on the owner */
};

bool job_pool_start(unsigned threads); /* once per process */
void job_pool_stop(void);              /* waits for running jobs; queued ones are run too */
bool job_submit(struct job *job);

#endif
