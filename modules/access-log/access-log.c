/* SPDX-License-Identifier: BSD-2-Clause */
/* access-log.c: one line per request, in the stage LOG, to as many places as a scope names. */
#include <stdlib.h>
#include <string.h>

#include "line.h"

enum kind { COMBINED, JSON, TEMPLATE, OFF };

struct output {
    struct weir_place place;
    weir_str target;
    weir_tmpl *format;
    uint64_t rotate, keep, buffer;
    uint32_t kind; /* enum kind */
    weir_sink *sink;
    const struct known_parts *parts; /* of combined and json */
};

/* What the core always knows, compiled once a statement; the rest is asked for by name: its owner may not be loaded. */
struct known_parts {
    weir_tmpl *client, *time_local, *time_iso;
};

struct conf {
    weir_table outputs; /* of struct output */
};

static weir_mod *self;

static weir_str variable(weir_req *r, weir_str name)
{
    weir_str value;

    return weir_variable(r, name, &value) == 0 ? value : (weir_str){ NULL, 0 };
}

static const char *protocol_name(weir_req *r)
{
    switch (weir_number(r, WEIR_NUM_HTTP_VERSION)) {
    case 10: return "HTTP/1.0";
    case 11: return "HTTP/1.1";
    case 20: return "HTTP/2.0";
    case 30: return "HTTP/3.0";
    default: return "";
    }
}

static weir_str text_of(const char *text)
{
    return (weir_str){ text, strlen(text) };
}

/* -- combined: what Apache's log readers expect -------------------------------------------------------------------- */

/* A head that could not be read has no method; "-" stands for its line. */
static void combined_request(struct line *line, weir_req *r)
{
    if (weir_method(r).n == 0) {
        line_plain(line, "-");
        return;
    }
    line_quoted(line, weir_method(r));
    line_plain(line, " ");
    line_quoted(line, weir_part(r, WEIR_PART_URI));
    line_plain(line, " ");
    line_plain(line, protocol_name(r));
}

static void combined_number(struct line *line, uint64_t number)
{
    if (number)
        line_number(line, number);
    else
        line_plain(line, "-");
}

static void write_combined(struct line *line, weir_req *r, const struct known_parts *parts)
{
    line_quoted(line, weir_eval(r, parts->client));
    line_plain(line, " - ");
    line_quoted(line, variable(r, WEIR_S("auth_user")));
    line_plain(line, " [");
    line_quoted(line, weir_eval(r, parts->time_local));
    line_plain(line, "] \"");
    combined_request(line, r);
    line_plain(line, "\" ");
    combined_number(line, weir_status(r));
    line_plain(line, " ");
    combined_number(line, weir_number(r, WEIR_NUM_BODY_SENT));
    line_plain(line, " \"");
    line_quoted(line, weir_req_get(r, WEIR_S("Referer")));
    line_plain(line, "\" \"");
    line_quoted(line, weir_req_get(r, WEIR_S("User-Agent")));
    line_plain(line, "\"");
}

/* -- json: fixed keys, null for what there is not ------------------------------------------------------------------ */

static void json_text(struct line *line, const char *key, weir_str value)
{
    line_plain(line, key);
    line_json(line, value);
}

static void json_number(struct line *line, const char *key, uint64_t number)
{
    line_plain(line, key);
    line_number(line, number);
}

