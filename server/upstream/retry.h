/* SPDX-License-Identifier: BSD-2-Clause */
/* retry.h: `retry [attempts=2] [on=connect,timeout,502,503,504] [budget=20%];`: which failures are tried elsewhere, and
 * how many of them.
 *
 *          What is tried elsewhere is a failure of the server, as max_fails counts them; so is a status that is listed
 *          but was passed on, unless the upstream has one server only.
 * Units:   a window is 10 s; in it 10 retries are always allowed, more as far as they stay within the budget's part of
 *          the requests.
 * Thread:  the budget: any; the rules are constant. */
#ifndef UPSTREAM_RETRY_H
#define UPSTREAM_RETRY_H

#include "config/bind.h"

#include <stdatomic.h>

enum retry_class { RETRY_CONNECT = 1, RETRY_TIMEOUT = 2, RETRY_502 = 4, RETRY_503 = 8, RETRY_504 = 16 };

struct retry_rules {
    bool is_set;       /* else only connections that could not be made are tried elsewhere, on any server there is */
    uint64_t attempts; /* servers asked for one request */
    unsigned on;       /* enum retry_class */
    uint64_t percent;
};

struct retry_budget {
    _Atomic uint64_t window_from;
    _Atomic uint32_t requests, retries;
};

struct retry_conf {
    uint64_t attempts;
    weir_table on; /* of weir_str */
    weir_str budget;
};

/* False after an error was reported. */
bool retry_bind(struct binder *binder, const struct retry_conf *conf, const struct statement *statement,
                struct retry_rules *rules);
enum retry_class retry_class_of(int status); /* 0: none */
void retry_count_request(struct retry_budget *budget);
bool retry_take(struct retry_budget *budget, const struct retry_rules *rules); /* false: it is used up */

#endif
