/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/house/file_answer.h"
#include "base/clock.h"
#include "base/hash.h"
#include "http/precondition.h"
#include "http/range.h"

#include <unistd.h>

/* A file's times have the granularity of the kernel's tick: one that was written just now may change again without a
 * new one. */
enum { SETTLED_MS = 2000 };

struct answer { /* while it is put together */
    struct weir_req *r;
    struct chain_file *file; /* NULL for HEAD */
    struct chain content;
    uint64_t size; /* of the file */
    uint64_t length; /* of the content */
    str media_type;
};

/* -- validators ---------------------------------------------------------------------------------------------------- */

static uint64_t modified_ms(const struct stat *st)
{
    return st->st_mtim.tv_sec > 0 ? (uint64_t)st->st_mtim.tv_sec * 1000 + (uint64_t)st->st_mtim.tv_nsec / 1000000 : 0;
}

/* The inode tells apart what was put in another's place with its time kept (cp -p, packages with one time for all). */
static bool read_validators(struct arena *arena, const struct stat *st, struct validators *validators)
{
    uint64_t now = clock_wall_ms(), modified = modified_ms(st);
    bool settled = modified + SETTLED_MS <= now;

    validators->etag =
        arena_printf(arena, "%s\"%llx.%lx-%llx-%llx\"", settled ? "" : "W/", (unsigned long long)st->st_mtim.tv_sec,
                     (unsigned long)st->st_mtim.tv_nsec, (unsigned long long)st->st_size,
                     (unsigned long long)st->st_ino);
    /* RFC 9110 8.8.2.1: not later than Date */
    validators->modified = (modified < now ? modified : now) / 1000;
    validators->modified_is_strong = settled;
    return validators->etag.p != NULL;
}

static bool put_validators(struct weir_req *r, const struct validators *validators, bool with_date)
{
    char room[CLOCK_ROOM];

    if (!fields_set_id(&r->rsp, FIELD_ETAG, validators->etag))
        return false;
    if (!with_date)
        return true;
    str date = arena_str(r->arena, clock_format(CLOCK_HTTP_DATE, validators->modified, room));
    return date.p && fields_set_id(&r->rsp, FIELD_LAST_MODIFIED, date) &&
           fields_set_id(&r->rsp, FIELD_ACCEPT_RANGES, S("bytes"));
}

/* -- content ------------------------------------------------------------------------------------------------------- */

static bool put_bytes(struct answer *answer, struct range range)
{
    uint64_t n = range.last - range.first + 1;

    answer->length += n;
    return !answer->file || chain_append_file(&answer->content, answer->file, range.first, n);
}

static bool put_text(struct answer *answer, str text)
{
    answer->length += text.n;
    return text.p && (!answer->file || chain_append_copy(&answer->content, text.p, text.n));
}

static str content_range(const struct answer *answer, struct range range)
{
    return arena_printf(answer->r->arena, "bytes %llu-%llu/%llu", (unsigned long long)range.first,
                        (unsigned long long)range.last, (unsigned long long)answer->size);
}

static bool put_whole(struct answer *answer)
{
    return fields_set_id(&answer->r->rsp, FIELD_CONTENT_TYPE, answer->media_type) &&
           (answer->size == 0 || put_bytes(answer, (struct range){ 0, answer->size - 1 }));
}

static bool put_one_range(struct answer *answer, struct range range)
{
    str where = content_range(answer, range);

    return where.p && fields_set_id(&answer->r->rsp, FIELD_CONTENT_RANGE, where) &&
           fields_set_id(&answer->r->rsp, FIELD_CONTENT_TYPE, answer->media_type) && put_bytes(answer, range);
}

