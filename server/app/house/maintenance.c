/* SPDX-License-Identifier: BSD-2-Clause */
/* maintenance.c: `maintenance on|off [bypass=CIDR,...];`: 503 with Retry-After for everybody but those who work on
 * it. */
#include "app/house/builtin.h"
#include "net/addr.h"

struct conf {
    bool on;
    weir_table bypass;    /* of struct weir_cidr */
    uint64_t retry_after; /* ms */
};

static bool may_pass(const struct conf *conf, weir_req *r)
{
    uint8_t address[16];
    const char *at = conf->bypass.base;

    if (conf->bypass.count == 0)
        return false;
    weir_client_address(r, address);
    for (uint32_t i = 0; i < conf->bypass.count; i++, at += conf->bypass.stride)
        if (cidr_contains((const struct weir_cidr *)(const void *)at, address))
            return true;
    return false;
}

static weir_verdict decide(weir_req *r, const void *conf_, void *ctx)
{
    const struct conf *conf = conf_;

    (void)ctx;
    if (may_pass(conf, r))
        return WEIR_NEXT;
    weir_rsp_set(r, WEIR_S("Retry-After"),
                 weir_printf(r, "%llu", (unsigned long long)((conf->retry_after + 999) / 1000)));
    return weir_refuse(r, 503, "maintenance");
}

static int check(weir_conf *c, void *scope)
{
    const struct conf *conf = scope;

    (void)c;
    return conf->on ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static const struct weir_arg maintenance_args[] = {
    { .name = "STATE", .type = WEIR_TYPE_FLAG, .fallback = "off", .offset = WEIR_FIELD(struct conf, on, WEIR_C_FLAG) },
    { .name = "bypass",
      .type = WEIR_TYPE_CIDR,
      .flags = WEIR_ARG_OPTION | WEIR_ARG_LIST,
      .offset = offsetof(struct conf, bypass) },
    { .name = "retry_after",
      .type = WEIR_TYPE_DURATION,
      .flags = WEIR_ARG_OPTION,
      .fallback = "5m",
      .offset = WEIR_FIELD(struct conf, retry_after, WEIR_C_DURATION) },
};
static const struct weir_directive directives[] = {
    { .name = "maintenance",
      .scopes = WEIR_IN_HTTP,
      .args = WEIR_TABLE(maintenance_args),
      .doc = "answer 503 with Retry-After, but for clients of the bypass networks" },
};
static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_GUARD,
      .slot = WEIR_EARLY,
      .flags = WEIR_DECIDES | WEIR_DRY_OK,
      .provides = "maintenance",
      .after = "client-addr",
      .req = decide },
};

const struct weir_module maintenance_module = {
    BUILTIN_MODULE("maintenance", "503 while a service is being worked on"),
    .conf_size = sizeof(struct conf),
    .directives = WEIR_TABLE(directives),
    .hooks = WEIR_TABLE(hooks),
    .check = check,
};
