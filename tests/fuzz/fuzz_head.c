/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_head.c: request heads. Input: one byte that says how the rest is cut, then the bytes of a head.
 * Holds:   the scan finds the same end or error however the bytes arrive; what is accepted is clean, and written out
 *          and read again it is the same request. */
#include "http/h1.h"
#include "http/media.h"

#include <stdlib.h>

#define CHECK(condition) ((condition) ? (void)0 : abort())

static const struct h1_limits narrow = { .head_bytes = 4096, .fields = 50 };
static const struct h1_limits wide = { .head_bytes = 65536, .fields = 51 };

static enum h1_rc scan(str text, size_t step, size_t *head_bytes, struct h1_error *error)
{
    struct h1_scan progress = { 0 };
    enum h1_rc rc = H1_MORE;

    for (size_t n = 0; rc == H1_MORE && n < text.n;) {
        n = step < text.n - n ? n + step : text.n;
        rc = h1_scan(&progress, text.p, n, &narrow, head_bytes, error);
    }
    return rc;
}

static void check_fields(const struct fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];

        CHECK(field_name_is_valid(field->name) && field_value_is_valid(field->value));
        CHECK(field->id == field_intern(field->name));
        CHECK(str_equal(str_trim(field->value), field->value));
        CHECK(quality_of(field->value, S("text/html")) <= 1000);
    }
}

static void check_same_fields(const struct fields *a, const struct fields *b)
{
    CHECK(a->count == b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        CHECK(str_equal(a->items[i].name, b->items[i].name) && str_equal(a->items[i].value, b->items[i].value));
        CHECK(a->items[i].id == b->items[i].id);
    }
}

static void check_same(const struct h1_request *a, const struct h1_request *b)
{
    CHECK(str_equal(a->method, b->method));
    CHECK(str_equal(a->uri.path, b->uri.path) && str_equal(a->uri.match, b->uri.match));
    CHECK(a->uri.has_query == b->uri.has_query && str_equal(a->uri.query, b->uri.query));
    CHECK(a->body == b->body && a->content_length == b->content_length);
    if (a->host.n)
        CHECK(str_equal(a->host, b->host) && a->host_port == b->host_port && str_equal(a->host_field, b->host_field));
    if (a->minor == 1)
        CHECK(a->keep_alive == b->keep_alive && a->expects_continue == b->expects_continue &&
              str_equal(a->upgrade, b->upgrade));
}

static void write_and_read_again(const struct h1_request *request, struct fields *fields, struct arena *arena)
{
    static char room[65536];
    struct out out = { .p = room, .room = sizeof room };
    struct h1_request again;
    struct h1_error error;
    struct fields read;

    if (request->host.n == 0) /* HTTP/1.0 without Host: what is sent on is HTTP/1.1 */
        CHECK(fields_set_id(fields, FIELD_HOST, S("host")));
    h1_put_request(&out, request->method, request->uri.path, request->uri.query, request->uri.has_query, fields);
    CHECK(!out.full);
    fields_init(&read, arena);
    CHECK(h1_parse_request((str){ room, out.n }, &wide, arena, &read, &again, &error) == H1_DONE);
    check_same(request, &again);
    check_same_fields(fields, &read);
}

static void check_hop_by_hop(struct fields *fields)
{
    uint32_t before = fields_count_id(fields, FIELD_HOST) + fields_count_id(fields, FIELD_CONTENT_LENGTH);

    fields_remove_hop_by_hop(fields);
    CHECK(!fields_find_id(fields, FIELD_CONNECTION) && !fields_find_id(fields, FIELD_TRANSFER_ENCODING));
    CHECK(fields_count_id(fields, FIELD_HOST) + fields_count_id(fields, FIELD_CONTENT_LENGTH) == before);
    check_fields(fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t head_bytes = 0, split_bytes = 0;
    struct h1_error error, split_error;
    struct h1_request request;
    struct fields fields;
    struct arena *arena;
    enum h1_rc rc;
    str text;

    if (size < 1 || !(arena = arena_create(8192, 0)))
        return 0;
    text = (str){ (const char *)data + 1, size - 1 };
    rc = scan(text, text.n, &head_bytes, &error);
    CHECK(scan(text, (size_t)data[0] + 1, &split_bytes, &split_error) == rc);
    if (rc == H1_BAD)
        CHECK(error.status == split_error.status && error.why == split_error.why);
    fields_init(&fields, arena);
    if (rc == H1_DONE) {
        CHECK(head_bytes == split_bytes);
        text.n = head_bytes;
    }
    /* the parser may be given anything, too */
    if (h1_parse_request(text, &narrow, arena, &fields, &request, &error) == H1_DONE) {
        CHECK(rc == H1_DONE || text.n >= narrow.head_bytes);
        check_fields(&fields);
        write_and_read_again(&request, &fields, arena);
        check_hop_by_hop(&fields);
    } else {
        CHECK(error.status >= 400 && error.status <= 505 && error.why);
    }
    arena_destroy(arena);
    return 0;
}
