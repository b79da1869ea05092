/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket as its clients see it. The server behind it is played by the test. */
#include "../loop/turning.h"

#include "app/control/control.h"
#include "app/control/json.h"
#include "app/process/server.h"
#include "net/listener.h"
#include "upstream/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* -- the server ---------------------------------------------------------------------------------------------------- */

static struct {
    struct server_reload *reload;
    struct message *asked; /* of a worker */
    unsigned reloads, forgotten, stops, reopens;
    bool draining;
} server;

void server_reload(struct server_reload *reload)
{
    server.reload = reload;
    server.reloads++;
}

void server_reload_forget(struct server_reload *reload)
{
    assert_ptr_equal(reload, server.reload);
    server.reload = NULL;
    server.forgotten++;
}

void server_stop(void)
{
    server.stops++;
}

void server_drain(bool on)
{
    server.draining = on;
}

void server_reopen_logs(void)
{
    server.reopens++;
}

void server_upgrade(struct server_reload *reload)
{
    server_reload(reload);
}

void server_unquarantine(struct server_reload *reload, str module)
{
    assert_true(module.n > 0);
    server_reload(reload);
}

int server_change_upstream(const struct change_order *order, struct arena *arena, str *text)
{
    (void)arena;
    assert_true(order->upstream.n > 0 && order->verb.n > 0);
    *text = S("played");
    return 409;
}

void server_post_worker(struct message *message)
{
    server.asked = message;
}

void server_post_main(struct message *message)
{
    message->run(message);
}

void server_get_status(struct server_status *out)
{
    *out = (struct server_status){ .generation = 7, .workers = 4, .requests = 99, .draining = server.draining };
}

/* -- clients ------------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/weir-control-XXXXXX";
static struct addr address;
static char answer[64 * 1024];
static size_t answer_n;

static int open_control(void **state)
{
    char text[ADDR_TEXT];

    enter_worker(state);
    memset(&server, 0, sizeof(server));
    strcpy(folder, "/tmp/weir-control-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(text, sizeof(text), "unix:%s/socket", folder);
    assert_true(addr_parse(str_of(text), &address));
    int fd = listener_bind(&address, 64, false);
    assert_true(fd >= 0);
    assert_true(control_door.open(fd));
    return 0;
}

static int close_control(void **state)
{
    control_door.close();
    turn_once();
    unlink(address.un.sun_path);
    rmdir(folder);
    return leave_worker(state);
}

static int guest(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address.any, address.n), 0);
    answer_n = 0;
    answer[0] = '\0';
    return fd;
}

static void say(int fd, const char *text, size_t n)
{
    assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
}

/* Whether the server has closed its side; what came until then is in answer. */
static bool has_ended(int fd)
{
    ssize_t n;

    while ((n = recv(fd, answer + answer_n, sizeof(answer) - 1 - answer_n, 0)) > 0)
        answer_n += (size_t)n;
    answer[answer_n] = '\0';
    return n == 0 || errno != EAGAIN;
}

static void ask(const char *request)
{
    int fd = guest();

    say(fd, request, strlen(request));
    TURN_UNTIL(has_ended(fd));
    close(fd);
}

static int status(void)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

static str content(void)
{
    const char *end = strstr(answer, "\r\n\r\n");

    return end ? str_of(end + 4) : STR_NONE;
}

static uint64_t number(const char *name)
{
    str value;

    assert_true(json_member(content(), name, &value));
    return json_number(value);
}

#define HOST " HTTP/1.1\r\nHost: x\r\n"

