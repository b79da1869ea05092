/* SPDX-License-Identifier: BSD-2-Clause */
/* rehearsal.h: a configuration tried out in a child that is thrown away: what the server will need, or all errors as
 * text.
 *
 * Shape:   the child is this same program (`weir --rehearse`): it binds everything, module constructors included, and
 *          prints a plan of
 *          lines: `setting NAME VALUE`, `listen KEY`, `listen-if-possible KEY`, `read PATH`, `append PATH`. The parent
 * stays small and never loads a module.
 * Owner:   the plan's arena.
 * Errors:  ok is false and `text` says why; warnings may stand in text too when ok.
 * Limits:  60 s; 8 MiB of plan, 1 MiB of text. */
#ifndef APP_REHEARSAL_H
#define APP_REHEARSAL_H

#include "app/house/configuration.h"

struct plan_file {
    str path;
    bool is_log;
};
struct plan_listen {
    str key;
    bool is_implied; /* left out where the machine lacks the address family */
};
struct plan_module {
    str name, build; /* module_build.h */
};
struct rehearsal {
    struct arena *arena;
    bool ok;
    str text;
    struct settings settings;
    struct vec listens; /* of struct plan_listen */
    struct vec files;   /* of struct plan_file */
    struct vec modules; /* of struct plan_module; those from files */
};

/* program: whose eyes it is read with, "/proc/self/exe" or another weir. False without memory or processes. */
bool rehearse(struct rehearsal *rehearsal, const char *program, const char *config_path);
void rehearsal_finish(struct rehearsal *rehearsal);
void rehearsal_write(const struct rehearsal *rehearsal, FILE *to); /* the plan's lines, its "end" too */
bool rehearsal_read(struct rehearsal *rehearsal, str plan);        /* such lines; false: incomplete, or no memory */
int rehearsal_child(const char *config_path); /* the child's whole life; its exit status */

#endif
