/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/lone_proxy.h"

#include "base/log.h"
#include "net/addr.h"

#include <stdatomic.h>

enum { WINDOW = 1000, NEARLY_ALL = 950 };

static atomic_bool said;

static bool is_private(const uint8_t address[16])
{
    static const char *const texts[] = { "10.0.0.0/8",     "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
                                         "169.254.0.0/16", "127.0.0.0/8",   "fc00::/7",       "fe80::/10",
                                         "::1" };
    struct weir_cidr net;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (cidr_parse(str_of(texts[i]), &net) && cidr_contains(&net, address))
            return true;
    return false;
}

static bool is_loopback(const uint8_t address[16])
{
    static const uint8_t v4_mapped[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 }, v6[16] = { [15] = 1 };

    return memcmp(address, v4_mapped, sizeof(v4_mapped)) == 0 || memcmp(address, v6, sizeof(v6)) == 0;
}

static void judge(const uint8_t address[16], unsigned same, unsigned forwarded)
{
    char room[ADDR_TEXT];
    str text = addr_ip_text(address, room);
    bool is_proxy = forwarded >= NEARLY_ALL;

    /* From this machine alone, and without those fields, it is more likely a test than a balancer. */
    if (same < NEARLY_ALL || !is_private(address) || (is_loopback(address) && !is_proxy) ||
        atomic_exchange(&said, true))
        return;
    if (is_proxy)
        log_warn("nearly all requests (%u of %u) come from %.*s with X-Forwarded-For, which is not believed, so they "
                 "all count as one client: if that is your proxy, \"trusted_proxies %.*s;\" names it",
                 same, WINDOW, STR_ARG(text), STR_ARG(text));
    else
        log_warn("nearly all requests (%u of %u) come from the private address %.*s, so they all count as one client: "
                 "if that is a balancer, let it send the PROXY protocol and say \"listen ... proxy_protocol=%.*s\"",
                 same, WINDOW, STR_ARG(text), STR_ARG(text));
}

void lone_proxy_look(const struct weir_req *r)
{
    static _Thread_local struct {
        uint8_t address[16];
        unsigned seen, same, forwarded;
    } window;

    if (atomic_load_explicit(&said, memory_order_relaxed))
        return;
    if (window.seen == 0)
        memcpy(window.address, r->client, 16);
    if (!r->client_is_trusted_proxy && memcmp(window.address, r->client, 16) == 0) {
        window.same++;
        window.forwarded += fields_find_id(&r->fields, FIELD_X_FORWARDED_FOR) ||
            fields_find_id(&r->fields, FIELD_FORWARDED);
    }
    if (++window.seen < WINDOW)
        return;
    judge(window.address, window.same, window.forwarded);
    window.seen = window.same = window.forwarded = 0;
}
