/* SPDX-License-Identifier: BSD-2-Clause */
/* test_access-log.c: the lines of each format, byte for byte, and what hostile values become in them. */
#include <weir-harness.h> /* before cmocka.h, whose macros take the names of SDK functions */

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int set_up(void **state)
{
    struct harness *h = harness_open("access-log");

    *state = h;
    if (!h)
        return -1;
    harness_set_variable(h, "client_addr", "192.0.2.7");
    harness_set_variable(h, "time_local", "21/Nov/2026:10:11:12 +0000");
    harness_set_variable(h, "time_iso8601", "2026-11-21T10:11:12+00:00");
    return 0;
}

static int tear_down(void **state)
{
    harness_close(*state);
    return 0;
}

static struct harness_scope *bind(struct harness *h, const char *statements)
{
    struct harness_scope *scope = harness_bind(h, NULL, WEIR_IN_TOP, statements);

    if (!scope)
        fail_msg("%s", harness_errors(h));
    return scope;
}

static void record(struct harness *h, struct harness_scope *scope, const char *method, const char *target,
                   const char *fields, uint32_t status)
{
    weir_req *r = harness_request(h, scope, method, target, fields);

    harness_set_number(r, WEIR_NUM_BODY_SENT, 5120);
    harness_set_number(r, WEIR_NUM_BYTES_SENT, 5400);
    harness_set_number(r, WEIR_NUM_REQUEST_US, 12345);
    if (status)
        harness_respond(r, status, NULL);
    assert_int_equal(harness_run(r, WEIR_AT_LOG), WEIR_NEXT);
    harness_end(r);
}

static void combined_is_apaches(void **state)
{
    struct harness_scope *scope = bind(*state, "access_log /log;");

    record(*state, scope, "GET", "/a?b=c", "Referer: http://r.example/\nUser-Agent: curl/8\n", 200);
    harness_set_variable(*state, "auth_user", "ann");
    record(*state, scope, "GET", "/", NULL, 0);
    assert_string_equal(harness_sink(*state, "/log"),
                        "192.0.2.7 - - [21/Nov/2026:10:11:12 +0000] \"GET /a?b=c HTTP/1.1\" 200 5120 "
                        "\"http://r.example/\" \"curl/8\"\n"
                        "192.0.2.7 - ann [21/Nov/2026:10:11:12 +0000] \"GET / HTTP/1.1\" - 5120 \"-\" \"-\"\n");
}

/* A head that could not be read: method and target are empty. */
static void combined_of_an_unreadable_request(void **state)
{
    record(*state, bind(*state, "access_log /log combined;"), "", "", NULL, 400);
    assert_non_null(strstr(harness_sink(*state, "/log"), "] \"-\" 400 5120 "));
}

