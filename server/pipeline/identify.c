/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is it: the client's address under the trust rule, and the request's id. */
#include <endian.h>

#include "base/clock.h"
#include "base/hash.h"
#include "pipeline/client_chain.h"
#include "pipeline/lone_proxy.h"
#include "pipeline/run.h"
#include "pipeline/session.h"

static bool is_trusted(const struct weir_req *r, const uint8_t address[16])
{
    const weir_table *trusted = &r->snapshot->top_plan->core->trusted_proxies;
    const char *at = trusted->base;

    for (uint32_t i = 0; i < trusted->count; i++, at += trusted->stride)
        if (cidr_contains((const struct weir_cidr *)at, address))
            return true;
    return false;
}

/* Walks from the right as long as we trust the witness. Where an element names no address the walk ends: the client is
 * then the last one that somebody trusted vouched for. */
static void walk(struct weir_req *r, enum field_id id, bool (*read)(str, struct chain_hop *))
{
    struct chain_hop hop;
    str element;

    for (uint32_t i = r->fields.count; i-- > 0;) {
        if (r->fields.items[i].id != id)
            continue;
        str list = r->fields.items[i].value;
        for (bool rest = true; chain_cut_last(&list, &rest, &element);) {
            if (!read(element, &hop))
                return;
            memcpy(r->client, hop.address, 16);
            r->client_port = hop.port;
            if (!is_trusted(r, hop.address))
                return;
        }
    }
}

/* 16 digits, eight at a time: each byte of `eight` comes to hold four bits, the highest in the byte that is first. */
static void put_hex(char to[16], uint64_t value)
{
    for (int half = 0; half < 2; half++) {
        uint64_t eight = half ? value & 0xffffffff : value >> 32;

        eight = (eight | eight << 16) & 0x0000ffff0000ffff;
        eight = (eight | eight << 8) & 0x00ff00ff00ff00ff;
        eight = (eight | eight << 4) & 0x0f0f0f0f0f0f0f0f;
        uint64_t is_letter = (eight + 0x0606060606060606) >> 4 & 0x0101010101010101;
        eight = htobe64(eight + 0x3030303030303030 + is_letter * ('a' - '0' - 10));
        memcpy(to + 8 * half, &eight, 8);
    }
}

/* 128 bits: the worker's random half and a scrambled counter; unique here, hard to guess elsewhere. */
static str fresh_id(struct weir_req *r)
{
    static _Thread_local uint64_t seed[2];
    char *text = arena_alloc(r->arena, 33);

    if (!text)
        return STR_NONE;
    if (!seed[0])
        random_bytes(seed, sizeof(seed));
    uint64_t halves[2] = { seed[0]++, r->number };
    halves[1] = siphash13((const uint8_t *)seed, halves, sizeof(halves));
    halves[0] ^= halves[1];
    put_hex(text, halves[0]);
    put_hex(text + 16, halves[1]);
    text[32] = 0;
    return (str){ text, 32 };
}

static bool id_is_usable(str id)
{
    if (id.n == 0 || id.n > 128)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (!isalnum((unsigned char)id.p[i]) && !strchr("-_.:+/=@", id.p[i]))
            return false;
    return true;
}

bool request_client_is_trusted(const struct weir_req *r)
{
    return r->client_is_trusted_proxy && is_trusted(r, r->client);
}

bool request_identify(struct weir_req *r)
{
    struct weir_conn *c = r->conn;

    r->client_is_trusted_proxy = session_client(c, r->client, &r->client_port) && is_trusted(r, r->client);
    if (r->client_is_trusted_proxy) {
        if (fields_find_id(&r->fields, FIELD_X_FORWARDED_FOR))
            walk(r, FIELD_X_FORWARDED_FOR, chain_read_for);
        else
            walk(r, FIELD_FORWARDED, chain_read_forwarded);
        str id = fields_get(&r->fields, FIELD_X_REQUEST_ID);
        if (id_is_usable(id))
            r->id = id;
    }
    if (!r->is_dry)
        lone_proxy_look(r);
    if (!r->id.n)
        r->id = fresh_id(r);
    return r->id.n > 0;
}
