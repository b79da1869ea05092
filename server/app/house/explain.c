/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/house/explain.h"

#include "app/house/answer_words.h"
#include "app/house/loading.h"
#include "base/mem.h"
#include "pipeline/dry_run.h"
#include "pipeline/session.h"
#include "upstream/version.h"

struct explaining {
    const struct explain_question *question;
    struct explanation *e;
    struct arena *arena;
    const struct snapshot *snapshot;
    const struct house *house;
    const struct listen_use *use;
    struct weir_req *r;
    bool is_https;
    str host; /* lower case, without port */
    uint16_t port;
    str authority, target;
};

/* -- steps --------------------------------------------------------------------------------------------------------- */

static void add_step(struct explaining *x, struct explain_step step, struct place place)
{
    struct explain_step *slot = vec_push(x->arena, &x->e->steps, sizeof(*slot));

    if (!slot) {
        x->e->no_memory = true;
        return;
    }
    *slot = step;
    slot->module = step.module.n ? arena_str(x->arena, step.module) : STR_NONE;
    slot->file = place.file.n ? arena_str(x->arena, place.file) : STR_NONE;
    slot->line = place.line;
    if (!slot->verdict)
        slot->verdict = "?";
}

__attribute__((format(printf, 5, 6))) static void say(struct explaining *x, const char *stage, const char *verdict,
                                                      struct place place, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_step(x, (struct explain_step){ .stage = stage, .verdict = verdict, .reason = arena_vprintf(x->arena, fmt, ap) },
             place);
    va_end(ap);
}

static void conclude(struct explaining *x, const char *outcome, int status, const char *reason)
{
    x->e->outcome = outcome;
    x->e->status = status;
    x->e->reason = reason ? arena_str(x->arena, str_of(reason)) : STR_NONE;
}

/* -- the question -------------------------------------------------------------------------------------------------- */

bool explain_ask(struct explain_question *question, str name, str value)
{
    str *one = str_equal(name, S("method")) ? &question->method : str_equal(name, S("url")) ? &question->url
             : str_equal(name, S("client")) ? &question->client : NULL;

    if (!one && str_equal(name, S("header")) && question->header_count < EXPLAIN_HEADERS_MOST)
        one = &question->headers[question->header_count++];
    if (!one || one->n)
        return false;
    *one = value;
    return true;
}

static const char *read_url(struct explaining *x, str url)
{
    bool is_http = str_has_prefix_nocase(url, S("http://"));

    x->is_https = str_has_prefix_nocase(url, S("https://"));
    if (!is_http && !x->is_https)
        return "the URL begins with http:// or https://";
    str rest = str_from(url, is_http ? 7 : 8);
    if (str_find(rest, '#') < rest.n)
        return "the URL has a fragment (#...), which clients do not send";
    size_t path = str_find(rest, '/'), query = str_find(rest, '?');
    x->authority = str_upto(rest, path < query ? path : query);
    x->target = str_from(rest, x->authority.n);
    if (!x->target.n || x->target.p[0] == '?') {
        str parts[] = { S("/"), x->target };
        x->target = arena_concat(x->arena, parts, 2);
    }
    if (x->authority.n == 0)
        return "the URL names no host";
    const char *why = authority_parse(x->authority, x->arena, &x->host, &x->port);
    if (!why && x->port == 0)
        x->port = x->is_https ? 443 : 80;
    return why;
}

static const char *check_header(str header)
{
    static const char *const ours[] = { "host", "content-length", "transfer-encoding", "expect" };
    str name = str_upto(header, str_find(header, ':'));

    if (name.n == header.n || !field_name_is_valid(name))
        return "a header is written NAME:VALUE";
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (str_equal_nocase(name, str_of(ours[i])))
            return i == 0 ? "the host is the URL's: header=Host:... says it twice"
                          : "a request without content is explained: no header can announce any";
    for (size_t i = 0; i < header.n; i++)
        if ((unsigned char)header.p[i] < ' ' && header.p[i] != '\t')
            return "a header holds no control characters";
    return NULL;
}

