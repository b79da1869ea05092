/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/addr.h"
#include "base/out.h"

#include <arpa/inet.h>

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool is_mapped(const uint8_t bytes[16])
{
    return memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

static bool parse_ip(int family, str text, void *out)
{
    char room[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof(room) || memchr(text.p, 0, text.n))
        return false;
    memcpy(room, text.p, text.n);
    room[text.n] = 0;
    return inet_pton(family, room, out) == 1;
}

static bool set_in(str text, uint16_t port, struct addr *out)
{
    struct in_addr ip;
    if (!parse_ip(AF_INET, text, &ip))
        return false;
    memset(out, 0, sizeof(*out));
    out->n = sizeof(out->in);
    out->in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = ip };
    return true;
}

static bool set_in6(str text, uint16_t port, struct addr *out)
{
    struct in6_addr ip;
    if (!parse_ip(AF_INET6, text, &ip))
        return false;
    memset(out, 0, sizeof(*out));
    out->n = sizeof(out->in6);
    out->in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = ip };
    return true;
}

static bool set_unix(str path, struct addr *out)
{
    if (path.n == 0 || path.n >= sizeof(out->un.sun_path) || memchr(path.p, 0, path.n))
        return false;
    memset(out, 0, sizeof(*out));
    out->un.sun_family = AF_UNIX;
    memcpy(out->un.sun_path, path.p, path.n);
    out->n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    return true;
}

static bool has_brackets(str text)
{
    return text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
}

bool addr_parse_ip(str text, uint16_t port, struct addr *out)
{
    if (has_brackets(text))
        return set_in6((str){ text.p + 1, text.n - 2 }, port, out);
    return set_in(text, port, out) || set_in6(text, port, out);
}

bool addr_parse(str text, struct addr *out)
{
    if (str_has_prefix(text, S("unix:")))
        return set_unix(str_from(text, 5), out);

    size_t colon = text.n;
    while (colon && text.p[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    str host = str_upto(text, colon - 1), port_text = str_from(text, colon);
    uint64_t port;
    if (port_text.n > 5 || !str_to_u64(port_text, &port) || port > UINT16_MAX)
        return false;
    if (has_brackets(host))
        return set_in6((str){ host.p + 1, host.n - 2 }, (uint16_t)port, out);
    return set_in(host, (uint16_t)port, out); /* "::1:80" could be read in two ways: brackets are needed */
}

void addr_of_socket(int fd, bool peer, struct addr *out)
{
    memset(out, 0, sizeof(*out));
    socklen_t n = sizeof(out->storage);
    int failed = peer ? getpeername(fd, &out->any, &n) : getsockname(fd, &out->any, &n);
    if (failed) {
        memset(out, 0, sizeof(*out)); /* AF_UNSPEC */
        n = sizeof(out->any);
    }
    out->n = n < sizeof(out->storage) ? n : sizeof(out->storage);
}

bool addr_is_unix(const struct addr *addr)
{
    return addr->any.sa_family == AF_UNIX;
}

static str unix_path(const struct addr *addr)
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t most = addr->n > head ? addr->n - head : 0;
    if (most > sizeof(addr->un.sun_path))
        most = sizeof(addr->un.sun_path);
    return (str){ addr->un.sun_path, strnlen(addr->un.sun_path, most) };
}

uint16_t addr_port(const struct addr *addr)
{
    switch (addr->any.sa_family) {
    case AF_INET:  return ntohs(addr->in.sin_port);
    case AF_INET6: return ntohs(addr->in6.sin6_port);
    default:       return 0;
    }
}

void addr_bytes(const struct addr *addr, uint8_t out[16])
{
    switch (addr->any.sa_family) {
    case AF_INET:
        memcpy(out, mapped_prefix, sizeof(mapped_prefix));
        memcpy(out + 12, &addr->in.sin_addr, 4);
        break;
    case AF_INET6:
        memcpy(out, &addr->in6.sin6_addr, 16);
        break;
    default:
        memset(out, 0, 16);
        break;
    }
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    if (addr_is_unix(a) || addr_is_unix(b))
        return addr_is_unix(a) && addr_is_unix(b) && str_equal(unix_path(a), unix_path(b));
    uint8_t left[16], right[16];
    addr_bytes(a, left);
    addr_bytes(b, right);
    return addr_port(a) == addr_port(b) && memcmp(left, right, sizeof(left)) == 0;
}

/* For each request, so in one go. */
static void put_v4(struct out *out, const uint8_t bytes[4])
{
    char text[sizeof("255.255.255.255.")], *to = text;

    for (int i = 0; i < 4; i++) {
        unsigned octet = bytes[i];

        if (octet >= 100)
            *to++ = (char)('0' + octet / 100);
        if (octet >= 10)
            *to++ = (char)('0' + octet / 10 % 10);
        *to++ = (char)('0' + octet % 10);
        *to++ = '.';
    }
    out_bytes(out, text, (size_t)(to - text) - 1);
}

/* RFC 5952 4.2: "::" stands for the longest run of at least two zero groups, the first of equals. */
static void put_v6(struct out *out, const uint8_t bytes[16])
{
    unsigned groups[8], best = 8, best_n = 1;
    for (unsigned i = 0; i < 8; i++)
        groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = 0;
        while (i + n < 8 && groups[i + n] == 0)
            n++;
        if (n > best_n) {
            best = i;
            best_n = n;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i == best) {
            out_bytes(out, "::", 2);
            i += best_n - 1;
            continue;
        }
        if (i && !(best < 8 && i == best + best_n))
            out_char(out, ':');
        out_hex(out, groups[i]);
    }
}

