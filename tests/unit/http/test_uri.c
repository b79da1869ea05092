/* SPDX-License-Identifier: BSD-2-Clause */
/* Request targets (RFC 9112 3.2), their normal form (RFC 3986 6.2.2), authorities (RFC 3986 3.2, RFC 9110 4.2, 7.2). */
#include "base/mem.h"
#include "http/uri.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) { literal, sizeof(literal) - 1 }

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(4096, 0);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    mem_fail_after(-1);
    arena_destroy(arena);
    return 0;
}

static bool is_inside(str part, str whole)
{
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

/* match NULL: the same as path. path NULL: refused. */
static const struct path_case {
    str raw;
    const char *path, *match;
} paths[] = {
    { TEXT("/"), "/", NULL },
    { TEXT("/a/b.html"), "/a/b.html", NULL },
    { TEXT("/a/"), "/a/", NULL },
    { TEXT("/-._~!$&'()*+,;=:@"), "/-._~!$&'()*+,;=:@", NULL }, /* pchar (3.3) */
    /* 6.2.2.2: unreserved characters are decoded, nothing else */
    { TEXT("/%41%7a%30%2D%2e%5F%7E"), "/Az0-._~", NULL },
    { TEXT("/%2f%2F"), "/%2F%2F", NULL },
    { TEXT("/%3f%23%25"), "/%3F%23%25", NULL },
    { TEXT("/%2541"), "/%2541", NULL }, /* decoded once only */
    { TEXT("/%00%0a%0D"), "/%00%0A%0D", NULL },
    { TEXT("/%5c"), "/%5C", NULL },
    { TEXT("/%21%26"), "/%21%26", NULL }, /* sub-delims: an escape is not the same as the character (2.2) */
    { TEXT("/%c3%a9"), "/%C3%A9", NULL },
    /* bytes that no path may hold are encoded */
    { TEXT("/\xc3\xa9"), "/%C3%A9", NULL },
    { TEXT("/\"<>[]\\^`{|}"), "/%22%3C%3E%5B%5D%5C%5E%60%7B%7C%7D", NULL },
    { TEXT("/a\\..\\b"), "/a%5C..%5Cb", NULL },
    /* 5.2.4: dot segments */
    { TEXT("/."), "/", NULL },
    { TEXT("/.."), "/", NULL },
    { TEXT("/./"), "/", NULL },
    { TEXT("/../"), "/", NULL },
    { TEXT("/a/."), "/a/", NULL },
    { TEXT("/a/.."), "/", NULL },
    { TEXT("/a/b/.."), "/a/", NULL },
    { TEXT("/a/b/../"), "/a/", NULL },
    { TEXT("/a/b/../c"), "/a/c", NULL },
    { TEXT("/a/./b"), "/a/b", NULL },
    { TEXT("/a/b/c/./../../g"), "/a/g", NULL },
    { TEXT("/../../../etc/passwd"), "/etc/passwd", NULL },
    { TEXT("/a/../../b"), "/b", NULL },
    { TEXT("/..."), "/...", NULL },
    { TEXT("/.a"), "/.a", NULL },
    { TEXT("/a/..b"), "/a/..b", NULL },
    { TEXT("/a./b../c"), "/a./b../c", NULL },
    { TEXT("/a/..;/b"), "/a/..;/b", NULL }, /* parameters are part of the segment */
    /* escaped dots are dots */
    { TEXT("/a/%2e%2E/b"), "/b", NULL },
    { TEXT("/a/.%2e/b"), "/b", NULL },
    { TEXT("/a/%2e"), "/a/", NULL },
    { TEXT("/a/%2e%2e%2fb"), "/a/..%2Fb", NULL }, /* an escaped slash divides nothing */
    { TEXT("/a/..%2f..%2fb"), "/a/..%2F..%2Fb", NULL },
    /* runs of slashes are kept for the origin, folded for routes */
    { TEXT("//"), "//", "/" },
    { TEXT("//a"), "//a", "/a" },
    { TEXT("/a//b///c"), "/a//b///c", "/a/b/c" },
    { TEXT("/a//"), "/a//", "/a/" },
    { TEXT("/a//../b"), "/a/b", NULL },
    { TEXT("/a//..//b"), "/a//b", "/a/b" },
    { TEXT("/.//a"), "//a", "/a" },
    /* refused */
    { TEXT(""), NULL, NULL },
    { TEXT("a"), NULL, NULL },
    { TEXT("/%"), NULL, NULL },
    { TEXT("/%4"), NULL, NULL },
    { TEXT("/%4g"), NULL, NULL },
    { TEXT("/%g4"), NULL, NULL },
    { TEXT("/%%41"), NULL, NULL },
    { TEXT("/a#b"), NULL, NULL },
    { TEXT("/a b"), NULL, NULL },
    { TEXT("/a\tb"), NULL, NULL },
    { TEXT("/a\0b"), NULL, NULL },
    { TEXT("/a\x7f"), NULL, NULL },
    { TEXT("/a\r\nb"), NULL, NULL },
};

static void paths_have_one_normal_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        const struct path_case *row = &paths[i];
        str path, match, again, again_match;
        const char *why = uri_normalize_path(row->raw, arena, &path, &match);

        if ((why == NULL) != (row->path != NULL))
            fail_msg("\"" STR_FMT "\": %s", STR_ARG(row->raw), why ? why : "not refused");
        if (why)
            continue;
        if (!str_equal(path, str_of(row->path)) || !str_equal(match, str_of(row->match ? row->match : row->path)))
            fail_msg("\"" STR_FMT "\": \"" STR_FMT "\", \"" STR_FMT "\"", STR_ARG(row->raw), STR_ARG(path),
                     STR_ARG(match));
        /* normal once is normal for good; and nothing is copied that needs no change */
        assert_null(uri_normalize_path(path, arena, &again, &again_match));
        assert_true(str_equal(path, again) && str_equal(match, again_match));
        if (str_equal(path, match) && str_equal(path, row->raw)) {
            assert_ptr_equal(path.p, row->raw.p);
            assert_ptr_equal(match.p, row->raw.p);
        }
    }
}

