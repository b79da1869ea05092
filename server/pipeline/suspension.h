/* SPDX-License-Identifier: BSD-2-Clause */
/* suspension.h: a hook's callback that waits for its verdict.
 *
 *     hook: suspension_create --token--> anybody, any thread: suspension_resume --mail--> owner's worker:
 *     request_resume deadline ----------------------^
 *
 * Shape:   a table of slots a worker, each with a generation; a token names worker, slot and generation, so a stale one
 *          fits nothing.
 * Owner:   the table, for the process's life: a late resume always finds its slot. r->suspension or conn->suspension
 *          points at the live one; it is emptied before the verdict is delivered, and by whoever calls
 *          suspension_cancel.
 * Thread:  create and cancel: the owner's worker; resume: any.
 * Errors:  {0, 0} without memory or on a thread that is no worker.
 * Note:    delivery comes from the worker's mailbox or its timers, never from inside another call. */
#ifndef PIPELINE_SUSPENSION_H
#define PIPELINE_SUSPENSION_H

#include "pipeline/session.h"

enum { SUSPENSION_MS_MOST = 60 * 60 * 1000 };

/* Replaces a suspension that the owner has still; on_timeout is delivered after ms (1 to an hour) without a resume. */
weir_token suspension_create(struct weir_req *r, uint64_t ms, weir_verdict on_timeout);
weir_token suspension_create_conn(struct weir_conn *c, uint64_t ms, weir_verdict on_timeout);
void suspension_resume(weir_token token, weir_verdict verdict);
void suspension_cancel(struct suspension *suspension); /* nothing will be delivered; its token is stale from now on */

/* A worker's table, opened before its first request and closed when its last has gone: resumes that come later are
 * dropped. */
struct suspensions *suspensions_open(struct worker *worker);
void suspensions_close(struct suspensions *suspensions);
uint32_t suspensions_waiting(const struct suspensions *suspensions); /* how many are live; the worker's own thread */

void session_resume(struct weir_conn *c, weir_verdict verdict); /* session.c */

#endif
