/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/addr.h"
#include "pipeline/client_chain.h"

#include <stdlib.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct row {
    const char *in, *address; /* NULL: names no address */
    unsigned port;
};

static void assert_rows(const struct row *rows, size_t count, bool (*read)(str, struct chain_hop *))
{
    for (size_t i = 0; i < count; i++) {
        struct chain_hop hop = { .port = 12345 };
        size_t n = strlen(rows[i].in);
        char *exact = malloc(n ? n : 1), room[ADDR_TEXT];

        assert_non_null(exact);
        memcpy(exact, rows[i].in, n);
        bool ok = read((str){ exact, n }, &hop);
        free(exact);
        if (ok != (rows[i].address != NULL))
            fail_msg("\"%s\": %s", rows[i].in, ok ? "read" : "not read");
        if (!ok) {
            assert_int_equal(hop.port, 12345);
            continue;
        }
        addr_ip_text(hop.address, room);
        if (strcmp(room, rows[i].address) != 0 || hop.port != rows[i].port)
            fail_msg("\"%s\": %s %u", rows[i].in, room, hop.port);
    }
}

static void x_forwarded_for(void **state)
{
    static const struct row rows[] = {
        { "192.0.2.1", "192.0.2.1", 0 },
        { "192.0.2.1:4711", "192.0.2.1", 4711 },
        { "192.0.2.1:0", "192.0.2.1", 0 },
        { "2001:db8::1", "2001:db8::1", 0 },
        { "[2001:db8::1]", "2001:db8::1", 0 },
        { "[2001:db8::1]:4711", "2001:db8::1", 4711 },
        { "::ffff:192.0.2.1", "192.0.2.1", 0 },
        { "[::ffff:192.0.2.1]:80", "192.0.2.1", 80 },
        { "192.0.2.1:_hidden", "192.0.2.1", 0 },
        { "", NULL, 0 },
        { "unknown", NULL, 0 },
        { "_hidden", NULL, 0 },
        { "example.org", NULL, 0 },
        { "192.0.2.1:", NULL, 0 },
        { "192.0.2.1:x", NULL, 0 },
        { "192.0.2.1:65536", NULL, 0 },
        { "192.0.2.1:_", NULL, 0 },
        { "192.0.2.1 198.51.100.1", NULL, 0 },
        { "192.0.2.1;x", NULL, 0 },
        { "192.0.2", NULL, 0 },
        { "192.0.2.01", NULL, 0 },
        { "0x7f000001", NULL, 0 },
        { "2130706433", NULL, 0 },
        { "192.0.2.1/32", NULL, 0 },
        { "[192.0.2.1]", NULL, 0 },
        { "[192.0.2.1]:80", NULL, 0 },
        { "[2001:db8::1", NULL, 0 },
        { "[2001:db8::1]x", NULL, 0 },
        { "[]", NULL, 0 },
        { "[", NULL, 0 },
        { ":80", NULL, 0 },
        { "fe80::1%eth0", NULL, 0 },
        { "\"192.0.2.1\"", NULL, 0 },
        { "for=192.0.2.1", NULL, 0 },
        { "[0000:0000:0000:0000:0000:0000:0000:0001]:80 and whatever may come behind it all", NULL, 0 },
    };
    (void)state;
    assert_rows(rows, COUNT(rows), chain_read_for);
}

static void forwarded(void **state)
{
    static const struct row rows[] = {
        { "for=192.0.2.1", "192.0.2.1", 0 },
        { "FOR=192.0.2.1", "192.0.2.1", 0 },
        { "for=192.0.2.1;proto=https;by=203.0.113.43", "192.0.2.1", 0 },
        { "proto=https; for=192.0.2.1 ;host=a.test", "192.0.2.1", 0 },
        { "for=\"192.0.2.1:4711\"", "192.0.2.1", 4711 },
        { "for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17", 4711 },
        { "for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17", 0 },
        { "for=\"\\[2001:db8:cafe::17\\]\"", "2001:db8:cafe::17", 0 }, /* quoted pairs */
        { "for=\"192.0.2.1:_port\"", "192.0.2.1", 0 },
        { "ext=\"a;for=198.51.100.66\";for=192.0.2.1", "192.0.2.1", 0 }, /* what is quoted is no parameter */
        { "ext=\"\\\";for=198.51.100.66\";for=192.0.2.1", "192.0.2.1", 0 },
        { "for=192.0.2.1;ext=\"", "192.0.2.1", 0 },
        { "", NULL, 0 },
        { "for=", NULL, 0 },
        { "for=\"\"", NULL, 0 },
        { "for=unknown", NULL, 0 },
        { "for=\"_gazonk\"", NULL, 0 },
        { "for = 192.0.2.1", NULL, 0 },
        { "for= 192.0.2.1", NULL, 0 },
        { "xfor=192.0.2.1", NULL, 0 },
        { "proto=https", NULL, 0 },
        { "for=192.0.2.1;for=198.51.100.66", NULL, 0 }, /* two answers to one question */
        { "for=198.51.100.66;FOR=192.0.2.1", NULL, 0 },
        { "for=\"192.0.2.1", NULL, 0 },
        { "for=192.0.2.1\"", NULL, 0 },
        { "for=\"192.0.2.1\"x", NULL, 0 },
        { "for=\"192.0.2.1\\\"", NULL, 0 },
        { "for=\"192.0.2.1\\", NULL, 0 },
        { "for=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", NULL, 0 },
    };
    (void)state;
    assert_rows(rows, COUNT(rows), chain_read_forwarded);
}

/* What a client wrote stands on the left, and changes nothing of what its proxy put behind it. */
static void lists_are_cut_from_the_right(void **state)
{
    static const struct {
        const char *list, *elements; /* last one first, each ended by '|' */
    } rows[] = {
        { "", "|" },
        { "a", "a|" },
        { "a,b", "b|a|" },
        { " a , b ", "b|a|" },
        { "a,,b,", "|b||a|" },
        { ",", "||" },
        { "for=\"x,y\", z", "z|for=\"x,y\"|" },
        { "for=\"x\\\",y\", z", "z|for=\"x\\\",y\"|" },
        { "for=\"evil, for=192.0.2.1", "for=192.0.2.1|for=\"evil|" },                 /* an open quote */
        { "for=\"evil, for=\"192.0.2.1\"", "for=\"192.0.2.1\"|for=\"evil|" },
        { "evil\\, for=192.0.2.1", "for=192.0.2.1|evil\\|" },
        { "\", for=6.6.6.6, \", for=192.0.2.1", "for=192.0.2.1|\", for=6.6.6.6, \"|" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        str list = str_of(rows[i].list), element;
        char got[256];
        size_t n = 0;

        for (bool rest = true; chain_cut_last(&list, &rest, &element);) {
            assert_true(n + element.n + 1 < sizeof(got));
            if (element.n)
                memcpy(got + n, element.p, element.n);
            n += element.n;
            got[n++] = '|';
        }
        if (!str_equal((str){ got, n }, str_of(rows[i].elements)))
            fail_msg("\"%s\": %.*s", rows[i].list, (int)n, got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x_forwarded_for),
        cmocka_unit_test(forwarded),
        cmocka_unit_test(lists_are_cut_from_the_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
