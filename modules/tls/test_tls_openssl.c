/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tls_openssl.c: against another program: `openssl s_client` as the client, `openssl s_server` as the origin. */
#define _GNU_SOURCE /* pipe2, accept4 */
#include "test_host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

static int setup(void **state)
{
    static const struct recipe recipes[] = {
        { .name = "ca", .subject = "Test CA", .is_ca = true, .last_day = 100 },
        { .name = "a", .subject = "a.example", .names = "DNS:a.example", .issuer = "ca", .last_day = 50 },
        { .name = "client", .subject = "alice", .issuer = "ca", .last_day = 50 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++)
        make_certificate(&recipes[i]);
    return 0;
}

/* -- a child with its standard input and output in our hands ------------------------------------------------------- */

struct child {
    pid_t pid;
    int in, out;
};

static struct child start(const char *const *arguments)
{
    struct child child;
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    child.pid = fork();
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(out[1], 2);
        unsetenv("LD_PRELOAD");
        execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    close(in[0]), close(out[1]);
    child.in = in[1];
    child.out = out[0];
    return child;
}

/* Output until it holds `wanted`; NULL: until its end. */
static void read_until(struct child *child, const char *wanted, char *text, size_t room)
{
    size_t n = strlen(text);

    while (wanted == NULL || strstr(text, wanted) == NULL) {
        struct pollfd ready = { .fd = child->out, .events = POLLIN };
        if (poll(&ready, 1, PATIENCE_MS) != 1)
            fail_msg("no \"%s\" in: %s", wanted != NULL ? wanted : "end", text);
        ssize_t got = read(child->out, text + n, room - n - 1);
        if (got <= 0 && wanted != NULL)
            fail_msg("no \"%s\" in: %s", wanted, text);
        if (got <= 0)
            return;
        n += (size_t)got;
        text[n] = 0;
        assert_true(n + 1 < room);
    }
}

static void stop(struct child *child)
{
    int status;

    if (child->in >= 0)
        close(child->in);
    close(child->out);
    kill(child->pid, SIGTERM);
    waitpid(child->pid, &status, 0);
}

static void wait_for(int fd, int answer)
{
    struct pollfd ready = { .fd = fd, .events = answer == WEIR_IO_WANT_WRITE ? POLLOUT : POLLIN };

    if (poll(&ready, 1, PATIENCE_MS) != 1)
        fail_msg("the other program is silent");
}

static int shake(void *state, int fd, weir_str *why)
{
    int rc;

    while ((rc = host_transport()->handshake(state, why)) == WEIR_IO_WANT_READ || rc == WEIR_IO_WANT_WRITE)
        wait_for(fd, rc);
    return rc;
}

static int64_t read_some(void *state, int fd, char *to, size_t n)
{
    weir_span span = { to, n };
    int64_t got;

    while ((got = host_transport()->readv(state, &span, 1)) == WEIR_IO_WANT_READ)
        wait_for(fd, WEIR_IO_WANT_READ);
    return got;
}

/* -- clients ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *what, *statements;
    const char *options[8];
    const char *shown; /* by s_client; NULL: no handshake */
    const char *why;   /* ours */
} clients[] = {
    { "TLS 1.3", "", { "-tls1_3" }, "TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256", NULL },
    { "TLS 1.2", "", { "-tls1_2" }, "TLSv1.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256", NULL },
    { "P-256 after a retry", "", { "-groups", "secp521r1:P-256" }, "Server Temp Key: ECDH, prime256v1", NULL },
    { "ALPN", "", { "-alpn", "h2,http/1.1" }, "ALPN protocol: h2", NULL },
    { "client certificate", "tls_client_ca ca.crt;tls_verify_client on",
      { "-cert", "client.crt", "-key", "client.key" }, "Verification: OK", NULL },
    { "names of acceptable CAs", "tls_client_ca ca.crt;tls_verify_client optional", { "-tls1_3" }, "CN = Test CA",
      NULL },
    { "no client certificate", "tls_client_ca ca.crt;tls_verify_client on", { "-tls1_2" }, NULL,
      "peer did not return a certificate" },
    { "untrusted server", "", { "-CAfile", "client.crt", "-verify_return_error" }, NULL, "tlsv1 alert unknown ca" },
    { "other server name", "", { "-servername", "b.example" }, NULL, "unknown server name b.example" },
};

