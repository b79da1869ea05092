/* SPDX-License-Identifier: BSD-2-Clause */
#include <weir/weir.h> /* before cmocka, which has a macro fail() */

#include "toy.h"

#include "config/bind.h"
#include "pipeline/sink.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const struct weir_api *weir_api_ = &module_api; /* as a module sees it */

/* -- a module that asks for whatever a test wants ------------------------------------------------------------------ */

struct conf {
    uint64_t limit;
    struct weir_place place;
};

static int (*asked)(weir_conf *c, struct conf *conf);
static int check(weir_conf *c, void *scope)
{
    return asked(c, scope);
}

static const struct weir_arg args[] = {
    { .name = "N", .type = WEIR_TYPE_UINT, .offset = offsetof(struct conf, limit) },
    { .name = "", .type = WEIR_TYPE_PLACE, .offset = offsetof(struct conf, place) },
};
static const struct weir_directive directives[] = {
    { .name = "toy_limit", .doc = "a limit", .scopes = WEIR_IN_HTTP, .args = WEIR_TABLE(args) },
};
static weir_mod mod;

static char folder[64];
struct bench {
    struct arena *arena;
    struct diags diags;
    struct schema schema;
    struct variables variables;
    struct bind_host host;
    struct binder binder;
    struct owner owner;
    struct tree tree;
    struct scope *top, *site, *route;
} b;

static int get_nothing(void *subject, const struct variable *variable, str rest, str *value)
{
    (void)subject, (void)variable, (void)rest, (void)value;
    return -1;
}

static int up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/weir-conf-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    b = (struct bench){ .arena = arena_create(4096, 0) };
    mod = toy_mod("toy", 0, NULL, 0);
    diags_init(&b.diags, b.arena);
    schema_init(&b.schema, b.arena);
    variables_init(&b.variables, b.arena);
    assert_null(variables_add(&b.variables, &(struct variable){ .name = S("host"), .get = get_nothing }));
    b.owner = (struct owner){ .name = S("toy"), .conf_size = sizeof(struct conf), .directives = WEIR_TABLE(directives),
                              .check = check, .mod = &mod };
    assert_null(schema_add(&b.schema, &b.owner));
    b.host.variables = &b.variables;
    b.binder = (struct binder){ b.arena, &b.diags, &b.schema, &b.host, 1 };
    return 0;
}

static int down(void **state)
{
    (void)state;
    char command[128];
    arena_destroy(b.arena);
    sinks_finish();
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}
#define binding(test) cmocka_unit_test_setup_teardown(test, up, down)

static str site_names[] = { WEIR_S("a.example"), WEIR_S("*.b.example") };

/* Top, a site and a route in it, each with a limit of its own; the file lies in the test's folder. */
static void bind_all(int (*ask)(weir_conf *, struct conf *))
{
    str file = arena_printf(b.arena, "%s/weir.conf", folder);
    asked = ask;
    tree_parse(&b.tree, file, S("toy_limit 1;\n    toy_limit 2; # site\ntoy_limit 3;\n"), b.arena, &b.diags);
    struct statement *top = b.tree.first, *site = top->next, *route = site->next;
    top->next = site->next = NULL;
    b.top = scope_bind(&b.binder, NULL, WEIR_IN_TOP, top, (struct place){ 0 });
    scope_check(&b.binder, b.top);
    b.site = scope_bind(&b.binder, b.top, WEIR_IN_SITE, site, statement_place(site));
    b.site->site_names = (weir_table)WEIR_TABLE(site_names);
    scope_check(&b.binder, b.site);
    b.route = scope_bind(&b.binder, b.site, WEIR_IN_ROUTE, route, statement_place(route));
    b.route->site_names = b.site->site_names;
    scope_check(&b.binder, b.route);
}

static const char *said(void)
{
    str text = diags_render(&b.diags, b.arena), prefix = arena_printf(b.arena, "%s/", folder);
    static char room[2048];
    size_t n = 0;
    while (text.n && n < sizeof(room) - 1) {
        if (str_has_prefix(text, prefix))
            text = str_from(text, prefix.n);
        room[n++] = text.p[0];
        text = str_from(text, 1);
    }
    room[n] = '\0';
    return room;
}

