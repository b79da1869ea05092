/* SPDX-License-Identifier: BSD-2-Clause */
/* settings.h: what concerns the process as a whole: read before anything else is bound, as loading modules needs it.
 *
 * Shape:   settings_read binds the process's statements alone, tolerantly; the top scope binds them again and reports
 *          what is wrong.
 * Owner:   everything lies in the arena given. */
#ifndef APP_SETTINGS_H
#define APP_SETTINGS_H

#include "app/house/configuration.h"
#include "config/tree.h"
#include "pipeline/order.h"

enum { WORKERS_MOST = 256 };

struct module_statement { /* record of `module NAME|PATH.so;` */
    weir_str name;
    const struct statement *statement;
};

struct process_settings {
    struct settings values;
    weir_table modules;        /* of struct module_statement */
    struct order_wish *wishes; /* of `pipeline STAGE NAME...;` */
    uint32_t wish_count;
    bool has_errors; /* some of it is not as it was said: the top scope has to tell */
};

/* False without memory. */
bool settings_read(const struct tree *tree, struct arena *arena, struct process_settings *to);
unsigned usable_cores(void);

#endif
