/* SPDX-License-Identifier: BSD-2-Clause */
/* harness-flow.c: bodies, driven through the module's bytes hook in pieces, with as much room as the test gives. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

enum { CALLS_MOST = 10 * 1000 * 1000 };

struct slice {
    struct slice *next;
    char *p;
    size_t at, n;
};

/* As input a list of slices; as output a text, and the block that was reserved last. */
struct weir_chain {
    struct weir_flow *flow;
    struct slice *first;
    struct text out;
    char *block;
    size_t block_n;
    uint64_t eaten;
};

struct weir_flow {
    weir_req *r;
    struct weir_chain in, out;
    uint64_t room, want_in, want_room;
};

static int bytes_hook(const struct harness *h, uint32_t stage)
{
    for (uint32_t i = 0; i < h->module->hooks.count; i++)
        if (hook_at(h, i)->stage == stage && hook_at(h, i)->bytes)
            return (int)i;
    return -1;
}

int flow_api_engage(weir_req *r, uint32_t stage)
{
    int index = bytes_hook(r->h, stage);

    if (index < 0 || fails_now(r->h))
        return -1;
    r->engaged |= (uint64_t)1 << index;
    return 0;
}

bool harness_is_engaged(weir_req *r, uint32_t stage)
{
    int index = bytes_hook(r->h, stage);

    return index >= 0 && ((r->engaged >> index & 1) || (hook_at(r->h, (uint32_t)index)->flags & WEIR_ENGAGED));
}

void flow_api_want_body(weir_req *r, uint64_t limit)
{
    r->wanted_body = limit;
}

uint64_t harness_wanted_body(weir_req *r)
{
    return r->wanted_body;
}

weir_req *flow_api_req(weir_flow *f)
{
    return f->r;
}

const void *flow_api_conf(weir_flow *f)
{
    return f->r->scope->conf;
}

void *flow_api_ctx(weir_flow *f)
{
    return f->r->ctx;
}

void flow_api_want(weir_flow *f, uint64_t input, uint64_t room)
{
    f->want_in = input;
    f->want_room = room;
}

uint64_t flow_api_room(weir_flow *f)
{
    return f->room;
}

/* -- chains -------------------------------------------------------------------------------------------------------- */

static void slice_add(struct weir_chain *chain, const char *p, size_t n)
{
    struct slice *slice = calloc(1, sizeof(*slice)), **at = &chain->first;

    if (n == 0) {
        free(slice);
        return;
    }
    if (!slice || !(slice->p = malloc(n)))
        harness_die("no memory");
    memcpy(slice->p, p, n);
    slice->n = n;
    while (*at)
        at = &(*at)->next;
    *at = slice;
}

static void slice_drop(struct weir_chain *chain)
{
    struct slice *slice = chain->first;

    chain->first = slice->next;
    free(slice->p);
    free(slice);
}

weir_str chain_api_peek(weir_chain *in)
{
    struct slice *slice = in->first;

    return slice ? (weir_str){ slice->p + slice->at, slice->n - slice->at } : (weir_str){ NULL, 0 };
}

uint64_t chain_api_size(weir_chain *in)
{
    uint64_t n = 0;

    for (struct slice *slice = in->first; slice; slice = slice->next)
        n += slice->n - slice->at;
    return n;
}

void chain_api_eat(weir_chain *in, uint64_t n)
{
    if (n > chain_api_size(in))
        harness_die("the hook ate more than there is");
    in->eaten += n;
    while (n) {
        struct slice *slice = in->first;
        size_t part = slice->n - slice->at;
        if (n < part) {
            slice->at += (size_t)n;
            return;
        }
        n -= part;
        slice_drop(in);
    }
}

/* Never more than the credit: a block of exactly this size shows every byte written too far. */
weir_span chain_api_reserve(weir_chain *out, size_t least)
{
    size_t n = out->flow->room < 4096 ? (size_t)out->flow->room : 4096;

    if (least > 4096)
        harness_die("weir_reserve of %zu bytes; 4096 is the most", least);
    if (n == 0 || least > n || fails_now(out->flow->r->h))
        return (weir_span){ NULL, 0 };
    free(out->block);
    if (!(out->block = malloc(n)))
        harness_die("no memory");
    out->block_n = n;
    return (weir_span){ out->block, n };
}

