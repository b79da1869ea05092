/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/order.h"

#include "base/out.h"

#include <assert.h>
#include <limits.h>

/* One hook among those of its stage. */
struct node {
    struct ordered_hook is;
    str name;            /* the hook's own, else its module's */
    uint32_t wish;       /* its place in the operator's list; UINT32_MAX: not named */
    uint32_t early_wish; /* the earliest wish of all that have to come behind it, its own included */
    int32_t early_slot;
    bool placed;
    uint8_t mark;        /* of the walk that looks for a circle */
};

enum { EDGE_NONE, EDGE_AFTER, EDGE_BEFORE };

struct sorter {
    enum stage stage;
    struct node *nodes;
    uint32_t count;
    uint8_t *edges; /* [first * count + then]: who asked that `first` runs ahead of `then` */
    const struct order_wish *wish;
    struct arena *arena;
    struct diags *diags;
};

/* -- who must come before whom ------------------------------------------------------------------------------------- */

static bool list_has(const char *list, str name)
{
    str rest = str_of(list), item;
    while (list && str_split(&rest, ',', &item))
        if (str_equal(str_trim(item), name))
            return true;
    return false;
}

/* The first capability of the list `wants` that `offers` holds as well; empty when there is none. */
static str shared_name(const char *wants, const char *offers)
{
    str rest = str_of(wants), item;
    while (wants && offers && str_split(&rest, ',', &item)) {
        item = str_trim(item);
        if (item.n && list_has(offers, item))
            return item;
    }
    return STR_NONE;
}

static uint8_t edge_between(const struct node *first, const struct node *then)
{
    if (shared_name(then->is.hook->after, first->is.hook->provides).n)
        return EDGE_AFTER;
    if (shared_name(first->is.hook->before, then->is.hook->provides).n)
        return EDGE_BEFORE;
    return EDGE_NONE;
}

static uint8_t edge(const struct sorter *s, uint32_t first, uint32_t then)
{
    return s->edges[(size_t)first * s->count + then];
}

static bool find_edges(struct sorter *s)
{
    s->edges = arena_array(s->arena, uint8_t, (size_t)s->count * s->count);
    if (!s->edges)
        return false;
    for (uint32_t i = 0; i < s->count; i++)
        for (uint32_t j = 0; j < s->count; j++)
            if (i != j)
                s->edges[(size_t)i * s->count + j] = edge_between(&s->nodes[i], &s->nodes[j]);
    return true;
}

/* -- circles ------------------------------------------------------------------------------------------------------- */

static str edge_text(const struct sorter *s, uint32_t first, uint32_t then)
{
    const struct node *a = &s->nodes[first], *b = &s->nodes[then];
    if (edge(s, first, then) == EDGE_AFTER) {
        str name = shared_name(b->is.hook->after, a->is.hook->provides);
        return arena_printf(s->arena, STR_FMT " runs after " STR_FMT " (" STR_FMT ")", STR_ARG(b->name), STR_ARG(name),
                            STR_ARG(a->name));
    }
    str name = shared_name(a->is.hook->before, b->is.hook->provides);
    return arena_printf(s->arena, STR_FMT " runs before " STR_FMT " (" STR_FMT ")", STR_ARG(a->name), STR_ARG(name),
                        STR_ARG(b->name));
}

/* Every node that is left has one left before it: walking back from any of them must meet a node twice. */
static void report_circle(struct sorter *s)
{
    uint32_t at = 0, before;
    while (s->nodes[at].placed)
        at++;
    while (!s->nodes[at].mark) {
        s->nodes[at].mark = 1;
        for (before = 0; s->nodes[before].placed || !edge(s, before, at); before++)
            assert(before + 1 < s->count);
        at = before;
    }
    str text = STR_NONE;
    uint32_t start = at;
    do {
        for (before = 0; s->nodes[before].placed || !s->nodes[before].mark || !edge(s, before, at); before++)
            ;
        str step = edge_text(s, before, at);
        str parts[] = { text, text.n ? S(", ") : STR_NONE, step };
        text = arena_concat(s->arena, parts, 3);
        s->nodes[at].mark = 2;
        at = before;
    } while (at != start && s->nodes[at].mark != 2);
    str stage = stage_name(s->stage);
    diag_error(s->diags, s->wish ? s->wish->place : (struct place){ 0 }, STR_NONE,
               "pipeline stage " STR_FMT ": modules wait for each other in a circle: " STR_FMT, STR_ARG(stage),
               STR_ARG(text));
}

/* -- sorting ------------------------------------------------------------------------------------------------------- */

