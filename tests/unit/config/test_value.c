/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/bind.h"
#include "config/value.h"

#include <inttypes.h>
#include <stdio.h>

/* Text, type, and the canonical text of its value; NULL: refused, and `why` is in the reason. */
static const struct {
    uint32_t type;
    const char *in, *out, *why;
} cases[] = {
    { WEIR_TYPE_FLAG, "on", "on", NULL },
    { WEIR_TYPE_FLAG, "off", "off", NULL },
    { WEIR_TYPE_FLAG, "yes", NULL, "did you mean \"on\"?" },
    { WEIR_TYPE_FLAG, "false", NULL, "did you mean \"off\"?" },
    { WEIR_TYPE_FLAG, "", NULL, "neither" },
    { WEIR_TYPE_UINT, "0", "0", NULL },
    { WEIR_TYPE_UINT, "007", "7", NULL },
    { WEIR_TYPE_UINT, "18446744073709551615", "18446744073709551615", NULL },
    { WEIR_TYPE_UINT, "18446744073709551616", NULL, "too large" },
    { WEIR_TYPE_UINT, "-1", NULL, "no number" },
    { WEIR_TYPE_UINT, "+1", NULL, "no number" },
    { WEIR_TYPE_UINT, "1.5", NULL, "no number" },
    { WEIR_TYPE_UINT, "", NULL, "no number" },
    { WEIR_TYPE_SIZE, "0", "0", NULL },
    { WEIR_TYPE_SIZE, "1023", "1023", NULL },
    { WEIR_TYPE_SIZE, "1024", "1k", NULL },
    { WEIR_TYPE_SIZE, "16k", "16k", NULL },
    { WEIR_TYPE_SIZE, "16K", "16k", NULL },
    { WEIR_TYPE_SIZE, "2048m", "2g", NULL },
    { WEIR_TYPE_SIZE, "17179869183g", "17179869183g", NULL },
    { WEIR_TYPE_SIZE, "17179869184g", NULL, "too large" },
    { WEIR_TYPE_SIZE, "16kb", NULL, "no size" },
    { WEIR_TYPE_SIZE, "k", NULL, "no size" },
    { WEIR_TYPE_SIZE, "1 k", NULL, "no size" },
    { WEIR_TYPE_DURATION, "0", "0ms", NULL },
    { WEIR_TYPE_DURATION, "500ms", "500ms", NULL },
    { WEIR_TYPE_DURATION, "60s", "1m", NULL },
    { WEIR_TYPE_DURATION, "90s", "90s", NULL },
    { WEIR_TYPE_DURATION, "24h", "1d", NULL },
    { WEIR_TYPE_DURATION, "7d", "7d", NULL },
    { WEIR_TYPE_DURATION, "5", NULL, "did you mean \"5s\"?" },
    { WEIR_TYPE_DURATION, "5w", NULL, "no duration" },
    { WEIR_TYPE_DURATION, "1h30m", NULL, "no duration" },
    { WEIR_TYPE_DURATION, "213503982335d", NULL, "too large" },
    { WEIR_TYPE_RATE, "10r/s", "10r/s", NULL },
    { WEIR_TYPE_RATE, "600r/m", "600r/m", NULL },
    { WEIR_TYPE_RATE, "100r/h", "100r/h", NULL },
    { WEIR_TYPE_RATE, "10", NULL, "no rate" },
    { WEIR_TYPE_RATE, "10r/d", NULL, "no rate" },
    { WEIR_TYPE_RATE, "10/s", NULL, "no rate" },
    { WEIR_TYPE_RATE, "0r/s", NULL, "nothing pass" },
    { WEIR_TYPE_ENUM, "red", "red", NULL },
    { WEIR_TYPE_ENUM, "blue", "blue", NULL },
    { WEIR_TYPE_ENUM, "Red", NULL, "did you mean \"red\"?" },
    { WEIR_TYPE_ENUM, "gren", NULL, "red, green, blue (did you mean \"green\"?)" },
    { WEIR_TYPE_ENUM, "", NULL, "red, green, blue" },
    { WEIR_TYPE_STR, "any thing", "any thing", NULL },
    { WEIR_TYPE_STR, "", "", NULL },
    { WEIR_TYPE_PATH, "/etc/x", "/etc/x", NULL },
    { WEIR_TYPE_PATH, "", NULL, "no path" },
    { WEIR_TYPE_CIDR, "all", "all", NULL },
    { WEIR_TYPE_CIDR, "10.0.0.5", "10.0.0.5", NULL },
    { WEIR_TYPE_CIDR, "10.0.0.0/8", "10.0.0.0/8", NULL },
    { WEIR_TYPE_CIDR, "0.0.0.0/0", "0.0.0.0/0", NULL },
    { WEIR_TYPE_CIDR, "10.0.0.5/32", "10.0.0.5", NULL },
    { WEIR_TYPE_CIDR, "::/0", "all", NULL },
    { WEIR_TYPE_CIDR, "::1", "::1", NULL },
    { WEIR_TYPE_CIDR, "2001:DB8::/32", "2001:db8::/32", NULL },
    { WEIR_TYPE_CIDR, "::ffff:10.0.0.0/104", "10.0.0.0/8", NULL },
    { WEIR_TYPE_CIDR, "10.0.0.1/8", NULL, "did you mean \"10.0.0.0/8\"?" },
    { WEIR_TYPE_CIDR, "10.1.2.3/15", NULL, "did you mean \"10.0.0.0/15\"?" },
    { WEIR_TYPE_CIDR, "2001:db8::1/32", NULL, "did you mean \"2001:db8::/32\"?" },
    { WEIR_TYPE_CIDR, "10.0.0.0/33", NULL, "0 to 32" },
    { WEIR_TYPE_CIDR, "::/129", NULL, "0 to 128" },
    { WEIR_TYPE_CIDR, "10.0.0.0/08", NULL, "prefix length" },
    { WEIR_TYPE_CIDR, "10.0.0.0/", NULL, "prefix length" },
    { WEIR_TYPE_CIDR, "10.0.0/8", NULL, "neither" },
    { WEIR_TYPE_CIDR, "010.0.0.1", NULL, "neither" },
    { WEIR_TYPE_CIDR, "[::1]", NULL, "neither" },
    { WEIR_TYPE_CIDR, "localhost", NULL, "neither" },
    { WEIR_TYPE_CIDR, "", NULL, "neither" },
};

