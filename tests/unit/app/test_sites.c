/* SPDX-License-Identifier: BSD-2-Clause */
#include "from_text.h"

static const char text[] = "http_port 8080;\n"
                           "site exact.example www.exact.example { respond 200 a; }\n"
                           "site *.example.org { respond 200 b; }\n"
                           "site *.deep.example.org { respond 200 c; }\n"
                           "site named.deep.example.org { respond 200 d; }\n"
                           "site 192.0.2.7 [2001:DB8::1] { respond 200 e; }\n"
                           "site UPPER.example. { respond 200 f; }\n"
                           "site other.example { listen 127.0.0.1:9000; respond 200 g; }\n"
                           "site *.example.org { listen 127.0.0.1:9000; respond 200 h; }\n"
                           "site rest.example _ { listen 127.0.0.1:9000; respond 200 i; }\n"
                           "site exact.example { listen unix:s.sock; respond 200 j; }\n";

/* The site's first name; empty: 404. */
static const struct {
    const char *point, *host, *site;
} rows[] = {
    { "0.0.0.0:8080", "exact.example", "exact.example" },
    { "[::]:8080", "exact.example", "exact.example" }, /* a port means both families */
    { "0.0.0.0:8080", "www.exact.example", "exact.example" },
    { "0.0.0.0:8080", "ww.exact.example", "" },
    { "0.0.0.0:8080", "a.example.org", "*.example.org" },
    { "0.0.0.0:8080", "b.a.example.org", "*.example.org" }, /* any depth */
    { "0.0.0.0:8080", "example.org", "" },                  /* a wildcard has something before it */
    { "0.0.0.0:8080", "xexample.org", "" },
    { "0.0.0.0:8080", "a.deep.example.org", "*.deep.example.org" }, /* the longest wildcard */
    { "0.0.0.0:8080", "deep.example.org", "*.example.org" },
    { "0.0.0.0:8080", "named.deep.example.org", "named.deep.example.org" }, /* exact beats wildcards */
    { "0.0.0.0:8080", "x.named.deep.example.org", "*.deep.example.org" },
    { "0.0.0.0:8080", "192.0.2.7", "192.0.2.7" },
    { "0.0.0.0:8080", "[2001:db8::1]", "192.0.2.7" },
    { "0.0.0.0:8080", "upper.example", "upper.example" },
    { "0.0.0.0:8080", "other.example", "" }, /* it listens elsewhere */
    { "0.0.0.0:8080", "", "" },              /* HTTP/1.0, and no _ here */
    { "0.0.0.0:8080", "_", "" },
    { "127.0.0.1:9000", "other.example", "other.example" },
    { "127.0.0.1:9000", "a.deep.example.org", "*.example.org" }, /* the longer one listens elsewhere */
    { "127.0.0.1:9000", "exact.example", "rest.example" },       /* _ */
    { "127.0.0.1:9000", "rest.example", "rest.example" },
    { "127.0.0.1:9000", "", "rest.example" },
    { "127.0.0.1:9000", ".", "rest.example" },
};

static void test_host_names(void **state)
{
    struct configuration *c = bind_text(text);
    struct asked asked;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct weir_req *r = ask(&asked, c, rows[i].point, rows[i].host, "GET", "/x");
        bool chosen = c->snapshot->choose(c->snapshot, r);
        if (!str_equal(r->site, str_of(rows[i].site)) || chosen != (rows[i].site[0] != 0))
            fail_msg("%s on %s is \"%.*s\"", rows[i].host, rows[i].point, STR_ARG(r->site));
        assert_int_equal(r->status, chosen ? 0 : 404);
        assert_int_equal(r->plan == c->snapshot->top_plan, !chosen);
        assert_int_equal(r->route_of != NULL, chosen);
        arena_destroy(asked.arena);
    }
    configuration_free(c);
}

static void test_the_same_name_on_two_addresses(void **state)
{
    struct configuration *c = bind_text(text);
    char key[128];
    struct asked asked;
    const void *plans[2];
    const char *keys[] = { "0.0.0.0:8080", key };

    (void)state;
    snprintf(key, sizeof(key), "unix:%s/s.sock", folder);
    for (int i = 0; i < 2; i++) {
        struct weir_req *r = ask(&asked, c, keys[i], "exact.example", "GET", "/");
        assert_true(c->snapshot->choose(c->snapshot, r));
        plans[i] = r->plan;
        arena_destroy(asked.arena);
    }
    assert_ptr_not_equal(plans[0], plans[1]);
    configuration_free(c);
}

/* A point of another configuration is nobody's here. */
static void test_a_point_that_is_not_used(void **state)
{
    struct configuration *before = bind_text("site a.example { listen 127.0.0.1:9100; respond 200; }");
    struct configuration *c = bind_text("site a.example { listen 127.0.0.1:9101; respond 200; }");
    const struct listen_point *gone = point_of(before, "127.0.0.1:9100");
    struct asked asked;
    struct weir_req *r = ask(&asked, c, "127.0.0.1:9101", "a.example", "GET", "/");

    (void)state;
    assert_true(c->snapshot->choose(c->snapshot, r));
    asked.conn.point = gone;
    assert_false(c->snapshot->choose(c->snapshot, r));
    assert_false(c->snapshot->is_tls(c->snapshot, gone));
    assert_null(c->snapshot->tls_site(c->snapshot, gone, S("a.example")));
    arena_destroy(asked.arena);
    configuration_free(before);
    configuration_free(c);
}

static void test_many_names(void **state)
{
    enum { SITES = 2000 };
    static char many[SITES * 64];
    char *end = many, host[64];
    struct asked asked;

    (void)state;
    for (int i = 0; i < SITES; i++)
        end += sprintf(end, "site n%d.example *.w%d.example { respond 200; }\n", i, i);
    struct configuration *c = bind_text(many);
    for (int i = 0; i < SITES; i++) {
        bool wild = i & 1;
        snprintf(host, sizeof(host), wild ? "x.w%d.example" : "n%d.example", i);
        struct weir_req *r = ask(&asked, c, "0.0.0.0:80", host, "GET", "/");
        assert_true(c->snapshot->choose(c->snapshot, r));
        snprintf(host, sizeof(host), "n%d.example", i);
        assert_text(r->site, host);
        arena_destroy(asked.arena);
    }
    configuration_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_names),
        cmocka_unit_test(test_the_same_name_on_two_addresses),
        cmocka_unit_test(test_a_point_that_is_not_used),
        cmocka_unit_test(test_many_names),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
