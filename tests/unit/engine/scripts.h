/* SPDX-License-Identifier: BSD-2-Clause */
/* scripts.h: whole exchanges that can be played again and again with one thing different each time, and the judges of
 * what came of it.
 *
 * Shape:   begin_play, .client = client_open(), play_client (the origins are played along), judge_client, end_play.
 * Errors:  the judges fail the test: an answer must be the script's, a proper error of weir's own, or end visibly, and
 *          nothing may be left over. */
#ifndef TESTS_ENGINE_SCRIPTS_H
#define TESTS_ENGINE_SCRIPTS_H

#include "playing.h"

enum { ANSWERS = 3, ORIGINS = 8, SCRIPTS = 12 };

struct script {
    const char *name;
    const char *request;
    struct {
        const char *says; /* of the origin, to a request for /N; "" when the engine answers by itself */
        int status;
        const char *body;
    } answers[ANSWERS];
    bool is_tunnel; /* behind the first answer, "ping" must come back as "pong" */
};

extern const struct script scripts[SCRIPTS];

struct play {
    const struct script *script;
    struct peer *client;
    struct {
        struct peer *peer;
        unsigned answered; /* requests */
        bool ponged;
    } origins[ORIGINS];
    unsigned origin_count;
    size_t client_portion, origin_portion; /* bytes a write; 0: all */
    size_t client_split, origin_split;     /* first this many alone; 0: no such */
    size_t origin_cut;                     /* closes behind this many bytes of its first answer; SIZE_MAX: never */
    bool resets;                           /* and does so with bytes unread */
    bool was_cut;
};

struct play begin_play(const struct script *script);
void play_client(struct play *play, size_t n); /* sends the first n bytes of the request, and lets origins answer */
void play_origins(struct play *play);
/* exact: all answers are the script's, to the byte. Otherwise errors of weir's own and cut answers will do. */
void judge_client(struct play *play, bool exact);
void end_play(struct play *play); /* judges what origins were sent; everything ends by itself, and nothing is left */
void be_healthy(void);            /* a new client is served */
int scripts_up(void **state);     /* the engine, with the two modules of modules.h */

#endif
