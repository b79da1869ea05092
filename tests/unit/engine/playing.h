/* SPDX-License-Identifier: BSD-2-Clause */
/* playing.h: what the tests of the engine say often: asks, answers, and what is expected of them. */
#ifndef TESTS_ENGINE_PLAYING_H
#define TESTS_ENGINE_PLAYING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define CONF_PROXY "site _ { listen 127.0.0.1:9000; proxy @ORIGIN@; }\n"
#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* The next response of a client is whole, has that status and, unless NULL, that content. */
static inline struct heard expect(struct peer *client, int status, const char *body)
{
    struct heard m;

    assert_true(response_next(client, false, &m));
    assert_false(m.bad);
    assert_int_equal(m.status, status);
    assert_true(m.whole);
    if (body)
        assert_string_equal(m.body.p, body);
    return m;
}

/* The same for what an origin received. */
static inline struct heard expect_request(struct peer *origin, const char *method, const char *target)
{
    struct heard m;

    assert_non_null(origin);
    assert_true(request_next(origin, &m));
    assert_false(m.bad);
    assert_true(m.whole);
    assert_true(str_equal(m.method, str_of(method)));
    assert_true(str_equal(m.target, str_of(target)));
    return m;
}

static inline void expect_nothing(struct peer *peer)
{
    peer_pull(peer);
    assert_false(peer->ended);
    assert_int_equal(peer->n, peer->at);
}

static inline void expect_end(struct peer *peer)
{
    peer_pull(peer);
    assert_true(peer->ended);
    assert_int_equal(peer->n, peer->at);
}

static inline void expect_field(const struct heard *m, const char *name, const char *value)
{
    str is = heard_field(m, name);

    assert_int_equal(is.n, strlen(value));
    assert_memory_equal(is.p ? is.p : "", value, is.n);
}

/* A client's request that has reached an origin. */
static inline struct peer *reach(struct peer *client, const char *request)
{
    peer_put(client, request);
    struct peer *origin = origin_take();
    assert_non_null(origin);
    return origin;
}

static inline int up_proxy(void **state)
{
    (void)state;
    engine_up(CONF_PROXY);
    return 0;
}

/* Every client goes away; then nothing may be left but idle upstream connections. */
static inline int down(void **state)
{
    (void)state;
    engine_down();
    return 0;
}

#endif
