/* SPDX-License-Identifier: BSD-2-Clause */
/* geoip.c: where a client's address is: variables, and rules by country, continent and network operator. */
#include "database.h"
#include "place.h"
#include "rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY_MS = 1000, OLD_DAYS = 45, DAY_S = 24 * 60 * 60 };
enum { METRIC_REFUSED, METRIC_REREAD, METRIC_BROKEN };

struct file {
    struct weir_place place;
    weir_table paths; /* of weir_str */
};

struct conf {
    weir_table files; /* of struct file */
    weir_table rules; /* of struct rule */
    struct database **databases; /* this scope's own references */
    uint32_t count;
};

struct ctx {
    bool is_known;
    struct place place; /* its texts in the request's memory */
};

static weir_mod *self;
static atomic_bool is_looking; /* one worker's job at a time */

/* -- looking up ---------------------------------------------------------------------------------------------------- */

static weir_str keep(weir_req *r, weir_str text)
{
    char *copy = text.n ? weir_alloc(r, text.n) : NULL;

    if (!copy)
        return (weir_str){ NULL, 0 };
    memcpy(copy, text.p, text.n);
    return (weir_str){ copy, text.n };
}

/* Once per request, when somebody asks. */
static const struct place *place_of(weir_req *r, const struct conf *conf, struct ctx *ctx)
{
    struct held_readings *held = weir_thread_slot(self);
    uint8_t address[16];

    if (ctx->is_known || !held)
        return &ctx->place;
    weir_client_address(r, address);
    for (uint32_t i = 0; i < conf->count; i++) {
        const MMDB_s *mmdb = database_reading(conf->databases[i], held);
        if (mmdb && !place_look(&ctx->place, mmdb, address))
            weir_req_log(r, WEIR_LOG_WARN, "geoip: database broken where this client's address is");
    }
    place_finish(&ctx->place);
    ctx->place.city = keep(r, ctx->place.city);
    ctx->place.organisation = keep(r, ctx->place.organisation);
    ctx->is_known = true;
    return &ctx->place;
}

static weir_verdict decide(weir_req *r, const void *conf_, void *ctx)
{
    const struct conf *conf = conf_;
    uint8_t address[16];

    weir_client_address(r, address);
    if (address_is_local(address))
        return WEIR_NEXT;
    const char *reason = rules_refuse(&conf->rules, place_of(r, conf, ctx));
    if (!reason)
        return WEIR_NEXT;
    if (!weir_is_dry(r))
        weir_count(r, METRIC_REFUSED, 1);
    return weir_refuse(r, 403, reason);
}

/* -- variables ----------------------------------------------------------------------------------------------------- */

static int give(weir_str text, weir_str *value)
{
    *value = text;
    return text.n ? 0 : -1;
}

static weir_str code_text(const char code[2])
{
    return (weir_str){ code, code[0] ? 2 : 0 };
}

static int get_country(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    (void)rest;
    return give(code_text(place_of(r, conf, ctx)->country), value);
}

static int get_continent(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    (void)rest;
    return give(code_text(place_of(r, conf, ctx)->continent), value);
}

static int get_city(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    (void)rest;
    return give(place_of(r, conf, ctx)->city, value);
}

static int get_org(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    (void)rest;
    return give(place_of(r, conf, ctx)->organisation, value);
}

static int get_asn(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    uint32_t asn = place_of(r, conf, ctx)->asn;

    (void)rest;
    return asn ? give(weir_printf(r, "%u", asn), value) : -1;
}

/* -- databases ----------------------------------------------------------------------------------------------------- */

static void tell_age(const char *path, uint64_t built, void *unused)
{
    uint64_t now = weir_now(WEIR_NOW_WALL_MS) / 1000, days = now > built ? (now - built) / DAY_S : 0;

    (void)unused;
    weir_mod_note(self, path, days > OLD_DAYS ? WEIR_LOG_WARN : WEIR_LOG_INFO, "%llu days old%s",
                  (unsigned long long)days, days > OLD_DAYS ? ", networks have moved since: fetch a newer one" : "");
}

static void told(const char *path, const char *why)
{
    weir_mod_count(self, why ? METRIC_BROKEN : METRIC_REREAD, 1);
    if (why)
        weir_log(WEIR_LOG_ERROR, "geoip: %s was replaced by what cannot be used (%s): the database before it stays",
                 path, why);
    else
        weir_log(WEIR_LOG_NOTICE, "geoip: %s was replaced and read", path);
}

static void look(void *arg)
{
    (void)arg;
    databases_look(told);
    databases_walk(tell_age, NULL);
    atomic_store(&is_looking, false);
}

static void on_timer(weir_mod *mod, void *held)
{
    static const struct weir_mod_job_calls calls = { .work = look };

    held_refresh(held);
    if (!atomic_exchange(&is_looking, true) && weir_mod_job(mod, &calls, NULL) != 0)
        atomic_store(&is_looking, false);
}

static int thread_up(weir_mod *mod, void *slot)
{
    return weir_thread_timer(mod, LOOK_EVERY_MS, on_timer, slot) ? 0 : -1;
}

static void thread_down(weir_mod *mod, void *slot)
{
    (void)mod;
    held_drop(slot);
}

static int load(weir_mod *mod)
{
    self = mod;
    return 0;
}

/* -- configuration ------------------------------------------------------------------------------------------------- */

static const struct file *file_at(const struct conf *conf, uint32_t i)
{
    return (const struct file *)(const void *)((const char *)conf->files.base + (size_t)i * conf->files.stride);
}

