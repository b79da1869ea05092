/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_conditions.c: Range, HTTP-date and conditional fields. Input: two bytes of a size, then lines: Range, If-Range,
 * If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since.
 * Holds:   ranges lie within the size and apart from each other; a date that was read is written back as one that reads
 *          the same; a tag matches itself. */
#include "base/clock.h"
#include "http/date.h"
#include "http/precondition.h"
#include "http/range.h"

#include <stdlib.h>

#define CHECK(condition) ((condition) ? (void)0 : abort())

enum { NOW = 1795000000, LAST = 253402300799 };

static void check_ranges(str field, uint64_t size)
{
    struct ranges ranges;

    if (ranges_read(field, size, &ranges) != RANGES_FOUND)
        return;
    CHECK(size > 0 && ranges.count > 0 && ranges.count <= RANGES_MOST);
    for (uint32_t i = 0; i < ranges.count; i++) {
        const struct range *a = &ranges.at[i];
        CHECK(a->first <= a->last && a->last < size);
        for (uint32_t k = 0; k < i; k++) {
            const struct range *b = &ranges.at[k];
            CHECK(a->first > b->last + RANGE_GAP || b->first > a->last + RANGE_GAP);
        }
    }
}

static void check_date(str text)
{
    char room[CLOCK_ROOM];
    uint64_t seconds, again;

    if (!http_date_read(text, NOW, &seconds))
        return;
    CHECK(seconds <= LAST + 1ull); /* a leap second at the very end */
    if (seconds <= LAST)
        CHECK(http_date_read(clock_format(CLOCK_HTTP_DATE, seconds, room), NOW, &again) && again == seconds);
}

static void check_conditions(struct arena *arena, const str *lines)
{
    static const enum field_id ids[] = { FIELD_IF_RANGE, FIELD_IF_MATCH, FIELD_IF_NONE_MATCH, FIELD_IF_MODIFIED_SINCE,
                                         FIELD_IF_UNMODIFIED_SINCE };
    struct validators validators = { S("\"a\""), 784111777, true };
    struct fields fields;

    fields_init(&fields, arena);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        if (lines[i].n)
            CHECK(fields_append(&fields, ids[i], field_name(ids[i]), lines[i]));
    enum precondition answer = precondition_judge(&fields, &validators, NOW);
    CHECK(answer == PRECONDITION_HOLDS || answer == PRECONDITION_NOT_MODIFIED || answer == PRECONDITION_FAILED);
    CHECK(answer == PRECONDITION_HOLDS || fields.count > 0);
    (void)precondition_allows_range(&fields, &validators, NOW);
    if (lines[1].n) {
        CHECK(fields_set_id(&fields, FIELD_IF_NONE_MATCH, validators.etag) &&
              (fields_remove_id(&fields, FIELD_IF_MATCH), fields_remove_id(&fields, FIELD_IF_UNMODIFIED_SINCE), true));
        CHECK(precondition_judge(&fields, &validators, NOW) == PRECONDITION_NOT_MODIFIED);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str lines[6] = { { 0 } };

    if (size < 2)
        return 0;
    str rest = { (const char *)data + 2, size - 2 };
    for (size_t i = 0; i < 6 && str_split(&rest, '\n', &lines[i]); i++)
        check_date(lines[i]);
    check_ranges(lines[0], (uint64_t)data[0] << 8 | data[1]);
    check_ranges(lines[0], UINT64_MAX / 4 + data[1]);
    struct arena *arena = arena_create(4096, 0);
    CHECK(arena);
    check_conditions(arena, lines + 1);
    arena_destroy(arena);
    return 0;
}
