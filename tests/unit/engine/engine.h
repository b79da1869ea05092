/* SPDX-License-Identifier: BSD-2-Clause */
/* engine.h: the whole request engine on the caller's own thread, between clients and origins that the caller plays.
 *
 *     peer (client) <--socketpair--> sessions, pipeline, exchanges <--unix socket--> peer (origin)
 *
 * Shape:   nothing happens between two calls: engine_settle lets the worker turn until it is quiet, engine_advance
 *          moves the clock, which stands still otherwise. So a test never waits, and a run can be repeated exactly.
 * Owner:   one engine a process at a time; peers are its own and are closed with it.
 * Errors:  what the harness itself needs and does not get ends the program; what the engine does wrong is the caller's
 *          to find, but for engine_down, which ends the program when anything is left over.
 * Note:    link with -Wl,--wrap=clock_tick. */
#ifndef TESTS_ENGINE_ENGINE_H
#define TESTS_ENGINE_ENGINE_H

#include "http/h1.h"
#include "pipeline/session.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition)                                                                                                \
    ((condition) ? (void)0                                                                                             \
                 : (fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, __func__, #condition), abort()))

/* -- the engine ---------------------------------------------------------------------------------------------------- */

void engine_add_module(const struct weir_module *module); /* before engine_up; once a process and module */
/* Binds the text, in which every @ORIGIN@ stands for the address of the origin that the test plays (@ORIGIN2@ for a
 * second one, @NOBODY@ for one that refuses), and starts a worker. Clients come in by the first `listen`. */
void engine_up(const char *text);
void engine_reload(const char *text); /* the next requests see it */
void engine_down(void);               /* closes everything; ends the program when anything is left */
void engine_settle(void);             /* turns until nothing moves any more */
unsigned engine_turns(unsigned most); /* likewise, but at most so many; how many it took (most: it is still moving) */
bool engine_is_running(void);         /* what happens now is the engine's doing, not its player's */
void engine_advance(uint64_t ms);     /* the clock goes on, deadlines are told, and all settles */
void engine_drain(void);
void engine_undrain(void);
/* Free lists, spare arenas and idle upstream connections go: what runs next allocates as if it was the first. */
void engine_forget(void);
/* Nothing is under way: no connection, one snapshot, referenced by its worker alone, no buffer in use. */
void engine_check_idle(void);
void engine_close_peers(void);  /* all of them, and forgets what messages were heard */
uint64_t engine_blocks(void); /* bytes of buffers that are in use */

/* -- clients and origins ------------------------------------------------------------------------------------------- */

struct peer {
    struct peer *next;
    int fd;         /* -1: closed by us */
    bool ended;     /* the engine shut its side, or broke the connection */
    bool broken;    /* it was a reset */
    char *got;      /* everything that was received */
    size_t n, room;
    size_t at;      /* what has been looked at (request_next) */
};

struct peer *client_open(void);     /* and settles */
struct peer *client_open_tcp(void); /* over loopback: for what socketpairs cannot show, as resets */
struct peer *origin_take(void);     /* the next connection to @ORIGIN@; NULL when there is none */
struct peer *origin2_take(void);
size_t peer_write(struct peer *peer, const void *p, size_t n); /* how much the kernel took */
void peer_put(struct peer *peer, const char *text);            /* all of it, and settles */
void peer_put_bytes(struct peer *peer, const void *p, size_t n);
void peer_pull(struct peer *peer);  /* takes what has come */
size_t peer_skip(struct peer *peer, size_t most); /* the same, but only counts it; 0: nothing there */
void peer_shut(struct peer *peer);  /* shuts our sending side, and settles */
void peer_close(struct peer *peer); /* closes it, and settles */
void peer_reset(struct peer *peer); /* likewise, unread bytes or not: an RST (on unix sockets when bytes are unread) */
bool peer_has(struct peer *peer, const char *text); /* among everything received, after peer_pull */

/* -- messages ------------------------------------------------------------------------------------------------------ */

struct heard {
    int status;  /* of a response */
    bool whole;  /* to its very end */
    bool bad;    /* malformed, by the strict rules of http/ */
    str method, target;
    struct fields fields, trailers;
    enum body_kind kind;
    bool keep_alive;
    str body;    /* as much of it as came */
};

/* The next message behind peer->at, pulled first: a request (for an origin) or a response (for a client). False, and
 * all zero, while its head is not whole. A message that is not whole yet is not stepped over. Everything lies in an
 * arena that ends with the engine. */
bool request_next(struct peer *origin, struct heard *out);
bool response_next(struct peer *client, bool to_head, struct heard *out);
str heard_field(const struct heard *heard, const char *name);

#endif
