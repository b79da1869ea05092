/* SPDX-License-Identifier: BSD-2-Clause */
/* configuration.h: one reading of the configuration files: a bound snapshot, what the process itself needs to know, or
 * all errors.
 *
 *     files --tree_load--> tree --modules, directives--> scopes --check--> plans, sites, routes --> snapshot
 *
 * Owner:   the caller, until its snapshot is published: from then on the snapshot owns all of it and frees it through
 *          snapshot->drop.
 * Thread:  the main thread (or the only one, in `weir check`).
 * Errors:  in diags; snapshot is NULL when there is any error. */
#ifndef APP_CONFIGURATION_H
#define APP_CONFIGURATION_H

#include "pipeline/snapshot.h"

struct settings {     /* what a reload cannot change, and what concerns the process */
    unsigned workers; /* 1.. ; auto is already resolved */
    str user, group;  /* empty: stay who we are */
    str modules_dir;
    str control;          /* path; empty: off */
    str error_log;        /* path, "stderr" or "syslog" */
    uint32_t error_level; /* enum log_level */
    str state_dir;
    uint64_t shutdown_timeout; /* ms */
    str resolver;              /* "ADDR:PORT,..."; empty: the system's */
};

struct configuration_listen {         /* one address to be bound */
    const struct listen_point *point; /* interned for the process's life: listen_point_get */
    bool is_tls;
    bool is_implied;    /* by a bare port, or by default: left out where the machine has no such address family */
    struct place place; /* of the directive or the site that wants it */
};

struct configuration_file { /* a file that was read, or a log that will be written: for the privileged broker */
    str path;
    bool is_log;
};

struct configuration {
    struct arena *arena;
    struct diags diags;
    struct settings settings;
    struct snapshot *snapshot;
    struct configuration_listen *listens;
    uint32_t listen_count;
    struct configuration_file *files;
    uint32_t file_count;
    struct tree *tree;
};

struct configuration_options {
    str path;
    bool is_rehearsal;     /* `weir check` and rehearsals: nothing outside the process is changed */
    unsigned worker_count; /* of the running server; 0: as the file says */
    /* How files are opened (keys and the like that only the supervisor may read); NULL: open(2). Same for both
     * kinds. */
    int (*open_file)(void *arg, str path);
    /* Which files a pattern of `include` names; NULL: those on the disk. */
    void (*list_files)(void *arg, str pattern, void (*found)(void *to, str path), void *to);
    void *arg;
};

struct configuration *configuration_load(const struct configuration_options *options); /* NULL without memory */
void configuration_free(struct configuration *configuration); /* not after its snapshot was published */
const struct listen_point *listen_point_get(str key, const struct addr *addr); /* the process's, by key */

struct weir_upstream;
/* What is counted of sites (pipeline/metrics.h), each name once; "-": of requests without one. */
struct tally;
void configuration_each_site(const struct configuration *configuration,
                             void (*look)(str name, const struct tally *tally, void *arg), void *arg);
struct weir_upstream *configuration_upstreams(const struct configuration *configuration); /* all; by their next */

/* For the command line. Each returns an exit status. */
int configuration_print_dump(const struct configuration *configuration, FILE *out);
int configuration_print_pipeline(const struct configuration *configuration, FILE *out);
int configuration_print_modules(const struct configuration *configuration, FILE *out, bool manual);
/* Reads only `control PATH|off;` (and state-independent defaults), tolerantly: a file that does not bind must not stop
 * `weir reload`. */
str configuration_find_control(str path, struct arena *arena);

/* loader.c: modules from disk, by name or path; already loaded ones are found. NULL and why (in the arena). */
weir_mod *loader_load(str name_or_path, str modules_dir, struct arena *arena, str *why);
void loader_register_builtin(void); /* once */

#endif
