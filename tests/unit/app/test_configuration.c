/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole configurations: settings, who answers, what is wrong and where, what the command line shows. */
#include "from_text.h"

#include "base/log.h"

/* -- settings ------------------------------------------------------------------------------------------------------ */

static void test_settings(void **state)
{
    struct configuration *c =
        bind_text("workers 3; user root root; state_dir state; modules_dir mods; control c.sock;\n"
                  "error_log logs/e.log warn; shutdown_timeout 2m;");
    const struct settings *s = &c->settings;

    (void)state;
    assert_int_equal(s->workers, 3);
    assert_text(s->user, "root");
    assert_text(s->group, "root");
    assert_text(s->state_dir, path_in_folder("state"));
    assert_text(s->modules_dir, path_in_folder("mods"));
    assert_text(s->control, path_in_folder("c.sock"));
    assert_text(s->error_log, path_in_folder("logs/e.log"));
    assert_int_equal(s->error_level, LOG_WARN_);
    assert_int_equal(s->shutdown_timeout, 120000);
    configuration_free(c);
}

static void test_settings_not_said(void **state)
{
    struct configuration *c = bind_text("control off; error_log syslog;");
    const struct settings *s = &c->settings;

    (void)state;
    assert_in_range(s->workers, 1, 256);
    assert_int_equal(s->user.n, 0);
    assert_int_equal(s->group.n, 0);
    assert_text(s->state_dir, WEIR_STATEDIR);
    assert_int_equal(s->control.n, 0);
    assert_text(s->error_log, "syslog");
    assert_int_equal(s->error_level, LOG_INFO_);
    assert_int_equal(s->shutdown_timeout, 10000);
    configuration_free(c);
}

/* `weir reload` must find the server also when the file says nonsense. */
static const struct {
    const char *text, *control;
} controls[] = {
    { "control /run/x.sock;", "/run/x.sock" },
    { "control 'off';", "" },
    { "nonsense here; control /run/x.sock; }}} {", "/run/x.sock" },
    { "include missing.conf;\ncontrol /run/x.sock;", "/run/x.sock" },
    { "workers many; site { } control /run/x.sock;", "/run/x.sock" },
    { "site a { control /run/y.sock; } control /run/x.sock;", "/run/x.sock" },
};

static void test_find_control(void **state)
{
    struct arena *arena = arena_create(4096, 0);

    (void)state;
    for (size_t i = 0; i < COUNT(controls); i++) {
        write_file("t.conf", controls[i].text);
        assert_text(configuration_find_control(str_of(path_in_folder("t.conf")), arena), controls[i].control);
    }
    assert_true(configuration_find_control(S("/nowhere/at/all.conf"), arena).n > 0); /* the default */
    arena_destroy(arena);
}

static void test_files(void **state)
{
    write_file("sorry.html", "sorry");
    write_file("more.conf", "error_page 502 sorry.html;");
    struct configuration *c = bind_text("include more.conf; include more-*.conf; error_log e.log;\n"
                                        "site a { error_page 500 503 sorry.html; }");
    static const struct {
        const char *name;
        bool is_log;
    } files[] = { { "t.conf", false }, { "more.conf", false }, { "sorry.html", false }, { "e.log", true } };

    (void)state;
    assert_int_equal(c->file_count, COUNT(files));
    for (uint32_t i = 0; i < c->file_count; i++) {
        assert_text(c->files[i].path, path_in_folder(files[i].name));
        assert_int_equal(c->files[i].is_log, files[i].is_log);
    }
    configuration_free(c);
}

/* -- who answers --------------------------------------------------------------------------------------------------- */

static const char serving[] = "site a.example {\n"
                              "    listen 127.0.0.1:9000;\n"
                              "    proxy http://127.0.0.1:1;\n"
                              "    maintenance on;\n"
                              "    route /inherits/ { max_body 1k; }\n"
                              "    route /respond/ { respond 200 a; }\n"
                              "    route /redirect/ { redirect 301 /x; maintenance off; }\n"
                              "    route /health/ { health; }\n"
                              "    route /other/ { proxy http://127.0.0.1:2; }\n"
                              "    route /nothing/ { proxy clear; }\n"
                              "    route /empty/ { }\n"
                              "}\n"
                              "site b.example { listen 127.0.0.1:9000; respond 200 b; route /p/ { proxy "
                              "http://127.0.0.1:1; } route /q/ { health; } }\n";

