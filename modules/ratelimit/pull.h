/* SPDX-License-Identifier: BSD-2-Clause */
/* pull.h: ban_list: a list server is asked again and again what is to be banned.
 *
 *     each worker's tick --> one of them asks --> a job reads the answer, makes a table, puts it in place
 *     a request ---------> the table that its worker holds
 *
 *     pull.c        when to ask, and what an answer or its absence changes
 *     pull_conf.c   the directive
 *     pull_file.c   the table in state_dir, so that it outlives the process
 *     pulled.h      the table; decisions.h: what a server answers
 *
 * A server tells what has changed since it was last asked with this key. So after a failure, a reload that names
 * another server, a restart (and two minutes later), and once an hour the whole list is asked for.
 * Thread:  as said. What requests need is one atomic number away; all else is under a lock that is never held long. */
#ifndef RATELIMIT_PULL_H
#define RATELIMIT_PULL_H

#include "pulled.h"
#include "ratelimit.h"

struct held_pulled { /* a worker's slot */
    struct pulled *pulled;
    uint32_t version;
    bool is_asking;
};

void pull_load(weir_mod *mod);
void pull_tick(weir_mod *mod);
void pull_thread_down(struct held_pulled *held);

/* On a worker: the decision that bans this address, with its table's labels; NULL: none. Both are valid during the
 * callback. */
const struct decision *pull_find(const uint8_t address[16], uint64_t now, const struct labels **labels);
struct pulled *pull_newest(void); /* any thread; a reference, or NULL */

void pull_read_state(weir_str path); /* once in a process: what the one before knew */

/* -- pull_conf.c --------------------------------------------------------------------------------------------------- */
int pull_set(weir_conf *c, const struct weir_directive *directive, void *conf); /* the directive's set() */
int pull_check(weir_conf *c, struct conf *conf);                                /* the top-level scope's */
bool pull_spares(const struct conf *conf, const uint8_t address[16]);           /* except=, and loopback */

/* -- pull_file.c --------------------------------------------------------------------------------------------------- */
struct pull_file {
    const struct pulled *pulled;
    uint64_t heard; /* when the server answered last, ms since 1970; 0: never */
};
void pull_file_write(const char *path, const struct pull_file *content);
struct pulled *pull_file_read(const char *path, uint64_t now, uint64_t *heard); /* NULL: nothing of use */

#endif