static void answers_are_what_the_page_says(void **state)
{
    /* clang-format off */
    static const struct {
        const char *request;
        int status;
        const char *says;
    } rows[] = {
        { "GET /v1/status" HOST "\r\n", 200, "\"generation\":7," },
        { "GET /v1/modules" HOST "\r\n", 200, "{\"modules\":[" },
        { "GET /v1/status" HOST "Origin: https://evil.example\r\n\r\n", 403, "web pages" },
        { "POST /v1/stop" HOST "Origin: null\r\n\r\n", 403, "web pages" },
        { "GET /v1/nothing" HOST "\r\n", 404, "no such thing" },
        { "GET /" HOST "\r\n", 404, "no such thing" },
        { "POST /v1/status" HOST "\r\n", 405, "Allow: GET, HEAD\r\n" },
        { "GET /v1/reload" HOST "\r\n", 405, "Allow: POST\r\n" },
        { "HEAD /v1/stop" HOST "\r\n", 405, "Allow: POST\r\n" },
        { "GET /v1/status HTTP/1.1\r\n\r\n", 400, "error" }, /* no Host */
        { "nonsense\r\n\r\n", 400, "error" },
        { "POST /v1/reopen" HOST "Content-Length: 65537\r\n\r\n", 413, "64 KB" },
        { "POST /v1/reopen" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", 417, "at once" },
        { "POST /v1/reopen" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "error" },
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        ask(rows[i].request);
        assert_int_equal(status(), rows[i].status);
        assert_non_null(strstr(answer, rows[i].says));
        assert_non_null(strstr(answer, "Connection: close\r\n"));
    }
    assert_int_equal(server.stops + server.reopens + server.reloads, 0);
}

static void a_head_without_content_is_enough_for_head(void **state)
{
    (void)state;
    ask("HEAD /v1/status" HOST "\r\n");
    assert_int_equal(status(), 200);
    assert_int_equal(content().n, 0);
}

static void orders_are_carried_out(void **state)
{
    (void)state;
    ask("POST /v1/drain" HOST "Content-Length: 5\r\n\r\nhello"); /* content is dropped */
    assert_int_equal(status(), 200);
    assert_true(server.draining);
    assert_non_null(strstr(answer, "\"draining\":true"));
    ask("POST /v1/undrain" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert_int_equal(status(), 200);
    assert_false(server.draining);
    ask("POST /v1/reopen" HOST "\r\n");
    assert_int_equal(server.reopens, 1);
    ask("POST /v1/stop" HOST "\r\n");
    assert_int_equal(status(), 202);
    assert_non_null(strstr(answer, "\"stopping\":true"));
    assert_int_equal(server.stops, 1);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char request[] = "POST /v1/drain" HOST "Content-Length: 3\r\n\r\nabc";
    int fd = guest();

    (void)state;
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        say(fd, request + i, 1);
        for (int turns = 0; turns < 3; turns++)
            turn_once();
        assert_int_equal(server.draining, i == sizeof(request) - 2);
    }
    TURN_UNTIL(has_ended(fd));
    assert_int_equal(status(), 200);
    close(fd);
}

static void what_is_never_finished_is_refused(void **state)
{
    int fd = guest();

    (void)state;
    say(fd, "GET /v1/sta", 11);
    shutdown(fd, SHUT_WR);
    TURN_UNTIL(has_ended(fd));
    assert_int_equal(status(), 400);
    close(fd);
}

static void a_head_that_is_too_large_is_refused(void **state)
{
    static char request[20 * 1024];
    int fd = guest();

    (void)state;
    memset(request, 'a', sizeof(request));
    memcpy(request, "GET /v1/status" HOST "X: ", 37);
    say(fd, request, sizeof(request));
    TURN_UNTIL(has_ended(fd));
    assert_int_equal(status(), 431);
    close(fd);
}

/* -- reload -------------------------------------------------------------------------------------------------------- */

static void finish_reload(bool ok, const char *text)
{
    struct server_reload *reload = server.reload;

    TURN_UNTIL((reload = server.reload));
    server.reload = NULL;
    reload->done(reload, ok, str_of(text));
}

static void a_reload_is_answered_when_it_is_over(void **state)
{
    /* clang-format off */
    static const struct {
        const char *accept;
        bool ok;
        const char *text;
        int status;
        const char *content;
    } rows[] = {
        { "", true, "", 200, "{\"ok\":true,\"generation\":7,\"warnings\":\"\"}\n" },
        { "", false, "a:1:1: error: \"x\"\n", 422,
         "{\"ok\":false,\"generation\":7,\"errors\":\"a:1:1: error: \\\"x\\\"\\n\"}\n" },
        { "Accept: text/plain\r\n", true, "a: warning\n", 200, "a: warning\n" },
        { "Accept: text/plain\r\n", false, "a:1:1: error\n", 422, "a:1:1: error\n" },
        { "Accept: application/json, text/plain\r\n", false, "", 422, "" },
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char request[256];
        int n = snprintf(request, sizeof(request), "POST /v1/reload" HOST "%s\r\n", rows[i].accept);
        int fd = guest();
        say(fd, request, (size_t)n);
        TURN_UNTIL(server.reload);
        assert_false(has_ended(fd));
        assert_int_equal(answer_n, 0);
        finish_reload(rows[i].ok, rows[i].text);
        TURN_UNTIL(has_ended(fd));
        assert_int_equal(status(), rows[i].status);
        assert_string_equal(content().p, rows[i].content);
        close(fd);
    }
    assert_int_equal(server.forgotten, 0);
}

static void who_leaves_is_forgotten(void **state)
{
    int fd = guest();

    (void)state;
    say(fd, "POST /v1/reload" HOST "\r\n", strlen("POST /v1/reload" HOST "\r\n"));
    TURN_UNTIL(server.reload);
    close(fd);
    TURN_UNTIL(server.forgotten == 1);
}

/* -- explain ------------------------------------------------------------------------------------------------------- */

#define EXPLAIN "GET /v1/explain?method=GET&url=http://a.test/"

/* This thread is no worker, so it says that there is none any more. */
static void a_worker_answers_later(void **state)
{
    struct message *asked = NULL;
    int fd = guest();

    (void)state;
    say(fd, EXPLAIN HOST "\r\n", strlen(EXPLAIN HOST "\r\n"));
    TURN_UNTIL((asked = server.asked));
    server.asked = NULL;
    asked->run(asked);
    TURN_UNTIL(has_ended(fd));
    assert_int_equal(status(), 503);
    assert_string_equal(content().p, "{\"error\":\"the server is stopping\"}\n");
    close(fd);
}

static void an_answer_that_nobody_waits_for_is_dropped(void **state)
{
    struct message *asked = NULL;
    int fd = guest();

    (void)state;
    say(fd, EXPLAIN HOST "\r\n", strlen(EXPLAIN HOST "\r\n"));
    TURN_UNTIL((asked = server.asked));
    server.asked = NULL;
    close(fd);
    for (int i = 0; i < 3; i++)
        turn_once();
    asked->run(asked);
    ask("GET /v1/explain?method=GET" HOST "\r\n");
    assert_int_equal(status(), 400);
}

static void who_only_stops_sending_is_not(void **state)
{
    int fd = guest();

    (void)state;
    say(fd, "POST /v1/reload" HOST "\r\n", strlen("POST /v1/reload" HOST "\r\n"));
    shutdown(fd, SHUT_WR);
    TURN_UNTIL(server.reload);
    for (int turns = 0; turns < 5; turns++)
        turn_once();
    assert_int_equal(server.forgotten, 0);
    finish_reload(true, "");
    TURN_UNTIL(has_ended(fd));
    assert_int_equal(status(), 200);
    close(fd);
}

static void closing_forgets_all(void **state)
{
    int fd = guest();

    (void)state;
    say(fd, "POST /v1/reload" HOST "\r\n", strlen("POST /v1/reload" HOST "\r\n"));
    TURN_UNTIL(server.reload);
    control_door.close();
    assert_int_equal(server.forgotten, 1);
    TURN_UNTIL(has_ended(fd));
    assert_int_equal(answer_n, 0);
    close(fd);
}

/* -- many ---------------------------------------------------------------------------------------------------------- */

static void a_crowd_waits_its_turn(void **state)
{
    enum { SILENT = 32 };
    int silent[SILENT];

    (void)state;
    for (int i = 0; i < SILENT; i++)
        silent[i] = guest();
    for (int turns = 0; turns < 100; turns++)
        turn_once();
    int late = guest();
    say(late, "GET /v1/status" HOST "\r\n", strlen("GET /v1/status" HOST "\r\n"));
    for (int turns = 0; turns < 20; turns++)
        turn_once();
    assert_false(has_ended(late)); /* in the kernel's queue */
    close(silent[0]);
    TURN_UNTIL(has_ended(late));
    assert_int_equal(status(), 200);
    assert_int_equal(number("requests"), 99);
    close(late);
    for (int i = 1; i < SILENT; i++)
        close(silent[i]);
}

#define controlled(test) cmocka_unit_test_setup_teardown(test, open_control, close_control)

int main(void)
{
    const struct CMUnitTest tests[] = {
        controlled(answers_are_what_the_page_says),
        controlled(a_head_without_content_is_enough_for_head),
        controlled(orders_are_carried_out),
        controlled(a_request_may_come_byte_by_byte),
        controlled(what_is_never_finished_is_refused),
        controlled(a_head_that_is_too_large_is_refused),
        controlled(a_reload_is_answered_when_it_is_over),
        controlled(who_leaves_is_forgotten),
        controlled(a_worker_answers_later),
        controlled(an_answer_that_nobody_waits_for_is_dropped),
        controlled(who_only_stops_sending_is_not),
        controlled(closing_forgets_all),
        controlled(a_crowd_waits_its_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