static const char *read_question(struct explaining *x, uint8_t client[16])
{
    const struct explain_question *question = x->question;

    if (!field_name_is_valid(question->method))
        return "the method is no token: GET, POST, ...";
    if (!addr_ip_bytes(question->client.n ? question->client : S("127.0.0.1"), client))
        return "client= wants an IPv4 or IPv6 address";
    for (uint32_t i = 0; i < question->header_count; i++) {
        const char *why = check_header(question->headers[i]);
        if (why)
            return why;
    }
    return read_url(x, question->url);
}

/* -- listener and TLS ---------------------------------------------------------------------------------------------- */

static bool is_any(const struct addr *addr)
{
    static const uint8_t v6[16], v4[16] = { [10] = 0xff, [11] = 0xff };
    uint8_t bytes[16];

    addr_bytes(addr, bytes);
    return memcmp(bytes, v6, 16) == 0 || memcmp(bytes, v4, 16) == 0;
}

/* How well the point suits a connection to the URL's host from this client; 0: not at all. */
static unsigned suits(const struct explaining *x, const struct listen_use *use, const uint8_t client[16])
{
    static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff };
    const struct addr *addr = &use->point->addr;
    bool is_v4 = addr->any.sa_family == AF_INET;
    struct addr host;

    if (use->is_tls != x->is_https || addr_is_unix(addr) || addr_port(addr) != x->port)
        return 0;
    if (addr_parse_ip(x->host, x->port, &host))
        return addr_equal(&host, addr) ? 4 : is_any(addr) && host.any.sa_family == addr->any.sa_family ? 3 : 0;
    return (is_any(addr) ? 2u : 1u) + (is_v4 == (memcmp(client, v4, 12) == 0) ? 2u : 0u);
}

static void say_none_listens(struct explaining *x)
{
    const struct vec *uses = &x->house->sites.listens.uses;
    str list = STR_NONE;

    for (uint32_t i = 0; i < uses->count && list.n < 1000; i++) {
        const struct listen_use *use = vec_at(uses, struct listen_use, i);
        if (use->point)
            list = arena_printf(x->arena, "%.*s%s%.*s%s", STR_ARG(list), list.n ? ", " : "", STR_ARG(use->point->key),
                                use->is_tls ? " (tls)" : "");
    }
    say(x, "listener", "none", (struct place){ 0 }, "nothing listens for %s on port %u; what listens: %.*s",
        x->is_https ? "https" : "http", x->port, STR_ARG(list.n ? list : S("nothing")));
    conclude(x, "unreachable", 0, "nothing listens there");
}

static bool choose_listener(struct explaining *x, const uint8_t client[16])
{
    const struct vec *uses = &x->house->sites.listens.uses;
    unsigned best = 0, count = 0;

    for (uint32_t i = 0; i < uses->count; i++) {
        const struct listen_use *use = vec_at(uses, struct listen_use, i);
        unsigned how = use->point ? suits(x, use, client) : 0;
        count += how > 0;
        if (how > best) {
            best = how;
            x->use = use;
        }
    }
    if (!x->use) {
        say_none_listens(x);
        return false;
    }
    str others = count > 1 ? arena_printf(x->arena, " (one of %u addresses with this port)", count) : STR_NONE;
    say(x, "listener", "chosen", x->use->place, "%.*s%s%.*s", STR_ARG(x->use->point->key), x->is_https ? " tls" : "",
        STR_ARG(others));
    return true;
}

static bool choose_tls(struct explaining *x)
{
    struct addr literal;
    bool is_address = addr_parse_ip(x->host, 1, &literal);
    const struct scope *scope = sites_tls(&x->house->sites, x->use->point, is_address ? STR_NONE : x->host);
    const struct site *site = scope ? scope->user : NULL;

    if (!site || !scope->offers_tls) {
        say(x, "tls", "refused", (struct place){ 0 }, "no site with a certificate for the server name %.*s",
            STR_ARG(is_address ? S("(none)") : x->host));
        conclude(x, "unreachable", 0, "the TLS handshake is refused");
        return false;
    }
    say(x, "tls", "chosen", statement_place(site->statement), "site %.*s by %s", STR_ARG(site->name),
        is_address ? "default, as no server name is sent" : "server name");
    return true;
}