static void close_all(struct conf *conf)
{
    for (uint32_t i = 0; i < conf->count; i++)
        database_close(conf->databases[i]);
    conf->count = 0;
}

static int open_file(weir_conf *c, struct conf *conf, const struct file *file)
{
    char why[DATABASE_ERROR];
    int rc = 0;

    for (uint32_t i = 0; i < file->paths.count; i++) {
        const weir_str *path =
            (const weir_str *)(const void *)((const char *)file->paths.base + (size_t)i * file->paths.stride);
        struct database *database = database_open(path->p, why);
        if (database)
            conf->databases[conf->count++] = database;
        else
            rc = weir_conf_error_at(c, &file->place, "geoip database %s: %s", path->p, why);
    }
    return rc;
}

static int check(weir_conf *c, void *scope)
{
    struct conf *conf = scope;
    uint32_t total = 0;
    int rc = 0;

    for (uint32_t i = 0; i < conf->files.count; i++)
        total += file_at(conf, i)->paths.count;
    conf->count = 0;
    conf->databases = weir_conf_alloc(c, (total + 1) * sizeof(struct database *));
    if (!conf->databases)
        return weir_conf_error(c, "no memory");
    if (total == 0 && conf->rules.count)
        return weir_conf_error(c, "rules by country need a database: geoip_database FILE; at top level");
    for (uint32_t i = 0; i < conf->files.count; i++)
        if (open_file(c, conf, file_at(conf, i)) != 0)
            rc = -1;
    if (rc != 0) {
        close_all(conf);
        return WEIR_CONF_ERROR;
    }
    if (weir_conf_scope(c) == WEIR_IN_TOP)
        databases_walk(tell_age, NULL);
    return conf->rules.count ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static void drop(void *scope)
{
    struct conf *conf = scope;

    for (uint32_t i = 0; i < conf->count; i++)
        weir_mod_note(self, database_path(conf->databases[i]), WEIR_LOG_INFO, "%s", "");
    close_all(conf);
    databases_walk(tell_age, NULL); /* those that other scopes still name */
}

enum { DENY = 1 };

static int set_rule(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct rule *rule = to;

    rule->denies = directive->tag == DENY;
    return rule_compile(c, rule);
}

static const struct weir_arg file_args[] = {
    { .name = "PLACE", .type = WEIR_TYPE_PLACE, .offset = WEIR_FIELD(struct file, place, WEIR_C_PLACE) },
    { .name = "FILE", .type = WEIR_TYPE_PATH, .flags = WEIR_ARG_REST, .offset = offsetof(struct file, paths) },
};

static const struct weir_arg rule_args[] = {
    { .name = "PLACE", .type = WEIR_TYPE_PLACE, .offset = WEIR_FIELD(struct rule, place, WEIR_C_PLACE) },
    { .name = "CC", .type = WEIR_TYPE_STR, .flags = WEIR_ARG_REST, .offset = offsetof(struct rule, words) },
};

#define RULE(Name, Tag, Doc) \
    { .name = (Name), .doc = (Doc), .scopes = WEIR_IN_HTTP, .merge = WEIR_MERGE_INNER_FIRST, .tag = (Tag), \
      .record_size = sizeof(struct rule), .offset = offsetof(struct conf, rules), .args = WEIR_TABLE(rule_args), \
      .set = set_rule }

static const struct weir_directive directives[] = {
    { .name = "geoip_database", .doc = "databases in MaxMind's format, asked in this order; read anew when replaced",
      .scopes = WEIR_IN_TOP, .merge = WEIR_MERGE_APPEND, .record_size = sizeof(struct file),
      .offset = offsetof(struct conf, files), .args = WEIR_TABLE(file_args) },
    RULE("geoip_allow", 0, "countries (DE), continent:EU, AS64496, unknown or all that are let in, and nobody else"),
    RULE("geoip_deny", DENY, "countries (DE), continent:EU, AS64496, unknown or all that are refused with 403"),
};

static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_GUARD, .flags = WEIR_DECIDES | WEIR_DRY_OK, .provides = "country-rules", .after = "client-addr",
      .req = decide },
};

static const struct weir_variable variables[] = {
    { "geoip_country", "the client's country, two letters", 0, 0, get_country },
    { "geoip_continent", "the client's continent, two letters", 0, 0, get_continent },
    { "geoip_city", "the client's city, in English", 0, 0, get_city },
    { "geoip_asn", "the number of the autonomous system the client's address is announced by", 0, 0, get_asn },
    { "geoip_org", "the organisation that runs it", 0, 0, get_org },
};

static const struct weir_metric metrics[] = {
    [METRIC_REFUSED] = { "refused_total", "requests refused by a country rule", WEIR_COUNTER, 0 },
    [METRIC_REREAD] = { "reread_total", "databases read anew after they were replaced", WEIR_COUNTER, 0 },
    [METRIC_BROKEN] = { "broken_total", "replacements that could not be used", WEIR_COUNTER, 0 },
};

WEIR_MODULE(geoip, .version = "1.0.0", .license = "BSD-2-Clause",
            .summary = "country, continent, city and network of clients; rules by them",
            .conf_size = sizeof(struct conf), .ctx_size = sizeof(struct ctx),
            .thread_size = sizeof(struct held_readings),
            .directives = WEIR_TABLE(directives), .hooks = WEIR_TABLE(hooks), .variables = WEIR_TABLE(variables),
            .metrics = WEIR_TABLE(metrics), .load = load, .check = check, .drop = drop, .thread_up = thread_up,
            .thread_down = thread_down);
