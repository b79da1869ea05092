/* SPDX-License-Identifier: BSD-2-Clause */
/* From a configuration's text to the bytes a client reads: what weir answers by itself. No port is opened. */
#include "from_text.h"

#include "../loop/turning.h"

#include "base/clock.h"

#include <poll.h>

static struct pipeline_worker *pw;
static struct worker *workers[1];

static int begin(void **state)
{
    if (make_folder(state) != 0)
        return -1;
    workers[0] = worker_create(0);
    assert_non_null(workers[0]);
    worker_enter(workers[0]);
    snapshots_init(workers[0], 1);
    configuration_free(bind_text("")); /* built-in modules are known when a worker comes up */
    pw = pipeline_worker_up(workers[0], 0);
    return pw ? 0 : -1;
}

static int end(void **state)
{
    sessions_close(pw);
    turn_once();
    pipeline_worker_down(pw);
    turn_once();
    worker_destroy(workers[0]);
    snapshots_finish();
    return remove_folder(state);
}

/* Up to the end. The loop does not know our end of the pair: it is turned without waiting, then the pair is polled. */
static void read_answer(int fd, char *answer, size_t room)
{
    struct pollfd readable = { .fd = fd, .events = POLLIN };
    uint64_t until = clock_us_now() + 10 * 1000000;
    ssize_t got = -1;
    size_t n = 0;

    while (got != 0 && clock_us_now() < until) {
        turn_once();
        if (poll(&readable, 1, 1) < 1)
            continue;
        got = read(fd, answer + n, room - 1 - n);
        n += got > 0 ? (size_t)got : 0;
    }
    answer[n] = 0;
    assert_int_equal(got, 0);
}

/* One connection to the point, one request, the whole answer. */
static const char *converse(const struct listen_point *point, const char *request)
{
    static char answer[16384];
    struct addr peer;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(write(fds[1], request, strlen(request)), strlen(request));
    assert_true(addr_parse(S("198.51.100.7:4321"), &peer));
    session_accept(point, fds[0], &peer);
    read_answer(fds[1], answer, sizeof(answer));
    close(fds[1]);
    return answer;
}

static const struct {
    const char *text, *key, *request;
    const char *status, *has, *body; /* has and body may be NULL */
} rows[] = {
    { "site a { listen 127.0.0.1:1; respond 200 \"hello $host\"; }", "127.0.0.1:1",
      "GET / HTTP/1.1\r\nHost: A:1\r\nConnection: close\r\n\r\n", "200 OK", "\r\nContent-Type: text/plain", "hello a" },
    { "site a { listen 127.0.0.1:1; respond 200 x; }", "127.0.0.1:1",
      "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200 OK", "\r\nContent-Length: 1\r\n", "" },
    { "site a { listen 127.0.0.1:1; respond 204; }", "127.0.0.1:1",
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "204 No Content", NULL, "" },
    { "site a { listen 127.0.0.1:1; respond 418 teapot; }", "127.0.0.1:1",
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "418 ", NULL, "teapot" },
    { "site a { listen 127.0.0.1:1; respond 200 outer; route / { respond 410; } error_page 410 gone.txt; }",
      "127.0.0.1:1", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "410 Gone",
      "\r\nContent-Type: text/plain; charset=utf-8\r\n",
      "it is gone" }, /* without a text of its own, from 400 on: the error page */
    { "site a { listen 127.0.0.1:1; redirect 301 /new$uri; }", "127.0.0.1:1",
      "GET /old?q=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "301 Moved Permanently",
      "\r\nLocation: /new/old?q=1\r\n", NULL },
    { "site a { listen 127.0.0.1:1; health; }", "127.0.0.1:1", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      "200 OK", "\r\nCache-Control: no-store\r\n", "ok\n" },
    { "site a { listen 127.0.0.1:1; respond 200 x; maintenance on retry_after=90s; }", "127.0.0.1:1",
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "503 Service Unavailable", "\r\nRetry-After: 90\r\n",
      NULL },
    { "site a { listen 127.0.0.1:1; respond 200 x; maintenance on bypass=192.0.2.0/24,198.51.100.0/24; }",
      "127.0.0.1:1", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200 OK", NULL, "x" },
    { "maintenance on; site a { listen 127.0.0.1:1; respond 200 x; route /up/ { maintenance off; } }", "127.0.0.1:1",
      "GET /up/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200 OK", NULL, "x" },
    { "site a { listen 127.0.0.1:1; respond 200 x; } error_page 404 gone.txt;", "127.0.0.1:1",
      "GET / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n", "404 Not Found", NULL,
      "it is gone" }, /* top-level scope */
    { "site a { listen 127.0.0.1:1; respond 200 x; }", "127.0.0.1:1", "GET / HTTP/1.0\r\n\r\n", "404 Not Found", NULL,
      NULL }, /* no Host and no _ */
    { "site a { listen 127.0.0.1:1; respond 200 x; } site _ { listen 127.0.0.1:1; respond 200 rest; }", "127.0.0.1:1",
      "GET / HTTP/1.0\r\n\r\n", "200 OK", NULL, "rest" },
    { "site a { listen 127.0.0.1:1; respond 200 x; }", "127.0.0.1:1", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
      "400 Bad Request", NULL, NULL },
    { "site a { listen 127.0.0.1:1; route /x { respond 200; } }", "127.0.0.1:1",
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "404 Not Found", NULL, NULL }, /* nothing serves it */
    { "max_headers 2; site a { listen 127.0.0.1:1; respond 200 x; }", "127.0.0.1:1",
      "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nConnection: close\r\n\r\n", "431 ", NULL, NULL },
    { "site a { listen 127.0.0.1:1; respond 200 x; max_body 3; }", "127.0.0.1:1",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nabcd", "413 ", NULL, NULL },
};

static void publish(struct configuration *c)
{
    struct snapshot *snapshot = c->snapshot;

    assert_true(snapshot_publish(snapshot, workers));
    TURN_UNTIL(snapshot_current() == snapshot);
}

static void assert_answer(size_t row, const char *answer, const char *status, const char *has, const char *body)
{
    const char *end_of_head = strstr(answer, "\r\n\r\n");

    if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || strncmp(answer + 9, status, strlen(status)) != 0 || !end_of_head)
        fail_msg("row %zu: expected %s, got:\n%s", row, status, answer);
    if (has && (!strstr(answer, has) || strstr(answer, has) > end_of_head))
        fail_msg("row %zu: no %s in:\n%s", row, has, answer);
    if (body)
        assert_string_equal(end_of_head + 4, body);
}

static void test_answers(void **state)
{
    (void)state;
    write_file("gone.txt", "it is gone");
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct configuration *c = bind_text(rows[i].text);
        const struct listen_point *point = point_of(c, rows[i].key);
        publish(c);
        assert_answer(i, converse(point, rows[i].request), rows[i].status, rows[i].has, rows[i].body);
    }
}

