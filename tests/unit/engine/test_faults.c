/* SPDX-License-Identifier: BSD-2-Clause */
/* Scripts of whole exchanges, played again and again with one thing different each time: one allocation fails, one end
 * goes away behind so many bytes, bytes come in other portions. Whatever happens, the engine ends what it began, gives
 * a proper answer, a proper error or a visible end, and serves the next client. */
#include "scripts.h"

#include "base/mem.h"

/* -- one thing different ------------------------------------------------------------------------------------------- */

/* With the first allocation failing, then the second, and so on until none does. */
static void fail_each_allocation(const struct script *script)
{
    bool failed = true;

    for (int64_t n = 0; failed; n++) {
        struct play play = begin_play(script);
        assert_true(n < 5000);
        engine_forget();
        mem_fail_once_after(n);
        play.client = client_open();
        play_client(&play, strlen(play.script->request));
        failed = mem_failures() > 0;
        mem_fail_after(-1);
        for (int i = 0; i < 4 && failed; i++) { /* a lost step is made good by a deadline at the latest */
            engine_advance(20000);
            play_origins(&play);
        }
        judge_client(&play, !failed);
        end_play(&play);
        be_healthy();
    }
}

static void survives_any_failed_allocation(void **state)
{
    (void)state;
    for (size_t s = 0; s < SCRIPTS; s++)
        fail_each_allocation(&scripts[s]);
}

/* Lists of fields grow at certain lengths: any field may be the one that has no room. */
static void survives_any_field_that_finds_no_room(void **state)
{
    char request[1024], response[1024];

    (void)state;
    for (unsigned count = 1; count < 36; count++) {
        size_t n = (size_t)snprintf(request, sizeof(request), "PUT /0 HTTP/1.1\r\nHost: a\r\n"
                                                              "Transfer-Encoding: chunked\r\n");
        size_t m = (size_t)snprintf(response, sizeof(response), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n");
        for (unsigned i = 0; i < count; i++) {
            n += (size_t)snprintf(request + n, sizeof(request) - n, "F%u: v\r\n", i);
            m += (size_t)snprintf(response + m, sizeof(response) - m, "F%u: v\r\n", i);
        }
        snprintf(request + n, sizeof(request) - n, "\r\n3\r\nabc\r\n0\r\n\r\n");
        snprintf(response + m, sizeof(response) - m, "\r\n3\r\nabc\r\n0\r\n\r\n");
        struct script script = { .name = "fields", .request = request, .answers = { { response, 200, "abc" } } };
        fail_each_allocation(&script);
    }
}

static void survives_memory_that_is_gone(void **state)
{
    (void)state;
    for (size_t s = 0; s < SCRIPTS; s++) {
        bool failed = true;
        for (int64_t n = 0; failed; n++) {
            struct play play = begin_play(&scripts[s]);
            assert_true(n < 5000);
            engine_forget();
            mem_fail_after(n);
            play.client = client_open();
            play_client(&play, strlen(play.script->request));
            failed = mem_failures() > 0;
            engine_advance(20000);
            mem_fail_after(-1);
            for (int i = 0; i < 4 && failed; i++) {
                engine_advance(20000);
                play_origins(&play);
            }
            if (failed)
                judge_client(&play, false);
            end_play(&play);
            be_healthy();
        }
    }
}

static void takes_any_split_of_a_request(void **state)
{
    (void)state;
    for (size_t s = 0; s < SCRIPTS; s++)
        for (size_t split = 0; split < strlen(scripts[s].request); split++) {
            struct play play = begin_play(&scripts[s]);
            play.client_split = split;
            play.client_portion = split ? 0 : 1; /* the first time byte by byte */
            play.client = client_open();
            play_client(&play, strlen(play.script->request));
            judge_client(&play, true);
            end_play(&play);
        }
}

static void takes_any_split_of_a_response(void **state)
{
    (void)state;
    for (size_t s = 0; s < SCRIPTS; s++) {
        size_t longest = 1;
        for (unsigned i = 0; i < ANSWERS && scripts[s].answers[i].says; i++)
            longest = strlen(scripts[s].answers[i].says) > longest ? strlen(scripts[s].answers[i].says) : longest;
        for (size_t split = 0; split < longest; split++) {
            struct play play = begin_play(&scripts[s]);
            play.origin_split = split;
            play.origin_portion = split ? 0 : 1;
            play.client = client_open();
            play_client(&play, strlen(play.script->request));
            judge_client(&play, true);
            end_play(&play);
        }
    }
}

enum leaving { SHUTS, CLOSES, RESETS, LEAVINGS };

static void survives_clients_that_leave(void **state)
{
    (void)state;
    for (size_t s = 0; s < SCRIPTS; s++)
        for (size_t k = 0; k <= strlen(scripts[s].request) * LEAVINGS; k++) {
            struct play play = begin_play(&scripts[s]);
            enum leaving leaving = (enum leaving)(k % LEAVINGS);
            play.client = leaving == RESETS ? client_open_tcp() : client_open();
            play_client(&play, k / LEAVINGS);
            if (leaving == SHUTS) {
                peer_shut(play.client);
                play_origins(&play);
                judge_client(&play, false);
            } else if (leaving == CLOSES) {
                peer_close(play.client);
            } else {
                peer_reset(play.client);
            }
            play_origins(&play);
            engine_advance(1000);
            end_play(&play);
        }
    be_healthy();
}

/* A response that was cut must never look whole. */
static void tells_of_origins_that_leave(void **state)
{
    (void)state;
    for (size_t s = 0; s < SCRIPTS; s++)
        for (size_t k = 0; k < strlen(scripts[s].answers[0].says) * 2; k++) {
            struct play play = begin_play(&scripts[s]);
            struct heard m;
            play.origin_cut = k / 2;
            play.resets = k % 2;
            play.client = client_open();
            play_client(&play, strlen(play.script->request));
            assert_true(play.was_cut);
            do {
                bool is_one = response_next(play.client, false, &m);
                assert_true(is_one || play.client->ended);
            } while (m.status && m.status < 200);
            bool is_own = m.status == 502 || m.status == 201; /* what a hook says instead needs no content */
            assert_true(is_own ? m.whole : !m.whole && play.client->ended);
            end_play(&play);
        }
    be_healthy();
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, scripts_up, down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(survives_any_failed_allocation),
        TEST(survives_any_field_that_finds_no_room),
        TEST(survives_memory_that_is_gone),
        TEST(takes_any_split_of_a_request),
        TEST(takes_any_split_of_a_response),
        TEST(survives_clients_that_leave),
        TEST(tells_of_origins_that_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
