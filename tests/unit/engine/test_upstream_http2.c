/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP/2 origins of the whole engine: in any portions, with any allocation or system call failing, silent, and gone at
 * any moment. */
#include "failing_calls.h"
#include "frames.h"

#include "base/mem.h"
#include "upstream/pool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ORIGINS = 12, CLIENTS = 3 };

static const char *const requests[CLIENTS] = {
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n",
    "PUT /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
};

static struct peer *clients[CLIENTS], *origins[ORIGINS];
static unsigned origin_count;
static bool answers_pings;

/* What an origin answers to all that came: its SETTINGS, and to each whole request 200 with content and trailers. */
static void put_answers(struct peer *origin, struct frames *to)
{
    struct h2_frame frame;
    const uint8_t *payload;

    peer_pull(origin);
    if (origin->at == 0) {
        if (origin->n < H2_PREFACE_BYTES)
            return;
        MUST(memcmp(origin->got, H2_PREFACE, H2_PREFACE_BYTES) == 0);
        origin->at = H2_PREFACE_BYTES;
        put_frame(to, H2_SETTINGS, 0, 0, NULL, 0);
    }
    while (next_frame(origin, &frame, &payload)) {
        bool has_end = frame.type == H2_HEADERS || frame.type == H2_DATA;
        if (frame.type == H2_PING && !(frame.flags & H2_FLAG_ACK) && answers_pings)
            put_frame(to, H2_PING, H2_FLAG_ACK, 0, payload, 8);
        if (!has_end || !(frame.flags & H2_FLAG_END_STREAM))
            continue;
        put_ok(to, frame.id, false);
        put_frame(to, H2_DATA, 0, frame.id, "ok", 2);
        put_frame(to, H2_HEADERS, H2_FLAG_END_HEADERS | H2_FLAG_END_STREAM, frame.id, "\x00\x01x\x01y", 5);
    }
}

static void accept_origins(void)
{
    struct peer *more;

    while ((more = origin_take())) {
        if (origin_count < ORIGINS)
            origins[origin_count++] = more;
        else
            peer_close(more);
    }
}

static void play_origins(void)
{
    for (unsigned turn = 0; turn < 4; turn++) {
        accept_origins();
        for (unsigned i = 0; i < origin_count; i++) {
            struct frames frames = { .n = 0 };
            if (origins[i]->fd < 0)
                continue;
            put_answers(origins[i], &frames);
            if (frames.n)
                peer_put_bytes(origins[i], frames.bytes, frames.n);
            if (origins[i]->ended && origins[i]->fd >= 0)
                peer_close(origins[i]);
        }
    }
}

static void ask(void)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = client_open();
    for (unsigned i = 0; i < CLIENTS; i++)
        peer_put(clients[i], requests[i]);
}

static void end(void)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (clients[i] && clients[i]->fd >= 0)
            peer_close(clients[i]);
    play_origins();
    engine_advance(1000);
    engine_forget();
    engine_check_idle();
    engine_close_peers();
    origin_count = 0;
    memset(clients, 0, sizeof(clients));
}

/* 0: any answer will do, even none. */
static void check(unsigned i, int status)
{
    struct heard m;

    bool heard = response_next(clients[i], false, &m);
    if (!status) {
        assert_false(heard && m.bad);
        return;
    }
    if (!heard || m.status != status || !m.whole)
        fail_msg("client %u: %.*s", i, (int)clients[i]->n, clients[i]->got);
    if (status == 200)
        assert_true(str_equal(m.body, S("ok")));
}

/* -- in order ------------------------------------------------------------------------------------------------------ */

static void answers(void **state)
{
    (void)state;
    ask();
    play_origins();
    for (unsigned i = 0; i < CLIENTS; i++)
        check(i, 200);
    assert_int_equal(origin_count, 1);
    assert_int_equal(pools_idle_total(), 1);
    end();
}

/* All that the origin says, cut in two (and byte by byte) behind the requests. */
static void takes_any_split(void **state)
{
    static size_t most = 1;

    (void)state;
    for (size_t split = 0; split < most; split++) {
        struct frames frames = { .n = 0 };
        ask();
        accept_origins();
        assert_int_equal(origin_count, 1);
        put_answers(origins[0], &frames);
        most = frames.n;
        for (size_t at = 0; at < frames.n;) {
            size_t n = split == 0 ? 1 : at == 0 ? split : frames.n - at;
            peer_put_bytes(origins[0], frames.bytes + at, n);
            at += n;
        }
        for (unsigned i = 0; i < CLIENTS; i++)
            check(i, 200);
        end();
    }
    assert_in_range(most, 60, 4000);
}