/* -- site and route ------------------------------------------------------------------------------------------------ */

static void on_passed_over(const struct route *route, const char *why, void *x)
{
    say(x, "route", "passed over", statement_place(route->statement), "%.*s: its %s= does not hold",
        STR_ARG(route->text), why);
}

static struct place place_at(str file, uint32_t line)
{
    return (struct place){ .file = file, .line = line };
}

static void on_route(struct weir_req *r, bool is_found, void *x_)
{
    struct explaining *x = x_;
    const struct site *site = r->site_of;
    const struct route *route = site && is_found && r->route_of != site ? r->route_of : NULL;
    struct choice choice;

    sites_tell_choice(&x->house->sites, r, is_found, &choice);
    if (!site) {
        say(x, "site", "none", (struct place){ 0 }, "%s: %.*s", choice.site.why, STR_ARG(r->host));
        return;
    }
    say(x, "site", "chosen", place_at(choice.site.file, choice.site.line), "%.*s: %s", STR_ARG(choice.site.name),
        choice.site.why);
    if (site->routes && is_found)
        routes_passed_over(site->routes, r, route, on_passed_over, x);
    if (route)
        say(x, "route", "chosen", place_at(choice.route.file, choice.route.line), "%.*s: %s",
            STR_ARG(choice.route.name), choice.route.why);
    else
        say(x, "route", "none", place_at(choice.route.file, choice.route.line), "%s", choice.route.why);
}

/* -- hooks --------------------------------------------------------------------------------------------------------- */

static struct place place_of(const struct explaining *x, const weir_mod *mod)
{
    const struct site *site = x->r->site_of;
    bool is_way_to_https = str_equal(mod->name, S("site")) && site; /* what the site lacks says it */
    const struct statement *statement = is_way_to_https ? site->statement : plan_statement(x->r->plan, mod);

    return statement ? statement_place(statement) : (struct place){ 0 };
}

