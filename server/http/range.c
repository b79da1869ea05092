/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/range.h"

/* 1*DIGIT; what does not fit is simply beyond every end. */
static bool read_offset(str digits, uint64_t *value)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return false;
        unsigned digit = (unsigned)(digits.p[i] - '0');
        sum = sum > (UINT64_MAX - digit) / 10 ? UINT64_MAX : sum * 10 + digit;
    }
    *value = sum;
    return digits.n > 0;
}

static bool is_near(const struct range *a, const struct range *b)
{
    uint64_t gap = a->first > b->last ? a->first - b->last : b->first > a->last ? b->first - a->last : 0;

    return gap <= RANGE_GAP;
}

/* Joins what it touches; the whole takes the place of the first of these. */
static void add_range(struct ranges *ranges, struct range more)
{
    uint32_t place = ranges->count;

    for (uint32_t i = 0; i < ranges->count; i++) {
        struct range *range = &ranges->at[i];
        if (!is_near(range, &more))
            continue;
        more.first = range->first < more.first ? range->first : more.first;
        more.last = range->last > more.last ? range->last : more.last;
        place = i < place ? i : place;
        memmove(range, range + 1, (ranges->count - i - 1) * sizeof(*range));
        ranges->count--;
        i = UINT32_MAX; /* it has grown and may touch others now */
    }
    memmove(&ranges->at[place + 1], &ranges->at[place], (ranges->count - place) * sizeof(more));
    ranges->at[place] = more;
    ranges->count++;
}

/* int-range or suffix-range. False: malformed. *fits: within size. */
static bool read_spec(str spec, uint64_t size, struct range *range, bool *fits)
{
    size_t dash = str_find(spec, '-');
    str before = str_upto(spec, dash), behind = str_from(spec, dash + 1);
    uint64_t first, last = UINT64_MAX;

    if (dash == spec.n || (behind.n && !read_offset(behind, &last)))
        return false;
    if (before.n == 0) {
        *range = (struct range){ last < size ? size - last : 0, size - 1 };
        *fits = last > 0;
        return behind.n > 0;
    }
    if (!read_offset(before, &first) || first > last)
        return false;
    *range = (struct range){ first, last < size ? last : size - 1 };
    *fits = first < size;
    return true;
}

enum ranges_verdict ranges_read(str field, uint64_t size, struct ranges *out)
{
    size_t equals = str_find(field, '=');
    str rest = str_from(field, equals + 1), spec;
    struct ranges found = { .count = 0 };
    uint32_t specs = 0;

    if (size == 0 || equals == field.n || !str_equal_nocase(str_upto(field, equals), S("bytes")))
        return RANGES_IGNORED;
    while (str_split(&rest, ',', &spec)) {
        struct range range;
        bool fits;
        spec = str_trim(spec);
        if (spec.n == 0) /* RFC 9110 5.6.1: empty elements of a list are passed over */
            continue;
        if (++specs > RANGES_MOST || !read_spec(spec, size, &range, &fits))
            return RANGES_IGNORED;
        if (fits)
            add_range(&found, range);
    }
    if (specs == 0)
        return RANGES_IGNORED;
    if (found.count == 0)
        return RANGES_NOT_SATISFIABLE;
    *out = found;
    return RANGES_FOUND;
}