static int listen_anywhere(uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static struct child start_client(size_t row, uint16_t port)
{
    static char target[32];
    const char *arguments[24] = { "openssl", "s_client", "-connect", target, "-ign_eof" };
    bool names_server = false, names_ca = false;
    int n = 5;

    snprintf(target, sizeof(target), "127.0.0.1:%u", port);
    for (int i = 0; i < 8 && clients[row].options[i] != NULL; i++) {
        const char *option = clients[row].options[i];
        names_server |= strcmp(option, "-servername") == 0;
        names_ca |= strcmp(option, "-CAfile") == 0;
        arguments[n++] = option[0] != '-' && strstr(option, "client.") != NULL ? in_dir(option) : option;
    }
    if (!names_server)
        arguments[n++] = "-servername", arguments[n++] = "a.example";
    if (!names_ca)
        arguments[n++] = "-CAfile", arguments[n++] = in_dir("ca.crt");
    return start(arguments);
}

static void serve_one(size_t row, void *state, int fd)
{
    weir_str why = { NULL, 0 }, answer = WEIR_S("pong from weir\n");
    char room[64];
    int rc = shake(state, fd, &why);

    if (clients[row].why != NULL) {
        assert_int_equal(rc, WEIR_IO_ERROR);
        if (why.n != strlen(clients[row].why) || memcmp(why.p, clients[row].why, why.n) != 0)
            fail_msg("%s: %.*s", clients[row].what, (int)why.n, why.p);
        return;
    }
    if (rc != 1)
        fail_msg("%s: %.*s", clients[row].what, (int)why.n, why.p);
    assert_int_equal(read_some(state, fd, room, sizeof(room)), 5);
    assert_memory_equal(room, "ping\n", 5);
    assert_int_equal(host_transport()->writev(state, &answer, 1), answer.n);
    assert_int_equal(host_transport()->shutdown(state), 1);
}

static void test_s_client(void **state)
{
    static char text[65536];

    (void)state;
    for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        weir_conf a = { 0 }, other = { 0 };
        weir_conf *sites[] = { &a, &other, NULL };
        char statements[128];
        uint16_t port;
        int listener = listen_anywhere(&port);
        snprintf(statements, sizeof(statements), "tls_certificate a.crt a.key;%s", clients[i].statements);
        assert_true(host_bind(&a, NULL, "a.example", statements));
        assert_true(host_bind(&other, NULL, "other.example", "tls_tickets off"));
        struct child child = start_client(i, port);
        wait_for(listener, WEIR_IO_WANT_READ);
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        assert_true(fd >= 0);
        weir_conn conn = { .sites = sites };
        conn.transport = host_transport()->accept(&conn, fd);
        assert_int_equal(write(child.in, "ping\n", 5), 5);
        serve_one(i, conn.transport, fd);
        host_transport()->close(conn.transport);
        close(fd);
        text[0] = 0;
        read_until(&child, NULL, text, sizeof(text));
        bool is_served = strstr(text, "pong from weir") != NULL;
        if (is_served != (clients[i].shown != NULL) || (is_served && strstr(text, clients[i].shown) == NULL))
            fail_msg("%s: %s", clients[i].what, text);
        stop(&child);
        close(listener);
        host_drop(&a), host_drop(&other);
    }
}

/* -- origins ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *what, *version, *name, *why;
} origins[] = {
    { "TLS 1.3", "-tls1_3", "a.example", NULL },
    { "TLS 1.2", "-tls1_2", "a.example", NULL },
    { "another name", "-tls1_3", "b.example", "certificate of b.example: name does not match" },
    { "too old", "-tls1_1", "a.example", "refused by a.example: tlsv1 alert protocol version" },
};

/* s_server says at which port it listens when that was left to the system. */
static uint16_t wait_for_port(struct child *child, char *text, size_t room)
{
    const char *said;

    read_until(child, "ACCEPT", text, room);
    read_until(child, "\n", text, room);
    said = strstr(text, "ACCEPT");
    said = strrchr(said, ':');
    assert_non_null(said);
    return (uint16_t)atoi(said + 1);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* One request; was the session resumed? s_server -www tells. */
static bool ask(void *prepared, uint16_t port)
{
    static char page[65536];
    weir_str why = { NULL, 0 }, request = WEIR_S("GET / HTTP/1.0\r\n\r\n");
    int fd = connect_to(port);
    void *state = host_transport()->open(prepared, fd);
    size_t n = 0;
    int64_t got;

    if (shake(state, fd, &why) != 1)
        fail_msg("%.*s", (int)why.n, why.p);
    assert_int_equal(host_transport()->writev(state, &request, 1), request.n);
    while ((got = read_some(state, fd, page + n, sizeof(page) - n - 1)) > 0)
        n += (size_t)got;
    page[n] = 0;
    assert_int_equal(got, WEIR_IO_EOF);
    assert_non_null(strstr(page, "HTTP/1.0 200 ok"));
    host_transport()->close(state);
    close(fd);
    return strstr(page, "Reused, ") != NULL;
}

static void expect_refusal(void *prepared, uint16_t port, const char *expected)
{
    weir_str why = { NULL, 0 };
    int fd = connect_to(port);
    void *state = host_transport()->open(prepared, fd);

    assert_int_equal(shake(state, fd, &why), WEIR_IO_ERROR);
    if (why.n != strlen(expected) || memcmp(why.p, expected, why.n) != 0)
        fail_msg("%.*s", (int)why.n, why.p);
    host_transport()->close(state);
    close(fd);
}

static void test_s_server(void **state)
{
    static char text[8192];

    (void)state;
    for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
        const char *arguments[] = { "openssl", "s_server", "-accept", "127.0.0.1:0", "-www", origins[i].version,
                                    "-cert", in_dir("a.crt"), "-key", in_dir("a.key"), "-cipher", "ALL:@SECLEVEL=0",
                                    NULL };
        struct weir_transport_wish wish = { .server_name = { origins[i].name, strlen(origins[i].name) },
                                            .ca_file = WEIR_S("ca.crt"), .verify = true, .alpn = WEIR_S("http/1.1") };
        weir_conf c = { 0 };
        struct child child = start(arguments);
        text[0] = 0;
        uint16_t port = wait_for_port(&child, text, sizeof(text));
        void *prepared = host_prepare(&c, wish);
        if (origins[i].why != NULL) {
            expect_refusal(prepared, port, origins[i].why);
        } else {
            assert_false(ask(prepared, port));
            assert_true(ask(prepared, port));
            assert_true(ask(prepared, port));
        }
        host_transport()->release(prepared);
        host_drop(&c);
        stop(&child);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_s_client),
        cmocka_unit_test(test_s_server),
    };
    int rc;

    if (system("openssl version >/dev/null 2>&1") != 0)
        return 77;
    signal(SIGPIPE, SIG_IGN); /* of the pipes; the transport needs no such help */
    host_start();
    rc = cmocka_run_group_tests_name("tls and openssl", tests, setup, NULL);
    host_stop();
    return rc;
}
