/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_uri.c: request targets, authorities and URLs. Input: the bytes of one.
 * Holds:   the normal form holds no dot segment, no needless escape and no byte that a path may not hold, and is its
 *          own normal form; the same for hosts. */
#include "http/media.h"
#include "http/uri.h"

#include <stdlib.h>

#define CHECK(condition) ((condition) ? (void)0 : abort())

static bool is_unreserved(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c > 0 && strchr("-._~", c));
}

static void check_path(str path)
{
    static const char plain[] = "/!$&'()*+,;=:@";

    CHECK(path.n && path.p[0] == '/');
    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] == '%') {
            int high, low;

            CHECK(i + 2 < path.n);
            high = char_hex(path.p[i + 1]);
            low = char_hex(path.p[i + 2]);
            CHECK(high >= 0 && low >= 0 && !is_unreserved(high << 4 | low));
            CHECK(char_lower(path.p[i + 1]) == path.p[i + 1] ? high < 10 : true);
            CHECK(char_lower(path.p[i + 2]) == path.p[i + 2] ? low < 10 : true);
            i += 2;
        } else {
            CHECK(is_unreserved((uint8_t)path.p[i]) || (path.p[i] && strchr(plain, path.p[i])));
        }
    }
    CHECK(str_find_str(path, S("/./")) == path.n && str_find_str(path, S("/../")) == path.n);
    CHECK(!str_has_suffix(path, S("/.")) && !str_has_suffix(path, S("/..")));
}

static void check_target(str target, struct arena *arena)
{
    struct uri uri, again;

    if (uri_parse_target(target, false, arena, &uri) || uri.form == TARGET_ASTERISK)
        return;
    check_path(uri.path);
    check_path(uri.match);
    CHECK(str_find_str(uri.match, S("//")) == uri.match.n);
    CHECK(uri.has_query || uri.query.n == 0);
    for (size_t i = 0; i < uri.query.n; i++)
        CHECK((uint8_t)uri.query.p[i] > 0x20 && uri.query.p[i] != 0x7f && uri.query.p[i] != '#');
    CHECK(!uri_parse_target(uri.path, false, arena, &again));
    CHECK(str_equal(again.path, uri.path) && str_equal(again.match, uri.match) && !again.has_query);
    CHECK(again.path.p == uri.path.p || str_find_str(uri.path, S("//")) != uri.path.n);
}

static void check_authority(str authority, struct arena *arena)
{
    uint16_t port, no_port;
    str host, again;

    if (authority_parse(authority, arena, &host, &port))
        return;
    CHECK(host.n > 0 && host.n <= authority.n);
    for (size_t i = 0; i < host.n; i++)
        CHECK((uint8_t)host.p[i] > 0x20 && (uint8_t)host.p[i] < 0x7f && !strchr("/?#@,%*\"\\", host.p[i]) &&
              host.p[i] == char_lower(host.p[i]));
    CHECK(!authority_parse(host, arena, &again, &no_port));
    CHECK(str_equal(host, again) && no_port == 0);
}

static void check_url(str text, struct arena *arena)
{
    struct url url;

    if (url_parse(text, arena, &url))
        return;
    CHECK(url.host.n > 0);
    CHECK(url.is_unix || url.port > 0);
    if (url.path.n)
        check_path(url.path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = { (const char *)data, size };
    struct arena *arena = arena_create(4096, 0);
    struct uri uri;
    str decoded;

    if (!arena)
        return 0;
    check_target(text, arena);
    check_authority(text, arena);
    check_url(text, arena);
    if (!uri_parse_target(text, true, arena, &uri))
        CHECK(uri.form == TARGET_AUTHORITY && str_equal(uri.authority, text));
    decoded = uri_decode(text, arena);
    CHECK(decoded.n <= text.n);
    (void)accepts_json_over_html(text);
    arena_destroy(arena);
    return 0;
}
