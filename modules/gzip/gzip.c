/* SPDX-License-Identifier: BSD-2-Clause */
/* gzip.c: answers encoded for clients that accept it. RSP_HEAD decides and changes the head, ENCODE the content. */
#include <string.h>

#include "negotiate.h"
#include "stream.h"

struct types_line {
    weir_table types; /* of weir_str */
};

struct conf {
    bool is_on;
    uint64_t level, min_length;
    weir_table types; /* of struct types_line; none: default_types */
};

struct ctx {
    struct stream *stream; /* NULL when it is not in use */
    bool is_eager;         /* X-Accel-Buffering: no */
    bool is_coded;
    uint64_t in, out;      /* figures of the stream once it is released */
};

enum { METRIC_RESPONSES, METRIC_IN, METRIC_OUT };

static weir_mod *self;

static const weir_str default_types[] = {
    { "text/html", 9 }, { "text/css", 8 }, { "text/plain", 10 }, { "text/javascript", 15 },
    { "application/javascript", 22 }, { "application/json", 16 }, { "application/*+json", 18 },
    { "text/xml", 8 }, { "application/xml", 15 }, { "application/*+xml", 17 }, { "image/svg+xml", 13 },
    { "application/wasm", 16 },
};

/* -- the decision -------------------------------------------------------------------------------------------------- */

/* An event stream is live: a pattern does not mean it, only its own name does. */
static bool type_is_named(weir_str pattern, weir_str type)
{
    if (text_equal(type, WEIR_S("text/event-stream")))
        return text_equal(pattern, type);
    return media_matches(pattern, type);
}

static bool type_is_listed(const struct conf *conf, weir_str type)
{
    const char *at = conf->types.base;

    if (conf->types.count == 0) {
        for (size_t i = 0; i < sizeof(default_types) / sizeof(default_types[0]); i++)
            if (type_is_named(default_types[i], type))
                return true;
        return false;
    }
    for (uint32_t i = 0; i < conf->types.count; i++, at += conf->types.stride) {
        weir_table line = ((const struct types_line *)(const void *)at)->types;
        const char *name = line.base;
        for (uint32_t k = 0; k < line.count; k++, name += line.stride)
            if (type_is_named(*(const weir_str *)(const void *)name, type))
                return true;
    }
    return false;
}

static bool any_field_lists(weir_req *r, uint32_t where, weir_str field, weir_str token)
{
    weir_str name, value;

    for (uint32_t cursor = 0; weir_field_next(r, where, &cursor, &name, &value);)
        if (text_equal(name, field) && list_has(value, token))
            return true;
    return false;
}

/* Whether another client of the same resource would get this answer encoded. */
static bool may_be_coded(weir_req *r, const struct conf *conf)
{
    uint32_t status = weir_status(r);
    uint64_t length = weir_number(r, WEIR_NUM_RSP_LENGTH);

    if (status < 200 || status == 204 || status == 206 || status == 304)
        return false;
    if (length != UINT64_MAX && (length == 0 || length < conf->min_length))
        return false;
    if (weir_rsp_get(r, WEIR_S("Content-Encoding")).p || weir_rsp_get(r, WEIR_S("Content-Range")).p)
        return false;
    weir_str type = media_type(weir_rsp_get(r, WEIR_S("Content-Type")));
    return type.n && type_is_listed(conf, type) &&
           !any_field_lists(r, WEIR_OF_RESPONSE, WEIR_S("Cache-Control"), WEIR_S("no-transform"));
}

static bool client_wants_gzip(weir_req *r)
{
    struct wishes wishes = WISHES_NONE;
    weir_str name, value;

    for (uint32_t cursor = 0; weir_field_next(r, WEIR_OF_REQUEST, &cursor, &name, &value);)
        if (text_equal(name, WEIR_S("Accept-Encoding")))
            wishes_read(&wishes, value);
    return wishes_gzip(&wishes);
}

/* -- the head ------------------------------------------------------------------------------------------------------ */

static int vary_on_encoding(weir_req *r)
{
    if (any_field_lists(r, WEIR_OF_RESPONSE, WEIR_S("Vary"), WEIR_S("Accept-Encoding")) ||
        any_field_lists(r, WEIR_OF_RESPONSE, WEIR_S("Vary"), WEIR_S("*")))
        return 0;
    uint32_t count = 0;
    weir_str name, value, vary = { NULL, 0 };
    for (uint32_t cursor = 0; weir_field_next(r, WEIR_OF_RESPONSE, &cursor, &name, &value);)
        if (text_equal(name, WEIR_S("Vary")) && value.n) {
            vary = value;
            count++;
        }
    if (count == 0)
        return weir_rsp_set(r, WEIR_S("Vary"), WEIR_S("Accept-Encoding"));
    if (count > 1) /* several fields are one list (RFC 9110 5.3) */
        return weir_field_add(r, WEIR_OF_RESPONSE, WEIR_S("Vary"), WEIR_S("Accept-Encoding"));
    vary = weir_printf(r, "%.*s, Accept-Encoding", (int)vary.n, vary.p);
    return vary.n ? weir_rsp_set(r, WEIR_S("Vary"), vary) : -1;
}

