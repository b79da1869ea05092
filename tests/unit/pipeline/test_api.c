/* SPDX-License-Identifier: BSD-2-Clause */
#include <weir/weir.h> /* before cmocka, which has a macro fail() */

#include "toy.h"

#include "pipeline/module.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const struct weir_api *weir_api_ = &module_api; /* as a module sees it */

static struct toy toy;
static weir_req *r;
static int up(void **state)
{
    (void)state;
    r = toy_request(&toy);
    return 0;
}
static int down(void **state)
{
    (void)state;
    toy_free(&toy);
    return 0;
}
#define asking(test) cmocka_unit_test_setup_teardown(test, up, down)

/* -- the table ----------------------------------------------------------------------------------------------------- */

static void every_entry_is_there(void **state)
{
    (void)state;
    const void *const *entries = (const void *const *)(const void *)&module_api;
    assert_int_equal(module_api.size, sizeof(module_api));
    for (size_t i = 1; i < sizeof(module_api) / sizeof(void *); i++) /* the first one is size and version */
        assert_non_null(entries[i]);
}

/* -- parts --------------------------------------------------------------------------------------------------------- */

static void parts(void **state)
{
    (void)state;
    r->site = S("a.example");
    r->route = S("= /p");
    static const char *const want[] = { "GET", "/p/a", "x=1", "a.example", "https", "a.example", "= /p", "id7",
                                        "/p/a?x=1" };
    for (uint32_t i = 0; i < COUNT(want); i++)
        assert_str(weir_part(r, i), want[i]);
    assert_int_equal(weir_part(r, 99).n, 0);
    toy.r.uri.has_query = false;
    assert_str(weir_part(r, WEIR_PART_URI), "/p/a");
}

static const struct {
    uint32_t part;
    const char *value;
    const char *want; /* NULL: refused */
} settings[] = {
    { WEIR_PART_METHOD, "PURGE", "PURGE" },
    { WEIR_PART_METHOD, "", NULL },
    { WEIR_PART_METHOD, "GET /", NULL },
    { WEIR_PART_METHOD, "G\r\nT", NULL },
    { WEIR_PART_PATH, "/new", "/new" },
    { WEIR_PART_PATH, "/a/../b/./c", "/b/c" },
    { WEIR_PART_PATH, "/%41%2f b", NULL }, /* a space has to be written as %20 */
    { WEIR_PART_PATH, "/%41%2f", "/A%2F" },
    { WEIR_PART_PATH, "/a?b", "/a%3Fb" }, /* no query slips in */
    { WEIR_PART_PATH, "relative", NULL },
    { WEIR_PART_PATH, "/%zz", NULL },
    { WEIR_PART_PATH, "/a\nb", NULL },
    { WEIR_PART_QUERY, "a=b&c", "a=b&c" },
    { WEIR_PART_QUERY, "", "" },
    { WEIR_PART_QUERY, "a b", NULL },
    { WEIR_PART_QUERY, "a#b", NULL },
    { WEIR_PART_HOST, "b.example", NULL },
    { WEIR_PART_SITE, "b.example", NULL },
    { 99, "x", NULL },
};

static void parts_are_set_in_normal_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(settings); i++) {
        char room[64];
        str before = weir_part(r, settings[i].part);
        str value = { room, strlen(settings[i].value) };
        memcpy(room, settings[i].value, value.n + 1);
        int rc = weir_set_part(r, settings[i].part, value);
        memset(room, '!', sizeof(room)); /* it was copied */
        assert_int_equal(rc, settings[i].want ? 0 : -1);
        if (settings[i].want)
            assert_str(weir_part(r, settings[i].part), settings[i].want);
        else
            assert_true(str_equal(weir_part(r, settings[i].part), before));
    }
    assert_str(toy.r.uri_received, "/p/a?x=1"); /* for $request_uri, however often it was changed */
    assert_false(toy.r.uri.has_query);
    assert_str(weir_part(r, WEIR_PART_URI), "/a%3Fb");
}

