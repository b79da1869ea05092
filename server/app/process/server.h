/* SPDX-License-Identifier: BSD-2-Clause */
/* server.h: the unprivileged process: workers, the live snapshot, and what may be asked of both.
 *
 * Thread:  the main thread; workers are reached by messages.
 * Life:    started by the supervisor as `weir --serve FD`; ends when told, or when its supervisor is gone. */
#ifndef APP_SERVER_H
#define APP_SERVER_H

#include "app/house/configuration.h"

#include <stdio.h>

/* The control socket, as the server sees it: somebody behind it who asks for what is declared below. */
struct server_door {
    bool (*open)(int listening_fd); /* takes it */
    void (*leave)(void);  /* accepts no more: another server has the socket; who waits is still answered */
    void (*close)(void);
};

int server_main(int channel, const struct server_door *door); /* the process's whole life; its exit status */

/* The answer to a reload: ok and text (warnings, or all errors as `weir check` prints them). Called once, on the main
 * thread. */
struct server_reload {
    void (*done)(struct server_reload *reload, bool ok, str text);
    struct server_reload *next;
};
void server_reload(struct server_reload *reload);         /* several at once share one rehearsal's result */
void server_reload_forget(struct server_reload *reload);  /* whoever asked is gone: done will not be called */

/* A new server takes over: of the binary that now lies on the disk, or one in which that module runs again. done is
 * called as for a reload. */
void server_upgrade(struct server_reload *reload);
void server_unquarantine(struct server_reload *reload, str module);

void server_stop(void);             /* drains up to shutdown_timeout, then ends */
void server_drain(bool on);         /* health answers 503, connections are not kept alive; everything else goes on */
void server_reopen_logs(void);

/* One upstream is changed at run time. An HTTP status, and why or a warning. */
struct change_order;
int server_change_upstream(const struct change_order *order, struct arena *arena, str *text);

/* Mail to a worker, any one, and back from it. */
struct message;
void server_post_worker(struct message *message);
void server_post_main(struct message *message);

struct server_status {
    uint64_t started_ms;     /* wall clock */
    uint64_t generation;     /* of the live snapshot */
    uint64_t reloads, failed_reloads;
    unsigned workers, snapshots;
    bool draining, stopping;
    uint64_t connections, accepted, requests; /* sums over workers, read without stopping them: approximate */
    const struct configuration *configuration; /* the live one */
    const struct weir_upstream *upstreams; /* by their next */
};
void server_get_status(struct server_status *out);

#endif
