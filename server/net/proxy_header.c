/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/proxy_header.h"

#include "base/out.h"
#include "net/addr.h"

enum { V2_SIGNATURE = 12, V2_FIXED = 16 };
enum { COMMAND_LOCAL = 0, COMMAND_PROXY = 1 };
enum { FAMILY_NONE = 0x00, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21, FAMILY_UNIX = 0x31 };
enum { ENDS_TCP4 = 12, ENDS_TCP6 = 36, ENDS_UNIX = 216 };
enum { TLV_HEAD = 3, TLV_CRC32C = 0x03, CRC32C_SIZE = 4 };

static const char signature[V2_SIGNATURE] = "\r\n\r\n\0\r\nQUIT\n";
static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

static enum proxy_header_answer refuse(const char *reason, const char **why)
{
    *why = reason;
    return PROXY_HEADER_REFUSED;
}

/* -- version 1: one line of text ----------------------------------------------------------------------------------- */

/* A word and the one space behind it; the last word has none. */
static bool take_word(str *line, bool is_last, str *word)
{
    size_t space = str_find(*line, ' ');

    if ((space == line->n) != is_last || space == 0)
        return false;
    *word = str_upto(*line, space);
    *line = str_from(*line, is_last ? space : space + 1);
    return true;
}

static bool read_port(str text, uint16_t *port)
{
    uint64_t number;

    if (text.n == 0 || text.n > 5 || (text.n > 1 && text.p[0] == '0') || !str_to_u64(text, &number) || number > 65535)
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool read_address(str text, bool is_v6, uint8_t out[16])
{
    return (str_find(text, ':') < text.n) == is_v6 && addr_ip_bytes(text, out);
}

static bool read_ends_v1(str line, bool is_v6, struct proxy_ends *ends)
{
    str source, target, source_port, target_port;

    return take_word(&line, false, &source) && take_word(&line, false, &target) &&
           take_word(&line, false, &source_port) && take_word(&line, true, &target_port) &&
           read_address(source, is_v6, ends->source) && read_address(target, is_v6, ends->target) &&
           read_port(source_port, &ends->source_port) && read_port(target_port, &ends->target_port);
}

static enum proxy_header_answer read_v1(str in, struct proxy_header *out, const char **why)
{
    str head = str_upto(in, PROXY_HEADER_V1_MOST), line;
    struct proxy_ends ends = { .is_known = true };
    size_t end = str_find(head, '\n');

    if (end == head.n)
        return in.n < PROXY_HEADER_V1_MOST ? PROXY_HEADER_MORE : refuse("its line has no end", why);
    if (end == 0 || head.p[end - 1] != '\r' || memchr(head.p, '\r', end - 1))
        return refuse("its line does not end in CR LF", why);
    line = str_from(str_upto(head, end - 1), 6);
    if (str_equal(line, S("UNKNOWN")) || str_has_prefix(line, S("UNKNOWN "))) /* what follows it is to be ignored */
        ends = (struct proxy_ends){ .is_known = false };
    else if (!str_has_prefix(line, S("TCP4 ")) && !str_has_prefix(line, S("TCP6 ")))
        return refuse("its family is none of TCP4, TCP6 and UNKNOWN", why);
    else if (!read_ends_v1(str_from(line, 5), line.p[3] == '6', &ends))
        return refuse("its addresses or ports cannot be read", why);
    *out = (struct proxy_header){ .ends = ends, .n = end + 1, .version = 1 };
    return PROXY_HEADER_WHOLE;
}

/* -- version 2: binary --------------------------------------------------------------------------------------------- */

static uint16_t read_u16(const char *p)
{
    return (uint16_t)((unsigned)(uint8_t)p[0] << 8 | (uint8_t)p[1]);
}

static uint32_t crc32c_add(uint32_t crc, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crc ^= (uint8_t)p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1u)));
    }
    return crc;
}

/* Over the whole header, with its own four bytes as zeros. */
static bool checksum_holds(str header, size_t at)
{
    static const char zeros[CRC32C_SIZE];
    uint32_t crc = crc32c_add(~0u, header.p, at);

    crc = crc32c_add(crc, zeros, sizeof(zeros));
    crc = ~crc32c_add(crc, header.p + at + CRC32C_SIZE, header.n - at - CRC32C_SIZE);
    uint32_t said = (uint32_t)read_u16(header.p + at) << 16 | read_u16(header.p + at + 2);
    return crc == said;
}

