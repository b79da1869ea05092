/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/control/control_why.h"

#include "app/control/control_answer.h"
#include "app/house/why.h"
#include "base/mem.h"
#include "http/uri.h"

enum { LIMIT_DEFAULT = 20, LIMIT_MOST = 1000, ID_MOST = 128, MEMORY_CHUNK = 64 * 1024 };

static const str root = WEIR_S("/v1/why");

struct wanted {
    str id; /* empty: a list */
    uint64_t limit;
    bool only_refused;
};

bool control_why_is(str path)
{
    return str_has_prefix(path, root) && (path.n == root.n || path.p[root.n] == '/');
}

/* -- the question -------------------------------------------------------------------------------------------------- */

/* What identify.c lets pass as one. */
static bool is_id(str id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!isalnum((unsigned char)id.p[i]) && (!id.p[i] || !strchr("-_.:+/=@", id.p[i])))
            return false;
    return id.n > 0 && id.n <= ID_MOST;
}

static const char *read_pair(str pair, struct arena *arena, struct wanted *wanted)
{
    if (str_equal(pair, S("refused"))) {
        wanted->only_refused = true;
        return NULL;
    }
    if (str_has_prefix(pair, S("limit="))) {
        bool fine = str_to_u64(str_from(pair, 6), &wanted->limit) && wanted->limit >= 1 && wanted->limit <= LIMIT_MOST;
        return fine ? NULL : "limit: 1 to 1000";
    }
    if (!str_has_prefix(pair, S("id=")) || wanted->id.n)
        return "what is known: /v1/why/ID, or /v1/why?id=ID, ?limit=N and ?refused";
    wanted->id = uri_decode(str_from(pair, 3), arena);
    return wanted->id.n ? NULL : "id: it is empty, or an escape is broken";
}

static const char *read_question(str path, str query, struct arena *arena, struct wanted *wanted)
{
    str rest = str_from(path, root.n + 1), pair;

    *wanted = (struct wanted){ .limit = LIMIT_DEFAULT };
    if (rest.n && !(wanted->id = uri_decode(rest, arena)).n)
        return "an escape is broken";
    while (query.n && str_split(&query, '&', &pair)) {
        const char *why = read_pair(pair, arena, wanted);
        if (why)
            return why;
    }
    if (wanted->id.n && !is_id(wanted->id))
        return "a request id has 1 to 128 of the characters A-Z a-z 0-9 - _ . : + / = @";
    return NULL;
}

/* -- the answer ---------------------------------------------------------------------------------------------------- */

static int refuse(struct out *answer, int status, const char *why)
{
    return why && answer_make(answer, answer_error, why) ? status : 0;
}

static int refuse_unknown(const struct wanted *wanted, struct arena *arena, struct out *answer)
{
    str why = arena_printf(arena,
                           "no request %.*s among the last %u (%llu came since the start): it is still under way, its "
                           "place was taken by a later one (a larger why_ring keeps more), or it came before",
                           STR_ARG(wanted->id), trace_ring_size(), (unsigned long long)trace_ring_seen());

    return refuse(answer, 404, why.p);
}

/* Proxies in front may send one id twice: the last one is told. */
static int answer_one(const struct wanted *wanted, bool as_text, struct arena *arena, struct out *answer)
{
    struct trace *trace = arena_alloc(arena, TRACE_BYTES);
    struct why why;
    bool is_found = false;

    for (uint32_t i = 0; trace && i < trace_ring_size() && !is_found; i++)
        is_found = trace_newest(i, trace) && str_equal(trace_str(trace, trace->id), wanted->id);
    if (trace && !is_found)
        return refuse_unknown(wanted, arena, answer);
    bool fine = trace && why_tell(&why, trace, arena);
    return fine && answer_make(answer, as_text ? why_write_text : why_write_json, &why) ? 200 : 0;
}

static int answer_list(const struct wanted *wanted, bool as_text, struct arena *arena, struct out *answer)
{
    struct why_list list = { .size = trace_ring_size(), .seen = trace_ring_seen(),
                             .only_refused = wanted->only_refused };
    struct why *items = arena_array(arena, struct why, wanted->limit);
    struct trace *trace = NULL;

    if (!items)
        return 0;
    for (uint32_t i = 0; i < list.size && list.count < wanted->limit; i++) {
        struct why *why = &items[list.count];
        if (!trace && !(trace = arena_alloc(arena, TRACE_BYTES)))
            return 0;
        if (!trace_newest(i, trace) || (wanted->only_refused && !why_is_refusal(trace)))
            continue;
        if (!why_begin(why, trace, arena))
            return 0;
        list.count++;
        trace = NULL; /* the item's */
    }
    list.items = items;
    return answer_make(answer, as_text ? why_list_write_text : why_list_write_json, &list) ? 200 : 0;
}

int control_why_answer(str path, str query, bool as_text, struct arena *arena, struct out *answer)
{
    struct arena *own = arena_create(MEMORY_CHUNK, 0);
    struct wanted wanted;
    int status = 0;

    const char *why = read_question(path, query, arena, &wanted);
    if (why)
        status = refuse(answer, 400, why);
    else if (trace_ring_size() == 0)
        status = refuse(answer, 409, "no request is remembered: why_ring 1000; at top level keeps the last 1000");
    else if (own && wanted.id.n)
        status = answer_one(&wanted, as_text, own, answer);
    else if (own)
        status = answer_list(&wanted, as_text, own, answer);
    arena_destroy(own);
    return status;
}