/* -- mistakes ------------------------------------------------------------------------------------------------------ */

static int complain(weir_conf *c, struct conf *conf)
{
    if (conf->limit == 2)
        return weir_conf_error_at(c, &conf->place, "limit %d is unlucky", 2);
    if (conf->limit == 3)
        weir_conf_warn(c, NULL, "limit %d is odd", 3);
    return WEIR_CONF_OK;
}

static void mistakes_stand_where_they_were_made(void **state)
{
    (void)state;
    bind_all(complain);
    assert_int_equal(b.diags.errors, 1);
    assert_non_null(strstr(said(), "weir.conf:2:5: error: limit 2 is unlucky\n"
                                   "   2 |     toy_limit 2; # site\n"
                                   "     |     ^"));
}

static int always_wrong(weir_conf *c, struct conf *conf)
{
    return conf->limit == 1 ? weir_conf_error(c, "wrong") : WEIR_CONF_OK;
}

static void mistakes_without_a_place(void **state)
{
    (void)state;
    bind_all(always_wrong);
    assert_non_null(strstr(said(), "weir.conf:1:1: error: wrong\n   1 | toy_limit 1;\n     | ^"));
}

/* -- the scope ----------------------------------------------------------------------------------------------------- */

static unsigned scopes_seen;
static int look_around(weir_conf *c, struct conf *conf)
{
    static const uint32_t kinds[] = { WEIR_IN_TOP, WEIR_IN_SITE, WEIR_IN_ROUTE };
    weir_table names = weir_conf_site_names(c);
    char *p = weir_conf_alloc(c, 64);
    str text;
    assert_int_equal(weir_conf_scope(c), kinds[conf->limit - 1]);
    assert_int_equal(names.count, conf->limit == 1 ? 0 : 2);
    assert_ptr_equal(weir_conf_mod(c), &mod);
    assert_false(weir_conf_is_rehearsal(c));
    for (int i = 0; i < 64; i++)
        assert_int_equal(p[i], 0);
    assert_int_equal(weir_tmpl_constant(weir_conf_template(c, S("plain")), &text), 0);
    assert_str(text, "plain");
    assert_int_equal(weir_tmpl_constant(weir_conf_template(c, S("")), &text), 0);
    assert_int_equal(text.n, 0);
    assert_int_equal(weir_tmpl_constant(weir_conf_template(c, S("a $host")), &text), -1);
    scopes_seen++;
    return WEIR_CONF_OK;
}

static void what_a_scope_is(void **state)
{
    (void)state;
    scopes_seen = 0;
    bind_all(look_around);
    assert_int_equal(scopes_seen, 3);
    assert_int_equal(b.diags.errors, 0);
}

static int unknown_variable(weir_conf *c, struct conf *conf)
{
    return conf->limit == 2 && !weir_conf_template(c, S("$hots")) ? -1 : WEIR_CONF_OK;
}

static void templates_that_do_not_compile(void **state)
{
    (void)state;
    bind_all(unknown_variable);
    assert_int_equal(b.diags.errors, 1); /* said once */
    assert_non_null(strstr(said(), "weir.conf:2:"));
    assert_non_null(strstr(said(), "did you mean \"$host\"?"));
}

static int offer_in_route(weir_conf *c, struct conf *conf)
{
    if (conf->limit == 3) {
        weir_conf_offer_tls(c);
        weir_conf_skip_hook(c, 5);
        weir_conf_skip_hook(c, 64); /* there is no such hook */
    }
    return WEIR_CONF_OK;
}

static void a_route_speaks_for_its_site(void **state)
{
    (void)state;
    bind_all(offer_in_route);
    assert_true(b.route->offers_tls);
    assert_true(b.site->offers_tls);
    assert_false(b.top->offers_tls);
    assert_int_equal(b.route->skipped[0], 1u << 5);
    assert_int_equal(b.site->skipped[0], 0);
}

