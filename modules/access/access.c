/* SPDX-License-Identifier: BSD-2-Clause */
/* access.c: allow and deny by the client's address: one ordered list, inner scopes first, the first match decides. */
#include <string.h>

#include <weir/weir.h>

struct rule {
    struct weir_place place;
    weir_table networks; /* of struct weir_cidr */
    bool denies;
    const char *reason; /* of a refusal: "denied by rule FILE:LINE" */
};

struct conf {
    weir_table rules; /* of struct rule */
};

enum { DENY = 1 };
enum { METRIC_DENIED };

static bool network_holds(const struct weir_cidr *network, const uint8_t address[16])
{
    uint32_t whole = network->bits / 8, rest = network->bits % 8;

    if (memcmp(network->address, address, whole) != 0)
        return false;
    return rest == 0 || (network->address[whole] ^ address[whole]) >> (8 - rest) == 0;
}

static bool rule_matches(const struct rule *rule, const uint8_t address[16])
{
    const char *at = rule->networks.base;

    for (uint32_t i = 0; i < rule->networks.count; i++, at += rule->networks.stride)
        if (network_holds((const struct weir_cidr *)(const void *)at, address))
            return true;
    return false;
}

static weir_verdict decide(weir_req *r, const void *conf_, void *ctx)
{
    const struct conf *conf = conf_;
    const char *at = conf->rules.base;
    uint8_t address[16];

    (void)ctx;
    weir_client_address(r, address);
    for (uint32_t i = 0; i < conf->rules.count; i++, at += conf->rules.stride) {
        const struct rule *rule = (const struct rule *)(const void *)at;
        if (!rule_matches(rule, address))
            continue;
        if (!rule->denies)
            return WEIR_SKIP; /* let in by name: enough where `satisfy any` holds */
        if (!weir_is_dry(r))
            weir_count(r, METRIC_DENIED, 1);
        return weir_refuse(r, 403, rule->reason);
    }
    return WEIR_NEXT;
}

static char *put(char *to, const char *from, size_t n)
{
    memcpy(to, from, n);
    return to + n;
}

/* The reason is written once, here: a request only points at it. */
static int set_rule(weir_conf *c, const struct weir_directive *directive, void *to)
{
    static const char words[] = "denied by rule ";
    struct rule *rule = to;
    char digits[10];
    size_t count = 0;

    rule->denies = directive->tag == DENY;
    for (uint32_t line = rule->place.line; line != 0 || count == 0; line /= 10)
        digits[count++] = (char)('0' + line % 10);

    char *text = weir_conf_alloc(c, sizeof(words) + rule->place.file.n + 1 + count);
    if (!text)
        return weir_conf_error(c, "no memory");
    char *end = put(text, words, sizeof(words) - 1);
    if (rule->place.file.n)
        end = put(end, rule->place.file.p, rule->place.file.n);
    *end++ = ':';
    while (count)
        *end++ = digits[--count];
    *end = '\0';
    rule->reason = text;
    return 0;
}

static int check(weir_conf *c, void *scope)
{
    const struct conf *conf = scope;

    (void)c;
    return conf->rules.count ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static const struct weir_arg rule_args[] = {
    { .name = "PLACE", .type = WEIR_TYPE_PLACE, .offset = WEIR_FIELD(struct rule, place, WEIR_C_PLACE) },
    { .name = "CIDR", .type = WEIR_TYPE_CIDR, .flags = WEIR_ARG_REST, .offset = offsetof(struct rule, networks) },
};

#define RULE(Name, Tag, Doc) \
    { .name = (Name), .doc = (Doc), .scopes = WEIR_IN_HTTP, .merge = WEIR_MERGE_INNER_FIRST, .tag = (Tag), \
      .record_size = sizeof(struct rule), .offset = offsetof(struct conf, rules), .args = WEIR_TABLE(rule_args), \
      .set = set_rule }

static const struct weir_directive directives[] = {
    RULE("allow", 0, "addresses and networks that are let in (all: every one); the first match decides"),
    RULE("deny", DENY, "addresses and networks that are refused with 403 (all: every one)"),
};

static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_AUTH, .slot = WEIR_EARLY, .flags = WEIR_DECIDES | WEIR_DRY_OK, .provides = "address-rules",
      .after = "client-addr", .req = decide },
};

static const struct weir_metric metrics[] = {
    [METRIC_DENIED] = { "denied_total", "requests refused by an address rule", WEIR_COUNTER, 0 },
};

WEIR_MODULE(access, .version = "1.0.0", .license = "BSD-2-Clause", .summary = "allow and deny by address",
            .conf_size = sizeof(struct conf), .directives = WEIR_TABLE(directives), .hooks = WEIR_TABLE(hooks),
            .metrics = WEIR_TABLE(metrics), .check = check);