/* "0.012" is a number; "0.001, 0.012" (two tries) stays text, and so does what JSON would not take. */
static bool is_json_number(weir_str s)
{
    size_t i = 0, whole;

    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    whole = i;
    if (whole == 0 || whole > 15 || (whole > 1 && s.p[0] == '0'))
        return false;
    if (i == s.n)
        return true;
    if (s.p[i++] != '.')
        return false;
    for (whole = i; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
        ;
    return i == s.n && i > whole && i - whole <= 15;
}

static void json_maybe_number(struct line *line, const char *key, weir_str value)
{
    char number[32];

    if (!is_json_number(value)) {
        json_text(line, key, value);
        return;
    }
    memcpy(number, value.p, value.n);
    number[value.n] = '\0';
    line_plain(line, key);
    line_plain(line, number);
}

static void write_json(struct line *line, weir_req *r, const struct known_parts *parts)
{
    json_text(line, "{\"time\":", weir_eval(r, parts->time_iso));
    json_text(line, ",\"id\":", weir_part(r, WEIR_PART_ID));
    json_text(line, ",\"client\":", weir_eval(r, parts->client));
    json_text(line, ",\"method\":", weir_method(r));
    json_text(line, ",\"host\":", weir_host(r));
    json_text(line, ",\"uri\":", weir_part(r, WEIR_PART_URI));
    json_text(line, ",\"protocol\":", text_of(protocol_name(r)));
    json_number(line, ",\"status\":", weir_status(r));
    json_number(line, ",\"bytes\":", weir_number(r, WEIR_NUM_BYTES_SENT));
    line_plain(line, ",\"duration_ms\":");
    line_thousandths(line, weir_number(r, WEIR_NUM_REQUEST_US));
    json_text(line, ",\"upstream\":", variable(r, WEIR_S("upstream_addr")));
    json_maybe_number(line, ",\"upstream_status\":", variable(r, WEIR_S("upstream_status")));
    json_maybe_number(line, ",\"upstream_time\":", variable(r, WEIR_S("upstream_time")));
    json_text(line, ",\"site\":", weir_part(r, WEIR_PART_SITE));
    json_text(line, ",\"referer\":", weir_req_get(r, WEIR_S("Referer")));
    json_text(line, ",\"user_agent\":", weir_req_get(r, WEIR_S("User-Agent")));
    json_text(line, ",\"tls\":", variable(r, WEIR_S("tls_protocol")));
    json_text(line, ",\"refuse_reason\":", variable(r, WEIR_S("refuse_reason")));
    json_text(line, ",\"error_module\":", variable(r, WEIR_S("error_module")));
    line_plain(line, "}");
}

/* -- the hook ------------------------------------------------------------------------------------------------------ */

static weir_verdict record(weir_req *r, const void *conf_, void *ctx)
{
    const struct conf *conf = conf_;
    const char *at = conf->outputs.base;
    struct line *line = weir_thread_slot(self);

    (void)ctx;
    if (!line)
        return weir_fail(r, "no line buffer on this thread");
    for (uint32_t i = 0; i < conf->outputs.count; i++, at += conf->outputs.stride) {
        const struct output *output = (const struct output *)(const void *)at;
        line_begin(line);
        switch (output->kind) {
        case COMBINED: write_combined(line, r, output->parts); break;
        case JSON: write_json(line, r, output->parts); break;
        default: line_template(line, weir_eval(r, output->format)); break;
        }
        weir_sink_write(output->sink, line_end(line)); /* a lost line is counted by weir */
    }
    return WEIR_NEXT;
}

/* -- configuration ------------------------------------------------------------------------------------------------- */

static bool str_is(weir_str s, const char *word)
{
    return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static bool is_stream(weir_str target)
{
    return str_is(target, "stdout") || str_is(target, "stderr") || str_is(target, "syslog");
}

/* The target is a word or a path, so its type cannot be PATH; relative ones are taken from the file that names them. */
static int resolve_target(weir_conf *c, struct output *output)
{
    weir_str file = output->place.file, target = output->target;
    char folder[4096], *absolute;
    size_t n = file.n;

    if (is_stream(target) || target.p[0] == '/')
        return 0;
    while (n && file.p[n - 1] != '/')
        n--;
    if (n >= sizeof(folder))
        return weir_conf_error(c, "the name of the file is too long");
    if (n)
        memcpy(folder, file.p, n);
    else
        folder[n++] = '.';
    folder[n] = '\0';
    if (!(absolute = realpath(folder, NULL)))
        return weir_conf_error(c, "the folder of %.*s cannot be resolved", (int)target.n, target.p);

    size_t length = strlen(absolute);
    char *path = weir_conf_alloc(c, length + 1 + target.n + 1);
    if (path) {
        memcpy(path, absolute, length);
        path[length] = '/';
        memcpy(path + length + 1, target.p, target.n);
        output->target = (weir_str){ path, length + 1 + target.n };
    }
    free(absolute);
    return path ? 0 : weir_conf_error(c, "no memory");
}

static int compile_parts(weir_conf *c, struct output *output)
{
    struct known_parts *parts = weir_conf_alloc(c, sizeof(*parts));

    if (!parts)
        return weir_conf_error(c, "no memory");
    parts->client = weir_conf_template(c, WEIR_S("$client_addr"));
    parts->time_local = weir_conf_template(c, WEIR_S("$time_local"));
    parts->time_iso = weir_conf_template(c, WEIR_S("$time_iso8601"));
    output->parts = parts;
    return parts->client && parts->time_local && parts->time_iso ? 0 : -1;
}

/* A format without a variable that is no known word is most likely a misspelt one: every line would be the same. */
static int choose_format(weir_conf *c, struct output *output)
{
    weir_str word;

    if (weir_tmpl_constant(output->format, &word) != 0) {
        output->kind = TEMPLATE;
        return 0;
    }
    if (!str_is(word, "combined") && !str_is(word, "json"))
        return weir_conf_error(c, "\"%.*s\" is no format: combined, json, or a template that names a variable",
                               (int)word.n, word.n ? word.p : "");
    output->kind = str_is(word, "json") ? JSON : COMBINED;
    return compile_parts(c, output);
}

static int set_output(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct output *output = to;

    (void)directive;
    if (output->target.n == 0)
        return weir_conf_error(c, "the path is empty");
    if (str_is(output->target, "off")) {
        output->kind = OFF;
        return 0;
    }
    if (choose_format(c, output) != 0 || resolve_target(c, output) != 0)
        return -1;

    bool is_file = !is_stream(output->target);
    struct weir_sink_options options = { is_file ? output->rotate : 0, is_file ? output->keep : 0, output->buffer };
    output->sink = weir_conf_sink(c, output->target, &options);
    return output->sink ? 0 : -1; /* reported */
}

static int check(weir_conf *c, void *scope)
{
    const struct conf *conf = scope;
    const char *at = conf->outputs.base;

    for (uint32_t i = 0; i < conf->outputs.count; i++, at += conf->outputs.stride) {
        const struct output *output = (const struct output *)(const void *)at;
        if (output->kind == OFF && conf->outputs.count > 1)
            return weir_conf_error_at(c, &output->place, "off stands beside another access_log of the same scope");
        if (output->kind == OFF)
            return WEIR_CONF_INACTIVE;
    }
    return conf->outputs.count ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static int load(weir_mod *mod)
{
    self = mod;
    return 0;
}

static const struct weir_arg output_args[] = {
    { .name = "PLACE", .type = WEIR_TYPE_PLACE, .offset = WEIR_FIELD(struct output, place, WEIR_C_PLACE) },
    { .name = "TARGET", .type = WEIR_TYPE_STR, .offset = WEIR_FIELD(struct output, target, WEIR_C_STR) },
    { .name = "FORMAT", .type = WEIR_TYPE_TEMPLATE, .flags = WEIR_ARG_OPTIONAL, .fallback = "combined",
      .offset = WEIR_FIELD(struct output, format, WEIR_C_TEMPLATE) },
    { .name = "rotate", .type = WEIR_TYPE_SIZE, .flags = WEIR_ARG_OPTION, .fallback = "100m",
      .offset = WEIR_FIELD(struct output, rotate, WEIR_C_SIZE) },
    { .name = "keep", .type = WEIR_TYPE_UINT, .flags = WEIR_ARG_OPTION, .fallback = "7", .max = 1000,
      .offset = WEIR_FIELD(struct output, keep, WEIR_C_UINT) },
    { .name = "buffer", .type = WEIR_TYPE_SIZE, .flags = WEIR_ARG_OPTION, .fallback = "64k", .max = 16u << 20,
      .offset = WEIR_FIELD(struct output, buffer, WEIR_C_SIZE) },
};

static const struct weir_directive directives[] = {
    { .name = "access_log", .doc = "writes a line per request to a file, stdout, stderr or syslog; off: none",
      .scopes = WEIR_IN_HTTP, .merge = WEIR_MERGE_REPLACE, .record_size = sizeof(struct output),
      .offset = offsetof(struct conf, outputs), .args = WEIR_TABLE(output_args), .set = set_output },
};

static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_LOG, .flags = WEIR_FAIL_OPEN, .provides = "access-log", .req = record },
};

WEIR_MODULE(access-log, .version = "1.0.0", .license = "BSD-2-Clause", .summary = "one line per request",
            .conf_size = sizeof(struct conf), .thread_size = sizeof(struct line), .directives = WEIR_TABLE(directives),
            .hooks = WEIR_TABLE(hooks), .load = load, .check = check);
