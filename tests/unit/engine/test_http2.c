/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP/2 clients of the whole engine: in any portions, with any allocation failing, and what they leave behind. */
#define _GNU_SOURCE 1
#include "frames.h"

#include "base/mem.h"
#include "http/websocket.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

enum { ORIGINS = 8 };

static const char config[] =
    "max_streams 8; site _ { listen 127.0.0.1:9000; proxy @ORIGIN@; route = /other { respond 200 other; } }\n";

static struct peer *origins[ORIGINS];
static unsigned origin_count;

/* Four streams: the origin's, an upload, our own, and one that is given up. */
static void put_script(struct frames *to)
{
    put_preface(to);
    put_head(to, HEAD_GET, "/1", 1, true);
    put_head(to, HEAD_POST, "/3", 3, false);
    put_frame(to, H2_DATA, 0, 3, "abc", 3);
    put_head(to, HEAD_GET, "/other", 5, true);
    put_head(to, HEAD_POST, "/7", 7, false);
    put_frame(to, H2_RST_STREAM, 0, 7, "\0\0\0\x08", 4);
    put_frame(to, H2_DATA, H2_FLAG_END_STREAM, 3, "def", 3);
}

/* Without an allocation: one of them is to fail, and not here. */
static bool has_request(struct peer *origin)
{
    peer_pull(origin);
    str text = { origin->got + origin->at, origin->n - origin->at };
    bool chunked = text.n && memmem(text.p, text.n, "chunked", 7);

    if (!str_has_suffix(text, chunked ? S("0\r\n\r\n") : S("\r\n\r\n")))
        return false;
    origin->at = origin->n;
    return true;
}

static void play_origins(void)
{
    struct peer *more;

    while ((more = origin_take())) {
        if (origin_count < ORIGINS)
            origins[origin_count++] = more;
        else
            peer_close(more);
    }
    for (unsigned i = 0; i < origin_count; i++) {
        if (origins[i]->fd >= 0 && has_request(origins[i]))
            peer_put(origins[i], OK2);
        if (origins[i]->ended && origins[i]->fd >= 0)
            peer_close(origins[i]);
    }
}

static void end(struct peer *client)
{
    if (client && client->fd >= 0)
        peer_close(client);
    play_origins();
    engine_advance(1000);
    engine_forget();
    engine_check_idle();
    engine_close_peers();
    origin_count = 0;
}

static void check(struct peer *client, bool must_answer)
{
    struct seen seen;

    peer_pull(client);
    for (uint32_t id = 1; id <= 5; id += 2) {
        assert_true(see(client, id, &seen));
        if (must_answer)
            assert_true(seen.ok && seen.ended && !seen.reset && seen.content == (id == 5 ? 5 : 2));
        else
            assert_true(seen.ended || seen.reset || seen.goaway || client->ended);
    }
}

static void answers(void **state)
{
    struct frames script = { .n = 0 };
    struct peer *client = client_open();

    (void)state;
    put_script(&script);
    peer_put_bytes(client, script.bytes, script.n);
    play_origins();
    check(client, true);
    end(client);
}

static void takes_any_split(void **state)
{
    struct frames script = { .n = 0 };

    (void)state;
    put_script(&script);
    for (size_t split = 0; split < script.n; split++) {
        struct peer *client = client_open();
        for (size_t at = 0; at < script.n;) {
            size_t n = split == 0 ? 1 : at == 0 ? split : script.n - at; /* the first time byte by byte */
            peer_put_bytes(client, script.bytes + at, n);
            at += n;
        }
        play_origins();
        check(client, true);
        end(client);
    }
}

static void fail_from(int64_t n, void (*how)(int64_t), bool *failed)
{
    struct frames script = { .n = 0 };

    put_script(&script);
    engine_forget();
    how(n);
    struct peer *client = client_open();
    peer_put_bytes(client, script.bytes, script.n);
    play_origins();
    *failed = mem_failures() > 0;
    mem_fail_after(-1);
    for (int i = 0; i < 6 && *failed; i++) {
        engine_advance(20000);
        play_origins();
    }
    check(client, !*failed);
    end(client);
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

static void goes_away_anywhere(void **state)
{
    struct frames script = { .n = 0 };

    (void)state;
    put_script(&script);
    for (size_t n = 0; n <= script.n; n++) {
        struct peer *client = client_open();
        peer_put_bytes(client, script.bytes, n);
        end(client);
    }
}

/* Streams that their client resets at once: no more requests are begun than there may be, and as many again. */
static void resets_that_come_at_once(void **state)
{
    struct frames script = { .n = 0 };
    struct peer *client = client_open();
    unsigned asked = 0;

    (void)state;
    put_preface(&script);
    for (uint32_t id = 1; id < 80; id += 2) {
        put_head(&script, HEAD_GET, "/1", id, true);
        put_frame(&script, H2_RST_STREAM, 0, id, "\0\0\0\x08", 4);
    }
    peer_put_bytes(client, script.bytes, script.n);
    while (origin_take())
        asked++;
    assert_in_range(asked, 1, 16);
    end(client);
}

static void websocket(void **state)
{
    struct frames script = { .n = 0 };
    struct heard m;
    struct seen seen;
    struct peer *client = client_open();

    (void)state;
    put_preface(&script);
    put_head(&script, HEAD_WEBSOCKET, "/chat", 1, false);
    put_frame(&script, H2_DATA, 0, 1, "early", 5);
    peer_put_bytes(client, script.bytes, script.n);
    struct peer *origin = origin_take();
    assert_non_null(origin);
    assert_true(request_next(origin, &m) && m.whole);
    assert_true(str_equal(m.method, S("GET")) && str_equal(heard_field(&m, "Upgrade"), S("websocket")));
    assert_int_equal(heard_field(&m, "Sec-WebSocket-Key").n, 24);
    char accept[WEBSOCKET_ACCEPT], answer[256];
    assert_true(websocket_answer(heard_field(&m, "Sec-WebSocket-Key"), accept));
    snprintf(answer, sizeof(answer), "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
             "Sec-WebSocket-Accept: %.*s\r\n\r\nhello", WEBSOCKET_ACCEPT, accept);
    peer_put(origin, answer);
    assert_true(peer_has(origin, "early"));
    peer_pull(client);
    assert_true(see(client, 1, &seen));
    assert_true(seen.ok && seen.content == 5 && !seen.ended);
    peer_close(origin);
    peer_pull(client);
    assert_true(see(client, 1, &seen));
    assert_true(seen.ended || seen.reset);
    end(client);
}

static int up(void **state)
{
    (void)state;
    engine_up(config);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(takes_any_split),
        cmocka_unit_test(goes_away_anywhere),
        cmocka_unit_test(resets_that_come_at_once),
        cmocka_unit_test(websocket),
        cmocka_unit_test(survives_any_failed_allocation),
        cmocka_unit_test(survives_memory_that_is_gone),
    };

    return cmocka_run_group_tests(tests, up, down);
}