static void folded_slashes_are_what_routes_see(void **state)
{
    (void)state;
    assert_int_equal(weir_set_part(r, WEIR_PART_PATH, S("/a//b")), 0);
    assert_str(toy.r.uri.path, "/a//b");
    assert_str(toy.r.uri.match, "/a/b");
}

static void parts_are_set_before_the_upstream_only(void **state)
{
    (void)state;
    static const struct {
        enum request_phase phase;
        enum stage stage;
        int rc;
    } cases[] = {
        { PHASE_HOOKS, STAGE_IDENTIFY, 0 },  { PHASE_HOOKS, STAGE_SERVE, 0 },        { PHASE_HOOKS, STAGE_ACCEPT, -1 },
        { PHASE_ORIGIN, STAGE_UP_HEAD, -1 }, { PHASE_RSP_HOOKS, STAGE_RSP_HEAD, -1 }, { PHASE_SENT, STAGE_LOG, -1 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        r->phase = cases[i].phase;
        r->stage = cases[i].stage;
        assert_int_equal(weir_set_part(r, WEIR_PART_PATH, S("/x")), cases[i].rc);
    }
}

/* -- fields -------------------------------------------------------------------------------------------------------- */

static void fields_are_checked_and_copied(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        int rc;
    } cases[] = {
        { "X-A", "plain", 0 },   { "X-A", "", 0 },          { "X-A", "with\ttab", 0 }, { "X-A", "a\r\nb", -1 },
        { "X-A", "a\nb", -1 },   { "X A", "x", -1 },        { "", "x", -1 },           { "X:A", "x", -1 },
        { "X-A", "a\x01", -1 },  { "x-a", "\xc3\xa4", 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char name[16], value[16];
        snprintf(name, sizeof(name), "%s", cases[i].name);
        snprintf(value, sizeof(value), "%s", cases[i].value);
        str before = weir_req_get(r, S("X-A"));
        assert_int_equal(weir_req_set(r, str_of(name), str_of(value)), cases[i].rc);
        assert_int_equal(weir_rsp_set(r, str_of(name), str_of(value)), cases[i].rc);
        memset(name, '!', sizeof(name));
        memset(value, '!', sizeof(value));
        str now = weir_req_get(r, S("x-A"));
        if (cases[i].rc == 0)
            assert_str(now, cases[i].value);
        else
            assert_true(str_equal(now, before));
    }
    str long_name = { calloc(1, 300), 257 };
    memset((char *)(uintptr_t)long_name.p, 'a', 257);
    assert_int_equal(weir_req_set(r, long_name, S("x")), -1);
    free((void *)(uintptr_t)long_name.p);
}

static void fields_in_their_order(void **state)
{
    (void)state;
    assert_int_equal(weir_field_add(r, WEIR_OF_RESPONSE, S("Set-Cookie"), S("a=1")), 0);
    assert_int_equal(weir_field_add(r, WEIR_OF_RESPONSE, S("Vary"), S("Accept")), 0);
    assert_int_equal(weir_field_add(r, WEIR_OF_RESPONSE, S("set-cookie"), S("b=2")), 0);
    char all[128] = "";
    uint32_t cursor = 0;
    str name, value;
    while (weir_field_next(r, WEIR_OF_RESPONSE, &cursor, &name, &value))
        snprintf(all + strlen(all), sizeof(all) - strlen(all), STR_FMT "=" STR_FMT ";", STR_ARG(name), STR_ARG(value));
    assert_string_equal(all, "Set-Cookie=a=1;Vary=Accept;set-cookie=b=2;");
    assert_str(weir_rsp_get(r, S("SET-COOKIE")), "a=1");
    assert_int_equal(weir_field_remove(r, WEIR_OF_RESPONSE, S("Set-cookie")), 2);
    assert_null(weir_rsp_get(r, S("Set-Cookie")).p);
    assert_int_equal(weir_field_remove(r, WEIR_OF_RESPONSE, S("Set-cookie")), 0);
    assert_null(weir_req_get(r, S("Vary")).p); /* the request has none of it */
    assert_int_equal(weir_rsp_set(r, S("Vary"), S("")), 0);
    assert_non_null(weir_rsp_get(r, S("Vary")).p); /* empty is not absent */
}

static void when_fields_may_change(void **state)
{
    (void)state;
    assert_int_equal(weir_field_set(r, WEIR_OF_UPSTREAM, S("A"), S("b")), -1); /* not at UP_HEAD */
    assert_int_equal(weir_field_set(r, 99, S("A"), S("b")), -1);
    r->up_head_open = true;
    assert_int_equal(weir_field_set(r, WEIR_OF_UPSTREAM, S("A"), S("b")), 0);
    assert_str(toy.r.up_fields.items[0].value, "b");
    assert_int_equal(toy.r.fields.count, 0);
    assert_int_equal(weir_rsp_set(r, S("A"), S("b")), 0);
    r->head_sent = true;
    assert_int_equal(weir_rsp_set(r, S("A"), S("c")), -1);
    assert_int_equal(weir_req_set(r, S("A"), S("c")), 0);
    r->stage = STAGE_LOG;
    assert_int_equal(weir_req_set(r, S("A"), S("d")), -1);
    assert_int_equal(weir_field_remove(r, WEIR_OF_REQUEST, S("A")), 0);
    assert_str(weir_req_get(r, S("A")), "c");
    assert_str(weir_rsp_get(r, S("A")), "b");
}

/* -- responses ----------------------------------------------------------------------------------------------------- */

static void replies(void **state)
{
    (void)state;
    static const struct {
        uint32_t status;
        weir_verdict reply, refuse, redirect;
    } cases[] = {
        { 0, WEIR_FAIL, WEIR_FAIL, WEIR_FAIL },     { 101, WEIR_FAIL, WEIR_FAIL, WEIR_FAIL },
        { 199, WEIR_FAIL, WEIR_FAIL, WEIR_FAIL },   { 200, WEIR_REPLY, WEIR_FAIL, WEIR_FAIL },
        { 301, WEIR_REPLY, WEIR_FAIL, WEIR_REPLY }, { 304, WEIR_REPLY, WEIR_FAIL, WEIR_FAIL },
        { 308, WEIR_REPLY, WEIR_FAIL, WEIR_REPLY }, { 429, WEIR_REPLY, WEIR_REPLY, WEIR_FAIL },
        { 599, WEIR_REPLY, WEIR_REPLY, WEIR_FAIL }, { 600, WEIR_FAIL, WEIR_FAIL, WEIR_FAIL },
        { UINT32_MAX, WEIR_FAIL, WEIR_FAIL, WEIR_FAIL },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[] = "slow down\n", place[] = "/there";
        assert_int_equal(weir_reply(r, cases[i].status, str_of(body)), cases[i].reply);
        if (cases[i].reply == WEIR_REPLY) {
            char copy[16] = "";
            memset(body, '!', sizeof(body));
            assert_int_equal(weir_status(r), cases[i].status);
            chain_copy_out(&r->reply, copy, sizeof(copy));
            assert_string_equal(copy, "slow down\n");
        }
        assert_int_equal(weir_redirect(r, cases[i].status, str_of(place)), cases[i].redirect);
        if (cases[i].redirect == WEIR_REPLY) {
            memset(place, '!', sizeof(place));
            assert_str(weir_rsp_get(r, S("Location")), "/there");
        }
        assert_int_equal(weir_refuse(r, cases[i].status, "because"), cases[i].refuse);
        if (cases[i].refuse == WEIR_REPLY)
            assert_string_equal(r->refuse_reason, "because");
    }
    assert_int_equal(weir_redirect(r, 302, S("/a\r\nSet-Cookie: b")), WEIR_FAIL);
    assert_int_equal(weir_redirect(r, 302, STR_NONE), WEIR_FAIL);
}

static void statuses_change_at_rsp_head(void **state)
{
    (void)state;
    static const struct {
        enum stage stage;
        int was;
        uint32_t status;
        int rc;
    } cases[] = {
        { STAGE_RSP_HEAD, 200, 404, 0 },    { STAGE_GUARD, 200, 404, -1 },    { STAGE_LOG, 200, 404, -1 },
        { STAGE_RSP_HEAD, 200, 600, -1 },   { STAGE_RSP_HEAD, 200, 101, -1 }, { STAGE_RSP_HEAD, 101, 200, -1 },
        { STAGE_RSP_HEAD, 200, 99, -1 },    { STAGE_RSP_HEAD, 0, 200, -1 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        r->stage = cases[i].stage;
        r->status = cases[i].was;
        assert_int_equal(weir_set_status(r, cases[i].status), cases[i].rc);
        assert_int_equal(weir_status(r), cases[i].rc == 0 ? cases[i].status : (uint32_t)cases[i].was);
    }
    r->stage = STAGE_RSP_HEAD;
    r->status = 200;
    weir_set_status(r, 404);
    assert_str(toy.r.reason, "Not Found");
    r->head_sent = true;
    assert_int_equal(weir_set_status(r, 200), -1);
}

static void failures_name_the_module(void **state)
{
    (void)state;
    weir_mod mod = toy_mod("tally", 0, NULL, 0);
    const struct step step = { .mod = &mod };
    r->calling = &step;
    assert_int_equal(weir_fail(r, "table of %d unusable", 7), WEIR_FAIL);
    assert_str(toy.r.error_text, "table of 7 unusable");
    assert_str(toy.r.error_module, "tally");
}

static void figures(void **state)
{
    (void)state;
    r->bytes_sent = 1;
    r->bytes_received = 2;
    r->body_sent = 3;
    clock_set(10000000, 0);
    r->started_us = 9999000;
    assert_int_equal(weir_number(r, WEIR_NUM_BYTES_SENT), 1);
    assert_int_equal(weir_number(r, WEIR_NUM_BYTES_RECEIVED), 2);
    assert_int_equal(weir_number(r, WEIR_NUM_BODY_SENT), 3);
    assert_int_equal(weir_number(r, WEIR_NUM_REQUEST_US), 1000);
    assert_int_equal(weir_number(r, WEIR_NUM_HTTP_VERSION), 11);
    assert_int_equal(weir_number(r, WEIR_NUM_RSP_LENGTH), 0);
    r->rsp_body = BODY_LENGTH;
    r->rsp_length = 5000000000;
    assert_true(weir_number(r, WEIR_NUM_RSP_LENGTH) == 5000000000);
    r->rsp_body = BODY_UNTIL_CLOSE;
    assert_true(weir_number(r, WEIR_NUM_RSP_LENGTH) == UINT64_MAX);
    assert_int_equal(weir_number(r, 99), 0);
}

static unsigned ended;
static void on_end(void *arg)
{
    ended = ended * 10 + (unsigned)(uintptr_t)arg;
}

static void memory_of_the_request(void **state)
{
    (void)state;
    char *p = weir_alloc(r, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    assert_str(weir_printf(r, "%d-%s", 5, "x"), "5-x");
    ended = 0;
    assert_true(weir_on_end(r, on_end, (void *)1));
    assert_true(weir_on_end(r, on_end, (void *)2));
    arena_reset(r->arena);
    assert_int_equal(ended, 21); /* last registered first */
    toy_free(&toy);
    r = toy_request(&toy);
}

static void dry_runs_leave_nothing(void **state)
{
    (void)state;
    assert_false(weir_is_dry(r));
    r->is_dry = true;
    assert_true(weir_is_dry(r));
    weir_token token = weir_suspend(r, 100, WEIR_FAIL);
    assert_int_equal(token.id, 0);
    assert_null(r->suspension);
    assert_null(weir_timer_start(r, 1, NULL, NULL));
    assert_int_equal(weir_job(r, &(struct weir_job_calls){ 0 }, NULL), -1);
}

/* -- bodies -------------------------------------------------------------------------------------------------------- */

static weir_chain *handle(struct chain *chain)
{
    return (weir_chain *)chain;
}

static void output_within_the_credit(void **state)
{
    (void)state;
    static char big[BODY_HOOK_ROOM + 1000];
    struct chain out;
    struct weir_flow flow = { .out = &out };
    chain_init(&out);
    memset(big, 'x', sizeof(big));
    assert_int_equal(weir_room(&flow), BODY_HOOK_ROOM);
    assert_int_equal(weir_put(handle(&out), big, 1000), 1000);
    assert_int_equal(weir_room(&flow), BODY_HOOK_ROOM - 1000);
    assert_int_equal(weir_put(handle(&out), big, sizeof(big)), BODY_HOOK_ROOM - 1000); /* as much as fits */
    assert_int_equal(out.n, BODY_HOOK_ROOM);
    assert_int_equal(weir_room(&flow), 0);
    assert_null(weir_reserve(handle(&out), 1).p);
    chain_eat(&out, 100);
    weir_span room = weir_reserve(handle(&out), 100);
    assert_int_equal(room.n, 100);
    assert_null(weir_reserve(handle(&out), 101).p); /* less credit than asked for */
    chain_clear(&out);
    assert_null(weir_reserve(handle(&out), 4097).p);
    assert_true(weir_reserve(handle(&out), 4096).n >= 4096);
    assert_int_equal(out.n, 0); /* nothing was committed */
    chain_clear(&out);
}

static void passing_within_the_credit(void **state)
{
    (void)state;
    static char big[BODY_HOOK_ROOM * 2];
    struct chain in, out;
    chain_init(&in);
    chain_init(&out);
    chain_append_static(&in, big, sizeof(big));
    assert_int_equal(weir_pass(handle(&in), handle(&out), 10), 10);
    assert_int_equal(weir_pass(handle(&in), handle(&out), UINT64_MAX), BODY_HOOK_ROOM - 10);
    assert_int_equal(weir_pass(handle(&in), handle(&out), 1), 0);
    assert_int_equal(weir_size(handle(&in)), BODY_HOOK_ROOM);
    assert_int_equal(weir_peek(handle(&in)).n, BODY_HOOK_ROOM);
    weir_eat(handle(&in), UINT64_MAX); /* no further than its end */
    assert_int_equal(weir_size(handle(&in)), 0);
    assert_int_equal(weir_peek(handle(&in)).n, 0);
    chain_clear(&out);
}

static void files_can_be_peeked(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    fputs("content of a file", file);
    fflush(file);
    struct chain_file *shared = chain_file_create(dup(fileno(file)));
    struct chain in;
    chain_init(&in);
    chain_append_file(&in, shared, 8, 9);
    chain_file_unref(shared);
    assert_str(weir_peek(handle(&in)), "of a file");
    assert_int_equal(weir_size(handle(&in)), 9);
    weir_eat(handle(&in), 5);
    assert_str(weir_peek(handle(&in)), "file");
    chain_clear(&in);
    fclose(file);
}

static void wishes_of_a_hook(void **state)
{
    (void)state;
    struct weir_flow flow = { .r = r };
    weir_flow_want(&flow, 5, UINT64_MAX);
    assert_int_equal(flow.want_in, 5);
    assert_int_equal(flow.want_room, BODY_HOOK_ROOM); /* more would never come */
    assert_ptr_equal(weir_flow_req(&flow), r);
    weir_want_body(r, 9000);
    assert_int_equal(r->wait_body, 9000);
    assert_int_equal(weir_engage(r, WEIR_AT_GUARD), -1);
    assert_int_equal(weir_engage(r, 12345), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_is_there),
        asking(parts),
        asking(parts_are_set_in_normal_form),
        asking(folded_slashes_are_what_routes_see),
        asking(parts_are_set_before_the_upstream_only),
        asking(fields_are_checked_and_copied),
        asking(fields_in_their_order),
        asking(when_fields_may_change),
        asking(replies),
        asking(statuses_change_at_rsp_head),
        asking(failures_name_the_module),
        asking(figures),
        asking(memory_of_the_request),
        asking(dry_runs_leave_nothing),
        asking(output_within_the_credit),
        asking(passing_within_the_credit),
        asking(files_can_be_peeked),
        asking(wishes_of_a_hook),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
