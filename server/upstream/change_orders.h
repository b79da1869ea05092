/* SPDX-License-Identifier: BSD-2-Clause */
/* change_orders.h: what is to be changed in an upstream, in order: as text, thinned out, and applied to the servers of
 * its block in the files.
 *
 * Shape:   "VERB ADDR [OPTION...]", several parted by tabs.
 * Owner:   strings point into the text that was read; a version that was built is the caller's.
 * Thread:  main.
 * Errors:  false or NULL, and the call says why and with which HTTP status.
 * Limits:  1024 orders, 48 KB. */
#ifndef UPSTREAM_CHANGE_ORDERS_H
#define UPSTREAM_CHANGE_ORDERS_H

#include "upstream/upstream.h"

enum { CHANGE_ORDERS_MOST = 1024, CHANGE_TEXT_MOST = 48 * 1024, CHANGE_WORD_MOST = 300 };

enum change_verb { VERB_NONE, VERB_ADD, VERB_REMOVE, VERB_DRAIN, VERB_DOWN, VERB_UP, VERB_WEIGHT };

struct change {
    enum change_verb verb;
    str server, options;
};

struct change_call { /* what is being done, and what is wrong with it */
    const struct schema *schema;
    struct arena *arena;
    str why;
    int status;
};

/* Both return false. */
bool change_refuse(struct change_call *d, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool change_no_memory(struct change_call *d);

enum change_verb change_verb_of(str name); /* VERB_NONE: of none */
str change_verb_name(enum change_verb verb);
bool change_word_is_plain(str text); /* may stand in an order */

/* orders: room for CHANGE_ORDERS_MOST */
bool change_orders_read(str text, struct change *orders, uint32_t *count);
str change_orders_write(struct arena *arena, const struct change *orders, uint32_t count); /* p NULL: too long */

/* The file's servers with the orders applied. */
struct weir_upstream *change_orders_build(struct change_call *d, struct weir_upstream *first,
                                          const struct change *orders, uint32_t count);
/* The same with one more, for which orders has room; those that it makes pointless are gone from the list. */
struct weir_upstream *change_orders_build_with(struct change_call *d, struct weir_upstream *first,
                                               struct change *orders, uint32_t *count, const struct change *fresh);

#endif
