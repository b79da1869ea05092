/* SPDX-License-Identifier: BSD-2-Clause */
/* listen_balancers.h: `listen ... proxy_protocol=CIDR,...`: whose connections begin with a PROXY header.
 *
 * Shape:   a set of networks; the word `unix` stands for whoever may open the listening socket's file.
 * Owner:   the binder's arena.
 * Note:    the header comes before the site's name is known, so all sites of an address have to say the same. */
#ifndef APP_LISTEN_BALANCERS_H
#define APP_LISTEN_BALANCERS_H

#include "config/bind.h"
#include "net/addr.h"

struct listen_balancers {
    struct weir_cidr *nets;
    uint32_t count;
    bool unix_peers;
};

/* What the statement says; *out NULL when it says nothing of it. False: reported. */
bool listen_balancers_read(weir_conf *c, const weir_table *words, bool is_unix, const struct listen_balancers **out);
bool listen_balancers_have(const struct listen_balancers *balancers, const struct addr *peer);
bool listen_balancers_equal(const struct listen_balancers *a, const struct listen_balancers *b); /* NULL: none */

#endif
