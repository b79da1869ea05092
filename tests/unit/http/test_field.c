/* SPDX-License-Identifier: BSD-2-Clause */
/* Fields: names and values (RFC 9110 5), lists (5.6.1), hop-by-hop (7.6.1). */
#include "base/mem.h"
#include "http/field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define assert_str(actual, expected) assert_same(actual, str_of(expected), __LINE__)

static void assert_same(str actual, str expected, int line)
{
    if (!str_equal(actual, expected))
        fail_msg("line %d: \"" STR_FMT "\" is not \"" STR_FMT "\"", line, STR_ARG(actual), STR_ARG(expected));
}

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(1024, 0);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    mem_fail_after(-1);
    arena_destroy(arena);
    return 0;
}

static const struct {
    enum field_id id;
    const char *name;
} known[] = {
#define X(id, name) { FIELD_##id, name },
    FIELD_NAMES(X)
#undef X
};

/* The perfect hash finds each of its names in any case, and none of their neighbours. */
static void every_name_is_interned(void **state)
{
    (void)state;
    assert_int_equal(COUNT(known), FIELD_COUNT - 1);
    for (size_t i = 0; i < COUNT(known); i++) {
        char text[64];
        size_t n = strlen(known[i].name);

        assert_int_equal(field_intern(str_of(known[i].name)), known[i].id);
        assert_str(field_name(known[i].id), known[i].name);
        for (size_t j = 0; j < n; j++)
            text[j] = (char)toupper(known[i].name[j]);
        assert_int_equal(field_intern((str){ text, n }), known[i].id);
        for (size_t j = 0; j < n; j++)
            text[j] = (char)tolower(known[i].name[j]);
        assert_int_equal(field_intern((str){ text, n }), known[i].id);
    }
    assert_int_equal(field_name(FIELD_OTHER).n, 0);
    assert_int_equal(field_name(FIELD_COUNT).n, 0);
}

static bool is_other_case(char a, char b)
{
    return isalpha((unsigned char)a) && (a ^ b) == 0x20;
}

static void every_other_byte_makes_another_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(known); i++) {
        char text[64];
        size_t n = strlen(known[i].name);

        memcpy(text, known[i].name, n);
        for (size_t j = 0; j < n; j++) {
            for (int c = 0; c < 256; c++) {
                enum field_id id;

                text[j] = (char)c;
                id = field_intern((str){ text, n });
                if (text[j] == known[i].name[j] || is_other_case(known[i].name[j], text[j]))
                    assert_int_equal(id, known[i].id);
                else
                    assert_int_not_equal(id, known[i].id);
            }
            text[j] = known[i].name[j];
        }
        text[n] = 'x';
        assert_int_not_equal(field_intern((str){ text, n + 1 }), known[i].id);
        assert_int_not_equal(field_intern((str){ text, n - 1 }), known[i].id);
    }
    assert_int_equal(field_intern(STR_NONE), FIELD_OTHER);
    assert_int_equal(field_intern(S("X")), FIELD_OTHER);
    assert_int_equal(field_intern(S("X-A-Name-That-Is-Longer-Than-Any-That-Are-Known")), FIELD_OTHER);
}

