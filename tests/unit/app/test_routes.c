/* SPDX-License-Identifier: BSD-2-Clause */
#include "from_text.h"

#include "app/house/regex.h"

static const char text[] = "site a.example {\n"
                           "    listen 127.0.0.1:9000;\n"
                           "    proxy http://127.0.0.1:1/base;\n"
                           "    route = /status { respond 200; }\n"
                           "    route = /status method=POST { respond 200; }\n"
                           "    route ~ '\\.php$' { proxy http://127.0.0.1:1; }\n"
                           "    route ~ ^/x { respond 200; }\n"
                           "    route / { respond 200; }\n"
                           "    route /api/ { proxy http://127.0.0.1:1; }\n"
                           "    route /api/v2/ { max_body 1k; }\n"
                           "    route /api/v2/items { proxy http://127.0.0.1:1; }\n"
                           "    route /apple { respond 200; }\n"
                           "    route /%7euser/a//b { respond 200; }\n"
                           "    route /cond/ method=GET,PUT { respond 200; }\n"
                           "    route /cond/ method=GET header=X-Mode:slow { respond 200; }\n"
                           "    route /cond/ header=x-any { respond 200; }\n"
                           "    route /cond/deep/ client=10.0.0.0/8,2001:db8::/32 { respond 200; }\n"
                           "}\n"
                           "site plain.example { listen 127.0.0.1:9000; respond 200; }\n"
                           "site few.example { listen 127.0.0.1:9000; route /only/ { respond 200; } }\n";

static const struct {
    const char *method, *path, *field, *client;
    const char *route, *prefix;
} rows[] = {
    { "GET", "/status", "", "", "= /status", "/status" },
    { "GET", "/status/", "", "", "/", "/" },
    { "GET", "/status.php", "", "", "~ \\.php$", "" },
    { "GET", "/x.php", "", "", "~ \\.php$", "" }, /* written first */
    { "GET", "/xapi", "", "", "~ ^/x", "" },
    { "GET", "/api/a.php", "", "", "~ \\.php$", "" }, /* before prefixes */
    { "GET", "/", "", "", "/", "/" },
    { "GET", "/api", "", "", "/", "/" }, /* /api/ is another */
    { "GET", "/api/", "", "", "/api/", "/api/" },
    { "GET", "//api///q", "", "", "/api/", "/api/" }, /* runs of / folded */
    { "GET", "/api/v1", "", "", "/api/", "/api/" },
    { "GET", "/api/v2/x", "", "", "/api/v2/", "" }, /* the site's proxy */
    { "GET", "/api/v2/items", "", "", "/api/v2/items", "/api/v2/items" },
    { "GET", "/api/v2/items9", "", "", "/api/v2/items", "/api/v2/items" },
    { "GET", "/api/v2/../v3", "", "", "/api/", "/api/" },
    { "GET", "/apple/pie", "", "", "/apple", "/apple" },
    { "GET", "/app", "", "", "/", "/" },
    { "GET", "/~user/a/b", "", "", "/%7euser/a//b", "/~user/a/b" },
    { "POST", "/status", "", "", "= /status", "/status" },
    { "GET", "/cond/", "", "", "/cond/", "/cond/" },
    { "get", "/cond/", "", "", "/", "/" }, /* methods have case */
    { "HEAD", "/cond/", "", "", "/", "/" },
    { "POST", "/cond/", "X-ANY: 1", "", "/cond/", "/cond/" },
    { "GET", "/cond/deep/", "", "10.1.2.3", "/cond/deep/", "/cond/deep/" },
    { "GET", "/cond/deep/", "", "2001:db8::9", "/cond/deep/", "/cond/deep/" },
    { "GET", "/cond/deep/", "", "11.0.0.1", "/cond/", "/cond/" }, /* the next shorter */
    { "DELETE", "/cond/deep/", "", "11.0.0.1", "/", "/" },
};

static void set_field(struct weir_req *r, const char *text_)
{
    str field = str_of(text_);
    size_t colon = str_find(field, ':');

    if (field.n)
        assert_true(fields_add(&r->fields, str_upto(field, colon), str_trim(str_from(field, colon + 1))));
}

static void test_paths_and_conditions(void **state)
{
    struct configuration *c = bind_text(text);
    struct asked asked;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct weir_req *r = ask(&asked, c, "127.0.0.1:9000", "a.example", rows[i].method, rows[i].path);
        set_field(r, rows[i].field);
        if (rows[i].client[0])
            assert_true(addr_ip_bytes(str_of(rows[i].client), r->client));
        assert_true(c->snapshot->choose(c->snapshot, r));
        if (!str_equal(r->route, str_of(rows[i].route)) || !str_equal(r->route_prefix, str_of(rows[i].prefix)))
            fail_msg("row %zu, %s %s: \"%.*s\", prefix \"%.*s\"", i, rows[i].method, rows[i].path, STR_ARG(r->route),
                     STR_ARG(r->route_prefix));
        arena_destroy(asked.arena);
    }
    configuration_free(c);
}

