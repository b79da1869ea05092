/* SPDX-License-Identifier: BSD-2-Clause */
/* headers.c: request_header and response_header: fields set, added or removed, outer scopes first. */
#include <string.h>

#include <weir/weir.h>

enum action { SET, ADD, REMOVE };

struct rule {
    struct weir_place place;
    uint32_t action; /* enum action */
    weir_str name;
    weir_tmpl *value;    /* NULL for remove */
    bool *noted;      /* a value that HTTP does not allow was logged: once a rule is enough */
};

struct conf {
    weir_table request, response; /* of struct rule */
};

enum { ON_REQUEST, ON_RESPONSE }; /* tags of the directives, indices of the hooks */

static const struct rule *rule_at(const weir_table *rules, uint32_t i)
{
    return (const struct rule *)(const void *)((const char *)rules->base + (size_t)i * rules->stride);
}

/* RFC 9110 5.5: tab, visible characters and bytes above ASCII. The core refuses the worst, this keeps to the letter. */
static bool is_field_value(weir_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* RFC 9110 5.6.2. */
static bool is_token(weir_str s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!is_plain && (c == '\0' || !strchr(others, c)))
            return false;
    }
    return s.n != 0;
}

static bool is_name(weir_str s, const char *name)
{
    size_t n = strlen(name);

    if (s.n != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i]) != name[i])
            return false;
    return true;
}

/* Fields of the connection and of framing are weir's own to write (RFC 9110 7.6.1, RFC 9112 6). */
static bool is_weirs_own(weir_str name)
{
    static const char *const names[] = { "connection", "content-length", "keep-alive", "proxy-connection", "te",
                                         "trailer", "transfer-encoding", "upgrade", "http2-settings" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (is_name(name, names[i]))
            return true;
    return false;
}

static int apply_value(weir_req *r, uint32_t where, const struct rule *rule)
{
    weir_str value = weir_eval(r, rule->value);

    if (!is_field_value(value)) {
        if (!__atomic_exchange_n(rule->noted, true, __ATOMIC_RELAXED))
            weir_req_log(r, WEIR_LOG_WARN, "%.*s:%u: field %.*s not set: its value has control characters (told once)",
                         (int)rule->place.file.n, rule->place.file.p ? rule->place.file.p : "", rule->place.line,
                         (int)rule->name.n, rule->name.p);
        return 0;
    }
    return rule->action == ADD ? weir_field_add(r, where, rule->name, value)
                               : weir_field_set(r, where, rule->name, value);
}

static weir_verdict apply(weir_req *r, uint32_t where, const weir_table *rules)
{
    bool is_short = false;

    for (uint32_t i = 0; i < rules->count; i++) {
        const struct rule *rule = rule_at(rules, i);
        if (rule->action == REMOVE)
            weir_field_remove(r, where, rule->name);
        else if (apply_value(r, where, rule) != 0)
            is_short = true; /* the removals behind it must still happen */
    }
    return is_short ? weir_fail(r, "no memory for a field") : WEIR_NEXT;
}

static weir_verdict change_request(weir_req *r, const void *conf_, void *ctx)
{
    const struct conf *conf = conf_;

    (void)ctx;
    return apply(r, WEIR_OF_REQUEST, &conf->request);
}

static weir_verdict change_response(weir_req *r, const void *conf_, void *ctx)
{
    const struct conf *conf = conf_;

    (void)ctx;
    return apply(r, WEIR_OF_RESPONSE, &conf->response);
}

static int check_name(weir_conf *c, const struct rule *rule, uint32_t where)
{
    weir_str name = rule->name;
    int n = (int)name.n;

    if (!is_token(name))
        return weir_conf_error(c, "\"%.*s\" is no field name", n, name.p);
    if (is_weirs_own(name))
        return weir_conf_error(c, "field %.*s cannot be changed: it is of the connection, weir writes it", n, name.p);
    if (where == ON_REQUEST && rule->action != SET && is_name(name, "host"))
        return weir_conf_error(c, "field %.*s can only be set: a request has exactly one", n, name.p);
    return 0;
}

static int set_rule(weir_conf *c, const struct weir_directive *directive, void *to)
{
    struct rule *rule = to;
    weir_str text;

    if (check_name(c, rule, directive->tag) != 0)
        return -1;
    if (rule->action == REMOVE)
        return rule->value ? weir_conf_error(c, "remove takes no value") : 0;
    if (!rule->value)
        return weir_conf_error(c, "%s needs a value behind the name", rule->action == SET ? "set" : "add");
    if (weir_tmpl_constant(rule->value, &text) == 0 && !is_field_value(text))
        return weir_conf_error(c, "the value of field %.*s has control characters", (int)rule->name.n, rule->name.p);
    rule->noted = weir_conf_alloc(c, sizeof(*rule->noted));
    return rule->noted ? 0 : weir_conf_error(c, "no memory");
}

static int check(weir_conf *c, void *scope)
{
    const struct conf *conf = scope;

    if (conf->request.count == 0 && conf->response.count == 0)
        return WEIR_CONF_INACTIVE;
    if (conf->request.count == 0)
        weir_conf_skip_hook(c, ON_REQUEST);
    if (conf->response.count == 0)
        weir_conf_skip_hook(c, ON_RESPONSE);
    return WEIR_CONF_OK;
}

static const struct weir_arg rule_args[] = {
    { .name = "PLACE", .type = WEIR_TYPE_PLACE, .offset = WEIR_FIELD(struct rule, place, WEIR_C_PLACE) },
    { .name = "ACTION", .type = WEIR_TYPE_ENUM, .choices = "set|add|remove",
      .offset = WEIR_FIELD(struct rule, action, WEIR_C_ENUM) },
    { .name = "NAME", .type = WEIR_TYPE_STR, .offset = WEIR_FIELD(struct rule, name, WEIR_C_STR) },
    { .name = "VALUE", .type = WEIR_TYPE_TEMPLATE, .flags = WEIR_ARG_OPTIONAL,
      .offset = WEIR_FIELD(struct rule, value, WEIR_C_TEMPLATE) },
};

#define RULE(Name, List, Tag, Doc) \
    { .name = (Name), .doc = (Doc), .scopes = WEIR_IN_HTTP, .merge = WEIR_MERGE_APPEND, .tag = (Tag), \
      .record_size = sizeof(struct rule), .offset = offsetof(struct conf, List), .args = WEIR_TABLE(rule_args), \
      .set = set_rule }

static const struct weir_directive directives[] = {
    RULE("request_header", request, ON_REQUEST, "changes a field of the request before it goes upstream"),
    RULE("response_header", response, ON_RESPONSE, "changes a field of the response, weir's own answers included"),
};

/* A lost request field may be a lost guard: fail closed. An answer is better sent than withheld: fail open. */
static const struct weir_hook hooks[] = {
    [ON_REQUEST] = { .stage = WEIR_AT_REWRITE, .flags = WEIR_DRY_OK, .provides = "request-fields",
                     .req = change_request },
    [ON_RESPONSE] = { .stage = WEIR_AT_RSP_HEAD, .slot = WEIR_LATE, .flags = WEIR_FAIL_OPEN,
                      .provides = "response-fields", .req = change_response },
};

WEIR_MODULE(headers, .version = "1.0.0", .license = "BSD-2-Clause", .summary = "request_header and response_header",
            .conf_size = sizeof(struct conf), .directives = WEIR_TABLE(directives), .hooks = WEIR_TABLE(hooks),
            .check = check);