static const struct {
    const char *host, *path, *modules; /* at GUARD and SERVE, in order */
} answers[] = {
    { "a.example", "/", "maintenance proxy " },
    { "a.example", "/inherits/", "maintenance proxy " },
    { "a.example", "/respond/", "maintenance respond " },
    { "a.example", "/redirect/", "redirect " },
    { "a.example", "/health/", "maintenance health " },
    { "a.example", "/other/", "maintenance proxy " },
    { "a.example", "/nothing/", "maintenance " },
    { "a.example", "/empty/", "maintenance proxy " },
    { "b.example", "/", "respond " },
    { "b.example", "/p/", "proxy " },
    { "b.example", "/q/", "health " },
};

static void test_one_answer_a_scope(void **state)
{
    struct configuration *c = bind_text(serving);
    struct asked asked;

    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct weir_req *r = ask(&asked, c, "127.0.0.1:9000", answers[i].host, "GET", answers[i].path);
        char got[256] = "";
        assert_true(c->snapshot->choose(c->snapshot, r));
        static const enum stage stages[] = { STAGE_GUARD, STAGE_SERVE };
        for (size_t k = 0; k < COUNT(stages); k++)
            for (uint32_t s = 0; s < r->plan->stages[stages[k]].count; s++) {
                strncat(got, r->plan->stages[stages[k]].at[s].mod->name.p, 32);
                strcat(got, " ");
            }
        assert_string_equal(got, answers[i].modules);
        arena_destroy(asked.arena);
    }
    configuration_free(c);
}

static void test_core_values(void **state)
{
    write_file("e.json", "{}");
    struct configuration *c =
        bind_text("max_body 1m; timeout header=1s idle=2s; trusted_proxies 10.0.0.0/8; trusted_proxies ::1;\n"
                  "error_page 502 503 e.json;\n"
                  "site a.example { listen 127.0.0.1:9000; timeout idle=3s; max_body 0;\n"
                  "  error_page 503 e.json; route / { timeout tunnel=5m; } }");
    struct asked asked;
    struct weir_req *r = ask(&asked, c, "127.0.0.1:9000", "a.example", "GET", "/");
    const struct core_conf *top = c->snapshot->top_plan->core, *route;

    (void)state;
    assert_true(c->snapshot->choose(c->snapshot, r));
    route = r->plan->core;
    assert_int_equal(top->max_body, 1 << 20);
    assert_int_equal(top->max_headers, 100);
    assert_int_equal(top->timeout_idle, 2000);
    assert_int_equal(top->timeout_tunnel, 3600 * 1000);
    assert_int_equal(top->trusted_proxies.count, 2);
    assert_int_equal(route->max_body, 0);
    assert_int_equal(route->timeout_header, 1000);
    assert_int_equal(route->timeout_idle, 3000);
    assert_int_equal(route->timeout_tunnel, 5 * 60 * 1000);
    assert_int_equal(route->error_pages.count, 2);
    const struct error_page *page = route->error_pages.base;
    assert_int_equal(page->statuses.count, 1); /* the inner one first */
    assert_text(page->content, "{}");
    assert_text(page->media_type, "application/json");
    arena_destroy(asked.arena);
    configuration_free(c);
}

/* -- what is wrong, and where -------------------------------------------------------------------------------------- */

