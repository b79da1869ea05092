/* SPDX-License-Identifier: BSD-2-Clause */
/* test_decisions.c: what a list server's answers mean, and the table that comes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"
#include "pulled.h"

#include <cmocka.h>

static const uint64_t NOW = 1800000000000;
enum { HOUR = 3600 * 1000 };

static weir_str str_of(const char *text)
{
    return (weir_str){ text, strlen(text) };
}

static void durations_as_go_prints_them(void **state)
{
    static const struct {
        const char *text;
        bool is_one;
        int64_t ms;
    } cases[] = {
        { "3h59m57.526587352s", true, 14397526 }, { "-2h44m47s", true, -9887000 }, { "0s", true, 0 }, { "0", true, 0 },
        { "1.5h", true, 5400000 }, { "250ms", true, 250 }, { "999us", true, 0 }, { "2000\xc2\xb5s", true, 2 },
        { "2000\xce\xbcs", true, 2 }, { "3000000ns", true, 3 }, { "+1s", true, 1000 }, { ".5s", true, 500 },
        { "1.s", true, 1000 }, { "1.0000000000000000000000001s", true, 1000 },
        { "2562047h47m16.854775807s", true, 9223372036854 }, /* the longest Go has */
        { "2562047h47m16.854775808s", false, 0 }, { "99999999999999999999h", false, 0 },
        { "18446744073709551615ns", false, 0 },
        { "", false, 0 }, { "-", false, 0 }, { "1", false, 0 }, { "s", false, 0 }, { ".s", false, 0 },
        { "1d", false, 0 }, { "1 h", false, 0 }, { "1h ", false, 0 }, { "1h-1m", false, 0 }, { "1x", false, 0 },
        { "--1s", false, 0 }, { "1e3s", false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = 0;
        if (duration_read(str_of(cases[i].text), &ms) != cases[i].is_one || ms != cases[i].ms)
            fail_msg("\"%s\": %lld", cases[i].text, (long long)ms);
    }
}

static void answers_that_are_refused_whole(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "", "an object was expected" },
        { "[]", "an object was expected" },
        { "<html>", "an object was expected" },
        { "{}", "neither \"new\" nor \"deleted\"" },
        { "{\"message\":\"access forbidden\"}", "neither" },
        { "{\"new\":{}}", "a list was expected" },
        { "{\"new\":7}", "a list was expected" },
        { "{\"new\":nul}", "invalid token" },
        { "{\"new\":[}", "" },
        { "{\"new\":[],}", "a name was expected" },
        { "{\"new\":[] \"deleted\":[]}", "an object that does not end" },
        { "{\"new\":[{}", "a list that does not end" },
        { "{\"new\":[{},]}", "" },
        { "{\"new\":[{\"value\":\"192.0.2.1}]}", "" },
        { "{\"new\":[{\"id\":1,\"id\":2}]}", "duplicate" },
        { "{\"new\":[],\"new\":[]}", "for the second time" },
        { "{\"new\":[]} x", "something behind the end" },
        { "{\"new\":[\"\xff\"]}", "" },
        { "{\"new\":[],\"deleted\"", "a colon was expected" },
        { "{\"new\":[],\"more\":", "it ends too soon" },
        { "{new:[]}", "a name was expected" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decisions read;
        char why[WHY_ROOM] = "";
        if (decisions_read(&read, str_of(cases[i].text), NOW, 9, why) || !strstr(why, cases[i].why) || !why[0])
            fail_msg("%s: %s", cases[i].text, why);
    }
}

#define IP(Value) "\"scope\":\"Ip\",\"type\":\"ban\",\"value\":\"" Value "\",\"duration\":\"1h\""

