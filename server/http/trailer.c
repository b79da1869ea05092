/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/trailer.h"

enum { LONGEST = 64 };

/* Families of names, most of whose members this server does not know one by one. */
static const str families[] = {
    { "access-control-", 15 }, { "content-", 8 }, { "if-", 3 },       { "proxy-", 6 },       { "remote-", 7 },
    { "sec-", 4 },             { "x-auth", 6 },   { "x-client-", 9 }, { "x-forwarded-", 12 }, { "x-remote-", 9 },
};

static const str singles[] = { { "max-forwards", 12 }, { "x-http-method-override", 22 }, { "x-original-url", 14 } };

bool trailer_is_forbidden(enum field_id id, str name)
{
    char text[LONGEST];
    str plain = { text, name.n < LONGEST ? name.n : LONGEST };

    if (id == FIELD_ETAG) /* made for trailers (RFC 9110 8.8.3) */
        return false;
    for (size_t i = 0; i < plain.n; i++)
        text[i] = name.p[i] == '_' ? '-' : char_lower(name.p[i]);
    if (str_equal(plain, S("content-digest"))) /* likewise (RFC 9530 2) */
        return false;
    if (field_intern(plain) != FIELD_OTHER)
        return true;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (str_has_prefix(plain, families[i]))
            return true;
    }
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++) {
        if (str_equal(plain, singles[i]))
            return true;
    }
    return false;
}
