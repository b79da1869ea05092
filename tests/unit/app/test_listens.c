/* SPDX-License-Identifier: BSD-2-Clause */
#include "from_text.h"

static bool has_tls_module;

static int find_modules(void **state)
{
    const char *modules_dir = getenv("WEIR_MODULES");
    char path[512];

    snprintf(path, sizeof(path), "%s/tls.so", modules_dir ? modules_dir : "");
    has_tls_module = access(path, R_OK) == 0;
    return make_folder(state);
}

static const char *with_tls(const char *text)
{
    static char whole[4096];

    snprintf(whole, sizeof(whole), "modules_dir %s; module tls; state_dir %s/state;\n%s", getenv("WEIR_MODULES"),
             folder, text);
    return whole;
}

/* "KEY[ tls][ implied]" each, one a line. */
static void assert_listens(const struct configuration *c, const char *expected)
{
    char got[1024] = "", one[256];

    for (uint32_t i = 0; i < c->listen_count; i++) {
        const struct configuration_listen *listen = &c->listens[i];
        snprintf(one, sizeof(one), "%.*s%s%s\n", STR_ARG(listen->point->key), listen->is_tls ? " tls" : "",
                 listen->is_implied ? " implied" : "");
        strcat(got, one);
        assert_ptr_equal(listen_point_get(listen->point->key, &listen->point->addr), listen->point);
        assert_true(listen->place.line > 0);
    }
    assert_string_equal(got, expected);
}

static const struct {
    const char *text, *listens;
} plain[] = {
    { "", "" },
    { "site a { }", "0.0.0.0:80 implied\n[::]:80 implied\n" },
    { "http_port 8081; site a { } site b { }", "0.0.0.0:8081 implied\n[::]:8081 implied\n" },
    { "site a { listen 8082; }", "0.0.0.0:8082 implied\n[::]:8082 implied\n" },
    { "site a { listen 127.0.0.1:8083; listen [::1]:8083; }", "127.0.0.1:8083\n[::1]:8083\n" },
    { "site a { listen [0:0:0:0::1]:8083; } site b { listen [::1]:8083; }", "[::1]:8083\n" }, /* one form */
    { "site a { listen 8084; } site b { listen 0.0.0.0:8084; }", "0.0.0.0:8084\n[::]:8084 implied\n" },
    { "site a { listen unix:/tmp/weir.s; }", "unix:/tmp/weir.s\n" },
};

static void test_plain_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(plain); i++) {
        struct configuration *c = bind_text(plain[i].text);
        assert_listens(c, plain[i].listens);
        for (uint32_t k = 0; k < c->listen_count; k++)
            assert_false(c->snapshot->is_tls(c->snapshot, c->listens[k].point));
        configuration_free(c);
    }
}

static void test_a_unix_socket_lies_beside_the_file(void **state)
{
    struct configuration *c = bind_text("site a { listen unix:here.sock; }");
    char key[256];

    (void)state;
    snprintf(key, sizeof(key), "unix:%s/here.sock\n", folder);
    assert_listens(c, key);
    configuration_free(c);
}

/* Without `listen`: http_port; with a certificate https_port as well, and then plain requests are redirected. */
static const struct {
    const char *text, *listens;
    bool redirects;
} tls[] = {
    { "http_port 8001; https_port 8002; site a { tls_certificate internal; }",
      "0.0.0.0:8001 implied\n[::]:8001 implied\n0.0.0.0:8002 tls implied\n[::]:8002 tls implied\n", true },
    { "http_port 8001; https_port 8002; https_redirect off; site a { tls_certificate internal; }",
      "0.0.0.0:8001 implied\n[::]:8001 implied\n0.0.0.0:8002 tls implied\n[::]:8002 tls implied\n", false },
    { "http_port 8001; https_port 8002; site a { tls_certificate internal; https_redirect off; }",
      "0.0.0.0:8001 implied\n[::]:8001 implied\n0.0.0.0:8002 tls implied\n[::]:8002 tls implied\n", false },
    { "http_port 8001; https_port 8002; https_redirect off; site a { tls_certificate internal; https_redirect on; }",
      "0.0.0.0:8001 implied\n[::]:8001 implied\n0.0.0.0:8002 tls implied\n[::]:8002 tls implied\n", true },
    { "http_port 8001; https_port 8002; site a { }", "0.0.0.0:8001 implied\n[::]:8001 implied\n", false },
    { "site a { listen 127.0.0.1:8003; tls_certificate internal; }", "127.0.0.1:8003\n", false }, /* its own: never */
    { "site a { listen 127.0.0.1:8003; listen 127.0.0.1:8004 tls; tls_certificate internal; }",
      "127.0.0.1:8003\n127.0.0.1:8004 tls\n", false },
};

static bool has_redirect(const struct plan *plan)
{
    const struct steps *steps = &plan->stages[STAGE_GUARD];
    bool found = false;

    for (uint32_t i = 0; i < steps->count; i++)
        found |= str_equal(steps->at[i].mod->name, S("site"));
    return found;
}