static const char *check_extensions(str header, size_t at)
{
    size_t checksum_at = 0;

    while (at < header.n) {
        if (header.n - at < TLV_HEAD)
            return "an extension is cut short";
        size_t n = read_u16(header.p + at + 1);
        if (header.n - at - TLV_HEAD < n)
            return "an extension is longer than the header";
        if ((uint8_t)header.p[at] == TLV_CRC32C) {
            if (checksum_at || n != CRC32C_SIZE)
                return "its checksum is malformed";
            checksum_at = at + TLV_HEAD;
        }
        at += TLV_HEAD + n;
    }
    if (checksum_at && !checksum_holds(header, checksum_at))
        return "its checksum is wrong";
    return NULL;
}

static void read_tcp4(const char *p, struct proxy_ends *ends)
{
    *ends = (struct proxy_ends){ .source_port = read_u16(p + 8), .target_port = read_u16(p + 10), .is_known = true };
    memcpy(ends->source, v4_mapped, sizeof(v4_mapped));
    memcpy(ends->source + 12, p, 4);
    memcpy(ends->target, v4_mapped, sizeof(v4_mapped));
    memcpy(ends->target + 12, p + 4, 4);
}

static void read_tcp6(const char *p, struct proxy_ends *ends)
{
    *ends = (struct proxy_ends){ .source_port = read_u16(p + 32), .target_port = read_u16(p + 34), .is_known = true };
    memcpy(ends->source, p, 16);
    memcpy(ends->target, p + 16, 16);
}

static size_t ends_size(unsigned family)
{
    switch (family) {
    case FAMILY_TCP4: return ENDS_TCP4;
    case FAMILY_TCP6: return ENDS_TCP6;
    case FAMILY_UNIX: return ENDS_UNIX;
    default:          return 0;
    }
}

static enum proxy_header_answer read_proxy_command(str header, struct proxy_ends *ends, const char **why)
{
    unsigned family = (uint8_t)header.p[13];
    size_t size = ends_size(family);

    if (family == FAMILY_NONE)
        return PROXY_HEADER_WHOLE; /* the rest is to be ignored */
    if (size == 0)
        return refuse("its family is none of a stream's", why);
    if (header.n < V2_FIXED + size)
        return refuse("it is too short for its family", why);
    const char *wrong = check_extensions(header, V2_FIXED + size);
    if (wrong)
        return refuse(wrong, why);
    if (family == FAMILY_TCP4)
        read_tcp4(header.p + V2_FIXED, ends);
    else if (family == FAMILY_TCP6)
        read_tcp6(header.p + V2_FIXED, ends);
    return PROXY_HEADER_WHOLE;
}

static enum proxy_header_answer read_v2(str in, struct proxy_header *out, const char **why)
{
    struct proxy_ends ends = { .is_known = false };
    unsigned version, command;

    if (in.n <= V2_SIGNATURE)
        return PROXY_HEADER_MORE;
    version = (uint8_t)in.p[12] >> 4;
    command = (uint8_t)in.p[12] & 15;
    if (version != 2)
        return refuse("its version is neither 1 nor 2", why);
    if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
        return refuse("its command is neither LOCAL nor PROXY", why);
    if (in.n < V2_FIXED)
        return PROXY_HEADER_MORE;
    size_t n = V2_FIXED + (size_t)read_u16(in.p + 14);
    if (n > PROXY_HEADER_MOST)
        return refuse("it is longer than 4096 bytes", why);
    if (in.n < n)
        return PROXY_HEADER_MORE;
    if (command == COMMAND_PROXY && read_proxy_command(str_upto(in, n), &ends, why) == PROXY_HEADER_REFUSED)
        return PROXY_HEADER_REFUSED;
    *out = (struct proxy_header){ .ends = ends, .n = n, .version = 2 };
    return PROXY_HEADER_WHOLE;
}

/* -- both ---------------------------------------------------------------------------------------------------------- */

