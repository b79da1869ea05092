/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of the Prometheus text format, byte by byte. */
#include "pipeline/exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static char room[8192];
static struct out out;

static int set_up(void **state)
{
    (void)state;
    out = (struct out){ .p = room, .room = sizeof(room) - 1 };
    return 0;
}

static const char *text(void)
{
    assert_false(out.full);
    room[out.n] = 0;
    return room;
}

static void heads(void **state)
{
    (void)state;
    expo_family(&out, "weir_x_total", "counter", "One \\ two\nthree \"four\".");
    assert_string_equal(text(), "# HELP weir_x_total One \\\\ two\\nthree \"four\".\n# TYPE weir_x_total counter\n");
}

static void label_values(void **state)
{
    (void)state;
    static const struct {
        str value;
        const char *line;
    } rows[] = {
        { { "", 0 }, "m{l=\"\"} 1\n" },
        { { "*.example.org", 13 }, "m{l=\"*.example.org\"} 1\n" },
        { { "a\"b\\c\nd", 7 }, "m{l=\"a\\\"b\\\\c\\nd\"} 1\n" },
        { { "\xc3\xbc", 2 }, "m{l=\"\xc3\xbc\"} 1\n" },
        { { "a\xff\xc3", 3 }, "m{l=\"a\\\\xff\\\\xc3\"} 1\n" },            /* no UTF-8 */
        { { "\xed\xa0\x80", 3 }, "m{l=\"\\\\xed\\\\xa0\\\\x80\"} 1\n" },   /* half of a surrogate pair */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct expo_label label = { "l", rows[i].value };
        out.n = 0;
        expo_u64(&out, "m", &label, 1, 1);
        assert_string_equal(text(), rows[i].line);
    }
}

static void numbers(void **state)
{
    (void)state;
    const struct expo_label two[] = { { "a", S("1") }, { "b", S("2") } };
    expo_u64(&out, "m", two, 2, UINT64_MAX);
    expo_i64(&out, "m", NULL, 0, INT64_MIN);
    expo_us(&out, "m", NULL, 0, 1500000);
    expo_us(&out, "m", NULL, 0, 1);
    expo_us(&out, "m", NULL, 0, 3000000);
    expo_ns(&out, "m", NULL, 0, 1000000010);
    assert_string_equal(text(), "m{a=\"1\",b=\"2\"} 18446744073709551615\nm -9223372036854775808\nm 1.5\nm 0.000001\n"
                                "m 3\nm 1.00000001\n");
}

/* Buckets hold all that took at most so long; each value is counted once, at its bound too. */
static void latencies(void **state)
{
    (void)state;
    uint64_t row[LATENCY_CELLS] = { 0 };
    const struct expo_label label = { "site", S("a") };
    latency_add(row, 0);
    latency_add(row, 100);
    latency_add(row, 101);
    latency_add(row, 30000000);
    latency_add(row, 30000001);
    expo_latency(&out, "m", &label, 1, row);
    const char *all = text();
    assert_non_null(strstr(all, "m_bucket{site=\"a\",le=\"0.0001\"} 2\nm_bucket{site=\"a\",le=\"0.00025\"} 3\n"));
    assert_non_null(strstr(all, "m_bucket{site=\"a\",le=\"10\"} 3\nm_bucket{site=\"a\",le=\"30\"} 4\n"
                                "m_bucket{site=\"a\",le=\"+Inf\"} 5\nm_sum{site=\"a\"} 60.000202\n"
                                "m_count{site=\"a\"} 5\n"));
}

static void bounds_rise(void **state)
{
    (void)state;
    for (unsigned i = 1; i < LATENCY_BOUNDS; i++)
        assert_true(latency_bound[i] > latency_bound[i - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(heads, set_up),
        cmocka_unit_test_setup(label_values, set_up),
        cmocka_unit_test_setup(numbers, set_up),
        cmocka_unit_test_setup(latencies, set_up),
        cmocka_unit_test(bounds_rise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
