/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "app/process/listening.h"

#include "base/log.h"
#include "base/mem.h"
#include "pipeline/crumb.h"
#include "net/listener.h"
#include "pipeline/overload.h"
#include "pipeline/session.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { WORKERS_MOST = CRUMBS_MOST };

struct seat { /* one worker's listener on one address; the worker's own once the message is sent */
    struct message opening, closing; /* a stop may come while the first is still in the mail */
    struct listener listener;
    const struct listen_point *point;
    int fd;
    bool is_open;
};

struct spot { /* one address */
    struct spot *next;
    char *key;
    int *fds; /* by worker; or one, shared */
    unsigned count;
    bool is_shared, is_wanted;
    struct seat **seats; /* by worker; NULL: not accepting */
};

static struct spot *spots;

static struct spot *spot_get(str key)
{
    for (struct spot *s = spots; s; s = s->next)
        if (str_equal(str_of(s->key), key))
            return s;
    struct spot *s = mem_zalloc(sizeof(*s));
    if (!s)
        return NULL;
    s->key = str_dup(key);
    s->fds = mem_array(WORKERS_MOST, sizeof(int));
    s->seats = mem_array(WORKERS_MOST, sizeof(struct seat *));
    if (!s->key || !s->fds || !s->seats) {
        mem_free(s->key);
        mem_free(s->fds);
        mem_free(s->seats);
        mem_free(s);
        return NULL;
    }
    s->next = spots;
    spots = s;
    return s;
}

void listening_receive(str index_and_key, int fd)
{
    size_t space = str_find(index_and_key, ' ');
    struct spot *s = spot_get(str_from(index_and_key, space + 1));

    if (!s || s->count >= WORKERS_MOST) {
        close(fd);
        return;
    }
    s->is_shared = index_and_key.p[0] == '-';
    s->fds[s->count++] = fd;
}

/* -- on the workers ------------------------------------------------------------------------------------------------ */

static void on_accept(struct listener *listener, int fd, const struct addr *peer)
{
    session_accept(((struct seat *)listener->owner)->point, fd, peer);
}

static void run_opening(struct message *message)
{
    struct seat *seat = list_entry(message, struct seat, opening);

    overload_watch(&seat->listener);
    seat->is_open = listener_open(&seat->listener, seat->fd, seat, on_accept);
    if (!seat->is_open)
        log_error("listen %.*s: no memory or descriptors on a worker", STR_ARG(seat->point->key));
}

static void run_closing(struct message *message)
{
    struct seat *seat = list_entry(message, struct seat, closing);

    overload_unwatch(&seat->listener);
    if (seat->is_open)
        listener_close(&seat->listener);
    else
        close(seat->fd);
    mem_free(seat);
}

/* -- on the main thread -------------------------------------------------------------------------------------------- */

static bool seat_open(struct spot *s, const struct listen_point *point, struct worker *worker, unsigned i)
{
    struct seat *seat = mem_zalloc(sizeof(*seat));

    if (!seat)
        return false;
    seat->fd = fcntl(s->fds[s->is_shared ? 0 : i], F_DUPFD_CLOEXEC, 3);
    if (seat->fd < 0) {
        mem_free(seat);
        return false;
    }
    seat->point = point;
    seat->opening.run = run_opening;
    seat->closing.run = run_closing;
    s->seats[i] = seat;
    worker_post(worker, &seat->opening);
    return true;
}

static void seat_close(struct spot *s, struct worker *worker, unsigned i)
{
    struct seat *seat = s->seats[i];

    s->seats[i] = NULL;
    if (seat)
        worker_post(worker, &seat->closing);
}

static void spot_free(struct spot *s)
{
    for (unsigned i = 0; i < s->count; i++)
        close(s->fds[i]);
    mem_free(s->fds);
    mem_free(s->seats);
    mem_free(s->key);
    mem_free(s);
}

static void drop_unwanted(struct worker *const *workers, unsigned count)
{
    for (struct spot **at = &spots; *at;) {
        struct spot *s = *at;
        if (s->is_wanted) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        for (unsigned i = 0; i < count; i++)
            seat_close(s, workers[i], i);
        spot_free(s);
    }
}

bool listening_apply(const struct configuration *c, struct worker *const *workers, unsigned count, char *why, size_t n)
{
    for (struct spot *s = spots; s; s = s->next)
        s->is_wanted = false;
    for (uint32_t k = 0; k < c->listen_count; k++) {
        const struct listen_point *point = c->listens[k].point;
        struct spot *s = spot_get(point->key);
        if (s && s->count == 0 && c->listens[k].is_implied)
            continue; /* the machine lacks the address family */
        if (!s || s->count < (s->is_shared ? 1 : count)) {
            snprintf(why, n, "listen %.*s: the supervisor gave no socket for it", STR_ARG(point->key));
            return false;
        }
        s->is_wanted = true;
        for (unsigned i = 0; i < count; i++)
            if (!s->seats[i] && !seat_open(s, point, workers[i], i)) {
                snprintf(why, n, "listen %.*s: no memory or descriptors", STR_ARG(point->key));
                return false;
            }
    }
    drop_unwanted(workers, count);
    return true;
}

void listening_stop(struct worker *const *workers, unsigned count)
{
    for (struct spot *s = spots; s; s = s->next)
        s->is_wanted = false;
    drop_unwanted(workers, count);
}

void listening_finish(void)
{
    while (spots) {
        struct spot *s = spots;
        spots = s->next;
        spot_free(s);
    }
}