/* RFC 9110 14.6; each part says its type and its place. */
static bool put_parts(struct answer *answer, const struct ranges *ranges)
{
    struct arena *arena = answer->r->arena;
    uint64_t boundary[2];

    random_bytes(boundary, sizeof(boundary)); /* nothing that could stand in the file on purpose */
    str mark = arena_printf(arena, "%016llx%016llx", (unsigned long long)boundary[0], (unsigned long long)boundary[1]);
    str type = mark.p ? arena_printf(arena, "multipart/byteranges; boundary=%.*s", STR_ARG(mark)) : STR_NONE;
    if (!type.p || !fields_set_id(&answer->r->rsp, FIELD_CONTENT_TYPE, type))
        return false;
    for (uint32_t i = 0; i < ranges->count; i++) {
        str where = content_range(answer, ranges->at[i]);
        str head = !where.p ? STR_NONE
                            : arena_printf(arena, "%s--%.*s\r\nContent-Type: %.*s\r\nContent-Range: %.*s\r\n\r\n",
                                           i ? "\r\n" : "", STR_ARG(mark), STR_ARG(answer->media_type),
                                           STR_ARG(where));
        if (!put_text(answer, head) || !put_bytes(answer, ranges->at[i]))
            return false;
    }
    return put_text(answer, arena_printf(arena, "\r\n--%.*s--\r\n", STR_ARG(mark)));
}

static weir_verdict refuse_range(struct weir_req *r, uint64_t size)
{
    weir_verdict verdict = request_refuse(r, 416, "range beyond the file's end");
    str where = arena_printf(r->arena, "bytes */%llu", (unsigned long long)size);

    return where.p && fields_set_id(&r->rsp, FIELD_CONTENT_RANGE, where) ? verdict : WEIR_FAIL;
}

/* -- the answer ---------------------------------------------------------------------------------------------------- */

/* Range is defined for GET only (RFC 9110 14.2); two of them are none. */
static enum ranges_verdict wanted_ranges(struct weir_req *r, const struct validators *validators, uint64_t size,
                                         struct ranges *ranges)
{
    if (r->is_head || fields_count_id(&r->fields, FIELD_RANGE) != 1 ||
        !precondition_allows_range(&r->fields, validators, clock_wall_ms() / 1000))
        return RANGES_IGNORED;
    return ranges_read(str_trim(fields_get(&r->fields, FIELD_RANGE)), size, ranges);
}

static weir_verdict send_content(struct answer *answer, const struct validators *validators)
{
    struct weir_req *r = answer->r;
    struct ranges ranges;
    enum ranges_verdict verdict = wanted_ranges(r, validators, answer->size, &ranges);
    bool fine;

    if (verdict == RANGES_NOT_SATISFIABLE)
        return refuse_range(r, answer->size);
    if (verdict == RANGES_IGNORED)
        fine = put_whole(answer);
    else
        fine = ranges.count == 1 ? put_one_range(answer, ranges.at[0]) : put_parts(answer, &ranges);
    if (!fine || !put_validators(r, validators, true))
        return WEIR_FAIL;
    return request_reply_content(r, verdict == RANGES_FOUND ? 206 : 200, &answer->content, answer->length);
}

static weir_verdict choose(struct answer *answer, const struct stat *st)
{
    struct weir_req *r = answer->r;
    struct validators validators;
    struct chain nothing;

    if (!read_validators(r->arena, st, &validators))
        return WEIR_FAIL;
    switch (precondition_judge(&r->fields, &validators, clock_wall_ms() / 1000)) {
    case PRECONDITION_FAILED:
        return request_refuse(r, 412, "a condition of the request does not hold");
    case PRECONDITION_NOT_MODIFIED:
        chain_init(&nothing);
        return put_validators(r, &validators, false) ? request_reply_content(r, 304, &nothing, 0) : WEIR_FAIL;
    default:
        return send_content(answer, &validators);
    }
}

weir_verdict file_answer(struct weir_req *r, int fd, const struct stat *st, str media_type)
{
    struct answer answer = { .r = r, .size = st->st_size > 0 ? (uint64_t)st->st_size : 0, .media_type = media_type };
    struct chain_file *file = chain_file_create(fd);

    if (!file) {
        close(fd);
        return WEIR_FAIL;
    }
    chain_init(&answer.content);
    answer.file = r->is_head ? NULL : file;
    weir_verdict verdict = choose(&answer, st);
    chain_clear(&answer.content); /* empty when it is on its way */
    chain_file_unref(file);
    return verdict;
}