static const struct target_case {
    str target;
    bool is_refused;
    enum target_form form;
    const char *scheme, *authority, *path, *query; /* query NULL: none */
} targets[] = {
    /* 3.2.1 origin-form */
    { TEXT("/"), false, TARGET_ORIGIN, "", "", "/", NULL },
    { TEXT("/a/b?c=d&e"), false, TARGET_ORIGIN, "", "", "/a/b", "c=d&e" },
    { TEXT("/a?"), false, TARGET_ORIGIN, "", "", "/a", "" },
    { TEXT("/?/../?"), false, TARGET_ORIGIN, "", "", "/", "/../?" },
    { TEXT("/a/../b?x"), false, TARGET_ORIGIN, "", "", "/b", "x" },
    { TEXT("/%7Ea?%7E"), false, TARGET_ORIGIN, "", "", "/~a", "%7E" }, /* the query is not ours to change */
    { TEXT("/a?%"), false, TARGET_ORIGIN, "", "", "/a", "%" },
    { TEXT("/a?\"<>\\^`{|}\xff"), false, TARGET_ORIGIN, "", "", "/a", "\"<>\\^`{|}\xff" },
    { TEXT("//host/a"), false, TARGET_ORIGIN, "", "", "//host/a", NULL },
    { TEXT(""), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("?a"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("a"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("/a#b"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("/a?b#c"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("/a?b c"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("/a?b\tc"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("/a?b\0"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("/a?b\x7f"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("/%zz?a"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    /* 3.2.2 absolute-form */
    { TEXT("http://a/b?c"), false, TARGET_ABSOLUTE, "http", "a", "/b", "c" },
    { TEXT("HTTPS://A.b:8443/"), false, TARGET_ABSOLUTE, "https", "A.b:8443", "/", NULL },
    { TEXT("http://a"), false, TARGET_ABSOLUTE, "http", "a", "/", NULL },
    { TEXT("http://a?b"), false, TARGET_ABSOLUTE, "http", "a", "/", "b" },
    { TEXT("http://a?"), false, TARGET_ABSOLUTE, "http", "a", "/", "" },
    { TEXT("http://a/x/../y"), false, TARGET_ABSOLUTE, "http", "a", "/y", NULL },
    { TEXT("http://[::1]:80/"), false, TARGET_ABSOLUTE, "http", "[::1]:80", "/", NULL },
    { TEXT("http:///a"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("http://"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("http://?a"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("http://a#b"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("http:/a"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("http:a"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("ftp://a/"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("ws://a/"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("a:80"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    /* 3.2.4 asterisk-form */
    { TEXT("*"), false, TARGET_ASTERISK, "", "", "*", NULL },
    { TEXT("**"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
    { TEXT("*?a"), true, TARGET_ORIGIN, NULL, NULL, NULL, NULL },
};

static void targets_are_taken_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(targets); i++) {
        const struct target_case *row = &targets[i];
        struct uri uri;
        const char *why = uri_parse_target(row->target, false, arena, &uri);

        if ((why != NULL) != row->is_refused)
            fail_msg("\"" STR_FMT "\": %s", STR_ARG(row->target), why ? why : "not refused");
        if (why)
            continue;
        if (uri.form != row->form || !str_equal(uri.scheme, str_of(row->scheme)) ||
            !str_equal(uri.authority, str_of(row->authority)) || !str_equal(uri.path, str_of(row->path)) ||
            uri.has_query != (row->query != NULL) || !str_equal(uri.query, str_of(row->query)))
            fail_msg("\"" STR_FMT "\"", STR_ARG(row->target));
        if (uri.query.n)
            assert_true(is_inside(uri.query, row->target));
    }
}

/* The paths above as targets: the same normal form, with a query behind or not. */
static void target_paths_are_normal(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        const str parts[] = { paths[i].raw, S("?q=/..//") };
        str match = str_of(paths[i].match ? paths[i].match : paths[i].path);

        if (!paths[i].path)
            continue;
        for (size_t count = 1; count <= 2; count++) {
            str target = arena_concat(arena, parts, count);
            struct uri uri;

            assert_null(uri_parse_target(target, false, arena, &uri));
            assert_true(str_equal(uri.path, str_of(paths[i].path)));
            assert_true(str_equal(uri.match, match));
            assert_int_equal(uri.has_query, count == 2);
            if (count == 2)
                assert_true(str_equal(uri.query, S("q=/..//")));
        }
    }
}

/* RFC 9110 9.3.6: CONNECT has host and port, no default. */
static void connect_wants_an_authority(void **state)
{
    struct uri uri;

    (void)state;
    assert_null(uri_parse_target(S("a:443"), true, arena, &uri));
    assert_int_equal(uri.form, TARGET_AUTHORITY);
    assert_true(str_equal(uri.authority, S("a:443")));
    assert_non_null(uri_parse_target(S("a"), true, arena, &uri));
    assert_non_null(uri_parse_target(S("/"), true, arena, &uri));
    assert_non_null(uri_parse_target(S("http://a:443/"), true, arena, &uri));
    assert_non_null(uri_parse_target(S("*"), true, arena, &uri));
    assert_non_null(uri_parse_target(S(""), true, arena, &uri));
}

static void authorities_are_validated(void **state)
{
    static const struct {
        str authority;
        const char *host; /* NULL: refused */
        uint16_t port;
    } cases[] = {
        { TEXT("a"), "a", 0 },
        { TEXT("www.Example.COM"), "www.example.com", 0 },
        { TEXT("example.com:8080"), "example.com", 8080 },
        { TEXT("example.com."), "example.com", 0 },
        { TEXT("example.com.:80"), "example.com", 80 },
        { TEXT("a_b-c.d~e"), "a_b-c.d~e", 0 },
        { TEXT("xn--bcher-kva.example"), "xn--bcher-kva.example", 0 },
        { TEXT("127.0.0.1:65535"), "127.0.0.1", 65535 },
        { TEXT("1.2.3.4.5"), "1.2.3.4.5", 0 }, /* a name (RFC 3986 3.2.2) */
        { TEXT("a:"), "a", 0 },                /* an empty port is none (RFC 3986 3.2.3) */
        { TEXT("a:00080"), "a", 80 },
        { TEXT("[::1]"), "[::1]", 0 },
        { TEXT("[::1]:443"), "[::1]", 443 },
        { TEXT("[2001:DB8::A]"), "[2001:db8::a]", 0 },
        { TEXT("[::ffff:1.2.3.4]"), "[::ffff:1.2.3.4]", 0 },
        { TEXT("!$&'()+;="), "!$&'()+;=", 0 }, /* sub-delims of a registered name */
        { TEXT(""), NULL, 0 }, /* RFC 9110 4.2.1: http URLs have a host */
        { TEXT(":80"), NULL, 0 },
        { TEXT("."), NULL, 0 },
        { TEXT(".:80"), NULL, 0 },
        { TEXT(".a"), NULL, 0 },
        { TEXT("a..b"), NULL, 0 },
        { TEXT("a.."), NULL, 0 },
        { TEXT("user@a"), NULL, 0 }, /* RFC 9110 4.2.4 */
        { TEXT("user:pass@a"), NULL, 0 },
        { TEXT("a,b"), NULL, 0 },
        { TEXT("a, b"), NULL, 0 },
        { TEXT("a/b"), NULL, 0 },
        { TEXT("a?b"), NULL, 0 },
        { TEXT("a#b"), NULL, 0 },
        { TEXT("a\\b"), NULL, 0 },
        { TEXT("a b"), NULL, 0 },
        { TEXT("a\tb"), NULL, 0 },
        { TEXT("a\0b"), NULL, 0 },
        { TEXT("*.a"), NULL, 0 },
        { TEXT("a%2eb"), NULL, 0 },
        { TEXT("b\xc3\xbc"), NULL, 0 },
        { TEXT("a\"b"), NULL, 0 },
        { TEXT("<a>"), NULL, 0 },
        { TEXT("a:0"), NULL, 0 },
        { TEXT("a:65536"), NULL, 0 },
        { TEXT("a:000080"), NULL, 0 },
        { TEXT("a:99999999999999999999"), NULL, 0 },
        { TEXT("a:+80"), NULL, 0 },
        { TEXT("a:80 "), NULL, 0 },
        { TEXT("a:http"), NULL, 0 },
        { TEXT("a:80:80"), NULL, 0 },
        { TEXT("::1"), NULL, 0 },
        { TEXT("[::1"), NULL, 0 },
        { TEXT("[]"), NULL, 0 },
        { TEXT("[::1]x"), NULL, 0 },
        { TEXT("[::1]."), NULL, 0 },
        { TEXT("[1.2.3.4]"), NULL, 0 },
        { TEXT("[::1%25eth0]"), NULL, 0 },
        { TEXT("[v1.a]"), NULL, 0 },
        { TEXT("[:::1]"), NULL, 0 },
        { TEXT("[::1\0]"), NULL, 0 },
        { TEXT("[1111:2222:3333:4444:5555:6666:7777:8888:9999]"), NULL, 0 },
        { TEXT("[0000000000000000000000000000000000000000000000000000001::]"), NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint16_t port = 1;
        str host = S("untouched");
        const char *why = authority_parse(cases[i].authority, arena, &host, &port);

        if ((why == NULL) != (cases[i].host != NULL))
            fail_msg("\"" STR_FMT "\": %s", STR_ARG(cases[i].authority), why ? why : "not refused");
        assert_true(str_equal(host, why ? S("untouched") : str_of(cases[i].host)));
        assert_int_equal(port, why ? 1 : cases[i].port);
    }
}

static void hosts_have_at_most_255_bytes(void **state)
{
    char text[300];
    uint16_t port;
    str host;

    (void)state;
    memset(text, 'a', sizeof text);
    assert_null(authority_parse((str){ text, 255 }, arena, &host, &port));
    assert_ptr_equal(host.p, text);
    assert_non_null(authority_parse((str){ text, 256 }, arena, &host, &port));
}

static void urls_of_the_configuration(void **state)
{
    static const struct {
        const char *text, *host; /* host NULL: refused */
        bool is_tls, is_unix;
        uint16_t port;
        const char *path;
    } cases[] = {
        { "http://10.0.0.5:2342", "10.0.0.5", false, false, 2342, "" },
        { "http://app", "app", false, false, 80, "" },
        { "https://App.local", "app.local", true, false, 443, "" },
        { "HTTPS://a:8443/x/", "a", true, false, 8443, "/x/" },
        { "http://a/", "a", false, false, 80, "/" },
        { "http://a/x/../y", "a", false, false, 80, "/y" },
        { "http://a/x@y", "a", false, false, 80, "/x@y" },
        { "http://[::1]:3000", "::1", false, false, 3000, "" },
        { "https://[2001:DB8::1]/a", "2001:db8::1", true, false, 443, "/a" },
        { "unix:/run/app.sock", "/run/app.sock", false, true, 0, "" },
        { "unix:", NULL, false, false, 0, NULL },
        { "unix:/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
          "0123456", NULL, false, false, 0, NULL },
        { "", NULL, false, false, 0, NULL },
        { "a", NULL, false, false, 0, NULL },
        { "a:80", NULL, false, false, 0, NULL },
        { "//a", NULL, false, false, 0, NULL },
        { "ftp://a", NULL, false, false, 0, NULL },
        { "http://", NULL, false, false, 0, NULL },
        { "http:///a", NULL, false, false, 0, NULL },
        { "http://a:0", NULL, false, false, 0, NULL },
        { "http://a:70000", NULL, false, false, 0, NULL },
        { "http://user@a", NULL, false, false, 0, NULL },
        { "http://user:pw@a/x", NULL, false, false, 0, NULL },
        { "http://a/x?y", NULL, false, false, 0, NULL },
        { "http://a?y", NULL, false, false, 0, NULL },
        { "http://a/x#y", NULL, false, false, 0, NULL },
        { "http://a/%zz", NULL, false, false, 0, NULL },
        { "http://a b", NULL, false, false, 0, NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct url url = { 0 };
        const char *why = url_parse(str_of(cases[i].text), arena, &url);

        if ((why == NULL) != (cases[i].host != NULL))
            fail_msg("\"%s\": %s", cases[i].text, why ? why : "not refused");
        if (why)
            continue;
        assert_true(str_equal(url.host, str_of(cases[i].host)));
        assert_true(str_equal(url.path, str_of(cases[i].path)));
        assert_int_equal(url.is_tls, cases[i].is_tls);
        assert_int_equal(url.is_unix, cases[i].is_unix);
        assert_int_equal(url.port, cases[i].port);
    }
}

static void escapes_are_decoded(void **state)
{
    static const struct {
        str in, out;
        bool is_broken;
    } cases[] = {
        { TEXT(""), TEXT(""), false },
        { TEXT("abc"), TEXT("abc"), false },
        { TEXT("a%20b%2Fc"), TEXT("a b/c"), false },
        { TEXT("%00%ff"), TEXT("\0\xff"), false },
        { TEXT("%2541"), TEXT("%41"), false },
        { TEXT("+"), TEXT("+"), false },
        { TEXT("%"), TEXT(""), true },
        { TEXT("a%2"), TEXT(""), true },
        { TEXT("%g0"), TEXT(""), true },
        { TEXT("%0g"), TEXT(""), true },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        str out = uri_decode(cases[i].in, arena);

        assert_true(str_equal(out, cases[i].out));
        assert_int_equal(out.p == NULL, cases[i].is_broken);
    }
}

#ifdef WEIR_SANITIZED /* elsewhere an arena has room of its own at first */
static void without_memory_a_reason_is_given(void **state)
{
    struct arena *small = arena_create(0, 0);
    struct url url;
    struct uri uri;
    str path, match;
    uint16_t port;

    (void)state;
    assert_non_null(small);
    mem_fail_after(0);
    assert_string_equal(uri_normalize_path(S("/a/../b"), small, &path, &match), "out of memory");
    assert_string_equal(uri_parse_target(S("/a//b?c"), false, small, &uri), "out of memory");
    assert_string_equal(authority_parse(S("A"), small, &path, &port), "out of memory");
    assert_string_equal(url_parse(S("http://A"), small, &url), "out of memory");
    assert_null(uri_decode(S("%41"), small).p);
    assert_null(uri_parse_target(S("/a/b?c"), false, small, &uri)); /* nothing to change: no memory wanted */
    mem_fail_after(1);
    assert_string_equal(uri_normalize_path(S("/a//b"), small, &path, &match), "out of memory"); /* the folded copy */
    mem_fail_after(-1);
    arena_destroy(small);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(paths_have_one_normal_form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(targets_are_taken_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(target_paths_are_normal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connect_wants_an_authority, set_up, tear_down),
        cmocka_unit_test_setup_teardown(authorities_are_validated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hosts_have_at_most_255_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(urls_of_the_configuration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(escapes_are_decoded, set_up, tear_down),
#ifdef WEIR_SANITIZED
        cmocka_unit_test_setup_teardown(without_memory_a_reason_is_given, set_up, tear_down),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
