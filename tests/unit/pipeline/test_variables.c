/* SPDX-License-Identifier: BSD-2-Clause */
#include "toy.h"

#include "pipeline/variables.h"

static struct toy toy;

static const struct {
    const char *name, *want; /* NULL: no value */
} values[] = {
    { "host", "a.example" },
    { "site", "a.example" },
    { "route", "/p/" },
    { "method", "GET" },
    { "uri", "/p/a?x=1&flag&x=2&Name=" },
    { "request_uri", "/p/a?x=1&flag&x=2&Name=" },
    { "path", "/p/a" },
    { "query", "x=1&flag&x=2&Name=" },
    { "scheme", "https" },
    { "protocol", "HTTP/1.1" },
    { "request_id", "id7" },
    { "client_addr", "203.0.113.9" },
    { "client_port", "5000" },
    { "peer_addr", "2001:db8::1" },
    { "server_port", "8443" },
    { "connection_requests", "3" },
    { "status", "404" },
    { "bytes_sent", "5000000000" },
    { "bytes_received", "120" },
    { "body_bytes_sent", "77" },
    { "request_time", "1.234" },
    { "upstream_addr", "10.0.0.5:80" },
    { "upstream_status", "502" },
    { "upstream_time", "0.012" },
    { "error_module", "tally" },
    { "refuse_reason", "too many" },
    { "time_iso8601", "2026-11-21T05:31:51+00:00" },
    { "time_local", "21/Nov/2026:05:31:51 +0000" },
    { "msec", "1795239111.005" },

    { "http_user_agent", "curl/8" },
    { "http_User_Agent", "curl/8" },
    { "http_accept", "a, b" },
    { "http_empty", "" },
    { "http_none", NULL },
    { "http_cookie", "a=1; b=2; a=3" },
    { "response_content_type", "text/html" },
    { "response_user_agent", NULL },
    { "cookie_a", "1" },
    { "cookie_b", "2" },
    { "cookie_A", NULL },
    { "cookie_c", NULL },
    { "arg_x", "1" },
    { "arg_flag", "" },
    { "arg_Name", "" },
    { "arg_name", NULL },
};

static int get(const char *name, str *value)
{
    str rest = STR_NONE;
    const struct variable *variable = variables_find(&toy.variables, str_of(name), &rest);
    assert_non_null(variable);
    return request_variable(&toy.r, variable, rest, value);
}

static void fill(void)
{
    struct weir_req *r = toy_request(&toy);
    static const uint8_t client[16] = { [10] = 0xff, 0xff, 203, 0, 113, 9 };
    clock_set(50000000, 1795239111005);
    r->started_us = 50000000 - 1234567;
    r->site = S("a.example");
    r->route = S("/p/");
    r->uri.query = S("x=1&flag&x=2&Name=");
    memcpy(r->client, client, 16);
    r->client_port = 5000;
    memcpy(toy.conn.peer, (const uint8_t[16]){ 0x20, 1, 0x0d, 0xb8, [15] = 1 }, 16);
    r->of_connection = 3;
    assert_true(addr_parse(S("[::]:8443"), &toy.point.addr));
    r->status = 404;
    r->bytes_sent = 5000000000;
    r->bytes_received = 120;
    r->body_sent = 77;
    r->upstream_addr = S("10.0.0.5:80");
    r->upstream_status = 502;
    r->upstream_us = 12999;
    r->error_module = S("tally");
    r->refuse_reason = "too many";
    fields_add(&r->fields, S("User-Agent"), S("curl/8"));
    fields_add(&r->fields, S("Accept"), S("a"));
    fields_add(&r->fields, S("accept"), S("b"));
    fields_add(&r->fields, S("Empty"), STR_NONE);
    fields_add(&r->fields, S("Cookie"), S("a=1; b=2"));
    fields_add(&r->fields, S("Cookie"), S("a=3"));
    fields_add(&r->rsp, S("Content-Type"), S("text/html"));
    assert_null(variables_add_builtin(&toy.variables));
}

static void builtin_values(void **state)
{
    (void)state;
    fill();
    for (size_t i = 0; i < COUNT(values); i++) {
        str value = STR_NONE;
        int rc = get(values[i].name, &value);
        assert_int_equal(rc, values[i].want ? 0 : -1);
        if (values[i].want)
            assert_str(value, values[i].want);
    }
    toy_free(&toy);
}

/* A request of which little is known: nothing is made up. */
static void values_that_are_not_there(void **state)
{
    (void)state;
    static const char *const names[] = { "host", "site", "route", "query", "status", "upstream_addr", "upstream_status",
        "upstream_time", "error_module", "refuse_reason", "client_port", "server_port", "protocol", "peer_addr" };
    toy_request(&toy);
    assert_null(variables_add_builtin(&toy.variables));
    toy.r.host = toy.r.uri.query = STR_NONE;
    toy.r.uri.has_query = false;
    toy.r.version = 0;
    toy.r.conn = NULL;
    for (size_t i = 0; i < COUNT(names); i++) {
        str value = S("untouched");
        assert_int_equal(get(names[i], &value), -1);
        assert_str(value, "untouched");
    }
    toy_free(&toy);
}

