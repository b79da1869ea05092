/* SPDX-License-Identifier: BSD-2-Clause */
/* health_check.h: `health_check [uri=/] [interval=5s] [timeout=2s] [fall=3] [rise=2] [expect=200-399];`: each server of
 * the upstream is asked by itself, whether or not clients ask it.
 *
 * Shape:   one check a server and process: a GET on a fresh connection, in the upstream's version of HTTP, every
 *          interval (give or take a tenth), judged by its status. `fall` bad answers in a row take the server out,
 *          `rise` good ones bring it back, also from being out for its failures.
 * Owner:   the process; checks point into the newest snapshot.
 * Thread:  main, where they run too: a few connections an interval. */
#ifndef UPSTREAM_HEALTH_CHECK_H
#define UPSTREAM_HEALTH_CHECK_H

#include "config/bind.h"

struct weir_upstream;

enum { EXPECT_MOST = 8 };

struct health_conf {
    weir_str uri;
    uint64_t interval, timeout, fall, rise;
    weir_table expect; /* of weir_str */
};

struct health_rules {
    bool is_set;
    str uri;
    uint64_t interval, timeout, fall, rise;
    struct {
        uint16_t from, to;
    } expect[EXPECT_MOST];
    uint32_t expect_count;
};

/* False after an error was reported. */
bool health_bind(struct binder *binder, const struct health_conf *conf, const struct statement *statement,
                 struct health_rules *rules);
bool health_expects(const struct health_rules *rules, int status);

/* From now on these upstreams are checked, and no others. What was found out about servers that are still there holds.
 * NULL: nothing is checked any more. To be called before the snapshot that was checked so far goes. */
void health_checks_use(struct weir_upstream *all);
/* One upstream was changed at run time: checks of servers that it still has go on, others begin or end. */
void health_checks_follow(const struct weir_upstream *former, const struct weir_upstream *now);

#endif