static const struct {
    const char *text, *errors;
} mistakes[] = {
    { "site a { proxy docs; }",
      "t.conf:1:16: error: unknown upstream \"docs\"\n"
      "   1 | site a { proxy docs; }\n"
      "     |                ^~~~ upstream docs { server ADDR:PORT; } or an URL: http://docs\n" },
    { "upstream docs { server 127.0.0.1:1; }\nsite a { proxy doc; }",
      "t.conf:2:16: error: unknown upstream \"doc\"\n"
      "   2 | site a { proxy doc; }\n"
      "     |                ^~~ did you mean \"docs\"?\n" },
    { "upstream docs { }\nsite a { proxy docs; }", /* and nothing about the second line */
      "t.conf:1:1: error: upstream \"docs\" has no server\n"
      "   1 | upstream docs { }\n"
      "     | ^~~~~~~~ server ADDR:PORT;\n" },
    { "upstream a/b { server 127.0.0.1:1; }", "t.conf:1:10: error: upstream: \"a/b\" cannot be a name\n"
                                              "   1 | upstream a/b { server 127.0.0.1:1; }\n"
                                              "     |          ^~~ letters, digits, '_', '-' and '.'\n" },
    { "site a { respond 200 x;\n    health; }",
      "t.conf:2:5: error: \"health\" and \"respond\" cannot both answer in one scope\n"
      "   2 |     health; }\n"
      "     |     ^~~~~~ respond at t.conf:1 answers already\n" },
    { "site a.example { }\nsite b.example A.EXAMPLE { }",
      "t.conf:2:16: error: site name \"a.example\" stands twice on 0.0.0.0:80\n"
      "   2 | site b.example A.EXAMPLE { }\n"
      "     |                ^~~~~~~~~ first at t.conf:1\n" },
    { "site _ { }\nsite _ { listen [::]:80; }", "t.conf:2:6: error: site name \"_\" stands twice on [::]:80\n"
                                                "   2 | site _ { listen [::]:80; }\n"
                                                "     |      ^ first at t.conf:1\n" },
    { "site *.a { }\nsite *.a { }", "t.conf:2:6: error: site name \"*.a\" stands twice on 0.0.0.0:80\n"
                                    "   2 | site *.a { }\n"
                                    "     |      ^~~ first at t.conf:1\n" },
    { "site a { listen 8001; listen 0.0.0.0:8001; }",
      "t.conf:1:23: error: listen: 0.0.0.0:8001 stands twice in this site\n"
      "   1 | site a { listen 8001; listen 0.0.0.0:8001; }\n"
      "     |                       ^~~~~~\n" },
    { "site { respond 200; }", "t.conf:1:1: error: site: NAME is missing\n"
                               "   1 | site { respond 200; }\n"
                               "     | ^~~~ usage: site NAME... { ... }\n" },
    { "site a { listen 443 tls; }", "t.conf:1:21: error: listen: tls without a certificate in this site\n"
                                    "   1 | site a { listen 443 tls; }\n"
                                    "     |                     ^~~ module tls; is missing\n" },
    { "site a { listen 70000; listen 127.0.0.1:0; }",
      "t.conf:1:17: error: listen: \"70000\" is no address to listen on\n"
      "   1 | site a { listen 70000; listen 127.0.0.1:0; }\n"
      "     |                 ^~~~~ PORT, ADDRESS:PORT, [IPV6]:PORT or unix:PATH; ports are 1 to 65535\n"
      "t.conf:1:31: error: listen: \"127.0.0.1:0\" is no address to listen on\n"
      "   1 | site a { listen 70000; listen 127.0.0.1:0; }\n"
      "     |                               ^~~~~~~~~~~ PORT, ADDRESS:PORT, [IPV6]:PORT or unix:PATH; ports are 1 to "
      "65535\n" },
    { "site a { route ~ (x { } route '~ ^/a' { } }", "t.conf:1:20: error: route: missing closing parenthesis\n"
                                                     "   1 | site a { route ~ (x { } route '~ ^/a' { } }\n"
                                                     "     |                    ^\n"
                                                     "t.conf:1:31: error: route: a path begins with '/'\n"
                                                     "   1 | site a { route ~ (x { } route '~ ^/a' { } }\n"
                                                     "     |                               ^~~~~~~ write \"~ ^/a\"\n" },
    { "site a { route /a { } route /%61 { } route = /a { } }",
      "t.conf:1:23: error: route /%61 stands twice in this site\n"
      "   1 | site a { route /a { } route /%61 { } route = /a { } }\n"
      "     |                       ^~~~~ first at t.conf:1\n" },
    { "site a { route / header=: method= { } }",
      "t.conf:1:27: error: route: nothing stands behind method=\n"
      "   1 | site a { route / header=: method= { } }\n"
      "     |                           ^~~~~~~\n"
      "t.conf:1:18: error: route: \"\" is no header name\n"
      "   1 | site a { route / header=: method= { } }\n"
      "     |                  ^~~~~~~~ header=NAME:VALUE, or header=NAME when any value will do\n" },
    { "route / { }", "t.conf:1:1: error: \"route\" cannot stand at top level\n"
                     "   1 | route / { }\n"
                     "     | ^~~~~ it belongs in: site\n" },
    { "site a { redirect 200 /x; respond 204 text; }",
      "t.conf:1:10: error: redirect: status 200 does not redirect: 301, 302, 303, 307 and 308 do\n"
      "   1 | site a { redirect 200 /x; respond 204 text; }\n"
      "     |          ^~~~~~~~\n"
      "t.conf:1:27: error: respond: an answer of status 204 has no text\n"
      "   1 | site a { redirect 200 /x; respond 204 text; }\n"
      "     |                           ^~~~~~~\n"
      "t.conf:1:27: error: \"respond\" and \"redirect\" cannot both answer in one scope\n"
      "   1 | site a { redirect 200 /x; respond 204 text; }\n"
      "     |                           ^~~~~~~ redirect at t.conf:1 answers already\n" },
    { "workers 0;\nuser nobody-of-that-name;\npipeline SERVER x;",
      "t.conf:1:9: error: workers: \"0\" is no number of threads\n"
      "   1 | workers 0;\n"
      "     |         ^ auto, or 1 to 256\n"
      "t.conf:2:6: error: user: \"nobody-of-that-name\" is not known on this machine\n"
      "   2 | user nobody-of-that-name;\n"
      "     |      ^~~~~~~~~~~~~~~~~~~\n"
      "t.conf:3:10: error: pipeline: unknown stage \"SERVER\"\n"
      "   3 | pipeline SERVER x;\n"
      "     |          ^~~~~~ did you mean \"SERVE\"?\n" },
    { "timeout;\nsite a { timeout header=1s; }\nerror_page 404;\nerror_page 302 x.html;",
      "t.conf:1:1: error: timeout: nothing is set\n"
      "   1 | timeout;\n"
      "     | ^~~~~~~\n"
      "t.conf:2:18: error: timeout: header= holds for the whole server\n"
      "   2 | site a { timeout header=1s; }\n"
      "     |                  ^~~~~~~~~ say it at top level: it runs before the site is known\n"
      "t.conf:3:1: error: error_page: STATUS... and PATH are needed\n"
      "   3 | error_page 404;\n"
      "     | ^~~~~~~~~~\n"
      "t.conf:4:12: error: error_page: \"302\" is no error status\n"
      "   4 | error_page 302 x.html;\n"
      "     |            ^~~ 400 to 599: only errors have pages\n"
      "t.conf:4:1: error: cannot read x.html: No such file or directory\n"
      "   4 | error_page 302 x.html;\n"
      "     | ^~~~~~~~~~\n" },
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mistakes); i++) {
        struct configuration *c = load_text(mistakes[i].text);
        assert_null(c->snapshot);
        assert_string_equal(errors_of(c).p, mistakes[i].errors);
        configuration_free(c);
    }
}

