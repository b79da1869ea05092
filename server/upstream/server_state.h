/* SPDX-License-Identifier: BSD-2-Clause */
/* server_state.h: what the process knows of one server of one upstream: requests in flight, failures, whether it is in
 * service and why not.
 *
 * Shape:   IN --max_fails within fail_timeout--> OUT --fail_timeout--> on trial: one request at a time
 *          on trial --an answer--> IN;  on trial --a failure--> OUT
 *          Active checks are a second, independent word: a server that they found down is out until they find it up.
 * Owner:   found by upstream and server, counted references: it outlives a snapshot as long as another one has it, so
 *          that a reload forgets nothing.
 * Thread:  any, without a lock but for get and release.
 * Units:   ms of clock_ms(). */
#ifndef UPSTREAM_SERVER_STATE_H
#define UPSTREAM_SERVER_STATE_H

#include "base/str.h"

#include <stdatomic.h>

struct server_rules { /* of a server's line */
    uint64_t max_conns; /* requests in flight; 0: no bound */
    uint64_t max_fails; /* 0: failures are not counted */
    uint64_t fail_timeout, slow_start;
};

enum { SERVER_WHY = 96 };

struct server_state {
    struct server_state *next; /* in the register */
    char *key;
    char *label;               /* "docs 10.0.0.6:8081": for the log */
    uint32_t users;            /* by the register's lock */
    _Atomic uint32_t active;
    _Atomic uint32_t fails;        /* within the window */
    _Atomic uint64_t window_from;
    _Atomic uint64_t out_until;    /* 0: in service */
    _Atomic uint64_t out_since;
    _Atomic uint64_t in_since;     /* when it came back; 0: it always was */
    _Atomic uint64_t trial_at;     /* when the last trial began */
    _Atomic bool on_trial;         /* a trial is under way */
    _Atomic bool checked_down;     /* by active checks */
    _Atomic uint64_t requests, failures; /* since it is known */
    struct tally *tally;           /* server_figures.h; NULL without memory */
    _Atomic(const char *) why;     /* of the last failure: kept text, never freed */
};

enum server_word { SERVER_IN, SERVER_TRIAL, SERVER_FULL, SERVER_OUT, SERVER_CHECKED_DOWN };

struct server_state *server_state_get(str upstream, str server, str key); /* NULL without memory */
void server_state_release(struct server_state *state);

enum server_word server_state_word(struct server_state *state, const struct server_rules *rules);
/* Takes a place among those in flight. False: full meanwhile. */
bool server_state_enter(struct server_state *state, const struct server_rules *rules);
void server_state_leave(struct server_state *state);
/* Takes the one trial of a server that is out; early: before its time, because all are out (at most one a second). */
bool server_state_try(struct server_state *state, bool early);
void server_state_untry(struct server_state *state);      /* it told nothing */
void server_state_worked(struct server_state *state);     /* a response head arrived */
void server_state_failed(struct server_state *state, const struct server_rules *rules, const char *why);
void server_state_checked(struct server_state *state, bool up, const char *why); /* an active check changed its mind */
void server_state_begin(struct server_state *state);   /* it has just come: slow start */
void server_state_forgive(struct server_state *state); /* in service, whatever it did; not over active checks */
/* The part of its weight that a server has in slow start: 1..100 of 100. */
uint32_t server_state_percent(const struct server_state *state, const struct server_rules *rules);
uint64_t server_state_returns(const struct server_state *state); /* ms until it may be tried; 0: now */

#endif