/* The encoded bytes are another representation: a strong validator no longer holds (RFC 9110 8.8.1). */
static int weaken_etag(weir_req *r)
{
    weir_str etag = weir_rsp_get(r, WEIR_S("ETag"));

    if (etag.n == 0 || (etag.n >= 2 && etag.p[0] == 'W' && etag.p[1] == '/'))
        return 0;
    weir_str weak = weir_printf(r, "W/%.*s", (int)etag.n, etag.p);
    return weak.n ? weir_rsp_set(r, WEIR_S("ETag"), weak) : -1;
}

/* Either all of it or nothing: the coding is named first, as it is what can be taken back. */
static int change_head(weir_req *r)
{
    if (weir_rsp_set(r, WEIR_S("Content-Encoding"), WEIR_S("gzip")) != 0)
        return -1;
    if (weaken_etag(r) != 0) {
        weir_field_remove(r, WEIR_OF_RESPONSE, WEIR_S("Content-Encoding"));
        return -1;
    }
    return 0;
}

/* Length, ranges and digests speak of the bytes as they were (RFC 9110 14.3, RFC 9530). */
static void drop_identity_fields(weir_req *r)
{
    weir_field_remove(r, WEIR_OF_RESPONSE, WEIR_S("Content-Length"));
    weir_field_remove(r, WEIR_OF_RESPONSE, WEIR_S("Accept-Ranges"));
    weir_field_remove(r, WEIR_OF_RESPONSE, WEIR_S("Content-MD5"));
    weir_field_remove(r, WEIR_OF_RESPONSE, WEIR_S("Content-Digest"));
    weir_field_remove(r, WEIR_OF_RESPONSE, WEIR_S("Repr-Digest"));
    weir_field_remove(r, WEIR_OF_RESPONSE, WEIR_S("Digest"));
}

/* -- the content --------------------------------------------------------------------------------------------------- */

/* The end of the body, or of the request when it was broken off; whichever comes first. */
static void give_back(void *arg)
{
    struct ctx *ctx = arg;
    struct stream *stream = ctx->stream;

    if (!stream)
        return;
    ctx->stream = NULL;
    ctx->in = stream_in(stream);
    ctx->out = stream_out(stream);
    weir_mod_count(self, METRIC_IN, (int64_t)ctx->in);
    weir_mod_count(self, METRIC_OUT, (int64_t)ctx->out);
    stream_release(weir_thread_slot(self), stream);
}

static int engage(weir_req *r, struct ctx *ctx, int level)
{
    give_back(ctx); /* of an answer that another one took the place of */
    ctx->stream = stream_take(weir_thread_slot(self), level);
    if (!ctx->stream)
        return -1;
    if (!weir_on_end(r, give_back, ctx) || change_head(r) != 0)
        goto refused;
    if (weir_engage(r, WEIR_AT_ENCODE) != 0) {
        weir_field_remove(r, WEIR_OF_RESPONSE, WEIR_S("Content-Encoding"));
        goto refused;
    }
    ctx->is_coded = true;
    ctx->is_eager = text_equal(weir_rsp_get(r, WEIR_S("X-Accel-Buffering")), WEIR_S("no"));
    return 0;
refused:
    give_back(ctx);
    return -1;
}

/* The answer to HEAD has the fields that GET would have (RFC 9110 9.3.2): the core drops the length when engaged. */
static int engage_head(weir_req *r)
{
    if (change_head(r) != 0)
        return -1;
    if (weir_engage(r, WEIR_AT_ENCODE) == 0)
        return 0;
    weir_field_remove(r, WEIR_OF_RESPONSE, WEIR_S("Content-Encoding"));
    return -1;
}

static weir_verdict decide(weir_req *r, const void *conf_, void *ctx_)
{
    const struct conf *conf = conf_;
    bool has_no_content = text_equal(weir_method(r), WEIR_S("HEAD"));

    if (!may_be_coded(r, conf))
        return WEIR_NEXT;
    if (vary_on_encoding(r) != 0)
        return weir_fail(r, "no memory for Vary");
    if (!client_wants_gzip(r))
        return WEIR_NEXT;
    if ((has_no_content ? engage_head(r) : engage(r, ctx_, (int)conf->level)) != 0)
        return weir_fail(r, "no memory, sent without gzip");
    drop_identity_fields(r);
    if (!has_no_content)
        weir_count(r, METRIC_RESPONSES, 1);
    return WEIR_NEXT;
}

