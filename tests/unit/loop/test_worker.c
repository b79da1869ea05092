/* SPDX-License-Identifier: BSD-2-Clause */
#include "turning.h"

#include "base/clock.h"
#include "base/mem.h"
#include "loop/io.h"
#include "loop/signals.h"
#include "loop/worker_state.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- deferred items ----------------------------------------------------------------------------------------------- */

struct step {
    struct deferred deferred;
    char name;
    struct step *next; /* deferred by this one */
    unsigned left;     /* times it defers itself again */
};
static char trace[64];

static void run_step(struct deferred *deferred)
{
    struct step *step = list_entry(deferred, struct step, deferred);
    size_t n = strlen(trace);
    if (n + 1 < sizeof(trace))
        trace[n] = step->name;
    if (step->next)
        worker_defer(&step->next->deferred);
    if (step->left) {
        step->left--;
        worker_defer(&step->deferred);
    }
}

static void step_init(struct step *step, char name)
{
    *step = (struct step){ .name = name };
    deferred_init(&step->deferred, run_step);
    memset(trace, 0, sizeof(trace));
}

static void deferred_items_run_once_in_order(void **state)
{
    (void)state;
    struct step a, b, c;
    step_init(&a, 'a');
    step_init(&b, 'b');
    step_init(&c, 'c');
    a.next = &c;
    worker_defer(&a.deferred);
    worker_defer(&b.deferred);
    worker_defer(&a.deferred); /* is there already */
    assert_string_equal(trace, "");
    turn_once();
    assert_string_equal(trace, "abc"); /* c in the same turn */
    turn_once();
    assert_string_equal(trace, "abc");
}

static void a_deferred_item_can_be_taken_out(void **state)
{
    (void)state;
    struct step a, b;
    step_init(&a, 'a');
    step_init(&b, 'b');
    worker_defer(&a.deferred);
    worker_defer(&b.deferred);
    list_remove(&a.deferred.link);
    turn_once();
    assert_string_equal(trace, "b");
}

/* One that defers itself for ever must not keep the loop from its descriptors, nor put it to sleep. */
static void endless_deferring_is_bounded_a_turn(void **state)
{
    (void)state;
    struct step a;
    step_init(&a, 'a');
    a.left = 20;
    worker_defer(&a.deferred);
    turn_once();
    assert_string_equal(trace, "aaaaaaaa");
    worker_turn(worker_self(), true);
    worker_turn(worker_self(), true);
    assert_string_equal(trace, "aaaaaaaaaaaaaaaaaaaaa");
}

/* --- mail --------------------------------------------------------------------------------------------------------- */

enum { SENDERS = 4, LETTERS = 2000 };

struct letter {
    struct message message;
    unsigned sender, number;
};
static unsigned received[SENDERS], received_in_all;
static struct worker *receiver;

static void read_letter(struct message *message)
{
    struct letter *letter = (struct letter *)(void *)message;
    assert_int_equal(letter->number, received[letter->sender]);
    received[letter->sender]++;
    received_in_all++;
    free(letter);
}

static void send_letter(unsigned sender, unsigned number)
{
    struct letter *letter = malloc(sizeof(*letter));
    assert_non_null(letter);
    *letter = (struct letter){ { NULL, read_letter }, sender, number };
    worker_post(receiver, &letter->message);
}

static void *send_letters(void *arg)
{
    for (unsigned i = 0; i < LETTERS; i++)
        send_letter((unsigned)(uintptr_t)arg, i);
    return NULL;
}

static void expect_mail(void **state)
{
    receiver = *state;
    memset(received, 0, sizeof(received));
    received_in_all = 0;
}

static void mail_of_several_threads_arrives_in_each_ones_order(void **state)
{
    expect_mail(state);
    pthread_t threads[SENDERS];
    for (size_t i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_letters, (void *)i), 0);
    TURN_UNTIL(received_in_all == SENDERS * LETTERS);
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
}

static void *send_three(void *arg)
{
    for (unsigned i = 0; i < 3; i++)
        send_letter(0, i);
    return arg;
}

static void only_the_first_letter_wakes(void **state)
{
    expect_mail(state);
    pthread_t thread;
    pthread_create(&thread, NULL, send_three, NULL);
    pthread_join(thread, NULL);
    uint64_t wakes = 0;
    assert_int_equal(read(receiver->wake_fd, &wakes, sizeof(wakes)), sizeof(wakes));
    assert_int_equal(wakes, 1);
    turn_once();
    assert_int_equal(received_in_all, 3);
}

