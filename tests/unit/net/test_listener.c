/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* pipe2 */
#include "../loop/turning.h"

#include "base/log.h"
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct door {
    struct listener listener;
    int guests[64];
    unsigned count;
    struct addr peer;
    bool closes, pauses; /* on the next guest */
};

static void on_accept(struct listener *listener, int fd, const struct addr *peer)
{
    struct door *door = listener->owner;
    assert_true(door->count < COUNT(door->guests));
    door->guests[door->count++] = fd;
    door->peer = *peer;
    if (door->pauses)
        listener_pause(listener);
    if (door->closes)
        listener_close(listener);
}

static void door_open(struct door *door, const char *where)
{
    struct addr addr;
    assert_true(addr_parse(str_of(where), &addr));
    int fd = listener_bind(&addr, 64, true);
    assert_true(fd >= 0);
    assert_true(listener_open(&door->listener, fd, door, on_accept));
}

static void door_close(struct door *door)
{
    listener_close(&door->listener);
    listener_close(&door->listener); /* fine */
    for (unsigned i = 0; i < door->count; i++)
        close(door->guests[i]);
}

static int knock(const struct door *door)
{
    const struct addr *addr = &door->listener.addr;
    int fd = socket(addr->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &addr->any, addr->n), 0);
    return fd;
}

