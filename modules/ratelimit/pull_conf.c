/* SPDX-License-Identifier: BSD-2-Clause */
#include "network.h"
#include "pull.h"

#include <stdio.h>
#include <string.h>

/* What stands behind the host in http://host/prefix/; an upstream's name and unix:PATH have nothing there. */
static weir_str prefix_of(weir_str url)
{
    const char *host = url.n > 8 && memcmp(url.p, "https://", 8) == 0  ? url.p + 8
                       : url.n > 7 && memcmp(url.p, "http://", 7) == 0 ? url.p + 7
                                                                       : NULL;
    const char *path = host ? memchr(host, '/', (size_t)(url.p + url.n - host)) : NULL;
    weir_str prefix = { path, path ? (size_t)(url.p + url.n - path) : 0 };

    while (prefix.n && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    return prefix;
}

static weir_str target_of(weir_conf *c, weir_str prefix, const char *startup)
{
    static const char format[] = "%.*s/v1/decisions/stream?startup=%s";
    size_t room = prefix.n + sizeof(format) + 8;
    char *text = weir_conf_alloc(c, room);

    if (!text)
        return (weir_str){ NULL, 0 };
    int n = snprintf(text, room, format, (int)prefix.n, prefix.n ? prefix.p : "", startup);
    return (weir_str){ text, (size_t)n };
}

int pull_set(weir_conf *c, const struct weir_directive *directive, void *conf_)
{
    struct conf *conf = conf_;
    weir_str prefix = prefix_of(conf->list_url);

    (void)directive;
    if (memchr(conf->list_url.p, '?', conf->list_url.n) || memchr(conf->list_url.p, '#', conf->list_url.n))
        return weir_conf_error(c, "ban_list: a URL without a query; weir asks for /v1/decisions/stream behind it");
    conf->list_whole = target_of(c, prefix, "true");
    conf->list_changes = target_of(c, prefix, "false");
    if (!conf->list_whole.n || !conf->list_changes.n)
        return weir_conf_error(c, "no memory");
    return weir_conf_value(c, WEIR_TYPE_UPSTREAM, conf->list_url, &conf->list_upstream);
}

static uint64_t hash_more(uint64_t hash, weir_str text)
{
    for (size_t i = 0; i < text.n; i++)
        hash = (hash ^ (uint8_t)text.p[i]) * 0x100000001b3u;
    return (hash ^ 0xff) * 0x100000001b3u;
}

/* The file's first line; -1 after an error was reported. */
static int read_key(weir_conf *c, struct conf *conf)
{
    weir_str content;

    if (weir_conf_read_file(c, conf->list_key_file, &content) != 0)
        return -1;
    while (content.n && strchr(" \t\r\n", content.p[content.n - 1]))
        content.n--;
    if (content.n == 0 || content.n > 512)
        return weir_conf_error_at(c, &conf->list_place, "%s: a key was expected, and nothing else",
                                  conf->list_key_file.p);
    for (size_t i = 0; i < content.n; i++)
        if (content.p[i] <= ' ' || content.p[i] >= 0x7f)
            return weir_conf_error_at(c, &conf->list_place, "%s: a key of one word was expected",
                                      conf->list_key_file.p);
    conf->list_key = content;
    return 0;
}

int pull_check(weir_conf *c, struct conf *conf)
{
    if (!conf->list_url.n)
        return 0;
    if (read_key(c, conf) != 0)
        return -1;
    uint64_t hash = hash_more(hash_more(0xcbf29ce484222325u, conf->list_url), conf->list_key);
    conf->list_identity = hash ^ conf->list_most * 0x9e3779b97f4a7c15u;
    if (!weir_conf_is_rehearsal(c))
        pull_read_state(weir_conf_state_path(c, WEIR_S("ban-list")));
    return 0;
}

bool pull_spares(const struct conf *conf, const uint8_t address[16])
{
    static const struct weir_cidr loopback[] = { { { [10] = 0xff, [11] = 0xff, [12] = 127 }, 104 },
                                                 { { [15] = 1 }, 128 } };
    const char *at = conf->list_except.base;

    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
        if (network_holds(loopback[i].address, loopback[i].bits, address))
            return true;
    for (uint32_t i = 0; i < conf->list_except.count; i++, at += conf->list_except.stride) {
        const struct weir_cidr *cidr = (const struct weir_cidr *)(const void *)at;
        if (network_holds(cidr->address, cidr->bits, address))
            return true;
    }
    return false;
}
