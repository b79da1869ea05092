/* SPDX-License-Identifier: BSD-2-Clause */
/* module.h: a module as the server knows it, loaded or built in; the handle behind the SDK's weir_mod.
 *
 * Life:    the process's: modules are never unloaded. Registered on the main thread, before the first worker or between
 *          snapshots.
 * Thread:  read by all; counters are per worker. */
#ifndef PIPELINE_MODULE_H
#define PIPELINE_MODULE_H

#include "config/schema.h"
#include "pipeline/stage.h"

enum { MODULES_MOST = 64 };

struct quarantine;

struct weir_mod {
    uint32_t index;            /* dense; also the owner index in scopes */
    struct weir_module desc;   /* a copy, grown to this host's size: what the module did not know is zero */
    str name;
    str path;                  /* of the .so; empty: built in */
    struct owner owner;
    uint32_t ctx_offset;       /* in a request's context block */
    uint32_t conn_ctx_offset;  /* in a connection's */
    uint32_t thread_offset;    /* in a worker's */
    uint32_t metric_base;      /* index of its first metric among all */
    uint32_t cost_base;        /* of its first hook's cost among all; 0: there was no room */
    char error[256];           /* what weir_mod_error() said last */
    str build; /* which one of its builds it is, in the same memory as path; empty: built in */
    const struct quarantine *quarantine; /* NULL: it runs */
    uint64_t would_refuse; /* refusals that shadow mode let through; atomic */
    struct weir_mod *next_failed; /* among those whose load() failed: what it kept of its handle stays valid */
};

struct modules {
    uint32_t count;
    weir_mod *all[MODULES_MOST];
    uint32_t ctx_size, conn_ctx_size, thread_size, metric_count; /* sums, aligned to 16 */
    uint32_t cost_count;
};
extern struct modules modules; /* the process's register */

/* Checks the descriptor (magic, ABI, sizes, tables, names), copies it, hands it the API table and calls load(). NULL,
 * or a readable reason why it is refused (static or in the module's error room). A name registered twice is refused;
 * built-in ones come first. */
const char *module_register(const struct weir_module *descriptor, str path, weir_mod **out);
/* The same for a file: build tells one build of the module from the next (quarantine.h). */
const char *module_register_build(const struct weir_module *descriptor, str path, str build, weir_mod **out);
weir_mod *module_find(str name);
const struct weir_hook *module_hook(const weir_mod *mod, uint32_t i);
bool module_decides(const weir_mod *mod); /* a hook of its may refuse: `enforce` may name it */
/* Where calls of a hook are counted; 0 is the place of all that have none of their own. */
enum { COSTS_MOST = 1024 };
uint32_t module_cost_index(const weir_mod *mod, uint32_t hook);
extern const struct weir_api module_api; /* the table every module is handed (api.c) */

#endif
