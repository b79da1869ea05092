/* SPDX-License-Identifier: BSD-2-Clause */
/* builtin.h: the parts of the server that speak to the pipeline as a module does: by descriptor, directives and hooks.
 *
 * Shape:   one descriptor a file; loader_register_builtin() puts them into the register, ahead of any module from disk.
 * Note:    each of them is what a user sees as the owner of a directive in `weir modules` and of a hook in `weir
 *          pipeline`. */
#ifndef APP_BUILTIN_H
#define APP_BUILTIN_H

#include <weir/weir.h>

extern const struct weir_module core_module;        /* limits, deadlines, error pages: core_directives.c */
extern const struct weir_module process_module;     /* workers, user, logs: settings.c */
extern const struct weir_module site_module;        /* listen, ports, the way to https: listens.c */
extern const struct weir_module respond_module;     /* serve_respond.c */
extern const struct weir_module redirect_module;    /* serve_redirect.c */
extern const struct weir_module files_module;       /* serve_files.c */
extern const struct weir_module health_module;      /* serve_health.c */
extern const struct weir_module metrics_module;     /* serve_metrics.c */
extern const struct weir_module maintenance_module; /* maintenance.c */

/* A scope of one directive without arguments: there, or not. builtin.c */
struct builtin_switch {
    bool on;
};

int builtin_set_on(weir_conf *c, const struct weir_directive *directive, void *to);
int builtin_check_on(weir_conf *c, void *scope);

#define BUILTIN_MODULE(Name, Summary)                                                                                  \
    .magic = WEIR_ABI_MAGIC, .abi_major = WEIR_ABI_MAJOR, .abi_minor = WEIR_ABI_MINOR,                                 \
    .size = sizeof(struct weir_module), .name = (Name), .version = "built-in", .license = "BSD-2-Clause",              \
    .summary = (Summary), .api = &weir_api_

#endif