static void test_health_while_draining(void **state)
{
    struct configuration *c = bind_text("site a { listen 127.0.0.1:1; health; }");
    const struct listen_point *point = point_of(c, "127.0.0.1:1");
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

    (void)state;
    publish(c);
    pw->draining = true;
    assert_answer(0, converse(point, request), "503 Service Unavailable", NULL, "draining\n");
    pw->draining = false;
    assert_answer(1, converse(point, request), "200 OK", NULL, "ok\n");
}

/* Plain requests to a site with a certificate and without a `listen` of its own. */
static const struct {
    const char *text, *request, *status, *has;
} redirects[] = {
    { "", "GET /x?y HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n", "301 ", "\r\nLocation: https://a/x?y\r\n" },
    { "https_port 8443;", "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "301 ",
      "\r\nLocation: https://a:8443/x\r\n" },
    { "", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "308 ",
      "\r\nLocation: https://a/\r\n" },
    { "", "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "308 ", "\r\nLocation: https://a/\r\n" },
    { "", "GET / HTTP/1.0\r\n\r\n", "400 ", NULL }, /* there is nowhere to send it to */
    { "https_redirect off;", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200 ", NULL },
    { "trusted_proxies 198.51.100.0/24;",
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n", "200 ", NULL },
    { "", "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n", "301 ",
      NULL }, /* anybody can say so */
    { "maintenance on;", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "301 ", NULL },
};

static void test_the_way_to_https(void **state)
{
    const char *modules_dir = getenv("WEIR_MODULES");
    char path[512], text[1024];

    (void)state;
    snprintf(path, sizeof(path), "%s/tls.so", modules_dir ? modules_dir : "");
    if (access(path, R_OK) != 0)
        skip();
    for (size_t i = 0; i < COUNT(redirects); i++) {
        snprintf(text, sizeof(text),
                 "modules_dir %s; module tls; state_dir %s/state;\n"
                 "site a _ { tls_certificate internal; respond 200 x; }\n%s",
                 modules_dir, folder, redirects[i].text);
        struct configuration *c = bind_text(text);
        const struct listen_point *point = point_of(c, "0.0.0.0:80");
        publish(c);
        assert_answer(i, converse(point, redirects[i].request), redirects[i].status, redirects[i].has, NULL);
    }
}

/* Each snapshot that nobody uses any more is gone, and with it its configuration. */
static void test_snapshots_go(void **state)
{
    (void)state;
    publish(bind_text("site a { listen 127.0.0.1:1; respond 200 x; }"));
    turn_once();
    turn_once();
    assert_int_equal(snapshots_alive(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_health_while_draining),
        cmocka_unit_test(test_the_way_to_https),
        cmocka_unit_test(test_snapshots_go),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
