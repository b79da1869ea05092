/* SPDX-License-Identifier: BSD-2-Clause */
/* variables.h: the variables of templates and logs: the server's own, and those of modules.
 * Thread:  registered where configuration is bound; asked on the request's worker (the getters' subject is a struct
 *          weir_req).
 * Errors:  a readable reason, or NULL. */
#ifndef PIPELINE_VARIABLES_H
#define PIPELINE_VARIABLES_H

#include "config/template.h"
#include "pipeline/module.h"

const char *variables_add_builtin(struct variables *variables);
const char *variables_add_module(struct variables *variables, weir_mod *mod);

#endif
