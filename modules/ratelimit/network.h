/* SPDX-License-Identifier: BSD-2-Clause */
/* network.h: networks as text: 192.0.2.1, 192.0.2.0/24, 2001:db8::/32.
 *
 * Shape:   16 bytes, IPv4 as ::ffff:a.b.c.d, and the length of the prefix, an IPv4 /n as 96 + n. No bit behind the
 *          prefix is set.
 * Errors:  false: that is none; outputs are untouched then. */
#ifndef RATELIMIT_NETWORK_H
#define RATELIMIT_NETWORK_H

#include <weir/weir.h>

enum { NETWORK_ROOM = 64 };

bool network_read(weir_str text, uint8_t address[16], uint32_t *bits);
void network_print(const uint8_t address[16], uint32_t bits, char room[NETWORK_ROOM]);
void network_mask(uint8_t address[16], uint32_t bits);
bool network_is_ipv4(const uint8_t address[16]);
bool network_holds(const uint8_t network[16], uint32_t bits, const uint8_t address[16]);

#endif
