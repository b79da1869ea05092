/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "toy.h"

#include <stdlib.h>

static void dump_scopes(struct toy *toy, struct toy_scopes *all, unsigned *next, unsigned indent, FILE *out)
{
    unsigned self = (*next)++;
    const struct statement *block = all->blocks[self];
    const struct statement *statements = block ? block->children : toy->tree.first;
    scope_dump(&toy->schema, all->scopes[self], statements, indent, out);
    while (*next < all->count && all->blocks[*next]->outer == block) {
        fprintf(out, "%*s", (int)(4 * indent), "");
        statement_print(all->blocks[*next], out);
        fprintf(out, " {\n");
        dump_scopes(toy, all, next, indent + 1, out);
        fprintf(out, "%*s}\n", (int)(4 * indent), "");
    }
}

/* The text of every scope, as `weir dump` writes it. Freed by the caller. */
static char *dump(struct toy *toy, struct toy_scopes *all)
{
    char *text = NULL;
    size_t n = 0;
    unsigned next = 0;
    FILE *out = open_memstream(&text, &n);
    dump_scopes(toy, all, &next, 0, out);
    fclose(out);
    return text;
}

static void test_text(void **state)
{
    static const char in[] = "gzip on; timeout body=120s; gzip_level 9;\n"
                             "allow 10.0.0.0/8;\n"
                             "site a.example 'b c' {\n"
                             "  gzip_level clear; gzip_min_length 2048; timeout header=1000ms; deny all;\n"
                             "  route / { respond 200 'it is $5\n'; }\n"
                             "}\n";
    static const char *const lines[] = {
        "gzip on; # toy.conf:1\n",
        "timeout body=2m; # toy.conf:1\n",
        "# timeout header=10s send=30s; # default\n",
        "# gzip_types text/html text/css; # default\n",
        "# state_dir /var/lib/toy; # default\n",
        "site a.example 'b c' {\n",
        "    gzip_level clear; # toy.conf:4\n",
        "    gzip_min_length 2k; # toy.conf:4\n",
        "    timeout header=1s; # toy.conf:4\n",
        "    # timeout body=2m; # toy.conf:1\n",
        "    # gzip on; # toy.conf:1\n",
        "    # allow 10.0.0.0/8; # toy.conf:2\n",
        "        respond 200 \"it is \\$5\\n\"; # toy.conf:5\n",
        "        # deny all; # toy.conf:4\n",
        "        # gzip_min_length 2k; # toy.conf:4\n",
    };
    static const char *const absent[] = {
        "    # gzip_level 9",
        "    # timeout header=10s",
        "    # gzip_types",
        "    # listen",
    };
    struct toy toy;
    struct toy_scopes all;
    (void)state;
    assert_true(toy_init(&toy));
    assert_non_null(toy_bind(&toy, &all, in));
    assert_int_equal(toy.diags.errors, 0);
    char *text = dump(&toy, &all);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (!strstr(text, lines[i]))
            fail_msg("no \"%s\" in\n%s", lines[i], text);
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        if (strstr(text, absent[i]))
            fail_msg("\"%s\" in\n%s", absent[i], text);
    free(text);
    toy_drop(&toy, &all);
    toy_finish(&toy);
}

/* The effective values of every scope, in words. */
static void put_table(FILE *out, weir_table table)
{
    fprintf(out, " %u:", table.count);
    for (uint32_t i = 0; i < table.count; i++)
        for (uint32_t k = 0; k < sizeof(struct weir_cidr); k++)
            fprintf(out, "%02x", ((const uint8_t *)table.base)[i * table.stride + k]);
}

static void put_template(FILE *out, const weir_tmpl *tmpl)
{
    for (uint32_t i = 0; tmpl && i < tmpl->count; i++)
        fprintf(out, " [%s" STR_FMT "]", tmpl->parts[i].variable ? "$" : "", STR_ARG(tmpl->parts[i].text));
}