/* A hook that an early one needs is early itself: what must run ahead of it takes over its wish and its slot. */
static void inherit_earliness(struct sorter *s)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < s->count; i++)
            for (uint32_t j = 0; j < s->count; j++) {
                struct node *first = &s->nodes[i];
                const struct node *then = &s->nodes[j];
                if (!edge(s, i, j))
                    continue;
                if (then->early_wish < first->early_wish || then->early_slot < first->early_slot)
                    changed = true;
                if (then->early_wish < first->early_wish)
                    first->early_wish = then->early_wish;
                if (then->early_slot < first->early_slot)
                    first->early_slot = then->early_slot;
            }
    }
}

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Negative: a stands in front of b when no constraint says otherwise. */
static int compare_nodes(const struct node *a, const struct node *b)
{
    int order = compare_numbers(a->early_wish, b->early_wish);
    if (!order)
        order = compare_numbers(a->wish, b->wish);
    if (!order)
        order = compare_numbers(a->early_slot, b->early_slot);
    if (!order)
        order = compare_numbers(a->is.hook->slot, b->is.hook->slot);
    if (!order)
        order = str_compare(a->is.mod->name, b->is.mod->name);
    if (!order)
        order = str_compare(a->name, b->name);
    return order ? order : compare_numbers(a->is.index, b->is.index);
}

static bool is_ready(const struct sorter *s, uint32_t node)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (!s->nodes[i].placed && edge(s, i, node))
            return false;
    return true;
}

static struct node *take_next(struct sorter *s)
{
    struct node *best = NULL;
    for (uint32_t i = 0; i < s->count; i++) {
        struct node *node = &s->nodes[i];
        if (!node->placed && is_ready(s, i) && (!best || compare_nodes(node, best) < 0))
            best = node;
    }
    if (best)
        best->placed = true;
    return best;
}

/* -- reasons ------------------------------------------------------------------------------------------------------- */

static void add_reason(struct sorter *s, str *reason, str more)
{
    str parts[] = { *reason, reason->n ? S(", ") : STR_NONE, more };
    *reason = arena_concat(s->arena, parts, 3);
}

static str reason_of(struct sorter *s, uint32_t node)
{
    const struct node *n = &s->nodes[node];
    str reason = STR_NONE;
    if (n->wish != UINT32_MAX)
        add_reason(s, &reason, arena_printf(s->arena, "pipeline directive " STR_FMT ":%u", STR_ARG(s->wish->place.file),
                                            s->wish->place.line));
    for (uint32_t i = 0; i < s->count; i++) {
        const struct node *other = &s->nodes[i];
        str name = shared_name(n->is.hook->after, other->is.hook->provides);
        if (i != node && name.n)
            add_reason(s, &reason, arena_printf(s->arena, "after " STR_FMT " (" STR_FMT ")", STR_ARG(name),
                                                STR_ARG(other->name)));
        name = shared_name(n->is.hook->before, other->is.hook->provides);
        if (i != node && name.n)
            add_reason(s, &reason, arena_printf(s->arena, "before " STR_FMT " (" STR_FMT ")", STR_ARG(name),
                                                STR_ARG(other->name)));
    }
    if (n->is.hook->slot && n->wish == UINT32_MAX)
        add_reason(s, &reason, arena_printf(s->arena, "slot %d", n->is.hook->slot));
    return reason.n ? reason : S("name");
}

/* -- wishes and exclusive hooks ------------------------------------------------------------------------------------ */

static str wish_name(const struct order_wish *wish, uint32_t i)
{
    return *(const str *)(const void *)((const char *)wish->names.base + (size_t)i * wish->names.stride);
}

static void report_unknown(struct sorter *s, str name)
{
    str *candidates = arena_array(s->arena, str, s->count ? s->count : 1);
    for (uint32_t i = 0; candidates && i < s->count; i++)
        candidates[i] = s->nodes[i].is.mod->name;
    str near = candidates ? diag_nearest(name, candidates, s->count) : STR_NONE;
    str hint = near.n ? arena_printf(s->arena, "did you mean \"" STR_FMT "\"?", STR_ARG(near)) : STR_NONE;
    str stage = stage_name(s->stage);
    diag_error(s->diags, s->wish->place, hint, "no module \"" STR_FMT "\" has a hook in stage " STR_FMT, STR_ARG(name),
               STR_ARG(stage));
}

static void apply_wish(struct sorter *s)
{
    for (uint32_t w = 0; w < s->wish->names.count; w++) {
        str name = wish_name(s->wish, w);
        bool known = false, again = false;
        for (uint32_t i = 0; i < s->count; i++) {
            struct node *node = &s->nodes[i];
            if (!str_equal(node->is.mod->name, name) && !str_equal(node->name, name))
                continue;
            known = true;
            again = again || node->wish != UINT32_MAX;
            node->wish = node->early_wish = w;
        }
        if (!known)
            report_unknown(s, name);
        else if (again)
            diag_error(s->diags, s->wish->place, STR_NONE, "\"" STR_FMT "\" is named twice", STR_ARG(name));
    }
}

static void check_exclusive(struct sorter *s)
{
    const struct node *alone = NULL, *other = NULL;
    for (uint32_t i = 0; i < s->count; i++)
        if (!alone && s->nodes[i].is.hook->flags & WEIR_EXCLUSIVE)
            alone = &s->nodes[i];
    for (uint32_t i = 0; alone && !other && i < s->count; i++)
        if (&s->nodes[i] != alone)
            other = &s->nodes[i];
    if (!other)
        return;
    str stage = stage_name(s->stage);
    diag_error(s->diags, (struct place){ 0 }, STR_NONE,
               "pipeline stage " STR_FMT ": modules " STR_FMT " and " STR_FMT " cannot stand together: " STR_FMT
               " wants the stage for itself",
               STR_ARG(stage), STR_ARG(alone->is.mod->name), STR_ARG(other->is.mod->name),
               STR_ARG(alone->is.mod->name));
}

