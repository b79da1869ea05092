/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/check_h2.h"

#include "base/clock.h"

enum { ARENA_CHUNK = 4096, ARENA_MOST = 256 * 1024, HEAD_MOST = 16 * 1024, FIELDS_MOST = 100, WINDOW = 65535,
       OUT_MOST = 64 * 1024, READ_ROOM = 16 * 1024 };

/* -- what the codec tells ------------------------------------------------------------------------------------------ */

#define check_of(h2_stream) list_entry(h2_stream, struct check_h2, stream)

static void on_response(struct h2_stream *stream, const struct h1_response *response)
{
    if (response->status >= 200)
        check_of(stream)->status = response->status;
}

static void on_data(struct h2_stream *stream, const uint8_t *p, size_t n)
{
    (void)stream; /* the status says it all */
    (void)p;
    (void)n;
}

static void on_end(struct h2_stream *stream)
{
    (void)stream;
}

static void on_broken(struct h2_stream *stream, const char *why)
{
    check_of(stream)->why = why;
}

static void on_closed(struct h2_stream *stream, uint32_t code)
{
    struct check_h2 *check = check_of(stream);

    (void)code;
    if (!check->status && !check->why)
        check->why = "stream reset by the server";
}

static void on_pong(void *owner)
{
    (void)owner;
}

static const struct h2_calls calls = { .response = on_response, .data = on_data, .end = on_end, .broken = on_broken,
                                       .closed = on_closed, .pong = on_pong };

/* -- one question -------------------------------------------------------------------------------------------------- */

static int fail(const char **why, const char *text)
{
    *why = text;
    return -1;
}

int check_h2_write(struct check_h2 *check, struct conn *conn, const char **why)
{
    if (!h2_produce(check->codec, &check->out, OUT_MOST))
        return fail(why, "no memory");
    if (check->out.n && conn_write_chain(conn, &check->out) == CONN_BROKEN)
        return fail(why, "connection broke while sending");
    return 0;
}

int check_h2_ask(struct check_h2 *check, struct conn *conn, str scheme, str authority, str path, const char **why)
{
    static const struct h2_limits limits = { .head = { HEAD_MOST, FIELDS_MOST }, .window = WINDOW };
    const struct h2_target target = { .method = S("GET"), .scheme = scheme, .authority = authority, .path = path };

    *check = (struct check_h2){ .codec = h2_create_client(&calls, check, &limits),
                                .arena = arena_create(ARENA_CHUNK, ARENA_MOST) };
    if (!check->codec || !check->arena)
        return fail(why, "no memory");
    chain_init(&check->out);
    fields_init(&check->fields, check->arena);
    fields_init(&check->trailers, check->arena);
    check->stream.arena = check->arena;
    check->stream.fields = &check->fields;
    check->stream.trailers = &check->trailers;
    if (!fields_append(&check->fields, FIELD_OTHER, S("user-agent"), S("weir-check")) ||
        !h2_request(check->codec, &check->stream, &target, &check->fields, true))
        return fail(why, "no memory");
    return check_h2_write(check, conn, why);
}

int check_h2_hear(struct check_h2 *check, struct conn *conn, const char **why)
{
    uint8_t bytes[READ_ROOM];

    while (conn_may_read(conn) && !check->status) {
        int64_t n = conn_read(conn, bytes, sizeof(bytes));
        if (n == CONN_AGAIN)
            break;
        if (n == CONN_EOF)
            return fail(why, "connection closed without a response");
        if (n < 0)
            return fail(why, conn->why ? conn->why : "connection broke");
        if (!h2_receive(check->codec, bytes, (size_t)n, clock_ms()))
            return fail(why, h2_why(check->codec));
        if (check->why)
            return fail(why, check->why);
    }
    return check->status ? check->status : check_h2_write(check, conn, why);
}

void check_h2_end(struct check_h2 *check)
{
    h2_destroy(check->codec);
    arena_destroy(check->arena);
    chain_clear(&check->out);
    *check = (struct check_h2){ 0 };
}
