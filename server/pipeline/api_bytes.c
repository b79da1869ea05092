/* SPDX-License-Identifier: BSD-2-Clause */
/* api_bytes.c: how bytes hooks take and give: their input, and credit for their output. */
#include "pipeline/api.h"

#include "pipeline/session.h"

enum { RESERVE_MOST = 4096 }; /* what a hook may ask for at least */

static struct chain *chain_of(weir_chain *chain)
{
    return (struct chain *)chain;
}

int api_engage(weir_req *r, uint32_t at)
{
    enum stage stage = stage_of(at);
    if (stage == STAGE_NONE || stage_shape(stage) != SHAPE_BYTES)
        return -1;
    return request_engage(r, stage) ? 0 : -1;
}

void api_want_body(weir_req *r, uint64_t limit)
{
    r->wait_body = limit;
}

weir_req *api_flow_req(weir_flow *f)
{
    return f->r;
}

const void *api_flow_conf(weir_flow *f)
{
    return f->step->conf;
}

void *api_flow_ctx(weir_flow *f)
{
    return request_ctx(f->r, f->step->mod);
}

/* More than the whole credit would never come true. */
void api_flow_want(weir_flow *f, uint64_t input, uint64_t room)
{
    f->want_in = input;
    f->want_room = room < BODY_HOOK_ROOM ? room : BODY_HOOK_ROOM;
}

uint64_t api_flow_room(weir_flow *f)
{
    return body_flow_room(f);
}

weir_str api_chain_peek(weir_chain *in)
{
    return chain_load_head(chain_of(in)) ? chain_peek(chain_of(in)) : STR_NONE;
}

uint64_t api_chain_size(weir_chain *in)
{
    return chain_of(in)->n;
}

void api_chain_eat(weir_chain *in, uint64_t n)
{
    chain_eat(chain_of(in), n < chain_of(in)->n ? n : chain_of(in)->n);
}

weir_span api_chain_reserve(weir_chain *out, size_t least)
{
    uint64_t credit = body_chain_room(chain_of(out));
    uint8_t *p;
    if (least > RESERVE_MOST || credit == 0 || credit < least)
        return (weir_span){ NULL, 0 };
    size_t n = chain_reserve(chain_of(out), least, &p);
    if (n == 0)
        return (weir_span){ NULL, 0 };
    return (weir_span){ p, n < credit ? n : (size_t)credit };
}

void api_chain_commit(weir_chain *out, size_t n)
{
    chain_commit(chain_of(out), n);
}

uint64_t api_chain_pass(weir_chain *in, weir_chain *out, uint64_t n)
{
    uint64_t credit = body_chain_room(chain_of(out));
    return chain_move(chain_of(out), chain_of(in), n < credit ? n : credit);
}
