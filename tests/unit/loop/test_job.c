/* SPDX-License-Identifier: BSD-2-Clause */
#include "turning.h"

#include "base/mem.h"
#include "loop/job.h"
#include "loop/resolver.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

struct sum {
    struct job job;
    unsigned in, out;
    pthread_t worked_on;
    sem_t *started, *gate; /* when set: says that it runs, and waits */
};
static unsigned finished, sum_of_all;

static void add_up(struct job *job)
{
    struct sum *sum = list_entry(job, struct sum, job);
    assert_null(worker_self());
    if (sum->gate) {
        sem_post(sum->started);
        sem_wait(sum->gate);
    }
    sum->worked_on = pthread_self();
    sum->out = sum->in * 2;
}

static void take_sum(struct job *job)
{
    struct sum *sum = list_entry(job, struct sum, job);
    assert_ptr_equal(job->owner, worker_self());
    assert_false(pthread_equal(sum->worked_on, pthread_self()));
    sum_of_all += sum->out;
    finished++;
    free(sum);
}

static struct sum *sum_create(unsigned in)
{
    struct sum *sum = calloc(1, sizeof(*sum));
    assert_non_null(sum);
    sum->in = in;
    sum->job.work = add_up;
    sum->job.done = take_sum;
    finished = sum_of_all = 0;
    return sum;
}

static void results_come_back_to_the_asking_worker(void **state)
{
    (void)state;
    assert_true(job_pool_start(3));
    for (unsigned i = 0; i < 100; i++)
        assert_true(job_submit(&sum_create(i)->job));
    TURN_UNTIL(finished == 100);
    assert_int_equal(sum_of_all, 9900);
    job_pool_stop();
}

static void stopping_runs_what_is_queued(void **state)
{
    (void)state;
    assert_true(job_pool_start(1));
    for (unsigned i = 0; i < 100; i++)
        assert_true(job_submit(&sum_create(1)->job));
    job_pool_stop();
    turn_once(); /* all results are there already */
    assert_int_equal(finished, 100);
    struct sum *late = sum_create(1);
    assert_false(job_submit(&late->job));
    free(late);
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    sem_t started, gate;
    sem_init(&started, 0, 0);
    sem_init(&gate, 0, 0);
    assert_true(job_pool_start(1));
    struct sum *first = sum_create(0);
    first->started = &started;
    first->gate = &gate;
    assert_true(job_submit(&first->job));
    sem_wait(&started); /* it is not in the queue any more */
    for (unsigned i = 0; i < JOB_MOST; i++)
        assert_true(job_submit(&sum_create(0)->job));
    struct sum *refused = sum_create(0);
    assert_false(job_submit(&refused->job));
    free(refused);
    sem_post(&gate);
    TURN_UNTIL(finished == JOB_MOST + 1);
    job_pool_stop();
    sem_destroy(&gate);
    sem_destroy(&started);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

struct question {
    struct resolver_query query;
    bool is_answered;
    struct resolved result;
};

static void on_resolved(struct resolver_query *query, const struct resolved *result)
{
    struct question *question = list_entry(query, struct question, query);
    assert_false(question->is_answered);
    question->is_answered = true;
    question->result = *result;
}

static void numbers_need_no_pool(void **state)
{
    static const struct {
        const char *host;
        int family;
        const char *text;
    } rows[] = {
        { "127.0.0.1", AF_INET, "127.0.0.1" },
        { "192.0.2.255", AF_INET, "192.0.2.255" },
        { "::1", AF_INET6, "::1" },
        { "2001:DB8::1", AF_INET6, "2001:db8::1" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct question question = { 0 };
        char text[INET6_ADDRSTRLEN];
        assert_true(resolver_ask(&question.query, rows[i].host, 8080, on_resolved));
        assert_false(question.is_answered); /* never from inside the call */
        turn_once();
        assert_true(question.is_answered);
        assert_null(question.result.why);
        assert_int_equal(question.result.count, 1);
        const struct sockaddr_storage *address = &question.result.addresses[0];
        assert_int_equal(address->ss_family, rows[i].family);
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        const void *ip = rows[i].family == AF_INET ? (const void *)&in->sin_addr : (const void *)&in6->sin6_addr;
        assert_string_equal(inet_ntop(rows[i].family, ip, text, sizeof(text)), rows[i].text);
        assert_int_equal(ntohs(in->sin_port), 8080); /* at the same place in both */
    }
}

static void localhost_is_loopback(void **state)
{
    (void)state;
    struct question question = { 0 };
    assert_true(job_pool_start(1));
    assert_true(resolver_ask(&question.query, "localhost", 80, on_resolved));
    assert_non_null(question.query.job);
    TURN_UNTIL(question.is_answered);
    assert_null(question.query.job);
    assert_null(question.result.why);
    assert_in_range(question.result.count, 1, RESOLVER_MOST);
    for (unsigned i = 0; i < question.result.count; i++) {
        const struct sockaddr_storage *address = &question.result.addresses[i];
        if (address->ss_family == AF_INET)
            assert_int_equal(ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24, 127);
        else
            assert_true(IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr));
    }
    job_pool_stop();
}

/* Names that no server is asked for, so that the test needs no network. */
static void impossible_names_fail_with_a_reason(void **state)
{
    static const char *const rows[] = {
        "",
        "a..b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test", /* a label above 63 bytes */
    };
    (void)state;
    assert_true(job_pool_start(1));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct question question = { 0 };
        assert_true(resolver_ask(&question.query, rows[i], 80, on_resolved));
        TURN_UNTIL(question.is_answered);
        assert_int_equal(question.result.count, 0);
        assert_non_null(question.result.why);
        assert_true(strlen(question.result.why) > 0);
    }
    job_pool_stop();
}

static void cancelled_queries_are_not_answered(void **state)
{
    (void)state;
    struct question pooled = { 0 }, numeric = { 0 };
    assert_true(job_pool_start(1));
    assert_true(resolver_ask(&pooled.query, "localhost", 80, on_resolved));
    assert_true(resolver_ask(&numeric.query, "127.0.0.1", 80, on_resolved));
    resolver_cancel(&pooled.query);
    resolver_cancel(&numeric.query);
    resolver_cancel(&numeric.query); /* fine */
    job_pool_stop();                 /* its work is done by now */
    turn_once();
    assert_false(pooled.is_answered || numeric.is_answered);
}

static void queries_that_cannot_start_say_so(void **state)
{
    (void)state;
    struct question question = { 0 };
    char host[400];
    memset(host, 'a', sizeof(host));
    host[sizeof(host) - 1] = 0;
    assert_false(resolver_ask(&question.query, host, 80, on_resolved));
    assert_false(resolver_ask(&question.query, "localhost", 80, on_resolved)); /* no pool */
    mem_fail_after(0);
    assert_false(resolver_ask(&question.query, "127.0.0.1", 80, on_resolved));
    mem_fail_after(-1);
    resolver_cancel(&question.query); /* fine */
    turn_once();
    assert_false(question.is_answered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        turning(results_come_back_to_the_asking_worker),
        turning(stopping_runs_what_is_queued),
        turning(the_queue_is_bounded),
        turning(numbers_need_no_pool),
        turning(localhost_is_loopback),
        turning(impossible_names_fail_with_a_reason),
        turning(cancelled_queries_are_not_answered),
        turning(queries_that_cannot_start_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
