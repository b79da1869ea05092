/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "app/control/control_client.h"

#include "http/h1.h"
#include "net/addr.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

enum { SILENCE_S = 180, ANSWER_MOST = 16 * 1024 * 1024, HEAD_MOST = 16 * 1024 };

static bool fail(struct arena *arena, str *why, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static bool fail(struct arena *arena, str *why, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    *why = arena_vprintf(arena, fmt, ap);
    va_end(ap);
    if (!why->n)
        *why = S("no memory");
    return false;
}

static bool address_of(str path, struct addr *addr)
{
    *addr = (struct addr){ .n = sizeof(addr->un) };
    if (path.n == 0 || path.n >= sizeof(addr->un.sun_path))
        return false;
    addr->un.sun_family = AF_UNIX;
    memcpy(addr->un.sun_path, path.p, path.n);
    return true;
}

static int open_socket(str path, struct arena *arena, str *why)
{
    struct timeval silence = { .tv_sec = SILENCE_S };
    struct addr addr;

    if (!address_of(path, &addr)) {
        fail(arena, why, "%.*s: no path that a socket can have", STR_ARG(path));
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, &addr.any, addr.n) != 0) {
        const char *reason = errno == ECONNREFUSED ? "connection refused"
                             : errno == ENOENT     ? "no such file"
                             : errno == EACCES     ? "permission denied"
                                                   : strerror(errno);
        fail(arena, why, "no server answers on %.*s: %s", STR_ARG(path), reason);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence));
    return fd;
}

static bool send_all(int fd, str text)
{
    while (text.n) {
        ssize_t n = send(fd, text.p, text.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text = str_from(text, (size_t)n);
    }
    return true;
}

/* To its end: answers are closed by the server. */
static bool receive_all(int fd, char **text, size_t *n)
{
    size_t room = 0;

    *text = NULL;
    for (*n = 0;;) {
        if (*n == room) {
            room = room ? 4 * room : HEAD_MOST;
            char *more = room <= ANSWER_MOST ? realloc(*text, room) : NULL;
            if (!more) {
                errno = ENOMEM;
                return false;
            }
            *text = more;
        }
        ssize_t got = recv(fd, *text + *n, room - *n, 0);
        if (got == 0)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
        *n += got > 0 ? (size_t)got : 0;
    }
}

static bool read_reply(str text, struct arena *arena, struct control_reply *reply, str *why)
{
    static const struct h1_limits limits = { HEAD_MOST, 100 };
    struct h1_scan scan = { 0 };
    struct h1_error error = { 0 };
    struct h1_response response = { 0 };
    struct fields fields;
    size_t head_n;

    fields_init(&fields, arena);
    if (h1_scan(&scan, text.p, text.n, &limits, &head_n, &error) != H1_DONE ||
        h1_parse_response(str_upto(text, head_n), &limits, false, arena, &fields, &response, &error) != H1_DONE)
        return fail(arena, why, "what answers is no weir: %s", error.why ? error.why : "an incomplete answer");
    if (response.body != BODY_LENGTH || response.content_length != text.n - head_n)
        return fail(arena, why, "the answer was cut off");
    reply->status = response.status;
    reply->content = arena_str(arena, str_from(text, head_n));
    return reply->content.p || fail(arena, why, "no memory");
}

bool control_ask(str socket_path, const char *method, const char *path, const char *accept, struct arena *arena,
                 struct control_reply *reply, str *why)
{
    char *text = NULL;
    size_t n = 0;
    bool ok;
    str request = arena_printf(arena,
                               "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n",
                               method, path, accept);
    if (!request.p)
        return fail(arena, why, "no memory");
    int fd = open_socket(socket_path, arena, why);
    if (fd < 0)
        return false;
    if (!send_all(fd, request) || !receive_all(fd, &text, &n)) {
        bool is_late = errno == EAGAIN || errno == EWOULDBLOCK;
        ok = fail(arena, why, "the server on %.*s does not answer: %s", STR_ARG(socket_path),
                  is_late ? "nothing was heard for 180 s" : strerror(errno));
    } else if (n == 0) {
        ok = fail(arena, why, "the server on %.*s went away without an answer", STR_ARG(socket_path));
    } else {
        ok = read_reply((str){ text, n }, arena, reply, why);
    }
    free(text);
    close(fd);
    return ok;
}

bool control_answers(str socket_path)
{
    struct addr addr;
    int fd = address_of(socket_path, &addr) ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;

    if (fd < 0)
        return false;
    bool answers = connect(fd, &addr.any, addr.n) == 0 || errno == EAGAIN; /* EAGAIN: its queue is full */
    close(fd);
    return answers;
}
