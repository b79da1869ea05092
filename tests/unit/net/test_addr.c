/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/addr.h"

#include <stdlib.h>
#include <unistd.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* A copy without a byte behind it: reading on is seen. */
static str exact(const char *text)
{
    size_t n = strlen(text);
    char *p = malloc(n ? n : 1);
    assert_non_null(p);
    memcpy(p, text, n);
    return (str){ p, n };
}

static void drop(str s)
{
    free((void *)(uintptr_t)s.p);
}

static void addresses_parse_and_print(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: refused */
    } rows[] = {
        { "192.0.2.1:80", "192.0.2.1:80" },
        { "0.0.0.0:0", "0.0.0.0:0" },
        { "255.255.255.255:65535", "255.255.255.255:65535" },
        { "192.0.2.1:00080", "192.0.2.1:80" },
        { "[::1]:80", "[::1]:80" },
        { "[::]:443", "[::]:443" },
        { "[2001:DB8:0:0:1:0:0:1]:8443", "[2001:db8::1:0:0:1]:8443" },
        { "[::ffff:192.0.2.1]:80", "[::ffff:c000:201]:80" }, /* an IPv6 socket address stays one */
        { "unix:/run/x.sock", "unix:/run/x.sock" },
        { "unix:rel", "unix:rel" },
        { "", NULL },
        { ":", NULL },
        { ":80", NULL },
        { "192.0.2.1", NULL },
        { "192.0.2.1:", NULL },
        { "192.0.2.1:65536", NULL },
        { "192.0.2.1:+80", NULL },
        { "192.0.2.1:000080", NULL },
        { "192.0.2.1: 80", NULL },
        { "192.0.2:80", NULL },
        { "192.0.2.256:80", NULL },
        { "192.0.2.01:80", NULL }, /* octal to some */
        { "0x7f.0.0.1:80", NULL },
        { "localhost:80", NULL },
        { "::1:80", NULL }, /* ambiguous */
        { "[::1]", NULL },
        { "[::1]80", NULL },
        { "[::1:80", NULL },
        { "[]:80", NULL },
        { "[192.0.2.1]:80", NULL },
        { "[fe80::1%lo]:80", NULL },
        { "[1:2:3:4:5:6:7:8:9]:80", NULL },
        { "unix:", NULL },
        { "unix", NULL },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct addr addr, before;
        memset(&before, 0xa5, sizeof(before));
        addr = before;
        str in = exact(rows[i].in);
        bool ok = addr_parse(in, &addr);
        drop(in);
        if (ok != (rows[i].out != NULL))
            fail_msg("\"%s\": parsed %d", rows[i].in, ok);
        if (!ok) {
            assert_memory_equal(&addr, &before, sizeof(addr));
            continue;
        }
        char room[ADDR_TEXT];
        str text = addr_text(&addr, room);
        assert_string_equal(text.p, rows[i].out);
        assert_int_equal(text.n, strlen(rows[i].out));
    }
}

static void unix_paths_end_with_their_room(void **state)
{
    (void)state;
    char path[120] = "unix:", room[ADDR_TEXT];
    struct addr addr;
    size_t most = sizeof(addr.un.sun_path) - 1;
    memset(path + 5, 'p', most + 1);
    assert_true(addr_parse((str){ path, 5 + most }, &addr));
    assert_true(addr_is_unix(&addr));
    assert_int_equal(addr_text(&addr, room).n, 5 + most);
    assert_false(addr_parse((str){ path, 5 + most + 1 }, &addr));
    assert_false(addr_parse((str){ "unix:a\0b", 8 }, &addr));
    assert_false(addr_parse((str){ "127.0.0.1\0:80", 13 }, &addr));
}

