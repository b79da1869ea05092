/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/control/control_upstreams.h"

#include "app/control/control_answer.h"
#include "http/uri.h"
#include "upstream/changes.h"

static const str root = WEIR_S("/v1/upstreams");

struct wanted { /* what the path names; empty: all, just looking */
    str name, verb;
};

static struct wanted read_path(str path)
{
    str rest = str_from(path, root.n + 1);
    size_t slash = str_find(rest, '/');

    return (struct wanted){ str_upto(rest, slash), slash < rest.n ? str_from(rest, slash + 1) : STR_NONE };
}

bool control_upstreams_is(str path)
{
    return str_has_prefix(path, root) && (path.n == root.n || path.p[root.n] == '/');
}

bool control_upstreams_is_order(str path)
{
    return read_path(path).verb.n > 0;
}

/* server=ADDR goes to its place, all else becomes options as the directive has them: weight=2, backup. The weight of
 * `weight` is a bare number. */
static bool read_query(str query, struct arena *arena, struct change_order *order)
{
    bool is_weight = str_equal(order->verb, S("weight"));
    str pair;

    while (str_split(&query, '&', &pair)) {
        str plain = uri_decode(pair, arena);
        if (!plain.p)
            return false;
        if (str_has_prefix(plain, S("server="))) {
            order->server = str_from(plain, sizeof("server=") - 1);
            continue;
        }
        if (is_weight && str_has_prefix(plain, S("weight=")))
            plain = str_from(plain, sizeof("weight=") - 1);
        str parts[] = { order->options, order->options.n ? S(" ") : S(""), plain };
        order->options = arena_concat(arena, parts, 3);
        if (!order->options.p)
            return false;
    }
    return true;
}

static int refuse(struct out *answer, int status, str why, struct arena *arena)
{
    str text = arena_str(arena, why);

    return text.p && answer_make(answer, answer_error, text.p) ? status : 0;
}

static int show(struct out *answer, const struct upstream_answer *what)
{
    return answer_make(answer, answer_upstream, what) ? 200 : 0;
}

int control_upstreams_answer(str path, str query, struct arena *arena, struct out *answer)
{
    struct wanted wanted = read_path(path);
    struct change_order order = { uri_decode(wanted.name, arena), wanted.verb, STR_NONE, STR_NONE };
    struct server_status status;
    str why = STR_NONE;

    server_get_status(&status);
    if (!wanted.name.n)
        return answer_make(answer, answer_upstreams, status.upstreams) ? 200 : 0;
    if (!order.upstream.p || !read_query(query, arena, &order))
        return refuse(answer, 400, S("an escape is broken, or there is no memory"), arena);
    if (wanted.verb.n) {
        int code = server_change_upstream(&order, arena, &why);
        if (code != 200)
            return refuse(answer, code, why, arena);
    }
    struct upstream_answer what = { .is_order = wanted.verb.n > 0, .warning = why };
    what.upstream = changes_find((struct weir_upstream *)(uintptr_t)status.upstreams, order.upstream, arena, &why);
    return what.upstream ? show(answer, &what) : refuse(answer, 404, why, arena);
}
