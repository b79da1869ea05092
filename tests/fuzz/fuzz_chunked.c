/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_chunked.c: chunked bodies. Input: how many cuts, that many lengths of pieces, then the bytes of a body.
 * Holds:   content, trailers, end and error are the same however the bytes arrive; written out as one chunk and read
 *          again they are the same once more. */
#include "http/h1.h"

#include <stdlib.h>

#define CHECK(condition) ((condition) ? (void)0 : abort())

static const struct h1_limits narrow = { .head_bytes = 1024, .fields = 20 };
static const struct h1_limits wide = { .head_bytes = 65536, .fields = 20 };

struct result {
    enum h1_event event;
    struct h1_error error;
    struct arena *arena;
    struct fields trailers;
    char *content;
    size_t n, used;
};

static bool begin(struct result *result, size_t most)
{
    *result = (struct result){ .arena = arena_create(1024, 0), .content = malloc(most + 1) };
    if (result->arena)
        fields_init(&result->trailers, result->arena);
    return result->arena && result->content;
}

static void end(struct result *result)
{
    arena_destroy(result->arena);
    free(result->content);
}

/* false: the body is at its end, or bad */
static bool feed(struct h1_body *body, const char *p, size_t n, struct result *result)
{
    do {
        size_t used = 0;
        str data;

        result->event = h1_body_feed(body, p, n, &used, &data, &result->error);
        CHECK(used <= n);
        if (result->event == H1_BODY_DATA) {
            CHECK(data.n > 0 && data.p >= p && data.p + data.n == p + used);
            memcpy(result->content + result->n, data.p, data.n);
            result->n += data.n;
        }
        p += used;
        n -= used;
        result->used += used;
    } while (result->event == H1_BODY_DATA);
    CHECK(result->event != H1_BODY_MORE || n == 0);
    return result->event == H1_BODY_MORE;
}

static void run(struct result *result, const struct h1_limits *limits, str text, const uint8_t *pieces, size_t count)
{
    struct h1_body body;

    h1_body_init(&body, BODY_CHUNKED, 0, limits, result->arena, &result->trailers);
    for (size_t i = 0; i < count; i++) {
        size_t n = pieces[i] < text.n ? pieces[i] : text.n;

        if (!feed(&body, text.p, n, result))
            return;
        text = str_from(text, n);
    }
    feed(&body, text.p, text.n, result);
    CHECK(body.received == result->n);
}

static void check_same(const struct result *a, const struct result *b)
{
    CHECK(a->event == b->event && a->n == b->n && memcmp(a->content, b->content, a->n) == 0);
    if (a->event == H1_BODY_BAD)
        CHECK(a->error.status == b->error.status && a->error.why == b->error.why);
    CHECK(a->trailers.count == b->trailers.count);
    for (uint32_t i = 0; i < a->trailers.count; i++) {
        const struct field *field = &a->trailers.items[i];

        CHECK(field_name_is_valid(field->name) && field_value_is_valid(field->value));
        CHECK(str_equal(field->name, b->trailers.items[i].name) && str_equal(field->value, b->trailers.items[i].value));
    }
}

static void write_and_read_again(const struct result *result)
{
    size_t room = 18 + result->n + 2 + 3 + h1_fields_size(&result->trailers) + 2;
    struct out out = { .p = malloc(room), .room = room };
    struct result again;
    char head[18];

    if (out.p && begin(&again, result->n)) {
        if (result->n) {
            out_bytes(&out, head, h1_put_chunk_head(head, result->n));
            out_bytes(&out, result->content, result->n);
            out_str(&out, S("\r\n"));
        }
        h1_put_trailers(&out, &result->trailers);
        CHECK(!out.full);
        run(&again, &wide, (str){ out.p, out.n }, NULL, 0);
        CHECK(again.used == out.n);
        check_same(result, &again);
        end(&again);
    }
    free(out.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole, cut;
    const uint8_t *pieces;
    size_t count;
    str text;

    if (size < 1)
        return 0;
    count = data[0] % 16u < size - 1 ? data[0] % 16u : size - 1;
    pieces = data + 1;
    text = (str){ (const char *)data + 1 + count, size - 1 - count };
    if (begin(&whole, text.n) && begin(&cut, text.n)) {
        run(&whole, &narrow, text, NULL, 0);
        run(&cut, &narrow, text, pieces, count);
        check_same(&whole, &cut);
        if (whole.event == H1_BODY_END) {
            CHECK(whole.used == cut.used);
            write_and_read_again(&whole);
        }
        end(&whole);
        end(&cut);
    }
    return 0;
}