static const void *scope_place(struct configuration *c, const char *method, const char *field, uint32_t *line)
{
    struct asked asked;
    struct weir_req *r = ask(&asked, c, "127.0.0.1:9000", "a.example", method, "/cond/");

    set_field(r, field);
    assert_true(c->snapshot->choose(c->snapshot, r));
    *line = r->plan->scope->place.line;
    arena_destroy(asked.arena);
    return r->plan;
}

/* Of one path: those with conditions first, in written order; the first that holds. */
static void test_order_of_one_path(void **state)
{
    struct configuration *c = bind_text(text);
    uint32_t line;

    (void)state;
    scope_place(c, "GET", "X-Mode: slow", &line);
    assert_int_equal(line, 14);
    scope_place(c, "GET", "", &line);
    assert_int_equal(line, 14);
    scope_place(c, "POST", "X-Any: ", &line);
    assert_int_equal(line, 16);
    configuration_free(c);

    c = bind_text("site a.example { listen 127.0.0.1:9000;\n"
                  "route /cond/ { respond 200; }\n"
                  "route /cond/ header=X-Mode:slow method=GET { respond 200; }\n"
                  "route /cond/ method=GET { respond 200; }\n}");
    scope_place(c, "GET", "X-Mode: slow", &line);
    assert_int_equal(line, 3);
    scope_place(c, "GET", "X-Mode: Slow", &line);
    assert_int_equal(line, 4);
    scope_place(c, "POST", "X-Mode: slow", &line);
    assert_int_equal(line, 2);
    configuration_free(c);
}

static void test_sites_without_a_route_for_it(void **state)
{
    struct configuration *c = bind_text(text);
    static const char *const hosts[] = { "plain.example", "few.example" };
    struct asked asked;

    (void)state;
    for (size_t i = 0; i < COUNT(hosts); i++) {
        struct weir_req *r = ask(&asked, c, "127.0.0.1:9000", hosts[i], "GET", "/elsewhere");
        assert_true(c->snapshot->choose(c->snapshot, r));
        assert_int_equal(r->route.n, 0);
        assert_int_equal(r->route_prefix.n, 0);
        assert_non_null(r->route_of);
        assert_int_equal(r->plan->scope->kind, WEIR_IN_SITE);
        arena_destroy(asked.arena);
    }
    configuration_free(c);
}

/* OPTIONS * has no path that a route could begin with. */
static void test_asterisk(void **state)
{
    struct configuration *c = bind_text(text);
    struct asked asked;
    struct weir_req *r = ask(&asked, c, "127.0.0.1:9000", "a.example", "OPTIONS", "/");

    (void)state;
    r->uri.path = r->uri.match = S("*");
    assert_true(c->snapshot->choose(c->snapshot, r));
    assert_int_equal(r->route.n, 0);
    arena_destroy(asked.arena);
    configuration_free(c);
}

/* What a pattern guards must not be reached by wearing the pattern out. */
static void test_a_pattern_that_gives_up_refuses(void **state)
{
    struct configuration *c = bind_text("site a.example { listen 127.0.0.1:9000; route ~ '^/(a+)+$' { respond 200; }\n"
                                        "route / { respond 200; } }");
    char path[64] = "/";
    struct asked asked;

    (void)state;
    memset(path + 1, 'a', 40);
    strcpy(path + 41, "!");
    struct weir_req *r = ask(&asked, c, "127.0.0.1:9000", "a.example", "GET", path);
    assert_false(c->snapshot->choose(c->snapshot, r));
    assert_int_equal(r->status, 500);
    assert_text(r->site, "a.example");
    arena_destroy(asked.arena);
    configuration_free(c);
}

static const struct {
    const char *pattern, *subject;
    enum regex_answer answer;
} patterns[] = {
    { "^/a", "/ab", REGEX_YES },
    { "b$", "/ab", REGEX_YES },
    { "^/a$", "/ab", REGEX_NO },
    { "(?i)/ADMIN", "/admin", REGEX_YES },
    { "(x)(y)(z)", "xyz", REGEX_YES }, /* more groups than there is room for */
    { "", "", REGEX_YES },
};

static void test_patterns(void **state)
{
    struct arena *arena = arena_create(1024, 0);
    size_t offset;
    str why;

    (void)state;
    for (size_t i = 0; i < COUNT(patterns); i++) {
        struct regex *regex = regex_compile(str_of(patterns[i].pattern), arena, &why, &offset);
        assert_non_null(regex);
        assert_int_equal(regex_match(regex, str_of(patterns[i].subject)), patterns[i].answer);
    }
    assert_null(regex_compile(S("a(b"), arena, &why, &offset));
    assert_int_equal(offset, 3);
    assert_text(why, "missing closing parenthesis");
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_and_conditions),
        cmocka_unit_test(test_order_of_one_path),
        cmocka_unit_test(test_sites_without_a_route_for_it),
        cmocka_unit_test(test_asterisk),
        cmocka_unit_test(test_a_pattern_that_gives_up_refuses),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