static void put_ip(struct out *out, const uint8_t bytes[16])
{
    if (is_mapped(bytes))
        put_v4(out, bytes + 12);
    else
        put_v6(out, bytes);
}

static str finish_text(struct out *out)
{
    out->p[out->n < out->room ? out->n : out->room - 1] = 0;
    return (str){ out->p, out->n };
}

str addr_ip_text(const uint8_t bytes[16], char room[ADDR_TEXT])
{
    struct out out = { .p = room, .room = ADDR_TEXT - 1 };
    put_ip(&out, bytes);
    return finish_text(&out);
}

str addr_text(const struct addr *addr, char room[ADDR_TEXT])
{
    struct out out = { .p = room, .room = ADDR_TEXT - 1 };
    uint8_t bytes[16];
    switch (addr->any.sa_family) {
    case AF_UNIX:
        out_str(&out, S("unix:"));
        out_str(&out, unix_path(addr));
        return finish_text(&out);
    case AF_INET:
        put_v4(&out, (const uint8_t *)&addr->in.sin_addr);
        break;
    case AF_INET6:
        addr_bytes(addr, bytes);
        out_char(&out, '[');
        put_v6(&out, bytes);
        out_char(&out, ']');
        break;
    default:
        out_str(&out, S("unknown"));
        return finish_text(&out);
    }
    out_char(&out, ':');
    out_u64(&out, addr_port(addr));
    return finish_text(&out);
}

bool addr_ip_bytes(str text, uint8_t out[16])
{
    struct addr addr;
    if (has_brackets(text) || !addr_parse_ip(text, 0, &addr))
        return false;
    addr_bytes(&addr, out);
    return true;
}

static bool has_host_bits(const uint8_t bytes[16], unsigned bits)
{
    unsigned i = bits / 8;
    if (i < 16 && bits % 8 && (bytes[i++] & (0xffu >> bits % 8)))
        return true;
    for (; i < 16; i++)
        if (bytes[i])
            return true;
    return false;
}

bool cidr_parse(str text, struct weir_cidr *out)
{
    if (str_equal(text, S("all"))) {
        *out = (struct weir_cidr){ .bits = 0 };
        return true;
    }
    size_t slash = str_find(text, '/');
    str ip = str_upto(text, slash);
    struct weir_cidr net = { .bits = 128 };
    if (!addr_ip_bytes(ip, net.address))
        return false;
    if (slash < text.n) {
        str digits = str_from(text, slash + 1);
        bool is_v4 = str_find(ip, ':') == ip.n;
        uint64_t bits;
        if (digits.n > 3 || !str_to_u64(digits, &bits) || (digits.n > 1 && digits.p[0] == '0'))
            return false;
        if (bits > (is_v4 ? 32 : 128))
            return false;
        net.bits = (uint32_t)bits + (is_v4 ? 96 : 0);
    }
    if (has_host_bits(net.address, net.bits))
        return false;
    *out = net;
    return true;
}

bool cidr_contains(const struct weir_cidr *net, const uint8_t address[16])
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    if (memcmp(net->address, address, whole) != 0)
        return false;
    return rest == 0 || (net->address[whole] ^ address[whole]) >> (8 - rest) == 0;
}