static weir_verdict encode(weir_flow *flow, weir_chain *in, weir_chain *out, uint32_t how)
{
    struct ctx *ctx = weir_flow_ctx(flow);

    if (!ctx->stream)
        return WEIR_SKIP;
    switch (stream_run(ctx->stream, flow, in, out, ctx->is_eager ? how | WEIR_FLUSH : how)) {
    case STREAM_ENDED:
        give_back(ctx);
        return WEIR_SKIP;
    case STREAM_WAITING:
    case STREAM_FULL:
        return WEIR_NEXT;
    case STREAM_BROKEN:
        break;
    }
    return weir_fail(weir_flow_req(flow), "deflate failed");
}

static int get_ratio(weir_req *r, const void *conf, void *ctx_, weir_str rest, weir_str *value)
{
    const struct ctx *ctx = ctx_;

    (void)conf;
    (void)rest;
    if (!ctx->is_coded)
        return -1;
    uint64_t in = ctx->stream ? stream_in(ctx->stream) : ctx->in;
    uint64_t out = ctx->stream ? stream_out(ctx->stream) : ctx->out;
    if (out == 0)
        return -1;
    *value = weir_printf(r, "%.2f", (double)in / (double)out);
    return value->n ? 0 : -1;
}

/* -- configuration ------------------------------------------------------------------------------------------------- */

static int set_types(weir_conf *c, const struct weir_directive *directive, void *to)
{
    const struct types_line *line = to;
    const char *at = line->types.base;
    int result = 0;

    (void)directive;
    for (uint32_t i = 0; i < line->types.count; i++, at += line->types.stride) {
        weir_str type = *(const weir_str *)(const void *)at;
        if (!media_is_pattern(type))
            result = weir_conf_error(c, "\"%.*s\" is no media type: write text/html, text/*, application/*+json or *",
                                     (int)type.n, type.n ? type.p : "");
    }
    return result;
}

static int load(weir_mod *mod)
{
    self = mod;
    return 0;
}

static int check(weir_conf *c, void *scope)
{
    (void)c;
    return ((const struct conf *)scope)->is_on ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static void thread_down(weir_mod *mod, void *slot)
{
    (void)mod;
    stream_pool_clear(slot);
}

static const struct weir_arg types_args[] = {
    { .name = "TYPE", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_REST, .offset = offsetof(struct types_line, types) },
};

static const struct weir_directive directives[] = {
    WEIR_DIR(struct conf, is_on, FLAG, "gzip", WEIR_IN_HTTP, "off", "encodes answers for clients that accept gzip"),
    WEIR_DIR_BOUND(struct conf, level, UINT, "gzip_level", WEIR_IN_HTTP, "4", 1, 9, "1 is fast, 9 is small"),
    WEIR_DIR(struct conf, min_length, SIZE, "gzip_min_length", WEIR_IN_HTTP, "1k",
             "answers known to be shorter are left alone"),
    { .name = "gzip_types", .doc = "media types to encode: html, css, plain text, JavaScript, JSON, XML, SVG and wasm",
      .scopes = WEIR_IN_HTTP, .merge = WEIR_MERGE_REPLACE, .record_size = sizeof(struct types_line),
      .offset = offsetof(struct conf, types), .args = WEIR_TABLE(types_args), .set = set_types },
};

static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_RSP_HEAD, .slot = WEIR_LATE, .flags = WEIR_FAIL_OPEN, .after = "response-fields",
      .req = decide },
    { .stage = WEIR_AT_ENCODE, .flags = WEIR_CHANGES_LENGTH, .provides = "content-coding", .bytes = encode },
};

static const struct weir_variable variables[] = {
    { .name = "gzip_ratio", .doc = "content before and after gzip, as in 3.52", .flags = WEIR_VAR_VOLATILE,
      .get = get_ratio },
};

static const struct weir_metric metrics[] = {
    [METRIC_RESPONSES] = { "responses_total", "answers encoded with gzip", WEIR_COUNTER, 0 },
    [METRIC_IN] = { "in_bytes_total", "content bytes before encoding", WEIR_COUNTER, 0 },
    [METRIC_OUT] = { "out_bytes_total", "content bytes after encoding", WEIR_COUNTER, 0 },
};

WEIR_MODULE(gzip, .version = "1.0.0", .license = "BSD-2-Clause", .summary = "answers encoded with gzip",
            .conf_size = sizeof(struct conf), .ctx_size = sizeof(struct ctx), .thread_size = sizeof(struct stream_pool),
            .directives = WEIR_TABLE(directives), .hooks = WEIR_TABLE(hooks), .variables = WEIR_TABLE(variables),
            .metrics = WEIR_TABLE(metrics), .load = load, .check = check, .thread_down = thread_down);
