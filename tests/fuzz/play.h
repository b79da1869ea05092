/* SPDX-License-Identifier: BSD-2-Clause */
/* play.h: what the fuzz targets of the whole engine have in common: origins that come up, bytes in any portions, and
 * the silence in which everything must end.
 *
 * Note:    included by one file of a program. */
#ifndef TESTS_FUZZ_PLAY_H
#define TESTS_FUZZ_PLAY_H

#include "../unit/engine/modules.h"

enum { PLAY_ORIGINS = 6, PLAY_TURNS = 20000 };

struct play_origins {
    struct peer *at[PLAY_ORIGINS];
    unsigned count;
};

static void settle(void)
{
    MUST(engine_turns(PLAY_TURNS) < PLAY_TURNS);
}

static void accept_origins(struct play_origins *origins)
{
    struct peer *origin;

    while ((origin = origin_take())) {
        if (origins->count < PLAY_ORIGINS)
            origins->at[origins->count++] = origin;
        else
            peer_close(origin);
    }
}

static void write_all(struct peer *peer, const void *p, size_t n)
{
    const uint8_t *from = p;

    for (size_t at = 0, done = 1; at < n && done; at += done) {
        done = peer_write(peer, from + at, n - at);
        settle();
    }
}

static void resume(unsigned how)
{
    static const weir_verdict verdicts[] = { WEIR_NEXT, WEIR_SKIP, WEIR_FAIL, WEIR_CLOSE, WEIR_REROUTE, WEIR_REPLY };

    weir_resume(token, verdicts[how % (sizeof(verdicts) / sizeof(verdicts[0]))]);
}

/* Nobody says anything more. A tunnel may live for an hour, and what it holds back comes out meanwhile. */
static void fall_silent(struct play_origins *origins)
{
    static const uint64_t steps[] = { 10, 35, 65, 80, 125, 3700, 3700, 3700 }; /* seconds */

    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        engine_advance(steps[i] * 1000);
    accept_origins(origins);
}

/* Everything was given back. */
static void leave_nothing(void)
{
    engine_undrain();
    engine_forget();
    engine_check_idle();
    engine_close_peers();
    engine_settle();
}

/* What an origin of HTTP/1.1 receives is strict. */
static __attribute__((unused)) void check_h1_origins(struct play_origins *origins)
{
    struct heard m;

    for (unsigned i = 0; i < origins->count; i++) {
        struct peer *origin = origins->at[i];
        peer_pull(origin);
        while (origin->at < origin->n && request_next(origin, &m)) {
            MUST(!m.bad);
            if (!m.whole || heard_field(&m, "Upgrade").p)
                break; /* raw bytes may follow */
        }
    }
}

#endif