static void test_a_missing_file(void **state)
{
    struct configuration *c = load_file("missing.conf");

    (void)state;
    assert_null(c->snapshot);
    assert_int_equal(c->diags.errors, 1);
    assert_non_null(strstr(errors_of(c).p, "missing.conf"));
    configuration_free(c);
}

/* -- what is shown ------------------------------------------------------------------------------------------------*/

static char *shown(int (*print)(const struct configuration *, FILE *), const struct configuration *c)
{
    static char text[16384];
    FILE *out = fmemopen(text, sizeof(text), "w");

    assert_non_null(out);
    assert_int_equal(print(c, out), 0);
    fclose(out);
    return text;
}

static int print_modules(const struct configuration *c, FILE *out)
{
    return configuration_print_modules(c, out, false);
}

/* What dump prints is the same configuration: dumped again it is the same text, but for the places. */
static void test_dump_is_read_back(void **state)
{
    struct configuration *c =
        bind_text("upstream docs { server 127.0.0.1:1 weight=2; keepalive 3; }\n"
                  "site a.example *.a.example {\n"
                  "    listen 127.0.0.1:9000;\n"
                  "    route = /x method=GET,PUT header=\"X-A:b c\" client=10.0.0.0/8 { respond 200 'a $b'; }\n"
                  "    route ~ '^/[a-z]{2}$' { proxy docs; }\n"
                  "}\n");
    char first[16384], *second;

    (void)state;
    strcpy(first, shown(configuration_print_dump, c));
    configuration_free(c);
    assert_non_null(strstr(first, "route = /x method=GET,PUT header=\"X-A:b c\" client=10.0.0.0/8 { # "));
    c = bind_text(first);
    second = shown(configuration_print_dump, c);
    configuration_free(c);
    const char *a = first, *b = second;
    while (*a && *b) {
        size_t n = strcspn(a, "#\n"), m = strcspn(b, "#\n");
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
        a += strcspn(a, "\n") + 1;
        b += strcspn(b, "\n") + 1;
    }
    assert_int_equal(*a, *b);
}

static void test_pipeline_and_modules_are_shown(void **state)
{
    struct configuration *c = bind_text("pipeline SERVE respond redirect;\nsite a { respond 200; }");
    const char *pipeline = shown(configuration_print_pipeline, c);
    const char *serve = strstr(pipeline, "\nSERVE\n");

    (void)state;
    assert_non_null(serve);
    assert_true(strstr(serve, "respond ") < strstr(serve, "redirect "));
    assert_true(strstr(serve, "redirect ") < strstr(serve, "health "));
    const char *all = shown(print_modules, c);
    assert_non_null(strstr(all, "respond      built-in"));
    assert_non_null(strstr(all, "    error_page "));
    configuration_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),           cmocka_unit_test(test_settings_not_said),
        cmocka_unit_test(test_find_control),       cmocka_unit_test(test_files),
        cmocka_unit_test(test_one_answer_a_scope), cmocka_unit_test(test_core_values),
        cmocka_unit_test(test_mistakes),           cmocka_unit_test(test_a_missing_file),
        cmocka_unit_test(test_dump_is_read_back),  cmocka_unit_test(test_pipeline_and_modules_are_shown),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
