/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/addr.h"
#include "net/proxy_header.h"

#include <stdlib.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(literal) { (literal), sizeof(literal) - 1 }
#define TCP4_ENDS "\xc0\x00\x02\x01\xc6\x33\x64\x02\x10\x00\x01\xbb" /* 192.0.2.1:4096 to 198.51.100.2:443 */
#define TCP6_ENDS                                                                                                      \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                                                                       \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"                                                                       \
    "\x10\x00\x01\xbb"

struct row {
    str in;
    size_t n;           /* 0: refused */
    const char *source; /* NULL: not known */
    unsigned source_port;
    const char *target;
    unsigned target_port;
};

static const struct row rows[] = {
    /* version 1 */
    { BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 4096 443\r\n"), 44, "192.0.2.1", 4096, "198.51.100.2", 443 },
    { BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 4096 443\r\nGET / HTTP/1.1\r\n"), 44, "192.0.2.1", 4096,
      "198.51.100.2", 443 },
    { BYTES("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"), 44, "0.0.0.0", 0, "255.255.255.255", 65535 },
    { BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"), 40, "2001:db8::1", 1, "2001:db8::2", 2 },
    { BYTES("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n"), 45, "192.0.2.1", 1, "2001:db8::2", 2 },
    { BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535"
            "\r\n"),
      104, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535 },
    { BYTES("PROXY UNKNOWN\r\n"), 15, NULL, 0, NULL, 0 },
    { BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535"
            "\r\n"),
      107, NULL, 0, NULL, 0 },
    { BYTES("PROXY UNKNOWN what it likes\r\n\r\n"), 29, NULL, 0, NULL, 0 },
    { BYTES("PROXY UNKNOWN fffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535"
            "\r\n"),
      0, NULL, 0, NULL, 0 }, /* 108 */
    { BYTES("PROXY UNKNOWNS\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY \r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY  TCP4 192.0.2.1 198.51.100.2 4096 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4  192.0.2.1 198.51.100.2 4096 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 4096 443 \r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 4096\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 4096 443 1\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 0443 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 +443 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.01 198.51.100.2 4096 443\r\n"), 0, NULL, 0, NULL, 0 }, /* octal to some */
    { BYTES("PROXY TCP4 192.0.2 198.51.100.2 4096 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4 2001:db8::1 2001:db8::2 4096 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP6 192.0.2.1 198.51.100.2 4096 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP6 [2001:db8::1] 2001:db8::2 4096 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP6 fe80::1%eth0 2001:db8::2 4096 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY UDP4 192.0.2.1 198.51.100.2 4096 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 4096 443\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 4096 443\r\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1\0 198.51.100.2 4096 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("proxy TCP4 192.0.2.1 198.51.100.2 4096 443\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("GET / HTTP/1.1\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("POST / HTTP/1.1\r\n"), 0, NULL, 0, NULL, 0 },
    { BYTES("\x16\x03\x01"), 0, NULL, 0, NULL, 0 },
    { BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0, NULL, 0, NULL, 0 },
    /* version 2 */
    { BYTES(SIGNATURE "\x21\x11\x00\x0c" TCP4_ENDS), 28, "192.0.2.1", 4096, "198.51.100.2", 443 },
    { BYTES(SIGNATURE "\x21\x11\x00\x0c" TCP4_ENDS "\x16\x03\x01"), 28, "192.0.2.1", 4096, "198.51.100.2", 443 },
    { BYTES(SIGNATURE "\x21\x21\x00\x24" TCP6_ENDS), 52, "2001:db8::1", 4096, "2001:db8::2", 443 },
    { BYTES(SIGNATURE "\x20\x00\x00\x00"), 16, NULL, 0, NULL, 0 },                  /* LOCAL */
    { BYTES(SIGNATURE "\x20\x11\x00\x0c" TCP4_ENDS), 28, NULL, 0, NULL, 0 },        /* LOCAL: its ends count not */
    { BYTES(SIGNATURE "\x20\xff\x00\x03\xff\xff\xff"), 19, NULL, 0, NULL, 0 },      /* nor anything else */
    { BYTES(SIGNATURE "\x21\x00\x00\x00"), 16, NULL, 0, NULL, 0 },                  /* AF_UNSPEC */
    { BYTES(SIGNATURE "\x21\x00\x00\x02\xff\xff"), 18, NULL, 0, NULL, 0 },
    { BYTES(SIGNATURE "\x21\x11\x00\x10" TCP4_ENDS "\x04\x00\x01\x00"), 32, "192.0.2.1", 4096, "198.51.100.2", 443 },
    { BYTES(SIGNATURE "\x21\x11\x00\x0f" TCP4_ENDS "\x02\x00\x00"), 31, "192.0.2.1", 4096, "198.51.100.2", 443 },
    { BYTES(SIGNATURE "\x21\x11\x00\x0b\xc0\x00\x02\x01\xc6\x33\x64\x02\x10\x00\x01"), 0, NULL, 0, NULL, 0 },
    { BYTES(SIGNATURE "\x21\x21\x00\x0c" TCP4_ENDS), 0, NULL, 0, NULL, 0 }, /* too short for its family */
    { BYTES(SIGNATURE "\x21\x11\x00\x00"), 0, NULL, 0, NULL, 0 },
    { BYTES(SIGNATURE "\x21\x11\x00\x0e" TCP4_ENDS "\x04\x00"), 0, NULL, 0, NULL, 0 },         /* half a TLV's head */
    { BYTES(SIGNATURE "\x21\x11\x00\x10" TCP4_ENDS "\x04\x00\x02\x00"), 0, NULL, 0, NULL, 0 }, /* a TLV too long */
    { BYTES(SIGNATURE "\x21\x11\x00\x10" TCP4_ENDS "\x04\xff\xff\x00"), 0, NULL, 0, NULL, 0 },
    { BYTES(SIGNATURE "\x21\x12\x00\x0c" TCP4_ENDS), 0, NULL, 0, NULL, 0 }, /* datagrams */
    { BYTES(SIGNATURE "\x21\x10\x00\x0c" TCP4_ENDS), 0, NULL, 0, NULL, 0 },
    { BYTES(SIGNATURE "\x21\x41\x00\x0c" TCP4_ENDS), 0, NULL, 0, NULL, 0 },
    { BYTES(SIGNATURE "\x22\x11\x00\x0c" TCP4_ENDS), 0, NULL, 0, NULL, 0 }, /* no such command */
    { BYTES(SIGNATURE "\x11\x11\x00\x0c" TCP4_ENDS), 0, NULL, 0, NULL, 0 }, /* no such version */
    { BYTES(SIGNATURE "\x31\x11\x00\x0c" TCP4_ENDS), 0, NULL, 0, NULL, 0 },
    { BYTES(SIGNATURE "\x21\x11\x0f\xf1" TCP4_ENDS), 0, NULL, 0, NULL, 0 }, /* 4097 bytes */
    { BYTES(SIGNATURE "\x20\x00\xff\xff"), 0, NULL, 0, NULL, 0 },
    { BYTES("\r\n\r\n\0\r\nQUIT\r"), 0, NULL, 0, NULL, 0 },
};

/* A copy without a byte behind it: reading on is seen. */
static enum proxy_header_answer read_exact(str in, struct proxy_header *out, const char **why)
{
    char *copy = malloc(in.n ? in.n : 1);

    assert_non_null(copy);
    memcpy(copy, in.p, in.n);
    enum proxy_header_answer answer = proxy_header_read((str){ copy, in.n }, out, why);
    free(copy);
    return answer;
}

static void assert_end(size_t i, const char *expected, unsigned port, const uint8_t got[16], uint16_t got_port)
{
    char room[ADDR_TEXT];
    str text = addr_ip_text(got, room);

    if (!str_equal(text, str_of(expected)) || port != got_port)
        fail_msg("row %zu: %s %u, not %s %u", i, room, got_port, expected, port);
}

static void assert_row(size_t i, const struct row *row, const struct proxy_header *header)
{
    if (header->n != row->n || header->ends.is_known != (row->source != NULL))
        fail_msg("row %zu: %zu bytes, %s", i, header->n, header->ends.is_known ? "known" : "not known");
    if (!row->source)
        return;
    assert_end(i, row->source, row->source_port, header->ends.source, header->ends.source_port);
    assert_end(i, row->target, row->target_port, header->ends.target, header->ends.target_port);
}

/* Cut at every byte: nothing is known before the header is whole, and a refusal never turns into anything else. */
static void headers_are_read_however_they_arrive(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct proxy_header header = { .n = 12345 };
        enum proxy_header_answer answer = PROXY_HEADER_MORE;
        const char *why = NULL;

        for (size_t n = 0; n <= rows[i].in.n; n++) {
            enum proxy_header_answer now = read_exact(str_upto(rows[i].in, n), &header, &why);
            if (answer != PROXY_HEADER_MORE && now != answer)
                fail_msg("row %zu: at %zu bytes it is %d, before %d", i, n, now, answer);
            if (now == PROXY_HEADER_WHOLE && n < rows[i].n)
                fail_msg("row %zu: whole at %zu bytes", i, n);
            answer = now;
        }
        if (answer != (rows[i].n ? PROXY_HEADER_WHOLE : PROXY_HEADER_REFUSED))
            fail_msg("row %zu: answer %d (%s)", i, answer, why ? why : "-");
        if (answer == PROXY_HEADER_WHOLE) {
            assert_row(i, &rows[i], &header);
        } else {
            assert_int_equal(header.n, 12345);
            assert_non_null(why);
        }
    }
}

static void a_line_without_end_is_refused_at_its_limit(void **state)
{
    char line[PROXY_HEADER_V1_MOST + 1];
    struct proxy_header header;
    const char *why;

    (void)state;
    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(read_exact((str){ line, PROXY_HEADER_V1_MOST - 1 }, &header, &why), PROXY_HEADER_MORE);
    assert_int_equal(read_exact((str){ line, PROXY_HEADER_V1_MOST }, &header, &why), PROXY_HEADER_REFUSED);
}

/* The client on the other side came over a local socket: no address to speak of. */
static void local_sockets_are_not_known(void **state)
{
    char text[16 + 216] = SIGNATURE "\x21\x31\x00\xd8/run/client";
    struct proxy_header header;
    const char *why;

    (void)state;
    assert_int_equal(read_exact((str){ text, sizeof(text) - 1 }, &header, &why), PROXY_HEADER_MORE);
    assert_int_equal(read_exact((str){ text, sizeof(text) }, &header, &why), PROXY_HEADER_WHOLE);
    assert_int_equal(header.n, sizeof(text));
    assert_false(header.ends.is_known);
}

/* The header's own was computed by another program. */
static void checksums_are_checked(void **state)
{
    static const char good[] = SIGNATURE "\x21\x11\x00\x17" TCP4_ENDS "\x03\x00\x04\x4b\x50\xca\x45"
                                                                      "\x04\x00\x01\x00";
    char bad[sizeof(good) - 1];
    struct proxy_header header;
    const char *why;

    (void)state;
    assert_int_equal(read_exact((str){ good, sizeof(good) - 1 }, &header, &why), PROXY_HEADER_WHOLE);
    for (size_t i = 16; i < sizeof(bad); i++) {
        memcpy(bad, good, sizeof(bad));
        bad[i] = (char)(bad[i] ^ 1);
        if (i >= 28 && i < 31) /* then it is another extension, or longer: refused or not checked */
            continue;
        if (read_exact((str){ bad, sizeof(bad) }, &header, &why) != PROXY_HEADER_REFUSED)
            fail_msg("byte %zu", i);
    }
}

static void checksums_stand_once(void **state)
{
    static const char twice[] = SIGNATURE "\x21\x11\x00\x1a" TCP4_ENDS "\x03\x00\x04\0\0\0\0\x03\x00\x04\0\0\0\0";
    static const char small[] = SIGNATURE "\x21\x11\x00\x12" TCP4_ENDS "\x03\x00\x03\0\0\0";
    struct proxy_header header;
    const char *why;

    (void)state;
    assert_int_equal(read_exact((str){ twice, sizeof(twice) - 1 }, &header, &why), PROXY_HEADER_REFUSED);
    assert_int_equal(read_exact((str){ small, sizeof(small) - 1 }, &header, &why), PROXY_HEADER_REFUSED);
}

/* -- making them --------------------------------------------------------------------------------------------------- */

static struct proxy_ends ends_of(const char *source, unsigned source_port, const char *target, unsigned target_port)
{
    struct proxy_ends ends = { .is_known = true };

    assert_true(addr_ip_bytes(str_of(source), ends.source) && addr_ip_bytes(str_of(target), ends.target));
    ends.source_port = (uint16_t)source_port;
    ends.target_port = (uint16_t)target_port;
    return ends;
}

static void headers_are_made(void **state)
{
    static const struct {
        int version;
        const char *source, *target;
        str out;
    } made[] = {
        { 1, "192.0.2.1", "198.51.100.2", BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 4096 443\r\n") },
        { 1, "2001:db8::1", "2001:db8::2", BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 4096 443\r\n") },
        { 1, "192.0.2.1", "2001:db8::2", BYTES("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 4096 443\r\n") },
        { 2, "192.0.2.1", "198.51.100.2", BYTES(SIGNATURE "\x21\x11\x00\x0c" TCP4_ENDS) },
        { 2, "2001:db8::1", "2001:db8::2", BYTES(SIGNATURE "\x21\x21\x00\x24" TCP6_ENDS) },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(made); i++) {
        char room[PROXY_HEADER_ROOM];
        struct proxy_ends ends = ends_of(made[i].source, 4096, made[i].target, 443);
        size_t n = proxy_header_put(made[i].version, &ends, room);
        struct proxy_header header;
        const char *why;

        if (!str_equal((str){ room, n }, made[i].out))
            fail_msg("row %zu: %zu bytes", i, n);
        assert_int_equal(read_exact((str){ room, n }, &header, &why), PROXY_HEADER_WHOLE);
        assert_true(proxy_ends_equal(&header.ends, &ends));
        assert_int_equal(header.version, made[i].version);
    }
}

static void the_longest_one_has_room(void **state)
{
    static const char widest[] = "fe80:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    struct proxy_ends ends = ends_of(widest, 65535, widest, 65535);
    char room[PROXY_HEADER_ROOM];

    (void)state;
    assert_int_equal(proxy_header_put(1, &ends, room), 104);
    assert_int_equal(proxy_header_put(2, &ends, room), 52);
}

static void nothing_is_said_of_what_is_not_known(void **state)
{
    static const struct {
        int version;
        bool own;
        str out;
    } made[] = {
        { 1, false, BYTES("PROXY UNKNOWN\r\n") },
        { 1, true, BYTES("PROXY UNKNOWN\r\n") },
        { 2, false, BYTES(SIGNATURE "\x21\x00\x00\x00") },
        { 2, true, BYTES(SIGNATURE "\x20\x00\x00\x00") },
    };
    static const struct proxy_ends nobody;

    (void)state;
    for (size_t i = 0; i < COUNT(made); i++) {
        char room[PROXY_HEADER_ROOM];
        size_t n = made[i].own ? proxy_header_put_own(made[i].version, room)
                               : proxy_header_put(made[i].version, &nobody, room);
        if (!str_equal((str){ room, n }, made[i].out))
            fail_msg("row %zu: %zu bytes", i, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read_however_they_arrive),
        cmocka_unit_test(a_line_without_end_is_refused_at_its_limit),
        cmocka_unit_test(local_sockets_are_not_known),
        cmocka_unit_test(checksums_are_checked),
        cmocka_unit_test(checksums_stand_once),
        cmocka_unit_test(headers_are_made),
        cmocka_unit_test(the_longest_one_has_room),
        cmocka_unit_test(nothing_is_said_of_what_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
