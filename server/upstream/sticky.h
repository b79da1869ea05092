/* SPDX-License-Identifier: BSD-2-Clause */
/* sticky.h: `sticky cookie=NAME [ttl=1h];`: a cookie says which server a client had; it is asked again as long as it
 * is in service. Nothing is kept here: the cookie is signed.
 *
 * Shape:   SERVER.EXPIRY.SIGNATURE, each 16 hexadecimal digits: a keyed hash of the server, seconds since 1970, SipHash
 *          of both and the upstream's name. A cookie that does not verify is as none.
 * Owner:   the key is kept in state_dir, so that cookies outlive restarts.
 * Source:  RFC 6265 4.1. */
#ifndef UPSTREAM_STICKY_H
#define UPSTREAM_STICKY_H

#include "config/bind.h"

struct weir_req;
struct weir_upstream;

enum { STICKY_KEY = 16 };

struct sticky_conf {
    weir_str cookie;
    uint64_t ttl;
};

struct sticky_rules {
    str cookie; /* empty: off */
    uint64_t ttl;
    uint8_t key[STICKY_KEY];
};

/* False after an error was reported. */
bool sticky_bind(struct binder *binder, const struct sticky_conf *conf, const struct statement *statement,
                 struct sticky_rules *rules);
/* The server that the request's cookie names; -1: none. *renew: it has lived half its time. */
int32_t sticky_find(const struct weir_upstream *u, const struct weir_req *r, bool *renew);
bool sticky_set(const struct weir_upstream *u, struct weir_req *r, uint32_t server); /* false without memory */

#endif
