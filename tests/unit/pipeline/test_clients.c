/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections counted by client address, in a table that a flood cannot fill for good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"
#include "net/addr.h"
#include "pipeline/clients.h"

#include <pthread.h>
#include <stdlib.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static struct clients *clients;

static int up(void **state)
{
    (void)state;
    hash_seed();
    clients = aligned_alloc(64, sizeof(*clients));
    assert_non_null(clients);
    memset(clients, 0, sizeof(*clients));
    return 0;
}

static int down(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLIENT_SLOTS; i++)
        assert_true(clients->slots[i] == 0); /* nothing is left of anybody */
    free(clients);
    return 0;
}

static const uint8_t *address(const char *text)
{
    static uint8_t bytes[16];

    assert_true(addr_ip_bytes(str_of(text), bytes));
    return bytes;
}

static const uint8_t *nth_address(uint32_t n)
{
    static _Thread_local uint8_t bytes[16];

    memset(bytes, 0, sizeof(bytes));
    bytes[10] = bytes[11] = 0xff;
    memcpy(bytes + 12, &n, 4);
    return bytes;
}

static void whose_connections_count_together(void **state)
{
    static const struct {
        const char *one, *other;
        bool together;
    } rows[] = {
        { "192.0.2.1", "192.0.2.1", true },
        { "192.0.2.1", "192.0.2.2", false },
        { "192.0.2.1", "::ffff:192.0.2.1", true },
        { "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true }, /* one /64 */
        { "2001:db8::1", "2001:db8:0:1::1", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t places[3] = { 0 };
        assert_true(clients_enter(clients, address(rows[i].one), 1, &places[0]));
        assert_int_equal(clients_enter(clients, address(rows[i].other), 1, &places[1]), !rows[i].together);
        clients_leave(clients, places[0]);
        if (!rows[i].together)
            clients_leave(clients, places[1]);
        assert_true(clients_enter(clients, address(rows[i].other), 1, &places[2])); /* there is room again */
        clients_leave(clients, places[2]);
    }
}

static void counts_up_to_the_limit(void **state)
{
    enum { MOST = 100 };
    uint32_t places[MOST], place;

    (void)state;
    for (uint32_t i = 0; i < MOST; i++) {
        assert_int_equal(clients_count(clients, address("192.0.2.1")), i);
        assert_true(clients_enter(clients, address("192.0.2.1"), MOST, &places[i]));
    }
    assert_false(clients_enter(clients, address("192.0.2.1"), MOST, &place));
    assert_true(clients_enter(clients, address("192.0.2.1"), MOST + 1, &place)); /* the limit was raised */
    clients_leave(clients, place);
    for (uint32_t i = 0; i < MOST; i++)
        clients_leave(clients, places[i]);
    assert_int_equal(clients_count(clients, address("192.0.2.1")), 0);
}

/* More addresses than slots: all are let in, most are counted, and one who had his share still has it. */
static void a_flood_of_addresses_changes_nothing_for_others(void **state)
{
    enum { FLOOD = 2 * CLIENT_SLOTS };
    uint32_t *places = calloc(FLOOD, sizeof(*places)), mine, place, uncounted = 0;

    (void)state;
    assert_non_null(places);
    assert_true(clients_enter(clients, address("2001:db8::1"), 1, &mine));
    for (uint32_t i = 0; i < FLOOD; i++) {
        assert_true(clients_enter(clients, nth_address(i), 1, &places[i]));
        uncounted += places[i] == CLIENT_UNCOUNTED;
    }
    assert_in_range(uncounted, FLOOD - CLIENT_SLOTS, FLOOD - CLIENT_SLOTS * 9 / 10);
    assert_false(clients_enter(clients, address("2001:db8::1"), 1, &place));
    for (uint32_t i = 0; i < FLOOD; i++)
        clients_leave(clients, places[i]);
    clients_leave(clients, mine);
    free(places);
}

static void half_as_many_addresses_as_slots_are_all_counted(void **state)
{
    enum { MANY = CLIENT_SLOTS / 2 };
    uint32_t *places = calloc(MANY, sizeof(*places)), uncounted = 0;

    (void)state;
    assert_non_null(places);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_true(clients_enter(clients, nth_address(i), 1, &places[i]));
        uncounted += places[i] == CLIENT_UNCOUNTED;
    }
    assert_true(uncounted <= MANY / 1000);
    for (uint32_t i = 0; i < MANY; i++)
        clients_leave(clients, places[i]);
    free(places);
}

static void one_line_a_minute(void **state)
{
    static const struct {
        uint64_t at_ms;
        bool due;
    } rows[] = { { 0, true }, { 0, false }, { 59000, false }, { 60000, true }, { 61000, false }, { 500000, true } };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(clients_may_log(clients, address("192.0.2.1"), rows[i].at_ms), rows[i].due);
}

static void a_flood_writes_a_bounded_log(void **state)
{
    unsigned lines = 0;

    (void)state;
    for (uint32_t i = 0; i < 100000; i++)
        lines += clients_may_log(clients, nth_address(i), 1000);
    assert_in_range(lines, 1, CLIENT_LINES);
}

enum { THREADS = 4, ROUNDS = 20000, SHARED_MOST = 3 };

static _Atomic unsigned inside, most_inside;

static void *come_and_go(void *arg)
{
    uint32_t places[2];
    bool is_in[2];

    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < 2; k++) {
            is_in[k] = clients_enter(clients, nth_address(7), SHARED_MOST, &places[k]);
            if (!is_in[k])
                continue;
            unsigned now = ++inside, most = most_inside;
            while (now > most && !__atomic_compare_exchange_n(&most_inside, &most, now, false, __ATOMIC_SEQ_CST,
                                                              __ATOMIC_SEQ_CST))
                continue;
        }
        for (int k = 0; k < 2; k++) {
            if (!is_in[k])
                continue;
            inside--;
            clients_leave(clients, places[k]);
        }
    }
    return arg;
}

static void threads_count_together(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(most_inside, 1, SHARED_MOST + 1);
    assert_int_equal(clients_count(clients, nth_address(7)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whose_connections_count_together, up, down),
        cmocka_unit_test_setup_teardown(counts_up_to_the_limit, up, down),
        cmocka_unit_test_setup_teardown(a_flood_of_addresses_changes_nothing_for_others, up, down),
        cmocka_unit_test_setup_teardown(half_as_many_addresses_as_slots_are_all_counted, up, down),
        cmocka_unit_test_setup_teardown(one_line_a_minute, up, down),
        cmocka_unit_test_setup_teardown(a_flood_writes_a_bounded_log, up, down),
        cmocka_unit_test_setup_teardown(threads_count_together, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
