/* SPDX-License-Identifier: BSD-2-Clause */
/* ratelimit.c: directives, hooks, and what an answer says about limits (draft-ietf-httpapi-ratelimit-headers). */
#include "bans.h"
#include "pull.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HOOK_BANS, HOOK_GUARD, HOOK_FIELDS };
enum { TICK_MS = 1000 };
enum { KIND_RATE, KIND_CONN };

/* -- lines --------------------------------------------------------------------------------------------------------- */

/* FNV-1a: over what the operator wrote, so nobody chooses it. */
static uint64_t hash_more(uint64_t hash, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ ((const uint8_t *)p)[i]) * 0x100000001b3u;
    return hash;
}

/* A line is itself wherever it is inherited; lines of a zone are one. */
static uint64_t limit_id(const struct limit *limit, uint32_t kind)
{
    uint64_t hash = hash_more(0xcbf29ce484222325u, &kind, sizeof(kind));

    if (limit->zone.n)
        return hash_more(hash_more(hash, "zone", 4), limit->zone.p, limit->zone.n);
    hash = hash_more(hash, limit->place.file.p, limit->place.file.n);
    hash = hash_more(hash, &limit->place.line, sizeof(limit->place.line));
    return hash_more(hash, &limit->place.column, sizeof(limit->place.column));
}