static void test_certificates(void **state)
{
    struct asked asked;

    (void)state;
    if (!has_tls_module)
        skip();
    for (size_t i = 0; i < COUNT(tls); i++) {
        struct configuration *c = bind_text(with_tls(tls[i].text));
        assert_listens(c, tls[i].listens);
        char key[64] = "";
        memcpy(key, c->listens[0].point->key.p, c->listens[0].point->key.n);
        struct weir_req *r = ask(&asked, c, key, "a", "GET", "/");
        assert_true(c->snapshot->choose(c->snapshot, r));
        assert_int_equal(has_redirect(r->plan), tls[i].redirects);
        assert_false(has_redirect(c->snapshot->top_plan));
        for (uint32_t k = 0; k < c->listen_count; k++)
            assert_int_equal(c->snapshot->is_tls(c->snapshot, c->listens[k].point), c->listens[k].is_tls);
        arena_destroy(asked.arena);
        configuration_free(c);
    }
}

static const char names[] =
    "site a.example *.wild.example { listen 127.0.0.1:8001 tls; tls_certificate internal; }\n"
    "site b.example { listen 127.0.0.1:8001 tls; listen 127.0.0.1:8002 tls; tls_certificate internal; }\n"
    "site _ { listen 127.0.0.1:8003 tls; tls_certificate internal; }\n"
    "site d.example { listen 127.0.0.1:8003 tls; tls_certificate internal; }\n";

static const struct {
    const char *key, *server_name, *site; /* empty: refused */
} offered[] = {
    { "127.0.0.1:8001", "a.example", "a.example" },
    { "127.0.0.1:8001", "A.EXAMPLE.", "a.example" },
    { "127.0.0.1:8001", "x.wild.example", "a.example" },
    { "127.0.0.1:8001", "b.example", "b.example" },
    { "127.0.0.1:8001", "c.example", "" },
    { "127.0.0.1:8001", "", "" }, /* two of them and no _ */
    { "127.0.0.1:8001", ".", "" },
    { "127.0.0.1:8002", "", "b.example" }, /* the only one there */
    { "127.0.0.1:8002", "a.example", "" },
    { "127.0.0.1:8003", "", "_" },
    { "127.0.0.1:8003", "d.example", "d.example" },
    { "127.0.0.1:8003", "e.example", "_" },
};

static void test_server_names(void **state)
{
    (void)state;
    if (!has_tls_module)
        skip();
    struct configuration *c = bind_text(with_tls(names));
    char longest[300];

    for (size_t i = 0; i < COUNT(offered); i++) {
        const struct scope *scope =
            c->snapshot->tls_site(c->snapshot, point_of(c, offered[i].key), str_of(offered[i].server_name));
        str site = scope ? ((const weir_str *)scope->site_names.base)[0] : STR_NONE;
        if (!str_equal(site, str_of(offered[i].site)))
            fail_msg("%s on %s: \"%.*s\"", offered[i].server_name, offered[i].key, STR_ARG(site));
    }
    memset(longest, 'a', sizeof(longest));
    assert_null(c->snapshot->tls_site(c->snapshot, point_of(c, "127.0.0.1:8001"), (str){ longest, sizeof(longest) }));
    configuration_free(c);
}

static const struct {
    const char *text, *errors;
} contradictions[] = {
    { "site a { listen 127.0.0.1:8001 tls; tls_certificate internal; }\nsite b { listen 127.0.0.1:8001; }",
      "t.conf:3:10: error: 127.0.0.1:8001 is listened on both with and without tls\n"
      "   3 | site b { listen 127.0.0.1:8001; }\n"
      "     |          ^~~~~~ with tls at t.conf:2\n" },
    { "site a { listen 8443 tls; }",
      "t.conf:2:22: error: listen: tls without a certificate in this site\n"
      "   2 | site a { listen 8443 tls; }\n"
      "     |                      ^~~ tls_certificate CERT KEY; or tls_certificate internal;\n" },
    { "http_port 8001; https_port 8001; site a { tls_certificate internal; }",
      "t.conf:2:34: error: 0.0.0.0:8001 is listened on both with and without tls\n"
      "   2 | http_port 8001; https_port 8001; site a { tls_certificate internal; }\n"
      "     |                                  ^~~~ without tls at t.conf:2\n" },
};

static void test_contradictions(void **state)
{
    (void)state;
    if (!has_tls_module)
        skip();
    for (size_t i = 0; i < COUNT(contradictions); i++) {
        struct configuration *c = load_text(with_tls(contradictions[i].text));
        assert_null(c->snapshot);
        assert_string_equal(errors_of(c).p, contradictions[i].errors);
        configuration_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_addresses), cmocka_unit_test(test_a_unix_socket_lies_beside_the_file),
        cmocka_unit_test(test_certificates),    cmocka_unit_test(test_server_names),
        cmocka_unit_test(test_contradictions),
    };
    return cmocka_run_group_tests(tests, find_modules, remove_folder);
}
