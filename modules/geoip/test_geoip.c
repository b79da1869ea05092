/* SPDX-License-Identifier: BSD-2-Clause */
/* test_geoip.c: what is found in each layout, who is let in, and what happens when a database is replaced. */
#include <weir-harness.h> /* before cmocka.h, whose macros take the names of SDK functions */

#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/weir-geoip-XXXXXX";

static const char *fixture(const char *name)
{
    static char path[4][512];
    static unsigned turn;
    const char *top = getenv("WEIR_TOP");

    snprintf(path[turn % 4], sizeof(path[0]), "%s/modules/geoip/fixtures/%s.mmdb", top ? top : ".", name);
    return path[turn++ % 4];
}

static const char *text(const char *fmt, const char *a, const char *b, const char *c)
{
    static char room[4096];

    snprintf(room, sizeof(room), fmt, a, b, c);
    return room;
}

static int set_up(void **state)
{
    return (*state = harness_open("geoip")) ? 0 : -1;
}

static int tear_down(void **state)
{
    harness_close(*state);
    return 0;
}

static struct harness_scope *bind(struct harness *h, struct harness_scope *outer, uint32_t kind, const char *statements)
{
    struct harness_scope *scope = harness_bind(h, outer, kind, statements);

    if (!scope)
        fail_msg("%s", harness_errors(h));
    return scope;
}

/* A variable as the module itself gives it. */
static const char *variable(struct harness *h, weir_req *r, struct harness_scope *scope, const char *name)
{
    static char room[256];
    const weir_table *all = &harness_module(h)->variables;
    const char *at = all->base;
    weir_str value;

    for (uint32_t i = 0; i < all->count; i++, at += all->stride) {
        const struct weir_variable *v = (const struct weir_variable *)(const void *)at;
        if (strcmp(v->name, name) != 0)
            continue;
        if (v->get(r, harness_conf(scope), weir_req_ctx(r, harness_mod(h)), (weir_str){ NULL, 0 }, &value) != 0)
            return "-";
        snprintf(room, sizeof(room), "%.*s", (int)value.n, value.p);
        return room;
    }
    fail_msg("no variable %s", name);
    return NULL;
}

/* -- what is found ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *database, *client, *variable, *value;
} found[] = {
    { "country", "192.0.2.1", "geoip_country", "DE" },
    { "country", "192.0.2.200", "geoip_country", "FR" },
    { "country", "192.0.2.1", "geoip_continent", "EU" },
    { "country", "2001:db8:1::5", "geoip_country", "JP" },
    { "country", "2001:db8:2::5", "geoip_country", "-" },
    { "country", "203.0.113.9", "geoip_country", "GB" },   /* only registered there */
    { "country", "203.0.113.9", "geoip_continent", "EU" }, /* the country's, as the database has none */
    { "country", "192.0.2.1", "geoip_city", "-" },
    { "country", "192.0.2.1", "geoip_asn", "-" },
    { "city", "192.0.2.1", "geoip_city", "Munich" },
    { "city", "192.0.2.1", "geoip_country", "DE" },
    { "asn", "192.0.2.1", "geoip_asn", "64496" },
    { "asn", "192.0.2.1", "geoip_org", "Example Net" },
    { "flat", "192.0.2.1", "geoip_country", "AT" },
    { "flat", "192.0.2.1", "geoip_continent", "EU" },
    { "flat", "198.51.100.1", "geoip_country", "BR" },     /* written in small letters */
    { "flat", "198.51.100.1", "geoip_continent", "SA" },
    { "flat", "198.51.100.1", "geoip_asn", "64511" },      /* written as AS64511 */
    { "flat", "198.51.100.1", "geoip_org", "Flat Net" },
    { "flat", "203.0.113.1", "geoip_country", "-" },       /* a name is no code */
    { "flat", "127.0.0.1", "geoip_country", "-" },
};

static void each_layout_is_read(void **state)
{
    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        struct harness_scope *scope =
            bind(*state, NULL, WEIR_IN_TOP, text("geoip_database %s;", fixture(found[i].database), "", ""));
        weir_req *r = harness_request(*state, scope, "GET", "/", NULL);
        harness_set_client(r, found[i].client);
        const char *value = variable(*state, r, scope, found[i].variable);
        if (strcmp(value, found[i].value) != 0)
            fail_msg("%s %s in %s: %s", found[i].client, found[i].variable, found[i].database, value);
        harness_end(r);
    }
}

static void databases_complete_each_other(void **state)
{
    struct harness_scope *scope =
        bind(*state, NULL, WEIR_IN_TOP, text("geoip_database %s %s; geoip_database %s;", fixture("flat"),
                                             fixture("city"), fixture("asn")));
    weir_req *r = harness_request(*state, scope, "GET", "/", NULL);

    harness_set_client(r, "192.0.2.1");
    assert_string_equal(variable(*state, r, scope, "geoip_country"), "AT"); /* the first that knows */
    assert_string_equal(variable(*state, r, scope, "geoip_city"), "Munich");
    assert_string_equal(variable(*state, r, scope, "geoip_asn"), "64496");
}