static void ips_have_one_text(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "192.0.2.1", "192.0.2.1" },
        { "::ffff:192.0.2.1", "192.0.2.1" },
        { "::ffff:0:0", "0.0.0.0" },
        { "::", "::" },
        { "::1", "::1" },
        { "1::", "1::" },
        { "2001:0db8::0001", "2001:db8::1" },               /* RFC 5952 4.1: leading zeros go */
        { "2001:db8:0:0:0:0:2:1", "2001:db8::2:1" },        /* 4.2.1: as short as possible */
        { "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" }, /* 4.2.2: not one group alone */
        { "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },          /* 4.2.3: the longest run */
        { "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },    /* 4.2.3: the first of equals */
        { "2001:DB8::ABCD", "2001:db8::abcd" },             /* 4.3: lower case */
        { "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
        { "0:0:3:4:5:6:7:8", "::3:4:5:6:7:8" },
        { "0:2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
        { "1:2:3:4:5:6:0:0", "1:2:3:4:5:6::" },
        { "1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0" },
        { "::102:304", "::102:304" }, /* not an IPv4 address in disguise */
        { "64:ff9b::192.0.2.33", "64:ff9b::c000:221" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t bytes[16], again[16];
        char room[ADDR_TEXT];
        str in = exact(rows[i].in);
        assert_true(addr_ip_bytes(in, bytes));
        drop(in);
        str text = addr_ip_text(bytes, room);
        assert_string_equal(text.p, rows[i].out);
        assert_int_equal(text.n, strlen(rows[i].out));
        assert_true(addr_ip_bytes(text, again));
        assert_memory_equal(bytes, again, sizeof(bytes));
    }
    static const char *const refused[] = { "",          "x",     "1.2.3",   "1.2.3.4.5", "1.2.3.4 ", " ::1", "[::1]",
                                           "::1%lo",    ":::",   "1::2::3", "12345::",   "1.2.3.-4", "1:2",  "::1/128",
                                           "1.2.3.4:5", "00.0.0.0", "g::" };
    for (size_t i = 0; i < COUNT(refused); i++) {
        uint8_t bytes[16];
        if (addr_ip_bytes(str_of(refused[i]), bytes))
            fail_msg("\"%s\" was taken", refused[i]);
    }
}

static void ips_with_ports(void **state)
{
    static const struct {
        const char *in;
        int family; /* 0: refused */
    } rows[] = {
        { "192.0.2.1", AF_INET }, { "::1", AF_INET6 },  { "[::1]", AF_INET6 }, { "[192.0.2.1]", 0 },
        { "[::1", 0 },            { "::1]", 0 },        { "[]", 0 },           { "", 0 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct addr addr;
        assert_int_equal(addr_parse_ip(str_of(rows[i].in), 8080, &addr), rows[i].family != 0);
        if (!rows[i].family)
            continue;
        assert_int_equal(addr.any.sa_family, rows[i].family);
        assert_int_equal(addr_port(&addr), 8080);
    }
}

static void equality(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        { "192.0.2.1:80", "192.0.2.1:80", true },
        { "192.0.2.1:80", "192.0.2.1:81", false },
        { "192.0.2.1:80", "192.0.2.2:80", false },
        { "192.0.2.1:80", "[::ffff:192.0.2.1]:80", true }, /* one peer, seen through two kinds of socket */
        { "0.0.0.0:80", "[::]:80", false },
        { "[::1]:80", "[0:0::1]:80", true },
        { "unix:/a", "unix:/a", true },
        { "unix:/a", "unix:/ab", false },
        { "unix:/a", "[::]:0", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct addr a, b;
        assert_true(addr_parse(str_of(rows[i].a), &a) && addr_parse(str_of(rows[i].b), &b));
        assert_int_equal(addr_equal(&a, &b), rows[i].equal);
        assert_int_equal(addr_equal(&b, &a), rows[i].equal);
    }
}

static void sockets_tell_their_address(void **state)
{
    (void)state;
    int fds[2];
    char room[ADDR_TEXT];
    struct addr addr;
    uint8_t bytes[16], zero[16] = { 0 };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    addr_of_socket(fds[0], true, &addr);
    assert_true(addr_is_unix(&addr));
    assert_string_equal(addr_text(&addr, room).p, "unix:"); /* it has no name */
    addr_bytes(&addr, bytes);
    assert_memory_equal(bytes, zero, sizeof(zero));
    assert_int_equal(addr_port(&addr), 0);
    close(fds[0]);
    close(fds[1]);
    addr_of_socket(fds[0], true, &addr); /* closed */
    assert_string_equal(addr_text(&addr, room).p, "unknown");
}

static void networks_parse(void **state)
{
    static const struct {
        const char *in;
        int bits; /* -1: refused */
        const char *base;
    } rows[] = {
        { "all", 0, "::" },
        { "10.0.0.0/8", 104, "10.0.0.0" },
        { "192.0.2.1", 128, "192.0.2.1" },
        { "192.0.2.1/32", 128, "192.0.2.1" },
        { "192.0.2.128/25", 121, "192.0.2.128" },
        { "0.0.0.0/0", 96, "0.0.0.0" },
        { "::/0", 0, "::" },
        { "::1", 128, "::1" },
        { "2001:db8::/32", 32, "2001:db8::" },
        { "2001:db8:8000::/33", 33, "2001:db8:8000::" },
        { "::ffff:10.0.0.0/104", 104, "10.0.0.0" },
        { "10.0.0.1/8", -1, NULL }, /* host bits */
        { "192.0.2.129/25", -1, NULL },
        { "0.0.0.1/0", -1, NULL },
        { "2001:db8::1/32", -1, NULL },
        { "10.0.0.0/33", -1, NULL },
        { "::/129", -1, NULL },
        { "10.0.0.0/", -1, NULL },
        { "10.0.0.0/08", -1, NULL },
        { "10.0.0.0/+8", -1, NULL },
        { "10.0.0.0/-8", -1, NULL },
        { "10.0.0.0/255.0.0.0", -1, NULL },
        { "10.0.0.0/8/8", -1, NULL },
        { "10/8", -1, NULL },
        { "/8", -1, NULL },
        { "[::1]", -1, NULL },
        { "", -1, NULL },
        { "ALL", -1, NULL },
        { "any", -1, NULL },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct weir_cidr net, before;
        memset(&before, 0xa5, sizeof(before));
        net = before;
        str in = exact(rows[i].in);
        bool ok = cidr_parse(in, &net);
        drop(in);
        if (ok != (rows[i].bits >= 0))
            fail_msg("\"%s\": parsed %d", rows[i].in, ok);
        if (!ok) {
            assert_memory_equal(&net, &before, sizeof(net));
            continue;
        }
        uint8_t base[16];
        assert_true(addr_ip_bytes(str_of(rows[i].base), base));
        assert_memory_equal(net.address, base, sizeof(base));
        assert_int_equal(net.bits, rows[i].bits);
    }
}

static void networks_contain(void **state)
{
    static const struct {
        const char *net, *ip;
        bool inside;
    } rows[] = {
        { "all", "192.0.2.1", true },
        { "all", "2001:db8::1", true },
        { "0.0.0.0/0", "192.0.2.1", true },
        { "0.0.0.0/0", "2001:db8::1", false },
        { "10.0.0.0/8", "10.255.255.255", true },
        { "10.0.0.0/8", "::ffff:10.1.2.3", true },
        { "10.0.0.0/8", "11.0.0.0", false },
        { "10.0.0.0/8", "9.255.255.255", false },
        { "10.0.0.0/8", "a00::", false },
        { "192.0.2.0/25", "192.0.2.127", true },
        { "192.0.2.0/25", "192.0.2.128", false },
        { "192.0.2.4/31", "192.0.2.5", true },
        { "192.0.2.4/31", "192.0.2.6", false },
        { "192.0.2.1", "192.0.2.1", true },
        { "192.0.2.1", "192.0.2.0", false },
        { "2001:db8:8000::/33", "2001:db8:ffff::1", true },
        { "2001:db8:8000::/33", "2001:db8:7fff::1", false },
        { "::1", "::1", true },
        { "::1", "::", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct weir_cidr net;
        uint8_t ip[16];
        assert_true(cidr_parse(str_of(rows[i].net), &net));
        assert_true(addr_ip_bytes(str_of(rows[i].ip), ip));
        if (cidr_contains(&net, ip) != rows[i].inside)
            fail_msg("%s in %s", rows[i].ip, rows[i].net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_parse_and_print), cmocka_unit_test(unix_paths_end_with_their_room),
        cmocka_unit_test(ips_have_one_text),         cmocka_unit_test(ips_with_ports),
        cmocka_unit_test(equality),                  cmocka_unit_test(sockets_tell_their_address),
        cmocka_unit_test(networks_parse),            cmocka_unit_test(networks_contain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
