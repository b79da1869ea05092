/* SPDX-License-Identifier: BSD-2-Clause */
/* test_headers.c: what the lines do to a head, in which order, and which lines are refused. */
#include <weir-harness.h> /* before cmocka.h, whose macros take the names of SDK functions */

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static int set_up(void **state)
{
    return (*state = harness_open("headers")) ? 0 : -1;
}

static int tear_down(void **state)
{
    harness_close(*state);
    return 0;
}

/* The whole head as "Name: value|Name: value". */
static void head_of(weir_req *r, uint32_t where, char *to, size_t room)
{
    weir_str name, value;
    size_t n = 0;

    to[0] = '\0';
    for (uint32_t cursor = 0; weir_field_next(r, where, &cursor, &name, &value);) {
        assert_true(n + name.n + value.n + 4 < room);
        n += (size_t)sprintf(to + n, "%s%.*s: %.*s", n ? "|" : "", (int)name.n, name.p, (int)value.n, value.p);
    }
}

/* Top level, then route; the head before and after. The same words serve both directives. */
static const struct {
    const char *top, *route, *before, *after;
} changes[] = {
    { "set X-A b;", "", "", "X-A: b" },
    { "set X-A b;", "", "x-a: 1\nHost: h\nX-A: 2\n", "x-a: b|Host: h" },
    { "add X-A b;", "", "X-A: 1\n", "X-A: 1|X-A: b" },
    { "remove X-A;", "", "X-A: 1\nHost: h\nx-A: 2\n", "Host: h" },
    { "remove X-A;", "", "Host: h\n", "Host: h" },
    { "set X-A \"$method of $host\";", "", "Host: h\n", "Host: h|X-A: GET of h" },
    { "set X-A '$method';", "", "", "X-A: $method" },
    { "set X-A \"\";", "", "", "X-A: " },
    { "set X-A a;", "set X-A b;", "", "X-A: b" }, /* the inner one has the last word */
    { "set X-A a;", "add X-A b;", "", "X-A: a|X-A: b" },
    { "set X-A a;", "remove X-A;", "X-A: 1\n", "" },
    { "set X-A a;", "clear;", "X-A: 1\n", "X-A: 1" },
    { "set X-A a; remove X-A; set X-B b;", "", "", "X-B: b" },
};

static void expand(char *to, const char *directive, const char *lines)
{
    to[0] = '\0';
    for (const char *p = lines; *p;) {
        size_t n = strcspn(p, ";") + 1;
        sprintf(to + strlen(to), "%s %.*s", directive, (int)n, p);
        p += n + strspn(p + n, " ");
    }
}

static void check_changes(struct harness *h, const char *directive, uint32_t stage, uint32_t where)
{
    char top[512], route[512], after[512], before[512];

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        expand(top, directive, changes[i].top);
        expand(route, directive, changes[i].route);
        struct harness_scope *outer = harness_bind(h, NULL, WEIR_IN_TOP, top);
        struct harness_scope *scope = outer ? harness_bind(h, outer, WEIR_IN_ROUTE, route) : NULL;
        assert_non_null(scope);
        snprintf(before, sizeof(before), "%s", changes[i].before);
        weir_req *r = harness_request(h, scope, "GET", "/", where == WEIR_OF_REQUEST ? before : "Host: h\n");
        harness_respond(r, 404, where == WEIR_OF_RESPONSE ? before : NULL);
        assert_int_equal(harness_run(r, stage), WEIR_NEXT);
        head_of(r, where, after, sizeof(after));
        assert_string_equal(after, changes[i].after);
        harness_end(r);
    }
}

static void request_fields_change_at_rewrite(void **state)
{
    check_changes(*state, "request_header", WEIR_AT_REWRITE, WEIR_OF_REQUEST);
}

static void response_fields_change_at_rsp_head(void **state)
{
    check_changes(*state, "response_header", WEIR_AT_RSP_HEAD, WEIR_OF_RESPONSE);
}

static void each_directive_leaves_the_other_head_alone(void **state)
{
    struct harness_scope *scope =
        harness_bind(*state, NULL, WEIR_IN_SITE, "request_header set X-In 1; response_header set X-Out 2;");
    weir_req *r = harness_request(*state, scope, "GET", "/", NULL);

    harness_respond(r, 200, NULL);
    assert_int_equal(harness_run(r, WEIR_AT_REWRITE), WEIR_NEXT);
    assert_int_equal(harness_run(r, WEIR_AT_RSP_HEAD), WEIR_NEXT);
    assert_int_equal(harness_field_count(r, WEIR_OF_REQUEST, "X-In"), 1);
    assert_int_equal(harness_field_count(r, WEIR_OF_REQUEST, "X-Out"), 0);
    assert_int_equal(harness_field_count(r, WEIR_OF_RESPONSE, "X-Out"), 1);
    assert_int_equal(harness_field_count(r, WEIR_OF_RESPONSE, "X-In"), 0);
}