static void decisions_one_by_one(void **state)
{
    static const struct {
        const char *object;
        unsigned taken, others;
        const char *why; /* NULL: it is understood */
    } cases[] = {
        { "{" IP("192.0.2.1") "}", 1, 0, NULL },
        { "{" IP("2001:db8::1") ",\"id\":7,\"origin\":\"a\",\"scenario\":\"b\",\"uuid\":\"c\",\"x\":[{}]}",
          1, 0, NULL },
        { "{\"scope\":\"RANGE\",\"type\":\"Ban\",\"value\":\"10.0.0.0/8\",\"duration\":\"1h\"}", 1, 0, NULL },
        { "{" IP("192.0.2.1") ",\"simulated\":false}", 1, 0, NULL },
        { "{" IP("192.0.2.1") ",\"simulated\":true}", 0, 1, NULL },
        { "{\"scope\":\"Country\",\"type\":\"ban\",\"value\":\"DE\",\"duration\":\"1h\"}", 0, 1, NULL },
        { "{\"scope\":\"Ip\",\"type\":\"captcha\",\"value\":\"192.0.2.1\",\"duration\":\"1h\"}", 0, 1, NULL },
        { "{\"scope\":\"Ip\",\"type\":\"ban\",\"value\":\"192.0.2.1\",\"duration\":\"-1h\"}", 0, 0, NULL },
        { "{\"scope\":\"Ip\",\"type\":\"ban\",\"value\":\"192.0.2.1\",\"duration\":\"0s\"}", 0, 0, NULL },
        { "7", 0, 0, "\"\": no object" },
        { "null", 0, 0, "\"\": no object" },
        { "[]", 0, 0, "\"\": no object" },
        { "{}", 0, 0, "\"\": no scope" },
        { "{\"scope\":\"Ip\",\"value\":\"192.0.2.1\"}", 0, 0, "\"192.0.2.1\": no type" },
        { "{" IP("192.0.2.300") "}", 0, 0, "\"192.0.2.300\": no address or network" },
        { "{" IP("x\\u001b\\n") "}", 0, 0, "\"x??\": no address or network" },
        { "{" IP("") "}", 0, 0, "\"\": no address or network" },
        { "{" IP("192.0.2.1/33") "}", 0, 0, "\"192.0.2.1/33\": no address or network" },
        { "{" IP("0.0.0.0/0") "}", 0, 0, "\"0.0.0.0/0\": too wide a network" },
        { "{" IP("10.0.0.0/7") "}", 0, 0, "\"10.0.0.0/7\": too wide a network" },
        { "{" IP("2001::/15") "}", 0, 0, "\"2001::/15\": too wide a network" },
        { "{" IP("::/64") "}", 0, 0, "\"::/64\": too wide a network" }, /* all of IPv4 lies in it */
        { "{" IP("2001:db8::/16") "}", 1, 0, NULL },
        { "{" IP("192.0.2.1") ",\"id\":\"7\"}", 0, 0, "\"192.0.2.1\": an id that is no number" },
        { "{" IP("192.0.2.1") ",\"id\":-7}", 0, 0, "\"192.0.2.1\": an id that is no number" },
        { "{\"scope\":\"Ip\",\"type\":\"ban\",\"value\":\"192.0.2.1\"}", 0, 0, "\"192.0.2.1\": no duration" },
        { "{\"scope\":\"Ip\",\"type\":\"ban\",\"value\":\"192.0.2.1\",\"duration\":3600}", 0, 0,
          "\"192.0.2.1\": no duration" },
        { "{\"scope\":\"Ip\",\"type\":\"ban\",\"value\":7,\"duration\":\"1h\"}", 0, 0, "\"\": no address or network" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decisions read;
        char text[512], why[WHY_ROOM];
        snprintf(text, sizeof(text), " { \"deleted\" : null ,\n\"new\":[ %s ]} ", cases[i].object);
        if (!decisions_read(&read, str_of(text), NOW, 9, why))
            fail_msg("%s: %s", text, why);
        if (read.fresh.count != cases[i].taken || read.of_other_kinds != cases[i].others ||
            read.refused != (cases[i].why != NULL) || strcmp(read.why, cases[i].why ? cases[i].why : "") != 0)
            fail_msg("%s: %zu taken, %u of other kinds, %s", text, read.fresh.count, read.of_other_kinds, read.why);
        if (cases[i].taken)
            assert_true(read.fresh.at[0].until == NOW + HOUR);
        decisions_free(&read);
    }
}

static void more_than_there_may_be_are_left_out(void **state)
{
    const char *text = "{\"new\":[{" IP("192.0.2.1") "},{" IP("192.0.2.2") "},{" IP("192.0.2.3") "}]}";
    struct decisions read;
    uint32_t left_out = 0;
    char why[WHY_ROOM];

    (void)state;
    assert_true(decisions_read(&read, str_of(text), NOW, 2, why));
    assert_int_equal(read.fresh.count, 2);
    assert_int_equal(read.left_out, 1);
    struct pulled *pulled = pulled_make(NULL, &read, NOW, 0, 1, &left_out);
    assert_int_equal(pulled->in_force, 1);
    assert_int_equal(left_out, 1);
    pulled_unref(pulled);
    decisions_free(&read);
}

/* -- tables -------------------------------------------------------------------------------------------------------- */

static struct pulled *apply(struct pulled *before, const char *text)
{
    struct decisions read;
    uint32_t left_out = 0;
    char why[WHY_ROOM];

    if (!decisions_read(&read, str_of(text), NOW, 100000, why))
        fail_msg("%s: %s", text, why);
    struct pulled *made = pulled_make(before, &read, NOW, 0, 100000, &left_out);
    assert_non_null(made);
    decisions_free(&read);
    pulled_unref(before);
    return made;
}

static uint64_t found(const struct pulled *pulled, const char *address, uint64_t now)
{
    uint8_t bytes[16];
    uint32_t bits;

    assert_true(network_read(str_of(address), bytes, &bits));
    const struct decision *one = pulled_find(pulled, bytes, now);
    return one ? one->id : 0;
}

#define BAN(Id, Value, Duration) \
    "{\"id\":" Id ",\"scope\":\"Range\",\"type\":\"ban\",\"value\":\"" Value "\",\"duration\":\"" Duration "\"}"

static void networks_within_networks(void **state)
{
    static const struct {
        const char *address;
        uint64_t hours, id;
    } cases[] = {
        { "9.255.255.255", 0, 0 }, { "10.0.0.0", 0, 1 }, { "10.255.255.255", 0, 1 }, { "11.0.0.0", 0, 0 },
        { "10.1.0.0", 0, 2 }, { "10.1.255.255", 0, 2 }, { "10.2.0.0", 0, 1 }, /* the longer one counts */
        { "10.3.0.1", 0, 1 },                                              /* lies in it and ends sooner */
        { "10.0.0.0", 2, 0 }, { "10.1.2.3", 2, 2 }, { "10.1.2.3", 4, 0 },
        { "10.255.255.255", 2, 0 }, { "255.255.255.255", 0, 5 }, { "255.255.255.254", 0, 0 },
        { "2001:db8::1", 0, 6 }, { "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 0, 6 }, { "2001:db9::", 0, 0 },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 7 }, { "::1", 0, 0 },
    };
    struct pulled *pulled =
        apply(NULL, "{\"new\":[" BAN("3", "10.3.0.1", "1h") "," BAN("2", "10.1.0.0/16", "4h") ","
                    BAN("1", "10.0.0.0/8", "2h") "," BAN("5", "255.255.255.255/32", "1h") ","
                    BAN("6", "2001:db8::/32", "1h") "," BAN("7", "ffff::/16", "1h") "]}");

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t id = found(pulled, cases[i].address, NOW + cases[i].hours * HOUR);
        if (id != cases[i].id)
            fail_msg("%s after %llu h: %llu", cases[i].address, (unsigned long long)cases[i].hours,
                     (unsigned long long)id);
    }
    assert_int_equal(pulled->in_force, 6);
    assert_true(pulled->first_end == NOW + HOUR);
    pulled_unref(pulled);
    assert_null(pulled_find(NULL, (const uint8_t[16]){ 0 }, NOW));
}

static void what_is_gone(void **state)
{
    static const struct {
        const char *gone;
        uint64_t after; /* the id that bans 192.0.2.1 then */
    } cases[] = {
        { "", 9 },
        { BAN("9", "192.0.2.1", "-1s"), 5 },
        { BAN("5", "192.0.2.1", "-1s"), 9 },
        { BAN("5", "192.0.2.1", "-1s") "," BAN("9", "192.0.2.1", "-1s"), 0 },
        { BAN("5", "192.0.2.2", "-1s"), 9 }, /* another network */
        { BAN("9", "192.0.2.0/24", "-1s"), 9 },
        { BAN("77", "192.0.2.1", "-1s"), 0 }, /* not known here: the network is meant */
        { "{\"scope\":\"Ip\",\"type\":\"ban\",\"value\":\"192.0.2.1\"}", 0 },
        { "{\"id\":9,\"scope\":\"Ip\",\"type\":\"captcha\",\"value\":\"192.0.2.1\"}", 9 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        struct pulled *pulled = apply(NULL, "{\"new\":[" BAN("5", "192.0.2.1", "1h") "," BAN("9", "192.0.2.1", "4h")
                                            "],\"deleted\":[]}");
        snprintf(text, sizeof(text), "{\"new\":[],\"deleted\":[%s]}", cases[i].gone);
        pulled = apply(pulled, text);
        if (found(pulled, "192.0.2.1", NOW) != cases[i].after)
            fail_msg("%s", cases[i].gone);
        pulled_unref(pulled);
    }
}

static void new_ones_come_after_those_that_are_gone(void **state)
{
    struct pulled *pulled = apply(NULL, "{\"new\":[" BAN("1", "192.0.2.1", "1h") "]}");

    (void)state;
    pulled = apply(pulled, "{\"new\":[" BAN("2", "192.0.2.1", "2h") "],"
                           "\"deleted\":[" BAN("1", "192.0.2.1", "-1s") "]}");
    assert_int_equal(found(pulled, "192.0.2.1", NOW), 2);
    pulled = apply(pulled, "{\"new\":[" BAN("2", "192.0.2.1", "30m") "]}"); /* said again, and shorter */
    assert_int_equal(found(pulled, "192.0.2.1", NOW), 2);
    assert_int_equal(found(pulled, "192.0.2.1", NOW + HOUR), 0);
    assert_int_equal(pulled->decisions.count, 1);
    pulled_unref(pulled);
}

static void labels_are_kept_once_and_clean(void **state)
{
    struct labels *labels = labels_create();
    char name[16];

    (void)state;
    assert_int_equal(label_number(labels, str_of(""), str_of("")), 0);
    assert_string_equal(label_text(labels, 0), "-");
    uint32_t number = label_number(labels, str_of("CAPI"), str_of("a b\x1b\xc3\xa9"));
    assert_string_equal(label_text(labels, number), "CAPI a?b???");
    assert_int_equal(label_number(labels, str_of("CAPI"), str_of("a b\x1b\xc3\xa9")), number);
    assert_string_equal(label_text(labels, label_number(labels, str_of(""), str_of("x"))), "- x");
    for (int i = 0; i < 2 * LABELS_MOST; i++) {
        snprintf(name, sizeof(name), "%d", i);
        number = label_number(labels, str_of("lists"), str_of(name));
    }
    assert_int_equal(number, 0); /* no room: without a name, not without a ban */
    assert_int_equal(labels->count, LABELS_MOST);
    labels_free(labels);
}

static void fifty_thousand(void **state)
{
    struct decisions read = { .labels = labels_create() };
    uint32_t left_out = 0;

    (void)state;
    for (uint32_t i = 0; i < 50000; i++) {
        uint32_t spread = i * 2654435761u | 1; /* odd: its even neighbour is free */
        struct decision one = { { [10] = 0xff, [11] = 0xff }, 128, 0, i + 1, NOW + HOUR };
        for (uint32_t k = 0; k < 4; k++)
            one.address[12 + k] = (uint8_t)(spread >> (24 - 8 * k));
        assert_true(decision_append(&read.fresh, &one));
    }
    struct pulled *pulled = pulled_make(NULL, &read, NOW, 0, 100000, &left_out);
    assert_int_equal(pulled->in_force, pulled->decisions.count);
    for (size_t i = 0; i < read.fresh.count; i++) {
        uint8_t address[16];
        memcpy(address, read.fresh.at[i].address, 16);
        assert_non_null(pulled_find(pulled, address, NOW));
        address[15] &= 0xfe;
        assert_null(pulled_find(pulled, address, NOW));
    }
    assert_true(pulled->bytes < 8u << 20);
    pulled_unref(pulled);
    decisions_free(&read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_as_go_prints_them),
        cmocka_unit_test(answers_that_are_refused_whole),
        cmocka_unit_test(decisions_one_by_one),
        cmocka_unit_test(more_than_there_may_be_are_left_out),
        cmocka_unit_test(networks_within_networks),
        cmocka_unit_test(what_is_gone),
        cmocka_unit_test(new_ones_come_after_those_that_are_gone),
        cmocka_unit_test(labels_are_kept_once_and_clean),
        cmocka_unit_test(fifty_thousand),
    };
    return cmocka_run_group_tests_name("decisions", tests, NULL, NULL);
}
