/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is it: the client's address under the trust rule, and the request's id. */
#include "base/clock.h"
#include "base/hash.h"
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

/* The last element of a comma separated list, cut off from *list; false at its beginning. */
static bool list_last(str *list, str *element)
{
    if (list->n == 0)
        return false;
    size_t comma = list->n;
    while (comma > 0 && list->p[comma - 1] != ',')
        comma--;
    *element = str_trim(str_from(*list, comma));
    *list = str_upto(*list, comma ? comma - 1 : 0);
    return true;
}

/* An element of X-Forwarded-For may carry a port and brackets: "192.0.2.1:80", "[::1]:80", "[::1]", "::1". */
static bool element_address(str element, uint8_t out[16])
{
    if (addr_ip_bytes(element, out))
        return true;
    if (element.n && element.p[0] == '[') {
        size_t close = str_find(element, ']');
        return close < element.n && addr_ip_bytes((str){ element.p + 1, close - 1 }, out);
    }
    size_t colon = str_find(element, ':');
    return colon < element.n && addr_ip_bytes(str_upto(element, colon), out);
}

/* RFC 7239 7.4, and the habit of X-Forwarded-For: each proxy appends whom it saw, so walk from the right as long as we
 * trust the witness. */
static void walk_forwarded_for(struct weir_req *r)
{
    uint8_t address[16];
    str element;

    for (uint32_t i = r->fields.count; i-- > 0;) {
        if (r->fields.items[i].id != FIELD_X_FORWARDED_FOR)
            continue;
        str list = r->fields.items[i].value;
        while (list_last(&list, &element)) {
            if (!element_address(element, address))
                return;
            memcpy(r->client, address, 16);
            r->client_port = 0;
            if (!is_trusted(r, address))
                return;
        }
    }
}

/* The value of for= in one element of Forwarded (RFC 7239 4, 6). */
static bool forwarded_for_value(str element, str *value)
{
    str pair;

    while (str_split(&element, ';', &pair)) {
        pair = str_trim(pair);
        if (!str_has_prefix_nocase(pair, S("for=")))
            continue;
        *value = str_from(pair, 4);
        if (value->n >= 2 && value->p[0] == '"' && value->p[value->n - 1] == '"')
            *value = (str){ value->p + 1, value->n - 2 };
        return true;
    }
    return false;
}

static void walk_forwarded(struct weir_req *r)
{
    uint8_t address[16];
    str element, value;

    for (uint32_t i = r->fields.count; i-- > 0;) {
        if (r->fields.items[i].id != FIELD_FORWARDED)
            continue;
        str list = r->fields.items[i].value;
        while (list_last(&list, &element)) {
            if (!forwarded_for_value(element, &value) || !element_address(value, address))
                return;
            memcpy(r->client, address, 16);
            r->client_port = 0;
            if (!is_trusted(r, address))
                return;
        }
    }
}

/* 128 bits: the worker's random half and a scrambled counter; unique here, hard to guess elsewhere. */
static str fresh_id(struct weir_req *r)
{
    static _Thread_local uint64_t seed[2];
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(r->arena, 33);

    if (!text)
        return STR_NONE;
    if (!seed[0])
        random_bytes(seed, sizeof(seed));
    uint64_t halves[2] = { seed[0]++, r->number };
    halves[1] = siphash13((const uint8_t *)seed, halves, sizeof(halves));
    halves[0] ^= halves[1];
    for (int i = 0; i < 32; i++)
        text[i] = digits[(halves[i / 16] >> (60 - 4 * (i % 16))) & 15];
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

bool request_identify(struct weir_req *r)
{
    struct weir_conn *c = r->conn;

    r->client_is_trusted_proxy = session_client(c, r->client, &r->client_port) && is_trusted(r, r->client);
    if (r->client_is_trusted_proxy) {
        if (fields_find_id(&r->fields, FIELD_X_FORWARDED_FOR))
            walk_forwarded_for(r);
        else
            walk_forwarded(r);
        str id = fields_get(&r->fields, FIELD_X_REQUEST_ID);
        if (id_is_usable(id))
            r->id = id;
    }
    if (!r->id.n)
        r->id = fresh_id(r);
    return r->id.n > 0;
}
