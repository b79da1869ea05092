/* SPDX-License-Identifier: BSD-2-Clause */
#include "network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

void network_mask(uint8_t address[16], uint32_t bits)
{
    for (uint32_t i = bits / 8; i < 16; i++)
        address[i] = (uint8_t)(i == bits / 8 ? address[i] & 0xff00u >> bits % 8 : 0);
}

bool network_read(weir_str text, uint8_t address[16], uint32_t *bits)
{
    char room[NETWORK_ROOM];
    uint8_t read[16] = { [10] = 0xff, [11] = 0xff };
    uint32_t most = 32, length = 0;

    if (text.n == 0 || text.n >= sizeof(room) || memchr(text.p, '\0', text.n))
        return false;
    memcpy(room, text.p, text.n);
    room[text.n] = '\0';
    char *slash = strchr(room, '/');
    if (slash)
        *slash++ = '\0';
    if (inet_pton(AF_INET, room, read + 12) != 1) {
        most = 128;
        if (inet_pton(AF_INET6, room, read) != 1)
            return false;
    }
    for (const char *p = slash; p && *p; p++) {
        if (*p < '0' || *p > '9' || (length = length * 10 + (uint32_t)(*p - '0')) > most)
            return false;
    }
    if (slash && !*slash)
        return false;
    *bits = slash ? length + (128 - most) : 128;
    memcpy(address, read, sizeof(read));
    network_mask(address, *bits);
    return true;
}

bool network_is_ipv4(const uint8_t address[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    return memcmp(address, mapped, sizeof(mapped)) == 0;
}

bool network_holds(const uint8_t network[16], uint32_t bits, const uint8_t address[16])
{
    uint8_t a[16], b[16];

    memcpy(a, network, sizeof(a));
    memcpy(b, address, sizeof(b));
    network_mask(a, bits);
    network_mask(b, bits);
    return memcmp(a, b, sizeof(a)) == 0;
}

void network_print(const uint8_t address[16], uint32_t bits, char room[NETWORK_ROOM])
{
    bool is_ipv4 = bits >= 96 && network_is_ipv4(address);
    char text[INET6_ADDRSTRLEN];

    inet_ntop(is_ipv4 ? AF_INET : AF_INET6, address + (is_ipv4 ? 12 : 0), text, sizeof(text));
    snprintf(room, NETWORK_ROOM, "%s/%u", text, is_ipv4 ? bits - 96 : bits);
}
