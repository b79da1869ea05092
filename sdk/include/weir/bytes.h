/* SPDX-License-Identifier: BSD-2-Clause */
/* bytes.h: bodies as they flow.
 *
 * Shape:   a bytes hook takes from `in` and gives to `out`. It is called when input, its end, or room is new, never
 *          without a chance of progress. Input that it leaves slows the source down. Without room it returns WEIR_NEXT
 *          and is called again later.
 * End:     with WEIR_END set, the hook has finished when it returns WEIR_NEXT with `in` empty and room left, or
 *          WEIR_SKIP at any time: SKIP means that what follows passes untouched. WEIR_FAIL breaks the body off.
 * Units:   bytes of content, transfer coding already removed.
 * Owner:   what weir_peek shows is valid until weir_eat or until the hook returns. */
#ifndef WEIR_BYTES_H
#define WEIR_BYTES_H

#include <weir/api.h>

/* Puts the calling module's bytes hook of that stage (REQ_BODY, STORE, TRANSFORM, ENCODE) into this request's body. For
 * response stages at RSP_HEAD at the latest, for REQ_BODY at REWRITE at the latest. 0, or -1: too late, no such hook,
 * or no memory. */
static inline int weir_engage(weir_req *r, uint32_t stage) { return weir_api_->engage(r, stage); }

/* Before WEIR_WAIT_BODY: how much of the body is wanted at most before the request hook is asked again. */
static inline void weir_want_body(weir_req *r, uint64_t limit) { weir_api_->want_body(r, limit); }

static inline weir_req *weir_flow_req(weir_flow *f) { return weir_api_->flow_req(f); }
static inline const void *weir_flow_conf(weir_flow *f) { return weir_api_->flow_conf(f); }
static inline void *weir_flow_ctx(weir_flow *f) { return weir_api_->flow_ctx(f); } /* the module's ctx of the request */
/* Least input (unless it ends) and least room wanted before the next call; both 0: any. */
static inline void weir_flow_want(weir_flow *f, uint64_t input, uint64_t room) { weir_api_->flow_want(f, input, room); }
static inline uint64_t weir_room(weir_flow *f) { return weir_api_->flow_room(f); } /* bytes of credit left for `out` */

/* first contiguous bytes; n = 0: none */
static inline weir_str weir_peek(weir_chain *in)
{
    return weir_api_->chain_peek(in);
}
static inline uint64_t weir_size(weir_chain *in) { return weir_api_->chain_size(in); }
static inline void weir_eat(weir_chain *in, uint64_t n) { weir_api_->chain_eat(in, n); }

/* Room at the end of `out`: at least `least` bytes (4096 at most may be asked for), filled by commit. {NULL, 0} without
 * memory. */
static inline weir_span weir_reserve(weir_chain *out, size_t least) { return weir_api_->chain_reserve(out, least); }
static inline void weir_commit(weir_chain *out, size_t n) { weir_api_->chain_commit(out, n); }
/* Moves up to n bytes from in to out by reference; how many went. */
static inline uint64_t weir_pass(weir_chain *in, weir_chain *out, uint64_t n)
{
    return weir_api_->chain_pass(in, out, n);
}

/* Copies as much of p as fits into out; how much went. */
static inline size_t weir_put(weir_chain *out, const void *p, size_t n)
{
    const char *from = (const char *)p;
    size_t done = 0;
    while (done < n) {
        weir_span to = weir_reserve(out, 1);
        size_t part = to.n < n - done ? to.n : n - done;
        if (part == 0)
            break;
        __builtin_memcpy(to.p, from + done, part);
        weir_commit(out, part);
        done += part;
    }
    return done;
}

#endif
