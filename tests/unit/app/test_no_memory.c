/* SPDX-License-Identifier: BSD-2-Clause */
/* A configuration is bound with each of its allocations failing in turn: it is refused in order, never half-bound. */
#include "from_text.h"

#include "app/house/loader.h"
#include "base/mem.h"

static const char text[] =
    "workers 2; trusted_proxies 10.0.0.0/8 ::1; timeout idle=5s; pipeline SERVE respond health; error_page 404 503 "
    "e.txt;\n"
    "include more.conf;\n"
    "upstream docs { server 127.0.0.1:1 weight=2; server unix:/x backup; keepalive 3; }\n"
    "site a.example *.a.example _ {\n"
    "    listen 127.0.0.1:9300; listen unix:a.sock;\n"
    "    maintenance off bypass=10.0.0.0/8;\n"
    "    route = /x method=GET,PUT header=X-A:b client=10.0.0.0/8 { respond 200 \"$host $uri\"; }\n"
    "    route ~ ^/[a-z]+$ { proxy docs; timeout body=1s; }\n"
    "    route /old/ { redirect 301 /new$uri; error_page 503 e.txt; }\n"
    "    route / { proxy http://127.0.0.1:2/base; }\n"
    "}\n";

/* Everything that can be seen of it from outside. */
static void describe(const struct configuration *c, char *to, size_t room)
{
    static const char *const paths[] = { "/x", "/abc", "/old/1", "/" };
    FILE *out = fmemopen(to, room, "w");
    struct asked asked;

    assert_non_null(out);
    assert_int_equal(configuration_print_dump(c, out), 0);
    fprintf(out, "%u %llu\n", c->settings.workers, (unsigned long long)c->snapshot->top_plan->core->timeout_idle);
    for (uint32_t i = 0; i < c->listen_count; i++)
        fprintf(out, "%.*s\n", STR_ARG(c->listens[i].point->key));
    for (uint32_t i = 0; i < c->file_count; i++)
        fprintf(out, "%.*s\n", STR_ARG(c->files[i].path));
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct weir_req *r = ask(&asked, c, "127.0.0.1:9300", "x.a.example", "GET", paths[i]);
        assert_true(c->snapshot->choose(c->snapshot, r));
        fprintf(out, "%s: %.*s, %.*s, %u hooks\n", paths[i], STR_ARG(r->route), STR_ARG(r->route_prefix),
                r->plan->stages[STAGE_SERVE].count);
        arena_destroy(asked.arena);
    }
    assert_int_equal(fclose(out), 0);
}

#ifdef WEIR_SANITIZED
enum { FAILURES_LEAST = 100 };
#else
enum { FAILURES_LEAST = 10 }; /* an arena takes memory for many allocations at a time */
#endif

/* Only the one allocation fails: what can do without it is as it always is, the others say so. */
static void test_one_allocation_fails(void **state)
{
    struct configuration_options options = { .path = str_of(path_in_folder("t.conf")), .is_rehearsal = true };
    static char right[16384], got[16384];
    bool hit = true;
    int64_t n = 0;

    (void)state;
    struct configuration *c = load_file("t.conf");
    assert_non_null(c->snapshot);
    describe(c, right, sizeof(right));
    configuration_free(c);
    for (; hit; n++) {
        mem_fail_once_after(n);
        c = configuration_load(&options);
        hit = mem_failures() > 0;
        mem_fail_after(-1);
        if (c && !c->snapshot && c->diags.errors == 0)
            fail_msg("allocation %lld failed without a word", (long long)n);
        if (c && c->snapshot) {
            describe(c, got, sizeof(got));
            if (strcmp(got, right) != 0)
                fail_msg("without allocation %lld:\n%s", (long long)n, got);
        }
        configuration_free(c);
    }
    assert_true(n > FAILURES_LEAST);
}

/* From some point on there is no memory at all, for messages neither: what comes out all the same is right. */
static void test_memory_ends(void **state)
{
    struct configuration_options options = { .path = str_of(path_in_folder("t.conf")), .is_rehearsal = true };
    static char right[16384], got[16384];
    bool hit = true;

    (void)state;
    struct configuration *c = load_file("t.conf");
    describe(c, right, sizeof(right));
    configuration_free(c);
    for (int64_t n = 0; hit; n++) {
        mem_fail_after(n);
        c = configuration_load(&options);
        hit = mem_failures() > 0;
        mem_fail_after(-1);
        if (c && c->snapshot) {
            describe(c, got, sizeof(got));
            assert_string_equal(got, right);
        }
        configuration_free(c);
    }
}

static int begin(void **state)
{
    loader_register_builtin();
    if (make_folder(state) != 0)
        return -1;
    write_file("t.conf", text);
    write_file("more.conf", "site b.example { health; }\n");
    write_file("e.txt", "sorry");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_allocation_fails),
        cmocka_unit_test(test_memory_ends),
    };
    return cmocka_run_group_tests(tests, begin, remove_folder);
}
