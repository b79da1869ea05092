/* SPDX-License-Identifier: BSD-2-Clause */
/* client_chain.h: what X-Forwarded-For and Forwarded say of the way of a request, read from its end.
 *
 * Shape:   each proxy appends whom it saw, so the last element is the word of the peer, and what stands left of the
 *          first proxy that is not trusted may be anybody's invention. Reading goes from the right for that reason:
 *          nothing on the left, an open quote for example, can change what is read on the right.
 * Units:   addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d; port 0: none was said.
 * Errors:  false: this element names no address (`unknown`, `_hidden`, or malformed); whoever walks stops there.
 * Source:  RFC 7239 4, 6 and 7.4; X-Forwarded-For has none: an address, in brackets or not, with a port or not. */
#ifndef PIPELINE_CLIENT_CHAIN_H
#define PIPELINE_CLIENT_CHAIN_H

#include "base/str.h"

struct chain_hop {
    uint8_t address[16];
    uint16_t port;
};

/* Cuts the last element off the list; false when the list is at its beginning. Start with *rest = true, which stays so
 * while there are elements left, an empty first one too. */
bool chain_cut_last(str *list, bool *rest, str *element);
bool chain_read_for(str element, struct chain_hop *hop);       /* of X-Forwarded-For */
bool chain_read_forwarded(str element, struct chain_hop *hop); /* of Forwarded: its for= */

#endif