/* What it has answered counts; the others are answered 502, or tried again where nothing had come. */
static void goes_away_anywhere(void **state)
{
    size_t most = 1;

    (void)state;
    for (size_t n = 0; n <= most; n++) {
        struct frames frames = { .n = 0 };
        ask();
        accept_origins();
        put_answers(origins[0], &frames);
        most = frames.n;
        peer_put_bytes(origins[0], frames.bytes, n);
        peer_close(origins[0]);
        play_origins();
        for (unsigned i = 0; i < CLIENTS; i++) {
            struct heard m;
            bool heard = response_next(clients[i], false, &m);
            assert_true(heard || clients[i]->ended);
            assert_false(heard && m.bad);
        }
        end();
    }
}

/* The client of an answer that comes goes, in any state of it. */
static void clients_go_anywhere(void **state)
{
    size_t most = 1;

    (void)state;
    for (size_t n = 0; n <= most; n++) {
        struct frames frames = { .n = 0 };
        ask();
        accept_origins();
        put_answers(origins[0], &frames);
        most = frames.n;
        peer_put_bytes(origins[0], frames.bytes, n);
        peer_close(clients[1]);
        peer_put_bytes(origins[0], frames.bytes + n, most - n);
        play_origins();
        check(0, 200);
        check(2, 200);
        assert_int_equal(origin_count, 1);
        end();
    }
}

/* -- silence ------------------------------------------------------------------------------------------------------- */

static unsigned pings_in(struct peer *origin)
{
    struct h2_frame frame;
    const uint8_t *payload;
    unsigned n = 0;

    peer_pull(origin);
    while (next_frame(origin, &frame, &payload)) {
        if (frame.type != H2_PING)
            continue;
        n++;
        if (answers_pings) {
            struct frames frames = { .n = 0 };
            put_frame(&frames, H2_PING, H2_FLAG_ACK, 0, payload, 8);
            peer_put_bytes(origin, frames.bytes, frames.n);
        }
    }
    return n;
}

static struct peer *ask_one(void)
{
    struct frames frames = { .n = 0 };

    clients[0] = client_open();
    peer_put(clients[0], requests[0]);
    accept_origins();
    peer_pull(origins[0]);
    assert_true(origins[0]->n > H2_PREFACE_BYTES);
    origins[0]->at = H2_PREFACE_BYTES;
    put_frame(&frames, H2_SETTINGS, 0, 0, NULL, 0);
    peer_put_bytes(origins[0], frames.bytes, frames.n);
    return origins[0];
}

static void a_silent_origin_is_asked_whether_it_lives(void **state)
{
    (void)state;
    answers_pings = false;
    struct peer *origin = ask_one();
    assert_int_equal(pings_in(origin), 0);
    engine_advance(10500);
    assert_int_equal(pings_in(origin), 1);
    engine_advance(10500);
    peer_pull(origin);
    assert_true(origin->ended);
    check(0, 502);
    answers_pings = true;
    end();
}

/* gRPC's servers end connections that ask too often. */
static void one_that_answers_is_left_in_peace(void **state)
{
    (void)state;
    struct peer *origin = ask_one();
    unsigned pings = 0;
    for (unsigned s = 0; s < 55; s++) {
        engine_advance(1000);
        pings += pings_in(origin);
    }
    assert_int_equal(pings, 1);
    engine_advance(10000);
    check(0, 504); /* timeout response: the stream's, not the connection's */
    peer_pull(origin);
    assert_false(origin->ended);
    end();
}

static void a_kept_one_is_asked_before_it_is_relied_upon(void **state)
{
    (void)state;
    ask();
    play_origins();
    struct peer *origin = origins[0];
    engine_advance(20000);
    assert_int_equal(pings_in(origin), 0);
    struct peer *client = client_open();
    peer_put(client, requests[0]);
    answers_pings = false;
    assert_int_equal(pings_in(origin), 1);
    engine_advance(11000);
    struct peer *fresh = origin_take(); /* it was dead: GET goes again */
    assert_non_null(fresh);
    answers_pings = true;
    origins[origin_count++] = fresh;
    play_origins();
    struct heard m;
    assert_true(response_next(client, false, &m) && m.status == 200);
    peer_close(client);
    end();
}

static void idle_ones_end(void **state)
{
    (void)state;
    ask();
    play_origins();
    assert_int_equal(pools_idle_total(), 1);
    engine_advance(61000);
    assert_int_equal(pools_idle_total(), 0);
    peer_pull(origins[0]);
    assert_true(origins[0]->ended);
    end();
}

/* -- memory -------------------------------------------------------------------------------------------------------- */

