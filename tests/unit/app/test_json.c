/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON as it is read: values are cut out whole, strings decoded, everything else refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/control/json.h"

static struct arena *arena;

static void a_value_is_taken_whole(void **state)
{
    /* clang-format off */
    static const struct {
        const char *text, *value, *rest; /* value NULL: refused */
    } rows[] = {
        { "1", "1", "" },
        { " true ,2", "true", " ,2" },
        { "-1.5e+3]", "-1.5e+3", "]" },
        { "\"a,}\\\"\" x", "\"a,}\\\"\"", " x" },
        { "{\"a\":[1,{\"b\":\"]\"}]}z", "{\"a\":[1,{\"b\":\"]\"}]}", "z" },
        { "[ ]", "[ ]", "" },
        { "{ }", "{ }", "" },
        { "", NULL, NULL },
        { " ", NULL, NULL },
        { "\"open", NULL, NULL },
        { "\"open\\", NULL, NULL },
        { "\"line\nfeed\"", NULL, NULL },
        { "[1,2", NULL, NULL },
        { "[1,]", NULL, NULL },
        { "[,1]", NULL, NULL },
        { "{\"a\"}", NULL, NULL },
        { "{a:1}", NULL, NULL },
        { "{\"a\":1,}", NULL, NULL },
        { "}", NULL, NULL },
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        str rest = str_of(rows[i].text), value = STR_NONE;
        assert_int_equal(json_value(&rest, &value), rows[i].value != NULL);
        if (!rows[i].value) {
            assert_ptr_equal(rest.p, rows[i].text); /* untouched */
            continue;
        }
        assert_true(str_equal(value, str_of(rows[i].value)));
        assert_true(str_equal(rest, str_of(rows[i].rest)));
    }
}

static void depth_is_bounded(void **state)
{
    char text[4096];
    str rest, value;

    (void)state;
    memset(text, '[', sizeof(text));
    rest = (str){ text, sizeof(text) };
    assert_false(json_value(&rest, &value));
}

static void members_are_found_by_their_whole_name(void **state)
{
    str object = S("{ \"ab\" : 1, \"a\" : [2, {\"c\":3}], \"a\":4, \"d\":null}"), value;

    (void)state;
    assert_true(json_member(object, "a", &value));
    assert_true(str_equal(value, S("[2, {\"c\":3}]")));
    assert_false(json_member(object, "c", &value)); /* deeper ones are not looked at */
    assert_false(json_member(object, "abc", &value));
    assert_false(json_member(S("[1]"), "a", &value));
    assert_false(json_member(S("{}"), "a", &value));
    assert_true(json_member(object, "ab", &value));
    assert_int_equal(json_number(value), 1);
}

static void arrays_are_walked(void **state)
{
    str rest, item;
    uint64_t sum = 0;

    (void)state;
    assert_true(json_first(S(" [1, 20 ,300]"), &rest));
    while (json_next(&rest, &item))
        sum += json_number(item);
    assert_int_equal(sum, 321);
    assert_true(json_first(S("[]"), &rest));
    assert_false(json_next(&rest, &item));
    assert_false(json_first(S("{}"), &rest));
}

static void strings_are_decoded(void **state)
{
    /* clang-format off */
    static const struct {
        const char *in, *out; /* NULL: refused */
    } rows[] = {
        { "\"\"", "" },
        { "\"a\"", "a" },
        { "\"\\n\\t\\r\\b\\f\\\"\\\\\\/\"", "\n\t\r\b\f\"\\/" },
        { "\"\\u0041\\u00e4\\u20ac\"", "A\xc3\xa4\xe2\x82\xac" },
        { "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" },
        { "\"\\ud83dx\"", "\xef\xbf\xbdx" }, /* half a pair */
        { "\"\\udc00\"", "\xef\xbf\xbd" },
        { "\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
                                "A" },
        { "\"\\u12\"", NULL },
        { "\"\\u12g4\"", NULL },
        { "\"\\x41\"", NULL },
        { "a", NULL },
        { "\"", NULL },
        { "12", NULL },
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        str text = STR_NONE;
        assert_int_equal(json_text(str_of(rows[i].in), arena, &text), rows[i].out != NULL);
        if (rows[i].out)
            assert_true(str_equal(text, str_of(rows[i].out)));
    }
}

static int setup(void **state)
{
    (void)state;
    arena = arena_create(1024, 0);
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_taken_whole),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(members_are_found_by_their_whole_name),
        cmocka_unit_test(arrays_are_walked),
        cmocka_unit_test(strings_are_decoded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
