/* SPDX-License-Identifier: BSD-2-Clause */
/* carrier_h1.h: exchanges in HTTP/1.1, each over a connection of its own while it lasts: what the files share.
 *
 * Owner:   x->uc, leased from the pool.
 * Errors:  as exchange.h says; behind each call x->uc may be another one, or none. */
#ifndef UPSTREAM_CARRIER_H1_H
#define UPSTREAM_CARRIER_H1_H

#include "upstream/exchange.h"

/* carrier_h1_send.c */
bool carrier_h1_add_fields(struct exchange *x, struct fields *fields, bool wants_trailers);
bool carrier_h1_put_head(struct exchange *x);
void carrier_h1_send(struct exchange *x); /* content as far as it goes: put and written */
void carrier_h1_write(struct exchange *x);

/* carrier_h1_receive.c */
void carrier_h1_receive(struct exchange *x);

#endif