/* -- a stage, all stages ------------------------------------------------------------------------------------------- */

static bool no_memory(struct diags *diags)
{
    diag_error(diags, (struct place){ 0 }, STR_NONE, "pipeline: no memory");
    return false;
}

/* So that messages and reasons, too, do not depend on the order of loading. */
static void sort_by_name(struct node *nodes, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct node node = nodes[i];
        uint32_t at = i;
        for (; at > 0 && str_compare(node.is.mod->name, nodes[at - 1].is.mod->name) < 0; at--)
            nodes[at] = nodes[at - 1];
        nodes[at] = node;
    }
}

static bool gather(struct sorter *s, weir_mod *const *mods, uint32_t mod_count)
{
    struct vec nodes = { 0 };
    for (uint32_t m = 0; m < mod_count; m++)
        for (uint32_t i = 0; i < mods[m]->desc.hooks.count; i++) {
            const struct weir_hook *hook = module_hook(mods[m], i);
            if (stage_of(hook->stage) != s->stage)
                continue;
            struct node *node = vec_push(s->arena, &nodes, sizeof(*node));
            if (!node)
                return false;
            node->is = (struct ordered_hook){ .mod = mods[m], .hook = hook, .index = i };
            node->name = hook->name ? str_of(hook->name) : mods[m]->name;
            node->wish = node->early_wish = UINT32_MAX;
            node->early_slot = hook->slot;
        }
    s->nodes = nodes.items;
    s->count = nodes.count;
    sort_by_name(s->nodes, s->count);
    return true;
}

static bool sort(struct sorter *s, struct order *order)
{
    struct ordered_hook *sorted = arena_array(s->arena, struct ordered_hook, s->count);
    if (!sorted || !find_edges(s))
        return no_memory(s->diags);
    if (s->wish)
        apply_wish(s);
    check_exclusive(s);
    inherit_earliness(s);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct node *next = take_next(s);
        if (!next) {
            report_circle(s);
            return false;
        }
        sorted[i] = next->is;
        sorted[i].reason = reason_of(s, (uint32_t)(next - s->nodes));
    }
    order->at[s->stage] = sorted;
    order->count[s->stage] = s->count;
    return true;
}

static const struct order_wish *find_wish(enum stage stage, const struct order_wish *wishes, uint32_t count,
                                          struct diags *diags)
{
    const struct order_wish *found = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (wishes[i].stage != stage)
            continue;
        str name = stage_name(stage);
        if (found)
            diag_error(diags, wishes[i].place, STR_NONE,
                       "the order of stage " STR_FMT " is given twice (first at " STR_FMT ":%u)", STR_ARG(name),
                       STR_ARG(found->place.file), found->place.line);
        else
            found = &wishes[i];
    }
    return found;
}

bool order_compute(struct order *order, weir_mod *const *mods, uint32_t count, const struct order_wish *wishes,
                   uint32_t wish_count, struct arena *arena, struct diags *diags)
{
    uint32_t errors = diags->errors;
    *order = (struct order){ 0 };
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++) {
        struct sorter s = { .stage = (enum stage)stage, .arena = arena, .diags = diags };
        s.wish = find_wish(s.stage, wishes, wish_count, diags);
        if (!gather(&s, mods, count))
            return no_memory(diags);
        if (s.count)
            sort(&s, order);
        else if (s.wish)
            for (uint32_t i = 0; i < s.wish->names.count; i++)
                report_unknown(&s, wish_name(s.wish, i));
    }
    return diags->errors == errors;
}

void order_print(const struct order *order, FILE *out)
{
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++) {
        if (!order->count[stage])
            continue;
        str name = stage_name((enum stage)stage);
        fprintf(out, STR_FMT "\n", STR_ARG(name));
        for (uint32_t i = 0; i < order->count[stage]; i++) {
            const struct ordered_hook *at = &order->at[stage][i];
            str hook = at->hook->name ? str_of(at->hook->name) : at->mod->name;
            char label[80];
            if (str_equal(hook, at->mod->name))
                snprintf(label, sizeof(label), STR_FMT, STR_ARG(hook));
            else
                snprintf(label, sizeof(label), STR_FMT " (" STR_FMT ")", STR_ARG(at->mod->name), STR_ARG(hook));
            fprintf(out, "  %2u  %-24s " STR_FMT, i + 1, label, STR_ARG(at->reason));
            if (at->hook->flags & WEIR_FAIL_OPEN)
                fputs("; fails open", out);
            if (at->hook->provides)
                fprintf(out, "; provides %s", at->hook->provides);
            fputc('\n', out);
        }
    }
}
