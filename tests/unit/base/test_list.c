/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/list.h"

#include <stdio.h>
#include <string.h>

struct item {
    char name;
    struct list link;
};

/* The names in order, once forwards and once backwards: both directions must agree. */
static void expect(struct list *list, const char *names)
{
    char forwards[16] = "", backwards[16] = "";
    size_t n = 0;
    list_each (at, list)
        forwards[n++] = list_entry(at, struct item, link)->name;
    for (struct list *at = list->prev; at != list; at = at->prev)
        backwards[--n] = list_entry(at, struct item, link)->name;
    assert_int_equal(n, 0);
    assert_string_equal(forwards, names);
    assert_string_equal(backwards, names);
    assert_int_equal(list_is_empty(list), names[0] == '\0');
    struct list *first = list_first(list);
    if (names[0])
        assert_int_equal(list_entry(first, struct item, link)->name, names[0]);
    else
        assert_null(first);
}

static void links_and_unlinks(void **state)
{
    (void)state;
    struct list list;
    struct item a = { .name = 'a' }, b = { .name = 'b' }, c = { .name = 'c' }, d = { .name = 'd' };
    list_init(&list);
    list_init(&d.link);
    expect(&list, "");
    list_push(&list, &a.link);
    expect(&list, "a");
    list_push(&list, &b.link);
    list_push_front(&list, &c.link);
    expect(&list, "cab");
    list_insert(&b.link, &d.link);
    expect(&list, "cadb");
    list_remove(&a.link);
    expect(&list, "cdb");
    list_remove(&a.link); /* in no list: fine */
    expect(&list, "cdb");
    list_push_front(&list, &a.link);
    expect(&list, "acdb");
}

static void walking_may_remove(void **state)
{
    (void)state;
    struct list list;
    struct item items[] = { { .name = 'a' }, { .name = 'b' }, { .name = 'c' }, { .name = 'd' } };
    list_init(&list);
    for (size_t i = 0; i < 4; i++)
        list_push(&list, &items[i].link);
    list_each (at, &list) {
        if (list_entry(at, struct item, link)->name != 'b')
            list_remove(at);
    }
    expect(&list, "b");
    list_each (at, &list)
        list_remove(at);
    expect(&list, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_and_unlinks),
        cmocka_unit_test(walking_may_remove),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