static void mail_to_oneself_needs_no_wake(void **state)
{
    expect_mail(state);
    send_letter(0, 0);
    uint64_t wakes;
    assert_int_equal(read(receiver->wake_fd, &wakes, sizeof(wakes)), -1);
    assert_int_equal(errno, EAGAIN);
    worker_turn(receiver, true); /* does not sleep */
    assert_int_equal(received_in_all, 1);
}

static void late_mail_is_read_by_destroy(void **state)
{
    (void)state;
    struct worker *worker = worker_create(3);
    assert_non_null(worker);
    expect_mail((void **)&worker);
    send_letter(1, 0);
    worker_destroy(worker);
    assert_int_equal(received_in_all, 1);
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

struct witness {
    struct deferred last;
    bool up, down, last_ran;
    unsigned index;
    void *slot;
};

static void run_last(struct deferred *deferred)
{
    list_entry(deferred, struct witness, last)->last_ran = true;
}

static void on_up(struct worker *worker, void *arg)
{
    struct witness *witness = arg;
    assert_ptr_equal(worker, worker_self());
    witness->up = true;
    witness->index = worker_index(worker);
    worker_set_slot(worker, WORKER_SLOT_APP, witness);
}

static void on_down(struct worker *worker, void *arg)
{
    struct witness *witness = arg;
    witness->slot = worker_slot(worker, WORKER_SLOT_APP);
    witness->down = true;
    deferred_init(&witness->last, run_last);
    worker_defer(&witness->last); /* as whoever reaps at the end of the turn does */
}

static void a_thread_is_set_up_run_and_taken_down(void **state)
{
    (void)state;
    struct witness witness = { 0 };
    struct worker *worker = worker_create(7);
    assert_non_null(worker);
    expect_mail((void **)&worker);
    assert_int_equal(worker_start(worker, on_up, on_down, &witness), 0);
    send_letters((void *)0);
    worker_stop(worker);
    worker_join(worker);
    assert_true(witness.up && witness.down && witness.last_ran);
    assert_int_equal(witness.index, 7);
    assert_ptr_equal(witness.slot, &witness);
    assert_int_equal(received_in_all, LETTERS); /* what was posted before the stop is not lost */
    worker_destroy(worker);
    assert_null(worker_self());
}

static void creating_fails_cleanly_without_memory(void **state)
{
    (void)state;
    mem_fail_once_after(0);
    assert_null(worker_create(0));
    mem_fail_after(-1);
}

/* --- descriptors -------------------------------------------------------------------------------------------------- */

struct watch {
    struct io io;
    unsigned calls, ready; /* all bits so far */
    bool removes;
};

static void on_ready(struct io *io, unsigned ready)
{
    struct watch *watch = list_entry(io, struct watch, io);
    watch->calls++;
    watch->ready |= ready;
    if (watch->removes)
        io_remove(io);
}

static void edges_come_once(void **state)
{
    (void)state;
    int fds[2];
    struct watch watch = { 0 };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_true(io_add(&watch.io, fds[0], on_ready));
    turn_once();
    assert_int_equal(watch.ready, IO_WRITE);

    assert_int_equal(write(fds[1], "x", 1), 1);
    watch.calls = 0;
    TURN_UNTIL(watch.ready & IO_READ);
    turn_once();
    assert_int_equal(watch.calls, 1); /* although nobody read */

    shutdown(fds[1], SHUT_WR);
    TURN_UNTIL(watch.ready & IO_CLOSED);
    io_remove(&watch.io);
    io_remove(&watch.io); /* fine */
    close(fds[0]);
    close(fds[1]);
}

struct busy { /* when its descriptor is ready: one item for later, one for soon */
    struct io io;
    struct step later, soon;
    int fds[2];
};

static void defer_both(struct io *io, unsigned ready)
{
    struct busy *busy = list_entry(io, struct busy, io);
    (void)ready;
    worker_defer(&busy->later.deferred);
    worker_defer(&busy->soon.deferred);
    worker_defer_soon(&busy->soon.deferred);
    strcat(trace, "-");
}

static void busy_start(struct busy *busy, char later, char soon)
{
    step_init(&busy->later, later);
    step_init(&busy->soon, soon);
    assert_int_equal(pipe(busy->fds), 0);
    assert_true(io_add_level(&busy->io, busy->fds[0], defer_both));
    assert_int_equal(write(busy->fds[1], "x", 1), 1);
}

static void busy_end(struct busy *busy)
{
    io_remove(&busy->io);
    close(busy->fds[0]);
    close(busy->fds[1]);
}

static void what_is_for_soon_runs_before_the_next_descriptor(void **state)
{
    (void)state;
    struct busy first, second;
    busy_start(&first, 'A', 's');
    busy_start(&second, 'B', 's');
    first.soon.left = 1; /* what it defers again has the turn's end for it */
    memset(trace, 0, sizeof(trace));
    turn_once();
    assert_true(strcmp(trace, "-s-sABs") == 0 || strcmp(trace, "-s-sBAs") == 0 || strcmp(trace, "-s-sAsB") == 0 ||
                strcmp(trace, "-s-sBsA") == 0);
    busy_end(&first);
    busy_end(&second);
}

static void outside_of_descriptors_soon_is_first(void **state)
{
    (void)state;
    struct step a, b, c;
    step_init(&a, 'a');
    step_init(&b, 'b');
    step_init(&c, 'c');
    worker_defer(&a.deferred);
    worker_defer_soon(&b.deferred);
    worker_defer_soon(&c.deferred);
    list_remove(&c.deferred.link);
    turn_once();
    assert_string_equal(trace, "ba");
}

static void levels_come_until_paused(void **state)
{
    (void)state;
    int fds[2];
    struct watch watch = { 0 };
    assert_int_equal(pipe(fds), 0);
    assert_true(io_add_level(&watch.io, fds[0], on_ready));
    assert_int_equal(write(fds[1], "x", 1), 1);
    turn_once();
    turn_once();
    assert_int_equal(watch.calls, 2);
    io_pause(&watch.io);
    turn_once();
    assert_int_equal(watch.calls, 2);
    io_resume(&watch.io);
    turn_once();
    assert_int_equal(watch.calls, 3);
    watch.removes = true;
    turn_once();
    turn_once();
    assert_int_equal(watch.calls, 4);
    close(fds[0]);
    close(fds[1]);
}

static void watches_are_recycled(void **state)
{
    (void)state;
    int fds[2];
    struct watch watch = { 0 };
    assert_int_equal(pipe(fds), 0);
    assert_true(io_add(&watch.io, fds[0], on_ready));
    struct event *first = watch.io.event;
    io_remove(&watch.io);
    mem_fail_after(0); /* not needed any more */
    assert_true(io_add(&watch.io, fds[0], on_ready));
    mem_fail_after(-1);
    assert_ptr_equal(watch.io.event, first);
    io_remove(&watch.io);
    close(fds[0]);
    close(fds[1]);
}

static void no_watch_without_memory(void **state)
{
    (void)state;
    int fds[2];
    struct watch watch = { 0 };
    assert_int_equal(pipe(fds), 0);
    mem_fail_after(0);
    assert_false(io_add(&watch.io, fds[0], on_ready));
    mem_fail_after(-1);
    io_remove(&watch.io); /* fine */
    close(fds[1]);
    close(fds[0]);
}

/* --- clock and deadlines ------------------------------------------------------------------------------------------ */

static uint64_t seen_us;
static void note_clock(struct io *io, unsigned ready)
{
    (void)io;
    (void)ready;
    seen_us = clock_us();
}

static void the_clock_is_read_behind_the_wait(void **state)
{
    (void)state;
    int fds[2];
    struct watch watch = { 0 };
    assert_int_equal(pipe(fds), 0);
    assert_true(io_add_level(&watch.io, fds[0], note_clock));
    assert_int_equal(write(fds[1], "x", 1), 1);
    clock_set(1, 1); /* as if the wait had begun long ago */
    turn_once();
    assert_true(seen_us > 1);
    assert_int_equal(seen_us, clock_us()); /* the same for the whole turn */
    io_remove(&watch.io);
    close(fds[0]);
    close(fds[1]);
}

struct alarm_clock {
    struct deadline deadline;
    uint64_t rang_at;
    struct alarm_clock *cancels;
};

static void ring(struct deadline *deadline)
{
    struct alarm_clock *alarm_clock = list_entry(deadline, struct alarm_clock, deadline);
    alarm_clock->rang_at = clock_ms();
    if (alarm_clock->cancels)
        deadline_cancel(&alarm_clock->cancels->deadline);
}

static void deadlines_ring_in_real_time(void **state)
{
    (void)state;
    struct alarm_clock early = { 0 }, late = { 0 }, moved = { 0 }, cancelled = { 0 };
    struct alarm_clock *all[] = { &early, &late, &moved, &cancelled };
    for (size_t i = 0; i < COUNT(all); i++)
        deadline_init(&all[i]->deadline, ring);
    uint64_t start = clock_ms();
    deadline_set(&late.deadline, 120);
    deadline_set(&early.deadline, 10000);
    deadline_set(&early.deadline, 30); /* earlier */
    deadline_set(&moved.deadline, 30);
    deadline_set(&moved.deadline, 150); /* later */
    deadline_set(&cancelled.deadline, 60);
    late.cancels = &early; /* which rang before: fine */
    early.cancels = &cancelled;
    TURN_UNTIL(moved.rang_at && late.rang_at);
    assert_true(early.rang_at >= start + 30 && early.rang_at <= late.rang_at);
    assert_true(late.rang_at >= start + 120);
    assert_true(moved.rang_at >= start + 150);
    assert_int_equal(cancelled.rang_at, 0);
    assert_false(deadline_is_set(&cancelled.deadline));
}

/* A request's deadline is set and cancelled, moved later, set again: the timer stays as it is. */
static void a_busy_worker_leaves_its_timer_alone(void **state)
{
    struct worker *worker = *state;
    struct alarm_clock idle = { 0 }, busy = { 0 };
    deadline_init(&idle.deadline, ring);
    deadline_init(&busy.deadline, ring);
    deadline_set(&idle.deadline, 1000);
    uint64_t armed = worker->armed_for;
    assert_true(armed);
    for (unsigned i = 0; i < 1000; i++) {
        deadline_set(&busy.deadline, 60000 + i);
        deadline_set(&idle.deadline, 1000 + i);
        deadline_cancel(&busy.deadline);
    }
    assert_int_equal(worker->armed_for, armed);
    deadline_cancel(&idle.deadline);
}

static void the_longest_deadline_does_not_overflow(void **state)
{
    (void)state;
    struct alarm_clock never = { 0 };
    deadline_init(&never.deadline, ring);
    deadline_set(&never.deadline, UINT64_MAX);
    assert_true(deadline_is_set(&never.deadline));
    turn_once();
    assert_int_equal(never.rang_at, 0);
    deadline_cancel(&never.deadline);
}

/* --- signals ------------------------------------------------------------------------------------------------------ */

static void count_signal(int number, void *arg)
{
    unsigned *counts = arg;
    counts[number]++;
}

static void signals_are_callbacks(void **state)
{
    (void)state;
    unsigned counts[65] = { 0 }, others[65] = { 0 };
    assert_true(signal_watch(SIGUSR1, count_signal, counts));
    assert_true(signal_watch(SIGUSR2, count_signal, others));
    assert_true(signal_watch(SIGUSR2, count_signal, counts)); /* the later one holds */
    raise(SIGUSR1);
    raise(SIGUSR2);
    TURN_UNTIL(counts[SIGUSR1] == 1 && counts[SIGUSR2] == 1);
    assert_int_equal(others[SIGUSR2], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        turning(deferred_items_run_once_in_order),
        turning(a_deferred_item_can_be_taken_out),
        turning(endless_deferring_is_bounded_a_turn),
        turning(mail_of_several_threads_arrives_in_each_ones_order),
        turning(only_the_first_letter_wakes),
        turning(mail_to_oneself_needs_no_wake),
        cmocka_unit_test(late_mail_is_read_by_destroy),
        cmocka_unit_test(a_thread_is_set_up_run_and_taken_down),
        cmocka_unit_test(creating_fails_cleanly_without_memory),
        turning(edges_come_once),
        turning(what_is_for_soon_runs_before_the_next_descriptor),
        turning(outside_of_descriptors_soon_is_first),
        turning(levels_come_until_paused),
        turning(watches_are_recycled),
        turning(no_watch_without_memory),
        turning(the_clock_is_read_behind_the_wait),
        turning(deadlines_ring_in_real_time),
        turning(a_busy_worker_leaves_its_timer_alone),
        turning(the_longest_deadline_does_not_overflow),
        turning(signals_are_callbacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
