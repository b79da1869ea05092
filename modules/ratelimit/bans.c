/* SPDX-License-Identifier: BSD-2-Clause */
#include "bans.h"

#include <string.h>

enum { REFUSALS_BYTES = 4 << 20 };

static weir_dict *refusals;

int bans_load(weir_mod *mod)
{
    refusals = weir_dict_open(mod, "refusals", REFUSALS_BYTES, 0);
    return refusals ? 0 : weir_mod_error(mod, "no memory for refusals");
}

weir_verdict bans_judge(weir_req *r)
{
    uint8_t address[16];

    weir_client_address(r, address);
    if (!ban_list_holds(address, weir_now(WEIR_NOW_WALL_MS)))
        return WEIR_NEXT;
    if (!weir_is_dry(r))
        weir_count(r, METRIC_BAN_REFUSED, 1);
    return weir_refuse(r, 403, "banned");
}

static void ban_client(weir_req *r, const struct conf *conf, const struct ban *ban)
{
    char network[NETWORK_ROOM];

    network_print(ban, network);
    if (ban_list_put(ban) != 0) {
        weir_req_log(r, WEIR_LOG_WARN, "%s not banned: the list is full", network);
        return;
    }
    weir_count(r, METRIC_BANNED, 1);
    weir_req_log(r, WEIR_LOG_NOTICE, "%s banned for %llu s: %llu refusals within %llu s", network,
                 (unsigned long long)(conf->ban_for / 1000), (unsigned long long)conf->ban_after,
                 (unsigned long long)(conf->ban_within / 1000));
}

void bans_count_refusal(weir_req *r, const struct conf *conf)
{
    struct ban ban = { .by = BY_REFUSALS };
    uint64_t sum = 0;

    if (conf->ban_after == 0 || weir_is_dry(r))
        return;
    weir_client_address(r, ban.address);
    ban.bits = client_mask(ban.address, conf->ipv6_prefix);
    weir_str key = { (const char *)ban.address, sizeof(ban.address) };
    if (weir_dict_add(refusals, key, 1, conf->ban_within, &sum) != 0 || sum < conf->ban_after)
        return;
    weir_dict_remove(refusals, key);
    ban.until = weir_now(WEIR_NOW_WALL_MS) + conf->ban_for;
    ban_client(r, conf, &ban);
}