__attribute__((format(printf, 2, 3))) static char *conf_printf(weir_conf *c, const char *fmt, ...)
{
    va_list ap, again;

    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *text = n < 0 ? NULL : weir_conf_alloc(c, (size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return text;
}

static bool is_zone_name(weir_str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", name.p[i]))
            return false;
    return name.n <= 64;
}

/* q tokens that are whole again after w seconds. */
static weir_str policy_of(weir_conf *c, const struct limit *limit)
{
    uint64_t quota = limit->burst + 1, us = limit->rate.period * 1000;
    uint64_t seconds = (quota * us / limit->rate.events + 999999) / 1000000;
    const char *name = limit->zone.n ? limit->zone.p : "limit";
    char *text = conf_printf(c, "\"%s\";q=%" PRIu64 ";w=%" PRIu64, name, quota, seconds);

    return (weir_str){ text, text ? strlen(text) : 0 };
}

static int set_limit(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct limit *limit = to;

    if (!is_zone_name(limit->zone))
        return weir_conf_error(c, "%s: a zone's name has up to 64 letters, digits, '-', '_' and '.'", directive->name);
    limit->id = limit_id(limit, directive->tag);
    limit->reason = conf_printf(c, "over %s of %.*s:%u", directive->name, (int)limit->place.file.n,
                                limit->place.file.n ? limit->place.file.p : "", limit->place.line);
    if (directive->tag == KIND_RATE)
        limit->policy = policy_of(c, limit);
    return limit->reason && (limit->policy.p || directive->tag == KIND_CONN) ? 0 : weir_conf_error(c, "no memory");
}

/* -- check --------------------------------------------------------------------------------------------------------- */

static const struct limit *line_at(const weir_table *lines, uint32_t i)
{
    return (const struct limit *)(const void *)((const char *)lines->base + (size_t)i * lines->stride);
}

/* Of several lines of one zone the innermost counts here: a request is one request of its zone. */
static int choose(weir_conf *c, const weir_table *lines, weir_table *chosen)
{
    const struct limit **limits = weir_conf_alloc(c, (lines->count + 1) * sizeof(const struct limit *));
    uint32_t count = 0;

    if (!limits)
        return weir_conf_error(c, "no memory");
    for (uint32_t i = 0; i < lines->count; i++) {
        bool is_replaced = false;
        for (uint32_t k = i + 1; k < lines->count; k++)
            is_replaced |= line_at(lines, k)->id == line_at(lines, i)->id;
        if (!is_replaced)
            limits[count++] = line_at(lines, i);
    }
    *chosen = (weir_table){ limits, count, sizeof(const struct limit *) };
    return 0;
}

static int check(weir_conf *c, void *scope)
{
    struct conf *conf = scope;

    if (choose(c, &conf->rate_lines, &conf->rates) != 0 || choose(c, &conf->conn_lines, &conf->conns) != 0)
        return WEIR_CONF_ERROR;
    if (conf->fields == FIELDS_OFF || conf->rates.count == 0)
        weir_conf_skip_hook(c, HOOK_FIELDS);
    if (conf->rates.count == 0 && conf->conns.count == 0)
        weir_conf_skip_hook(c, HOOK_GUARD);
    if (weir_conf_scope(c) == WEIR_IN_TOP && pull_check(c, conf) != 0)
        return WEIR_CONF_ERROR;
    if (weir_conf_scope(c) == WEIR_IN_TOP && !weir_conf_is_rehearsal(c))
        ban_file_open(weir_conf_state_path(c, WEIR_S("bans")));
    return WEIR_CONF_OK; /* a ban holds everywhere */
}

static int load(weir_mod *mod)
{
    pull_load(mod);
    return rates_load(mod) == 0 && conns_load(mod) == 0 && bans_load(mod) == 0 ? 0 : -1;
}

static void tick(weir_mod *mod, void *arg)
{
    (void)arg;
    ban_file_tick(mod);
    pull_tick(mod);
}

static int thread_up(weir_mod *mod, void *slot)
{
    (void)slot;
    return weir_thread_timer(mod, TICK_MS, tick, NULL) ? 0 : -1;
}

static void thread_down(weir_mod *mod, void *slot)
{
    (void)mod;
    ban_file_close();
    pull_thread_down(slot);
}

/* -- hooks --------------------------------------------------------------------------------------------------------- */

static weir_verdict judge_ban(weir_req *r, const void *conf, void *ctx)
{
    (void)ctx;
    return bans_judge(r, conf);
}

static weir_verdict guard(weir_req *r, const void *conf, void *ctx)
{
    ((struct ctx *)ctx)->is_shadow = weir_is_shadow(r);
    weir_verdict verdict = conns_judge(r, conf, ctx);

    if (verdict == WEIR_NEXT)
        verdict = rates_judge(r, conf, ctx);
    if (verdict == WEIR_REPLY && !weir_is_shadow(r))
        bans_count_refusal(r, conf);
    return verdict;
}

static uint64_t seconds_up(uint64_t us)
{
    return us / 1000000 + (us % 1000000 != 0);
}

static int put_fields(weir_req *r, const struct ctx *ctx)
{
    const struct weir_bucket *bucket = &ctx->bucket;
    size_t name_n = (size_t)((const char *)memchr(ctx->shown->policy.p, ';', ctx->shown->policy.n) -
                             ctx->shown->policy.p);
    weir_str state = weir_printf(r, "%.*s;r=%" PRIu64 ";t=%" PRIu64, (int)name_n, ctx->shown->policy.p, bucket->left,
                                 seconds_up(ctx->refused ? bucket->wait_us : bucket->full_us));

    if (!state.p || weir_rsp_set(r, WEIR_S("RateLimit"), state) != 0 ||
        weir_rsp_set(r, WEIR_S("RateLimit-Policy"), ctx->shown->policy) != 0)
        return -1;
    if (!ctx->refused)
        return 0;
    weir_str after = weir_printf(r, "%" PRIu64, seconds_up(bucket->wait_us));
    return after.p ? weir_rsp_set(r, WEIR_S("Retry-After"), after) : -1;
}

/* A mode that only watches says nothing; nor is anything said of a refusal that became another answer. */
static weir_verdict answer(weir_req *r, const void *conf_, void *ctx_)
{
    const struct conf *conf = conf_;
    const struct ctx *ctx = ctx_;

    if (!ctx->shown || ctx->is_shadow || (conf->fields == FIELDS_REFUSED && !ctx->refused) ||
        (ctx->refused && weir_status(r) != ctx->shown->status))
        return WEIR_NEXT;
    return put_fields(r, ctx) == 0 ? WEIR_NEXT : weir_fail(r, "no memory for fields");
}

/* -- tables -------------------------------------------------------------------------------------------------------- */

#define PLACE                                                                                                         \
    { .name = "PLACE", .type = WEIR_TYPE_PLACE, .offset = WEIR_FIELD(struct limit, place, WEIR_C_PLACE) }
#define KEY_AND_STATUS                                                                                                \
    { .name = "key", .type = WEIR_TYPE_TEMPLATE, .flags = WEIR_ARG_OPTION,                                            \
      .offset = WEIR_FIELD(struct limit, key, WEIR_C_TEMPLATE) },                                                     \
    { .name = "status", .type = WEIR_TYPE_UINT, .flags = WEIR_ARG_OPTION, .fallback = "429", .min = 400, .max = 599,  \
      .offset = WEIR_FIELD(struct limit, status, WEIR_C_UINT) },                                                      \
    { .name = "zone", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_OPTION,                                                \
      .offset = WEIR_FIELD(struct limit, zone, WEIR_C_STR) }

static const struct weir_arg rate_args[] = {
    PLACE,
    { .name = "RATE", .type = WEIR_TYPE_RATE, .offset = WEIR_FIELD(struct limit, rate, WEIR_C_RATE) },
    { .name = "burst", .type = WEIR_TYPE_UINT, .flags = WEIR_ARG_OPTION, .fallback = "0", .max = 1000000,
      .offset = WEIR_FIELD(struct limit, burst, WEIR_C_UINT) },
    { .name = "delay", .type = WEIR_TYPE_FLAG, .flags = WEIR_ARG_WORD,
      .offset = WEIR_FIELD(struct limit, delays, WEIR_C_FLAG) },
    KEY_AND_STATUS,
};
static const struct weir_arg conn_args[] = {
    PLACE,
    { .name = "N", .type = WEIR_TYPE_UINT, .min = 1, .max = 1000000,
      .offset = WEIR_FIELD(struct limit, most, WEIR_C_UINT) },
    KEY_AND_STATUS,
};
static const struct weir_arg ban_args[] = {
    { .name = "after", .type = WEIR_TYPE_UINT, .flags = WEIR_ARG_OPTION | WEIR_ARG_REQUIRED, .fallback = "0",
      .max = 1000000, .offset = WEIR_FIELD(struct conf, ban_after, WEIR_C_UINT) },
    { .name = "within", .type = WEIR_TYPE_DURATION, .flags = WEIR_ARG_OPTION, .fallback = "1m", .min = 1000,
      .max = 86400000, .offset = WEIR_FIELD(struct conf, ban_within, WEIR_C_DURATION) },
    { .name = "for", .type = WEIR_TYPE_DURATION, .flags = WEIR_ARG_OPTION, .fallback = "1h", .min = 1000,
      .max = 31536000000, .offset = WEIR_FIELD(struct conf, ban_for, WEIR_C_DURATION) },
};
static const struct weir_arg list_args[] = {
    { .name = "PLACE", .type = WEIR_TYPE_PLACE, .offset = WEIR_FIELD(struct conf, list_place, WEIR_C_PLACE) },
    { .name = "URL", .type = WEIR_TYPE_STR, .offset = WEIR_FIELD(struct conf, list_url, WEIR_C_STR) },
    { .name = "key", .type = WEIR_TYPE_PATH, .flags = WEIR_ARG_OPTION | WEIR_ARG_REQUIRED,
      .offset = WEIR_FIELD(struct conf, list_key_file, WEIR_C_PATH) },
    { .name = "interval", .type = WEIR_TYPE_DURATION, .flags = WEIR_ARG_OPTION, .fallback = "10s", .min = 1000,
      .max = 3600000, .offset = WEIR_FIELD(struct conf, list_interval, WEIR_C_DURATION) },
    { .name = "most", .type = WEIR_TYPE_UINT, .flags = WEIR_ARG_OPTION, .fallback = "100000", .min = 1,
      .max = 1000000, .offset = WEIR_FIELD(struct conf, list_most, WEIR_C_UINT) },
    { .name = "except", .type = WEIR_TYPE_CIDR, .flags = WEIR_ARG_OPTION | WEIR_ARG_LIST,
      .offset = offsetof(struct conf, list_except) },
};
static const struct weir_directive directives[] = {
    { .name = "rate_limit", .scopes = WEIR_IN_HTTP, .merge = WEIR_MERGE_APPEND, .record_size = sizeof(struct limit),
      .offset = offsetof(struct conf, rate_lines), .args = WEIR_TABLE(rate_args), .set = set_limit, .tag = KIND_RATE,
      .doc = "requests of a key (the client's network unless said) in a time; burst: so many more at once, with the "
             "word delay one by one at the rate; 429 above it" },
    { .name = "conn_limit", .scopes = WEIR_IN_HTTP, .merge = WEIR_MERGE_APPEND, .record_size = sizeof(struct limit),
      .offset = offsetof(struct conf, conn_lines), .args = WEIR_TABLE(conn_args), .set = set_limit, .tag = KIND_CONN,
      .doc = "requests of a key that are under way at one time, tunnels too; 429 above it" },
    { .name = "ban", .scopes = WEIR_IN_HTTP, .args = WEIR_TABLE(ban_args),
      .doc = "a client that the limits here refused so often within a time is answered 403 everywhere for a time" },
    { .name = "ban_list", .scopes = WEIR_IN_TOP, .args = WEIR_TABLE(list_args), .set = pull_set,
      .doc = "networks to ban are fetched from a server that speaks CrowdSec's decision stream, with the API key in a "
             "file; most: how many at once; except: networks it bans not" },
    WEIR_DIR_BOUND(struct conf, ipv6_prefix, UINT, "rate_limit_ipv6_prefix", WEIR_IN_HTTP, "64", 16, 128,
                   "bits of an IPv6 address that make one client"),
    WEIR_DIR_ENUM(struct conf, fields, "rate_limit_fields", WEIR_IN_HTTP, "off|refused|always", "refused",
                  "on which answers RateLimit, RateLimit-Policy and, when refused, Retry-After stand"),
};
static const struct weir_hook hooks[] = {
    [HOOK_BANS] = { .stage = WEIR_AT_GUARD, .slot = WEIR_EARLY, .flags = WEIR_DECIDES | WEIR_DRY_OK,
                    .provides = "bans", .after = "client-addr", .name = "bans", .req = judge_ban },
    [HOOK_GUARD] = { .stage = WEIR_AT_GUARD, .flags = WEIR_DECIDES | WEIR_DRY_OK, .provides = "ratelimit",
                     .after = "client-addr", .req = guard },
    [HOOK_FIELDS] = { .stage = WEIR_AT_RSP_HEAD, .slot = WEIR_LATE, .flags = WEIR_FAIL_OPEN | WEIR_DRY_OK,
                      .name = "ratelimit-fields", .req = answer },
};
static const struct weir_metric metrics[] = {
    [METRIC_RATE_REFUSED] = { "refused_total", "requests refused by rate_limit", WEIR_COUNTER, 0 },
    [METRIC_DELAYED] = { "delayed_total", "requests that waited for their turn", WEIR_COUNTER, 0 },
    [METRIC_CONN_REFUSED] = { "conn_refused_total", "requests refused by conn_limit", WEIR_COUNTER, 0 },
    [METRIC_BANNED] = { "bans_total", "clients banned for their refusals", WEIR_COUNTER, 0 },
    [METRIC_BAN_REFUSED] = { "ban_refused_total", "requests of those who are banned", WEIR_COUNTER, 0 },
    [METRIC_PULLED] = { "list_bans", "bans of ban_list", WEIR_GAUGE, 0 },
    [METRIC_PULLED_BYTES] = { "list_bytes", "memory that the bans of ban_list take", WEIR_GAUGE, 0 },
    [METRIC_PULL_FAILED] = { "list_failures_total", "times that ban_list could not be fetched", WEIR_COUNTER, 0 },
};

static const struct weir_command commands[] = {
    { "ban", "list | add CIDR [TIME] | remove CIDR", "networks that are answered 403", ban_command },
};

WEIR_MODULE(ratelimit, .version = "1.0.0", .license = "BSD-2-Clause",
            .summary = "limits of rate and of concurrency, bans", .commands = WEIR_TABLE(commands),
            .thread_up = thread_up, .thread_down = thread_down,
            .thread_size = sizeof(struct held_pulled),
            .conf_size = sizeof(struct conf), .ctx_size = sizeof(struct ctx), .directives = WEIR_TABLE(directives),
            .hooks = WEIR_TABLE(hooks), .metrics = WEIR_TABLE(metrics), .load = load, .check = check);
