/* SPDX-License-Identifier: BSD-2-Clause */
/* addr.h: socket addresses and networks.
 *
 * Shape:   IPv4 and IPv6 addresses compare as 16 bytes, IPv4 as ::ffff:a.b.c.d; a network is the SDK's
 *          struct weir_cidr.
 * Source:  RFC 4291 2.5.5.2, RFC 4632, RFC 5952 (text form). */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "base/arena.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <weir/conf.h>

struct addr {
    socklen_t n;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    };
};

/* "192.0.2.1:80", "[::1]:80", "unix:/path"; numeric only. False leaves out untouched. */
bool addr_parse(str text, struct addr *out);
bool addr_parse_ip(str text, uint16_t port, struct addr *out); /* IPv4 or IPv6, with or without brackets */
void addr_of_socket(int fd, bool peer, struct addr *out);
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_is_unix(const struct addr *addr);
uint16_t addr_port(const struct addr *addr);
void addr_bytes(const struct addr *addr, uint8_t out[16]);      /* all zero for a unix socket */
enum { ADDR_TEXT = 128 };
str addr_text(const struct addr *addr, char room[ADDR_TEXT]);     /* "192.0.2.1:80", "[::1]:80", "unix:/path" */
str addr_ip_text(const uint8_t bytes[16], char room[ADDR_TEXT]);  /* "192.0.2.1" (also when v4-mapped), "2001:db8::1" */
bool addr_ip_bytes(str text, uint8_t out[16]);                    /* the inverse */

/* "10.0.0.0/8", "::1", "all"; host bits beyond the mask are refused. False leaves out untouched. */
bool cidr_parse(str text, struct weir_cidr *out);
bool cidr_contains(const struct weir_cidr *net, const uint8_t address[16]);

#endif
