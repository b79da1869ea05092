/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/forwarded.h"

#include "pipeline/session.h"

/* X-Forwarded-Anything, in dash and underscore spelling: origins read both alike. */
static bool is_forwarding_name(str name)
{
    static const str prefixes[] = { { "x-forwarded-", 12 }, { "x-real-ip", 9 }, { "forwarded", 9 } };

    for (unsigned k = 0; k < sizeof(prefixes) / sizeof(prefixes[0]); k++) {
        str prefix = prefixes[k];
        if (name.n < prefix.n || (prefix.p[prefix.n - 1] != '-' && name.n != prefix.n))
            continue;
        size_t i = 0;
        while (i < prefix.n && (char_lower(name.p[i]) == prefix.p[i] || (prefix.p[i] == '-' && name.p[i] == '_')))
            i++;
        if (i == prefix.n)
            return true;
    }
    return false;
}

void forwarded_drop_untrusted(struct weir_req *r, struct fields *fields)
{
    uint32_t kept = 0;

    if (r->client_is_trusted_proxy)
        return;
    for (uint32_t i = 0; i < fields->count; i++)
        if (!is_forwarding_name(fields->items[i].name))
            fields->items[kept++] = fields->items[i];
    fields->count = kept;
}

/* All X-Forwarded-For values so far, and the peer behind them. */
static str appended_for(struct weir_req *r, const struct fields *fields, str peer)
{
    str all = STR_NONE;

    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id != FIELD_X_FORWARDED_FOR || !fields->items[i].value.n)
            continue;
        str parts[] = { all, all.n ? S(", ") : S(""), fields->items[i].value };
        all = arena_concat(r->arena, parts, 3);
        if (!all.p)
            return STR_NONE;
    }
    if (!all.n)
        return peer;
    str parts[] = { all, S(", "), peer };
    return arena_concat(r->arena, parts, 3);
}

static bool set_unless_trusted(struct weir_req *r, struct fields *fields, enum field_id id, str value)
{
    if (r->client_is_trusted_proxy && fields_find_id(fields, id))
        return true;
    return value.n == 0 || fields_append(fields, id, field_name(id), value);
}

/* RFC 7239: our element goes behind those of the proxies we trust; without any, X-Forwarded-For says it all. */
static bool append_forwarded(struct weir_req *r, struct fields *fields, str peer)
{
    str so_far = fields_get(fields, FIELD_FORWARDED);

    if (!so_far.n)
        return true;
    bool is_v6 = str_find(peer, ':') < peer.n;
    str value = arena_printf(r->arena, is_v6 ? "%.*s, for=\"[%.*s]\";proto=%.*s" : "%.*s, for=%.*s;proto=%.*s",
                             STR_ARG(so_far),
                             STR_ARG(peer), STR_ARG(r->scheme));
    return value.p && fields_set_id(fields, FIELD_FORWARDED, value);
}

static str port_text(struct weir_req *r)
{
    const struct proxy_ends *announced = r->conn->announced;
    char digits[8];
    struct out out = { .p = digits, .room = sizeof(digits) };

    if (announced && announced->is_known)
        out_u64(&out, announced->target_port);
    else if (r->conn->is_unix)
        return STR_NONE;
    else
        out_u64(&out, r->conn->local_port);
    return arena_str(r->arena, (str){ digits, out.n });
}

bool forwarded_set(struct weir_req *r, struct fields *fields)
{
    uint8_t address[16];
    uint16_t port;
    char room[ADDR_TEXT];
    bool fine = true;

    if (session_client(r->conn, address, &port)) {
        str peer = arena_str(r->arena, addr_ip_text(address, room));
        str all = r->client_is_trusted_proxy ? appended_for(r, fields, peer) : peer;
        if (r->client_is_trusted_proxy)
            fields_remove_id(fields, FIELD_X_FORWARDED_FOR);
        fine = all.p && fields_append(fields, FIELD_X_FORWARDED_FOR, S("X-Forwarded-For"), all) &&
            append_forwarded(r, fields, peer);
    }
    return fine && set_unless_trusted(r, fields, FIELD_X_FORWARDED_PROTO, r->scheme) &&
           set_unless_trusted(r, fields, FIELD_X_FORWARDED_HOST, r->host_field) &&
           set_unless_trusted(r, fields, FIELD_X_FORWARDED_PORT, port_text(r)) &&
           fields_set_id(fields, FIELD_X_REQUEST_ID, r->id);
}