/* -- who is let in ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *rules, *client;
    bool is_let_in;
} decisions[] = {
    { "geoip_allow DE;", "192.0.2.1", true },
    { "geoip_allow DE;", "192.0.2.200", false },
    { "geoip_allow DE FR;", "192.0.2.200", true },
    { "geoip_allow DE;", "2001:db8:2::1", false },         /* no country: not on the list */
    { "geoip_allow DE unknown;", "2001:db8:2::1", true },
    { "geoip_deny FR;", "192.0.2.200", false },
    { "geoip_deny FR;", "192.0.2.1", true },
    { "geoip_deny FR;", "2001:db8:2::1", true },
    { "geoip_deny unknown;", "2001:db8:2::1", false },
    { "geoip_allow DE; geoip_deny all;", "192.0.2.1", true },
    { "geoip_deny FR; geoip_allow continent:EU;", "192.0.2.200", false }, /* the first match decides */
    { "geoip_deny FR; geoip_allow continent:EU;", "192.0.2.1", true },
    { "geoip_deny FR; geoip_allow continent:EU;", "198.51.100.1", false },
    { "geoip_deny AS64496;", "192.0.2.1", false },
    { "geoip_deny AS64496;", "198.51.100.1", true },
    { "geoip_allow DE;", "127.0.0.1", true },              /* nobody's country: never refused */
    { "geoip_deny all;", "10.1.2.3", true },
    { "geoip_deny all;", "172.31.255.255", true },
    { "geoip_deny all;", "172.32.0.0", false },
    { "geoip_deny all;", "192.168.0.1", true },
    { "geoip_deny all;", "100.64.0.1", true },
    { "geoip_deny all;", "169.254.9.9", true },
    { "geoip_deny all;", "::1", true },
    { "geoip_deny all;", "fd00::1", true },
    { "geoip_deny all;", "fe80::1", true },
    { "geoip_deny all;", "fec0::1", false },
};

static weir_verdict ask(struct harness *h, struct harness_scope *scope, const char *client, bool is_dry)
{
    weir_req *r = harness_request(h, scope, "GET", "/", NULL);

    harness_set_client(r, client);
    harness_set_dry(r, is_dry);
    weir_verdict verdict = harness_run(r, WEIR_AT_GUARD);
    if (verdict != WEIR_NEXT)
        assert_int_equal(weir_status(r), 403);
    harness_end(r);
    return verdict;
}

static void rules_decide(void **state)
{
    for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++) {
        struct harness_scope *scope =
            bind(*state, NULL, WEIR_IN_TOP, text("geoip_database %s %s; %s", fixture("country"), fixture("asn"),
                                                 decisions[i].rules));
        bool is_let_in = ask(*state, scope, decisions[i].client, false) == WEIR_NEXT;
        if (is_let_in != decisions[i].is_let_in)
            fail_msg("%s for %s", decisions[i].rules, decisions[i].client);
    }
}

static void inner_rules_are_asked_first(void **state)
{
    struct harness_scope *top = bind(*state, NULL, WEIR_IN_TOP,
                                     text("geoip_database %s; geoip_deny DE;", fixture("country"), "", ""));
    struct harness_scope *site = bind(*state, top, WEIR_IN_SITE, "geoip_allow DE;");

    assert_int_not_equal(ask(*state, top, "192.0.2.1", false), WEIR_NEXT);
    assert_int_equal(ask(*state, site, "192.0.2.1", false), WEIR_NEXT);
}

static void a_dry_run_counts_nothing(void **state)
{
    struct harness_scope *scope = bind(*state, NULL, WEIR_IN_TOP,
                                       text("geoip_database %s; geoip_deny DE;", fixture("country"), "", ""));

    assert_int_not_equal(ask(*state, scope, "192.0.2.1", true), WEIR_NEXT);
    assert_int_equal(harness_metric(*state, "refused_total"), 0);
    assert_int_not_equal(ask(*state, scope, "192.0.2.1", false), WEIR_NEXT);
    assert_int_equal(harness_metric(*state, "refused_total"), 1);
}

static void without_rules_nothing_runs(void **state)
{
    const char *statements = text("geoip_database %s;", fixture("country"), "", "");
    struct harness_scope *scope = bind(*state, NULL, WEIR_IN_TOP, statements);

    assert_false(harness_is_active(scope));
}

