/* SPDX-License-Identifier: BSD-2-Clause */
/* modules.h: two modules that do what a request's fields say, so that a test (or a fuzzer) plays a hook from outside.
 *
 *     X-Play: VERB                  the guard's verdict: reply, suspend, wait, reroute, ... (play_guard)
 *     X-Flow: HOW, X-Where: PLACE   what a bytes hook does with content of the request or of the response
 *
 * Note:    included by one file of a program; <weir/weir.h> must stand before <cmocka.h>, which has a macro for one of
 *          its words. */
#ifndef TESTS_ENGINE_MODULES_H
#define TESTS_ENGINE_MODULES_H

#include <weir/weir.h>

#include "engine.h"

/* -- module "play": does what the request's X-Play says ------------------------------------------------------------ */

struct play_ctx {
    unsigned asked, logged;
    uint64_t seen; /* content bytes of the request */
};

static weir_token token;
static unsigned logs;
static uint32_t logged_status;
static uint64_t seen_last;

static bool told(weir_req *r, const char *what)
{
    return str_equal(weir_req_get(r, WEIR_S("X-Play")), str_of(what));
}

static weir_verdict wait_for_body(weir_req *r, struct play_ctx *ctx, uint64_t limit)
{
    if (ctx->asked > 1)
        return weir_reply(r, 200, weir_printf(r, "seen %u", (unsigned)ctx->seen));
    weir_want_body(r, limit);
    return WEIR_WAIT_BODY;
}

static weir_verdict play_guard(weir_req *r, const void *conf, void *ctx_)
{
    struct play_ctx *ctx = ctx_;

    (void)conf;
    ctx->asked++;
    if (told(r, "reply"))
        return weir_reply(r, 418, WEIR_S("tea"));
    if (told(r, "refuse"))
        return weir_refuse(r, 403, "not you");
    if (told(r, "fail"))
        return weir_fail(r, "cannot say");
    if (told(r, "unknown"))
        return 99;
    if (told(r, "close"))
        return WEIR_CLOSE;
    if (told(r, "skip"))
        return WEIR_SKIP;
    if (told(r, "reply-nothing"))
        return WEIR_REPLY;
    if (told(r, "suspend-nothing"))
        return WEIR_SUSPEND;
    if (told(r, "suspend")) {
        token = weir_suspend(r, 5000, WEIR_FAIL);
        return WEIR_SUSPEND;
    }
    if (told(r, "suspend-early")) {
        token = weir_suspend(r, 5000, WEIR_FAIL);
        weir_resume(token, WEIR_NEXT);
        return WEIR_SUSPEND;
    }
    if (told(r, "reroute") && ctx->asked == 1) {
        weir_set_part(r, WEIR_PART_PATH, WEIR_S("/other"));
        return WEIR_REROUTE;
    }
    if (told(r, "circle"))
        return WEIR_REROUTE;
    if (told(r, "wait"))
        return wait_for_body(r, ctx, 10);
    if (told(r, "wait-all"))
        return wait_for_body(r, ctx, 1 << 20);
    if (told(r, "wait-pass")) {
        weir_want_body(r, 10);
        return ctx->asked > 1 ? WEIR_NEXT : WEIR_WAIT_BODY;
    }
    if (told(r, "wait-nothing"))
        return WEIR_WAIT_BODY;
    return WEIR_NEXT;
}

static weir_verdict play_open(weir_req *r, const void *conf, void *ctx)
{
    (void)conf, (void)ctx;
    return told(r, "fail-open") ? weir_fail(r, "cannot say") : WEIR_NEXT;
}

static weir_verdict play_response(weir_req *r, const void *conf, void *ctx)
{
    (void)conf, (void)ctx;
    weir_rsp_set(r, WEIR_S("X-Seen"), WEIR_S("1"));
    if (told(r, "rsp-reply"))
        return weir_reply(r, 201, WEIR_S("other"));
    if (told(r, "rsp-fail"))
        return weir_fail(r, "cannot say");
    if (told(r, "rsp-close"))
        return WEIR_CLOSE;
    if (told(r, "rsp-suspend")) {
        token = weir_suspend(r, 5000, WEIR_NEXT);
        return WEIR_SUSPEND;
    }
    return WEIR_NEXT;
}

static weir_verdict play_count(weir_flow *flow, weir_chain *in, weir_chain *out, uint32_t how)
{
    struct play_ctx *ctx = weir_flow_ctx(flow);

    (void)how;
    ctx->seen += weir_pass(in, out, weir_room(flow));
    return WEIR_NEXT;
}

static weir_verdict play_log(weir_req *r, const void *conf, void *ctx_)
{
    struct play_ctx *ctx = ctx_;

    (void)conf;
    MUST(ctx->logged++ == 0);
    logs++;
    logged_status = weir_status(r);
    seen_last = ctx->seen;
    return WEIR_NEXT;
}

static const struct weir_hook play_hooks[] = {
    { .stage = WEIR_AT_GUARD, .req = play_guard },
    { .stage = WEIR_AT_AUTH, .flags = WEIR_FAIL_OPEN, .req = play_open },
    { .stage = WEIR_AT_REQ_BODY, .flags = WEIR_ENGAGED, .bytes = play_count },
    { .stage = WEIR_AT_RSP_HEAD, .req = play_response },
    { .stage = WEIR_AT_LOG, .req = play_log },
};