static void guests_come_in_ready_made(void **state)
{
    static const char *const rows[] = { "127.0.0.1:0", "[::1]:0" };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct door door = { 0 };
        door_open(&door, rows[i]);
        assert_true(addr_port(&door.listener.addr) != 0); /* the one the kernel chose */
        int client = knock(&door), on = 0;
        socklen_t n = sizeof(on);
        TURN_UNTIL(door.count == 1);
        int guest = door.guests[0];
        assert_true(fcntl(guest, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(guest, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(getsockopt(guest, IPPROTO_TCP, TCP_NODELAY, &on, &n), 0);
        assert_true(on);
        struct addr mine;
        addr_of_socket(client, false, &mine);
        assert_true(addr_equal(&mine, &door.peer));
        addr_of_socket(guest, true, &mine);
        assert_true(addr_equal(&mine, &door.peer));
        close(client);
        door_close(&door);
    }
}

static void a_turn_takes_no_more_than_its_share(void **state)
{
    (void)state;
    struct door door = { .listener.most_per_turn = 4 };
    int clients[20];
    door_open(&door, "127.0.0.1:0");
    for (size_t i = 0; i < COUNT(clients); i++)
        clients[i] = knock(&door);
    unsigned turns = 0;
    for (unsigned before = 0; door.count < COUNT(clients); before = door.count) {
        worker_turn(worker_self(), true);
        assert_in_range(door.count - before, 1, 4);
        turns++;
    }
    assert_int_equal(turns, 1 + 1 + 5); /* 1, 2, 4, 4, 4, 4, 1 */
    for (size_t i = 0; i < COUNT(clients); i++)
        close(clients[i]);
    door_close(&door);
}

static void pausing_leaves_guests_in_the_queue(void **state)
{
    (void)state;
    struct door door = { 0 };
    door_open(&door, "127.0.0.1:0");
    listener_pause(&door.listener);
    listener_pause(&door.listener);
    int clients[3] = { knock(&door), knock(&door), knock(&door) };
    turn_once();
    assert_int_equal(door.count, 0);
    listener_resume(&door.listener);
    TURN_UNTIL(door.count == 3);
    door.pauses = true;
    int last[2] = { knock(&door), knock(&door) };
    TURN_UNTIL(door.count == 4);
    turn_once();
    assert_int_equal(door.count, 4); /* paused from the callback, before the second */
    for (size_t i = 0; i < COUNT(clients); i++)
        close(clients[i]);
    close(last[0]);
    close(last[1]);
    door_close(&door);
}

static void it_may_be_closed_by_a_guest(void **state)
{
    (void)state;
    struct door door = { .closes = true };
    door_open(&door, "127.0.0.1:0");
    int fd = knock(&door);
    TURN_UNTIL(door.count == 1);
    turn_once();
    close(fd);
    door_close(&door);
}

static unsigned lines_in(int fd)
{
    char text[4096];
    ssize_t n = read(fd, text, sizeof(text));
    unsigned lines = 0;
    for (ssize_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

/* No descriptors left: the next connection waits in the queue until there are some again. */
static void out_of_descriptors_is_a_pause_and_one_line(void **state)
{
    (void)state;
    struct door door = { 0 };
    int log[2];
    struct rlimit before, none;
    assert_int_equal(pipe2(log, O_NONBLOCK | O_CLOEXEC), 0);
    log_to_fd(log[1]);
    door_open(&door, "127.0.0.1:0");
    for (unsigned round = 0; round < 2; round++) {
        int client = knock(&door), next = dup(client);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        close(next); /* the lowest that is free */
        none = (struct rlimit){ (rlim_t)next, before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        TURN_UNTIL(deadline_is_set(&door.listener.pause));
        assert_int_equal(door.count, round);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        turn_once();
        assert_int_equal(door.count, round); /* still pausing */
        listener_pause(&door.listener);
        listener_resume(&door.listener); /* does not end that pause */
        turn_once();
        assert_int_equal(door.count, round);
        TURN_UNTIL(door.count == round + 1);
        close(client);
    }
    assert_int_equal(lines_in(log[0]), 1); /* for both */
    door_close(&door);
    log_to_stderr();
    close(log[0]);
}

static void ports_are_shared_only_when_asked(void **state)
{
    (void)state;
    struct addr addr;
    assert_true(addr_parse(S("127.0.0.1:0"), &addr));
    int first = listener_bind(&addr, 8, true);
    assert_true(first >= 0);
    addr_of_socket(first, false, &addr);
    int second = listener_bind(&addr, 8, true);
    assert_true(second >= 0);
    assert_int_equal(listener_bind(&addr, 8, false), -1);
    assert_int_equal(errno, EADDRINUSE);
    close(first);
    close(second);
}

static void both_families_fit_on_one_port(void **state)
{
    (void)state;
    struct addr four, six;
    assert_true(addr_parse(S("0.0.0.0:0"), &four));
    int first = listener_bind(&four, 8, false);
    assert_true(first >= 0);
    addr_of_socket(first, false, &four);
    char text[32];
    snprintf(text, sizeof(text), "[::]:%u", addr_port(&four));
    assert_true(addr_parse(str_of(text), &six));
    int second = listener_bind(&six, 8, false);
    assert_true(second >= 0);
    close(first);
    close(second);
}

static void only_a_dead_unix_socket_is_replaced(void **state)
{
    (void)state;
    char dir[] = "/tmp/weir-test-XXXXXX", text[64];
    struct addr addr;
    struct stat st;
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof(text), "unix:%s/s", dir);
    assert_true(addr_parse(str_of(text), &addr));

    int first = listener_bind(&addr, 8, true);
    assert_true(first >= 0);
    assert_int_equal(listener_bind(&addr, 8, true), -1); /* somebody accepts there */
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(stat(addr.un.sun_path, &st), 0);
    close(first);
    int second = listener_bind(&addr, 8, true);
    assert_true(second >= 0);

    struct door door = { 0 };
    assert_true(listener_open(&door.listener, second, &door, on_accept));
    int client = knock(&door);
    TURN_UNTIL(door.count == 1);
    assert_true(addr_is_unix(&door.peer));
    close(client);
    door_close(&door);
    unlink(addr.un.sun_path);

    int file = open(addr.un.sun_path, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(listener_bind(&addr, 8, true), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(stat(addr.un.sun_path, &st), 0); /* nobody's file is deleted */
    unlink(addr.un.sun_path);
    rmdir(dir);
}

struct gate { /* lets so many in */
    unsigned places, asked, given_back;
};

static struct gate gate;

static bool ask_gate(struct listener *listener, bool somebody_waits)
{
    struct door *door = listener->owner;
    if (somebody_waits)
        gate.asked++;
    return door->count < gate.places;
}

static void give_back(struct listener *listener)
{
    (void)listener;
    gate.given_back++;
    errno = EBADF; /* must not be taken for accept's */
}

static void whoever_is_asked_may_say_no(void **state)
{
    (void)state;
    struct door door = { .listener = { .may_accept = ask_gate, .not_accepted = give_back } };
    gate = (struct gate){ .places = 2 };
    uint64_t stalls = listener_stalls();
    door_open(&door, "127.0.0.1:0");
    int clients[3] = { knock(&door), knock(&door), knock(&door) };
    TURN_UNTIL(door.listener.is_paused);
    assert_int_equal(door.count, 2);
    unsigned asked = gate.asked;
    turn_once();
    assert_int_equal(gate.asked, asked); /* a paused one does not spin */
    gate.places = 8;
    listener_resume(&door.listener);
    TURN_UNTIL(door.count == 3);
    turn_once();
    assert_true(gate.given_back > 0); /* an accept that found nobody */
    assert_false(door.listener.is_paused);
    assert_int_equal(listener_stalls(), stalls);
    int last = knock(&door);
    TURN_UNTIL(door.count == 4);
    close(last);
    for (size_t i = 0; i < COUNT(clients); i++)
        close(clients[i]);
    door_close(&door);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        turning(guests_come_in_ready_made),
        turning(a_turn_takes_no_more_than_its_share),
        turning(pausing_leaves_guests_in_the_queue),
        turning(it_may_be_closed_by_a_guest),
        turning(out_of_descriptors_is_a_pause_and_one_line),
        turning(ports_are_shared_only_when_asked),
        turning(both_families_fit_on_one_port),
        turning(only_a_dead_unix_socket_is_replaced),
        turning(whoever_is_asked_may_say_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
