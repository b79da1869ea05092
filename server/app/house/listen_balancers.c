/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/house/listen_balancers.h"

#include "base/diag.h"
#include "config/args.h"

static const struct word *find_option(const struct statement *statement)
{
    for (uint32_t i = 0; i < statement->arg_count; i++)
        if (str_equal(statement->args[i].key, S("proxy_protocol")))
            return &statement->args[i];
    return NULL;
}

static bool refuse(weir_conf *c, const struct word *word, str hint, const char *what)
{
    diag_error(c->binder->diags, word_place(c->statement, word), hint, "listen proxy_protocol: %s", what);
    c->failed = true;
    return false;
}

static bool read_one(weir_conf *c, const struct word *word, str text, struct listen_balancers *to)
{
    const char *why;

    if (str_equal(text, S("unix"))) {
        to->unix_peers = true;
        return true;
    }
    if (cidr_parse(text, &to->nets[to->count])) {
        to->count++;
        return true;
    }
    why = (const char *)arena_printf(c->binder->arena, "\"%.*s\" is no address", STR_ARG(str_upto(text, 100))).p;
    return refuse(c, word, S("the addresses of the balancers: 10.0.0.5 or 10.0.0.0/24, 2001:db8::/32; unix"),
                  why ? why : "no address");
}

static bool suits(weir_conf *c, const struct word *word, bool is_unix, const struct listen_balancers *balancers)
{
    if (is_unix && (balancers->count || !balancers->unix_peers))
        return refuse(c, word, S("proxy_protocol=unix: whoever may open the socket is believed"),
                      "peers on a unix socket have no address");
    if (!is_unix && balancers->unix_peers)
        return refuse(c, word, S("only for listen unix:PATH"), "\"unix\" names no peer of this address");
    return true;
}

bool listen_balancers_read(weir_conf *c, const weir_table *words, bool is_unix, const struct listen_balancers **out)
{
    const struct word *word = find_option(c->statement);
    struct listen_balancers *balancers;
    const char *at = words->base;
    bool fine = true;

    *out = NULL;
    if (!word)
        return true;
    if (words->count == 0)
        return refuse(c, word, S("the addresses of the balancers: proxy_protocol=10.0.0.5,10.0.0.6"),
                      "nobody is named");
    balancers = arena_new(c->binder->arena, struct listen_balancers);
    if (balancers)
        balancers->nets = arena_array(c->binder->arena, struct weir_cidr, words->count);
    if (!balancers || !balancers->nets)
        return refuse(c, word, STR_NONE, "no memory");
    for (uint32_t i = 0; i < words->count; i++, at += words->stride)
        fine &= read_one(c, word, *(const str *)(const void *)at, balancers);
    *out = balancers;
    return fine && suits(c, word, is_unix, balancers);
}

bool listen_balancers_have(const struct listen_balancers *balancers, const struct addr *peer)
{
    uint8_t address[16];

    if (addr_is_unix(peer))
        return balancers->unix_peers;
    addr_bytes(peer, address);
    for (uint32_t i = 0; i < balancers->count; i++)
        if (cidr_contains(&balancers->nets[i], address))
            return true;
    return false;
}

static bool names(const struct listen_balancers *balancers, const struct weir_cidr *net)
{
    for (uint32_t i = 0; i < balancers->count; i++)
        if (balancers->nets[i].bits == net->bits && memcmp(balancers->nets[i].address, net->address, 16) == 0)
            return true;
    return false;
}

static bool names_all(const struct listen_balancers *a, const struct listen_balancers *of)
{
    for (uint32_t i = 0; i < of->count; i++)
        if (!names(a, &of->nets[i]))
            return false;
    return true;
}

bool listen_balancers_equal(const struct listen_balancers *a, const struct listen_balancers *b)
{
    if (!a || !b)
        return a == b;
    return a->unix_peers == b->unix_peers && names_all(a, b) && names_all(b, a);
}