/* -- mistakes ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *statements, *error;
} mistakes[] = {
    { "geoip_deny DE;", "need a database" },
    { "geoip_database /nonexistent.mmdb;", "No such file" },
    { "geoip_database /dev/null;", "not a file" },
    { "geoip_deny UK;", "code is GB" },
    { "geoip_deny EU;", "continent:EU" },
    { "geoip_deny ZZ;", "no such country" },
    { "geoip_deny de;", "in capitals" },
    { "geoip_deny continent:XX;", "continents are" },
    { "geoip_deny continent:EUR;", "continents are" },
    { "geoip_deny AS4294967296;", "4294967295" },
    { "geoip_deny AS12x;", "4294967295" },
    { "geoip_deny Germany;", "in capitals" },
};

static void mistakes_are_explained(void **state)
{
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        assert_null(harness_bind(*state, NULL, WEIR_IN_TOP, mistakes[i].statements));
        if (!strstr(harness_errors(*state), mistakes[i].error))
            fail_msg("%s: %s", mistakes[i].statements, harness_errors(*state));
    }
}

/* -- files that change --------------------------------------------------------------------------------------------- */

static void put_file(const char *path, const char *from, size_t most)
{
    char *content = malloc(1 << 16);
    FILE *in = fopen(from, "rb"), *out = fopen(path, "wb");

    assert_non_null(in);
    assert_non_null(out);
    size_t n = fread(content, 1, 1 << 16, in);
    assert_int_equal(fwrite(content, 1, n < most ? n : most, out), n < most ? n : most);
    fclose(in);
    fclose(out);
    free(content);
}

/* Two looks: a file that still changes from one to the next is left alone. */
static void pass_time(struct harness *h)
{
    for (unsigned i = 0; i < 3; i++) {
        harness_advance(h, 1000);
        harness_run_jobs(h);
    }
}

static const char *country_now(struct harness *h, struct harness_scope *scope)
{
    weir_req *r = harness_request(h, scope, "GET", "/", NULL);

    harness_set_client(r, "192.0.2.1");
    const char *value = variable(h, r, scope, "geoip_country");
    harness_end(r);
    return value;
}

static void a_replaced_database_is_read_anew(void **state)
{
    char path[512], next[512];

    snprintf(path, sizeof(path), "%s/a.mmdb", folder);
    snprintf(next, sizeof(next), "%s/next.mmdb", folder);
    put_file(path, fixture("country"), SIZE_MAX);
    struct harness_scope *scope = bind(*state, NULL, WEIR_IN_TOP, text("geoip_database %s;", path, "", ""));
    assert_string_equal(country_now(*state, scope), "DE");

    put_file(next, fixture("flat"), SIZE_MAX);
    assert_int_equal(rename(next, path), 0);
    pass_time(*state);
    assert_string_equal(country_now(*state, scope), "AT");
    assert_int_equal(harness_metric(*state, "reread_total"), 1);

    put_file(path, fixture("country"), 700); /* cut short, in place: the mapped file would be gone under us */
    pass_time(*state);
    assert_string_equal(country_now(*state, scope), "AT");
    assert_non_null(strstr(harness_log(*state), "the database before it stays"));
    assert_int_equal(harness_metric(*state, "broken_total"), 1);

    assert_int_equal(unlink(path), 0);
    pass_time(*state);
    assert_string_equal(country_now(*state, scope), "AT");

    put_file(path, fixture("country"), SIZE_MAX);
    pass_time(*state);
    assert_string_equal(country_now(*state, scope), "DE");
    assert_int_equal(harness_metric(*state, "broken_total"), 1);
}

static void the_age_is_told(void **state)
{
    const char *path = fixture("country");

    bind(*state, NULL, WEIR_IN_TOP, text("geoip_database %s;", path, "", ""));
    assert_non_null(harness_note(*state, path));
    assert_non_null(strstr(harness_note(*state, path), "days old"));
}

static void every_allocation_may_fail(void **state)
{
    const char *statements = text("geoip_database %s; geoip_deny DE continent:AS;", fixture("city"), "", "");

    for (size_t n = 1;; n++) {
        harness_fail_allocation(*state, n);
        struct harness_scope *scope = harness_bind(*state, NULL, WEIR_IN_TOP, statements);
        if (scope) {
            weir_req *r = harness_request(*state, scope, "GET", "/", NULL);
            harness_set_client(r, "192.0.2.1");
            assert_int_not_equal(harness_run(r, WEIR_AT_GUARD), WEIR_NEXT);
            harness_end(r);
        }
        if (!harness_has_failed(*state))
            break;
    }
    harness_fail_allocation(*state, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_layout_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(databases_complete_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rules_decide, set_up, tear_down),
        cmocka_unit_test_setup_teardown(inner_rules_are_asked_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dry_run_counts_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_rules_nothing_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes_are_explained, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_replaced_database_is_read_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_age_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, set_up, tear_down),
    };

    if (!mkdtemp(folder))
        return 1;
    int failed = cmocka_run_group_tests_name("geoip", tests, NULL, NULL);
    char path[512];
    snprintf(path, sizeof(path), "%s/a.mmdb", folder);
    unlink(path);
    rmdir(folder);
    return failed;
}