/* -- files --------------------------------------------------------------------------------------------------------- */

static const char *wanted;
static str got;
static int read_it(weir_conf *c, struct conf *conf)
{
    if (conf->limit != 2)
        return WEIR_CONF_OK;
    return weir_conf_read_file(c, str_of(wanted), &got);
}

static bool host_reads(void *arg, str path, struct arena *arena, str *content, str *why)
{
    (void)arg, (void)path;
    if (str_has_suffix(path, S("secret"))) {
        *why = S("the broker says no");
        return false;
    }
    *content = arena_str(arena, S("from the host"));
    return true;
}

static void files_are_read(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof(path), "%s/list", folder);
    FILE *out = fopen(path, "w");
    fputs("one\ntwo\n", out);
    fclose(out);
    wanted = path;
    bind_all(read_it);
    assert_int_equal(b.diags.errors, 0);
    assert_str(got, "one\ntwo\n");
    assert_int_equal(got.p[got.n], 0);

    b.host.read_file = host_reads;
    bind_all(read_it);
    assert_str(got, "from the host");
    wanted = "/x/secret";
    bind_all(read_it);
    assert_non_null(strstr(said(), "weir.conf:2:5: error: cannot read /x/secret: the broker says no\n"));
}

static void files_that_cannot_be_read(void **state)
{
    (void)state;
    char big[128];
    snprintf(big, sizeof(big), "%s/big", folder);
    FILE *out = fopen(big, "w");
    assert_int_equal(ftruncate(fileno(out), 16 * 1024 * 1024 + 1), 0);
    fclose(out);
    const char *const cases[][2] = {
        { "/none/at/all", "cannot read /none/at/all: No such file or directory" },
        { "/tmp", "cannot read /tmp: Is a directory" },
        { "/dev/zero", "cannot read /dev/zero: Invalid argument" },
        { big, "/big: File too large" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        wanted = cases[i][0];
        b.diags = (struct diags){ 0 };
        diags_init(&b.diags, b.arena);
        bind_all(read_it);
        assert_int_equal(b.diags.errors, 1);
        assert_true(str_has_suffix(b.diags.first->message, str_of(cases[i][1])));
    }
}

/* -- sinks --------------------------------------------------------------------------------------------------------- */

static weir_sink *sink;
static int log_to(weir_conf *c, struct conf *conf)
{
    if (conf->limit != 2)
        return WEIR_CONF_OK;
    sink = weir_conf_sink(c, str_of(wanted), NULL);
    return sink ? WEIR_CONF_OK : -1;
}

static void relative_logs_lie_beside_their_file(void **state)
{
    (void)state;
    char path[128];
    wanted = "access.log";
    bind_all(log_to);
    assert_int_equal(b.diags.errors, 0);
    assert_int_equal(weir_sink_write(sink, S("line\n")), 0);
    snprintf(path, sizeof(path), "%s/access.log", folder);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 5);
}

static void rehearsals_make_no_logs(void **state)
{
    (void)state;
    char path[128];
    b.host.is_rehearsal = true;
    wanted = "access.log";
    bind_all(log_to);
    assert_int_equal(b.diags.errors, 0);
    snprintf(path, sizeof(path), "%s/access.log", folder);
    assert_int_equal(access(path, F_OK), -1);
    wanted = "/none/access.log";
    bind_all(log_to);
    assert_non_null(strstr(said(), "weir.conf:2:5: error: cannot log to /none/access.log: its folder: "
                                   "No such file or directory\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        binding(mistakes_stand_where_they_were_made),
        binding(mistakes_without_a_place),
        binding(what_a_scope_is),
        binding(templates_that_do_not_compile),
        binding(a_route_speaks_for_its_site),
        binding(files_are_read),
        binding(files_that_cannot_be_read),
        binding(relative_logs_lie_beside_their_file),
        binding(rehearsals_make_no_logs),
    };
    return cmocka_run_group_tests_name("api_conf", tests, NULL, NULL);
}
