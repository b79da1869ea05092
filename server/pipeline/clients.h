/* SPDX-License-Identifier: BSD-2-Clause */
/* clients.h: how many connections each client address has now.
 *
 * Shape:   a table of fixed size in buckets of a cache line, each slot one atomic word: 40 bits of the address's keyed
 *          hash, 24 of its count. An address lives in one of two buckets, and its slot is free again when its last
 *          connection ends: what a flood leaves behind is nothing.
 * Units:   IPv4 addresses count whole, IPv6 ones by their /64: that is what one customer is given.
 * Thread:  any, without a lock.
 * Errors:  no slot free in either bucket (tens of thousands of other addresses are connected): not counted, let in. */
#ifndef PIPELINE_CLIENTS_H
#define PIPELINE_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

enum { CLIENT_SLOTS = 1 << 16, CLIENT_LINES = 1024 };
enum { CLIENT_UNCOUNTED = UINT32_MAX };

struct clients { /* zeroed to begin with */
    _Alignas(64) _Atomic uint64_t slots[CLIENT_SLOTS];
    _Atomic uint64_t lines[CLIENT_LINES]; /* of whom the log spoke when */
};

/* One more connection of that address (as addr_bytes gives it), unless it has `most` already: then false. *place is
 * handed to clients_leave. Two first connections at one moment may both find room for the last one. */
bool clients_enter(struct clients *clients, const uint8_t address[16], uint32_t most, uint32_t *place);
void clients_leave(struct clients *clients, uint32_t place); /* CLIENT_UNCOUNTED is fine */
uint32_t clients_count(struct clients *clients, const uint8_t address[16]);
/* Whether a line about that address is due: one a minute, and at most CLIENT_LINES a minute of all together. */
bool clients_may_log(struct clients *clients, const uint8_t address[16], uint64_t now_ms);

#endif
