/* SPDX-License-Identifier: BSD-2-Clause */
/* gate.c: a decider that does at AUTH what the field X-Gate says, for the tests of `enforce` and `satisfy`:
 *
 *     skip next refuse reply close fail later-refuse later-skip reroute (to /on)
 *
 * Before it decides it stamps X-Stamp on the response and X-User on the request. */
#include <weir/weir.h>

#include <string.h>

struct conf { bool is_on; };
struct ctx { weir_token token; };

static bool is(weir_str word, const char *text)
{
    return word.n == strlen(text) && memcmp(word.p, text, word.n) == 0;
}

static void later(weir_req *r, void *arg)
{
    struct ctx *ctx = arg;

    if (is(weir_req_get(r, WEIR_S("X-Gate")), "later-skip"))
        weir_resume(ctx->token, WEIR_SKIP);
    else
        weir_resume(ctx->token, weir_refuse(r, 401, "later"));
}

static weir_verdict decide(weir_req *r, const void *conf, void *ctx_)
{
    weir_str what = weir_req_get(r, WEIR_S("X-Gate"));
    struct ctx *ctx = ctx_;

    if (!((const struct conf *)conf)->is_on)
        return WEIR_NEXT;
    weir_rsp_set(r, WEIR_S("X-Stamp"), what);
    weir_req_set(r, WEIR_S("X-User"), what);
    if (is(what, "skip"))
        return WEIR_SKIP;
    if (is(what, "refuse"))
        return weir_refuse(r, 401, "the gate is shut");
    if (is(what, "reply"))
        return weir_reply(r, 302, WEIR_S("go away"));
    if (is(what, "reroute") && weir_set_part(r, WEIR_PART_PATH, WEIR_S("/on")) == 0) {
        weir_req_set(r, WEIR_S("X-Gate"), WEIR_S("next"));
        return WEIR_REROUTE;
    }
    if (is(what, "close"))
        return WEIR_CLOSE;
    if (is(what, "fail"))
        return weir_fail(r, "the gate is stuck");
    if (what.n > 6 && memcmp(what.p, "later-", 6) == 0) {
        ctx->token = weir_suspend(r, 5000, WEIR_FAIL);
        return weir_timer_start(r, 1, later, ctx) ? WEIR_SUSPEND : WEIR_FAIL;
    }
    return WEIR_NEXT;
}

static int check(weir_conf *c, void *scope)
{
    (void)c;
    return ((struct conf *)scope)->is_on ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static const struct weir_directive directives[] = {
    WEIR_DIR(struct conf, is_on, FLAG, "gate", WEIR_IN_HTTP, "off", "decide as the field X-Gate says"),
};

static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_AUTH, .slot = WEIR_LATE, .flags = WEIR_DECIDES | WEIR_DRY_OK, .req = decide },
};

WEIR_MODULE(gate, .version = "1.0.0", .license = "BSD-2-Clause", .summary = "decides as it is told",
            .conf_size = sizeof(struct conf), .ctx_size = sizeof(struct ctx), .directives = WEIR_TABLE(directives),
            .hooks = WEIR_TABLE(hooks), .check = check);