static const struct {
    const char *value, *quoted, *json;
} escapes[] = {
    { "plain text", "plain text", "plain text" },
    { "a\"b", "a\\x22b", "a\\\"b" },
    { "a\\b", "a\\x5cb", "a\\\\b" },
    { "a\tb", "a\\x09b", "a\\u0009b" },
    { "a\x7f", "a\\x7f", "a\\u007f" },
    { "a\x1b[2J", "a\\x1b[2J", "a\\u001b[2J" },
    { "gr\xc3\xbc\xc3\x9f", "gr\\xc3\\xbc\\xc3\\x9f", "gr\xc3\xbc\xc3\x9f" },
    { "\xf0\x9f\x98\x80", "\\xf0\\x9f\\x98\\x80", "\xf0\x9f\x98\x80" },
    { "x\xc3", "x\\xc3", "x\xef\xbf\xbd" },                                          /* cut off */
    { "\xc0\xaf", "\\xc0\\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },                        /* overlong */
    { "\xed\xa0\x80", "\\xed\\xa0\\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },   /* surrogate */
    { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* > 10FFFF */
    { "\xe2\x82\xac", "\\xe2\\x82\\xac", "\xe2\x82\xac" },
    { "\xff", "\\xff", "\xef\xbf\xbd" },
};

static void values_cannot_leave_their_place(void **state)
{
    struct harness_scope *scope = bind(*state, "access_log /c combined; access_log /j json;");

    for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
        char fields[256], expected[512];
        size_t c = harness_sink(*state, "/c") ? strlen(harness_sink(*state, "/c")) : 0;
        size_t j = harness_sink(*state, "/j") ? strlen(harness_sink(*state, "/j")) : 0;
        snprintf(fields, sizeof(fields), "User-Agent: %s\n", escapes[i].value);
        record(*state, scope, "GET", "/", fields, 200);
        snprintf(expected, sizeof(expected), " \"-\" \"%s\"\n", escapes[i].quoted);
        assert_non_null(strstr(harness_sink(*state, "/c") + c, expected));
        snprintf(expected, sizeof(expected), "\"user_agent\":\"%s\",", escapes[i].json);
        assert_non_null(strstr(harness_sink(*state, "/j") + j, expected));
    }
}

static void json_has_every_key(void **state)
{
    struct harness_scope *scope = bind(*state, "access_log /log json;");

    record(*state, scope, "GET", "/a", "Host: a.example\n", 200);
    assert_string_equal(harness_sink(*state, "/log"),
                        "{\"time\":\"2026-11-21T10:11:12+00:00\",\"id\":\"0123456789abcdef\",\"client\":\"192.0.2.7\","
                        "\"method\":\"GET\",\"host\":\"a.example\",\"uri\":\"/a\",\"protocol\":\"HTTP/1.1\","
                        "\"status\":200,"
                        "\"bytes\":5400,\"duration_ms\":12.345,\"upstream\":null,\"upstream_status\":null,"
                        "\"upstream_time\":null,\"site\":\"test.example\",\"referer\":null,\"user_agent\":null,"
                        "\"tls\":null,\"refuse_reason\":null,\"error_module\":null}\n");
}

static const struct {
    const char *value, *json;
} numbers[] = {
    { "0.012", "0.012" }, { "200", "200" }, { "0", "0" }, { "0.001, 0.012", "\"0.001, 0.012\"" }, { "012", "\"012\"" },
    { "-", "\"-\"" }, { ".5", "\".5\"" }, { "1.", "\"1.\"" }, { "1e9", "\"1e9\"" }, { "", "null" },
    { "12345678901234567890", "\"12345678901234567890\"" },
};

static void json_numbers_are_numbers_only_when_they_are(void **state)
{
    struct harness_scope *scope = bind(*state, "access_log /log json;");
    char expected[128];

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        size_t n = strlen(harness_sink(*state, "/log"));
        harness_set_variable(*state, "upstream_time", numbers[i].value);
        record(*state, scope, "GET", "/", NULL, 200);
        snprintf(expected, sizeof(expected), "\"upstream_time\":%s,", numbers[i].json);
        assert_non_null(strstr(harness_sink(*state, "/log") + n, expected));
    }
}

static void a_template_stays_one_line(void **state)
{
    struct harness_scope *scope = bind(*state, "access_log /log \"$client_addr|$method|$arg_a|$status\";");

    harness_set_variable(*state, "arg_a", "x\r\nfake\tline \"q\"");
    record(*state, scope, "GET", "/", NULL, 503);
    assert_string_equal(harness_sink(*state, "/log"), "192.0.2.7|GET|x\\x0d\\x0afake\\x09line \"q\"|503\n");
}

/* Whatever grows too long is cut where one sees it, and the line stays whole: at most 64 KiB, JSON still closed. */
static void long_values_are_cut_visibly(void **state)
{
    struct harness_scope *scope =
        bind(*state, "access_log /c; access_log /j json; access_log /t \"$http_referer$http_user_agent\";");
    static const char fills[] = { 'a', '"', '\xff' };

    for (size_t i = 0; i < sizeof(fills); i++) {
        char *fields = malloc(300000);
        size_t from[3] = { strlen(harness_sink(*state, "/c")), strlen(harness_sink(*state, "/j")),
                           strlen(harness_sink(*state, "/t")) };
        strcpy(fields, "Referer: ");
        memset(fields + 9, fills[i], 100000);
        strcpy(fields + 100009, "\nUser-Agent: ");
        memset(fields + 100022, fills[i], 100000);
        strcpy(fields + 200022, "\n");
        record(*state, scope, "GET", "/", fields, 200);
        free(fields);

        static const char *const targets[] = { "/c", "/j", "/t" };
        static const char *const ends[] = { "...[cut]\"\n", ",\"error_module\":null}\n", "...[cut]\n" };
        for (int k = 0; k < 3; k++) {
            const char *line = harness_sink(*state, targets[k]) + from[k];
            assert_true(strlen(line) <= 65536);
            assert_true(strlen(line) > 49000);
            assert_string_equal(line + strlen(line) - strlen(ends[k]), ends[k]);
        }
        assert_non_null(strstr(harness_sink(*state, "/c") + from[0], "...[cut]\" \"")); /* the referer's own quote */
        assert_non_null(strstr(harness_sink(*state, "/j") + from[1], "...[cut]\",\"user_agent\":\""));
    }
}

static void inner_lines_take_the_place_of_outer_ones(void **state)
{
    struct harness_scope *top = bind(*state, "access_log /outer; access_log /second;");
    struct harness_scope *site = harness_bind(*state, top, WEIR_IN_SITE, "access_log /inner;");
    struct harness_scope *quiet = harness_bind(*state, top, WEIR_IN_SITE, "access_log off;");
    struct harness_scope *same = harness_bind(*state, top, WEIR_IN_SITE, "");

    assert_false(harness_is_active(quiet));
    record(*state, site, "GET", "/", NULL, 200);
    assert_string_equal(harness_sink(*state, "/outer"), "");
    assert_true(strlen(harness_sink(*state, "/inner")) > 0);
    record(*state, same, "GET", "/", NULL, 200);
    assert_true(strlen(harness_sink(*state, "/outer")) > 0);
    assert_true(strlen(harness_sink(*state, "/second")) > 0);
}

static void options_reach_the_sink(void **state)
{
    bind(*state, "access_log /a; access_log /b json rotate=1m keep=3 buffer=0; access_log stdout rotate=1m;");
    const struct weir_sink_options *a = harness_sink_options(*state, "/a"), *b = harness_sink_options(*state, "/b"),
                                   *out = harness_sink_options(*state, "stdout");
    assert_int_equal(a->rotate, 100 << 20);
    assert_int_equal(a->keep, 7);
    assert_int_equal(a->buffer, 64 << 10);
    assert_int_equal(b->rotate, 1 << 20);
    assert_int_equal(b->keep, 3);
    assert_int_equal(b->buffer, 0);
    assert_int_equal(out->rotate, 0); /* a stream is nobody's to rename */
}

/* The file that names it is "harness.conf", in the working folder. */
static void relative_paths_are_of_their_file(void **state)
{
    char *here = realpath(".", NULL), path[8192];

    bind(*state, "access_log logs/a.log;");
    snprintf(path, sizeof(path), "%s/logs/a.log", here);
    free(here);
    assert_non_null(harness_sink(*state, path));
}

static const struct {
    const char *statements, *error;
} refused[] = {
    { "access_log /a jsonn;", "\"jsonn\" is no format: combined, json, or a template that names a variable" },
    { "access_log /a '$status';", "\"$status\" is no format" },
    { "access_log /a \"$statsu\";", "unknown variable" },
    { "access_log \"\";", "the path is empty" },
    { "access_log /a; access_log off;", "off stands beside another access_log" },
    { "access_log;", "TARGET is missing" },
    { "access_log /a json rotate=x;", "rotate" },
    { "access_log /a json keep=1001;", "keep" },
};

static void mistakes_are_told_when_binding(void **state)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_null(harness_bind(*state, NULL, WEIR_IN_TOP, refused[i].statements));
        assert_non_null(strstr(harness_errors(*state), refused[i].error));
    }
}

static void no_memory_is_an_error_or_an_empty_value(void **state)
{
    for (size_t n = 1;; n++) {
        harness_fail_allocation(*state, n);
        struct harness_scope *scope = harness_bind(*state, NULL, WEIR_IN_TOP, "access_log a json; access_log /b;");
        bool has_failed = harness_has_failed(*state);
        assert_true(has_failed ? scope == NULL : scope != NULL);
        if (has_failed)
            continue;
        size_t before = strlen(harness_sink(*state, "/b"));
        harness_fail_allocation(*state, 1);
        record(*state, scope, "GET", "/", NULL, 200);
        assert_true(strlen(harness_sink(*state, "/b")) > before);
        return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(combined_is_apaches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(combined_of_an_unreadable_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_cannot_leave_their_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_has_every_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_numbers_are_numbers_only_when_they_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_template_stays_one_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_values_are_cut_visibly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(inner_lines_take_the_place_of_outer_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(options_reach_the_sink, set_up, tear_down),
        cmocka_unit_test_setup_teardown(relative_paths_are_of_their_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes_are_told_when_binding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_is_an_error_or_an_empty_value, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("access-log", tests, NULL, NULL);
}