static void fail_from(int64_t n, void (*how)(int64_t), bool *failed)
{
    engine_forget();
    how(n);
    ask();
    play_origins();
    *failed = mem_failures() > 0;
    mem_fail_after(-1);
    for (int i = 0; i < 8 && *failed; i++) {
        engine_advance(20000);
        play_origins();
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        check(i, *failed ? 0 : 200);
    end();
}

static void survives_any_failed_allocation(void **state)
{
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        assert_true(n < 5000);
        fail_from(n, mem_fail_once_after, &failed);
    }
}

static void survives_memory_that_is_gone(void **state)
{
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        assert_true(n < 5000);
        fail_from(n, mem_fail_after, &failed);
    }
}

/* -- system calls -------------------------------------------------------------------------------------------------- */

enum { CALLS_MOST = 3000 };

static void play_on(void)
{
    uint64_t before;

    do {
        before = calls_made(CALL_READ) + calls_made(CALL_WRITE);
        play_origins();
        for (unsigned i = 0; i < CLIENTS; i++)
            peer_pull(clients[i]);
        engine_settle();
    } while (calls_made(CALL_READ) + calls_made(CALL_WRITE) != before);
}

/* With the nth such call failing; whether there was one. */
static bool play_with(const struct call_fault *fault, uint64_t n, bool is_unseen)
{
    engine_forget();
    calls_fail(fault, n);
    ask();
    play_on();
    bool failed = calls_failed() > 0;
    calls_heal();
    for (int i = 0; i < 8 && failed && !is_unseen; i++) {
        engine_advance(20000);
        play_origins();
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        check(i, is_unseen || !failed ? 200 : 0);
    end();
    return failed;
}

static void play_all(const struct call_fault *faults, size_t count, bool is_unseen)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t n = 0;
        while (play_with(&faults[i], n, is_unseen))
            assert_true(++n < CALLS_MOST);
    }
}

static void what_means_again_changes_nothing(void **state)
{
    static const struct call_fault faults[] = {
        { CALL_READ, FAILS, EAGAIN, ONCE },      { CALL_READ, FAILS, EINTR, EVERY_OTHER },
        { CALL_READ, ONE_BYTE, 0, EVERY_OTHER }, { CALL_READ, ONE_BYTE, 0, EVER_AFTER },
        { CALL_WRITE, FAILS, EAGAIN, ONCE },     { CALL_WRITE, FAILS, EINTR, EVERY_OTHER },
        { CALL_WRITE, ONE_BYTE, 0, ONCE },       { CALL_WRITE, ONE_BYTE, 0, EVER_AFTER },
        { CALL_CONNECT, FAILS_AFTER, EINPROGRESS, EVER_AFTER },
    };

    (void)state;
    play_all(faults, sizeof(faults) / sizeof(faults[0]), true);
}

static void what_breaks_ends_properly(void **state)
{
    static const struct call_fault faults[] = {
        { CALL_READ, FAILS, ECONNRESET, ONCE },  { CALL_READ, FAILS, ECONNRESET, EVER_AFTER },
        { CALL_READ, FAILS, ENOMEM, ONCE },      { CALL_WRITE, FAILS, EPIPE, ONCE },
        { CALL_WRITE, FAILS, EPIPE, EVER_AFTER }, { CALL_WRITE, FAILS, ENOBUFS, ONCE },
        { CALL_SOCKET, FAILS, EMFILE, ONCE },    { CALL_CONNECT, FAILS, ECONNREFUSED, ONCE },
        { CALL_CONNECT, FAILS, EADDRNOTAVAIL, EVER_AFTER },
    };

    (void)state;
    play_all(faults, sizeof(faults) / sizeof(faults[0]), false);
}

static int up(void **state)
{
    (void)state;
    answers_pings = true;
    engine_up("upstream u { server @ORIGIN@ max_fails=0; protocol h2; } site _ { listen 127.0.0.1:9000; proxy u; }\n");
    return 0;
}

static int down(void **state)
{
    (void)state;
    engine_down();
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(takes_any_split),
        cmocka_unit_test(goes_away_anywhere),
        cmocka_unit_test(clients_go_anywhere),
        cmocka_unit_test(a_silent_origin_is_asked_whether_it_lives),
        cmocka_unit_test(one_that_answers_is_left_in_peace),
        cmocka_unit_test(a_kept_one_is_asked_before_it_is_relied_upon),
        cmocka_unit_test(idle_ones_end),
        cmocka_unit_test(survives_any_failed_allocation),
        cmocka_unit_test(survives_memory_that_is_gone),
        cmocka_unit_test(what_means_again_changes_nothing),
        cmocka_unit_test(what_breaks_ends_properly),
    };

    return cmocka_run_group_tests(tests, up, down);
}
