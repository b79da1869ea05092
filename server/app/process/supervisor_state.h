/* SPDX-License-Identifier: BSD-2-Clause */
/* supervisor_state.h: all that the supervisor knows, and what its files ask of each other; nobody else includes it.
 *
 *     supervisor.c   starts, watches, restarts, hears
 *     changes.c      reloads, and hands over to new servers
 *     takeover.c     becomes another program */
#ifndef APP_SUPERVISOR_STATE_H
#define APP_SUPERVISOR_STATE_H

#include "app/process/bound.h"
#include "app/process/child.h"
#include "app/process/kept_changes.h"
#include "app/process/kept_files.h"
#include "app/process/strikes.h"

/* What is under way; one thing at a time. */
enum change {
    CHANGE_NONE,
    CHANGE_RELOAD,  /* the server binds a new configuration */
    CHANGE_HANDOVER /* a new server is started, and will take over */
};

struct supervisor {
    const char *config_path;
    const char *title; /* what is served, where the path would say nothing; else NULL */
    const char *program; /* where an upgrade finds the new binary */
    struct child *children; /* all, newest first */
    struct child *current;  /* serves, or is about to; NULL: none runs */
    struct child *next;     /* of a handover; NULL: none is under way */

    enum change change;
    bool is_upgrade;              /* the handover: to another binary, ours too */
    bool reload_again;            /* asked for when it could not be begun */
    bool is_second_try;           /* of a reload under which the server went away: there is no third */
    char lift[QUARANTINE_NAME];   /* the handover: whose quarantine ends with it; empty: nobody's */
    uint64_t handover_until;
    str failure; /* of next, in pending's arena */

    unsigned quick_crashes;
    uint64_t restart_at; /* 0: none planned */
    bool was_ready;      /* ever: before that a failure ends us */
    bool is_draining;    /* asked for by the operator: a new server goes on with it */
    unsigned stop_signals;
    int exit_status;
    int control_fd;
    struct bounds bounds;
    struct rehearsal live, pending;
    struct kept_files files, pending_files;
    struct strikes strikes;
    struct kept_changes changes;
};
extern struct supervisor sv;

uint64_t supervisor_now_ms(void);
/* A server for this configuration, with all that it needs sent. NULL without memory, processes or descriptors. */
struct child *supervisor_start(const char *program, const struct rehearsal *plan, const struct kept_files *files,
                               str lift);
void supervisor_leave(struct child *child, str text); /* answers who waits with text, finishes its requests, ends */
bool supervisor_bind(struct rehearsal *plan, char *why, size_t n); /* sockets, for the first time or a change */
void supervisor_plan_restart(void);
void supervisor_use_error_log(void);

/* changes.c: who asked is told by the server over which he asked; by the log when it was a signal. */
void change_reload(void);
void change_upgrade(void);
void change_lift(str name); /* a module's quarantine: by a new server */
void change_reloaded(bool ok);               /* the server has bound it, or could not */
bool change_ready(struct child *child);      /* true: it was the next one, and is the current one now */
void change_failed(struct child *child, str text); /* it says why it cannot start */
void change_child_ended(struct child *child, str text);
void change_on_time(uint64_t now);

#endif