static void on_hook(struct weir_req *r, const struct hook_answer *hook, void *x_)
{
    struct explaining *x = x_;
    str stage = stage_name(hook->stage);
    struct explain_step step = { .module = hook->mod->name, .verdict = answer_verdict(x->arena, hook),
                                 .reason = answer_reason(x->arena, hook) };

    (void)r;
    step.stage = arena_str(x->arena, stage).p;
    if (!step.stage)
        x->e->no_memory = true;
    else
        add_step(x, step, place_of(x, hook->mod));
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

static const char *server_words(const struct server *server)
{
    static const char *const words[] = { [SERVER_IN] = "in service", [SERVER_TRIAL] = "on trial",
                                         [SERVER_FULL] = "full", [SERVER_OUT] = "out: failures",
                                         [SERVER_CHECKED_DOWN] = "out: health check" };

    return server->down ? "down" : server->draining ? "draining"
                        : words[server->state ? server_state_word(server->state, &server->rules) : SERVER_IN];
}

static void say_upstream(struct explaining *x)
{
    struct weir_upstream *made = x->r->origin_data, *u = upstream_now(made);
    struct place place = place_of(x, module_find(S("proxy")));
    str list = STR_NONE;

    if (u->place.file.n)
        place = place_at(u->place.file, u->place.line);
    for (uint32_t i = 0; i < u->server_count && list.n < 4000; i++)
        list = arena_printf(x->arena, "%.*s%s%.*s %s%s", STR_ARG(list), i ? ", " : "", STR_ARG(u->servers[i].name),
                            server_words(&u->servers[i]), u->servers[i].backup ? " (backup)" : "");
    say(x, "upstream", "chosen", place, "%.*s by %s%s: %.*s", STR_ARG(u->name), u->balancer->name,
        u->protocol == PROTOCOL_H2 ? " in HTTP/2" : "", STR_ARG(list));
    x->e->upstream = arena_str(x->arena, u->name);
    conclude(x, "proxied", 0, NULL);
}

static void walk(struct explaining *x)
{
    const struct dry_watch watch = { on_route, on_hook, x };
    struct weir_req *r = x->r;
    struct dry_outcome outcome = request_dry_run(r, &watch);

    x->e->depends = outcome.depends;
    if (outcome.end == DRY_ORIGIN)
        say_upstream(x);
    else if (outcome.end == DRY_CLOSED)
        conclude(x, "closed", 0, "a module closes the connection");
    else
        conclude(x, "answered", r->status, r->refuse_reason);
    x->e->site = r->site.n ? arena_str(x->arena, r->site) : STR_NONE;
    x->e->route = r->route.n ? arena_str(x->arena, r->route) : STR_NONE;
}

/* The text that a client would send is what is parsed: by the same rules. */
static str request_text(struct explaining *x)
{
    const struct explain_question *question = x->question;
    str text = arena_printf(x->r->arena, "%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\n", STR_ARG(question->method),
                            STR_ARG(x->target), STR_ARG(x->authority));

    for (uint32_t i = 0; i < question->header_count && text.n; i++) {
        str header = question->headers[i];
        size_t colon = str_find(header, ':');
        str value = str_trim(str_from(header, colon + 1));
        text = arena_printf(x->r->arena, "%.*s%.*s: %.*s\r\n", STR_ARG(text), STR_ARG(str_upto(header, colon)),
                            STR_ARG(value));
    }
    return text.n ? arena_printf(x->r->arena, "%.*s\r\n", STR_ARG(text)) : STR_NONE;
}

static bool parse(struct explaining *x)
{
    const struct core_conf *core = x->snapshot->top_plan->core;
    struct h1_limits limits = { .head_bytes = (uint32_t)core->max_header_size, .fields = (uint32_t)core->max_headers };
    struct h1_error error = { 500, "no memory" };
    struct h1_request head = { 0 };
    struct h1_scan scan = { 0 };
    struct weir_req *r = x->r;
    size_t n = 0;
    str text = request_text(x);
    enum h1_rc rc = text.n ? h1_scan(&scan, text.p, text.n, &limits, &n, &error) : H1_BAD;

    if (rc == H1_DONE && n == text.n)
        rc = h1_parse_request(text, &limits, r->arena, &r->fields, &head, &error);
    else if (rc != H1_BAD)
        error = (struct h1_error){ 400, "no single request head" }, rc = H1_BAD;
    if (rc != H1_DONE) {
        say(x, "parser", "refuses", (struct place){ 0 }, "%d: %s", error.status, error.why);
        conclude(x, "answered", error.status, error.why);
        return false;
    }
    request_take_head(r, &head);
    return true;
}

static void run(struct explaining *x, const uint8_t client[16])
{
    static const struct codec_calls no_codec; /* a dry run never comes to it */
    static _Thread_local struct weir_conn conn;

    conn = (struct weir_conn){ .point = x->use->point, .is_tls = x->is_https, .conn.io.fd = -1 };
    memcpy(conn.peer, client, 16);
    conn.local_port = addr_port(&x->use->point->addr);
    x->r = request_create(&conn, &no_codec, NULL);
    if (!x->r) {
        x->e->no_memory = true;
        return;
    }
    x->r->is_dry = true;
    if (parse(x))
        walk(x);
    request_discard(x->r);
    mem_free(conn.ctx);
    conn.ctx = NULL;
}

const char *explain_check(const struct explain_question *question, struct arena *arena)
{
    struct explaining x = { .question = question, .arena = arena };
    uint8_t client[16];

    return read_question(&x, client);
}

const char *explain_run(const struct explain_question *question, struct arena *arena, struct explanation *explanation)
{
    struct explaining x = { .question = question, .e = explanation, .arena = arena };
    uint8_t client[16];

    *explanation = (struct explanation){ .arena = arena, .outcome = "unreachable" };
    x.snapshot = pipeline_worker_self() ? snapshot_current() : NULL;
    if (!x.snapshot)
        return "the server is stopping";
    x.house = x.snapshot->house;
    const char *why = read_question(&x, client);
    if (why)
        return why;
    if (choose_listener(&x, client) && (!x.is_https || choose_tls(&x)))
        run(&x, client);
    return explanation->no_memory ? "no memory" : NULL;
}