static const struct {
    const char *statement, *error;
} refused[] = {
    { "response_header set Bad:Name x;", "\"Bad:Name\" is no field name" },
    { "response_header set \"a b\" x;", "is no field name" },
    { "response_header set \"\" x;", "is no field name" },
    { "response_header set X-\xc3\xa4 x;", "is no field name" },
    { "response_header set Connection close;", "field Connection cannot be changed" },
    { "response_header remove transfer-ENCODING;", "field transfer-ENCODING cannot be changed" },
    { "request_header set Content-Length 5;", "field Content-Length cannot be changed" },
    { "request_header add Upgrade x;", "field Upgrade cannot be changed" },
    { "request_header remove TE;", "field TE cannot be changed" },
    { "request_header add Host x;", "field Host can only be set" },
    { "request_header remove Host;", "field Host can only be set" },
    { "request_header set X-A;", "set needs a value" },
    { "request_header add X-A;", "add needs a value" },
    { "request_header remove X-A y;", "remove takes no value" },
    { "response_header set X-A \"a\\nSet-Cookie: b\";", "the value of field X-A has control characters" },
    { "response_header set X-A \"$nonsense\";", "unknown variable" },
    { "response_header put X-A b;", "ACTION" },
};

static void mistakes_are_told_when_binding(void **state)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_null(harness_bind(*state, NULL, WEIR_IN_SITE, refused[i].statement));
        assert_non_null(strstr(harness_errors(*state), refused[i].error));
        assert_non_null(strstr(harness_errors(*state), "harness.conf:1: "));
    }
}

static void host_of_a_request_can_be_set(void **state)
{
    struct harness_scope *scope = harness_bind(*state, NULL, WEIR_IN_SITE, "request_header set Host inside.example;");
    weir_req *r = harness_request(*state, scope, "GET", "/", "Host: outside.example\n");

    assert_int_equal(harness_run(r, WEIR_AT_REWRITE), WEIR_NEXT);
    assert_int_equal(harness_field_count(r, WEIR_OF_REQUEST, "Host"), 1);
    assert_memory_equal(weir_req_get(r, WEIR_S("Host")).p, "inside.example", 14);
}

/* What a client sends must not end a line of the head; the log tells of it once, not at the client's pace. */
static void a_forged_value_is_not_set_and_told_once(void **state)
{
    struct harness_scope *scope = harness_bind(*state, NULL, WEIR_IN_SITE, "\nresponse_header set X-A $arg_a;");

    harness_set_variable(*state, "arg_a", "x\r\nSet-Cookie: id=1");
    for (int i = 0; i < 3; i++) {
        weir_req *r = harness_request(*state, scope, "GET", "/", NULL);
        harness_respond(r, 200, "X-A: old\n");
        assert_int_equal(harness_run(r, WEIR_AT_RSP_HEAD), WEIR_NEXT);
        assert_memory_equal(weir_rsp_get(r, WEIR_S("X-A")).p, "old", 3);
        harness_end(r);
    }
    static const char told[] = "harness.conf:2: field X-A not set";
    const char *first = strstr(harness_log(*state), told);
    assert_non_null(first);
    assert_null(strstr(first + strlen(told), told));
}

static void scopes_without_lines_run_nothing(void **state)
{
    assert_false(harness_is_active(harness_bind(*state, NULL, WEIR_IN_TOP, "")));
}

/* A removal hides something: it happens even where memory for the lines before it is missing. */
static void removals_happen_without_memory(void **state)
{
    struct harness_scope *scope =
        harness_bind(*state, NULL, WEIR_IN_TOP, "response_header set X-A $method; response_header remove X-Secret;");

    for (size_t n = 1;; n++) {
        weir_req *r = harness_request(*state, scope, "GET", "/", NULL);
        harness_respond(r, 200, "X-Secret: 1\n");
        harness_fail_allocation(*state, n);
        weir_verdict verdict = harness_run(r, WEIR_AT_RSP_HEAD);
        bool has_failed = harness_has_failed(*state);
        assert_int_equal(harness_field_count(r, WEIR_OF_RESPONSE, "X-Secret"), 0);
        harness_end(r);
        if (!has_failed) {
            assert_int_equal(verdict, WEIR_NEXT);
            assert_true(n > 2);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(request_fields_change_at_rewrite, set_up, tear_down),
        cmocka_unit_test_setup_teardown(response_fields_change_at_rsp_head, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_directive_leaves_the_other_head_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes_are_told_when_binding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(host_of_a_request_can_be_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_forged_value_is_not_set_and_told_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scopes_without_lines_run_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removals_happen_without_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("headers", tests, NULL, NULL);
}