static const struct weir_module play_module = {
    .magic = WEIR_ABI_MAGIC, .abi_major = WEIR_ABI_MAJOR, .abi_minor = WEIR_ABI_MINOR,
    .size = sizeof(struct weir_module), .name = "play", .version = "1", .license = "BSD-2-Clause",
    .summary = "does what the request says", .api = &weir_api_, .ctx_size = sizeof(struct play_ctx),
    .hooks = WEIR_TABLE(play_hooks),
};

/* -- module "flow": handles content as X-Flow says ----------------------------------------------------------------- */

enum { SWELL = 100, RECORD = 100 };

struct flow_ctx {
    uint64_t eaten;
    unsigned owed; /* output of one byte of input that has not been given yet */
    char owed_byte;
};

static weir_verdict flow_upper(weir_flow *flow, weir_chain *in, weir_chain *out)
{
    weir_str some = weir_peek(in);
    char text[7];
    size_t n = some.n < sizeof(text) ? some.n : sizeof(text);

    if (n > weir_room(flow))
        n = weir_room(flow);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)(some.p[i] >= 'a' && some.p[i] <= 'z' ? some.p[i] - 32 : some.p[i]);
    n = weir_put(out, text, n);
    weir_eat(in, n);
    return WEIR_NEXT;
}

/* Each byte becomes SWELL of it; what does not fit is owed. */
static weir_verdict flow_swell(weir_flow *flow, weir_chain *in, weir_chain *out)
{
    struct flow_ctx *ctx = weir_flow_ctx(flow);
    char many[SWELL];

    for (;;) {
        if (!ctx->owed) {
            weir_str some = weir_peek(in);
            if (!some.n)
                return WEIR_NEXT;
            ctx->owed_byte = some.p[0];
            ctx->owed = SWELL;
            weir_eat(in, 1);
        }
        size_t n = ctx->owed < weir_room(flow) ? ctx->owed : weir_room(flow);
        memset(many, ctx->owed_byte, n);
        ctx->owed -= (unsigned)weir_put(out, many, n);
        if (ctx->owed)
            return WEIR_NEXT;
    }
}

/* As a compressor does: nothing goes out before it has to. */
static weir_verdict flow_hold(weir_flow *flow, weir_chain *in, weir_chain *out, uint32_t how)
{
    if ((how & (WEIR_END | WEIR_FLUSH)) || weir_size(in) > 60000)
        weir_pass(in, out, weir_room(flow));
    return WEIR_NEXT;
}

static weir_verdict flow_records(weir_flow *flow, weir_chain *in, weir_chain *out, uint32_t how)
{
    weir_flow_want(flow, RECORD, RECORD);
    while (weir_size(in) >= RECORD && weir_room(flow) >= RECORD)
        weir_pass(in, out, RECORD);
    if (how & WEIR_END && weir_size(in) < RECORD)
        weir_pass(in, out, RECORD);
    return WEIR_NEXT;
}

static weir_verdict flow_bytes(weir_flow *flow, weir_chain *in, weir_chain *out, uint32_t how)
{
    struct flow_ctx *ctx = weir_flow_ctx(flow);
    weir_str how_to = weir_req_get(weir_flow_req(flow), WEIR_S("X-Flow"));

    if (str_equal(how_to, S("upper")))
        return flow_upper(flow, in, out);
    if (str_equal(how_to, S("swell")))
        return flow_swell(flow, in, out);
    if (str_equal(how_to, S("hold")))
        return flow_hold(flow, in, out, how);
    if (str_equal(how_to, S("records")))
        return flow_records(flow, in, out, how);
    ctx->eaten += weir_pass(in, out, 5 - ctx->eaten % 5);
    if (ctx->eaten < 5)
        return WEIR_NEXT;
    return str_equal(how_to, S("fail")) ? WEIR_FAIL : WEIR_SKIP;
}

static weir_verdict flow_engage(weir_req *r, const void *conf, void *ctx)
{
    weir_str where = weir_req_get(r, WEIR_S("X-Where"));

    (void)conf, (void)ctx;
    if (str_equal(where, S("request")))
        return weir_engage(r, WEIR_AT_REQ_BODY) == 0 ? WEIR_NEXT : WEIR_FAIL;
    if (str_equal(where, S("both")) && weir_engage(r, WEIR_AT_TRANSFORM) != 0)
        return WEIR_FAIL;
    return !where.n || weir_engage(r, WEIR_AT_ENCODE) == 0 ? WEIR_NEXT : WEIR_FAIL;
}

static const struct weir_hook flow_hooks[] = {
    { .stage = WEIR_AT_REWRITE, .req = flow_engage },
    { .stage = WEIR_AT_REQ_BODY, .slot = WEIR_LATE, .flags = WEIR_CHANGES_LENGTH, .bytes = flow_bytes },
    { .stage = WEIR_AT_TRANSFORM, .flags = WEIR_CHANGES_LENGTH, .bytes = flow_bytes },
    { .stage = WEIR_AT_ENCODE, .flags = WEIR_CHANGES_LENGTH, .bytes = flow_bytes },
};

static const struct weir_module flow_module = {
    .magic = WEIR_ABI_MAGIC, .abi_major = WEIR_ABI_MAJOR, .abi_minor = WEIR_ABI_MINOR,
    .size = sizeof(struct weir_module), .name = "flow", .version = "1", .license = "BSD-2-Clause",
    .summary = "handles content as the request says", .api = &weir_api_, .ctx_size = sizeof(struct flow_ctx),
    .hooks = WEIR_TABLE(flow_hooks),
};

#endif
