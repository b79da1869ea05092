/* SPDX-License-Identifier: BSD-2-Clause */
/* Which server each balancer picks: shares by weight, keys that stay, load and latency that count. */
#include "upstream/balancers.h"

#include "base/clock.h"
#include "pipeline/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SERVERS_MOST = 12, KEYS = 20000 };

static const struct weir_module *const modules_of[] = { &round_robin_module, &least_conn_module, &random_module,
                                                        &ip_hash_module, &ewma_module };

static struct weir_server servers[SERVERS_MOST];
static char names[SERVERS_MOST][32];
static weir_table table = { servers, 0, sizeof(struct weir_server) };

static const struct weir_balancer *balancer_of(const struct weir_module *module)
{
    return ((const struct weir_hook *)module->hooks.base)->balance;
}

static void set_up(uint32_t count, const uint32_t *weights)
{
    for (uint32_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "10.0.0.%u:8080", i + 1);
        servers[i] = (struct weir_server){ .name = str_of(names[i]), .weight = weights ? weights[i] : 1,
                                           .flags = WEIR_SERVER_USABLE };
    }
    table.count = count;
}

static void *state_new(const struct weir_balancer *b)
{
    void *state = calloc(1, b->state_size + 1);

    assert_non_null(state);
    if (b->up)
        assert_int_equal(b->up(state, NULL, table.count), 0);
    return state;
}

static struct weir_req *client_number(uint32_t n)
{
    static struct weir_req r;

    r.client[10] = r.client[11] = 0xff;
    r.client[12] = 10;
    r.client[13] = (uint8_t)(n >> 16);
    r.client[14] = (uint8_t)(n >> 8);
    r.client[15] = (uint8_t)n;
    return &r;
}

static void deal(const struct weir_balancer *b, uint32_t count[SERVERS_MOST])
{
    void *state = state_new(b);

    memset(count, 0, sizeof(uint32_t) * SERVERS_MOST);
    for (uint32_t i = 0; i < KEYS; i++) {
        int32_t picked = b->pick(state, NULL, client_number(i), &table);
        assert_in_range(picked, 0, table.count - 1);
        count[picked]++;
    }
    free(state);
}

static const struct {
    const struct weir_module *module;
    uint32_t weights[4];
    uint32_t permille; /* how far a share may be off; of the whole */
} shares[] = {
    { &round_robin_module, { 1, 1, 1, 1 }, 0 },
    { &round_robin_module, { 5, 3, 1, 1 }, 0 },
    { &least_conn_module, { 1, 1, 1, 1 }, 0 }, /* idle: as round robin */
    { &least_conn_module, { 5, 3, 1, 1 }, 0 },
    { &random_module, { 1, 1, 1, 1 }, 15 },
    { &random_module, { 5, 3, 1, 1 }, 15 },
    { &ip_hash_module, { 1, 1, 1, 1 }, 15 },
    { &ip_hash_module, { 5, 3, 1, 1 }, 15 },
    { &ewma_module, { 1, 1, 1, 1 }, 15 },
};

static void gives_each_its_share(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        uint32_t count[SERVERS_MOST], sum = 0;
        set_up(4, shares[i].weights);
        for (int k = 0; k < 4; k++)
            sum += shares[i].weights[k];
        deal(balancer_of(shares[i].module), count);
        for (int k = 0; k < 4; k++) {
            uint32_t due = KEYS / sum * shares[i].weights[k], slack = KEYS * shares[i].permille / 1000;
            assert_in_range(count[k], due - slack, due + slack);
        }
    }
}

static void picks_only_what_is_usable(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(modules_of) / sizeof(modules_of[0]); i++) {
        const struct weir_balancer *b = balancer_of(modules_of[i]);
        uint32_t count[SERVERS_MOST];
        set_up(4, NULL);
        servers[0].flags = servers[2].flags = 0;
        deal(b, count);
        assert_int_equal(count[0] + count[2], 0);
        servers[1].flags = servers[3].flags = 0;
        void *own = state_new(b);
        assert_int_equal(b->pick(own, NULL, client_number(1), &table), -1);
        free(own);
    }
}

