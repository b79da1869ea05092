/* SPDX-License-Identifier: BSD-2-Clause */
/* The same scripts, with one system call failing, or all of a kind from then on. What only says "again" or "a part of
 * it" changes nothing that a peer can see; after what breaks a connection the engine ends what it began, answers
 * properly or ends visibly, keeps no descriptor, and serves the next client. */
#include "failing_calls.h"
#include "scripts.h"

#include <errno.h>
#include <fcntl.h>

enum { CALLS_MOST = 3000, FDS_LOOKED_AT = 256, TO_THE_END = -1 };

static unsigned open_fds(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Byte by byte takes longer than the engine's silence of a few turns. */
static void play_on(struct play *play)
{
    uint64_t before;

    do {
        before = calls_made(CALL_READ) + calls_made(CALL_WRITE);
        play_origins(play);
        peer_pull(play->client); /* a socketpair takes few slices, however short */
        engine_settle();
    } while (calls_made(CALL_READ) + calls_made(CALL_WRITE) != before);
}

/* With the nth such call failing; whether there was one. */
static bool play_with(const struct script *script, const struct call_fault *fault, uint64_t n, bool is_unseen, int cut)
{
    struct play play = begin_play(script);
    unsigned fds = open_fds();

    if (cut != TO_THE_END)
        play.origin_cut = (size_t)cut;
    engine_forget();
    calls_fail(fault, n);
    play.client = client_open();
    play_client(&play, strlen(script->request));
    play_on(&play);
    bool failed = calls_failed() > 0;
    calls_heal();
    for (int i = 0; i < 4 && failed && !is_unseen; i++) { /* a lost step is made good by a deadline at the latest */
        engine_advance(20000);
        play_origins(&play);
    }
    judge_client(&play, cut == TO_THE_END && (is_unseen || !failed));
    end_play(&play);
    be_healthy();
    assert_int_equal(open_fds(), fds);
    return failed;
}

static void play_all(const struct call_fault *faults, size_t count, bool is_unseen, int cut)
{
    for (size_t i = 0; i < count; i++)
        for (size_t s = 0; s < SCRIPTS; s++) {
            uint64_t n = 0;
            while (play_with(&scripts[s], &faults[i], n, is_unseen, cut))
                assert_true(++n < CALLS_MOST);
        }
}

static void what_means_again_changes_nothing(void **state)
{
    static const struct call_fault faults[] = {
        { CALL_READ, FAILS, EAGAIN, ONCE },
        { CALL_READ, FAILS, EAGAIN, EVERY_OTHER },
        { CALL_READ, FAILS, EINTR, ONCE },
        { CALL_READ, FAILS, EINTR, EVERY_OTHER },
        { CALL_READ, ONE_BYTE, 0, ONCE },
        { CALL_READ, ONE_BYTE, 0, EVERY_OTHER },
        { CALL_READ, ONE_BYTE, 0, EVER_AFTER },
        { CALL_WRITE, FAILS, EAGAIN, ONCE },
        { CALL_WRITE, FAILS, EAGAIN, EVERY_OTHER },
        { CALL_WRITE, FAILS, EINTR, ONCE },
        { CALL_WRITE, FAILS, EINTR, EVERY_OTHER },
        { CALL_WRITE, ONE_BYTE, 0, ONCE },
        { CALL_WRITE, ONE_BYTE, 0, EVERY_OTHER },
        { CALL_WRITE, ONE_BYTE, 0, EVER_AFTER },
        { CALL_CONNECT, FAILS_AFTER, EINPROGRESS, ONCE },
        { CALL_CONNECT, FAILS_AFTER, EINPROGRESS, EVER_AFTER },
        { CALL_CONNECT, FAILS_AFTER, EINTR, EVER_AFTER },
        { CALL_WAIT, FAILS, EINTR, ONCE },
        { CALL_WAIT, FAILS, EINTR, EVERY_OTHER },
        { CALL_POLL, FAILS, EINTR, ONCE },
        { CALL_POLL, FAILS, ENOMEM, ONCE },
        { CALL_CLOSE, FAILS_AFTER, EINTR, ONCE },
        { CALL_CLOSE, FAILS_AFTER, EIO, EVER_AFTER },
    };

    (void)state;
    play_all(faults, COUNT(faults), true, TO_THE_END);
    assert_true(calls_made(CALL_READ) && calls_made(CALL_WRITE) && calls_made(CALL_CONNECT) && calls_made(CALL_WAIT)
                && calls_made(CALL_CLOSE));
}

static void what_breaks_ends_properly(void **state)
{
    static const struct call_fault faults[] = {
        { CALL_READ, FAILS, ECONNRESET, ONCE },
        { CALL_READ, FAILS, ECONNRESET, EVER_AFTER },
        { CALL_READ, FAILS, ETIMEDOUT, ONCE },
        { CALL_READ, FAILS, ENOMEM, ONCE },
        { CALL_READ, FAILS, ENOBUFS, EVER_AFTER },
        { CALL_READ, FAILS, EHOSTUNREACH, ONCE },
        { CALL_WRITE, FAILS, EPIPE, ONCE },
        { CALL_WRITE, FAILS, ECONNRESET, ONCE },
        { CALL_WRITE, FAILS, ECONNRESET, EVER_AFTER },
        { CALL_WRITE, FAILS, ETIMEDOUT, ONCE },
        { CALL_WRITE, FAILS, ENOBUFS, ONCE },
        { CALL_WRITE, FAILS, ENOMEM, EVER_AFTER },
        { CALL_SOCKET, FAILS, EMFILE, ONCE },
        { CALL_SOCKET, FAILS, EMFILE, EVER_AFTER },
        { CALL_SOCKET, FAILS, ENFILE, ONCE },
        { CALL_SOCKET, FAILS, ENOBUFS, ONCE },
        { CALL_SOCKET, FAILS, ENOMEM, EVER_AFTER },
        { CALL_CONNECT, FAILS, ECONNREFUSED, ONCE },
        { CALL_CONNECT, FAILS, ECONNREFUSED, EVER_AFTER },
        { CALL_CONNECT, FAILS, EAGAIN, ONCE },
        { CALL_CONNECT, FAILS, EADDRNOTAVAIL, ONCE },
        { CALL_CONNECT, FAILS, ENETUNREACH, EVER_AFTER },
        { CALL_CONNECT, FAILS, ETIMEDOUT, ONCE },
        { CALL_CONNECT, FAILS, ENOBUFS, ONCE },
        { CALL_SOCKET_ERROR, FAILS, ENOBUFS, EVER_AFTER },
        { CALL_SOCKET_ERROR, TELLS_ERROR, ECONNREFUSED, ONCE },
        { CALL_SOCKET_ERROR, TELLS_ERROR, ETIMEDOUT, EVER_AFTER },
        { CALL_SHUTDOWN, FAILS, ENOTCONN, ONCE },
        { CALL_SHUTDOWN, FAILS, ENOBUFS, EVER_AFTER },
        { CALL_WATCH, FAILS, ENOMEM, ONCE },
        { CALL_WATCH, FAILS, ENOSPC, EVER_AFTER },
    };

    (void)state;
    play_all(faults, COUNT(faults), false, TO_THE_END);
    assert_true(calls_made(CALL_SOCKET) && calls_made(CALL_WATCH) && calls_made(CALL_SOCKET_ERROR)
                && calls_made(CALL_SHUTDOWN) && calls_made(CALL_POLL));
}

/* An origin that leaves in the middle of its answer, and the calls with which its client is told of it. */
static void ends_end_when_they_fail(void **state)
{
    static const struct call_fault faults[] = {
        { CALL_SHUTDOWN, FAILS, ENOTCONN, EVER_AFTER },
        { CALL_CLOSE, FAILS_AFTER, EINTR, EVER_AFTER },
        { CALL_WRITE, FAILS, EPIPE, ONCE },
        { CALL_READ, FAILS, ECONNRESET, ONCE },
    };

    (void)state;
    for (int cut = 0; cut < 80; cut += 13)
        play_all(faults, COUNT(faults), false, cut);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, scripts_up, down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_means_again_changes_nothing),
        TEST(what_breaks_ends_properly),
        TEST(ends_end_when_they_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