union value {
    bool flag;
    uint64_t number;
    uint32_t choice;
    struct weir_rate rate;
    struct weir_cidr cidr;
    weir_str text;
};

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_create(4096, 0);
        union value value, untouched;
        const char *why = "";
        memset(&value, 0x5a, sizeof(value));
        untouched = value;
        bool ok = value_parse(cases[i].type, "red|green|blue", str_of(cases[i].in), arena, &value, &why);
        str out = ok ? value_print(cases[i].type, "red|green|blue", &value, arena) : STR_NONE;
        if (ok != (cases[i].out != NULL) || (ok && !str_equal(out, str_of(cases[i].out))))
            fail_msg("\"%s\": got \"" STR_FMT "\" (%s)", cases[i].in, STR_ARG(out), why);
        if (!ok && (!strstr(why, cases[i].why) || memcmp(&value, &untouched, sizeof(value)) != 0))
            fail_msg("\"%s\": refused with: %s", cases[i].in, why);
        arena_destroy(arena);
    }
}

static void test_ipv4_is_mapped(void **state)
{
    static const uint8_t mapped[16] = { [10] = 0xff, 0xff, 192, 168, 0, 0 };
    struct arena *arena = arena_create(4096, 0);
    struct weir_cidr cidr;
    const char *why;
    (void)state;
    assert_true(value_parse(WEIR_TYPE_CIDR, NULL, S("192.168.0.0/16"), arena, &cidr, &why));
    assert_memory_equal(cidr.address, mapped, 16);
    assert_int_equal(cidr.bits, 112);
    arena_destroy(arena);
}

static void test_relative_paths_become_absolute(void **state)
{
    struct arena *arena = arena_create(4096, 0);
    weir_str path;
    const char *why;
    (void)state;
    assert_true(value_parse(WEIR_TYPE_PATH, NULL, S("certs/a"), arena, &path, &why));
    assert_int_equal(path.p[0], '/');
    assert_true(str_has_suffix(path, S("/certs/a")));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_ipv4_is_mapped),
        cmocka_unit_test(test_relative_paths_become_absolute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