static void unix_peers(void **state)
{
    (void)state;
    str value;
    fill();
    toy.conn.is_unix = true;
    assert_int_equal(get("peer_addr", &value), 0);
    assert_str(value, "unix:");
    toy_free(&toy);
}

static void changing_values_are_asked_for_again(void **state)
{
    (void)state;
    str value;
    fill();
    get("status", &value);
    get("path", &value);
    get("request_time", &value);
    toy.r.status = 200;
    toy.r.uri_received = S("/p/a?x=1");
    toy.r.uri.path = S("/new");
    clock_set(51000000, 1795239112005);
    get("status", &value);
    assert_str(value, "200");
    get("path", &value);
    assert_str(value, "/new");
    get("request_uri", &value);
    assert_str(value, "/p/a?x=1");
    get("request_time", &value);
    assert_str(value, "2.234");
    str kept;
    get("time_iso8601", &kept);
    clock_set(60000000, 1795239122005);
    clock_iso8601();
    assert_str(kept, "2026-11-21T05:31:52+00:00"); /* not what the clock's own text says by now */
    toy_free(&toy);
}

static void in_templates(void **state)
{
    (void)state;
    struct diags diags;
    fill();
    diags_init(&diags, toy.arena);
    weir_tmpl *tmpl = template_compile(S("$client_addr \"$method ${uri}\" $status $http_none-$arg_x"), false,
                                       &toy.variables, toy.arena, &diags, (struct place){ 0 });
    assert_non_null(tmpl);
    assert_str(request_eval(&toy.r, tmpl), "203.0.113.9 \"GET /p/a?x=1&flag&x=2&Name=\" 404 -1");
    toy_free(&toy);
}

static void out_of_memory(void **state)
{
    (void)state;
    fill();
    for (size_t i = 0; i < COUNT(values); i++) {
        str value = S("");
        mem_fail_after(0);
        get(values[i].name, &value); /* a value or none, and no crash */
        mem_fail_after(-1);
        assert_true(value.n == 0 || value.p);
    }
    toy_free(&toy);
}

/* -- of modules ---------------------------------------------------------------------------------------------------- */

struct ctx {
    uint64_t seen;
};
static const struct step *called_as;
static unsigned asked;

static int get_seen(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    struct ctx *c = ctx;
    asked++;
    called_as = r->calling;
    c->seen++;
    *value = arena_printf(r->arena, "%s %llu [" STR_FMT "]", *(const char *const *)conf, (unsigned long long)c->seen,
                          STR_ARG(rest));
    return 0;
}
static int get_broken(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    (void)r, (void)conf, (void)ctx, (void)rest;
    *value = (weir_str){ NULL, 5 };
    return 0;
}

static const struct weir_api *toy_api;
static void modules_variables(void **state)
{
    (void)state;
    static const struct weir_variable variables[] = {
        { .name = "my_mod_seen", .get = get_seen },
        { .name = "my_mod_each", .get = get_seen, .flags = WEIR_VAR_VOLATILE },
        { .name = "my_mod_p_", .get = get_seen, .flags = WEIR_VAR_PREFIX },
        { .name = "my_mod_broken", .get = get_broken },
    };
    static const struct weir_module module = { .magic = WEIR_ABI_MAGIC, .size = sizeof(module), .name = "my-mod",
        .abi_minor = WEIR_ABI_MINOR, .api = &toy_api, .ctx_size = sizeof(struct ctx), .conf_size = 8,
        .variables = WEIR_TABLE(variables) };
    static const struct step other = { 0 };
    const char *conf = "conf";
    weir_mod *mod = NULL;
    str value;
    assert_null(module_register(&module, STR_NONE, &mod));
    toy_request(&toy);
    toy.confs[mod->index] = &conf;
    toy.r.calling = &other;
    assert_null(variables_add_module(&toy.variables, mod));
    assert_non_null(variables_add_module(&toy.variables, mod)); /* names are taken */

    assert_int_equal(get("my_mod_seen", &value), 0);
    assert_str(value, "conf 1 []");
    assert_int_equal(get("my_mod_seen", &value), 0); /* kept for the request */
    assert_str(value, "conf 1 []");
    assert_int_equal(get("my_mod_each", &value), 0);
    assert_int_equal(get("my_mod_each", &value), 0);
    assert_str(value, "conf 3 []");
    assert_int_equal(get("my_mod_p_some", &value), 0);
    assert_int_equal(get("my_mod_p_thing", &value), 0);
    assert_str(value, "conf 5 [thing]");
    assert_int_equal(asked, 5);
    assert_ptr_not_equal(called_as, &other);  /* as itself, inside another module's hook */
    assert_ptr_equal(toy.r.calling, &other);
    assert_int_equal(get("my_mod_broken", &value), -1);
    toy_free(&toy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtin_values),
        cmocka_unit_test(values_that_are_not_there),
        cmocka_unit_test(unix_peers),
        cmocka_unit_test(changing_values_are_asked_for_again),
        cmocka_unit_test(in_templates),
        cmocka_unit_test(out_of_memory),
        on_worker(modules_variables),
    };
    return cmocka_run_group_tests_name("variables", tests, NULL, NULL);
}