/* Keys on servers that stay do not move; a newcomer gets its share of them, and a leaver's are spread. */
static void keys_stay_where_they_are(void **state)
{
    const struct weir_balancer *b = balancer_of(&ip_hash_module);
    static int32_t before[KEYS];

    (void)state;
    for (uint32_t n = 2; n < 10; n++) {
        uint32_t moved = 0;
        set_up(n, NULL);
        for (uint32_t i = 0; i < KEYS; i++)
            before[i] = b->pick(NULL, NULL, client_number(i), &table);
        set_up(n + 1, NULL);
        for (uint32_t i = 0; i < KEYS; i++) {
            int32_t now = b->pick(NULL, NULL, client_number(i), &table);
            assert_true(now == before[i] || now == (int32_t)n);
            moved += now != before[i];
        }
        assert_in_range(moved, KEYS * 8 / 10 / (n + 1), KEYS * 12 / 10 / (n + 1));
        set_up(n, NULL);
        servers[0].flags = 0;
        for (uint32_t i = 0; i < KEYS; i++)
            assert_true(before[i] == 0 || b->pick(NULL, NULL, client_number(i), &table) == before[i]);
    }
}

static void the_busier_one_waits(void **state)
{
    static const uint32_t even[] = { 1, 1, 1 }, uneven[] = { 1, 4, 1 };
    const struct weir_balancer *b = balancer_of(&least_conn_module);

    (void)state;
    set_up(3, even);
    servers[0].active_all = 2;
    servers[1].active_all = 1;
    servers[2].active_all = 3;
    void *own = state_new(b);
    assert_int_equal(b->pick(own, NULL, NULL, &table), 1);
    set_up(3, uneven);
    servers[0].active_all = 1;
    servers[1].active_all = 3; /* 3/4 is less than 1/1 */
    servers[2].active_all = 1;
    assert_int_equal(b->pick(own, NULL, NULL, &table), 1);
    free(own);
    b = balancer_of(&random_module);
    set_up(2, even);
    servers[0].active_all = 1;
    own = state_new(b);
    for (int i = 0; i < 100; i++) /* of two, both are drawn */
        assert_int_equal(b->pick(own, NULL, NULL, &table), 1);
    free(own);
}

static void the_slower_one_is_left_and_tried_again(void **state)
{
    const struct weir_balancer *b = balancer_of(&ewma_module);

    (void)state;
    set_up(2, NULL);
    clock_set(1000000, 0);
    void *own = state_new(b);
    for (int i = 0; i < 10; i++) {
        b->done(own, NULL, 0, WEIR_OUTCOME_OK, 1000);
        b->done(own, NULL, 1, WEIR_OUTCOME_OK, 1000);
    }
    b->done(own, NULL, 0, WEIR_OUTCOME_OK, 100000); /* one slow answer tells at once */
    for (int i = 0; i < 100; i++)
        assert_int_equal(b->pick(own, NULL, NULL, &table), 1);
    b->done(own, NULL, 0, WEIR_OUTCOME_CONNECT, 10); /* a quick failure makes it no better */
    assert_int_equal(b->pick(own, NULL, NULL, &table), 1);
    clock_set(1000000 + 60 * 1000000ULL, 0); /* a minute on it has faded; the other was asked meanwhile */
    b->done(own, NULL, 1, WEIR_OUTCOME_OK, 1000);
    assert_int_equal(b->pick(own, NULL, NULL, &table), 0);
    free(own);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_each_its_share),
        cmocka_unit_test(picks_only_what_is_usable),
        cmocka_unit_test(keys_stay_where_they_are),
        cmocka_unit_test(the_busier_one_waits),
        cmocka_unit_test(the_slower_one_is_left_and_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