static char *values(struct toy_scopes *all)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    for (unsigned i = 0; i < all->count; i++) {
        const struct server_conf *server = all->scopes[i]->confs[SERVER];
        const struct gzip_conf *gzip = all->scopes[i]->confs[GZIP];
        const struct access_conf *access = all->scopes[i]->confs[ACCESS];
        const struct limit_conf *limit = all->scopes[i]->confs[LIMIT];
        fprintf(out, "%u: %lu " STR_FMT " %lu %lu %lu %lu %d %s %lu", i, server->workers, STR_ARG(server->state_dir),
                server->max_body, server->header, server->body, server->send, server->maintenance,
                (const char *)server->proxy, server->status);
        put_template(out, server->text);
        put_table(out, server->bypass);
        put_table(out, server->trusted);
        for (uint32_t k = 0; k < server->names.count; k++)
            fprintf(out, " <" STR_FMT ">", STR_ARG(((const weir_str *)server->names.base)[k]));
        for (uint32_t k = 0; k < server->header_rules.count; k++) {
            const struct header_rule *rule = &((const struct header_rule *)server->header_rules.base)[k];
            fprintf(out, " %u " STR_FMT, rule->action, STR_ARG(rule->name));
            put_template(out, rule->value);
        }
        fprintf(out, " health=%d %d %lu %lu %u", server->health.line != 0, gzip->on, gzip->level, gzip->min_length,
                gzip->mode);
        for (uint32_t k = 0; k < access->rules.count; k++) {
            fprintf(out, " %d", ((const struct access_rule *)access->rules.base)[k].allows);
            put_table(out, ((const struct access_rule *)access->rules.base)[k].networks);
        }
        for (uint32_t k = 0; k < limit->limits.count; k++) {
            const struct limit *l = &((const struct limit *)limit->limits.base)[k];
            fprintf(out, " %lu/%lu %lu %d <" STR_FMT ">", l->rate.events, l->rate.period, l->burst, l->delay,
                    STR_ARG(l->zone));
            put_template(out, l->key);
        }
        fprintf(out, "\n");
    }
    fclose(out);
    return text;
}

static char *bind_and_dump(const char *text, char **dumped)
{
    struct toy toy;
    struct toy_scopes all;
    assert_true(toy_init(&toy));
    assert_non_null(toy_bind(&toy, &all, text));
    if (toy.diags.errors)
        fail_msg("%s\n%s", text, diags_render(&toy.diags, toy.arena).p);
    char *understood = values(&all);
    *dumped = dump(&toy, &all);
    toy_drop(&toy, &all);
    toy_finish(&toy);
    return understood;
}

static void test_what_is_dumped_is_read_back_as_the_same(void **state)
{
    static const char *const texts[] = {
        "",
        "workers 7; state_dir relative/path; max_body 1048576; timeout body=90s header=1h;",
        "state_dir 'with space/and $dollar'; names 'it' \"a \\\"b\\\" \\\\ \\$x \\t\" c=d '#e' \"clear\" f#g;",
        "state_dir \"it's/\\\\\\$ \";",
        "allow 10.0.0.0/8; deny all; site a { deny ::1; allow clear; route / { allow 1.2.3.4 ::ffff:5.6.7.8; } }",
        "trusted_proxies 10.0.0.0/8; site a { trusted_proxies 11.0.0.0/8; trusted_proxies 12.0.0.0/8; }",
        "site a { respond 200 \"x $uri\"; proxy http://x; health; route /a { respond 201 '$uri \\'; } route /b { } }",
        "site a { respond 200 'two\nlines \\$ \\\\$ \"'; } site b { respond 200 \"two\nlines \\\\$uri \\\\\\$uri\"; }",
        "rate_limit 600r/m burst=5 delay key=\"$host $uri\" zone=\"a;b\"; rate_limit 1r/h key='$lit'; site a { "
        "rate_limit 2r/s zone=x; }",
        "response_header set A \"b c\"; response_header remove D; site a { response_header add E ${host}x; } site b { "
        "gzip on; }",
        "maintenance on bypass=10.0.0.0/8,::1; site a { maintenance off; } gzip_mode small;",
        "gzip on; gzip_level 9; site a { gzip_level clear; route / { gzip clear; gzip_level 3; } }",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *first_dump, *second_dump;
        char *first = bind_and_dump(texts[i], &first_dump);
        char *second = bind_and_dump(first_dump, &second_dump);
        if (strcmp(first, second) != 0)
            fail_msg("%s\nwas dumped as\n%s\nand changed from\n%s\nto\n%s", texts[i], first_dump, first, second);
        free(first);
        free(second);
        free(first_dump);
        free(second_dump);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_what_is_dumped_is_read_back_as_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
