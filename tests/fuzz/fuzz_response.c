/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_response.c: response heads. Input: one byte (its lowest bit: the answer is to HEAD), then the bytes of a head.
 * Holds:   what is accepted is clean, its framing follows from its status, and written out and read again it is the
 *          same. */
#include "http/h1.h"

#include <stdlib.h>

#define CHECK(condition) ((condition) ? (void)0 : abort())

static const struct h1_limits narrow = { .head_bytes = 4096, .fields = 50 };
static const struct h1_limits wide = { .head_bytes = 65536, .fields = 50 };

static void check_framing(const struct h1_response *response, bool to_head)
{
    bool is_bodiless = to_head || response->status < 200 || response->status == 204 || response->status == 304;

    CHECK(response->status >= 100 && response->status <= 599);
    CHECK((response->body == BODY_NONE) == is_bodiless);
    CHECK(response->body != BODY_UNTIL_CLOSE || !response->keep_alive);
    CHECK(response->body != BODY_CHUNKED || response->minor == 1);
    CHECK(response->body != BODY_LENGTH || response->has_length);
    CHECK(response->upgrade.n == 0 || response->status == 101);
}

static void write_and_read_again(const struct h1_response *response, const struct fields *fields, bool to_head,
                                 struct arena *arena)
{
    static char room[65536];
    struct out out = { .p = room, .room = sizeof room };
    struct h1_response again;
    struct h1_error error;
    struct fields read;

    h1_put_response(&out, response->status, response->reason, fields);
    CHECK(!out.full);
    fields_init(&read, arena);
    CHECK(h1_parse_response((str){ room, out.n }, &wide, to_head, arena, &read, &again, &error) == H1_DONE);
    CHECK(again.status == response->status && str_equal(again.reason, response->reason));
    CHECK(again.body == response->body && again.content_length == response->content_length);
    CHECK(again.has_length == response->has_length);
    if (response->minor == 1)
        CHECK(again.keep_alive == response->keep_alive && str_equal(again.upgrade, response->upgrade));
    CHECK(read.count == fields->count);
    for (uint32_t i = 0; i < read.count; i++) {
        CHECK(str_equal(read.items[i].name, fields->items[i].name));
        CHECK(str_equal(read.items[i].value, fields->items[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct h1_scan progress = { 0 };
    struct h1_response response;
    struct h1_error error;
    struct fields fields;
    struct arena *arena;
    size_t head_bytes;
    bool to_head;
    str text;

    if (size < 1 || !(arena = arena_create(8192, 0)))
        return 0;
    to_head = data[0] & 1;
    text = (str){ (const char *)data + 1, size - 1 };
    if (h1_scan(&progress, text.p, text.n, &narrow, &head_bytes, &error) == H1_DONE)
        text.n = head_bytes;
    fields_init(&fields, arena);
    if (h1_parse_response(text, &narrow, to_head, arena, &fields, &response, &error) == H1_DONE) {
        CHECK(field_value_is_valid(response.reason));
        check_framing(&response, to_head);
        for (uint32_t i = 0; i < fields.count; i++)
            CHECK(field_name_is_valid(fields.items[i].name) && field_value_is_valid(fields.items[i].value));
        write_and_read_again(&response, &fields, to_head, arena);
    } else {
        CHECK(error.status == 502 && error.why);
    }
    arena_destroy(arena);
    return 0;
}
