/* SPDX-License-Identifier: BSD-2-Clause */
#include "modules.h"
#include "scripts.h"

const struct script scripts[SCRIPTS] = {
    { .name = "short answer",
      .request = "GET /0 HTTP/1.1\r\nHost: a\r\nAccept: x\r\n\r\n",
      .answers = { { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", 200, "hello" } } },
    { .name = "chunked both ways",
      .request = "POST /0 HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nX-Sum: 1\r\n\r\n",
      .answers = { { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 2\r\n\r\n",
                     200, "abcde" } } },
    { .name = "pipelined",
      .request = "GET /0 HTTP/1.1\r\nHost: a\r\n\r\nPUT /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n1234"
                 "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
      .answers = { { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none", 200, "one" },
                   { "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, "" },
                   { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n", 200, "three" } } },
    { .name = "tunnel",
      .request = "GET /0 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nping",
      .answers = { { "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                     101, "" } },
      .is_tunnel = true },
    { .name = "own answers",
      .request = "GET /0 HTTP/1.1\r\nHost: own\r\n\r\nGET /1 HTTP/1.1\r\nHost: own\r\n\r\n"
                 "GET /2 HTTP/1.1\r\nHost: own\r\nAccept: application/json\r\n\r\n",
      .answers = { { "", 200, "own" }, { "", 404, NULL }, { "", 404, NULL } } },
    { .name = "http/1.0",
      .request = "GET /0 HTTP/1.0\r\nHost: a\r\n\r\n",
      .answers = { { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello" } } },
    { .name = "many fields",
      .request = "GET /0?a=b HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\nH: 8\r\n"
                 "I: 9\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: keep-alive, a\r\n\r\n",
      .answers = { { "HTTP/1.1 404 No\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\nH: 8\r\nI: 9\r\n"
                     "Content-Length: 2\r\n\r\nno", 404, "no" } } },
    { .name = "hooks on a response",
      .request = "GET /0 HTTP/1.1\r\nHost: a\r\nX-Flow: upper\r\nX-Where: both\r\nX-Play: suspend-early\r\n\r\n",
      .answers = { { "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 11\r\n\r\nhello world", 200,
                     "HELLO WORLD" } } },
    { .name = "hooks on a request",
      .request = "PUT /0 HTTP/1.1\r\nHost: a\r\nX-Flow: swell\r\nX-Where: request\r\n"
                 "Content-Length: 14\r\n\r\n0123456789abcd",
      .answers = { { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello" } } },
    { .name = "a wait for the body",
      .request = "PUT /0 HTTP/1.1\r\nHost: a\r\nX-Play: wait-pass\r\nContent-Length: 14\r\n\r\n0123456789abcd",
      .answers = { { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello" } } },
    { .name = "another answer",
      .request = "GET /0 HTTP/1.1\r\nHost: a\r\nX-Play: rsp-reply\r\n\r\n",
      .answers = { { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 201, "other" } } },
    { .name = "another route",
      .request = "GET /0 HTTP/1.1\r\nHost: a\r\nX-Play: reroute\r\n\r\n",
      .answers = { { "", 200, "other" } } },
};

/* -- one play ------------------------------------------------------------------------------------------------------ */

static void put_in_portions(struct peer *peer, const char *p, size_t n, size_t first, size_t portion)
{
    for (size_t at = 0; at < n && !peer->broken;) {
        size_t part = at == 0 && first ? first : portion ? portion : n - at;
        if (part > n - at)
            part = n - at;
        peer_put_bytes(peer, p + at, part);
        at += part;
    }
}

static void answer(struct play *play, struct peer *origin, unsigned which)
{
    const char *says = play->script->answers[which].says;
    size_t n = strlen(says);

    if (play->origin_cut >= n || play->was_cut) {
        put_in_portions(origin, says, n, play->origin_split, play->origin_portion);
        return;
    }
    play->was_cut = true;
    put_in_portions(origin, says, play->origin_cut, 0, 0);
    play->resets ? peer_reset(origin) : peer_close(origin);
}

/* Answers every request whose target has come; the rest of it may follow. Without the server's memory, so that its
 * allocations alone are counted. */
static void play_origin(struct play *play, unsigned i)
{
    struct peer *origin = play->origins[i].peer;
    char target[16];
    unsigned seen = 0;

    if (origin->fd < 0)
        return;
    peer_pull(origin);
    for (const char *at = origin->n ? origin->got : NULL; at && (at = strstr(at, " /")); at++) {
        unsigned which = (unsigned)(at[2] - '0');
        snprintf(target, sizeof(target), " /%u", which);
        if (which >= ANSWERS || strncmp(at, target, 3) != 0 || !strstr(at, "\r\n\r\n") || !strstr(at, " HTTP/1.1\r\n"))
            continue;
        if (seen++ < play->origins[i].answered)
            continue;
        play->origins[i].answered++;
        answer(play, origin, which);
        if (origin->fd < 0)
            return;
    }
    if (play->script->is_tunnel && !play->origins[i].ponged && origin->n && strstr(origin->got, "ping")) {
        play->origins[i].ponged = true;
        peer_put(origin, "pong");
    }
}

void play_origins(struct play *play)
{
    struct peer *origin;

    for (unsigned round = 0; round < 6; round++) {
        while ((origin = origin_take())) {
            assert_true(play->origin_count < ORIGINS);
            play->origins[play->origin_count++].peer = origin;
        }
        for (unsigned i = 0; i < play->origin_count; i++)
            play_origin(play, i);
        engine_settle();
    }
}

void play_client(struct play *play, size_t n)
{
    const char *request = play->script->request;

    for (size_t at = 0; at < n && !play->client->broken;) {
        size_t portion = play->client_portion ? play->client_portion : n;
        size_t part = at == 0 && play->client_split ? play->client_split : portion;
        if (part > n - at)
            part = n - at;
        peer_put_bytes(play->client, request + at, part);
        at += part;
        play_origins(play);
    }
    play_origins(play);
}

/* -- what may come of it ------------------------------------------------------------------------------------------- */

static bool is_own_error(int status)
{
    return status == 500 || status == 502 || status == 503 || status == 504 || status == 408 || status == 400;
}

static bool body_is(const struct heard *m, const char *body)
{
    return !body || (m->body.n == strlen(body) && memcmp(m->body.p, body, m->body.n) == 0);
}

/* True: the answer is whole. False: the connection ended instead, and nothing more is to be expected of it. */
static bool judge_answer(struct play *play, unsigned i, bool exact)
{
    const struct script *script = play->script;
    struct heard m;

    do {
        if (!response_next(play->client, false, &m)) {
            assert_false(exact);
            assert_true(play->client->ended);
            return false;
        }
        if (!m.whole && !play->client->ended)
            print_error("%s: neither whole nor ended:\n%s\n", script->name, play->client->got);
        if (m.bad)
            print_error("%s: not HTTP:\n%s\n", script->name, play->client->got);
        assert_false(m.bad);
        assert_true(m.whole || play->client->ended);
    } while (m.whole && m.status >= 100 && m.status < 200 && m.status != 101);
    if (exact && m.status != script->answers[i].status)
        print_error("%s: %d\n", script->name, m.status);
    if (exact)
        assert_true(m.whole && m.status == script->answers[i].status);
    if (m.status != script->answers[i].status) {
        assert_true(is_own_error(m.status));
        return m.whole;
    }
    assert_true(m.whole ? body_is(&m, script->answers[i].body) : true);
    if (m.whole && script->is_tunnel) {
        str rest = { play->client->got + play->client->at, play->client->n - play->client->at };
        assert_true(exact ? str_equal(rest, S("pong")) : rest.n == 0 || str_has_prefix(S("pong"), rest));
        play->client->at = play->client->n;
    }
    return m.whole;
}

void judge_client(struct play *play, bool exact)
{
    const struct script *script = play->script;
    bool goes_on = true;

    for (unsigned i = 0; i < ANSWERS && script->answers[i].says && goes_on; i++)
        goes_on = judge_answer(play, i, exact);
    if (exact)
        assert_int_equal(play->client->at, play->client->n);
}

/* Whatever an origin was sent is strict HTTP/1.1, up to where it stops. */
static void judge_origins(struct play *play)
{
    struct heard m;

    for (unsigned i = 0; i < play->origin_count; i++) {
        struct peer *origin = play->origins[i].peer;
        if (origin->fd >= 0)
            peer_pull(origin);
        do {
            origin->ended = false; /* a request never ends with its connection */
            int fd = origin->fd;
            origin->fd = -1;
            bool is_one = origin->n > origin->at && request_next(origin, &m);
            origin->fd = fd;
            if (!is_one)
                break;
            assert_false(m.bad);
        } while (m.whole && !play->script->is_tunnel);
    }
}

/* Everything ends by itself; then the engine is as new. */
void end_play(struct play *play)
{
    judge_origins(play);
    peer_close(play->client);
    for (unsigned i = 0; i < play->origin_count; i++)
        if (play->origins[i].peer->fd >= 0)
            peer_close(play->origins[i].peer);
    engine_advance(4000);
    engine_forget();
    engine_check_idle();
    engine_close_peers();
}

void be_healthy(void)
{
    struct peer *client = client_open();
    struct peer *origin = reach(client, GET);

    peer_put(origin, OK2);
    expect(client, 200, "ok");
    peer_close(client);
    engine_forget();
    engine_check_idle();
    engine_close_peers();
}

struct play begin_play(const struct script *script)
{
    return (struct play){ .script = script, .origin_cut = SIZE_MAX };
}

int scripts_up(void **state)
{
    static bool added;

    (void)state;
    if (!added) {
        engine_add_module(&play_module);
        engine_add_module(&flow_module);
        added = true;
    }
    engine_up("site _ { listen 127.0.0.1:9000; proxy @ORIGIN@; route = /other { respond 200 other; } }\n"
              "site own { listen 127.0.0.1:9000; route = /0 { respond 200 own; } route = /1 { respond 404; } }\n");
    return 0;
}