void chain_api_commit(weir_chain *out, size_t n)
{
    if (n > out->block_n)
        harness_die("weir_commit of %zu bytes; %zu were reserved", n, out->block_n);
    text_add(&out->out, out->block, n);
    out->flow->room -= n;
    free(out->block);
    out->block = NULL;
    out->block_n = 0;
}

uint64_t chain_api_pass(weir_chain *in, weir_chain *out, uint64_t n)
{
    uint64_t gone = 0;

    while (gone < n && out->flow->room) {
        weir_str s = chain_api_peek(in);
        uint64_t part = s.n < n - gone ? s.n : n - gone;
        if (part > out->flow->room)
            part = out->flow->room;
        if (part == 0)
            break;
        text_add(&out->out, s.p, (size_t)part);
        out->flow->room -= part;
        chain_api_eat(in, part);
        gone += part;
    }
    return gone;
}

/* -- driving ------------------------------------------------------------------------------------------------------- */

static void flow_finish(struct weir_flow *flow, struct harness_fed *fed)
{
    while (flow->in.first)
        slice_drop(&flow->in);
    fed->out = pieces_dup(&flow->r->memory, (weir_str){ flow->out.out.p, flow->out.out.n });
    free(flow->out.out.p);
    free(flow->out.block);
}

/* One call with fresh credit. True: call again with more room; false: it has had what it can use, or ended. */
static bool flow_call(struct weir_flow *flow, const struct weir_hook *hook, const struct harness_feeding *how,
                      uint32_t flags, struct harness_fed *fed)
{
    uint64_t credit = how->room ? how->room : UINT64_MAX / 2;

    if (credit < flow->want_room)
        credit = flow->want_room;
    flow->room = credit;
    uint64_t eaten = flow->in.eaten;
    if (fed->calls++ > CALLS_MOST)
        harness_die("a body without an end: %zu calls, %zu bytes of output", fed->calls, flow->out.out.n);
    fed->last = hook->bytes(flow, &flow->in, &flow->out, flags);
    bool has_moved = flow->in.eaten != eaten || flow->room != credit;
    if (fed->last == WEIR_SKIP) {
        fed->is_passing = !(flags & WEIR_END) || flow->in.first;
        fed->is_finished = true;
        return false;
    }
    if (fed->last != WEIR_NEXT)
        return false;
    if ((flags & WEIR_END) && !flow->in.first && flow->room) {
        fed->is_finished = true;
        return false;
    }
    if (flow->room == 0 || (flow->in.first && flow->room < flow->want_room))
        return true;
    if ((flags & WEIR_END) && !has_moved)
        harness_die("%zu bytes of input, their end, and room, but no progress", (size_t)chain_api_size(&flow->in));
    return has_moved && flow->in.first;
}

struct harness_fed harness_feed(weir_req *r, uint32_t stage, weir_str input, const struct harness_feeding *feeding)
{
    int index = bytes_hook(r->h, stage);
    struct harness_fed fed = { { NULL, 0 }, 0, false, false, WEIR_NEXT };
    struct weir_flow flow = { .r = r, .in.flow = &flow, .out.flow = &flow };
    size_t piece = feeding->piece ? feeding->piece : input.n, at = 0;
    bool is_end = false;

    if (index < 0)
        harness_die("no bytes hook at stage %u", stage);
    const struct weir_hook *hook = hook_at(r->h, (uint32_t)index);
    while (!is_end && !fed.is_finished && fed.last == WEIR_NEXT) {
        size_t n = input.n - at < piece ? input.n - at : piece;
        slice_add(&flow.in, input.p + at, n);
        at += n;
        is_end = at == input.n;
        if (!is_end && chain_api_size(&flow.in) < flow.want_in)
            continue;
        uint32_t flags = (is_end ? WEIR_END : 0) | (feeding->flush ? WEIR_FLUSH : 0);
        bool again = true;
        while (again && !(feeding->calls && fed.calls == feeding->calls)) {
            again = flow_call(&flow, hook, feeding, flags, &fed);
            flags &= ~WEIR_FLUSH;
        }
        if (feeding->calls && fed.calls == feeding->calls)
            break;
    }
    if (fed.is_passing) {
        while (flow.in.first) {
            weir_str s = chain_api_peek(&flow.in);
            text_add(&flow.out.out, s.p, s.n);
            slice_drop(&flow.in);
        }
        text_add(&flow.out.out, input.p + at, input.n - at);
    }
    flow_finish(&flow, &fed);
    return fed;
}
