/* SPDX-License-Identifier: BSD-2-Clause */
/* cidr.c: addresses and networks as they stand in a configuration: strict, and one family inside (IPv4 as v4-mapped).
 * */
#include "config/value.h"

#include <arpa/inet.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool is_ipv4(const struct weir_cidr *cidr)
{
    return cidr->bits >= 96 && memcmp(cidr->address, mapped, sizeof(mapped)) == 0;
}

/* An address of either family without brackets; *lead: the bits in front of an IPv4 one. */
static bool read_address(str text, uint8_t address[16], uint32_t *lead)
{
    char z[INET6_ADDRSTRLEN + 1];
    if (text.n == 0 || text.n >= sizeof(z) || memchr(text.p, '\0', text.n))
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    *lead = 96;
    memcpy(address, mapped, sizeof(mapped));
    if (inet_pton(AF_INET, z, address + 12) == 1)
        return true;
    *lead = 0;
    return inet_pton(AF_INET6, z, address) == 1;
}

static bool read_bits(str text, uint32_t most, uint32_t *bits)
{
    uint64_t number;
    bool padded = text.n > 1 && text.p[0] == '0';
    if (padded || !str_to_u64(text, &number) || number > most)
        return false;
    *bits = (uint32_t)number;
    return true;
}

/* Clears what lies beyond the mask; true when there was something. */
static bool cut_host_bits(struct weir_cidr *cidr)
{
    bool cut = false;
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t keep = cidr->bits <= i * 8 ? 0 : cidr->bits >= i * 8 + 8 ? 8 : cidr->bits - i * 8;
        uint8_t mask = (uint8_t)(0xff00u >> keep);
        cut |= (cidr->address[i] & (uint8_t)~mask) != 0;
        cidr->address[i] &= mask;
    }
    return cut;
}

str value_print_cidr(const struct weir_cidr *cidr, struct arena *arena)
{
    char z[INET6_ADDRSTRLEN];
    bool four = is_ipv4(cidr);
    uint32_t bits = four ? cidr->bits - 96 : cidr->bits, all = four ? 32 : 128;
    if (!inet_ntop(four ? AF_INET : AF_INET6, cidr->address + (four ? 12 : 0), z, sizeof(z)))
        return STR_NONE;
    if (bits == all)
        return arena_str(arena, str_of(z));
    return bits == 0 && !four ? S("all") : arena_printf(arena, "%s/%u", z, bits);
}

static bool refuse(struct arena *arena, struct value_error *error, str hint, str text, const char *what)
{
    error->message = arena_printf(arena, "\"" STR_FMT "\" %s", STR_ARG(str_upto(text, 200)), what);
    error->hint = hint;
    return false;
}

bool value_read_cidr(str text, struct arena *arena, struct weir_cidr *to, struct value_error *error)
{
    struct weir_cidr cidr = { 0 };
    uint32_t lead, bits;
    if (str_equal(text, S("all"))) {
        *to = cidr;
        return true;
    }
    size_t slash = str_find(text, '/');
    if (!read_address(str_upto(text, slash), cidr.address, &lead))
        return refuse(arena, error, S("as in 10.0.0.5, 10.0.0.0/8, 2001:db8::/32 or all"), text,
                      "is neither an address nor a network");
    bits = 128 - lead;
    if (slash < text.n && !read_bits(str_from(text, slash + 1), 128 - lead, &bits))
        return refuse(arena, error, lead ? S("0 to 32 behind the slash") : S("0 to 128 behind the slash"), text,
                      "has no valid prefix length");
    cidr.bits = lead + bits;
    if (cut_host_bits(&cidr)) {
        str network = value_print_cidr(&cidr, arena);
        return refuse(arena, error, arena_printf(arena, "did you mean \"" STR_FMT "\"?", STR_ARG(network)), text,
                      "has bits set beyond its prefix length");
    }
    *to = cidr;
    return true;
}
