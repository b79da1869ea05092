/* SPDX-License-Identifier: BSD-2-Clause */
#include "bans.h"
#include "network.h"
#include "pull.h"

#include <string.h>

enum { REFUSALS_BYTES = 4 << 20 };

static weir_dict *refusals;

int bans_load(weir_mod *mod)
{
    refusals = weir_dict_open(mod, "refusals", REFUSALS_BYTES, 0);
    return refusals ? 0 : weir_mod_error(mod, "no memory for refusals");
}

static weir_verdict refuse(weir_req *r, const char *reason)
{
    if (!weir_is_dry(r))
        weir_count(r, METRIC_BAN_REFUSED, 1);
    return weir_refuse(r, 403, reason);
}

/* A proxy of ours that names no client behind it asks for itself; a list from elsewhere is not to shut it out. */
static weir_verdict judge_by_list(weir_req *r, const struct conf *conf, const uint8_t address[16], uint64_t now)
{
    const struct labels *labels = NULL;
    const struct decision *decision = conf->list_url.n ? pull_find(address, now, &labels) : NULL;

    if (!decision || pull_spares(conf, address) || weir_client_is_trusted(r))
        return WEIR_NEXT;
    weir_str reason = weir_printf(r, "banned by ban_list: %s", label_text(labels, decision->label));
    return refuse(r, reason.p ? reason.p : "banned by ban_list");
}

weir_verdict bans_judge(weir_req *r, const struct conf *conf)
{
    uint64_t now = weir_now(WEIR_NOW_WALL_MS);
    uint8_t address[16];

    weir_client_address(r, address);
    if (ban_list_holds(address, now))
        return refuse(r, "banned");
    return judge_by_list(r, conf, address, now);
}

static void ban_client(weir_req *r, const struct conf *conf, const struct ban *ban)
{
    char network[NETWORK_ROOM];

    network_print(ban->address, ban->bits, network);
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