/* RFC 9110 5.1, 5.6.2: a name is a token. */
static void a_name_is_a_token(void **state)
{
    static const char tchars[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char text[300];

    (void)state;
    for (int c = 0; c < 256; c++) {
        text[0] = 'a';
        text[1] = (char)c;
        assert_int_equal(field_name_is_valid((str){ text, 2 }), c != 0 && strchr(tchars, c) != NULL);
    }
    memset(text, 'a', sizeof text);
    assert_true(field_name_is_valid((str){ text, 1 }));
    assert_true(field_name_is_valid((str){ text, 256 }));
    assert_false(field_name_is_valid((str){ text, 257 }));
    assert_false(field_name_is_valid(STR_NONE));
}

/* RFC 9110 5.5: HTAB, SP, VCHAR and obs-text, at every place of a value of any length. */
static void a_value_holds_no_controls(void **state)
{
    char text[40];

    (void)state;
    for (size_t n = 1; n <= sizeof text; n++) {
        for (size_t at = 0; at < n; at++) {
            for (int c = 0; c < 256; c++) {
                memset(text, 'v', n);
                text[at] = (char)c;
                assert_int_equal(field_value_is_valid((str){ text, n }), (c >= 0x20 && c != 0x7f) || c == '\t');
            }
        }
    }
    assert_true(field_value_is_valid(STR_NONE));
}

static void adding_checks_and_keeps_order(void **state)
{
    struct fields fields;

    (void)state;
    fields_init(&fields, arena);
    assert_true(fields_add(&fields, S("b"), S("1")));
    assert_true(fields_add(&fields, S("hOST"), S("a")));
    assert_false(fields_add(&fields, S("a b"), S("1")));
    assert_false(fields_add(&fields, S(""), S("1")));
    assert_false(fields_add(&fields, S("c"), S("1\r\nd: 2")));
    assert_false(fields_set(&fields, S("c"), S("1\n2")));
    assert_false(fields_set(&fields, S("c:"), S("1")));
    assert_false(fields_set_id(&fields, FIELD_HOST, ((str){ "a\0b", 3 })));
    assert_int_equal(fields.count, 2);
    assert_str(fields.items[0].name, "b");
    assert_int_equal(fields.items[0].id, FIELD_OTHER);
    assert_str(fields.items[1].name, "hOST");
    assert_int_equal(fields.items[1].id, FIELD_HOST);
    for (uint32_t i = 2; i < 1000; i++)
        assert_true(fields_add(&fields, S("more"), S("x")));
    assert_int_equal(fields.count, 1000);
    assert_str(fields.items[0].value, "1");
    assert_str(fields.items[999].value, "x");
}

static struct fields sample(void)
{
    struct fields fields;

    fields_init(&fields, arena);
    assert_true(fields_add(&fields, S("Via"), S("1.1 a")));
    assert_true(fields_add(&fields, S("X-Thing"), S("one")));
    assert_true(fields_add(&fields, S("Accept"), S("a/b")));
    assert_true(fields_add(&fields, S("x-thing"), S("two")));
    assert_true(fields_add(&fields, S("via"), S("1.1 b")));
    assert_true(fields_add(&fields, S("X-THING"), S("three")));
    return fields;
}

static void setting_replaces_the_first_and_removes_the_others(void **state)
{
    struct fields fields = sample();

    (void)state;
    assert_true(fields_set(&fields, S("x-Thing"), S("four")));
    assert_int_equal(fields.count, 4);
    assert_str(fields.items[1].value, "four");
    assert_str(fields.items[2].name, "Accept");
    assert_str(fields.items[3].value, "1.1 b");
    assert_true(fields_set_id(&fields, FIELD_VIA, S("1.1 c")));
    assert_int_equal(fields.count, 3);
    assert_str(fields.items[0].value, "1.1 c");
    assert_true(fields_set(&fields, S("New"), S("")));
    assert_int_equal(fields.count, 4);
    assert_str(fields.items[3].name, "New");
}

static void removing_and_finding_go_by_name(void **state)
{
    struct fields fields = sample();

    (void)state;
    assert_str(fields_find(&fields, S("X-thinG"))->value, "one");
    assert_str(fields_find_id(&fields, FIELD_VIA)->value, "1.1 a");
    assert_str(fields_get(&fields, FIELD_ACCEPT), "a/b");
    assert_null(fields_get(&fields, FIELD_HOST).p);
    assert_null(fields_find(&fields, S("X-Thin")));
    assert_int_equal(fields_count_id(&fields, FIELD_VIA), 2);
    assert_int_equal(fields_remove(&fields, S("nothing")), 0);
    assert_int_equal(fields_remove(&fields, S("X-thing")), 3);
    assert_int_equal(fields_remove_id(&fields, FIELD_VIA), 2);
    assert_int_equal(fields_remove_id(&fields, FIELD_VIA), 0);
    assert_int_equal(fields.count, 1);
    assert_str(fields.items[0].name, "Accept");
}

static void a_copy_is_deep(void **state)
{
    char name[] = "X-Name", value[] = "value";
    struct arena *other = arena_create(64, 0);
    struct fields fields, copy;

    (void)state;
    assert_non_null(other);
    fields_init(&fields, arena);
    assert_true(fields_add(&fields, str_of(name), str_of(value)));
    assert_true(fields_add(&fields, S("Host"), S("")));
    assert_true(fields_copy(&copy, &fields, other));
    memset(name, '-', sizeof name - 1);
    memset(value, '-', sizeof value - 1);
    assert_int_equal(copy.count, 2);
    assert_str(copy.items[0].name, "X-Name");
    assert_str(copy.items[0].value, "value");
    assert_int_equal(copy.items[1].id, FIELD_HOST);
    assert_true(fields_add(&copy, S("c"), S("d")));
    assert_ptr_equal(copy.arena, other);
    arena_destroy(other);

    fields_init(&fields, arena);
    assert_true(fields_copy(&copy, &fields, arena));
    assert_int_equal(copy.count, 0);
}

static void without_memory_nothing_changes(void **state)
{
    struct arena *small = arena_create(0, 0);
    struct fields fields, copy = { 0 };

    (void)state;
    assert_non_null(small);
    fields_init(&fields, small);
    mem_fail_after(0);
    assert_false(fields_add(&fields, S("a"), S("b")));
    assert_false(fields_set(&fields, S("a"), S("b")));
    assert_int_equal(fields.count, 0);
    mem_fail_after(-1);
    for (unsigned i = 0; i < 2000; i++)
        assert_true(fields_add(&fields, S("a"), S("b")));
    for (int64_t n = 0; n < 2; n++) {
        struct arena *fresh = arena_create(0, 0);

        mem_fail_after(n);
        assert_false(fields_copy(&copy, &fields, fresh));
        assert_int_equal(copy.count, 0);
        mem_fail_after(-1);
        arena_destroy(fresh);
    }
    arena_destroy(small);
}

/* RFC 9110 5.6.1.2: empty elements are passed over; 5.6.4: a quoted string may hold commas. */
static void lists_are_taken_apart(void **state)
{
    static const struct {
        const char *list, *elements; /* elements: each ended by '|' */
    } cases[] = {
        { "", "" },
        { " \t", "" },
        { ",", "" },
        { ", ,,\t,", "" },
        { "a", "a|" },
        { "a,b", "a|b|" },
        { " a , b\t", "a|b|" },
        { ",a,,b,", "a|b|" },
        { "a b", "a b|" },
        { "a=\"b,c\", d", "a=\"b,c\"|d|" },
        { "\"a\\\",b\",c", "\"a\\\",b\"|c|" },
        { "\"a\\\\\",b", "\"a\\\\\"|b|" },
        { "\"a,b", "\"a,b|" },
        { "\"a\\", "\"a\\|" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        str rest = str_of(cases[i].list), element = S("untouched");
        char got[64];
        size_t n = 0;

        while (field_list_next(&rest, &element))
            n += (size_t)snprintf(got + n, sizeof got - n, STR_FMT "|", STR_ARG(element));
        assert_str(((str){ got, n }), cases[i].elements);
        assert_int_equal(rest.n, 0);
    }
}

static void tokens_are_found_in_any_field_and_case(void **state)
{
    struct fields fields;

    (void)state;
    fields_init(&fields, arena);
    assert_true(fields_add(&fields, S("Connection"), S("keep-alive")));
    assert_true(fields_add(&fields, S("connection"), S("x, UpGrade")));
    assert_true(fields_add(&fields, S("Via"), S("close")));
    assert_true(fields_has_token(&fields, FIELD_CONNECTION, S("upgrade")));
    assert_true(fields_has_token(&fields, FIELD_CONNECTION, S("Keep-Alive")));
    assert_false(fields_has_token(&fields, FIELD_CONNECTION, S("close")));
    assert_false(fields_has_token(&fields, FIELD_CONNECTION, S("up")));
}

/* RFC 9110 7.6.1: what Connection names goes, with the fixed names; a client cannot have end-to-end fields dropped this
 * way. */
static void hop_by_hop_fields_are_removed(void **state)
{
    static const struct {
        const char *name, *value;
        bool stays;
    } rows[] = {
        { "Host", "a", true },
        { "Connection", "close, X-Once, host, Content-Length, x-forwarded-for", false },
        { "X-Once", "1", false },
        { "x-ONCE", "2", false },
        { "X-Twice", "3", false }, /* named by a later Connection field */
        { "Close", "named by nothing", true },
        { "Content-Length", "4", true },
        { "Content-Type", "a/b", true },
        { "X-Forwarded-For", "1.2.3.4", true },
        { "Authorization", "Basic eA==", true },
        { "Keep-Alive", "timeout=5", false },
        { "Proxy-Connection", "keep-alive", false },
        { "TE", "trailers", false },
        { "Trailer", "X-Sum", false },
        { "Transfer-Encoding", "chunked", false },
        { "Upgrade", "websocket", false },
        { "HTTP2-Settings", "AAMAAABkAAQAAP", false },
        { "connection", "X-Twice,authorization,,content-type", false },
        { "X-Other", "5", true },
    };
    struct fields fields;
    uint32_t kept = 0;

    (void)state;
    fields_init(&fields, arena);
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_true(fields_add(&fields, str_of(rows[i].name), str_of(rows[i].value)));
    fields_remove_hop_by_hop(&fields);
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!rows[i].stays)
            continue;
        assert_true(kept < fields.count);
        assert_str(fields.items[kept].name, rows[i].name);
        assert_str(fields.items[kept++].value, rows[i].value);
    }
    assert_int_equal(fields.count, kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_interned),
        cmocka_unit_test(every_other_byte_makes_another_name),
        cmocka_unit_test(a_name_is_a_token),
        cmocka_unit_test(a_value_holds_no_controls),
        cmocka_unit_test_setup_teardown(adding_checks_and_keeps_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(setting_replaces_the_first_and_removes_the_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removing_and_finding_go_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_copy_is_deep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_nothing_changes, set_up, tear_down),
        cmocka_unit_test(lists_are_taken_apart),
        cmocka_unit_test_setup_teardown(tokens_are_found_in_any_field_and_case, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hop_by_hop_fields_are_removed, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
