/* SPDX-License-Identifier: BSD-2-Clause */
/* asker.c: a module that asks an upstream before it answers: "STATUS WHY FIELD CONTENT", for the tests of weir_fetch.
 *
 * ask UPSTREAM [method=M] [target=T] [content=C] [timeout=T] [limit=N] [client] [twice] [size];
 * ask_always UPSTREAM; at top level: each worker asks ten times a second, $asker_heard counts the answers. */
#include <weir/weir.h>

#include <string.h>

struct conf {
    weir_upstream *upstream, *always;
    weir_str method, target, content;
    uint64_t timeout, limit;
    bool client, twice, size;
};
struct ctx {
    const struct conf *conf;
    weir_token token;
    unsigned asked;
};

static weir_mod *self;
static weir_dict *heard;

static weir_str field_of(const weir_table *fields, weir_str name)
{
    const char *at = fields->base;

    for (uint32_t i = 0; i < fields->count; i++, at += fields->stride) {
        const struct weir_field *field = (const struct weir_field *)(const void *)at;
        if (field->name.n == name.n && memcmp(field->name.p, name.p, name.n) == 0)
            return field->value;
    }
    return WEIR_S("-");
}

static int ask_once(weir_req *r, struct ctx *ctx);

static void on_answer(weir_req *r, const struct weir_fetched *answer, void *arg)
{
    struct ctx *ctx = arg;

    if (ctx->conf->twice && ctx->asked == 1 && ask_once(r, ctx) == 0)
        return;
    weir_str field = field_of(&answer->fields, WEIR_S("X-Answer"));

    weir_str content = answer->content;
    if (ctx->conf->size)
        content = weir_printf(r, "%zu", answer->content.n);
    weir_reply(r, 200, weir_printf(r, "%u %s %.*s %.*s", answer->status, answer->why ? answer->why : "fine",
                                   (int)field.n, field.p, (int)content.n, content.p));
    weir_resume(ctx->token, WEIR_REPLY);
}

static int ask_once(weir_req *r, struct ctx *ctx)
{
    const struct conf *conf = ctx->conf;
    const struct weir_field fields[] = { { WEIR_S("X-Asked"), weir_path(r) } };
    const struct weir_fetch what = {
        .size = sizeof(what), .upstream = conf->upstream, .method = conf->method, .target = conf->target,
        .content = conf->content, .timeout = conf->timeout, .limit = conf->limit, .fields = WEIR_TABLE(fields),
        .flags = conf->client ? WEIR_FETCH_FOR_CLIENT : 0,
    };

    ctx->asked++;
    return weir_fetch(r, &what, on_answer, ctx);
}

static weir_verdict ask(weir_req *r, const void *conf, void *ctx_)
{
    struct ctx *ctx = ctx_;

    ctx->conf = conf;
    if (!ctx->conf->upstream)
        return WEIR_NEXT;
    ctx->token = weir_suspend(r, 60000, WEIR_FAIL);
    return ask_once(r, ctx) == 0 ? WEIR_SUSPEND : weir_fail(r, "could not ask");
}

static void on_heard(weir_mod *mod, const struct weir_fetched *answer, void *arg)
{
    uint64_t sum;

    (void)mod;
    (void)arg;
    if (answer->status == 200)
        weir_dict_add(heard, WEIR_S("heard"), 1, 0, &sum);
}

static void on_timer(weir_mod *mod, void *arg)
{
    const struct conf *conf = weir_thread_conf(mod);

    if (conf && conf->always)
        weir_mod_fetch(mod, &(struct weir_fetch){ .size = sizeof(struct weir_fetch), .upstream = conf->always,
                                                  .timeout = 5000 }, on_heard, arg);
}

static int get_heard(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    uint64_t sum = 0;

    (void)conf;
    (void)ctx;
    (void)rest;
    weir_dict_add(heard, WEIR_S("heard"), 0, 0, &sum);
    *value = weir_printf(r, "%llu", (unsigned long long)sum);
    return 0;
}

static int load(weir_mod *mod)
{
    self = mod;
    heard = weir_dict_open(mod, "heard", 4096, 0);
    return heard ? 0 : weir_mod_error(mod, "no room");
}

static int thread_up(weir_mod *mod, void *slot)
{
    return weir_thread_timer(mod, 100, on_timer, slot) ? 0 : -1;
}

#define OPTION(Name, Type) \
    { .name = #Name, .type = WEIR_TYPE_##Type, .flags = WEIR_ARG_OPTION, .offset = offsetof(struct conf, Name) }

static const struct weir_arg ask_args[] = {
    { .name = "UPSTREAM", .type = WEIR_TYPE_UPSTREAM, .offset = offsetof(struct conf, upstream) },
    OPTION(method, STR),
    OPTION(target, STR),
    OPTION(content, STR),
    { .name = "timeout", .type = WEIR_TYPE_DURATION, .flags = WEIR_ARG_OPTION, .fallback = "10s",
      .offset = offsetof(struct conf, timeout) },
    OPTION(limit, SIZE),
    { .name = "client", .type = WEIR_TYPE_FLAG, .flags = WEIR_ARG_WORD, .offset = offsetof(struct conf, client) },
    { .name = "twice", .type = WEIR_TYPE_FLAG, .flags = WEIR_ARG_WORD, .offset = offsetof(struct conf, twice) },
    { .name = "size", .type = WEIR_TYPE_FLAG, .flags = WEIR_ARG_WORD, .offset = offsetof(struct conf, size) },
};

static const struct weir_directive directives[] = {
    { .name = "ask", .doc = "ask this upstream", .scopes = WEIR_IN_HTTP, .args = WEIR_TABLE(ask_args) },
    WEIR_DIR(struct conf, always, UPSTREAM, "ask_always", WEIR_IN_TOP, NULL, "ask this upstream all the time"),
};

static const struct weir_hook hooks[] = { { .stage = WEIR_AT_AUTH, .req = ask } };

static const struct weir_variable variables[] = {
    { "asker_heard", "answers so far", WEIR_VAR_VOLATILE, 0, get_heard },
};

WEIR_MODULE(asker, .version = "1.0.0", .license = "BSD-2-Clause", .summary = "asks before it answers",
            .conf_size = sizeof(struct conf), .ctx_size = sizeof(struct ctx), .directives = WEIR_TABLE(directives),
            .hooks = WEIR_TABLE(hooks), .variables = WEIR_TABLE(variables), .load = load, .thread_up = thread_up);