static bool agrees(str in, const char *with, size_t n)
{
    return memcmp(in.p, with, in.n < n ? in.n : n) == 0;
}

enum proxy_header_answer proxy_header_read(str in, struct proxy_header *out, const char **why)
{
    if (in.n == 0)
        return PROXY_HEADER_MORE;
    if (agrees(in, signature, V2_SIGNATURE))
        return read_v2(in, out, why);
    if (!agrees(in, "PROXY ", 6))
        return refuse("there is none", why);
    return in.n < 6 ? PROXY_HEADER_MORE : read_v1(in, out, why);
}

/* -- making one ---------------------------------------------------------------------------------------------------- */

static bool is_v4(const uint8_t address[16])
{
    return memcmp(address, v4_mapped, sizeof(v4_mapped)) == 0;
}

static void put_address(struct out *out, const uint8_t address[16], bool as_v6)
{
    char text[ADDR_TEXT];

    if (as_v6 && is_v4(address)) /* beside an end that is none: both must be of one family */
        out_str(out, S("::ffff:"));
    out_str(out, addr_ip_text(address, text));
}

static size_t put_v1(const struct proxy_ends *ends, bool as_v6, char room[PROXY_HEADER_ROOM])
{
    struct out out = { .p = room, .room = PROXY_HEADER_ROOM };

    out_str(&out, as_v6 ? S("PROXY TCP6 ") : S("PROXY TCP4 "));
    put_address(&out, ends->source, as_v6);
    out_char(&out, ' ');
    put_address(&out, ends->target, as_v6);
    out_char(&out, ' ');
    out_u64(&out, ends->source_port);
    out_char(&out, ' ');
    out_u64(&out, ends->target_port);
    out_str(&out, S("\r\n"));
    return out.n;
}

static char *put_u16(char *p, size_t number)
{
    p[0] = (char)(number >> 8 & 0xff);
    p[1] = (char)(number & 0xff);
    return p + 2;
}

static char *put_fixed(char *p, unsigned command, unsigned family, size_t size)
{
    memcpy(p, signature, V2_SIGNATURE);
    p[12] = (char)(0x20 | command);
    p[13] = (char)family;
    return put_u16(p + 14, size);
}

static size_t put_v2(const struct proxy_ends *ends, bool as_v6, char room[PROXY_HEADER_ROOM])
{
    size_t skip = as_v6 ? 0 : 12, size = 16 - skip;
    char *p = put_fixed(room, COMMAND_PROXY, as_v6 ? FAMILY_TCP6 : FAMILY_TCP4, as_v6 ? ENDS_TCP6 : ENDS_TCP4);

    memcpy(p, ends->source + skip, size);
    memcpy(p + size, ends->target + skip, size);
    p = put_u16(p + 2 * size, ends->source_port);
    return (size_t)(put_u16(p, ends->target_port) - room);
}

static size_t put_unknown_v1(char room[PROXY_HEADER_ROOM])
{
    static const char line[] = "PROXY UNKNOWN\r\n";

    memcpy(room, line, sizeof(line) - 1);
    return sizeof(line) - 1;
}

size_t proxy_header_put(int version, const struct proxy_ends *ends, char room[PROXY_HEADER_ROOM])
{
    bool as_v6 = !is_v4(ends->source) || !is_v4(ends->target);

    if (!ends->is_known)
        return version == 1 ? put_unknown_v1(room)
                            : (size_t)(put_fixed(room, COMMAND_PROXY, FAMILY_NONE, 0) - room);
    return version == 1 ? put_v1(ends, as_v6, room) : put_v2(ends, as_v6, room);
}

size_t proxy_header_put_own(int version, char room[PROXY_HEADER_ROOM])
{
    return version == 1 ? put_unknown_v1(room) : (size_t)(put_fixed(room, COMMAND_LOCAL, FAMILY_NONE, 0) - room);
}

bool proxy_ends_equal(const struct proxy_ends *a, const struct proxy_ends *b)
{
    return a->is_known == b->is_known && a->source_port == b->source_port && a->target_port == b->target_port &&
           memcmp(a->source, b->source, 16) == 0 && memcmp(a->target, b->target, 16) == 0;
}
