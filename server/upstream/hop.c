/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/hop.h"

enum { VIA_MOST = 10 };

/* -- Via ----------------------------------------------------------------------------------------------------------- */

bool hop_add_via(const struct weir_req *r, struct fields *fields)
{
    str via = r->version < 11 ? S("1.0 weir") : r->version < 20 ? S("1.1 weir") : S("2.0 weir");

    return fields_append(fields, FIELD_VIA, S("Via"), via); /* a line of its own means the same as one longer list */
}

/* received-protocol RWS received-by [ RWS comment ] */
static bool is_ours(str element)
{
    size_t space = str_find(element, ' ');
    str by = str_trim(str_from(element, space));

    return str_equal_nocase(str_upto(by, str_find(by, ' ')), S("weir"));
}

bool hop_is_loop(const struct fields *fields)
{
    unsigned count = 0;
    str element;

    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id != FIELD_VIA)
            continue;
        str rest = fields->items[i].value;
        while (field_list_next(&rest, &element))
            count += is_ours(element);
    }
    return count >= VIA_MOST;
}

/* -- Max-Forwards -------------------------------------------------------------------------------------------------- */

static bool read_max_forwards(const struct weir_req *r, uint64_t *left)
{
    return fields_count_id(&r->fields, FIELD_MAX_FORWARDS) == 1 &&
           str_to_u64(fields_get(&r->fields, FIELD_MAX_FORWARDS), left);
}

static bool is_counted(const struct weir_req *r)
{
    return str_equal(r->method, S("OPTIONS")) && fields_find_id(&r->fields, FIELD_MAX_FORWARDS);
}

enum hop_forward hop_max_forwards(const struct weir_req *r)
{
    uint64_t left = 0;

    if (!is_counted(r))
        return HOP_FORWARD;
    if (!read_max_forwards(r, &left))
        return HOP_MALFORMED;
    return left ? HOP_FORWARD : HOP_ANSWER;
}

bool hop_count_down(const struct weir_req *r, struct fields *fields)
{
    uint64_t left = 0;

    if (!is_counted(r) || !read_max_forwards(r, &left) || left == 0)
        return true;
    str less = arena_printf(r->arena, "%llu", (unsigned long long)left - 1);
    return less.p && fields_set_id(fields, FIELD_MAX_FORWARDS, less);
}

/* -- Upgrade ------------------------------------------------------------------------------------------------------- */

/* WebSocket; the byte streams of container engines' attach and exec; Tailscale's control and relay protocols. */
static const str may_pass[] = { { "websocket", 9 }, { "tcp", 3 }, { "tailscale-control-protocol", 26 }, { "derp", 4 } };

bool hop_upgrade_is_http(str protocol)
{
    return str_equal_nocase(protocol, S("h2c")) || str_equal_nocase(protocol, S("HTTP")) ||
           str_has_prefix_nocase(protocol, S("HTTP/")) || str_has_prefix_nocase(protocol, S("TLS"));
}

static bool upgrade_may_pass(const weir_table *more, str protocol)
{
    const char *at = more->base;

    for (size_t i = 0; i < sizeof(may_pass) / sizeof(may_pass[0]); i++)
        if (str_equal_nocase(protocol, may_pass[i]))
            return true;
    for (uint32_t i = 0; i < more->count; i++, at += more->stride)
        if (str_equal_nocase(protocol, *(const str *)(const void *)at))
            return true;
    return false;
}

str hop_upgrade(const struct weir_req *r, const weir_table *more)
{
    str rest = r->upgrade, protocol;

    while (field_list_next(&rest, &protocol))
        if (upgrade_may_pass(more, protocol))
            return protocol;
    return S("");
}

str hop_upgrade_offered(const struct fields *fields)
{
    str rest = fields_get(fields, FIELD_UPGRADE), protocol;

    while (field_list_next(&rest, &protocol))
        if (!hop_upgrade_is_http(protocol))
            return protocol;
    return S("");
}

/* -- names --------------------------------------------------------------------------------------------------------- */

static bool is_alias(str name)
{
    char text[64];

    if (name.n > sizeof(text) || !memchr(name.p, '_', name.n))
        return false;
    for (size_t i = 0; i < name.n; i++)
        text[i] = name.p[i] == '_' ? '-' : name.p[i];
    return field_intern((str){ text, name.n }) != FIELD_OTHER;
}

void hop_drop_aliases(struct fields *fields)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];

        if (field->id == FIELD_OTHER && is_alias(field->name))
            continue;
        if (kept != i)
            fields->items[kept] = *field;
        kept++;
    }
    fields->count = kept;
}

void hop_drop_named(struct fields *trailers, str connection)
{
    str option;

    while (trailers->count && field_list_next(&connection, &option))
        fields_remove(trailers, option);
}
